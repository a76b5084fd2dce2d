use throughline::{biz_tags, traced};

#[biz_tags(id)]
#[traced = "place order"]
fn sibling(id: u64) -> u64 {
    id
}

#[traced = "place order"]
fn alone() {}

struct Orders;

#[traced]
impl Orders {
    #[traced = "place order"]
    fn place(&self) {}
}

fn main() {
    Orders.place();
    sibling(1);
    alone();
}
