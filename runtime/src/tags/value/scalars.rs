//! Numbers, text, addresses and times, and lists of them.

use std::borrow::Cow;
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use opentelemetry::{Array, SpanId, StringValue, TraceId, Value};

#[cfg(feature = "sdk")]
use super::Scalar;
use super::TagValue;
#[cfg(feature = "sdk")]
use super::bounds::MAX_TEXT_BYTES;
use super::bounds::{bounded, display, list_of_texts, max_list, text};

macro_rules! integers {
    (into $($small:ty)*; try $($large:ty)*) => {
        $(impl TagValue for $small {
            fn tag_value(&self) -> Option<Value> {
                Some(Value::I64(i64::from(*self)))
            }

            #[cfg(feature = "sdk")]
            fn __scalar(&self) -> Option<Scalar<'_>> {
                Some(Scalar::I64(i64::from(*self)))
            }
        })*
        $(impl TagValue for $large {
            /// Values outside the range of `i64`, the type of integer attributes, become strings.
            fn tag_value(&self) -> Option<Value> {
                Some(i64::try_from(*self).map_or_else(|_| display(self), Value::I64))
            }

            #[cfg(feature = "sdk")]
            fn __scalar(&self) -> Option<Scalar<'_>> {
                i64::try_from(*self).ok().map(Scalar::I64)
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

    #[cfg(feature = "sdk")]
    fn __scalar(&self) -> Option<Scalar<'_>> {
        Some(Scalar::Bool(*self))
    }
}

impl TagValue for f64 {
    fn tag_value(&self) -> Option<Value> {
        Some(Value::F64(*self))
    }

    #[cfg(feature = "sdk")]
    fn __scalar(&self) -> Option<Scalar<'_>> {
        Some(Scalar::F64(*self))
    }
}

impl TagValue for str {
    #[inline]
    fn tag_value(&self) -> Option<Value> {
        Some(Value::String(bounded(self).into_owned().into()))
    }

    #[cfg(feature = "sdk")]
    #[inline]
    fn __scalar(&self) -> Option<Scalar<'_>> {
        (self.len() <= MAX_TEXT_BYTES).then_some(Scalar::Text(self))
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

    #[cfg(feature = "sdk")]
    fn __scalar(&self) -> Option<Scalar<'_>> {
        (**self).__scalar()
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

    #[cfg(feature = "sdk")]
    fn __scalar(&self) -> Option<Scalar<'_>> {
        self.as_str().__scalar()
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
        let nanos = match self.duration_since(Self::UNIX_EPOCH) {
            Ok(after) => i128::try_from(after.as_nanos()).ok()?,
            Err(before) => -i128::try_from(before.duration().as_nanos()).ok()?,
        };
        let (seconds, nanos) = (nanos.div_euclid(NANOS), nanos.rem_euclid(NANOS));
        let (year, month, day) = date(i64::try_from(seconds.div_euclid(DAY)).ok()?)?;
        let (hour, minute, second) =
            (seconds.rem_euclid(DAY) / 3600, seconds.rem_euclid(3600) / 60, seconds.rem_euclid(60));
        let mut text = format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}");
        if nanos > 0 {
            let fraction = format!(".{nanos:09}");
            text.push_str(fraction.trim_end_matches('0'));
        }
        text.push('Z');
        Some(Value::String(text.into()))
    }
}

/// Nanoseconds in a second.
const NANOS: i128 = 1_000_000_000;

/// Seconds in a day.
const DAY: i128 = 24 * 60 * 60;

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

/// Implements [`TagValue`] for types that always have a value.
macro_rules! values {
    ($($($of:ty),+ => |$it:ident| $value:expr;)*) => {$($(
        impl TagValue for $of {
            fn tag_value(&self) -> Option<Value> {
                let $it = self;
                Some($value)
            }
        }
    )+)*};
}

values! {
    f32 => |float| Value::F64(f64::from(*float));
    [f32] => |list| Value::Array(Array::F64(list.iter().copied().map(f64::from).take(max_list()).collect()));
    [f64] => |list| Value::Array(Array::F64(list.iter().copied().take(max_list()).collect()));
    [bool] => |list| Value::Array(Array::Bool(list.iter().copied().take(max_list()).collect()));
    [&str], [String], [&String], [Box<str>], [Rc<str>], [Arc<str>], [Cow<'_, str>] => |list| list_of_texts(list.iter());
    OsStr, Path => |it| Value::String(bounded(&os_text(it)).into_owned().into());
    [&OsStr], [OsString], [&Path], [PathBuf] => |list| list_of_texts(list.iter().map(os_text));
    char, TraceId, SpanId, fmt::Arguments<'_> => |it| display(it);
    IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6 => |address| display(address);
    [char], [TraceId], [SpanId] => |list| list_of_displayed(list);
    [IpAddr], [Ipv4Addr], [Ipv6Addr] => |list| list_of_displayed(list);
    [SocketAddr], [SocketAddrV4], [SocketAddrV6] => |list| list_of_displayed(list);
}

/// Invalid Unicode is replaced.
fn os_text<T: AsRef<OsStr> + ?Sized>(of: &T) -> Cow<'_, str> {
    of.as_ref().to_string_lossy()
}

fn list_of_displayed<T: fmt::Display>(list: &[T]) -> Value {
    list_of_texts(list.iter().map(|one| text(format_args!("{one}"))))
}
