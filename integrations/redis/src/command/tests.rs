use proptest::prelude::*;

use super::*;

fn cmd(line: &str) -> Cmd {
    let mut words = line.split(' ');
    let mut cmd = redis::cmd(words.next().unwrap_or_default());
    for word in words {
        cmd.arg(word);
    }
    cmd
}

#[test]
fn keys_are_shown_and_values_are_not() {
    let cases = [
        ("GET k", "GET k"),
        ("get k", "get k"),
        ("SET k secret EX 10", "SET k ? ? ?"),
        ("MGET a b", "MGET a b"),
        ("MSET a 1 b 2", "MSET a ? b ?"),
        ("HSET h f 1 g 2", "HSET h f ? g ?"),
        ("HMGET h f g", "HMGET h f g"),
        ("HINCRBY h f 1", "HINCRBY h f ?"),
        ("LPUSH l 1 2", "LPUSH l ? ?"),
        ("BLPOP a b 0", "BLPOP a b ?"),
        ("RENAME a b", "RENAME a b"),
        ("XADD s * f secret", "XADD s ? ? ?"),
        ("XREAD COUNT 1 STREAMS a b 0 0", "XREAD ? ? STREAMS a b ? ?"),
        ("XREADGROUP GROUP streams STREAMS STREAMS s >", "XREADGROUP GROUP ? ? STREAMS s ?"),
        ("XGROUP CREATE s g $", "XGROUP CREATE s ? ?"),
        ("EVALSHA abc 1 k secret", "EVALSHA abc ? k ?"),
        ("EVAL secret 1 k secret", "EVAL ? ? k ?"),
        ("EVAL secret x secret", "EVAL ? ? ?"),
        ("AUTH secret", "AUTH ?"),
        ("HELLO 3 AUTH secret secret", "HELLO ? ? ? ?"),
        ("CONFIG SET requirepass secret", "CONFIG SET ? ?"),
        ("CLIENT 1secret", "CLIENT ?"),
        ("MY.COMMAND secret", "MY.COMMAND ?"),
        ("PING", "PING"),
    ];
    for (line, expected) in cases {
        let call = Call::of_command(&cmd(line), true);
        assert_eq!(call.text, expected);
        assert_eq!(Call::of_packed(&cmd(line).get_packed_command(), true), call);
    }
    assert_eq!(Call::of_command(&cmd("HSET h f 1"), false).text, "HSET ? ? ?");
    assert_eq!(Call::of_command(&cmd("XGROUP CREATE s g $"), false).text, "XGROUP CREATE ? ? ?");
    assert_eq!(Call::of_command(&cmd("EVALSHA abc 0"), true).procedure.as_deref(), Some("abc"));
}

