//! The roles of the second process.

use std::pin::pin;

use tokio::sync::oneshot;

use super::{LIMIT, begin};
use crate::support::{run, trace};

/// The roles of the second process.
pub(crate) fn play(role: &str) -> Option<()> {
    let current_thread = || tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    match role {
        "drop without a runtime" => {
            let _telemetry = throughline::init().expect("a valid configuration");
            (0..100).for_each(|_| trace(4));
        }
        "drop in a current-thread runtime" => current_thread().block_on(async {
            let _telemetry = throughline::init().expect("a valid configuration");
            (0..100).for_each(|_| trace(4));
        }),
        "drop in a multi-thread runtime" => run(async {
            let _telemetry = throughline::init().expect("a valid configuration");
            (0..100).for_each(|_| trace(4));
        }),
        "drop in a task" => run(async {
            let telemetry = throughline::init().expect("a valid configuration");
            tokio::spawn(async move {
                (0..100).for_each(|_| trace(4));
                drop(telemetry);
            })
            .await
            .expect("no panic");
        }),
        "panic" => current_thread().block_on(async {
            let _telemetry = throughline::init().expect("a valid configuration");
            (0..100).for_each(|_| trace(4));
            // A job that nobody waits for.
            drop(throughline::span("job").spawn(std::future::pending::<()>()));
            throughline::in_span("main", || panic!("lost the thread"));
        }),
        "panic that aborts" => {
            let telemetry = throughline::init().expect("a valid configuration");
            let provider = telemetry.provider().expect("telemetry is enabled").clone();
            std::panic::set_hook(Box::new(move |_| {
                provider.force_flush().expect("the collector accepts spans");
                // As `panic = "abort"` does.
                std::process::abort();
            }));
            (0..100).for_each(|_| trace(4));
            throughline::in_span("main", || panic!("lost the process"));
        }
        "signal" => run(async {
            let telemetry = throughline::init().expect("a valid configuration");
            (0..100).for_each(|_| trace(4));
            let (end, ends) = oneshot::channel::<()>();
            drop(throughline::span("job").spawn(async {
                let _ = ends.await;
            }));
            let mut told = pin!(throughline::telemetry::signal());
            begin(told.as_mut()).await;
            println!("ready");
            told.await;
            let mut ending = pin!(telemetry.shutdown(LIMIT));
            begin(ending.as_mut()).await;
            end.send(()).expect("the job waits");
            let report = ending.await;
            assert!(report.is_complete(), "{report:?}");
            println!("jobs {}", report.jobs);
        }),
        "two signals" => run(async {
            let telemetry = throughline::init().expect("a valid configuration");
            let (end, ends) = oneshot::channel::<()>();
            drop(throughline::span("job").spawn(ends));
            let mut told = pin!(throughline::telemetry::signal());
            begin(told.as_mut()).await;
            println!("ready");
            told.await;
            let mut ending = pin!(telemetry.shutdown(LIMIT));
            begin(ending.as_mut()).await;
            let mut again = pin!(throughline::telemetry::signal());
            begin(again.as_mut()).await;
            println!("ending");
            again.await;
            end.send(()).expect("the job waits");
            let report = ending.await;
            assert!(report.is_complete(), "{report:?}");
        }),
        "shutdown on signal" => run(async {
            let telemetry = throughline::init().expect("a valid configuration");
            (0..100).for_each(|_| trace(4));
            let mut ending = pin!(telemetry.shutdown_on_signal(LIMIT));
            begin(ending.as_mut()).await;
            println!("ready");
            let report = ending.await;
            assert!(report.is_complete(), "{report:?}");
        }),
        _ => return None,
    }
    Some(())
}
