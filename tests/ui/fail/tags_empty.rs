use throughline::biz_tags;

#[biz_tags]
fn bare(id: u64) {}

#[biz_tags()]
fn parentheses(id: u64) {}

#[biz_tags(crate = ::throughline)]
fn only_crate(id: u64) {}

fn main() {
    bare(1);
    parentheses(1);
    only_crate(1);
}
