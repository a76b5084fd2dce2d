use throughline::traced;

#[traced(link = no)]
fn link(no: i32) {}

fn main() {
    link(1);
}
