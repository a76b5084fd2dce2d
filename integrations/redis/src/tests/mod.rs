//! A connection with canned replies, and the tests that have no file of their own.

mod commands;
mod stream;

use std::collections::VecDeque;
use std::future::Future;
use std::pin::pin;
use std::task::{Context as TaskContext, Poll, Waker};

use redis::{Cmd, ConnectionLike, Pipeline, RedisFuture, RedisResult, Value, aio};
use throughline::testing::Capture;

use super::*;

/// Answers each command with the next reply. If there is none, an asynchronous command never completes.
#[derive(Clone, Default)]
struct Canned {
    replies: VecDeque<RedisResult<Value>>,
    sent: Vec<Vec<u8>>,
}

impl Canned {
    fn new(replies: impl IntoIterator<Item = RedisResult<Value>>) -> Self {
        Self { replies: replies.into_iter().collect(), sent: Vec::new() }
    }
}

impl aio::ConnectionLike for Canned {
    fn req_packed_command<'a>(&'a mut self, cmd: &'a Cmd) -> RedisFuture<'a, Value> {
        Box::pin(async move {
            self.sent.push(cmd.get_packed_command());
            match self.replies.pop_front() {
                Some(reply) => reply,
                None => std::future::pending().await,
            }
        })
    }

    fn req_packed_commands<'a>(
        &'a mut self,
        pipeline: &'a Pipeline,
        _offset: usize,
        _count: usize,
    ) -> RedisFuture<'a, Vec<Value>> {
        Box::pin(async move {
            self.sent.push(pipeline.get_packed_pipeline());
            self.replies.drain(..).collect()
        })
    }

    fn get_db(&self) -> i64 {
        3
    }
}

impl ConnectionLike for Canned {
    fn req_packed_command(&mut self, cmd: &[u8]) -> RedisResult<Value> {
        self.sent.push(cmd.to_vec());
        self.replies.pop_front().unwrap_or(Ok(Value::Nil))
    }

    fn req_packed_commands(&mut self, cmd: &[u8], _offset: usize, _count: usize) -> RedisResult<Vec<Value>> {
        self.sent.push(cmd.to_vec());
        self.replies.drain(..).collect()
    }

    fn get_db(&self) -> i64 {
        3
    }

    fn check_connection(&mut self) -> bool {
        true
    }

    fn is_open(&self) -> bool {
        true
    }
}

/// An error on the wire, as parsed by `redis`.
fn error(line: &str) -> Value {
    redis::parse_redis_value(format!("-{line}\r\n").as_bytes()).expect("an error is a reply")
}

fn now<F: Future>(future: F) -> F::Output {
    match pin!(future).poll(&mut TaskContext::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("a canned reply is ready at once"),
    }
}

fn attributes(capture: &Capture, name: &str) -> Vec<String> {
    let mut lines: Vec<_> =
        capture.span(name).attributes.iter().map(|tag| format!("{}={}", tag.key, tag.value)).collect();
    lines.sort();
    lines
}

#[test]
fn the_wrapper_has_the_traits_of_the_connection() {
    fn usable<T: aio::ConnectionLike + Clone + Send + Sync + Unpin + std::fmt::Debug + 'static>() {}
    usable::<TracedConnection<aio::MultiplexedConnection>>();
    let client = Client::open("redis://db.example:6380/2").expect("an address");
    let connection = traced(Canned::default()).client(&client);
    assert!(format!("{connection:?}").contains("db.example"));
    assert!(connection.into_inner().sent.is_empty());
}

#[test]
fn texts_of_errors_show_no_arguments() {
    let _connection = traced(Canned::default());
    let said = "cannot store: ERR: unknown command 'FOO', with args beginning with: 'secret' 'x'";
    let shown = throughline::redact::text(said).expect("a text");
    assert!(shown.ends_with("with args beginning with: '?'"), "{shown}");
}
