//! A method of `#[async_trait]` returns a boxed future, which is no job.

use std::sync::Arc;

use async_trait::async_trait;
use throughline::traced_spawn;

#[async_trait]
trait Mailer: Sync + Send + 'static {
    #[traced_spawn]
    async fn send(self: Arc<Self>, to: String) {
        drop(to);
    }
}

struct Smtp;

impl Smtp {
    async fn connect(&self) {}
}

#[async_trait]
trait Receipts {
    async fn print(&self, order_no: u64);
}

#[async_trait]
impl Receipts for Smtp {
    #[traced_spawn(link)]
    async fn print(&self, order_no: u64) {
        self.connect().await;
        drop(order_no);
    }
}

fn main() {}
