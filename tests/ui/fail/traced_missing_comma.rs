use throughline::traced;

#[traced(root kind = server)]
fn after_a_flag() {}

#[traced(kind = server err = debug)]
fn after_a_word() -> Result<(), String> {
    Ok(())
}

#[traced("place order" root)]
fn after_the_name() {}

#[traced(tags(id) root)]
fn after_a_list(id: u64) {}

#[traced(parent = message kind = server)]
fn after_an_expression(message: opentelemetry::Context) {}

#[traced(parent = message else opentelemetry::Context::new())]
fn a_default(message: Option<opentelemetry::Context>) {}

#[traced(name = order else "order")]
fn a_default_of_an_argument(order: &'static str) {}

fn main() {
    after_a_flag();
    let _ = after_a_word();
    after_the_name();
    after_a_list(1);
    after_an_expression(opentelemetry::Context::new());
}
