use std::pin::Pin;

use throughline::traced;

#[traced]
fn later(no: u64) -> impl Future<Output = u64> {
    async move { no }
}

// What `#[async_trait]` makes of a method.
#[traced]
fn boxed<'a>(text: &'a str) -> Pin<Box<dyn Future<Output = usize> + Send + 'a>> {
    Box::pin(async move { text.len() })
}
