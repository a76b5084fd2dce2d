use throughline::{biz_tags, traced, traced_spawn};

#[traced]
const fn traced() -> u8 {
    1
}

#[traced_spawn(blocking)]
const fn job() {}

#[biz_tags(id)]
const fn tagged(id: u64) {
    let _ = id;
}

struct Orders;

#[traced]
impl Orders {
    const fn new() -> Self {
        Self
    }
}

const ONE: u8 = traced();

fn main() {
    let _handle: tokio::task::JoinHandle<()> = job();
    tagged(u64::from(ONE));
    Orders::new();
}
