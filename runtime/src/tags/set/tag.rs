//! One tag: its value and modifiers.

use opentelemetry::Value;

use crate::tags::secret;
use crate::tags::set::Tags;
use crate::tags::value::{Optional, TagValue, whole};

/// The value of a tag, with its modifiers.
#[derive(Debug)]
pub struct Tag {
    pub(super) value: Option<Value>,
    whole: bool,
    pub(super) missing: bool,
    pub(super) baggage: bool,
}

impl Tag {
    /// Creates a tag. `None` means that there is no value.
    #[inline]
    pub fn new(value: Option<Value>) -> Self {
        Self { value, whole: false, missing: false, baggage: false }
    }

    /// Creates a tag from the complete value, without truncation, so that a hash or mask of it does not depend on the
    /// limits.
    pub fn whole(value: impl FnOnce() -> Option<Value>) -> Self {
        Self { value: whole(value), whole: true, missing: false, baggage: false }
    }

    /// Reports the tag as missing if it has no value.
    #[must_use]
    pub fn required(mut self) -> Self {
        self.missing = self.value.is_none();
        self
    }

    /// Sets the value to use if there is none.
    #[must_use]
    pub fn or(mut self, fallback: impl FnOnce() -> Option<Value>) -> Self {
        self.value = self.value.or_else(|| if self.whole { whole(fallback) } else { fallback() });
        self
    }

    /// Replaces the value by its keyed hash. See [`crate::set_hash_key`].
    #[must_use]
    pub fn hash(mut self) -> Self {
        self.value = self.value.map(|value| secret::hidden(&value, secret::hash));
        self
    }

    /// Masks all but the last four characters, or all of a short text.
    #[must_use]
    pub fn mask(mut self) -> Self {
        self.value = self.value.map(|value| secret::hidden(&value, secret::mask));
        self
    }

    /// Also adds the tag to the W3C baggage, so that it is sent to other processes.
    #[must_use]
    pub fn propagate(mut self) -> Self {
        self.baggage = true;
        self
    }
}

/// Converts the value of a tag without modifiers. The conversions of [`TagValue`] apply the limits.
#[inline]
pub fn value(of: &(impl TagValue + ?Sized)) -> Option<Value> {
    of.tag_value()
}

/// Like [`value`], for a tag with a default.
pub fn optional(of: &(impl Optional + ?Sized)) -> Option<Value> {
    of.tag_value()
}

/// Adds a tag without modifiers. The value is copied only if necessary.
#[inline]
pub fn put(tags: &mut Tags, key: &'static str, scoped: bool, value: &(impl TagValue + ?Sized)) {
    if scoped { tags.scope_value(key, &value) } else { tags.add_value(key, &value) }
}