#[test]
fn every_kind_of_layout_has_its_keys() {
    let cases = [
        // One key, two, or nothing else.
        ("getex k EX 10", "getex k ? ?"),
        ("HGETEX h EX 10 FIELDS 1 secret", "HGETEX h ? ? ? ? ?"),
        ("ZADD z NX 1 secret", "ZADD z ? ? ?"),
        ("GEOADD g 13.3 38.1 secret", "GEOADD g ? ? ?"),
        ("LCS a b LEN", "LCS a b ?"),
        ("COPY a b DB 1", "COPY a b ? ?"),
        ("SMOVE a b secret", "SMOVE a b ?"),
        ("DEL a b c", "DEL a b c"),
        ("PFMERGE a b c", "PFMERGE a b c"),
        ("BZPOPMIN a b 1", "BZPOPMIN a b ?"),
        ("BLPOP", "BLPOP"),
        ("BLPOP 0", "BLPOP ?"),
        // Alternating with values.
        ("MSETNX a secret b", "MSETNX a ? b"),
        ("HMSET h f secret g secret", "HMSET h f ? g ?"),
        ("BITOP AND a b c", "BITOP ? a b c"),
        // As many as an argument before them says.
        ("LMPOP 2 a b LEFT COUNT 1", "LMPOP ? a b ? ? ?"),
        ("BLMPOP 0 2 a b LEFT", "BLMPOP ? ? a b ?"),
        ("ZUNIONSTORE d 2 a b WEIGHTS 1 2", "ZUNIONSTORE d ? a b ? ? ?"),
        ("ZINTERCARD 9 a b", "ZINTERCARD ? a b"),
        ("ZINTERCARD -1 secret", "ZINTERCARD ? ?"),
        ("ZDIFF 18446744073709551616 secret", "ZDIFF ? ?"),
        ("ZDIFF", "ZDIFF"),
        ("ZDIFFSTORE d", "ZDIFFSTORE d"),
        ("FCALL f 0 secret", "FCALL f ? ?"),
        ("FCALL f", "FCALL f"),
        ("EVAL_RO secret 2 a b secret", "EVAL_RO ? ? a b ?"),
        // After a keyword.
        ("XREADGROUP GROUP g c COUNT 1 NOACK streams a b > >", "XREADGROUP GROUP ? ? ? ? ? streams a b ? ?"),
        ("XREAD STREAMS a", "XREAD STREAMS ?"),
        ("XREAD STREAMS", "XREAD STREAMS"),
        ("XREADGROUP GROUP g", "XREADGROUP ? ?"),
        ("XREAD a b", "XREAD ? ?"),
        // Subcommands.
        ("XINFO CONSUMERS s g", "XINFO CONSUMERS s ?"),
        ("object encoding k", "object encoding k"),
        ("MEMORY USAGE k SAMPLES 5", "MEMORY USAGE k ? ?"),
        ("memory usage k", "memory usage k"),
        ("MEMORY DOCTOR secret", "MEMORY DOCTOR ?"),
        ("MEMORY USAGE", "MEMORY USAGE"),
        ("MEMORY", "MEMORY"),
        ("CLUSTER KEYSLOT k", "CLUSTER KEYSLOT k"),
        ("CLIENT SETNAME secret", "CLIENT SETNAME ?"),
        ("ACL SETUSER secret >secret", "ACL SETUSER ? ?"),
        ("SCRIPT LOAD secret", "SCRIPT LOAD ?"),
        ("MEMORY|USAGE secret secret", ""),
        ("CLIENT secret|secret", "CLIENT ?"),
        // Commands that have no keys.
        ("KEYS secret", "KEYS ?"),
        ("SCAN 0 MATCH secret", "SCAN ? ? ?"),
        ("MIGRATE host 6379 secret 0 1000", "MIGRATE ? ? ? ? ?"),
    ];
    for (line, expected) in cases {
        let call = Call::of_command(&cmd(line), true);
        assert_eq!(call.text, expected, "{line}");
        assert_eq!(Call::of_packed(&cmd(line).get_packed_command(), true), call);
        let hidden = Call::of_command(&cmd(line), false).text;
        assert!(!hidden.split(' ').any(|word| matches!(word, "a" | "b" | "k" | "s" | "h" | "z")), "{hidden}");
    }
}

#[test]
fn only_scripts_of_the_server_are_procedures() {
    let procedure = |line: &str| Call::of_command(&cmd(line), false).procedure;
    for line in ["evalsha abc 0", "EVALSHA_RO abc 1 k", "FCALL abc 0", "FCALL_RO abc"] {
        assert_eq!(procedure(line).as_deref(), Some("abc"), "{line}");
    }
    for line in ["EVAL abc 0", "SCRIPT abc", "GET abc", "EVALSHA", "FCALL what?"] {
        assert_eq!(procedure(line), None, "{line}");
    }
}

