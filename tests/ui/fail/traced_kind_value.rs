use throughline::traced;

#[traced(kind = serber)]
fn mistyped() {}

#[traced(kind = "server")]
fn quoted() {}

#[traced(kind = SpanKind::Server)]
fn path() {}

#[traced(kind)]
fn nothing() {}

#[traced(kind = )]
fn no_value() {}

#[traced(kind(server))]
fn parentheses() {}

fn main() {
    mistyped();
    quoted();
    path();
    nothing();
    no_value();
    parentheses();
}
