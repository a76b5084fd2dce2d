use opentelemetry::Context;
use throughline::traced;

#[traced(links = message)]
fn one(message: Context) {}

#[traced(links = 5)]
fn number() {}

#[traced(links = numbers)]
fn of_numbers(numbers: Vec<i32>) {}

fn main() {
    one(Context::new());
    number();
    of_numbers(Vec::new());
}
