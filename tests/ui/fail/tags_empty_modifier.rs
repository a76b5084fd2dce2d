use throughline::biz_tags;

#[biz_tags(mask())]
fn alone(phone: String) {}

#[biz_tags(propagate(mask()))]
fn nested(phone: String) {}

#[biz_tags(mask)]
fn without_parentheses(phone: String) {}

fn main() {
    alone(String::new());
    nested(String::new());
    without_parentheses(String::new());
}
