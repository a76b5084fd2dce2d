use throughline::{biz_tags, traced, traced_spawn};

#[biz_tags(id)]
#[traced = "place order"]
fn sibling(id: u64) -> u64 {
    id
}

#[traced = "place order"]
fn alone() {}

#[traced = 1]
fn number() {}

#[biz_tags = 1]
fn tags() {}

#[traced(root)]
#[biz_tags = "id"]
#[biz_tags(id)]
fn tags_of_a_span(id: u64) {}

#[traced_spawn = "job"]
async fn job() {}

macro_rules! by_a_macro {
    ($value:expr) => {
        #[biz_tags = $value]
        fn generated() {}
    };
}

by_a_macro!(1);

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
    number();
    tags();
    tags_of_a_span(1);
    let _handle: tokio::task::JoinHandle<()> = job();
    generated();
}
