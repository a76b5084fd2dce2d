use std::cell::RefCell;
use std::future::Future;

use throughline::in_span;
use throughline::testing::Capture;

use super::harness::{Noisy, shape};

struct Order {
    number: u32,
    lines: Vec<Noisy>,
}

shape!(with_traced, "f", {
    #[traced]
    #[biz_tags(n, length = a.0.len())]
    async fn f(n: u8, a: Noisy) -> u8 { super::super::super::harness::pause().await; n }
}, future f(1, Noisy("a")));

#[throughline::biz_tags(tenant, order_no = order.number, "cart.lines" = order.lines.len(), %shown, ?debugged, id = id else "none", first)]
fn alone(
    tenant: &str,
    order: Order,
    shown: u8,
    debugged: (u8, u8),
    id: Option<u32>,
    (first, _): (u8, Noisy),
    cell: RefCell<u8>,
) -> u8 {
    in_span("below", || ());
    *cell.borrow()
}

#[throughline::traced(tags(n = n + 1))]
#[throughline::biz_tags(mask(phone), required(user))]
async fn together(n: u64, phone: String, user: Option<String>) -> usize {
    phone.len()
}

#[test]
fn tags_are_set_in_every_edition() {
    let capture = Capture::new();
    let order = Order { number: 7, lines: vec![Noisy("line")] };
    capture.run(|| {
        in_span("outer", || alone("acme", order, 3, (1, 2), None, (4, Noisy("_")), RefCell::new(1)));
        futures::executor::block_on(together(1, "555 1234".into(), None));
    });
    for name in ["outer", "below"] {
        let span = capture.span(name);
        assert_eq!(span.attribute("tenant"), Some(&"acme".into()));
        assert_eq!(span.attribute("order_no"), Some(&7.into()));
        assert_eq!(span.attribute("cart.lines"), Some(&1.into()));
        assert_eq!(span.attribute("shown"), Some(&"3".into()));
        assert_eq!(span.attribute("debugged"), Some(&"(1, 2)".into()));
        assert_eq!(span.attribute("id"), Some(&"none".into()));
        assert_eq!(span.attribute("first"), Some(&4.into()));
    }
    let together = capture.span("together");
    assert_eq!(together.attribute("n"), Some(&2.into()));
    assert!(together.event("throughline.tag.missing").is_some());
}

shape!(
    conditional,
    "f",
    {
        #[traced]
        #[biz_tags(n)]
        fn f(#[cfg(all())] n: u8, #[cfg(any())] m: Absent) -> u8 {
            n
        }
    },
    f(1)
);
