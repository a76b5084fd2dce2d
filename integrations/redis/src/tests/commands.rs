//! The spans of commands, and their errors.

use opentelemetry_sdk::trace::Sampler;
use redis::{AsyncCommands as _, ErrorKind};

use super::*;

#[test]
fn a_command_is_a_span() {
    let capture = Capture::new();
    let mut connection = traced(Canned::new([Ok(Value::Int(7))])).server("db.example", 6380);
    let got: i64 =
        now(capture.run_async(throughline::in_span_async("request", async { connection.incr("n", 5).await })))
            .expect("an answer");
    assert_eq!(got, 7);
    capture.assert_tree("request\n└── INCRBY [client]");
    assert_eq!(
        attributes(&capture, "INCRBY"),
        [
            "db.namespace=3",
            "db.operation.name=INCRBY",
            "db.query.text=INCRBY n ?",
            "db.system.name=redis",
            "server.address=db.example",
            "server.port=6380"
        ]
    );
}

#[test]
fn a_blocking_connection_too() {
    let capture = Capture::new();
    let replies = [Ok(Value::Okay), Ok(Value::Array(vec![Value::Int(1), error("WRONGTYPE no")]))];
    let mut connection = traced(Canned::new(replies)).hide_keys();
    let failed: RedisResult<(i64, i64)> = capture.run(|| {
        throughline::in_span("request", || {
            redis::Commands::set::<_, _, ()>(&mut connection, "k", "secret").expect("an answer");
            redis::pipe().atomic().incr("a", 1).incr("b", 1).query(&mut connection)
        })
    });
    assert!(failed.is_err());
    capture.assert_tree_with(
        &["db.query.text", "db.operation.batch.size", "db.response.status_code"],
        r#"
        request
        ├── SET [client] db.query.text="SET ? ?"
        └── MULTI INCRBY [client] !error: WRONGTYPE no db.query.text="INCRBY ? ?" db.operation.batch.size=2 db.response.status_code=WRONGTYPE
        "#,
    );
}

#[test]
fn errors_tell_their_code_and_no_arguments() {
    let io = redis::RedisError::from(std::io::Error::from(std::io::ErrorKind::ConnectionReset));
    let cases = [
        (Ok(error("ERR unknown command 'X', with args beginning with: 'secret'")), "ERR", Some("ERR")),
        (Ok(error("WRONGTYPE Operation against a key")), "WRONGTYPE", Some("WRONGTYPE")),
        (Ok(error("user secret is unknown")), "_OTHER", None),
        (Ok(Value::Array(vec![Value::Int(1), error("NOPERM no")])), "NOPERM", Some("NOPERM")),
        (Err(io), "connection_dropped", None),
        (Err((ErrorKind::Client, "said \"secret\"").into()), "client", None),
    ];
    for (reply, error_type, code) in cases {
        let capture = Capture::new();
        let plain: RedisResult<Value> = now(redis::cmd("X").query_async(&mut Canned::new([reply.clone()])));
        let mut connection = traced(Canned::new([reply]));
        let got: RedisResult<Value> =
            now(capture.run_async(async { redis::cmd("X").query_async(&mut connection).await }));
        assert_eq!(format!("{got:?}"), format!("{plain:?}"), "the caller sees no difference");
        let span = capture.span("X");
        assert!(span.is_error());
        assert_eq!(span.attribute("error.type"), Some(&error_type.into()));
        assert_eq!(span.attribute("db.response.status_code"), code.map(Into::into).as_ref());
        assert!(!format!("{span:?}").contains("secret"), "{span:?}");
    }
}

#[test]
fn a_dropped_command_is_cancelled() {
    let capture = Capture::new();
    let mut connection = traced(Canned::default());
    capture.run(|| {
        let mut waiting = connection.get::<_, ()>("k");
        assert!(waiting.as_mut().poll(&mut TaskContext::from_waker(Waker::noop())).is_pending());
        assert_eq!(capture.open(), 1);
    });
    assert!(capture.span("GET").is_cancelled());
}

#[test]
fn a_command_that_is_not_sampled_goes_through() {
    let capture = Capture::with_sampler(Sampler::AlwaysOff);
    let mut connection = traced(Canned::new([Ok(Value::Okay), Ok(Value::Nil)]));
    capture.run(|| {
        throughline::in_span("request", || {
            let _: () = now(connection.set("k", 1)).expect("an answer");
            let _: Option<String> = now(connection.xadd_traced("s", "*", &[("f", 1)])).expect("an answer");
        });
    });
    assert!(capture.spans().is_empty());
    let sent = String::from_utf8_lossy(&connection.get_ref().sent[1]).into_owned();
    let flags = sent.split("traceparent").nth(1).expect("the context is passed on");
    assert!(flags.contains("-00\r\n"), "{sent}");
}
