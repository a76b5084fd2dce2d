//! Conversion of types to tag values.

use std::borrow::Cow;
use std::cell::RefCell;
use std::ffi::{OsStr, OsString};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::num::{NonZero, Saturating, Wrapping};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::sync::{Arc, Mutex, RwLock};
use std::time::{Duration, SystemTime};

use opentelemetry::Array;
use throughline::testing::Capture;
use throughline::{MAX_LIST_LEN, MAX_TEXT_BYTES, TagValue, Value, traced};

fn shown(value: &(impl TagValue + ?Sized)) -> String {
    match value.tag_value() {
        Some(Value::String(text)) => text.to_string(),
        other => panic!("no text: {other:?}"),
    }
}

fn of(value: &(impl TagValue + ?Sized)) -> Value {
    value.tag_value().expect("there is a value")
}

#[test]
fn addresses_are_text() {
    let address: SocketAddr = "192.0.2.1:80".parse().expect("an address");
    let sixth: SocketAddr = "[2001:db8::1]:443".parse().expect("an address");
    assert_eq!(shown(&address), "192.0.2.1:80");
    assert_eq!(shown(&sixth), "[2001:db8::1]:443");
    assert_eq!(shown(&address.ip()), "192.0.2.1");
    assert_eq!(shown(&Ipv4Addr::LOCALHOST), "127.0.0.1");
    assert_eq!(shown(&Ipv6Addr::LOCALHOST), "::1");
    let (SocketAddr::V4(fourth), SocketAddr::V6(sixth)) = (address, sixth) else { unreachable!("as written") };
    assert_eq!(shown(&fourth), "192.0.2.1:80");
    assert_eq!(shown(&Some(sixth)), "[2001:db8::1]:443");
    assert_eq!(of(&vec![IpAddr::V4(Ipv4Addr::LOCALHOST)]), Value::Array(Array::String(vec!["127.0.0.1".into()])));
}

#[test]
fn times_have_a_unit() {
    assert_eq!(of(&Duration::from_millis(1500)), Value::F64(1.5));
    assert_eq!(of(&[Duration::from_secs(2); 2]), Value::Array(Array::F64(vec![2.0, 2.0])));
    let at = |seconds, nanos| shown(&(SystemTime::UNIX_EPOCH + Duration::new(seconds, nanos)));
    assert_eq!(at(0, 0), "1970-01-01T00:00:00Z");
    assert_eq!(at(951_782_400, 0), "2000-02-29T00:00:00Z");
    assert_eq!(at(1_709_251_199, 999_999_999), "2024-02-29T23:59:59.999999999Z");
    assert_eq!(at(1_795_270_742, 500_000_000), "2026-11-21T14:19:02.5Z");
    let before = |seconds, nanos| shown(&(SystemTime::UNIX_EPOCH - Duration::new(seconds, nanos)));
    assert_eq!(before(1, 0), "1969-12-31T23:59:59Z");
    assert_eq!(before(86_400, 0), "1969-12-31T00:00:00Z");
    assert_eq!(before(86_400, 500_000_000), "1969-12-30T23:59:59.5Z");
    assert_eq!(before(0, 1), "1969-12-31T23:59:59.999999999Z");
}

#[test]
fn paths_are_text() {
    assert_eq!(shown(Path::new("/a/b")), "/a/b");
    assert_eq!(shown(&PathBuf::from("/a/b")), "/a/b");
    assert_eq!(shown(&Arc::<Path>::from(Path::new("/a"))), "/a");
    assert_eq!(shown(&Cow::Borrowed(Path::new("/a"))), "/a");
    assert_eq!(shown(OsStr::new("a")), "a");
    assert_eq!(shown(&OsString::from("a")), "a");
    assert_eq!(of(&vec![PathBuf::from("/a")]), Value::Array(Array::String(vec!["/a".into()])));
}

