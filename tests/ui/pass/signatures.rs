//! A signature is preserved exactly.

#![deny(warnings)]
#![allow(clippy::missing_safety_doc, reason = "the functions are not documented")]

use std::fmt::{Debug, Display};
use std::rc::Rc;
use std::sync::Arc;

use throughline::{biz_tags, traced};

#[traced(tags(?value, length = N))]
fn generic<'a, T: Debug + 'a, const N: usize>(value: &'a [T; N]) -> Option<&'a T>
where
    T: Clone,
{
    value.first()
}

#[traced(tags(%value))]
async fn argument_impl(value: impl Display + Clone) -> impl Display + Clone {
    value
}

#[biz_tags(?no)]
unsafe fn raw(no: *const u64) -> u64 {
    unsafe { *no }
}

#[traced]
extern "C" fn exported(no: u64) -> u64 {
    no
}

#[traced(tags(r#type, r#match = r#type + 1))]
fn r#fn(r#type: u64) -> u64 {
    r#type
}

#[traced]
fn never(stop: bool) -> ! {
    if stop {
        std::process::exit(0);
    }
    panic!("not stopped")
}

#[traced]
fn borrowed<'a>(list: &'a mut Vec<u64>, no: &u64) -> &'a mut u64 {
    list.push(*no);
    list.last_mut().unwrap()
}

struct Orders(u64);

impl Orders {
    #[traced(tags(no = self.0))]
    fn by_reference(&self) -> &u64 {
        &self.0
    }

    #[traced]
    fn by_value(mut self) -> u64 {
        self.0 += 1;
        self.0
    }

    #[traced]
    async fn by_rc(self: Rc<Self>) -> u64 {
        self.0
    }

    #[biz_tags(no = self.0)]
    async fn by_arc(self: &Arc<Self>) -> u64 {
        self.0
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    assert_eq!(generic(&[1, 2]), Some(&1));
    assert_eq!(argument_impl(5).await.to_string(), "5");
    assert_eq!(unsafe { raw(&6) }, exported(6));
    assert_eq!(r#fn(7), 7);
    assert_eq!(*borrowed(&mut Vec::new(), &8), 8);
    assert_eq!(*Orders(9).by_reference(), 9);
    assert_eq!(Orders(9).by_value(), 10);
    assert_eq!(Rc::new(Orders(9)).by_rc().await, Arc::new(Orders(9)).by_arc().await);
    never(true);
}
