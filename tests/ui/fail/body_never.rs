use throughline::traced;

#[traced]
fn plain() -> ! {
    1
}

#[traced]
async fn later() -> ! {
    1
}

fn main() {
    drop(later());
    plain();
}
