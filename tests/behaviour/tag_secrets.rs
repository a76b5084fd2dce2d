//! Hashed and masked tags, with values of every size and type.

use opentelemetry::Array;
use throughline::testing::Capture;
use throughline::{MAX_LIST_LEN, MAX_TEXT_BYTES, Value, biz_tags, traced};

fn tag(capture: &Capture, name: &str, key: &str) -> Value {
    capture.span(name).attribute(key).cloned().expect("it is tagged")
}

fn texts(value: &Value) -> Vec<String> {
    match value {
        Value::Array(Array::String(texts)) => texts.iter().map(ToString::to_string).collect(),
        other => panic!("not a list of texts: {other:?}"),
    }
}

#[test]
fn the_whole_value_is_hashed() {
    struct Delegates(String);
    impl throughline::TagValue for Delegates {
        fn tag_value(&self) -> Option<Value> {
            self.0.tag_value()
        }
    }
    #[traced]
    #[biz_tags(hash(
        text = text,
        shown = %text,
        debugged = ?text,
        list = vec![text; 2],
        own = Delegates(text.to_owned()),
        stand_in = None::<&str> else text,
        fixed = "x",
    ))]
    fn hashed(text: &str) {}

    let long = "u".repeat(MAX_TEXT_BYTES);
    let of = |last: char| {
        let capture = Capture::new();
        capture.run(|| hashed(&format!("{long}{last}")));
        capture
    };
    let (one, other, again) = (of('1'), of('2'), of('1'));
    for key in ["text", "shown", "debugged", "list", "own", "stand_in"] {
        assert_ne!(tag(&one, "hashed", key), tag(&other, "hashed", key), "{key}");
        assert_eq!(tag(&one, "hashed", key), tag(&again, "hashed", key), "{key}");
    }
    assert_eq!(tag(&one, "hashed", "text"), tag(&one, "hashed", "shown"), "one value has one hash");
    assert_eq!(tag(&one, "hashed", "text"), tag(&one, "hashed", "own"));
    assert_eq!(tag(&one, "hashed", "fixed"), tag(&other, "hashed", "fixed"));
}

#[test]
fn the_elements_of_a_list_are_hashed() {
    #[traced]
    #[biz_tags(hash(users = users, no = 7, nos = vec![7_u64; 1000]))]
    fn hashed(users: &[&str]) {}
    let capture = Capture::new();
    capture.run(|| hashed(&["ada", "bob", "ada"]));
    let users = texts(&tag(&capture, "hashed", "users"));
    assert!(users[0] == users[2] && users[0] != users[1] && users[0].len() == 32, "{users:?}");
    let numbers = texts(&tag(&capture, "hashed", "nos"));
    assert_eq!(numbers.len(), MAX_LIST_LEN);
    assert_eq!(Value::String(numbers[0].clone().into()), tag(&capture, "hashed", "no"));
}

#[test]
fn a_mask_shows_the_end_of_a_long_value() {
    #[traced]
    #[biz_tags(mask(phone, pin = 12_345, huge = %huge, list = vec![phone, "12345"], debugged = ?phone))]
    fn masked(phone: &str, huge: String) {
        let _ = huge;
    }
    let capture = Capture::new();
    capture.run(|| masked("13800138000", format!("{}middle{}9876", "a".repeat(1020), "b".repeat(5000))));
    let shown = |key| tag(&capture, "masked", key).to_string();
    assert_eq!(shown("phone"), "*******8000");
    assert_eq!(shown("pin"), "*****");
    assert_eq!(shown("debugged"), "*********000\"");
    assert_eq!(texts(&tag(&capture, "masked", "list")), ["*******8000", "*****"]);
    let huge = shown("huge");
    assert_eq!(huge, format!("{}9876", "*".repeat(MAX_TEXT_BYTES - 4)));
}

/// Only the conversion of a hashed or masked tag is unbounded.
#[test]
fn other_tags_are_truncated() {
    #[traced]
    #[biz_tags(hash(before = text), between = text, mask(after = text), last = text)]
    fn cut(text: &str) {}
    let capture = Capture::new();
    capture.run(|| cut(&"x".repeat(5000)));
    for key in ["between", "last"] {
        assert_eq!(tag(&capture, "cut", key).as_str().len(), MAX_TEXT_BYTES + '…'.len_utf8());
    }
}
