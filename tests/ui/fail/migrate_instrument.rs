use throughline::{biz_tags, traced, traced_spawn};

struct Orders;

impl Orders {
    #[traced(skip(self, token), fields(order_no = order_no, user.id = %user.id(), total = tracing::field::Empty))]
    fn place(&self, order_no: u64, user: User, token: &str) {}
}

#[traced(skip_all, fields(?path, "http.method" = method), level = "debug", target = "shop::orders")]
fn options(path: &str, method: &str) {}

#[traced(fields(total, state = Empty))]
fn only_later() {}

#[traced(fields(request.id = %id, tracing::field::Empty), name: "place")]
fn other_syntax(id: u64) {}

#[traced(parent = None, follows_from = causes.iter().map(|cause| cause.id()))]
fn origins(causes: Vec<Cause>) {}

#[traced(parent: None, kind: server)]
fn colons() {}

#[traced(parent: request.context())]
fn parent_colon(request: Request) {}

#[traced(skip(token) fields(order_no) err(Debug) kind: client)]
fn without_commas(order_no: u64, token: &str) -> Result<(), String> {
    Ok(())
}

#[traced(skip_all fields(order_no = order_no))]
fn nothing_and_a_field(order_no: u64) {}

#[traced_spawn(skip_all, level = tracing::Level::INFO)]
async fn job(token: String) {}

#[traced(tags(total = tracing::field::Empty, state = field::Empty, order_no))]
fn tags(order_no: u64) {}

#[biz_tags(total = Empty)]
fn facts() {}

pub struct User;

impl User {
    fn id(&self) -> u64 {
        1
    }
}

pub struct Cause;
pub struct Request;

#[traced(fields(otel.kind = "client", otel.name = "GET /", otel.status_code = Empty, path))]
fn special_fields(path: &str) {}

#[traced(fields(otel.kind = ?SpanKind::Server, otel.name = format!("GET {path}"), ?path))]
fn special_fields_with_values(path: &str) {}

#[traced(fields(otel.kind = kind(path)))]
fn computed_kind(path: &str) {}

#[traced(parent = tracing::Span::none())]
fn without_parent() {}

#[biz_tags(skip_all, fields(path))]
fn fields_as_tags(path: &str) {}

#[biz_tags(skip(path))]
fn skipped(path: &str) {}

fn main() {
    Orders.place(1, User, "");
    options("", "");
    only_later();
    other_syntax(1);
    origins(Vec::new());
    colons();
    parent_colon(Request);
    let _handle: tokio::task::JoinHandle<()> = job(String::new());
    tags(1);
    facts();
    User.id();
}
