//! A type error in a call is reported at the call, and refers to the original function.

use throughline::{traced, traced_spawn};

#[traced]
fn place(tenant_id: String, no: u64) {
    drop((tenant_id, no));
}

#[traced_spawn]
async fn job(no: u64) -> u64 {
    no
}

fn main() {
    place(1, 2);
    place(String::new());
    job("text");
    private::hidden();
}

mod private {
    #[throughline::traced]
    fn hidden() {}
}
