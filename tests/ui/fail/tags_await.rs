use throughline::biz_tags;

#[biz_tags(tenant = lookup().await)]
async fn place() {}

async fn lookup() -> String {
    String::new()
}

fn main() {
    drop(place());
}
