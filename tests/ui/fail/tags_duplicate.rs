use throughline::{biz_tags, traced};

#[biz_tags(id, id)]
fn twice(id: u64) {}

#[traced(tags(id, no = 1, "id" = no))]
fn by_key(id: u64, no: u64) {}

#[biz_tags(id, mask(id))]
fn in_a_modifier(id: String) {}

fn main() {
    twice(1);
    by_key(1, 2);
    in_a_modifier(String::new());
}
