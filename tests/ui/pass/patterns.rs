//! Arguments that are destructured in the signature, and tags for the names they bind.

#![deny(warnings)]
#![forbid(unused_variables)]

use throughline::{biz_tags, traced, traced_spawn};

struct Path<T>(T);

struct Order {
    no: u64,
    lines: Vec<u64>,
}

#[traced]
#[biz_tags(tenant_id)]
fn tuple_struct(Path(tenant_id): Path<String>) -> String {
    tenant_id
}

#[traced(tags(no, first = lines.first().copied()))]
fn fields(Order { no, mut lines }: Order) -> usize {
    lines.push(no);
    lines.len()
}

#[traced(tags(no))]
async fn rest(Order { no, .. }: Order) -> u64 {
    no
}

#[traced(tags(a, c))]
fn nested((a, Path((mut b, c)), [d, ..]): (u64, Path<(u64, u64)>, [u64; 3]), _: String, _kept: String) -> u64 {
    b += a + c;
    b + d
}

#[traced(tags(text))]
async fn either((Ok(mut text) | Err(mut text)): Result<String, String>) -> String {
    text.push('!');
    text
}

#[traced(tags(number, text = format!("{number}")))]
fn bound_whole(number @ 0..: u64) -> u64 {
    number
}

// What looks like a constant is a binding here.
#[traced(tags(Text))]
#[allow(non_snake_case, reason = "the name is the case")]
fn marked(ref Text: String) -> usize {
    Text.len()
}

#[traced(tags(no))]
fn through_a_reference(&Order { no, ref lines }: &Order) -> u64 {
    no + lines.len() as u64
}

#[traced]
fn mutable_reference(mut text: &str) -> &str {
    text = text.trim();
    text
}

#[traced_spawn(tags(tenant_id))]
async fn job(Path(tenant_id): Path<String>, (mut no, _): (u64, String)) -> u64 {
    no += tenant_id.len() as u64;
    no
}

// The closure accepts a borrow, and holds none.
#[traced_spawn]
async fn job_of_a_closure(change: Box<dyn for<'a> FnOnce(&'a mut u64) -> &'a u64 + Send>) -> u64 {
    *change(&mut 1)
}

fn one_more(no: &mut u64) -> &u64 {
    *no += 1;
    no
}

fn order() -> Order {
    Order { no: 1, lines: vec![2] }
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    assert_eq!(tuple_struct(Path("acme".to_owned())), "acme");
    assert_eq!(fields(order()), 2);
    assert_eq!(rest(order()).await, 1);
    assert_eq!(nested((1, Path((2, 3)), [4, 5, 6]), String::new(), String::new()), 10);
    assert_eq!(either(Err("a".to_owned())).await, "a!");
    assert_eq!(bound_whole(7), 7);
    assert_eq!(marked("a".to_owned()), 1);
    assert_eq!(through_a_reference(&order()), 2);
    assert_eq!(mutable_reference(" a "), "a");
    assert_eq!(job(Path("acme".to_owned()), (1, String::new())).await.unwrap(), 5);
    assert_eq!(job_of_a_closure(Box::new(one_more)).await.unwrap(), 2);
}
