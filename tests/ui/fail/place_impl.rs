use throughline::{biz_tags, traced_spawn};

struct Orders;

#[traced_spawn]
impl Orders {
    fn place(&self) {}
}

#[biz_tags(id)]
impl Orders {
    fn cancel(&self, id: u64) -> u64 {
        id
    }
}

fn main() {
    Orders.place();
    Orders.cancel(1);
}
