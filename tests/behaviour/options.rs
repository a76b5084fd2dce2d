//! The options of `#[traced]`.

use opentelemetry::Context;
use opentelemetry::trace::{SpanContext, SpanId, TraceContextExt as _, TraceFlags, TraceId, TraceState};
use opentelemetry_sdk::trace::Sampler;
use throughline::testing::Capture;
use throughline::{Carried, Snapshot, SpanKind, Value, in_span, traced};

const NAMED: &str = "from a const";

fn remote() -> SpanContext {
    SpanContext::new(TraceId::from(7), SpanId::from(8), TraceFlags::SAMPLED, true, TraceState::default())
}

#[test]
fn name() {
    struct Repo;
    impl Repo {
        const SPAN: &'static str = "associated";
        #[traced(name = Self::SPAN)]
        fn load() {}
    }
    #[traced("place order")]
    fn positional() {}
    #[traced(name = "named")]
    fn keyed() {}
    #[traced(name = NAMED)]
    fn constant() {}
    #[traced(name = concat!("a", "b"))]
    fn concatenated() {}
    #[traced]
    fn r#match() {}
    let capture = Capture::new();
    capture.run(|| {
        positional();
        keyed();
        constant();
        concatenated();
        r#match();
        Repo::load();
    });
    let names: Vec<_> = capture.spans().iter().map(|span| span.name().to_owned()).collect();
    assert_eq!(names, ["place order", "named", "from a const", "ab", "match", "associated"]);
}

#[test]
fn kind() {
    #[traced(kind = server)]
    fn server() {}
    #[traced(kind = client)]
    fn client() {}
    #[traced(kind = producer)]
    fn producer() {}
    #[traced(kind = consumer)]
    fn consumer() {}
    #[traced(kind = internal)]
    fn internal() {}
    let capture = Capture::new();
    capture.run(|| {
        server();
        client();
        producer();
        consumer();
        internal();
    });
    let kinds: Vec<_> = capture.spans().iter().map(|span| span.span_kind.clone()).collect();
    let expected = [SpanKind::Server, SpanKind::Client, SpanKind::Producer, SpanKind::Consumer, SpanKind::Internal];
    assert_eq!(kinds, expected);
}

#[test]
fn code_attributes() {
    #[traced]
    fn here() {}
    #[traced(root)]
    fn root() {}
    let root_line = line!() - 1;
    let line = root_line - 2;
    // Attributes are encoded at compile time, unless a sampler needs them.
    for capture in [Capture::new(), Capture::with_sampler(Sampler::AlwaysOn)] {
        capture.run(|| {
            here();
            root();
            throughline::in_span("block", || ());
            throughline::span("root block").root().run(|| ());
        });
        let block_line = line!() - 3;
        for (name, line, function) in [
            ("here", line, Some("behaviour::options::here")),
            ("root", root_line, Some("behaviour::options::root")),
            ("block", block_line, None),
            ("root block", block_line + 1, None),
        ] {
            let span = capture.span(name);
            let function = function.map(|function| Value::String(function.into()));
            assert_eq!(span.attribute("code.function.name"), function.as_ref(), "{name}");
            assert_eq!(span.attribute("code.line.number"), Some(&Value::I64(i64::from(line))), "{name}");
            let Some(Value::String(file)) = span.attribute("code.file.path") else { panic!("no file") };
            assert!(file.as_str().ends_with("options.rs"));
        }
    }
}

#[test]
fn parent_continues_a_remote_trace_and_links_the_current_span() {
    #[traced(kind = consumer, parent = span)]
    fn handle(span: &SpanContext) {
        in_span("inside", || {});
        let _ = span;
    }
    let capture = Capture::new();
    capture.run(|| in_span("poll", || handle(&remote())));
    let (poll, handle) = (capture.span("poll"), capture.span("handle"));
    assert_eq!(handle.trace_id(), TraceId::from(7));
    assert_eq!(handle.parent_id(), Some(SpanId::from(8)));
    assert!(handle.parent_span_is_remote);
    assert!(handle.is_linked_to(&poll));
    assert_eq!(handle.attribute("throughline.parent.missing"), None);
    assert!(capture.span("inside").is_child_of(&handle));
}

