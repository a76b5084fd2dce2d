//! Detached jobs that fail.

use super::*;

#[test]
fn a_failed_job_is_logged_whether_or_not_it_is_sampled() {
    #[traced_spawn]
    #[biz_tags(propagate(tenant_id = "acme", note = "two words"))]
    async fn publish() -> Result<(), Failure> {
        Err(refused())
    }
    for sampler in SAMPLERS {
        let capture = Capture::with_sampler(sampler());
        let run = async {
            let ids = throughline::Snapshot::capture().span_context().expect("a span").trace_id();
            publish().await.expect("no panic").expect_err("it fails");
            ids
        };
        let (trace, log) = logged(&capture, in_span_async("request", run));
        let event = log.only();
        assert_eq!(event["target"], "throughline::jobs");
        assert_eq!(event["message"], "detached job failed");
        assert_eq!(event["throughline.job.name"], "publish");
        assert_eq!(event["error"], CHAIN);
        assert!(event["error.type"].ends_with("Failure"), "{event:?}");
        assert_eq!(event["trace_id"], trace.to_string());
        assert_eq!(event["throughline.tags"], "tenant_id=acme note=\"two words\"");
        if let [job, _] = &capture.spans()[..] {
            assert_eq!(event["span_id"], job.span_id().to_string());
        }
    }
}

#[test]
fn every_kind_of_job_logs_failures() {
    // Jobs on a thread pool are not logged in this test, but counted in the one below.
    #[traced_spawn(thread)]
    fn thread(dispatch: tracing::Dispatch) -> Result<(), Failure> {
        // The subscriber of this test is only set on its thread.
        std::mem::forget(tracing::dispatcher::set_default(&dispatch));
        Err(refused())
    }
    #[traced_spawn(local)]
    async fn local() -> Result<(), Failure> {
        Err(refused())
    }
    #[traced_spawn(err = debug)]
    async fn debugged() -> Result<(), Failure> {
        Err(Failure("a", None))
    }
    #[traced_spawn(err = off)]
    async fn silent() -> Result<(), Failure> {
        Err(refused())
    }
    #[traced_spawn]
    async fn boxed() -> Result<(), Box<dyn Error + Send + Sync>> {
        Err(Box::new(refused()))
    }
    #[traced_spawn]
    async fn text() -> Result<(), String> {
        Err("no paper".to_owned())
    }
    #[traced_spawn]
    async fn any() -> Result<(), anyhow::Error> {
        Err(anyhow::Error::from(refused()).context("at night"))
    }
    #[traced_spawn]
    async fn panics() {
        panic!("lost")
    }
    for sampler in SAMPLERS {
        let capture = Capture::with_sampler(sampler());
        let run = async {
            let dispatch = tracing::dispatcher::get_default(Clone::clone);
            thread(dispatch).join().expect("no panic").expect_err("it fails");
            for job in [local(), debugged(), silent()] {
                job.await.expect("no panic").expect_err("it fails");
            }
            boxed().await.expect("no panic").expect_err("it fails");
            text().await.expect("no panic").expect_err("it fails");
            any().await.expect("no panic").expect_err("it fails");
            panics().await.expect_err("it panics");
            throughline::try_spawn(async { Err::<(), _>(refused()) }).await.expect("no panic").expect_err("it fails");
            let boxed = async { Err::<(), Box<dyn Error + Send + Sync>>(Box::new(refused())) };
            throughline::try_spawn(boxed).await.expect("no panic").expect_err("it fails");
            throughline::spawn(async { panic!("lost too") }).await.expect_err("it panics");
            throughline::span("block").spawn(async { panic!("lost, three") }).await.expect_err("it panics");
        };
        let local = tokio::task::LocalSet::new();
        let ((), log) = logged(&capture, local.run_until(run));
        let all = log.all();
        let of = |event: &Fields| {
            let error = event.get("error").cloned().unwrap_or_default();
            (event["throughline.job.name"].clone(), error)
        };
        let own = |name: &str, error: &str| (name.to_owned(), error.to_owned());
        let debugged_text = "Failure(\"a\", None)";
        let test = "every_kind_of_job_logs_failures (spawned)";
        let expected = [
            own("thread", CHAIN),
            own("local", CHAIN),
            own("debugged", debugged_text),
            own("silent", ""),
            own("boxed", CHAIN),
            own("text", "no paper"),
            own("any", &format!("at night: {CHAIN}")),
            own("panics", "lost"),
            own(test, "cannot publish"),
            own(test, CHAIN),
            own(test, "lost too"),
            own("block", "lost, three"),
        ];
        assert_eq!(all.iter().map(of).collect::<Vec<_>>(), expected);
        assert_eq!(all[7]["message"], "detached job panicked");
        assert_eq!(all[7]["error.type"], "panic");
    }
}

#[test]
fn successful_and_cancelled_jobs_are_not_logged() {
    #[traced_spawn]
    async fn fine() -> Result<u8, Failure> {
        Ok(1)
    }
    #[traced_spawn]
    async fn endless() -> Result<u8, Failure> {
        std::future::pending().await
    }
    #[traced]
    async fn fails() -> Result<u8, Failure> {
        Err(refused())
    }
    let capture = Capture::new();
    let run = async {
        fine().await.expect("no panic").expect("it is fine");
        fails().await.expect_err("it fails");
        let endless = endless();
        tokio::task::yield_now().await;
        endless.abort();
        endless.await.expect_err("it was aborted");
    };
    let ((), log) = logged(&capture, run);
    assert_eq!(log.all(), []);
}

