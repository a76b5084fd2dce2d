//! `#[traced]`.

use std::hint::black_box;

use throughline::{biz_tags, traced};

use super::plain;

macro_rules! steps {
    ($($name:ident / $name_async:ident => $next:path, $next_async:path;)*) => {
        $(
            #[traced(tags(tenant_id, order_no))]
            fn $name(tenant_id: &str, order_no: i64) -> usize {
                $next(tenant_id, order_no)
            }

            #[traced(name = stringify!($name), tags(tenant_id, order_no))]
            async fn $name_async(tenant_id: &str, order_no: i64) -> usize {
                $next_async(tenant_id, order_no).await
            }
        )*
    };
}
steps! {
    step_1 / step_1_async => step_2, step_2_async;
    step_2 / step_2_async => step_3, step_3_async;
    step_3 / step_3_async => step_4, step_4_async;
    step_4 / step_4_async => step_5, step_5_async;
    step_5 / step_5_async => step_6, super::plain_async;
    step_6 / step_6_async => plain, super::plain_async;
}

pub(super) fn request(tenant_id: &str, order_no: i64) -> usize {
    step_1(tenant_id, order_no)
}

pub(super) async fn request_async(tenant_id: &str, order_no: i64) -> usize {
    step_1_async(tenant_id, order_no).await
}

pub(super) fn leaf(tenant_id: &str, order_no: i64) -> usize {
    step_6(tenant_id, order_no)
}

pub(super) async fn leaf_async(tenant_id: &str, order_no: i64) -> usize {
    step_6_async(tenant_id, order_no).await
}

#[traced(name = "step_yielding", tags(tenant_id, order_no))]
pub(super) async fn leaf_yielding(tenant_id: &str, order_no: i64) -> usize {
    super::yielding(tenant_id, order_no).await
}

#[traced(name = "step_biz_tags")]
#[biz_tags(tenant_id, order_no)]
pub(super) fn biz_tags_leaf(tenant_id: &str, order_no: i64) -> usize {
    plain(tenant_id, order_no)
}

#[traced(name = "step_biz_tags")]
#[biz_tags(tenant_id, order_no)]
pub(super) async fn biz_tags_leaf_async(tenant_id: &str, order_no: i64) -> usize {
    plain(tenant_id, order_no)
}

#[traced(name = "step_root")]
pub(super) fn root<R>(work: impl FnOnce() -> R) -> R {
    work()
}

#[traced(name = "step_nested", tags(depth))]
pub(super) fn nested(depth: usize, work: &mut dyn FnMut()) {
    if depth > 1 { nested(depth - 1, work) } else { work() }
}

#[traced(name = "step_waiting", tags(tenant_id, order_no))]
pub(super) async fn waiting(tenant_id: &str, order_no: i64) {
    std::future::pending::<()>().await;
}

#[traced(name = "step_tagged")]
fn untagged(value: i64) {
    black_box(value);
}

macro_rules! tagged {
    ($($count:literal => $name:ident($($tag:ident)*);)*) => {
        mod own {
            use super::*;
            $(
                #[traced(name = "step_tagged", tags($($tag = value),*))]
                pub(super) fn $name(value: i64) {
                    black_box(value);
                }
            )*
        }

        mod inherited {
            use super::*;
            $(
                #[traced(name = "step_tagged")]
                #[biz_tags($($tag = value),*)]
                pub(super) fn $name(value: i64, work: &mut dyn FnMut()) {
                    let _ = value;
                    work()
                }
            )*
        }

        pub(super) fn tagged(tags: usize, value: i64) {
            match tags {
                0 => untagged(value),
                $($count => own::$name(value),)*
                _ => panic!("no function with {tags} tags"),
            }
        }

        pub(super) fn below_biz_tags(tags: usize, value: i64, work: &mut dyn FnMut()) {
            match tags {
                0 => root(work),
                $($count => inherited::$name(value, work),)*
                _ => panic!("no function with {tags} tags"),
            }
        }
    };
}
super::for_each_number_of_tags!(tagged);