#[test]
fn strange_names_and_keys_are_left_out() {
    let mut strange = redis::cmd("GET");
    strange.arg(b"\xff\xfe").arg("a b").arg("");
    assert_eq!(Call::of_command(&strange, true).text, "GET ? ? ?");
    assert_eq!(Call::of_command(&redis::cmd("GET k secret"), true), Call { size: 1, ..Call::default() });
    assert_eq!(Call::of_command(&Cmd::new(), true), Call { size: 1, ..Call::default() });
    let mut long = redis::cmd("MGET");
    long.arg("x".repeat(MAX_KEY + 1)).arg(vec!["y".repeat(MAX_KEY); 100]);
    let text = Call::of_command(&long, true).text;
    assert!(text.starts_with("MGET ? yyy") && text.len() <= MAX_TEXT + '…'.len_utf8());
    let many = redis::cmd("LPUSH").arg("l").arg(vec!["secret"; 1000]).take();
    let text = Call::of_command(&many, true).text;
    assert!(text.starts_with("LPUSH l ? ?") && text.ends_with("? …"), "{text}");
}

#[test]
fn pipelines_are_named_by_what_they_have_in_common() {
    let call = |pipeline: &Pipeline| {
        let call = Call::of_pipeline(pipeline, true);
        assert_eq!(Call::of_packed(&pipeline.get_packed_pipeline(), true), call);
        (call.operation.unwrap_or_default(), call.size, call.text)
    };
    let of = |operation: &str, size, text: &str| (operation.to_owned(), size, text.to_owned());
    let mut pipe = redis::pipe();
    assert_eq!(Call::of_pipeline(&pipe, true), Call::default());
    pipe.get("a");
    assert_eq!(call(&pipe), of("GET", 1, "GET a"));
    pipe.get("a");
    assert_eq!(call(&pipe), of("PIPELINE GET", 2, "GET a"));
    pipe.get("b");
    assert_eq!(call(&pipe), of("PIPELINE GET", 3, "GET a; GET a; GET b"));
    pipe.set("c", "secret");
    assert_eq!(call(&pipe), of("PIPELINE", 4, "GET a; GET a; GET b; SET c ?"));
    pipe.atomic();
    assert_eq!(call(&pipe), of("MULTI", 4, "GET a; GET a; GET b; SET c ?"));
    let one = redis::pipe().atomic().incr("n", 1).clone();
    assert_eq!(call(&one), of("MULTI INCRBY", 1, "INCRBY n ?"));
    let scripts = |names: [&str; 2]| {
        let mut pipe = redis::pipe();
        for name in names {
            pipe.cmd("EVALSHA").arg(name).arg(0);
        }
        Call::of_pipeline(&pipe, true).procedure
    };
    assert_eq!((scripts(["a", "a"]).as_deref(), scripts(["a", "b"])), (Some("a"), None));
    let mut long = redis::pipe();
    for at in 0..10_000 {
        long.get(at);
    }
    let (operation, size, text) = call(&long);
    assert_eq!((operation.as_str(), size), ("PIPELINE GET", 10_000));
    assert!(text.len() <= MAX_TEXT + '…'.len_utf8());

    // The last command differs, although the text is truncated before it.
    let mut same = redis::pipe();
    for _ in 0..1_000 {
        same.get("a");
    }
    assert_eq!(call(&same), of("PIPELINE GET", 1_000, "GET a"));
    same.set("c", "secret");
    let (operation, _, text) = call(&same);
    assert!(operation == "PIPELINE" && text.starts_with("GET a; GET a; ") && text.ends_with('…'), "{text}");
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_are_bounded(packed in prop::collection::vec(prop_oneof![any::<u8>(), Just(b'*'), Just(b'$'), Just(b'1'), Just(b'\r'), Just(b'\n')], 0..80)) {
        let call = Call::of_packed(&packed, true);
        prop_assert!(call.text.len() <= MAX_TEXT + 3);
    }

    /// Neither of an unknown command, nor in the values of a known one.
    #[test]
    fn no_value_survives(name in "[A-Z]{3,9}", values in prop::collection::vec("[ -~]{0,8}", 0..6)) {
        for name in ["SET", "LPUSH", "XADD", "PUBLISH", "ZADD", &format!("NO{name}")] {
            let values: Vec<_> = values.iter().map(|value| format!("SECRET{value}")).collect();
            let cmd = redis::cmd(name).arg("key").arg(&values).take();
            let call = Call::of_command(&cmd, true);
            prop_assert!(!format!("{call:?}").contains("SECRET"), "{call:?}");
        }
    }
}
