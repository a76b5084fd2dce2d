//! Types that can be tag values.

use std::borrow::Cow;
use std::cell::Cell;
use std::ffi::{OsStr, OsString};
use std::fmt::{self, Write as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::num::{NonZero, Saturating, Wrapping};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic;
use std::time::{Duration, SystemTime};

use opentelemetry::{Array, SpanId, StringValue, TraceId, Value};

use crate::guard::panics::caught;
use crate::text::{ellipsize, truncate};

/// The maximum length of a text value. Longer text is truncated at a character boundary and marked with `…`.
pub const MAX_TEXT_BYTES: usize = 1024;

/// The maximum number of elements of a list value; further elements are dropped.
pub const MAX_LIST_LEN: usize = 64;

/// A type that can be the value of a tag, that is, of a span attribute.
///
/// | type | value |
/// |---|---|
/// | integers, `NonZero`, `Wrapping`, `Saturating`, atomics | an integer; a string if outside the range of `i64` |
/// | `f32`, `f64`, `bool` | a double, a Boolean |
/// | `str`, `char`, `Path`, `OsStr`, and their owned forms | a string; invalid Unicode is replaced |
/// | `IpAddr`, `SocketAddr`, and their v4 and v6 variants | a string: `192.0.2.1`, `[2001:db8::1]:443` |
/// | [`Duration`] | a double in seconds, the unit of OpenTelemetry's conventions; name the key accordingly: `timeout_s` |
/// | [`SystemTime`] | a string in RFC 3339 format, in UTC: `2026-11-21T14:19:02.5Z` |
/// | slices, arrays and `Vec`s of these | a list |
/// | `[u8]`, `Bytes` (feature `http`) | a list of integers, like any slice: the first 64 bytes |
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
}

