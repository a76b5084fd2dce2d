//! Functions with `err = log`.

use super::*;

#[test]
fn a_function_with_err_log_logs_its_errors() {
    #[traced("place order", err = log)]
    fn place() -> Result<u8, Failure> {
        Err(refused())
    }
    #[traced(err = log, ret)]
    async fn asynchronous(fail: bool) -> Result<u8, Failure> {
        if fail { Err(refused()) } else { Ok(1) }
    }
    #[traced(err = log)]
    fn borrowed(of: &str) -> Result<u8, Borrowed<'_>> {
        Err(Borrowed(of))
    }
    struct Orders;
    #[traced(err = log)]
    impl Orders {
        fn method(&self) -> Result<u8, Failure> {
            let Self = self;
            Err(refused())
        }
        fn nothing() {}
    }
    #[traced_spawn(err = log)]
    async fn job() -> Result<u8, Failure> {
        Err(refused())
    }
    #[derive(Debug)]
    struct Borrowed<'a>(&'a str);
    impl fmt::Display for Borrowed<'_> {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            write!(f, "no {}", self.0)
        }
    }
    impl Error for Borrowed<'_> {}

    for sampler in SAMPLERS {
        let capture = Capture::with_sampler(sampler());
        let run = async {
            place().expect_err("it fails");
            asynchronous(true).await.expect_err("it fails");
            asynchronous(false).await.expect("it does not");
            borrowed("paper").expect_err("it fails");
            Orders.method().expect_err("it fails");
            Orders::nothing();
            let error = || Err::<(), _>("no paper");
            throughline::span("block").log_errors().try_run(error).expect_err("it fails");
            let error = async { Err::<(), _>("no ink") };
            throughline::span("block").log_errors().try_run_async(error).await.expect_err("it fails");
            throughline::span("block").try_run(|| Err::<(), _>("unheard")).expect_err("it fails");
            job().await.expect("no panic").expect_err("it fails");
        };
        let ((), log) = logged(&capture, in_span_async("request", run));
        let all = log.all();
        let seen: Vec<_> = all
            .iter()
            .map(|event| {
                let name = event.get("throughline.span.name").or_else(|| event.get("throughline.job.name"));
                (name.map_or("", String::as_str), &*event["error"])
            })
            .collect();
        let expected = [
            ("place order", CHAIN),
            ("asynchronous", CHAIN),
            ("borrowed", "no paper"),
            ("Orders::method", CHAIN),
            ("block", "no paper"),
            ("block", "no ink"),
            ("job", CHAIN),
        ];
        assert_eq!(seen, expected);
        assert_eq!(all[0]["target"], "throughline::errors");
        assert_eq!(all[0]["message"], "call failed");
        assert!(all[0].contains_key("trace_id") && all[0].contains_key("span_id"));
    }
}

/// For an error that does not implement `Error`, the alternate form may include the sources.
#[test]
fn the_sources_of_any_error_are_logged() {
    #[derive(Debug)]
    struct Report;
    impl fmt::Display for Report {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(if f.alternate() { "cannot print: no paper" } else { "cannot print" })
        }
    }
    #[traced(err = log)]
    fn report() -> Result<(), Report> {
        Err(Report)
    }
    #[traced(err = log)]
    fn boxed() -> Result<(), Box<dyn Error>> {
        Err(Box::new(refused()))
    }
    let capture = Capture::new();
    let run = async {
        report().expect_err("it fails");
        throughline::span("block").log_errors().try_run(|| Err::<(), _>(Report)).expect_err("it fails");
        boxed().expect_err("it fails");
    };
    let ((), log) = logged(&capture, run);
    let errors: Vec<_> = log.all().into_iter().map(|event| event["error"].clone()).collect();
    assert_eq!(errors, ["cannot print: no paper", "cannot print: no paper", CHAIN]);
}
