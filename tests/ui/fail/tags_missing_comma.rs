use throughline::{biz_tags, traced};

#[biz_tags(id no)]
fn two_names(id: u64, no: u64) {}

#[traced(tags(id = 1 no))]
fn after_a_value(no: u64) {}

#[biz_tags(mask(id) no)]
fn after_a_modifier(id: u64, no: u64) {}

#[biz_tags(id; no)]
fn semicolon(id: u64, no: u64) {}

fn main() {
    two_names(1, 2);
    after_a_value(1);
    after_a_modifier(1, 2);
    semicolon(1, 2);
}
