//! Everything that can be `None`, with a default.

#![deny(warnings)]

use std::borrow::Cow;
use std::cell::{Ref, RefMut};
use std::rc::Rc;
use std::sync::{Arc, MutexGuard, RwLockReadGuard, RwLockWriteGuard};

use throughline::{Optional, TagValue, Value, biz_tags, traced};

struct OrderNo(u64);

impl TagValue for OrderNo {
    fn tag_value(&self) -> Option<Value> {
        (self.0 > 0).then_some(Value::I64(1))
    }
}

impl Optional for OrderNo {}

#[traced(tags(a else 0, b else "none", c else 0, d else "none", e else 0, f else 0))]
fn owned(
    a: Option<u64>,
    b: Option<&str>,
    c: Box<Option<u64>>,
    d: Rc<Option<String>>,
    e: Arc<Option<Option<u64>>>,
    f: Cow<'_, Option<u64>>,
) {
    drop((a, b, c, d, e, f));
}

#[biz_tags(required(a else "none"), hash(b = b.as_ref() else "none"), c else 0, d else 0, e else 0)]
async fn borrowed(
    a: &Option<String>,
    b: &mut Option<String>,
    c: &&&Option<u64>,
    d: Ref<'_, Option<u64>>,
    e: RefMut<'_, Option<u64>>,
) {
    b.take();
    drop((a, c, d, e));
}

#[traced(tags(a else 0, b else 0, c else 0))]
fn guards(a: MutexGuard<'_, Option<u64>>, b: RwLockReadGuard<'_, Option<u64>>, c: RwLockWriteGuard<'_, Option<u64>>) {
    drop((a, b, c));
}

#[traced(tags(a else 0, b else 0, c = c.as_ref().map(throughline::debug) else "none", d = d.map(throughline::display) else "none"))]
fn own<T: Optional>(a: OrderNo, b: T, c: Option<Vec<()>>, d: Option<char>) {
    let _ = (a, b, c, d);
}

#[biz_tags(a else "none", b else 0)]
fn of_any_type(a: &dyn TagValue, b: Box<dyn TagValue>) {
    let _ = (a, b);
}

fn main() {
    owned(None, None, Box::new(None), Rc::new(None), Arc::new(None), Cow::Owned(None));
    let _ = (borrowed, guards);
    own(OrderNo(0), &None::<u64>, None, None);
    of_any_type(&1, Box::new(None::<u64>));
}
