//! Types that have the value of what they contain: pointers, guards, options and collections.

use std::borrow::Cow;
use std::num::{Saturating, Wrapping};
use std::path::Path;
use std::rc::Rc;
use std::sync::{Arc, atomic};

use opentelemetry::Value;

use super::{Scalar, TagValue};

impl<T: TagValue + ToOwned + ?Sized> TagValue for Cow<'_, T> {
    fn tag_value(&self) -> Option<Value> {
        self.as_ref().tag_value()
    }

    fn __scalar(&self) -> Option<Scalar<'_>> {
        self.as_ref().__scalar()
    }
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

    fn __scalar(&self) -> Option<Scalar<'_>> {
        self.as_ref()?.__scalar()
    }
}

macro_rules! pointers {
    ($($pointer:ty),*) => {$(
        impl<T: TagValue + ?Sized> TagValue for $pointer {
            fn tag_value(&self) -> Option<Value> {
                (**self).tag_value()
            }

            fn __scalar(&self) -> Option<Scalar<'_>> {
                (**self).__scalar()
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

    fn __scalar(&self) -> Option<Scalar<'_>> {
        (**self).__scalar()
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
