use throughline::{biz_tags, traced};

#[traced(crate = 5)]
fn number() {}

#[traced(crate = "throughline")]
fn quoted() {}

#[traced(crate)]
fn nothing() {}

#[biz_tags(crate = 5, id)]
fn of_tags(id: u64) {}

fn main() {
    number();
    quoted();
    nothing();
    of_tags(1);
}
