//! The outcome of a call is recorded on its span.

use std::fmt;
use std::future::Future;

use futures::{Stream, StreamExt as _};
use opentelemetry::trace::Status;
use throughline::testing::{Capture, FinishedSpan};
use throughline::{Value, traced};

#[derive(Debug)]
struct OnlyDebug(#[allow(dead_code, reason = "read by `Debug`")] u8);

struct Neither;

#[derive(Debug)]
struct Shown;

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("card declined")
    }
}

impl std::error::Error for Shown {}

type Aliased<T> = Result<T, Shown>;

fn text(value: &str) -> Value {
    Value::String(value.to_owned().into())
}

fn one(run: impl FnOnce()) -> FinishedSpan {
    let capture = Capture::new();
    capture.run(run);
    assert_eq!(capture.open(), 0, "a span was left open");
    let spans = capture.spans();
    assert_eq!(spans.len(), 1, "{}", capture.tree());
    spans.into_iter().next().expect("there is one")
}

fn assert_failed(span: &FinishedSpan, description: &'static str, error_type: &str) {
    assert_eq!(span.status, Status::error(description));
    assert_eq!(span.attribute("error.type"), Some(&text(error_type)));
    let event = span.event("exception").expect("an exception event");
    let of =
        |key: &str| event.attributes.iter().find(|attribute| attribute.key.as_str() == key).map(|a| a.value.clone());
    assert_eq!(of("exception.type"), Some(text(error_type)));
    assert_eq!(of("error.type"), Some(text(error_type)));
    let message = (!description.is_empty()).then(|| text(description));
    assert_eq!(of("exception.message"), message);
}

#[test]
fn a_value_leaves_the_status_unset() {
    #[traced]
    fn value() -> Result<u8, Shown> {
        Ok(1)
    }
    let span = one(|| assert_eq!(value().expect("ok"), 1));
    assert_eq!(span.status, Status::Unset);
    assert!(span.events.events.is_empty());
    assert_eq!(span.attribute("error.type"), None);
}

#[test]
fn an_error_is_described_by_display() {
    #[traced]
    fn pay() -> Aliased<()> {
        Err(Shown)
    }
    assert_failed(&one(|| drop(pay())), "card declined", "behaviour::outcome::Shown");
}

#[test]
fn an_error_by_a_question_mark_is_seen() {
    #[traced]
    fn parse(text: &str) -> Result<u32, Box<dyn std::error::Error>> {
        let number: u32 = text.parse()?;
        Ok(number)
    }
    let span = one(|| drop(parse("x")));
    assert_failed(&span, "invalid digit found in string", "alloc::boxed::Box<dyn core::error::Error>");
}

#[test]
fn an_error_without_the_error_trait_is_seen() {
    #[traced]
    fn fails() -> anyhow::Result<()> {
        anyhow::bail!("no route")
    }
    assert_failed(&one(|| drop(fails())), "no route", "anyhow::Error");
}

#[test]
fn debug_does_not_stand_in_for_display() {
    #[traced]
    fn fails() -> Result<(), OnlyDebug> {
        Err(OnlyDebug(7))
    }
    #[traced(err = debug)]
    fn asks_for_it() -> Result<(), OnlyDebug> {
        Err(OnlyDebug(7))
    }
    assert_failed(&one(|| drop(fails())), "", "behaviour::outcome::OnlyDebug");
    assert_failed(&one(|| drop(asks_for_it())), "OnlyDebug(7)", "behaviour::outcome::OnlyDebug");
}

/// What is returned is the caller's, whatever its formatters do.
#[test]
fn a_formatter_that_panics_is_not_the_callers_problem() {
    #[derive(PartialEq)]
    struct Broken;
    impl fmt::Display for Broken {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("half ")?;
            panic!("in `Display`")
        }
    }
    impl fmt::Debug for Broken {
        fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
            panic!("in `Debug`")
        }
    }
    #[traced]
    fn shown() -> Result<(), Broken> {
        Err(Broken)
    }
    #[traced(err = debug)]
    fn debugged() -> Result<(), Broken> {
        Err(Broken)
    }
    #[traced(ret = debug)]
    fn returned() -> Broken {
        Broken
    }
    let broken = "behaviour::outcome::a_formatter_that_panics_is_not_the_callers_problem::Broken";
    assert_failed(&one(|| assert!(shown() == Err(Broken))), "half <panicked while formatting>", broken);
    assert_failed(&one(|| assert!(debugged() == Err(Broken))), "<panicked while formatting>", broken);
    let span = one(|| assert!(returned() == Broken));
    assert_eq!(span.attribute("throughline.return"), Some(&text("<panicked while formatting>")));
    assert_eq!(span.status, Status::Unset);
    let tried = || throughline::try_in_span("tried", || Err::<(), _>(Broken));
    assert_failed(&one(|| assert!(tried() == Err(Broken))), "half <panicked while formatting>", broken);
}

