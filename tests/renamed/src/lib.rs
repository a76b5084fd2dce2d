//! No crate is called `throughline` here, and every attribute is given the path of the runtime. Another crate is called
//! `core`.

#![cfg(test)]

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use futures::StreamExt as _;
use futures::stream::{Stream, iter};
use throughline_facade::telemetry;
use throughline_facade::throughline as handed_on;
use tokio::runtime::{Builder, Handle};
use trace::testing::Capture;
use trace::{biz_tags, traced, traced_spawn};

#[traced(crate = trace)]
fn renamed(n: u64) -> u64 {
    n
}

#[traced(crate = ::throughline_facade::throughline)]
async fn by_a_facade(n: u64) -> Result<u64, String> {
    Ok(n)
}

#[handed_on::traced(crate = crate::handed_on, "by a facade, too", kind = client)]
fn by_an_import(n: u64) -> impl Future<Output = u64> {
    async move { n }
}

#[traced(crate = telemetry::trace, stream)]
fn by_a_module(n: u64) -> Pin<Box<dyn Stream<Item = u64>>> {
    Box::pin(iter(0..n))
}

#[biz_tags(crate = trace, n)]
fn tags_alone(n: u64) -> u64 {
    n
}

#[biz_tags(crate = trace, n)]
#[traced]
fn only_on_the_tags(n: u64) -> u64 {
    n
}

#[traced(crate = trace)]
#[biz_tags(n)]
fn only_on_the_span(n: u64) -> u64 {
    n
}

#[traced]
#[biz_tags(crate = trace, n)]
async fn only_on_the_tags_below(n: u64) -> u64 {
    n
}

#[biz_tags(n)]
#[traced(crate = trace)]
async fn only_on_the_span_below(n: u64) -> u64 {
    n
}

#[biz_tags(n, propagate(m = n + 1))]
#[biz_tags(hash(h = n))]
#[traced(crate = telemetry::trace)]
fn only_on_the_last_of_three(n: u64) -> u64 {
    n
}

#[traced_spawn(crate = trace)]
async fn job(n: u64) -> u64 {
    n
}

#[biz_tags(n)]
#[traced_spawn(crate = ::throughline_facade::throughline, blocking)]
fn blocking(n: u64) -> u64 {
    n
}

#[traced_spawn(crate = trace, on = handle)]
async fn job_elsewhere(handle: Handle, n: u64) -> u64 {
    n
}

#[traced_spawn(crate = trace, on = handle.clone(), blocking)]
fn blocking_elsewhere(handle: &'static Handle, n: u64) -> u64 {
    n
}

#[traced_spawn(thread)]
#[biz_tags(crate = trace, n)]
fn thread(n: u64) -> u64 {
    n
}

struct Block(u64);

#[traced(crate = trace, tags(n = self.0))]
impl Block {
    fn method(&self) -> u64 {
        self.0
    }

    #[biz_tags(m)]
    fn tagged(&self, m: u64) -> u64 {
        m
    }

    #[biz_tags(m)]
    #[traced(kind = server)]
    async fn told_again(&self, m: u64) -> u64 {
        m
    }

    #[traced(skip)]
    const fn new() -> Self {
        Self(1)
    }
}

struct Detached;

#[traced(crate = trace)]
impl Detached {
    #[traced_spawn]
    async fn job_of_a_block(self: Arc<Self>) -> u64 {
        1
    }
}

macro_rules! by_a_macro {
    ($krate:path, $name:ident) => {
        #[traced(crate = $krate)]
        fn $name(n: u64) -> u64 {
            n
        }
    };
}

by_a_macro!(trace, path_of_a_macro);

#[test]
fn the_runtime_is_found() {
    let capture = Capture::new();
    let runtime = Builder::new_current_thread().build().unwrap();
    let called = capture.run_async(async {
        let block = Block::new();
        let mut sum = renamed(1) + tags_alone(1) + only_on_the_tags(1) + only_on_the_span(1);
        sum += only_on_the_last_of_three(1) + path_of_a_macro(1) + block.method() + block.tagged(1);
        sum += by_a_facade(1).await.unwrap() + by_an_import(1).await + by_a_module(1).count().await as u64;
        sum += only_on_the_tags_below(1).await + only_on_the_span_below(1).await + block.told_again(1).await;
        sum += job(1).await.unwrap() + blocking(1).await.unwrap() + thread(1).join().unwrap();
        sum += Arc::new(Detached).job_of_a_block().await.unwrap();
        sum += job_elsewhere(Handle::current(), 1).await.unwrap();
        sum += blocking_elsewhere(Box::leak(Box::new(Handle::current())), 1).await.unwrap();
        assert_eq!(sum, 20);
    });
    runtime.block_on(called);
    let tagged = [
        "only_on_the_tags",
        "only_on_the_span",
        "only_on_the_tags_below",
        "only_on_the_span_below",
        "only_on_the_last_of_three",
        "blocking",
        "thread",
        "Block::method",
    ];
    for name in tagged {
        assert_eq!(capture.span(name).attribute("n"), Some(&1.into()), "{name}");
    }
    assert_eq!(capture.spans().len(), 19);
    assert_eq!(capture.open(), 0);
}
