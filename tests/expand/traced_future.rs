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

struct Orders<T>(T);

impl<T: Send + 'static> Orders<T> {
    // The bounds of `T` are not seen here.
    #[traced]
    fn first(self) -> Pin<Box<dyn Future<Output = Option<T>> + Send>> {
        let first = self.0;
        Box::pin(async move { Some(first) })
    }
}
