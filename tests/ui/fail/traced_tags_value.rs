use throughline::traced;

#[traced(tags = tenant_id)]
fn equals(tenant_id: String) {}

#[traced(tags())]
fn empty(tenant_id: String) {}

#[traced(tags)]
fn nothing(tenant_id: String) {}

#[traced(tags[tenant_id])]
fn brackets(tenant_id: String) {}

fn main() {
    equals(String::new());
    empty(String::new());
    nothing(String::new());
    brackets(String::new());
}
