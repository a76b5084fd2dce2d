use throughline::traced;

#[traced]
fn plain() {
    break;
}

#[traced]
async fn later() {
    continue;
}

fn main() {
    plain();
    drop(later());
}
