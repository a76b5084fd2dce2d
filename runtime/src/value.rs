//! What may be the value of a tag.

use std::borrow::Cow;
use std::fmt::{self, Write as _};
use std::num::NonZero;
use std::rc::Rc;
use std::sync::Arc;

use opentelemetry::{Array, StringValue, Value};

/// A text value longer than this many bytes is cut at a character boundary and marked with `…`.
pub const MAX_TEXT_BYTES: usize = 1024;

/// A list value keeps at most this many elements.
pub const MAX_LIST_LEN: usize = 64;

/// A type whose values can be tags, that is, span attributes.
///
/// Integers stay integers, floats stay floats, slices of primitives become arrays, and `None` is
/// left out. Text is bounded by [`MAX_TEXT_BYTES`], lists by [`MAX_LIST_LEN`].
///
/// Implement it for a type of your own to give it a fixed form as a tag:
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
    note = "or implement `throughline::TagValue` for the type; for a returned value write `ret = debug`"
)]
pub trait TagValue {
    /// The attribute value, or `None` when there is nothing to record.
    fn tag_value(&self) -> Option<Value>;
}

macro_rules! integers {
    (into $($small:ty)*; try $($large:ty)*) => {
        $(impl TagValue for $small {
            fn tag_value(&self) -> Option<Value> {
                Some(Value::I64(i64::from(*self)))
            }
        })*
        $(impl TagValue for $large {
            /// Values beyond the range of an attribute, which is `i64`, become text.
            fn tag_value(&self) -> Option<Value> {
                Some(i64::try_from(*self).map_or_else(|_| display(self), Value::I64))
            }
        })*
        $(integers!(lists $small);)*
        $(integers!(lists $large);)*
    };
    (lists $int:ty) => {
        impl TagValue for [$int] {
            fn tag_value(&self) -> Option<Value> {
                let kept = &self[..self.len().min(MAX_LIST_LEN)];
                let exact: Result<Vec<i64>, _> = kept.iter().map(|int| i64::try_from(*int)).collect();
                Some(Value::Array(match exact {
                    Ok(ints) => Array::I64(ints),
                    Err(_) => Array::String(kept.iter().map(|int| StringValue::from(int.to_string())).collect()),
                }))
            }
        }

        impl TagValue for NonZero<$int> {
            fn tag_value(&self) -> Option<Value> {
                self.get().tag_value()
            }
        }
    };
}

integers!(into i8 i16 i32 i64 u8 u16 u32; try i128 isize u64 u128 usize);

impl TagValue for bool {
    fn tag_value(&self) -> Option<Value> {
        Some(Value::Bool(*self))
    }
}

impl TagValue for f64 {
    fn tag_value(&self) -> Option<Value> {
        Some(Value::F64(*self))
    }
}

impl TagValue for f32 {
    fn tag_value(&self) -> Option<Value> {
        Some(Value::F64(f64::from(*self)))
    }
}

impl TagValue for char {
    fn tag_value(&self) -> Option<Value> {
        Some(display(self))
    }
}

impl TagValue for str {
    #[inline]
    fn tag_value(&self) -> Option<Value> {
        Some(Value::String(bounded(self).into_owned().into()))
    }
}

impl TagValue for String {
    fn tag_value(&self) -> Option<Value> {
        self.as_str().tag_value()
    }
}

impl TagValue for Arc<str> {
    /// Shares the text, unless it has to be cut.
    fn tag_value(&self) -> Option<Value> {
        Some(Value::String(match bounded(self) {
            Cow::Borrowed(_) => Self::clone(self).into(),
            Cow::Owned(cut) => cut.into(),
        }))
    }
}

impl TagValue for Cow<'_, str> {
    fn tag_value(&self) -> Option<Value> {
        self.as_ref().tag_value()
    }
}

impl TagValue for Value {
    fn tag_value(&self) -> Option<Value> {
        Some(self.clone())
    }
}

impl TagValue for StringValue {
    fn tag_value(&self) -> Option<Value> {
        self.as_str().tag_value()
    }
}

impl TagValue for [bool] {
    fn tag_value(&self) -> Option<Value> {
        Some(Value::Array(Array::Bool(self.iter().copied().take(MAX_LIST_LEN).collect())))
    }
}

