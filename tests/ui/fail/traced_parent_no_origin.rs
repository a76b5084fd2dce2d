use throughline::traced;

#[traced(parent = no)]
fn argument(no: i32) {}

#[traced(parent = message.headers)]
fn field(message: Message) {}

#[traced(parent = nowhere)]
fn unknown() {}

struct Message {
    headers: String,
}

fn main() {
    argument(1);
    field(Message { headers: String::new() });
    unknown();
}
