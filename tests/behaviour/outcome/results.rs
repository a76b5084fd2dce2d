//! Returned errors and values.

use super::*;

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
fn an_error_returned_by_a_question_mark_is_recorded() {
    #[traced]
    fn parse(text: &str) -> Result<u32, Box<dyn std::error::Error>> {
        let number: u32 = text.parse()?;
        Ok(number)
    }
    let span = one(|| drop(parse("x")));
    assert_failed(&span, "invalid digit found in string", "alloc::boxed::Box<dyn core::error::Error>");
}

#[test]
fn an_error_without_the_error_trait_is_recorded() {
    #[traced]
    fn fails() -> anyhow::Result<()> {
        anyhow::bail!("no route")
    }
    assert_failed(&one(|| drop(fails())), "no route", "anyhow::Error");
}

#[test]
fn debug_is_not_used_in_place_of_display() {
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

/// The value is returned, whatever its formatters do.
#[test]
fn a_formatter_that_panics_does_not_affect_the_caller() {
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
    let broken = "behaviour::outcome::results::a_formatter_that_panics_does_not_affect_the_caller::Broken";
    assert_failed(&one(|| assert!(shown() == Err(Broken))), "half <panicked while formatting>", broken);
    assert_failed(&one(|| assert!(debugged() == Err(Broken))), "<panicked while formatting>", broken);
    let span = one(|| assert!(returned() == Broken));
    assert_eq!(span.attribute("throughline.return"), Some(&text("<panicked while formatting>")));
    assert_eq!(span.status, Status::Unset);
    let tried = || throughline::try_in_span("tried", || Err::<(), _>(Broken));
    assert_failed(&one(|| assert!(tried() == Err(Broken))), "half <panicked while formatting>", broken);
}

#[test]
fn a_conversion_that_panics_does_not_affect_the_caller() {
    #[derive(Debug, PartialEq)]
    struct Broken;
    impl throughline::TagValue for Broken {
        fn tag_value(&self) -> Option<Value> {
            panic!("in `tag_value`")
        }
    }
    #[traced(ret)]
    fn returned() -> Broken {
        Broken
    }
    #[traced(ret)]
    async fn asynchronous() -> Result<Broken, Shown> {
        Ok(Broken)
    }
    #[traced(ret)]
    #[track_caller]
    fn in_place() -> Broken {
        Broken
    }
    for span in [
        one(|| assert_eq!(returned(), Broken)),
        one(|| assert_eq!(asynchronous().now_or_never().expect("it does not wait").expect("ok"), Broken)),
        one(|| assert_eq!(in_place(), Broken)),
    ] {
        assert_eq!(span.attribute("throughline.return"), None);
        assert_eq!(span.status, Status::Unset);
    }
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
fn an_error_that_cannot_be_formatted_is_an_error() {
    #[traced]
    fn fails() -> Result<(), Neither> {
        Err(Neither)
    }
    assert_failed(&one(|| drop(fails())), "", "behaviour::outcome::Neither");
}

#[test]
fn a_generic_error_is_described_as_far_as_its_bounds_allow() {
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
    #[traced(err = debug)]
    fn cannot() -> Result<(), Neither> {
        Err(Neither)
    }
    assert_failed(&one(|| drop(fails())), "Shown", "behaviour::outcome::Shown");
    assert_failed(&one(|| drop(cannot())), "", "behaviour::outcome::Neither");
}

#[test]
fn err_off_records_only_the_type() {
    #[traced(err = off)]
    fn fails() -> Result<(), Shown> {
        Err(Shown)
    }
    assert_failed(&one(|| drop(fails())), "", "behaviour::outcome::Shown");
}

#[test]
fn a_long_error_is_truncated() {
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
