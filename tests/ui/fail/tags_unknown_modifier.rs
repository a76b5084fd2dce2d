use throughline::biz_tags;

#[biz_tags(requierd(tenant_id))]
fn mistyped(tenant_id: String) {}

#[biz_tags(encrypt(phone))]
fn unknown(phone: String) {}

#[biz_tags(propagate(hsah(phone)))]
fn nested(phone: String) {}

fn main() {
    mistyped(String::new());
    unknown(String::new());
    nested(String::new());
}