#[test]
fn parent_without_identity_makes_an_entry_span() {
    #[traced(parent = context)]
    fn handle(context: Context) {
        drop(context);
    }
    #[traced(parent = message)]
    fn option(message: Option<Carried<u8>>) {
        drop(message);
    }
    let capture = Capture::new();
    capture.run(|| {
        in_span("poll", || handle(Context::new()));
        option(None);
    });
    let (poll, handle) = (capture.span("poll"), capture.span("handle"));
    assert_eq!(handle.parent_id(), None);
    assert_ne!(handle.trace_id(), poll.trace_id());
    assert!(handle.is_linked_to(&poll));
    assert_eq!(handle.attribute("throughline.parent.missing"), Some(&Value::Bool(true)));
    let option = capture.span("option");
    assert_eq!((option.parent_id(), option.attribute("throughline.parent.missing")), (None, None));
}

#[test]
fn parent_takes_every_origin() {
    #[traced("child", parent = origin)]
    fn child<O: throughline::Origin>(origin: O) {
        drop(origin);
    }
    let capture = Capture::new();
    capture.run(|| {
        let (snapshot, carried, context) =
            in_span("sender", || (Snapshot::capture(), Carried::new("hello"), Context::current()));
        child(&snapshot);
        child(snapshot);
        child(&carried);
        child(std::sync::Arc::new(carried));
        child(Box::new(context.clone()));
        child(Some(context.span().span_context().clone()));
        child(context);
    });
    let sender = capture.span("sender");
    let children = capture.named("child");
    assert_eq!(children.len(), 7);
    assert!(children.iter().all(|child| child.is_child_of(&sender)));
}

#[test]
fn root_starts_a_new_trace_and_links_the_current_span() {
    #[traced(root)]
    fn nightly() {
        in_span("inside", || {});
    }
    let capture = Capture::new();
    capture.run(|| {
        in_span("caller", nightly);
    });
    capture.assert_tree(
        "
        caller
        nightly ~> caller
        └── inside
        ",
    );
}

#[test]
fn link_and_links() {
    #[traced(link = first, links = rest)]
    fn batch(first: &Carried<u8>, rest: Vec<Carried<u8>>) -> usize {
        let _ = first;
        rest.len()
    }
    #[traced(links = rest.iter().filter(|message| ***message > 1))]
    fn filtered(rest: &[Carried<u8>]) -> usize {
        rest.len()
    }
    #[traced(link = Context::new())]
    fn nothing() {}
    let capture = Capture::new();
    let send = |name: &'static str, value| in_span(name, || Carried::new(value));
    capture.run(|| {
        let (a, b, c) = (send("a", 1), send("b", 2), send("c", 3));
        assert_eq!(batch(&a, vec![b.clone(), c.clone()]), 2);
        assert_eq!(filtered(&[a, b, c]), 3);
        nothing();
    });
    let linked = |name: &str| -> Vec<_> {
        let span = capture.span(name);
        ["a", "b", "c"].into_iter().filter(|sender| span.is_linked_to(&capture.span(sender))).collect()
    };
    assert_eq!(linked("batch"), ["a", "b", "c"]);
    assert_eq!(linked("filtered"), ["b", "c"]);
    assert!(capture.span("nothing").links.links.is_empty());
    assert_eq!(capture.span("batch").parent_id(), None);
}

#[test]
fn an_option_holds_its_expression_no_longer_than_it_needs() {
    use std::sync::Mutex;

    #[traced(parent = *last.lock().unwrap(), link = *last.lock().unwrap(), tags(known = last.lock().unwrap().span_context().is_some()))]
    fn handle(last: &Mutex<Snapshot>) -> bool {
        last.try_lock().is_ok()
    }
    let capture = Capture::new();
    capture.run(|| in_span("sender", || assert!(handle(&Mutex::new(Snapshot::capture())))));
    capture.assert_tree_with(&["known"], "sender\n└── handle known=true ~> sender");
}

#[test]
fn an_option_can_use_names_of_a_replaced_pattern() {
    #[traced(parent = message, links = others)]
    fn handle((message, _): (Carried<u8>, String), [mut others, ..]: [Vec<Carried<u8>>; 2]) -> usize {
        others.push(message);
        others.len()
    }
    let capture = Capture::new();
    let count = capture.run(|| {
        let send = |name: &'static str| in_span(name, || Carried::new(1));
        handle((send("sender"), String::new()), [vec![send("other")], Vec::new()])
    });
    assert_eq!(count, 2);
    capture.assert_tree("sender\n└── handle ~> other\nother");
}