/// A subscriber that panics, or that starts jobs itself, has no effect on the job.
#[test]
fn a_failing_subscriber_does_not_fail_the_job() {
    struct Panicking;

    impl Subscriber for Panicking {
        fn enabled(&self, metadata: &Metadata<'_>) -> bool {
            metadata.target().starts_with("throughline::")
        }
        fn new_span(&self, _: &Attributes<'_>) -> Id {
            Id::from_u64(1)
        }
        fn record(&self, _: &Id, _: &Record<'_>) {}
        fn record_follows_from(&self, _: &Id, _: &Id) {}
        fn event(&self, _: &Event<'_>) {
            panic!("the disk is full")
        }
        fn enter(&self, _: &Id) {}
        fn exit(&self, _: &Id) {}
    }

    #[traced_spawn]
    async fn fails() -> Result<u8, String> {
        Err("mine".to_owned())
    }
    let capture = Capture::new();
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let run = capture.run_async(async { fails().await });
    let ended = tracing::subscriber::with_default(Panicking, || runtime.block_on(run));
    assert_eq!(ended.expect("the job did not panic"), Err("mine".to_owned()));
    assert_eq!(capture.open(), 0);
}

#[test]
fn failed_jobs_are_counted() {
    use opentelemetry_sdk::metrics::data::{AggregatedMetrics, MetricData, ResourceMetrics, ScopeMetrics};
    use opentelemetry_sdk::metrics::{InMemoryMetricExporter, PeriodicReader, SdkMeterProvider};

    #[traced_spawn(blocking)]
    fn counted() -> Result<(), std::num::ParseIntError> {
        "x".parse::<u8>().map(drop)
    }
    #[traced_spawn(blocking)]
    fn counted_panic(fail: bool) {
        assert!(!fail, "lost");
    }
    let exporter = InMemoryMetricExporter::default();
    let meters = SdkMeterProvider::builder().with_reader(PeriodicReader::builder(exporter.clone()).build()).build();
    opentelemetry::global::set_meter_provider(meters.clone());
    let run = async {
        for _ in 0..2 {
            counted().await.expect("no panic").expect_err("it fails");
        }
        counted_panic(true).await.expect_err("it panics");
        counted_panic(false).await.expect("it is fine");
    };
    let ((), _) = logged(&Capture::with_sampler(Sampler::AlwaysOff), run);
    meters.force_flush().expect("the exporter is in this process");

    let batches = exporter.get_finished_metrics().expect("it was flushed");
    let metrics = batches.iter().flat_map(ResourceMetrics::scope_metrics).flat_map(ScopeMetrics::metrics);
    let mut counted: Vec<_> = metrics
        .filter(|metric| metric.name() == "throughline.jobs.failed")
        .flat_map(|metric| match metric.data() {
            AggregatedMetrics::U64(MetricData::Sum(sum)) => sum.data_points().collect::<Vec<_>>(),
            _ => Vec::new(),
        })
        .map(|point| {
            let mut of: Vec<_> = point.attributes().map(|a| format!("{}={}", a.key, a.value)).collect();
            of.sort_unstable();
            (of, point.value())
        })
        // Ignores failures of other tests in this process.
        .filter(|(of, _)| of.iter().any(|attribute| attribute.contains("job.name=counted")))
        .collect();
    counted.sort_unstable();
    let of = |error: &str, job: &str| vec![format!("error.type={error}"), format!("throughline.job.name={job}")];
    assert_eq!(counted, [(of("core::num::error::ParseIntError", "counted"), 2), (of("panic", "counted_panic"), 1)]);
}

/// A call that panics.
type Call = Box<dyn FnOnce() + std::panic::UnwindSafe>;

thread_local! {
    /// The location of the last panic on this thread.
    static PLACE: RefCell<Option<(String, u32)>> = const { RefCell::new(None) };
}

/// The location is that of the caller, whose mistake it is.
#[test]
fn outside_a_runtime_the_panic_is_at_the_call() {
    struct Mailer;
    impl Mailer {
        #[traced_spawn]
        async fn send(self: Arc<Self>) {}
    }
    #[traced_spawn]
    async fn task() {}
    #[traced_spawn(blocking)]
    fn blocking() {}

    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        PLACE.with(|place| *place.borrow_mut() = info.location().map(|at| (at.file().to_owned(), at.line())));
        usual(info);
    }));
    let calls: [(u32, &str, Call); 7] = [
        (line!(), "task", Box::new(|| drop(task()))),
        (line!(), "blocking", Box::new(|| drop(blocking()))),
        (line!(), "send", Box::new(|| drop(Arc::new(Mailer).send()))),
        (line!(), "(spawned)", Box::new(|| drop(throughline::spawn(async {})))),
        (line!(), "(spawned)", Box::new(|| drop(throughline::try_spawn_blocking(|| Ok::<(), String>(()))))),
        (line!(), "named", Box::new(|| drop(throughline::span("named").spawn(async {})))),
        (line!(), "named", Box::new(|| drop(throughline::span("named").try_spawn_blocking(|| Ok::<(), String>(()))))),
    ];
    for (line, name, call) in calls {
        let payload = std::panic::catch_unwind(call).expect_err("no runtime");
        let message = payload.downcast_ref::<String>().expect("a text");
        assert!(message.starts_with("the detached job `") && message.contains(name), "{message}");
        let place = PLACE.with(|place| place.borrow_mut().take()).expect("it panicked here");
        assert_eq!(place, (file!().to_owned(), line), "{name}");
    }
}
