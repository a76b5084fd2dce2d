use throughline::{biz_tags, traced, traced_spawn};

trait Orders {
    #[traced]
    fn place(&self);

    #[traced]
    async fn later(&self);

    #[traced_spawn]
    async fn detached(id: u64);

    #[biz_tags(id)]
    fn tagged(&self, id: u64);
}

struct Shop;

impl Orders for Shop {
    fn place(&self) {}
    async fn later(&self) {}
    fn tagged(&self, id: u64) {
        let _ = id;
    }
    fn detached(id: u64) -> tokio::task::JoinHandle<()> {
        tokio::spawn(async move { drop(id) })
    }
}

fn main() {
    Shop.place();
    drop(Shop.later());
    Shop.tagged(1);
    let _handle: tokio::task::JoinHandle<()> = Shop::detached(1);
}
