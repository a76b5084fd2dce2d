use throughline::traced;

trait Orders {
    async fn count(&self) -> u64;
    fn total(&self, no: u64) -> u64;
    async fn clear(&self);
}

struct Store;

impl Orders for Store {
    #[traced]
    async fn count(&self) -> u32 {
        1
    }

    #[traced]
    async fn total(&self, no: u64) -> u64 {
        no
    }

    #[traced]
    async fn clear(&self, all: bool) {}
}

fn main() {}
