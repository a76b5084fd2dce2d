use throughline::traced;

#[traced]
fn declared(no: u64);

fn main() {}
