use throughline::{traced, traced_spawn};

#[traced]
fn without_type(x) {}

#[traced_spawn]
async fn default_value(x: u8 = 1) {}

unsafe extern "C" {
    #[traced]
    safe fn foreign(x: u8);
}

fn main() {}
