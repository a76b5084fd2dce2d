//! smoke

mod shapes;

use throughline::{biz_tags, traced, traced_spawn};
#[traced]
#[biz_tags(tenant_id, order_no = n + 1)]
async fn place(tenant_id: String, mut n: u32, (a, _): (u8, String)) -> Result<u32, std::num::ParseIntError> {
    n += u32::from(a);
    sync_child(&tenant_id);
    job(n);
    let x: u32 = "x".parse()?;
    Ok(n + x)
}
#[traced(ret)]
fn sync_child(s: &str) -> &str {
    s
}
#[traced_spawn(kind = consumer)]
async fn job(n: u32) -> u32 {
    n
}
struct S {
    v: u8,
}
#[traced(err = debug)]
impl S {
    fn get<'a>(&'a mut self) -> &'a mut u8 {
        &mut self.v
    }
    #[traced(skip)]
    const fn new() -> Self {
        Self { v: 1 }
    }
    async fn go(self) -> impl Iterator<Item = u8> {
        0..self.v
    }
    #[traced_spawn(blocking)]
    fn bg(x: u8) -> u8 {
        x
    }
}
#[tokio::test]
async fn smoke() {
    let p = opentelemetry_sdk::trace::SdkTracerProvider::builder().build();
    throughline::install(&p);
    let r = place("a".into(), 3, (1, String::new())).await;
    assert!(r.is_err());
    let mut s = S::new();
    *s.get() += 1;
    assert_eq!(s.go().await.count(), 2);
    assert_eq!(S::bg(3).await.unwrap(), 3);
}
