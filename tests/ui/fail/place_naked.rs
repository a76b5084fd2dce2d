use throughline::{biz_tags, traced};

#[traced]
#[unsafe(naked)]
extern "C" fn above() {
    core::arch::naked_asm!("ret")
}

#[unsafe(naked)]
#[biz_tags(no = 1)]
extern "C" fn below() {
    core::arch::naked_asm!("ret")
}

fn main() {
    above();
    below();
}
