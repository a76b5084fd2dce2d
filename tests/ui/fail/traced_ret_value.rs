use throughline::traced;

#[traced(ret = display)]
fn unknown() -> u64 {
    1
}

#[traced(ret = "debug")]
fn quoted() -> u64 {
    1
}

#[traced(ret(debug))]
fn parentheses() -> u64 {
    1
}

#[traced(ret = )]
fn no_value() -> u64 {
    1
}

fn main() {
    unknown();
    quoted();
    parentheses();
    no_value();
}