#[test]
fn containers_are_recorded_as_their_contents() {
    assert_eq!(shown(&Arc::<str>::from("a")), "a");
    assert_eq!(shown(&Rc::<str>::from("a")), "a");
    assert_eq!(shown(&Box::<str>::from("a")), "a");
    assert_eq!(shown(&Cow::Borrowed("a")), "a");
    assert_eq!(shown(&'a'), "a");
    assert_eq!(shown(&format_args!("{}-{}", 1, 2)), "1-2");
    assert_eq!(of(&Box::new(7_u8)), Value::I64(7));
    assert_eq!(of(&Arc::<[u8]>::from([7])), Value::Array(Array::I64(vec![7])));
    assert_eq!(of(&NonZero::new(7_u8)), Value::I64(7));
    assert_eq!(of(&(Wrapping(7_u8), Saturating(7_u8)).0), Value::I64(7));
    assert_eq!(of(&Saturating(7_u8)), Value::I64(7));
    assert_eq!(of(&AtomicU64::new(7)), Value::I64(7));
    assert_eq!(of(&AtomicBool::new(true)), Value::Bool(true));
    assert_eq!(of(&RefCell::new(7_u8).borrow()), Value::I64(7));
    assert_eq!(of(&Mutex::new(7_u8).lock().expect("not poisoned")), Value::I64(7));
    assert_eq!(of(&RwLock::new(7_u8).read().expect("not poisoned")), Value::I64(7));
    assert_eq!(of(&bytes::Bytes::from_static(b"ab")), Value::Array(Array::I64(vec![97, 98])));
    assert_eq!(of(&bytes::BytesMut::from(&b"ab"[..])), Value::Array(Array::I64(vec![97, 98])));
    let many = of(&bytes::Bytes::from(vec![0; 1000]));
    assert!(matches!(many, Value::Array(Array::I64(list)) if list.len() == MAX_LIST_LEN));
}

#[test]
fn a_value_of_opentelemetry_is_bounded() {
    let text = of(&Value::String("é".repeat(10_000).into()));
    assert_eq!(text.as_str().len(), MAX_TEXT_BYTES + '…'.len_utf8());
    let Value::Array(Array::String(texts)) = of(&Value::Array(Array::String(vec!["x".repeat(5000).into(); 1000])))
    else {
        panic!("not a list of texts")
    };
    assert_eq!(texts.len(), MAX_LIST_LEN);
    assert!(texts.iter().all(|text| text.as_str().len() == MAX_TEXT_BYTES + '…'.len_utf8()));
    for list in [Array::I64(vec![1; 1000]), Array::F64(vec![1.0; 1000]), Array::Bool(vec![true; 1000])] {
        let length = match of(&Value::Array(list)) {
            Value::Array(Array::I64(list)) => list.len(),
            Value::Array(Array::F64(list)) => list.len(),
            Value::Array(Array::Bool(list)) => list.len(),
            other => panic!("not a list: {other}"),
        };
        assert_eq!(length, MAX_LIST_LEN);
    }
    assert_eq!(of(&Value::String("a".into())), Value::String("a".into()));
}

/// A type of the application may create its value itself, bypassing every conversion.
#[test]
fn a_value_that_bypasses_conversions_is_bounded() {
    struct Huge;
    impl TagValue for Huge {
        fn tag_value(&self) -> Option<Value> {
            Some(Value::String("x".repeat(1_000_000).into()))
        }
    }
    #[traced(tags(tag = Huge), ret)]
    fn annotated() -> Huge {
        throughline::record("recorded", Huge);
        Huge
    }
    let capture = Capture::new();
    capture.run(annotated);
    capture.run(|| throughline::span("built").tag("tag", Huge).biz_tag("scoped", Huge).run(|| {}));
    for (span, keys) in
        [("annotated", ["tag", "recorded", "throughline.return"].as_slice()), ("built", &["tag", "scoped"])]
    {
        for key in keys {
            let length = capture.span(span).attribute(key).map(|value| value.as_str().len());
            assert_eq!(length, Some(MAX_TEXT_BYTES + '…'.len_utf8()), "{key}");
        }
    }
}
