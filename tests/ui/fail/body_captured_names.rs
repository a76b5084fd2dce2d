use std::sync::Arc;
use std::thread;

use throughline::traced;

fn detached(_: impl Future<Output = ()> + 'static) {}

struct Orders {
    numbers: Vec<u64>,
}

impl Orders {
    async fn load(&self) {}

    #[traced]
    fn in_thread(self) {
        thread::spawn(|| self.numbers.len());
    }

    #[traced]
    async fn in_task(self: Arc<Self>) {
        detached(async { self.load().await });
    }

    #[traced]
    fn push(&self, no: u64) {
        self.numbers.push(no);
    }

    #[traced]
    async fn take(&mut self) -> Vec<u64> {
        self.numbers
    }
}

fn main() {
    let mut orders = Orders { numbers: Vec::new() };
    orders.push(1);
    drop(orders.take());
    Arc::new(orders).in_task();
}