#[test]
fn the_urls_in_an_error_are_redacted() {
    #[traced]
    fn fetch() -> Result<(), String> {
        Err("error sending request for url (https://ada:pw@example.com/a?page=2&access_token=t): refused".to_owned())
    }
    let shown =
        "error sending request for url (https://REDACTED:REDACTED@example.com/a?page=2&access_token=REDACTED): refused";
    assert_failed(&one(|| drop(fetch())), shown, "alloc::string::String");
}

#[test]
fn an_error_that_cannot_be_shown_is_an_error() {
    #[traced]
    fn fails() -> Result<(), Neither> {
        Err(Neither)
    }
    assert_failed(&one(|| drop(fails())), "", "behaviour::outcome::Neither");
}

#[test]
fn a_generic_error_is_described_as_far_as_its_bounds_tell() {
    #[traced]
    fn displayed<E: fmt::Display>(error: E) -> Result<(), E> {
        Err(error)
    }
    #[traced]
    fn unknown<E>(error: E) -> Result<(), E> {
        Err(error)
    }
    assert_failed(&one(|| drop(displayed(Shown))), "card declined", "behaviour::outcome::Shown");
    assert_failed(&one(|| drop(unknown(Shown))), "", "behaviour::outcome::Shown");
}

#[test]
fn err_debug() {
    #[traced(err = debug)]
    fn fails() -> Result<(), Shown> {
        Err(Shown)
    }
    assert_failed(&one(|| drop(fails())), "Shown", "behaviour::outcome::Shown");
}

#[test]
fn err_off_tells_the_type_alone() {
    #[traced(err = off)]
    fn fails() -> Result<(), Shown> {
        Err(Shown)
    }
    assert_failed(&one(|| drop(fails())), "", "behaviour::outcome::Shown");
}

#[test]
fn a_long_error_is_cut() {
    #[traced]
    fn fails() -> Result<(), String> {
        Err("x".repeat(100_000))
    }
    let span = one(|| drop(fails()));
    let Status::Error { description } = &span.status else { panic!("no error: {:?}", span.status) };
    assert!(description.len() <= throughline::MAX_TEXT_BYTES + '…'.len_utf8());
}

#[test]
fn ret_records_the_value() {
    #[traced(ret)]
    fn plain() -> u32 {
        7
    }
    #[traced(ret)]
    fn result(ok: bool) -> Result<&'static str, Shown> {
        if ok { Ok("fine") } else { Err(Shown) }
    }
    #[traced(ret)]
    fn none() -> Option<u8> {
        None
    }
    #[traced(ret = debug)]
    fn debug() -> (u8, u8) {
        (1, 2)
    }
    assert_eq!(one(|| assert_eq!(plain(), 7)).attribute("throughline.return"), Some(&Value::I64(7)));
    assert_eq!(one(|| drop(result(true))).attribute("throughline.return"), Some(&text("fine")));
    assert_eq!(one(|| drop(result(false))).attribute("throughline.return"), None);
    assert_eq!(one(|| assert_eq!(none(), None)).attribute("throughline.return"), None);
    assert_eq!(one(|| assert_eq!(debug(), (1, 2))).attribute("throughline.return"), Some(&text("(1, 2)")));
}

#[test]
fn a_panic_is_written_down_and_goes_on() {
    #[traced]
    fn panics(what: &str) {
        panic!("lost {what}")
    }
    let span = one(|| {
        let payload = std::panic::catch_unwind(|| panics("order")).expect_err("it panics");
        assert_eq!(payload.downcast_ref::<String>().map(String::as_str), Some("lost order"));
    });
    assert_failed(&span, "lost order", "panic");
}

#[test]
fn a_panic_with_another_payload_is_written_down() {
    #[traced]
    fn panics() {
        std::panic::panic_any(7u8)
    }
    let span = one(|| {
        let payload = std::panic::catch_unwind(panics).expect_err("it panics");
        assert_eq!(payload.downcast_ref::<u8>(), Some(&7));
    });
    assert!(span.is_panicked() && span.is_error());
}

#[test]
fn the_span_ends_with_the_function_whatever_still_holds_its_context() {
    #[traced]
    fn leaks() -> opentelemetry::Context {
        opentelemetry::Context::current()
    }
    let capture = Capture::new();
    let held = capture.run(leaks);
    assert_eq!(capture.open(), 0);
    assert_eq!(capture.named("leaks").len(), 1);
    drop(held);
    assert_eq!(capture.named("leaks").len(), 1);
}

#[tokio::test]
async fn an_async_error_and_panic_are_seen() {
    #[traced]
    async fn fails() -> Result<(), Shown> {
        tokio::task::yield_now().await;
        Err(Shown)
    }
    #[traced]
    async fn panics() {
        tokio::task::yield_now().await;
        panic!("lost")
    }
    let capture = Capture::new();
    capture.run_async(async { drop(fails().await) }).await;
    let joined = tokio::spawn(capture.run_async(async { panics().await })).await;
    assert!(joined.expect_err("it panics").is_panic());
    assert_failed(&capture.span("fails"), "card declined", "behaviour::outcome::Shown");
    assert_failed(&capture.span("panics"), "lost", "panic");
    assert_eq!(capture.open(), 0);
}

