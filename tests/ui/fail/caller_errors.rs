//! A caller that is wrong is told so at the call, and pointed to the function as it was written.

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