macro_rules! integers {
    (into $($small:ty)*; try $($large:ty)*) => {
        $(impl TagValue for $small {
            fn tag_value(&self) -> Option<Value> {
                Some(Value::I64(i64::from(*self)))
            }
        })*
        $(impl TagValue for $large {
            /// Values outside the range of `i64`, the type of integer attributes, become strings.
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
                let kept = &self[..self.len().min(max_list())];
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

        impl TagValue for [NonZero<$int>] {
            fn tag_value(&self) -> Option<Value> {
                self.iter().take(max_list()).map(|int| int.get()).collect::<Vec<_>>().tag_value()
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
    /// Shares the text, unless it has to be truncated.
    fn tag_value(&self) -> Option<Value> {
        Some(Value::String(match bounded(self) {
            Cow::Borrowed(_) => Self::clone(self).into(),
            Cow::Owned(cut) => cut.into(),
        }))
    }
}

impl<T: TagValue + ToOwned + ?Sized> TagValue for Cow<'_, T> {
    fn tag_value(&self) -> Option<Value> {
        self.as_ref().tag_value()
    }
}

impl TagValue for Value {
    fn tag_value(&self) -> Option<Value> {
        // Truncates without copying the whole value first.
        Some(match self {
            Self::String(text) => return text.tag_value(),
            Self::Array(Array::String(texts)) => list_of_texts(texts.iter().map(StringValue::as_str)),
            Self::Array(Array::I64(ints)) => return ints.tag_value(),
            Self::Array(Array::F64(floats)) => return floats.tag_value(),
            Self::Array(Array::Bool(bools)) => return bools.tag_value(),
            other => other.clone(),
        })
    }
}

impl TagValue for StringValue {
    fn tag_value(&self) -> Option<Value> {
        self.as_str().tag_value()
    }
}

impl TagValue for Duration {
    /// In seconds.
    fn tag_value(&self) -> Option<Value> {
        Some(Value::F64(self.as_secs_f64()))
    }
}

impl TagValue for [Duration] {
    /// In seconds.
    fn tag_value(&self) -> Option<Value> {
        Some(Value::Array(Array::F64(self.iter().take(max_list()).map(Duration::as_secs_f64).collect())))
    }
}

impl TagValue for SystemTime {
    /// A string in RFC 3339 format, in UTC.
    fn tag_value(&self) -> Option<Value> {
        let (days, in_day) = match self.duration_since(Self::UNIX_EPOCH) {
            Ok(since) => {
                (i64::try_from(since.as_secs() / DAY).ok()?, Duration::new(since.as_secs() % DAY, since.subsec_nanos()))
            }
            Err(before) => {
                let before = before.duration();
                let days = before.as_secs().div_ceil(DAY)
                    + u64::from(before.subsec_nanos() > 0 && before.as_secs() % DAY == 0);
                (-i64::try_from(days).ok()?, Duration::from_secs(days.checked_mul(DAY)?).checked_sub(before)?)
            }
        };
        let (year, month, day) = date(days)?;
        let seconds = in_day.as_secs();
        let mut text =
            format!("{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60);
        if in_day.subsec_nanos() > 0 {
            let fraction = format!(".{:09}", in_day.subsec_nanos());
            text.push_str(fraction.trim_end_matches('0'));
        }
        text.push('Z');
        Some(Value::String(text.into()))
    }
}

/// Seconds in a day.
const DAY: u64 = 24 * 60 * 60;

/// Year, month and day of the proleptic Gregorian calendar, by days since 1970-01-01.
fn date(days: i64) -> Option<(i64, i64, i64)> {
    // Days since 0000-03-01, so that a leap day is the last of its year; 146,097 days are 400 years.
    let days = days.checked_add(719_468)?;
    let (era, of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    Some((era * 400 + year_of_era + i64::from(month <= 2), month, day))
}

macro_rules! shown {
    ($($of:ty)*) => {$(
        impl TagValue for $of {
            fn tag_value(&self) -> Option<Value> {
                Some(display(self))
            }
        }

        impl TagValue for [$of] {
            fn tag_value(&self) -> Option<Value> {
                Some(list_of_texts(self.iter().map(|one| text(format_args!("{one}")))))
            }
        }
    )*};
}

shown!(char IpAddr Ipv4Addr Ipv6Addr SocketAddr SocketAddrV4 SocketAddrV6 TraceId SpanId);

impl TagValue for fmt::Arguments<'_> {
    fn tag_value(&self) -> Option<Value> {
        Some(display(self))
    }
}

macro_rules! system_texts {
    ($($of:ty)*) => {$(
        impl TagValue for $of {
            fn tag_value(&self) -> Option<Value> {
                self.as_os_str().to_string_lossy().as_ref().tag_value()
            }
        }
    )*};
}

system_texts!(Path PathBuf OsString);

impl TagValue for OsStr {
    fn tag_value(&self) -> Option<Value> {
        self.to_string_lossy().as_ref().tag_value()
    }
}

macro_rules! system_text_lists {
    ($($of:ty)*) => {$(
        impl TagValue for [$of] {
            fn tag_value(&self) -> Option<Value> {
                Some(list_of_texts(self.iter().map(|one| AsRef::<OsStr>::as_ref(one).to_string_lossy())))
            }
        }
    )*};
}

system_text_lists!(PathBuf &Path OsString &OsStr);

macro_rules! wrapped {
    ($($wrapper:ident)*) => {$(
        impl<T: TagValue> TagValue for $wrapper<T> {
            fn tag_value(&self) -> Option<Value> {
                self.0.tag_value()
            }
        }
    )*};
}

wrapped!(Wrapping Saturating);

macro_rules! atomics {
    ($($size:literal $($atomic:ident)*;)*) => {$($(
        #[cfg(target_has_atomic = $size)]
        impl TagValue for atomic::$atomic {
            fn tag_value(&self) -> Option<Value> {
                self.load(atomic::Ordering::Relaxed).tag_value()
            }
        }
    )*)*};
}

atomics! {
    "8" AtomicBool AtomicI8 AtomicU8;
    "16" AtomicI16 AtomicU16;
    "32" AtomicI32 AtomicU32;
    "64" AtomicI64 AtomicU64;
    "ptr" AtomicIsize AtomicUsize;
}

#[cfg(feature = "bytes")]
impl TagValue for bytes::Bytes {
    fn tag_value(&self) -> Option<Value> {
        self.as_ref().tag_value()
    }
}

#[cfg(feature = "bytes")]
impl TagValue for bytes::BytesMut {
    fn tag_value(&self) -> Option<Value> {
        self.as_ref().tag_value()
    }
}

impl TagValue for [bool] {
    fn tag_value(&self) -> Option<Value> {
        Some(Value::Array(Array::Bool(self.iter().copied().take(max_list()).collect())))
    }
}

impl TagValue for [f64] {
    fn tag_value(&self) -> Option<Value> {
        Some(Value::Array(Array::F64(self.iter().copied().take(max_list()).collect())))
    }
}

impl TagValue for [f32] {
    fn tag_value(&self) -> Option<Value> {
        Some(Value::Array(Array::F64(self.iter().copied().map(f64::from).take(max_list()).collect())))
    }
}

macro_rules! text_lists {
    ($($text:ty)*) => {$(
        impl TagValue for [$text] {
            fn tag_value(&self) -> Option<Value> {
                Some(list_of_texts(self.iter()))
            }
        }
    )*};
}

text_lists!(&str String &String Box<str> Rc<str> Arc<str> Cow<'_, str>);

fn list_of_texts(texts: impl Iterator<Item: AsRef<str>>) -> Value {
    let texts = texts.take(max_list()).map(|text| StringValue::from(bounded(text.as_ref()).into_owned()));
    Value::Array(Array::String(texts.collect()))
}

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

pointers!(
    &T,
    &mut T,
    Box<T>,
    Rc<T>,
    std::cell::Ref<'_, T>,
    std::cell::RefMut<'_, T>,
    std::sync::MutexGuard<'_, T>,
    std::sync::RwLockReadGuard<'_, T>,
    std::sync::RwLockWriteGuard<'_, T>
);

impl<T: TagValue> TagValue for Arc<T> {
    fn tag_value(&self) -> Option<Value> {
        (**self).tag_value()
    }
}

impl<T> TagValue for Arc<[T]>
where
    [T]: TagValue,
{
    fn tag_value(&self) -> Option<Value> {
        (**self).tag_value()
    }
}

impl TagValue for Arc<Path> {
    fn tag_value(&self) -> Option<Value> {
        (**self).tag_value()
    }
}

/// A value that is recorded through `Display`. Created by [`display`](crate::display()).
#[derive(Debug, Clone, Copy)]
pub struct DisplayValue<T>(T);

/// A value that is recorded through `Debug`. Created by [`debug`](crate::debug()).
#[derive(Debug, Clone, Copy)]
pub struct DebugValue<T>(T);

impl<T: fmt::Display> DisplayValue<T> {
    pub(crate) fn new(value: T) -> Self {
        Self(value)
    }
}

impl<T: fmt::Debug> DebugValue<T> {
    pub(crate) fn new(value: T) -> Self {
        Self(value)
    }
}

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
            let left = self.max.saturating_sub(self.text.len());
            if piece.len() <= left {
                self.text.push_str(piece);
                return Ok(());
            }
            self.text.push_str(truncate(piece, left));
            self.text.push('…');
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

/// Truncates the value if it exceeds the limits. For values that were not created by the conversions here.
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
fn max_list() -> usize {
    if WHOLE.get() { usize::MAX } else { MAX_LIST_LEN }
}

#[inline]
pub(crate) fn bounded(text: &str) -> Cow<'_, str> {
    if WHOLE.get() { Cow::Borrowed(text) } else { ellipsize(text, MAX_TEXT_BYTES) }
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
