use std::panic::Location;

use opentelemetry::trace::SpanContext;

use super::*;

#[test]
fn a_recycled_draft_retains_nothing() {
    static CODE: CodeAttributes = CodeAttributes::new("place", "orders::place", Location::caller());
    let mut fields = Fields::new(Limits::unlimited());
    fields.set_text("tenant_id", "acme");
    let tags = Some(EncodedTags::new(&fields, None));
    let mut used = Box::new(Draft {
        fields: Fields::new(Limits { value_length: Some(1), ..Limits::default() }),
        scoped: fields,
        inherited: ScopedTags::Encoded(tags.clone().expect("just made")),
        above: Some(Inherited { span_id: SpanId::from(1_u64), buffer: Arc::new(()) }),
        above_at: 1,
        recent: Some(SpanId::from(1_u64)),
        tags: tags.clone(),
        changes_tags: true,
        defers_tags: true,
        deferred: tags,
        links: vec![Link::with_context(SpanContext::NONE)],
        dropped: Some((1, "tenant_id")),
        name: "used".to_owned().into(),
        kind: SpanKind::Server,
        code: &CODE,
        scope: ScopeId(1),
        role: Role::First,
        parent: SpanId::from(1_u64),
        is_parent_remote: true,
        #[cfg(feature = "tracing")]
        begun: Some(1),
        start: 1,
        starts_now: true,
        latest: 1,
        status: Status::error("declined"),
        has_tags: false,
    });
    used.fields.set_text("key", "value");
    used.fields.add_event("event", 1, Vec::new(), 1);
    used.fields.add_link(&SpanContext::NONE, vec![KeyValue::new("key", 1)], 1);
    let before = std::ptr::from_ref(&*used);
    used.recycle();

    let again = Draft::new(Limits::default());
    assert!(std::ptr::eq(&raw const *again, before), "the draft is reused");
    let mut fresh = Draft::allocate();
    // These are set for every span when it starts.
    (fresh.kind, fresh.scope, fresh.role) = (SpanKind::Server, ScopeId(1), Role::First);
    (fresh.parent, fresh.is_parent_remote) = (SpanId::from(1_u64), true);
    (fresh.start, fresh.starts_now, fresh.latest) = (1, true, 1);
    assert_eq!(format!("{again:?}"), format!("{fresh:?}"));
}

#[test]
fn encoded_tags_have_the_keys_that_were_set() {
    let mut own = Fields::new(Limits::unlimited());
    let keys = ["a", "tenant_id", "order.id", "x".repeat(200).leak()];
    for key in keys {
        own.set_i64(key, 1);
    }
    let tags = EncodedTags::new(&own, None);
    assert_eq!(tags.keys(), own.keys());
    assert!(keys.into_iter().all(|key| tags.has(key)) && !tags.has("tenant"));
}

#[test]
fn encoded_tags_are_counted_once_per_key() {
    let fields = |keys: &[&'static str]| {
        let mut fields = Fields::new(Limits::unlimited());
        for key in keys {
            fields.set_i64(key, 1);
        }
        fields
    };
    let inherited = EncodedTags::new(&fields(&["a", "b"]), None);
    for (own, expected) in [(&["c"][..], 3), (&["a"], 2), (&["a", "c"], 3), (&["a", "b", "c", "d"], 4)] {
        let tags = ScopedTags::Encoded(EncodedTags::new(&fields(own), Some(&inherited)));
        assert_eq!((tags.len(), tags.list().len()), (expected, expected), "{own:?}");
        assert!(["a", "b"].iter().chain(own).all(|key| tags.has(key)), "{own:?}");
    }
}
