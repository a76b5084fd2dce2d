use throughline::traced;

#[traced]
fn not_an_iterator() -> impl Iterator<Item = u64> {
    1u64
}

#[traced]
fn not_boxed() -> std::pin::Pin<Box<dyn Future<Output = u64>>> {
    async { 1u64 }
}

fn main() {
    drop(not_an_iterator());
    drop(not_boxed());
}
