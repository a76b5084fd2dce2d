use throughline::{biz_tags, traced};

struct Request {
    phone: String,
}

#[biz_tags(phone = mask(req.phone))]
fn mask_value(req: Request) {}

#[traced(tags("biz.user" = hash(user_id)))]
fn hash_value(user_id: u64) {}

#[biz_tags(mask(req.phone))]
fn without_a_name(req: Request) {}

fn main() {
    mask_value(Request { phone: String::new() });
    hash_value(1);
    without_a_name(Request { phone: String::new() });
    let _ = Request { phone: String::new() }.phone;
}
