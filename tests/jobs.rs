//! The registry of detached jobs is one for the process, so this test is alone in its process.

use std::time::Duration;

use throughline::jobs;
use throughline::traced_spawn;
use tokio::sync::oneshot;

#[traced_spawn]
async fn task(until: oneshot::Receiver<()>) {
    until.await.expect("the test sends");
}

#[traced_spawn(blocking)]
fn block(until: oneshot::Receiver<()>) {
    until.blocking_recv().expect("the test sends");
}

#[traced_spawn(thread)]
fn thread(until: oneshot::Receiver<()>) {
    until.blocking_recv().expect("the test sends");
}

#[tokio::test]
async fn jobs_are_counted_and_waited_for() {
    assert_eq!(jobs::running(), 0);
    assert_eq!(jobs::wait(Duration::ZERO).await, Ok(()), "nothing to wait for");

    let (ends, untils): (Vec<_>, Vec<_>) = (0..4).map(|_| oneshot::channel()).unzip();
    let mut untils = untils.into_iter();
    let mut next = || untils.next().expect("four");
    let _detached = task(next());
    let _blocking = block(next());
    let _thread = thread(next());
    let _function = throughline::spawn({
        let until = next();
        async move { until.await.expect("the test sends") }
    });
    assert_eq!(jobs::running(), 4);
    let left = jobs::wait(Duration::from_millis(1)).await;
    assert_eq!(left.as_ref().map_err(|left| left.jobs), Err(4));
    assert_eq!(left.expect_err("it is").to_string(), "4 detached jobs are still running");

    for end in ends {
        end.send(()).expect("the job waits");
    }
    assert_eq!(jobs::wait(Duration::from_secs(60)).await, Ok(()));
    assert_eq!(jobs::running(), 0);

    // Aborted and panicked jobs are over too.
    let (_kept, until) = oneshot::channel();
    let aborted = task(until);
    aborted.abort();
    drop(throughline::spawn(async { panic!("lost") }));
    assert_eq!(jobs::wait(Duration::from_secs(60)).await, Ok(()));
}
