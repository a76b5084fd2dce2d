//! One mistake does not hide the next.

use throughline::{biz_tags, traced};

#[traced(nam = "place", kind = serber, tags(order), err = yes)]
#[biz_tags(tenent_id, mask(), phone = mask(phone))]
fn place(tenant_id: String, phone: String) -> Result<(), String> {
    Ok(())
}

fn main() {
    let _ = place(String::new(), String::new());
}
