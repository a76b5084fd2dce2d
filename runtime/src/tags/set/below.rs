//! The effects of a call's tags: on its span, and on the context of everything below.

use std::sync::Arc;

use opentelemetry::baggage::{Baggage, BaggageExt as _};
use opentelemetry::{Context, Key, KeyValue, StringValue};

use super::{FEW, Tags, has_key, without};
use crate::context::current;
use crate::context::data::{self, Data};
use crate::tags::scoped::{self, ScopedTags};

impl Tags {
    /// Completes `own` to the attributes of a span that starts below `context`: those that were set, and inherited
    /// tags with other keys. Returns the context of the call, if it differs from `context`.
    pub(crate) fn finish(&mut self, context: &Context, inherited: &[KeyValue]) -> Option<Context> {
        self.cap(inherited);
        for tags in [&self.scoped[..], inherited] {
            // Each list is compared with the attributes set before it, not with itself.
            let set = self.own.len();
            if set * tags.len() <= FEW {
                for tag in tags {
                    if !has_key(&self.own[..set], &tag.key) {
                        self.own.push(tag.clone());
                    }
                }
            } else {
                let new = without(tags, &self.own);
                self.own.extend(new);
            }
        }
        self.enrich(context)
    }

    /// Returns `context` with the scoped tags and baggage of this call, or `None` if that makes no difference.
    #[inline]
    pub(crate) fn enrich(&mut self, context: &Context) -> Option<Context> {
        if self.scoped.is_empty() && self.effects.is_none() {
            return None;
        }
        self.enriched(context)
    }

    /// Whether nothing is added to the baggage.
    #[cfg(feature = "sdk")]
    #[inline]
    pub(in crate::tags) fn propagates_nothing(&self) -> bool {
        self.effects.is_none()
    }

    /// Takes the members to add to the baggage.
    pub(in crate::tags) fn take_propagated(&mut self) -> Vec<(&'static str, String)> {
        self.effects.as_mut().map(|effects| std::mem::take(&mut effects.baggage)).unwrap_or_default()
    }

    fn enriched(&mut self, context: &Context) -> Option<Context> {
        let known = Data::of(context);
        let inherited = scoped::of(context);
        let inherited = &*inherited.list();
        self.cap(inherited);
        let propagated = self.take_propagated();
        let baggage = changed(context.baggage(), &self.scoped, propagated);
        let tags = (!self.scoped.iter().all(|tag| inherited.contains(tag))).then(|| {
            let mut tags = std::mem::take(&mut self.scoped);
            let kept = without(inherited, &tags);
            tags.extend(kept);
            ScopedTags::from(tags)
        });
        if tags.is_none() && baggage.is_none() {
            return None;
        }
        let mut data = known.map_or_else(Data::default, |data| Data::clone(data));
        if let Some(tags) = tags {
            data.set_tags(tags, context);
        }
        let Some(baggage) = baggage else { return Some(data.put(context)) };
        data.baggage = Some(data::entries(&baggage).collect());
        Some(data.put(&context.with_baggage(baggage)))
    }
}

/// Returns the baggage with the propagated tags, and without members that `tags` contradict, or `None` if it is
/// unchanged.
///
/// A tag that is not propagated must not be written, so a member with a different value has to be removed: services
/// below would otherwise receive a value that is known to be outdated.
pub(in crate::tags) fn changed(
    baggage: &Baggage,
    tags: &[KeyValue],
    propagated: Vec<(&'static str, String)>,
) -> Option<Baggage> {
    if baggage.is_empty() && propagated.is_empty() {
        return None;
    }
    // A member that a propagated tag replaces is removed first: if the new value does not fit, the old one must not be
    // sent either.
    let is_stale = |key: &Key, value: &StringValue| match propagated.iter().find(|(sent, _)| *sent == key.as_str()) {
        Some((_, sent)) => sent != value.as_str(),
        None => tags.iter().any(|tag| tag.key == *key && tag.value.as_str() != value.as_str()),
    };
    let kept = data::entries(baggage).filter(|(key, (value, _))| !is_stale(key, value)).collect::<Vec<_>>();
    let is_known = |(key, value): &(&str, String)| baggage.get(key).is_some_and(|member| member.as_str() == value);
    if kept.len() == baggage.len() && propagated.iter().all(is_known) {
        return None;
    }
    let mut changed: Baggage = kept.into_iter().collect();
    for (key, value) in propagated {
        changed.insert(key, value);
        if changed.get(key).is_none() {
            super::report::report_unsent(key);
        }
    }
    Some(changed)
}

/// Returns the tags in scope: those set by `#[biz_tags]` on this function and its callers.
///
/// For log formatters and client libraries. This is one lookup in the current context; the result is empty if no tags
/// are set.
///
/// In a trace that is not sampled, the result depends on whether log lines include tags. If the process uses one of
/// this crate's log formatters (`log::Text` and the like), all tags are present. Otherwise, to keep unsampled
/// calls cheap, only tags that are propagated or override another one are evaluated.
///
/// ```
/// use throughline::biz_tags;
///
/// #[biz_tags(tenant_id)]
/// fn checkout(tenant_id: &str) -> usize {
///     throughline::current_tags().len()
/// }
/// assert_eq!(checkout("acme"), 1);
/// ```
pub fn current_tags() -> Arc<[KeyValue]> {
    current::with(|context| scoped::of(context).into_shared())
}
