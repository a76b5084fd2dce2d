use throughline::{biz_tags, traced};

#[biz_tags(hash(mask(phone)))]
fn mask_in_hash(phone: String) {}

#[traced(tags(mask(hash(phone))))]
fn hash_in_mask(phone: String) {}

fn main() {
    mask_in_hash(String::new());
    hash_in_mask(String::new());
}
