use throughline::biz_tags;

#[biz_tags(mask(mask(phone)))]
fn direct(phone: String) {}

#[biz_tags(required(propagate(required(phone))))]
fn further_in(phone: String) {}

fn main() {
    direct(String::new());
    further_in(String::new());
}
