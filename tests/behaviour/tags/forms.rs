//! The syntax of tags: expressions, defaults, modifiers.

use opentelemetry::baggage::BaggageExt as _;
use opentelemetry::{Array, Context, KeyValue};
use throughline::testing::Capture;
use throughline::{Value, biz_tags, in_span, traced};

#[expect(clippy::unnecessary_wraps, reason = "it is compared with what `attribute` gives")]
fn text(value: &str) -> Option<Value> {
    Some(Value::String(value.to_owned().into()))
}

struct Request {
    order: Order,
    user: Option<String>,
}

struct Order {
    no: u64,
}

struct Path<T>(T);

#[test]
fn every_form() {
    #[traced]
    #[biz_tags(
        tenant_id,
        order_no = req.order.no,
        "biz.channel" = "web",
        shown = %req.order.no,
        debugged = ?req.user,
        user = req.user else "anonymous",
        absent = None::<u8>,
        list = vec![1u8, 2],
        sum = 1 + 2,
        flag = req.order.no > 3,
        nested = { 4u8 },
    )]
    fn place(Path(tenant_id): Path<String>, req: Request) {
        drop((tenant_id, req));
    }
    let capture = Capture::new();
    capture.run(|| place(Path("acme".to_owned()), Request { order: Order { no: 1001 }, user: None }));
    let span = capture.span("place");
    assert_eq!(span.attribute("tenant_id").cloned(), text("acme"));
    assert_eq!(span.attribute("order_no"), Some(&Value::I64(1001)));
    assert_eq!(span.attribute("biz.channel").cloned(), text("web"));
    assert_eq!(span.attribute("shown").cloned(), text("1001"));
    assert_eq!(span.attribute("debugged").cloned(), text("None"));
    assert_eq!(span.attribute("user").cloned(), text("anonymous"));
    assert_eq!(span.attribute("absent"), None);
    assert_eq!(span.attribute("list"), Some(&Value::Array(Array::I64(vec![1, 2]))));
    assert_eq!(span.attribute("sum"), Some(&Value::I64(3)));
    assert_eq!(span.attribute("flag"), Some(&Value::Bool(true)));
    assert_eq!(span.attribute("nested"), Some(&Value::I64(4)));
    let capture = Capture::new();
    let request = Request { order: Order { no: 1 }, user: Some("ada".to_owned()) };
    capture.run(|| place(Path("acme".to_owned()), request));
    assert_eq!(capture.span("place").attribute("user").cloned(), text("ada"), "the default is for none");
}

#[test]
fn self_is_an_argument() {
    struct Account {
        id: u32,
    }
    impl Account {
        #[traced]
        #[biz_tags(account = self.id)]
        fn open(&mut self) -> &mut u32 {
            &mut self.id
        }
    }
    let capture = Capture::new();
    capture.run(|| *Account { id: 5 }.open() += 1);
    assert_eq!(capture.span("open").attribute("account"), Some(&Value::I64(5)));
}

#[test]
fn tags_of_patterns_that_bind_a_part_only() {
    #[traced]
    #[biz_tags(kept, both = kept + other)]
    fn pick((kept, _): (u8, String), mut other: u8) -> u8 {
        other += 1;
        kept + other
    }
    let capture = Capture::new();
    assert_eq!(capture.run(|| pick((1, String::new()), 2)), 4);
    assert_eq!(capture.span("pick").attribute("kept"), Some(&Value::I64(1)));
    assert_eq!(capture.span("pick").attribute("both"), Some(&Value::I64(3)));
}

#[test]
fn required() {
    #[traced]
    #[biz_tags(required(tenant_id, other = Some(1)), required(stand_in = None::<u8> else 9))]
    fn place(tenant_id: Option<&str>) {
        let _ = tenant_id;
    }
    let capture = Capture::new();
    capture.run(|| place(None));
    let span = capture.span("place");
    let missing: Vec<_> = span
        .events
        .events
        .iter()
        .filter(|event| event.name == "throughline.tag.missing")
        .map(|event| event.attributes.clone())
        .collect();
    assert_eq!(
        missing,
        [
            vec![KeyValue::new("throughline.tag.key", "tenant_id")],
            vec![KeyValue::new("throughline.tag.key", "stand_in")]
        ]
    );
    assert_eq!(span.attribute("other"), Some(&Value::I64(1)));
    assert_eq!(span.attribute("stand_in"), Some(&Value::I64(9)));
}

#[test]
fn hash_and_mask_never_show_the_clear_text() {
    #[traced]
    #[biz_tags(hash(user_id), mask(phone, card = 1234_5678_9012u64), hash(absent = None::<u8>))]
    fn pay(user_id: &str, phone: &str) {
        in_span("below", || {});
        let _ = (user_id, phone);
    }
    let capture = Capture::new();
    capture.run(|| pay("u-1", "13800138000"));
    for name in ["pay", "below"] {
        let span = capture.span(name);
        let Some(Value::String(hash)) = span.attribute("user_id") else { panic!("no hash") };
        assert!(hash.as_str().len() == 32 && hash.as_str() != "u-1");
        assert_eq!(span.attribute("phone").cloned(), text("*******8000"));
        assert_eq!(span.attribute("card").cloned(), text("********9012"));
        assert_eq!(span.attribute("absent"), None);
        assert!(!format!("{:?}", span.attributes).contains("13800138000"));
    }
}

#[test]
fn modifiers_nest() {
    #[traced]
    #[biz_tags(propagate(required(tenant_id), mask(phone)), hash(required(user = 5)))]
    fn place(tenant_id: Option<&str>, phone: &str) -> String {
        let _ = (tenant_id, phone);
        Context::current().baggage().to_string()
    }
    let capture = Capture::new();
    let baggage = capture.run(|| place(None, "13800138000"));
    assert!(baggage.contains("8000") && !baggage.contains("1380013"), "{baggage}");
    assert_eq!(capture.span("place").events.events.len(), 1);
}

/// In edition 2024, a `&` pattern below an implicitly dereferenced reference is an error.
#[tokio::test]
async fn parts_of_a_pattern_with_references() {
    #[traced(tags(a, b, next = a + 1))]
    fn sync((&a, b, _): (&u8, String, u8)) -> u8 {
        a + u8::try_from(b.len()).unwrap_or(0)
    }
    #[traced]
    #[biz_tags(a, b, next = c.len() + 1)]
    async fn asynchronous([(&a, mut b), (_, ref c)]: [(&u8, String); 2]) -> usize {
        b.push_str(c);
        b.len() + usize::from(a)
    }
    let capture = Capture::new();
    assert_eq!(capture.run(|| sync((&1, "b".to_owned(), 0))), 2);
    let length = capture.run_async(asynchronous([(&1, "b".to_owned()), (&2, "c".to_owned())])).await;
    assert_eq!(length, 3);
    for name in ["sync", "asynchronous"] {
        let span = capture.span(name);
        assert_eq!(span.attribute("a"), Some(&Value::I64(1)));
        assert_eq!(span.attribute("b").cloned(), text("b"));
        assert_eq!(span.attribute("next"), Some(&Value::I64(2)));
    }
}

#[test]
fn arguments_that_are_only_in_a_format_string() {
    #[traced(tags(typed = format!("{type}"), padded = format!("{:>width$.1}", 1.25)))]
    fn format((r#type, width, _): (&str, usize, u8)) {}
    let capture = Capture::new();
    capture.run(|| format(("order", 5, 0)));
    assert_eq!(capture.span("format").attribute("typed").cloned(), text("order"));
    assert_eq!(capture.span("format").attribute("padded").cloned(), text("  1.2"));
}
