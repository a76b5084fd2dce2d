use throughline::traced;

const NUMBER: u32 = 5;

#[traced(name = NUMBER)]
fn number() {}

#[traced(name = NOWHERE)]
fn unknown() {}

fn main() {
    number();
    unknown();
}
