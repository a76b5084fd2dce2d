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

use super::bounds::{MAX_TEXT_BYTES, bounded, display, list_of_texts, max_list, text};
use super::{Scalar, TagValue};

macro_rules! integers {
    (into $($small:ty)*; try $($large:ty)*) => {
        $(impl TagValue for $small {
            fn tag_value(&self) -> Option<Value> {
                Some(Value::I64(i64::from(*self)))
            }

            fn __scalar(&self) -> Option<Scalar<'_>> {
                Some(Scalar::I64(i64::from(*self)))
            }
        })*
        $(impl TagValue for $large {
            /// Values outside the range of `i64`, the type of integer attributes, become strings.
            fn tag_value(&self) -> Option<Value> {
                Some(i64::try_from(*self).map_or_else(|_| display(self), Value::I64))
            }

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

    fn __scalar(&self) -> Option<Scalar<'_>> {
        Some(Scalar::Bool(*self))
    }
}

impl TagValue for f64 {
    fn tag_value(&self) -> Option<Value> {
        Some(Value::F64(*self))
    }

    fn __scalar(&self) -> Option<Scalar<'_>> {
        Some(Scalar::F64(*self))
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

    #[inline]
    fn __scalar(&self) -> Option<Scalar<'_>> {
        (self.len() <= MAX_TEXT_BYTES).then_some(Scalar::Text(self))
    }
}

impl TagValue for String {
    fn tag_value(&self) -> Option<Value> {
        self.as_str().tag_value()
    }

    fn __scalar(&self) -> Option<Scalar<'_>> {
        self.as_str().__scalar()
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
