use throughline::biz_tags;

#[biz_tags("" = id)]
fn empty(id: u64) {}

#[biz_tags("order no" = id)]
fn space(id: u64) {}

#[biz_tags("order\n" = id)]
fn line_break(id: u64) {}

#[biz_tags(5 = id)]
fn number(id: u64) {}

#[biz_tags(biz.order = id)]
fn dotted_without_quotes(id: u64) {}

#[biz_tags(id, crate = ::throughline)]
fn path_not_first(id: u64) {}

fn main() {
    path_not_first(1);
    empty(1);
    space(1);
    line_break(1);
    number(1);
    dotted_without_quotes(1);
}
