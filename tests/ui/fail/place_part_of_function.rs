use throughline::{biz_tags, traced, traced_spawn};

fn traced_parts() {
    let closure = #[traced]
    |no: u64| no + 1;

    let later = #[traced]
    async move { 1 };

    #[traced]
    {
        closure(1);
    }

    #[traced]
    let Some(no) = Some(1) else { return };

    #[traced]
    drop((no, later));
}

fn other_parts() {
    let job = #[traced_spawn]
    async { 1 };

    let tagged = #[biz_tags(no = 1)]
    async |no: u64| no;

    #[biz_tags(no = 1)]
    if true {}
}

fn main() {
    traced_parts();
    other_parts();
}
