use throughline::biz_tags;

#[biz_tags(id = )]
fn none(id: u64) {}

#[biz_tags(id = , no = 1)]
fn before_the_next(id: u64) {}

#[biz_tags(%)]
fn percent(id: u64) {}

#[biz_tags("id" = )]
fn dotted(id: u64) {}

#[biz_tags(id = name else)]
fn no_fallback(name: Option<u64>) {}

fn main() {
    none(1);
    before_the_next(1);
    percent(1);
    dotted(1);
    no_fallback(None);
}
