use throughline::biz_tags;

#[biz_tags(order_no = req.order_no)]
fn place(request: u64) {}

#[biz_tags(tenant_id = self.tenant_id)]
fn free(id: u64) {}

fn main() {
    place(1);
    free(1);
}
