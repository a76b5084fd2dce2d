//! Typed data that integrations attach to a context and read from it.

use std::any::{Any, TypeId};
use std::fmt;
use std::sync::Arc;

use opentelemetry::{Context, KeyValue};

use crate::context::data::{Data, edit};
use crate::tags::scoped;
use crate::tags::set::{Tags, shared, without};
use crate::tags::value::within_bounds;

type Extension = (TypeId, Arc<dyn Any + Send + Sync>);

/// The typed extensions of a context, at most one per type. See [`ContextExt::with_extensions`].
#[derive(Clone, Default)]
pub struct Extensions {
    /// There are rarely more than two, so a list is faster than a map.
    values: Option<Arc<Vec<Extension>>>,
}

impl Extensions {
    /// Adds a value, replacing a value of the same type.
    pub fn insert<T: Any + Send + Sync>(&mut self, value: T) {
        self.remove::<T>();
        let values = self.values.get_or_insert_with(|| Arc::new(Vec::with_capacity(2)));
        Arc::make_mut(values).push((TypeId::of::<T>(), Arc::new(value)));
    }

    /// Removes the value of type `T`.
    pub fn remove<T: Any + Send + Sync>(&mut self) {
        if let Some(at) = self.position::<T>() {
            if let Some(values) = &mut self.values {
                Arc::make_mut(values).remove(at);
            }
        }
    }

    /// Returns the value of type `T`.
    pub fn get<T: Any + Send + Sync>(&self) -> Option<Arc<T>> {
        let (_, value) = self.values.as_ref()?.get(self.position::<T>()?)?;
        Arc::clone(value).downcast().ok()
    }

    #[cfg(all(feature = "tokio", tokio_unstable))]
    pub(super) fn is_empty(&self) -> bool {
        self.values.as_ref().is_none_or(|values| values.is_empty())
    }

    fn position<T: Any>(&self) -> Option<usize> {
        let id = TypeId::of::<T>();
        self.values.as_ref()?.iter().position(|(known, _)| *known == id)
    }
}

impl fmt::Debug for Extensions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Extensions").field("len", &self.values.as_ref().map_or(0, |values| values.len())).finish()
    }
}

impl Data {
    /// Sets or removes the value of type `T`.
    #[cfg(feature = "propagation")]
    pub(crate) fn set_extension<T: Any + Send + Sync>(&mut self, value: Option<T>) {
        match value {
            Some(value) => self.extensions.insert(value),
            None => self.extensions.remove::<T>(),
        }
    }
}

/// Access to the data that Throughline stores in a [`Context`], besides the span and the baggage.
///
/// These are the tags, and typed extensions that integrations attach for use further down the call path.
///
/// Everything that runs below inherits this data, and [`Snapshot`](crate::Snapshot) captures it, so detached jobs,
/// threads and messages in a channel have it too. Values set with [`Context::with_value`] are not captured. None of
/// the data leaves the process.
///
/// Contexts are immutable: each method that sets something returns a new context, at the cost of one or two
/// allocations. Reading is one lookup in the context's map of values.
///
/// ```
/// use throughline::{Context, ContextExt as _, KeyValue, Snapshot};
///
/// #[derive(Debug, PartialEq)]
/// struct Shard(u32);
///
/// let context = Context::new().with_tags([KeyValue::new("tenant_id", "acme")]).with_extension(Shard(7));
/// let elsewhere = Snapshot::from_context(&context).to_context();
/// assert_eq!(elsewhere.extension::<Shard>().as_deref(), Some(&Shard(7)));
/// assert_eq!(elsewhere.tags()[0].value.as_str(), "acme");
/// ```
pub trait ContextExt: sealed::Sealed {
    /// Returns the tags that every span below has.
    fn tags(&self) -> Arc<[KeyValue]>;

    /// Returns a context with these tags added. A tag replaces one with the same key.
    ///
    /// The limits are those of `#[biz_tags]`: long values are truncated, and tags beyond the maximum number in scope are
    /// dropped, counted, and reported once.
    #[must_use]
    fn with_tags(&self, tags: impl IntoIterator<Item = KeyValue>) -> Context;

    /// Returns the extension of type `T`.
    fn extension<T: Any + Send + Sync>(&self) -> Option<Arc<T>>;

    /// Returns a context with this extension, which replaces one of the same type.
    #[must_use]
    fn with_extension<T: Any + Send + Sync>(&self, value: T) -> Context {
        self.with_extensions(|extensions| extensions.insert(value))
    }

    /// Returns a context with changed extensions. Setting several costs no more than setting one.
    #[must_use]
    fn with_extensions(&self, change: impl FnOnce(&mut Extensions)) -> Context;
}

impl ContextExt for Context {
    fn tags(&self) -> Arc<[KeyValue]> {
        scoped::of(self).into_shared()
    }

    fn with_tags(&self, tags: impl IntoIterator<Item = KeyValue>) -> Context {
        let mut added: Vec<KeyValue> = Vec::new();
        for tag in tags {
            added.retain(|earlier| earlier.key != tag.key);
            added.push(KeyValue::new(tag.key, shared(within_bounds(tag.value))));
        }
        if added.is_empty() {
            return self.clone();
        }
        let inherited = scoped::of(self);
        let inherited = inherited.list();
        let mut tags = Tags::default();
        tags.scoped = added;
        tags.cap(&inherited);
        let mut added = tags.scoped;
        let kept = without(&inherited, &added);
        added.extend(kept);
        edit(self, |data| data.set_tags(added.into(), self))
    }

    fn extension<T: Any + Send + Sync>(&self) -> Option<Arc<T>> {
        Data::of(self)?.extensions.get()
    }

    fn with_extensions(&self, change: impl FnOnce(&mut Extensions)) -> Context {
        edit(self, |data| change(&mut data.extensions))
    }
}

/// Sealed, so that methods can be added to [`ContextExt`].
mod sealed {
    pub trait Sealed {}

    impl Sealed for opentelemetry::Context {}
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tags::value::MAX_TEXT_BYTES;

    #[test]
    fn a_context_has_one_value_of_each_type() {
        let context = Context::new().with_extension(1_u8).with_extension("text").with_extension(2_u8);
        assert_eq!(context.extension::<u8>().as_deref(), Some(&2));
        assert_eq!(context.extension::<&str>().as_deref(), Some(&"text"));
        assert!(context.extension::<u16>().is_none());
        let without = context.with_extensions(Extensions::remove::<u8>);
        assert!(without.extension::<u8>().is_none() && without.extension::<&str>().is_some());
    }

    #[test]
    fn the_last_tag_of_a_key_wins() {
        let text = |context: &Context| {
            let mut tags: Vec<_> = context.tags().iter().map(|tag| format!("{}={}", tag.key, tag.value)).collect();
            tags.sort();
            tags.join(" ")
        };
        let context = Context::new().with_tags([KeyValue::new("a", 1), KeyValue::new("b", 2)]);
        let context = context.with_tags([KeyValue::new("a", 3), KeyValue::new("a", 4), KeyValue::new("c", 5)]);
        assert_eq!(text(&context), "a=4 b=2 c=5");
    }

    #[test]
    fn long_tags_are_truncated() {
        let context = Context::new().with_tags([KeyValue::new("note", "x".repeat(2 * MAX_TEXT_BYTES))]);
        assert_eq!(context.tags()[0].value.as_str(), "x".repeat(MAX_TEXT_BYTES) + "…");
    }
}
