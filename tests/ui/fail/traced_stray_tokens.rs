use throughline::traced;

#[traced(5)]
fn number() {}

#[traced(, root)]
fn comma() {}

#[traced(kind = server;)]
fn semicolon() {}

#[traced((root))]
fn parentheses() {}

fn main() {
    number();
    comma();
    semicolon();
    parentheses();
}
