//! The compiler underlines the signature of a function, as it does without the attribute.
#![deny(missing_docs)]

use throughline::{biz_tags, traced};

/// Orders.
pub struct Orders;

impl Orders {
    #[traced]
    pub async fn place(&self, no: u64) -> Result<u64, String> {
        Ok(no)
    }

    #[traced(kind = client)]
    pub async fn cancel(&self) {}

    #[biz_tags(no)]
    pub async fn find(no: u64) -> [u64; 1] {
        [no]
    }

    #[traced]
    pub fn count(&self) -> u64 {
        0
    }
}

fn main() {}
