//! Types that can be tag values.

mod bounds;
#[cfg(feature = "bytes")]
mod buffers;
mod containers;
mod scalars;

use std::fmt;

use opentelemetry::Value;

#[cfg(feature = "log")]
pub(crate) use bounds::text;
pub use bounds::{MAX_LIST_LEN, MAX_TEXT_BYTES};
pub(crate) use bounds::{bound, bounded, debug, display, text_within, whole, within_bounds};

/// A type that can be the value of a tag, that is, of a span attribute.
///
/// | type | value |
/// |---|---|
/// | integers, `NonZero`, `Wrapping`, `Saturating`, atomics | an integer; a string if outside the range of `i64` |
/// | `f32`, `f64`, `bool` | a double, a Boolean |
/// | `str`, `char`, `Path`, `OsStr`, and their owned forms | a string; invalid Unicode is replaced |
/// | `IpAddr`, `SocketAddr`, and their v4 and v6 variants | a string: `192.0.2.1`, `[2001:db8::1]:443` |
/// | [`Duration`](std::time::Duration) | a double in seconds, the unit of OpenTelemetry's conventions; name the key accordingly: `timeout_s` |
/// | [`SystemTime`](std::time::SystemTime) | a string in RFC 3339 format, in UTC: `2026-11-21T14:19:02.5Z` |
/// | slices, arrays and `Vec`s of these | a list |
/// | `[u8]`, `Bytes` (feature `bytes`) | a list of integers, like any slice: the first 64 bytes |
/// | `Option` | the value, or nothing for `None` |
/// | references, `Box`, `Rc`, `Arc`, `Cow`, guards of locks and cells | the value they point to |
/// | [`Value`] | unchanged |
///
/// Strings are truncated to [`MAX_TEXT_BYTES`] and lists to [`MAX_LIST_LEN`], whatever the type.
///
/// For other types, such as those of `uuid`, `chrono`, `jiff`, `url` and `rust_decimal`, use their `Display` or
/// `Debug` implementation: `%value` and `?value` in an attribute, [`display`](crate::display()) and
/// [`debug`](crate::debug()) elsewhere.
///
/// Implement the trait to define how your own type is recorded:
///
/// ```
/// use throughline::{TagValue, Value};
///
/// struct OrderNo(u64);
///
/// impl TagValue for OrderNo {
///     fn tag_value(&self) -> Option<Value> {
///         self.0.tag_value()
///     }
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be the value of a tag",
    label = "no conversion to an attribute value",
    note = "put `%` before the expression to record it through `Display`, or `?` through `Debug`: `name = %expression`",
    note = "outside of an attribute, write `throughline::display(&expression)` or `throughline::debug(&expression)`",
    note = "or implement `throughline::TagValue` for the type; for a returned value write `ret = debug`"
)]
pub trait TagValue {
    /// Returns the attribute value, or `None` if there is nothing to record.
    fn tag_value(&self) -> Option<Value>;

    /// Returns the value if it can be recorded without a copy.
    #[cfg(feature = "sdk")]
    #[doc(hidden)]
    fn __scalar(&self) -> Option<Scalar<'_>> {
        None
    }
}

/// A type that may have no value, so that a tag of it can have a default: `tenant_id = tenant else "unknown"`.
///
/// Implement it for your own type if its [`tag_value`](TagValue::tag_value) may return `None`.
#[diagnostic::on_unimplemented(
    message = "`else` is a default for `None`, and `{Self}` is not an `Option`",
    label = "not an `Option`",
    note = "remove `else` and the value behind it, or implement `throughline::Optional` if `TagValue` of the type may return `None`"
)]
pub trait Optional: TagValue {}

/// A value that is borrowed from an argument.
#[cfg(feature = "sdk")]
#[doc(hidden)]
#[derive(Debug, Clone, Copy)]
pub enum Scalar<'a> {
    Text(&'a str),
    Bool(bool),
    I64(i64),
    F64(f64),
}

/// A value that is recorded through `Display`. Created by [`display`](crate::display()).
#[derive(Debug, Clone, Copy)]
pub struct DisplayValue<T>(pub(crate) T);

/// A value that is recorded through `Debug`. Created by [`debug`](crate::debug()).
#[derive(Debug, Clone, Copy)]
pub struct DebugValue<T>(pub(crate) T);

impl<T: fmt::Display> TagValue for DisplayValue<T> {
    fn tag_value(&self) -> Option<Value> {
        Some(display(&self.0))
    }
}

