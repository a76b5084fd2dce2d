//! The spans of commands, and their errors.

use std::io;

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
fn a_command_on_a_blocking_connection_is_a_span() {
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
fn errors_have_their_code_and_no_arguments() {
    let io = |kind: io::ErrorKind| Err(redis::RedisError::from(io::Error::from(kind)));
    let map = Value::Map(vec![(Value::Int(1), Value::Set(vec![error("NOPERM no")]))]);
    let attribute = Value::Attribute { data: Box::new(error("NOPERM no")), attributes: Vec::new() };
    let cases = [
        (Ok(error("ERR unknown command 'X', with args beginning with: 'secret'")), "ERR", Some("ERR")),
        (Ok(error("WRONGTYPE Operation against a key")), "WRONGTYPE", Some("WRONGTYPE")),
        (Ok(error("user secret is unknown")), "_OTHER", None),
        (Ok(Value::Array(vec![Value::Int(1), error("NOPERM no")])), "NOPERM", Some("NOPERM")),
        (Ok(map), "NOPERM", Some("NOPERM")),
        (Ok(attribute), "NOPERM", Some("NOPERM")),
        (io(io::ErrorKind::ConnectionReset), "connection_dropped", None),
        (io(io::ErrorKind::ConnectionRefused), "connection_refused", None),
        (io(io::ErrorKind::TimedOut), "timeout", None),
        (io(io::ErrorKind::PermissionDenied), "io", None),
        (Err((ErrorKind::Client, "said \"secret\"").into()), "client", None),
        (Err((ErrorKind::InvalidClientConfig, "said \"secret\"").into()), "client", None),
        (Err((ErrorKind::Parse, "no reply").into()), "parse", None),
        (Err((ErrorKind::AuthenticationFailed, "no password").into()), "authentication_failed", None),
        (Err((ErrorKind::UnexpectedReturnType, "no list").into()), "unexpected_return_type", None),
        (Err((ErrorKind::ClusterConnectionNotFound, "no node").into()), "cluster_connection_not_found", None),
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
    let flags = sent.split("traceparent").nth(1).expect("the context is propagated");
    assert!(flags.contains("-00\r\n"), "{sent}");
}

/// What `redis::Script` does.
fn invoke(evalsha: &Cmd, mut send: impl FnMut(&Cmd) -> RedisResult<Value>) -> RedisResult<Value> {
    match send(evalsha) {
        Err(error) if error.code() == Some("NOSCRIPT") => {
            send(redis::cmd("SCRIPT").arg("LOAD").arg("return 7"))?;
            send(evalsha)
        }
        result => result,
    }
}

#[test]
fn a_script_that_the_server_does_not_have_is_not_an_error() {
    const TREE: &str = "
        request
        ├── EVALSHA [client] db.response.status_code=NOSCRIPT
        ├── SCRIPT [client]
        └── EVALSHA [client]
    ";
    let replies = || {
        let missing = error("NOSCRIPT No matching script. Please use EVAL.");
        [Ok(missing), Ok(Value::SimpleString("abc".into())), Ok(Value::Int(7))]
    };
    let evalsha = redis::cmd("EVALSHA").arg("abc").arg(0).take();
    let keys = &["db.response.status_code", "error.type"][..];
    for is_blocking in [false, true] {
        let capture = Capture::new();
        let mut connection = traced(Canned::new(replies()));
        let send = |cmd: &Cmd| {
            if is_blocking { cmd.query(&mut connection) } else { now(cmd.query_async(&mut connection)) }
        };
        let invoked = capture.run(|| throughline::in_span("request", || invoke(&evalsha, send)));
        assert_eq!(invoked.expect("an answer"), Value::Int(7));
        capture.assert_tree_with(keys, TREE);
    }

    // A caller that passes the error on has failed, and nothing loads the scripts of a pipeline.
    let missing = || [Ok(error("NOSCRIPT no"))];
    let capture = Capture::new();
    capture.run(|| {
        let mut connection = traced(Canned::new(missing()));
        let passed_on = throughline::try_in_span("request", || evalsha.query::<Value>(&mut connection));
        assert!(passed_on.is_err());
        let mut connection = traced(Canned::new(missing().into_iter().chain(missing())));
        let mut pipeline = redis::pipe();
        pipeline.add_command(evalsha.clone()).add_command(evalsha.clone());
        assert!(pipeline.query::<Value>(&mut connection).is_err());
    });
    let spans = capture.spans();
    let failed: Vec<_> = spans.iter().filter(|span| span.is_error()).map(|span| &*span.name).collect();
    assert_eq!(failed, ["request", "PIPELINE EVALSHA"]);
}

#[test]
fn a_function_is_in_the_name_of_the_span() {
    let capture = Capture::new();
    let mut connection = traced(Canned::new([Ok(Value::Nil), Ok(Value::Nil)]));
    capture.run(|| {
        let _: () = redis::cmd("FCALL").arg("restock").arg(0).query(&mut connection).expect("an answer");
        let _: () = redis::cmd("EVALSHA").arg("abc").arg(0).query(&mut connection).expect("an answer");
    });
    // There may be any number of digests.
    capture.assert_tree_with(
        &["db.operation.name", "db.stored_procedure.name"],
        "
        FCALL restock [client] db.operation.name=FCALL db.stored_procedure.name=restock
        EVALSHA [client] db.operation.name=EVALSHA db.stored_procedure.name=abc
        ",
    );
}
