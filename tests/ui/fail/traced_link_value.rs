use throughline::traced;

#[traced(link)]
fn link() {}

#[traced(links)]
fn links() {}

#[traced(links = )]
fn no_value() {}

fn main() {
    link();
    links();
    no_value();
}
