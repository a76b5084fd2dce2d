use throughline::traced;

#[traced(crate = ::nowhere)]
fn place() {}

fn main() {
    place();
}
