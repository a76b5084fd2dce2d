//! Carriers: closures, maps, and lists of pairs.

use std::borrow::Borrow;
use std::collections::{BTreeMap, HashMap};
use std::hash::{BuildHasher, Hash};

use opentelemetry::Context;
use opentelemetry::propagation::{Extractor, Injector};

use crate::context::origin::Origin;
use crate::propagation::{b3, w3c};

/// The maximum number of values read for one header; no format has a use for more.
pub(crate) const MAX_VALUES: usize = 64;

/// Injects the current context through a closure, which is called once for each header.
///
/// ```
/// use throughline::propagation;
///
/// let mut lines = Vec::new();
/// throughline::in_span("send", || propagation::inject_with(|name, value| lines.push(format!("{name}: {value}"))));
/// ```
pub fn inject_with(set: impl FnMut(&str, String)) {
    struct Set<F>(F);

    impl<F: FnMut(&str, String)> Injector for Set<F> {
        fn set(&mut self, key: &str, value: String) {
            (self.0)(key, value);
        }
    }

    super::inject(&mut Set(set));
}

/// Extracts a context through a closure, which returns the value of a header. Header names are passed in lowercase.
///
/// For a carrier in which a header may occur more than once, such as that of HTTP, use [`Pairs`]: `tracestate` and
/// `baggage` may be in several parts, and two `traceparent` are invalid.
///
/// ```
/// use throughline::propagation;
///
/// let line = "traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
/// let context = propagation::extract_with(|name| line.strip_prefix(name)?.strip_prefix(": "));
/// # use opentelemetry::trace::TraceContextExt;
/// # assert!(context.span().span_context().is_sampled());
/// ```
pub fn extract_with<'a>(get: impl Fn(&str) -> Option<&'a str>) -> Context {
    super::extract(&Lookup(&|name| get(name).into_iter().collect()))
}

/// A list of names and values as a carrier to extract from. Names are case-insensitive and may repeat.
///
/// ```
/// use throughline::propagation::{self, Pairs};
///
/// let headers = [("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")];
/// let context = propagation::extract(&Pairs(&headers));
/// # use opentelemetry::trace::TraceContextExt;
/// # assert!(context.span().span_context().is_sampled());
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Pairs<'a, K, V>(pub &'a [(K, V)]);

impl<K: AsRef<str>, V: AsRef<str>> Pairs<'_, K, V> {
    fn values(&self, key: &str) -> impl Iterator<Item = &str> {
        self.0.iter().filter(move |(name, _)| name.as_ref().eq_ignore_ascii_case(key)).map(|(_, value)| value.as_ref())
    }
}

impl<K: AsRef<str>, V: AsRef<str>> Extractor for Pairs<'_, K, V> {
    fn get(&self, key: &str) -> Option<&str> {
        self.values(key).next()
    }

    fn keys(&self) -> Vec<&str> {
        self.0.iter().map(|(name, _)| name.as_ref()).collect()
    }

    fn get_all(&self, key: &str) -> Option<Vec<&str>> {
        let values: Vec<_> = self.values(key).take(MAX_VALUES).collect();
        (!values.is_empty()).then_some(values)
    }
}

/// A list of names and values as a carrier to inject into.
///
/// An existing header with the same name is replaced. Other headers of a previous context in the same format are
/// removed: the `tracestate` of another `traceparent`, and B3 headers in either encoding.
///
/// A context without baggage writes no `baggage` header, and leaves an existing one, which may be the application's own.
/// Remove it before you forward a message to others.
///
/// ```
/// use throughline::propagation::{self, PairsMut};
///
/// let mut headers: Vec<(String, String)> = Vec::new();
/// throughline::in_span("send", || propagation::inject(&mut PairsMut(&mut headers)));
/// ```
#[derive(Debug)]
pub struct PairsMut<'a>(pub &'a mut Vec<(String, String)>);

impl Injector for PairsMut<'_> {
    fn set(&mut self, key: &str, value: String) {
        let is_stale = |(name, old): &(String, String)| {
            name.eq_ignore_ascii_case(key)
                || w3c::is_superseded(name, key)
                || b3::is_superseded((name, old), (key, &value))
        };
        self.0.retain(|header| !is_stale(header));
        self.0.push((key.to_owned(), value));
    }
}

impl<K: AsRef<str>, V: AsRef<str>> Origin for [(K, V)] {
    fn origin(&self) -> Context {
        super::extract(&Pairs(self))
    }
}

impl<K: AsRef<str>, V: AsRef<str>, const N: usize> Origin for [(K, V); N] {
    fn origin(&self) -> Context {
        self.as_slice().origin()
    }
}

impl<K: AsRef<str>, V: AsRef<str>> Origin for Vec<(K, V)> {
    fn origin(&self) -> Context {
        self.as_slice().origin()
    }
}

impl<K: Borrow<str> + Eq + Hash, V: AsRef<str>, S: BuildHasher> Origin for HashMap<K, V, S> {
    fn origin(&self) -> Context {
        super::extract(&Lookup(&|key| match self.get(key) {
            Some(value) => vec![value.as_ref()],
            None => ignoring_case(self, key),
        }))
    }
}

impl<K: Borrow<str> + Ord, V: AsRef<str>> Origin for BTreeMap<K, V> {
    fn origin(&self) -> Context {
        super::extract(&Lookup(&|key| match self.get(key) {
            Some(value) => vec![value.as_ref()],
            None => ignoring_case(self, key),
        }))
    }
}

/// The values whose names match without regard to case. Sorted, because the order of a map is not deterministic.
fn ignoring_case<'a, K, V>(map: impl IntoIterator<Item = (&'a K, &'a V)>, key: &str) -> Vec<&'a str>
where
    K: Borrow<str> + 'a,
    V: AsRef<str> + 'a,
{
    let matching = map.into_iter().filter(|(name, _)| (*name).borrow().eq_ignore_ascii_case(key));
    let mut values: Vec<_> = matching.map(|(_, value)| value.as_ref()).take(MAX_VALUES).collect();
    values.sort_unstable();
    values
}

/// A lookup function as a carrier.
struct Lookup<'f, 'a>(&'f dyn Fn(&str) -> Vec<&'a str>);

impl Extractor for Lookup<'_, '_> {
    fn get(&self, key: &str) -> Option<&str> {
        (self.0)(key).first().copied()
    }

    fn get_all(&self, key: &str) -> Option<Vec<&str>> {
        Some((self.0)(key)).filter(|values| !values.is_empty())
    }

    fn keys(&self) -> Vec<&str> {
        Vec::new()
    }
}
