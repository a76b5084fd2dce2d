use throughline::traced;

#[traced(name = 5)]
fn number() {}

#[traced(name = "")]
fn empty() {}

#[traced("  ")]
fn blank() {}

#[traced(name)]
fn nothing() {}

#[traced(name = )]
fn no_value() {}

#[traced(name = format!("order {no}"))]
fn made_at_run_time(no: u64) {}

#[traced(name = order.name())]
fn called(order: String) {}

#[traced(name("place order"))]
fn parentheses() {}

#[traced(name = order)]
fn of_an_argument(order: &'static str) {}

fn main() {
    of_an_argument("");
    number();
    empty();
    blank();
    nothing();
    no_value();
    made_at_run_time(1);
    called(String::new());
    parentheses();
}
