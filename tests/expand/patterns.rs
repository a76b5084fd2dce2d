use throughline::{biz_tags, traced};

struct Path<T>(T);

struct Order {
    no: u64,
    lines: Vec<u64>,
}

// `mut` goes to where the argument is bound anew.
#[traced]
fn count(mut total: u64, more: u64) -> u64 {
    total += more;
    total
}

// A pattern that binds all of its argument can stay.
#[biz_tags(tenant_id)]
fn whole(Path(tenant_id): Path<String>, (a, b): (u64, u64)) -> u64 {
    a + b + tenant_id.len() as u64
}

// One that leaves a part goes into the body, so that the part is dropped in its turn; the tag looks
// at the argument through a borrowing form of it.
#[traced(tags(no))]
fn part(Order { no, mut lines }: Order, _: String, (first, _): (u64, String)) -> u64 {
    lines.push(first);
    no + lines.len() as u64
}

impl Order {
    // `self` cannot be bound anew, so it is captured ahead of the others.
    #[traced]
    fn close(self, note: String) -> usize {
        drop(note);
        self.lines.len()
    }
}
