use throughline::{biz_tags, traced, traced_spawn};

#[traced]
fn declared(no: u64);

unsafe extern "C" {
    #[traced]
    fn foreign(no: i32) -> i32;

    #[biz_tags(no)]
    fn variadic(no: i32, ...);
}

// One mistake: this is where the job is declared.
trait Jobs {
    #[traced_spawn]
    fn run(&self) -> u64;
}

fn main() {}