/// A macro variable that is an expression is an invisible group.
#[test]
fn links_in_a_macro() {
    macro_rules! batch {
        ($name:ident($batch:ident: $of:ty) links $links:expr) => {
            #[traced(links = $links)]
            fn $name($batch: $of) -> usize {
                $batch.into_iter().count()
            }
        };
    }
    batch!(owned(batch: Vec<SpanContext>) links batch);
    batch!(borrowed(batch: &[SpanContext]) links batch);
    let capture = Capture::new();
    assert_eq!(capture.run(|| owned(vec![remote()])), 1);
    assert_eq!(capture.run(|| borrowed(&[remote(), remote()])), 2);
    assert_eq!(capture.span("owned").links.links.len(), 1);
    assert_eq!(capture.span("borrowed").links.links.len(), 2);
}

#[test]
fn krate() {
    mod facade {
        pub(super) use throughline as telemetry;
    }
    #[traced(crate = facade::telemetry)]
    fn renamed() {}
    let capture = Capture::new();
    capture.run(renamed);
    assert_eq!(capture.spans().len(), 1);
}

#[test]
fn an_impl_block_names_its_methods_and_gives_defaults() {
    struct Orders(u8);
    #[traced(kind = client, err = debug)]
    impl Orders {
        const START: u8 = 3;
        #[traced(skip)]
        const fn new() -> Self {
            Self(Self::START)
        }
        fn count(&self) -> u8 {
            self.0
        }
        #[traced("custom", kind = server)]
        fn named(&self) -> Result<u8, &'static str> {
            if self.0 > 100 { Ok(self.0) } else { Err("text") }
        }
        #[throughline::biz_tags(order_no)]
        fn tagged(&mut self, order_no: u8) {
            self.0 += order_no;
        }
    }
    let capture = Capture::new();
    capture.run(|| {
        let mut orders = Orders::new();
        assert_eq!(orders.count(), 3);
        let _ = orders.named();
        orders.tagged(1);
    });
    capture.assert_tree_with(
        &["order_no"],
        "
        Orders::count [client]
        custom [server] !error: \"text\"
        Orders::tagged [client] order_no=1
        ",
    );
    let function = Some(&Value::String("behaviour::options::Orders::count".into()));
    assert_eq!(capture.span("Orders::count").attribute("code.function.name"), function);
}

#[test]
fn a_tag_of_a_method_replaces_that_of_the_block() {
    struct Orders(u8);
    #[traced(tags(tenant_id = self.0))]
    impl Orders {
        #[throughline::biz_tags(tenant_id)]
        fn scoped(&self, tenant_id: u8) {
            in_span("below", || {});
        }
        #[traced(tags(tenant_id = 3))]
        fn own(&self) {}
        fn plain(&self) {}
        #[rustfmt::skip]
        #[traced(skip,)]
        const fn skipped(&self) {}
    }
    let capture = Capture::new();
    capture.run(|| {
        let orders = Orders(1);
        orders.scoped(2);
        orders.own();
        orders.plain();
        orders.skipped();
    });
    let tree = "
        Orders::scoped tenant_id=2
        └── below tenant_id=2
        Orders::own tenant_id=3
        Orders::plain tenant_id=1
        ";
    capture.assert_tree_with(&["tenant_id"], tree);
}

#[test]
fn an_attribute_of_a_method_may_have_a_condition() {
    struct Orders;
    #[cfg_attr(all(), traced(kind = client, tags(tenant_id = 1)))]
    impl Orders {
        #[cfg_attr(all(), traced(skip))]
        const fn excluded(&self) {}
        #[cfg_attr(all(), traced(skip), throughline::biz_tags(tenant_id = 2))]
        fn excluded_with_tags(&self) {
            in_span("below", || {});
        }
        #[throughline::biz_tags(tenant_id = 3)]
        #[cfg_attr(all(), traced(skip))]
        fn excluded_below_tags(&self) {
            in_span("also below", || {});
        }
        #[cfg_attr(all(), traced("named", kind = server))]
        fn renamed(&self) {}
        #[cfg_attr(all(), traced(tags(tenant_id = 4)))]
        async fn tagged(&self) {}
        #[cfg_attr(any(), traced(skip))]
        fn as_usual(&self) {}
        #[cfg_attr(all(), throughline::traced_spawn(thread))]
        fn detached() {}
    }
    let capture = Capture::new();
    capture.run(|| {
        Orders.excluded();
        Orders.excluded_with_tags();
        Orders.excluded_below_tags();
        Orders.renamed();
        futures::executor::block_on(Orders.tagged());
        Orders.as_usual();
        Orders::detached().join().expect("no panic");
    });
    let tree = "
        below tenant_id=2
        also below tenant_id=3
        named [server] tenant_id=1
        Orders::tagged [client] tenant_id=4
        Orders::as_usual [client] tenant_id=1
        Orders::detached
        ";
    capture.assert_tree_with(&["tenant_id"], tree);
}