impl TagValue for [f64] {
    fn tag_value(&self) -> Option<Value> {
        Some(Value::Array(Array::F64(self.iter().copied().take(MAX_LIST_LEN).collect())))
    }
}

impl TagValue for [f32] {
    fn tag_value(&self) -> Option<Value> {
        Some(Value::Array(Array::F64(self.iter().copied().map(f64::from).take(MAX_LIST_LEN).collect())))
    }
}

macro_rules! text_lists {
    ($($text:ty)*) => {$(
        impl TagValue for [$text] {
            fn tag_value(&self) -> Option<Value> {
                let texts = self.iter().take(MAX_LIST_LEN).map(|text| StringValue::from(bounded(text).into_owned()));
                Some(Value::Array(Array::String(texts.collect())))
            }
        }
    )*};
}

text_lists!(&str String Cow<'_, str> Arc<str>);

impl<T> TagValue for Vec<T>
where
    [T]: TagValue,
{
    fn tag_value(&self) -> Option<Value> {
        self.as_slice().tag_value()
    }
}

impl<T, const N: usize> TagValue for [T; N]
where
    [T]: TagValue,
{
    fn tag_value(&self) -> Option<Value> {
        self.as_slice().tag_value()
    }
}

impl<T: TagValue> TagValue for Option<T> {
    fn tag_value(&self) -> Option<Value> {
        self.as_ref()?.tag_value()
    }
}

macro_rules! pointers {
    ($($pointer:ty),*) => {$(
        impl<T: TagValue + ?Sized> TagValue for $pointer {
            fn tag_value(&self) -> Option<Value> {
                (**self).tag_value()
            }
        }
    )*};
}

pointers!(&T, &mut T, Box<T>, Rc<T>);

impl<T: TagValue> TagValue for Arc<T> {
    fn tag_value(&self) -> Option<Value> {
        (**self).tag_value()
    }
}

/// The value's `Display` form, bounded.
pub(crate) fn display(value: &(impl fmt::Display + ?Sized)) -> Value {
    Value::String(text(format_args!("{value}")).into())
}

/// The value's `Debug` form, bounded.
pub(crate) fn debug(value: &(impl fmt::Debug + ?Sized)) -> Value {
    Value::String(text(format_args!("{value:?}")).into())
}

/// Writes until the bound is reached, so that a huge value costs no more than a long one, and
/// survives a formatter that fails.
pub(crate) fn text(arguments: fmt::Arguments<'_>) -> String {
    struct Bounded(String);

    impl fmt::Write for Bounded {
        fn write_str(&mut self, piece: &str) -> fmt::Result {
            let left = MAX_TEXT_BYTES.saturating_sub(self.0.len());
            if piece.len() <= left {
                self.0.push_str(piece);
                return Ok(());
            }
            self.0.push_str(&piece[..floor_char_boundary(piece, left)]);
            self.0.push('…');
            Err(fmt::Error)
        }
    }

    let mut out = Bounded(String::new());
    // An error is either our own stop sign or a broken formatter; what was written so far stands.
    let _ = out.write_fmt(arguments);
    out.0
}

#[inline]
fn bounded(text: &str) -> Cow<'_, str> {
    if text.len() <= MAX_TEXT_BYTES {
        Cow::Borrowed(text)
    } else {
        Cow::Owned(format!("{}…", &text[..floor_char_boundary(text, MAX_TEXT_BYTES)]))
    }
}

fn floor_char_boundary(text: &str, at: usize) -> usize {
    (0..=at.min(text.len())).rev().find(|&at| text.is_char_boundary(at)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
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
    fn none_is_left_out_at_any_depth() {
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
    fn text_is_cut_at_a_character() {
        let long = "é".repeat(MAX_TEXT_BYTES);
        for value in [of(long.as_str()), of(&Arc::<str>::from(long.as_str())), Some(display(&long))] {
            let Some(Value::String(text)) = value else { panic!("not text") };
            assert_eq!(text.as_str().len(), MAX_TEXT_BYTES + '…'.len_utf8());
            assert!(text.as_str().ends_with("é…"));
        }
    }

    #[test]
    fn shared_text_is_not_copied() {
        let shared: Arc<str> = "acme".into();
        let _value = of(&shared);
        assert_eq!(Arc::strong_count(&shared), 2);
    }

    #[test]
    fn a_broken_formatter_gives_what_it_wrote() {
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
