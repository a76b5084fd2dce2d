//! `#[tracing::instrument]`. The layer adds the source location.

use std::hint::black_box;

use tracing::instrument;

use super::plain;

macro_rules! steps {
    ($($name:ident / $name_async:ident => $next:path, $next_async:path;)*) => {
        $(
            #[instrument(skip_all, fields(tenant_id = tenant_id, order_no = order_no))]
            fn $name(tenant_id: &str, order_no: i64) -> usize {
                $next(tenant_id, order_no)
            }

            #[instrument(skip_all, fields(tenant_id = tenant_id, order_no = order_no))]
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

#[instrument(name = "step_yielding", skip_all, fields(tenant_id = tenant_id, order_no = order_no))]
pub(super) async fn leaf_yielding(tenant_id: &str, order_no: i64) -> usize {
    super::yielding(tenant_id, order_no).await
}

#[instrument(name = "step_root", skip_all)]
pub(super) fn root<R>(work: impl FnOnce() -> R) -> R {
    work()
}

#[instrument(name = "step_nested", skip_all, fields(depth = depth))]
pub(super) fn nested(depth: usize, work: &mut dyn FnMut()) {
    if depth > 1 { nested(depth - 1, work) } else { work() }
}

#[instrument(name = "step_waiting", skip_all, fields(tenant_id = tenant_id, order_no = order_no))]
pub(super) async fn waiting(tenant_id: &str, order_no: i64) {
    std::future::pending::<()>().await;
}

#[instrument(name = "step_tagged", skip_all)]
fn untagged(value: i64) {
    black_box(value);
}

macro_rules! tagged {
    ($($count:literal => $name:ident($($tag:ident)*);)*) => {
        $(
            #[instrument(name = "step_tagged", skip_all, fields($($tag = value),*))]
            fn $name(value: i64) {
                black_box(value);
            }
        )*

        pub(super) fn tagged(tags: usize, value: i64) {
            match tags {
                0 => untagged(value),
                $($count => $name(value),)*
                _ => panic!("no function with {tags} tags"),
            }
        }
    };
}
super::for_each_number_of_tags!(tagged);
