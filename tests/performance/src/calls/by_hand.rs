//! The OpenTelemetry API by hand, with the same attributes.

use std::hint::black_box;
use std::sync::OnceLock;

use opentelemetry::trace::{FutureExt as _, TraceContextExt as _, Tracer as _};
use opentelemetry::{Context, ContextGuard, KeyValue, global};
use opentelemetry_sdk::trace::SdkTracer;

use super::{plain, plain_async};

static TRACER: OnceLock<SdkTracer> = OnceLock::new();

/// Sets the tracer of all spans by hand in this process.
///
/// # Panics
///
/// The second time.
pub fn set_tracer(tracer: SdkTracer) {
    assert!(TRACER.set(tracer).is_ok(), "set once in a process");
}

fn tracer() -> &'static SdkTracer {
    TRACER.get().expect("set with the telemetry")
}

fn place(function: &'static str, line: u32) -> [KeyValue; 3] {
    [
        KeyValue::new("code.function.name", function),
        KeyValue::new("code.file.path", file!()),
        KeyValue::new("code.line.number", i64::from(line)),
    ]
}

fn open(name: &'static str, function: &'static str, line: u32, tenant_id: &str, order_no: i64) -> Context {
    let [function, file, line] = place(function, line);
    let attributes =
        [function, file, line, KeyValue::new("tenant_id", tenant_id.to_owned()), KeyValue::new("order_no", order_no)];
    let tracer = tracer();
    Context::current_with_span(tracer.span_builder(name).with_attributes(attributes).start(tracer))
}

macro_rules! steps {
    ($($name:ident / $name_async:ident => $next:path, $next_async:path;)*) => {
        $(
            fn $name(tenant_id: &str, order_no: i64) -> usize {
                let function = concat!(module_path!(), "::", stringify!($name));
                let _guard = open(stringify!($name), function, line!(), tenant_id, order_no).attach();
                $next(tenant_id, order_no)
            }

            async fn $name_async(tenant_id: &str, order_no: i64) -> usize {
                let function = concat!(module_path!(), "::", stringify!($name_async));
                let context = open(stringify!($name), function, line!(), tenant_id, order_no);
                $next_async(tenant_id, order_no).with_context(context).await
            }
        )*
    };
}
steps! {
    step_1 / step_1_async => step_2, step_2_async;
    step_2 / step_2_async => step_3, step_3_async;
    step_3 / step_3_async => step_4, step_4_async;
    step_4 / step_4_async => step_5, step_5_async;
    step_5 / step_5_async => step_6, plain_async;
    step_6 / step_6_async => plain, plain_async;
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

pub(super) async fn leaf_yielding(tenant_id: &str, order_no: i64) -> usize {
    let function = concat!(module_path!(), "::leaf_yielding");
    let context = open("step_yielding", function, line!(), tenant_id, order_no);
    super::yielding(tenant_id, order_no).with_context(context).await
}

pub(super) fn global_leaf(tenant_id: &str, order_no: i64) -> usize {
    let _guard = open_global(tenant_id, order_no).attach();
    plain(tenant_id, order_no)
}

pub(super) async fn global_leaf_async(tenant_id: &str, order_no: i64) -> usize {
    plain_async(tenant_id, order_no).with_context(open_global(tenant_id, order_no)).await
}

fn open_global(tenant_id: &str, order_no: i64) -> Context {
    let tracer = global::tracer("by_hand");
    let attributes = [KeyValue::new("tenant_id", tenant_id.to_owned()), KeyValue::new("order_no", order_no)];
    Context::current_with_span(tracer.span_builder("step_6").with_attributes(attributes).start(&tracer))
}

fn attach(name: &'static str) -> ContextGuard {
    Context::current_with_span(tracer().start(name)).attach()
}

pub(super) fn root<R>(work: impl FnOnce() -> R) -> R {
    let _guard = attach("step_root");
    work()
}

pub(super) fn nested(depth: usize, work: &mut dyn FnMut()) {
    let [function, file, line] = place(concat!(module_path!(), "::nested"), line!());
    let depth_tag = KeyValue::new("depth", i64::try_from(depth).unwrap_or(i64::MAX));
    let tracer = tracer();
    let span = tracer.span_builder("step_nested").with_attributes([function, file, line, depth_tag]).start(tracer);
    let _guard = Context::current_with_span(span).attach();
    if depth > 1 { nested(depth - 1, work) } else { work() }
}

pub(super) async fn waiting(tenant_id: &str, order_no: i64) {
    let context = open("step_waiting", concat!(module_path!(), "::waiting"), line!(), tenant_id, order_no);
    std::future::pending::<()>().with_context(context).await;
}

fn untagged(value: i64) {
    let place = place(concat!(module_path!(), "::untagged"), line!());
    let tracer = tracer();
    let span = tracer.span_builder("step_tagged").with_attributes(place).start(tracer);
    let _guard = Context::current_with_span(span).attach();
    black_box(value);
}

macro_rules! tagged {
    ($($count:literal => $name:ident($($tag:ident)*);)*) => {
        $(
            fn $name(value: i64) {
                let [function, file, line] = place(concat!(module_path!(), "::", stringify!($name)), line!());
                let attributes = [function, file, line, $(KeyValue::new(stringify!($tag), value)),*];
                let tracer = tracer();
                let span = tracer.span_builder("step_tagged").with_attributes(attributes).start(tracer);
                let _guard = Context::current_with_span(span).attach();
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
