use throughline::{biz_tags, traced};

#[traced]
#[biz_tags(order)]
fn below(order_no: u64) {}

#[biz_tags(order_no)]
#[traced(kind = serber)]
fn above(order_no: u64) {}

fn main() {
    below(1);
    above(1);
}
