use std::borrow::Cow;
use std::ffi::{CStr, OsStr};
use std::path::Path;

use throughline::traced_spawn;
use tokio::task::JoinHandle;

struct Order;

#[traced_spawn]
async fn text(tenant_id: &str) {}

#[traced_spawn]
async fn reference(order: &Order) {}

#[traced_spawn]
async fn exclusive(order: &mut Order) {}

#[traced_spawn]
async fn slice(orders: &[Order]) {}

#[traced_spawn]
async fn path(file: &Path) {}

#[traced_spawn]
async fn os_text(name: &OsStr) {}

#[traced_spawn]
async fn c_text(name: &CStr) {}

#[traced_spawn(blocking)]
fn cow(tenant_id: Cow<'_, str>) {}

#[traced_spawn(thread)]
fn object(check: &dyn Fn(u8) -> bool) {}

#[traced_spawn]
async fn inside(tenant_id: Option<&str>) {}

#[traced_spawn]
async fn named<'a>(tenant_id: &'a str) {}

#[traced_spawn]
async fn pattern((tenant_id, no): (&str, u64)) {}

#[traced_spawn]
async fn two(tenant_id: &str, order: &Order) {}

fn main() {
    let _handle: JoinHandle<()> = text("acme");
    let _handle: JoinHandle<()> = reference(&Order);
    let _handle: JoinHandle<()> = exclusive(&mut Order);
    let _handle: JoinHandle<()> = slice(&[Order]);
    let _handle: JoinHandle<()> = path(Path::new("/"));
    let _handle: JoinHandle<()> = os_text(OsStr::new("acme"));
    let _handle: JoinHandle<()> = c_text(c"acme");
    let _handle: JoinHandle<()> = cow("acme".into());
    let _handle: std::thread::JoinHandle<()> = object(&|no| no > 1);
    let _handle: JoinHandle<()> = inside(Some("acme"));
    let _handle: JoinHandle<()> = named("acme");
    let _handle: JoinHandle<()> = pattern(("acme", 1));
    let _handle: JoinHandle<()> = two("acme", &Order);
}