impl<T: fmt::Debug> TagValue for DebugValue<T> {
    fn tag_value(&self) -> Option<Value> {
        Some(debug(&self.0))
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZero;
    use std::sync::Arc;

    use opentelemetry::{Array, StringValue};

    use super::*;

    fn of(value: &(impl TagValue + ?Sized)) -> Option<Value> {
        value.tag_value()
    }

    #[test]
    fn integers_stay_integers() {
        assert_eq!(of(&7u8), Some(Value::I64(7)));
        assert_eq!(of(&-7i64), Some(Value::I64(-7)));
        assert_eq!(of(&u64::MAX), Some(Value::String("18446744073709551615".into())));
        assert_eq!(of(&NonZero::new(3u32)), Some(Value::I64(3)));
    }

    #[test]
    fn none_is_omitted_at_any_depth() {
        assert_eq!(of(&None::<u8>), None);
        assert_eq!(of(&Some(None::<&str>)), None);
        assert_eq!(of(&Some(&Arc::new(true))), Some(Value::Bool(true)));
    }

    #[test]
    fn slices_become_arrays() {
        assert_eq!(of(&vec![1u32, 2]), Some(Value::Array(Array::I64(vec![1, 2]))));
        assert_eq!(of(&["a", "b"]), Some(Value::Array(Array::String(vec!["a".into(), "b".into()]))));
        let Some(Value::Array(Array::F64(floats))) = of(&vec![0.5f64; 1000]) else { panic!("not an array of floats") };
        assert_eq!(floats.len(), MAX_LIST_LEN);
        let mixed = of(&[1, u64::MAX]);
        assert_eq!(mixed, Some(Value::Array(Array::String(vec!["1".into(), u64::MAX.to_string().into()]))));
    }

    #[test]
    fn text_is_truncated_at_a_character_boundary() {
        let long = "é".repeat(MAX_TEXT_BYTES);
        for value in [of(long.as_str()), of(&Arc::<str>::from(long.as_str())), Some(display(&long))] {
            let Some(Value::String(text)) = value else { panic!("not text") };
            assert_eq!(text.as_str().len(), MAX_TEXT_BYTES + '…'.len_utf8());
            assert!(text.as_str().ends_with("é…"));
        }
    }

    #[test]
    fn attribute_values_that_exceed_a_limit_are_truncated() {
        let text = |length| StringValue::from("x".repeat(length));
        let longest = MAX_TEXT_BYTES + '…'.len_utf8();
        let cut = StringValue::from(format!("{}…", "x".repeat(MAX_TEXT_BYTES)));
        assert_eq!(within_bounds(text(longest).into()), text(longest).into());
        assert_eq!(within_bounds(text(longest + 1).into()), cut.clone().into());
        let texts = |texts| Value::Array(Array::String(texts));
        assert_eq!(within_bounds(texts(vec![text(longest)])), texts(vec![text(longest)]));
        assert_eq!(within_bounds(texts(vec![text(1), text(longest + 1)])), texts(vec![text(1), cut]));
        let lists: [fn(usize) -> Array; 4] = [
            |length| Array::String(vec!["x".into(); length]),
            |length| Array::I64(vec![1; length]),
            |length| Array::F64(vec![0.5; length]),
            |length| Array::Bool(vec![true; length]),
        ];
        for list in lists {
            let full = Value::Array(list(MAX_LIST_LEN));
            assert_eq!(within_bounds(full.clone()), full);
            assert_eq!(within_bounds(Value::Array(list(MAX_LIST_LEN + 1))), full);
        }
    }

    #[test]
    fn shared_text_is_not_copied() {
        let shared: Arc<str> = "acme".into();
        let _value = of(&shared);
        assert_eq!(Arc::strong_count(&shared), 2);
    }

    #[test]
    fn a_formatter_that_ignores_errors_is_limited() {
        struct Careless;
        impl fmt::Display for Careless {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                let _ = f.write_str("x");
                for _ in 0..10_000 {
                    let _ = f.write_str("🦀");
                }
                Ok(())
            }
        }
        let kept = format!("x{}…", "🦀".repeat((MAX_TEXT_BYTES - 1) / 4));
        assert_eq!(display(&Careless), Value::String(kept.into()));
    }

    #[test]
    fn the_output_of_a_formatter_that_fails_is_kept() {
        struct Broken;
        impl fmt::Display for Broken {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("half")?;
                Err(fmt::Error)
            }
        }
        assert_eq!(display(&Broken), Value::String("half".into()));
    }
}
