use throughline::traced;

unsafe fn raw() {}

#[traced]
fn plain() {
    raw();
}

#[traced]
unsafe fn marked() {}

fn main() {
    plain();
    marked();
}
