//! A whole `impl` block: each method gets a span, everything else is unchanged.

#![deny(warnings)]

use throughline::{biz_tags, traced, traced_spawn};

struct Orders<T>(Vec<T>);

#[traced(kind = server, err = debug, tags(service = "orders"))]
impl<T: Send + 'static> Orders<T> {
    /// How many there may be.
    const MAX: usize = 10;

    #[traced(skip)]
    const fn new() -> Self {
        Self(Vec::new())
    }

    fn add(&mut self, order: T) -> Result<usize, String> {
        if self.0.len() == Self::MAX {
            return Err("full".to_owned());
        }
        self.0.push(order);
        Ok(self.0.len())
    }

    #[traced(kind = client, "count orders")]
    async fn count(&self) -> usize {
        self.0.len()
    }

    #[biz_tags(no)]
    fn tagged(no: u64) -> u64 {
        no
    }

    #[traced_spawn(blocking)]
    fn audit(no: u64) -> u64 {
        no
    }
}

trait Describe {
    type Text: AsRef<str>;

    fn describe(&self) -> Self::Text;

    #[traced]
    fn by_default(&self) -> usize {
        self.describe().as_ref().len()
    }
}

#[traced]
impl<T> Describe for Orders<T> {
    type Text = String;

    fn describe(&self) -> Self::Text {
        format!("{} orders", self.0.len())
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let mut orders = Orders::new();
    assert_eq!(orders.add(1), Ok(1));
    assert_eq!(orders.count().await, 1);
    assert_eq!(Orders::<u8>::tagged(2), Orders::<u8>::audit(2).await.unwrap());
    assert_eq!(orders.by_default(), "1 orders".len());
}
