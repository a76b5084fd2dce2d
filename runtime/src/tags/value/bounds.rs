//! The limits of a value, and formatting within them.

use std::borrow::Cow;
use std::cell::Cell;
use std::fmt::{self, Write as _};

use opentelemetry::{Array, StringValue, Value};

use super::TagValue as _;
use crate::guard::panics::caught;
use crate::text::{ellipsize, truncate};

/// The maximum length of a text value. Longer text is truncated at a character boundary and marked with `…`.
pub const MAX_TEXT_BYTES: usize = 1024;

/// The maximum number of elements of a list value; further elements are dropped.
pub const MAX_LIST_LEN: usize = 64;

/// The value's `Display` form, bounded.
pub(crate) fn display(value: &(impl fmt::Display + ?Sized)) -> Value {
    Value::String(text(format_args!("{value}")).into())
}

/// The value's `Debug` form, bounded.
pub(crate) fn debug(value: &(impl fmt::Debug + ?Sized)) -> Value {
    Value::String(text(format_args!("{value:?}")).into())
}

/// Formats up to the limit, so that a huge value costs no more than a long one.
pub(crate) fn text(arguments: fmt::Arguments<'_>) -> String {
    text_within(max_text(), arguments)
}

/// The placeholder for the rest of a value whose formatter panicked.
const PANICKED: &str = "<panicked while formatting>";

/// Formats up to `max` bytes. Handles formatters that fail or panic.
#[inline(never)]
pub(crate) fn text_within(max: usize, arguments: fmt::Arguments<'_>) -> String {
    struct Bounded {
        text: String,
        max: usize,
    }

    impl fmt::Write for Bounded {
        fn write_str(&mut self, piece: &str) -> fmt::Result {
            let Some(left) = self.max.checked_sub(self.text.len()) else { return Err(fmt::Error) };
            if piece.len() <= left {
                self.text.push_str(piece);
                return Ok(());
            }
            self.text.push_str(truncate(piece, left));
            self.text.push('…');
            // A formatter may ignore the error and continue.
            self.max = 0;
            Err(fmt::Error)
        }
    }

    let mut out = Bounded { text: String::new(), max };
    // An error means either that the limit was reached or that the formatter failed; keep the text so far.
    if caught(|| out.write_fmt(arguments)).is_none() {
        out.text.push_str(PANICKED);
    }
    out.text
}

pub(super) fn list_of_texts(texts: impl Iterator<Item: AsRef<str>>) -> Value {
    let texts = texts.take(max_list()).map(|text| StringValue::from(bounded(text.as_ref()).into_owned()));
    Value::Array(Array::String(texts.collect()))
}

/// Truncates the value if it exceeds the limits. For values that were not created by the conversions in this module.
#[inline]
pub(crate) fn within_bounds(mut value: Value) -> Value {
    bound(&mut value);
    value
}

/// Like `within_bounds`, in place.
#[inline]
pub(crate) fn bound(value: &mut Value) {
    let fits = match &*value {
        Value::String(text) => text.as_str().len() <= MAX_TEXT_BYTES + '…'.len_utf8(),
        Value::Array(list) => fits(list),
        _ => true,
    };
    if !fits {
        cut(value);
    }
}

fn fits(list: &Array) -> bool {
    match list {
        Array::String(texts) => {
            texts.len() <= MAX_LIST_LEN
                && texts.iter().all(|text| text.as_str().len() <= MAX_TEXT_BYTES + '…'.len_utf8())
        }
        Array::I64(list) => list.len() <= MAX_LIST_LEN,
        Array::F64(list) => list.len() <= MAX_LIST_LEN,
        Array::Bool(list) => list.len() <= MAX_LIST_LEN,
        _ => true,
    }
}

#[cold]
fn cut(value: &mut Value) {
    if let Some(kept) = value.tag_value() {
        *value = kept;
    }
}

thread_local! {
    /// Whether conversions on this thread must not truncate, because the result is hashed or masked.
    static WHOLE: Cell<bool> = const { Cell::new(false) };
}

/// Runs a conversion without truncation.
pub(crate) fn whole<R>(convert: impl FnOnce() -> R) -> R {
    struct Restored(bool);
    impl Drop for Restored {
        fn drop(&mut self) {
            WHOLE.set(self.0);
        }
    }
    let _restored = Restored(WHOLE.replace(true));
    convert()
}

#[inline]
fn max_text() -> usize {
    if WHOLE.get() { usize::MAX } else { MAX_TEXT_BYTES }
}

#[inline]
pub(super) fn max_list() -> usize {
    if WHOLE.get() { usize::MAX } else { MAX_LIST_LEN }
}

#[inline]
pub(crate) fn bounded(text: &str) -> Cow<'_, str> {
    if WHOLE.get() { Cow::Borrowed(text) } else { ellipsize(text, MAX_TEXT_BYTES) }
}