#[tokio::test]
async fn a_future_dropped_half_way_is_cancelled_and_its_drop_code_is_inside() {
    struct Cleanup;
    impl Drop for Cleanup {
        fn drop(&mut self) {
            throughline::in_span("clean_up", || {});
        }
    }
    #[traced]
    async fn waits() {
        let _cleanup = Cleanup;
        std::future::pending::<()>().await;
    }
    let capture = Capture::new();
    let mut future = Box::pin(capture.run_async(waits()));
    assert!(futures::poll!(&mut future).is_pending());
    drop(future);
    let span = capture.span("waits");
    assert!(span.is_cancelled());
    assert_eq!(span.status, Status::Unset);
    assert!(capture.span("clean_up").is_child_of(&span));
    assert!(capture.span("clean_up").end_time <= span.end_time);
}

#[tokio::test]
async fn with_cancel_off_a_drop_half_way_is_a_normal_end() {
    struct Feed;

    #[traced(cancel = off)]
    impl Feed {
        async fn next(&self) {
            std::future::pending::<()>().await;
        }

        #[traced(cancel = on)]
        async fn told(&self) {
            std::future::pending::<()>().await;
        }

        /// A plain method has nothing to cancel, and takes no offence at the block's option.
        fn len(&self) -> usize {
            0
        }
    }

    #[traced(cancel = off)]
    fn later() -> impl Future<Output = ()> {
        std::future::pending()
    }

    #[traced(stream, cancel = off)]
    fn items() -> impl Stream<Item = u8> {
        futures::stream::repeat(1)
    }

    #[traced(cancel = off)]
    async fn fails() -> Result<(), Shown> {
        Err(Shown)
    }

    let capture = Capture::new();
    capture
        .run_async(async {
            tokio::select! {
                biased;
                () = Feed.next() => {}
                () = Feed.told() => {}
                () = later() => {}
                () = throughline::span("block").cancel_off().run_async(std::future::pending()) => {}
                () = std::future::ready(()) => {}
            }
            let mut items = std::pin::pin!(items());
            assert_eq!(items.next().await, Some(1));
            Feed.len();
            fails().await.unwrap_err();
        })
        .await;
    assert_eq!(capture.open(), 0);
    for name in ["Feed::next", "later", "block", "items", "Feed::len"] {
        let span = capture.span(name);
        assert!(!span.is_cancelled() && !span.is_error(), "{name}");
    }
    assert!(capture.span("Feed::told").is_cancelled(), "the method's own option goes first");
    assert!(capture.span("fails").is_error(), "only a drop is not recorded");
}

#[tokio::test]
async fn a_future_that_is_never_polled_has_no_span() {
    #[traced]
    async fn lazy() {}
    let capture = Capture::new();
    capture.run(|| drop(lazy()));
    assert_eq!(capture.open() + capture.spans().len(), 0);
}

/// A thread-local of the user's that outlives OpenTelemetry's, and one that does not.
#[test]
fn the_destructor_of_a_thread_local_may_be_traced() {
    use std::sync::mpsc::{Sender, channel};

    #[traced]
    fn flush(done: &Sender<&'static str>, name: &'static str) {
        throughline::in_span("inside", || {});
        done.send(name).expect("the test waits");
    }
    struct Buffer(Option<(Sender<&'static str>, &'static str)>);
    impl Drop for Buffer {
        fn drop(&mut self) {
            if let Some((done, name)) = self.0.take() {
                flush(&done, name);
                throughline::Snapshot::capture().run(|| flush(&done, name));
                throughline::span("root").root().run(|| {});
            }
        }
    }
    thread_local! {
        static EARLY: std::cell::RefCell<Buffer> = const { std::cell::RefCell::new(Buffer(None)) };
        static LATE: std::cell::RefCell<Buffer> = const { std::cell::RefCell::new(Buffer(None)) };
    }
    let (done, flushed) = channel();
    let capture = Capture::new();
    let context = capture.context();
    let thread = std::thread::spawn(move || {
        EARLY.with_borrow_mut(|buffer| buffer.0 = Some((done.clone(), "early")));
        let _attached = context.attach();
        throughline::in_span("work", || {});
        LATE.with_borrow_mut(|buffer| buffer.0 = Some((done, "late")));
    });
    thread.join().expect("no panic");
    let mut names: Vec<_> = flushed.iter().collect();
    names.sort_unstable();
    assert_eq!(names, ["early", "early", "late", "late"]);
    assert_eq!(capture.open(), 0);
}

#[test]
fn suppressed_telemetry_stays_suppressed_in_what_it_starts() {
    let capture = Capture::new();
    capture.run(|| {
        let _suppressed = opentelemetry::Context::enter_telemetry_suppressed_scope();
        throughline::in_span("export", || {});
        throughline::spawn_thread(|| throughline::in_span("on a thread", || {})).join().expect("no panic");
    });
    assert!(capture.spans().is_empty());
}
