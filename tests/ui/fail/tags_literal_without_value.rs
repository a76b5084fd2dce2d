use throughline::biz_tags;

#[biz_tags("biz.order_no")]
fn text(order_no: u64) {}

#[biz_tags(5)]
fn number() {}

fn main() {
    text(1);
    number();
}
