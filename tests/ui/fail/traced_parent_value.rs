use throughline::traced;

#[traced(parent)]
fn nothing() {}

#[traced(parent = )]
fn no_value() {}

#[traced(parent, kind = server)]
fn before_the_next() {}

#[traced(parent(message))]
fn parentheses(message: opentelemetry::Context) {}

fn main() {
    nothing();
    no_value();
    before_the_next();
    parentheses(opentelemetry::Context::new());
}
