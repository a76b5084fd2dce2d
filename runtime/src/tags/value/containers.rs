//! Types that are recorded as their contents: pointers, guards, options and collections.

use std::borrow::Cow;
use std::cell::{Ref, RefMut};
use std::ffi::{OsStr, OsString};
use std::num::{Saturating, Wrapping};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::{Arc, MutexGuard, RwLockReadGuard, RwLockWriteGuard, atomic};

use opentelemetry::Value;

#[cfg(feature = "sdk")]
use super::Scalar;
use super::{Optional, TagValue};

/// Implements [`TagValue`] for types that dereference to one, or can be coerced to one.
macro_rules! pointers {
    ($([$($generics:tt)*] $pointer:ty => $target:ty $(where $bound:ty)?;)*) => {$(
        impl<$($generics)*> TagValue for $pointer
        $(where $bound: TagValue)?
        {
            fn tag_value(&self) -> Option<Value> {
                <$target as TagValue>::tag_value(self)
            }

            #[cfg(feature = "sdk")]
            fn __scalar(&self) -> Option<Scalar<'_>> {
                <$target as TagValue>::__scalar(self)
            }
        }
    )*};
}

pointers! {
    [T: TagValue + ?Sized] &T => T;
    [T: TagValue + ?Sized] &mut T => T;
    [T: TagValue + ?Sized] Box<T> => T;
    [T: TagValue + ?Sized] Rc<T> => T;
    [T: TagValue + ?Sized] Ref<'_, T> => T;
    [T: TagValue + ?Sized] RefMut<'_, T> => T;
    [T: TagValue + ?Sized] MutexGuard<'_, T> => T;
    [T: TagValue + ?Sized] RwLockReadGuard<'_, T> => T;
    [T: TagValue + ?Sized] RwLockWriteGuard<'_, T> => T;
    [T: TagValue + ToOwned + ?Sized] Cow<'_, T> => T;
    [T: TagValue] Arc<T> => T;
    [T] Arc<[T]> => [T] where [T];
    [T] Vec<T> => [T] where [T];
    [T, const N: usize] [T; N] => [T] where [T];
    [] Arc<Path> => Path;
    [] String => str;
    [] PathBuf => Path;
    [] OsString => OsStr;
}

impl<T: TagValue> TagValue for Option<T> {
    fn tag_value(&self) -> Option<Value> {
        self.as_ref()?.tag_value()
    }

    #[cfg(feature = "sdk")]
    fn __scalar(&self) -> Option<Scalar<'_>> {
        self.as_ref()?.__scalar()
    }
}

impl<T: TagValue> Optional for Option<T> {}
impl Optional for dyn TagValue + '_ {}

macro_rules! optional {
    ($($pointer:ty),*) => {
        $(impl<T: Optional + ?Sized> Optional for $pointer where Self: TagValue {})*
    };
}

optional!(&T, &mut T, Box<T>, Rc<T>, Arc<T>, Ref<'_, T>, RefMut<'_, T>, MutexGuard<'_, T>);
optional!(RwLockReadGuard<'_, T>, RwLockWriteGuard<'_, T>);

impl<T: Optional + ToOwned + ?Sized> Optional for Cow<'_, T> {}

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
