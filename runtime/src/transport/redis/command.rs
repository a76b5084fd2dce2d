//! What a command tells of itself: its name, and its text without values.

use std::fmt::Write as _;

use redis::{Arg, Cmd, Pipeline};

/// How much text of a command, pipeline or transaction is kept.
const MAX_TEXT: usize = 1024;

/// How many arguments of a command are looked at.
const MAX_ARGS: usize = 64;

/// A longer key is left out.
const MAX_KEY: usize = 256;

/// What is called: a command, a pipeline, a transaction.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Call {
    pub(super) operation: Option<String>,
    pub(super) text: String,
    /// How many commands there are.
    pub(super) size: usize,
    /// The digest or name of a script that the server has already.
    pub(super) procedure: Option<String>,
}

impl Call {
    pub(super) fn of_command(cmd: &Cmd, keys: bool) -> Self {
        Self::of(&Words::of(cmd), keys)
    }

    pub(super) fn of_pipeline(pipeline: &Pipeline, keys: bool) -> Self {
        let commands = pipeline.cmd_iter().map(Words::of);
        Self::of_all(commands, pipeline.is_transaction(), keys)
    }

    /// The same of commands as they go over the wire.
    pub(super) fn of_packed(packed: &[u8], keys: bool) -> Self {
        let mut commands: Vec<_> = Packed(packed).collect();
        let is = |command: Option<&Words<'_>>, name: &str| {
            command.and_then(Words::name).is_some_and(|first| first.eq_ignore_ascii_case(name))
        };
        let transaction = commands.len() > 1 && is(commands.first(), "MULTI") && is(commands.last(), "EXEC");
        if transaction {
            commands.pop();
            commands.remove(0);
        }
        Self::of_all(commands.into_iter(), transaction, keys)
    }

    fn of(words: &Words<'_>, keys: bool) -> Self {
        let procedure = words.shape().is_script().then(|| words.shown(1)).flatten().map(str::to_owned);
        Self { operation: words.name().map(str::to_owned), text: words.text(keys), size: 1, procedure }
    }

    fn of_all<'a>(mut commands: impl Iterator<Item = Words<'a>>, transaction: bool, keys: bool) -> Self {
        let Some(first) = commands.next() else { return Self::default() };
        let mut this = Self::of(&first, keys);
        let (mut same_name, mut same_text) = (true, true);
        let mut texts = this.text.clone();
        for command in commands {
            this.size += 1;
            same_name &= command.name() == first.name();
            if texts.len() < MAX_TEXT {
                let text = command.text(keys);
                same_text &= text == this.text;
                texts.push_str("; ");
                texts.push_str(&text);
            }
        }
        if !same_text {
            this.text = bounded(texts);
        }
        if this.size > 1 || transaction {
            let batch = if transaction { "MULTI" } else { "PIPELINE" };
            this.operation = Some(match this.operation.filter(|_| same_name) {
                Some(name) => format!("{batch} {name}"),
                None => batch.to_owned(),
            });
            this.procedure = None;
        }
        this
    }
}

/// The first words of a command.
struct Words<'a> {
    words: Vec<&'a [u8]>,
    /// How many there are in all.
    total: usize,
}

impl<'a> Words<'a> {
    fn of(cmd: &'a Cmd) -> Self {
        let all = cmd.args_iter();
        let total = all.len();
        let words = all.take(MAX_ARGS).map(|arg| match arg {
            Arg::Simple(word) => word,
            // The cursor of a scan.
            _ => &b"0"[..],
        });
        Self { words: words.collect(), total }
    }

    /// The name as it is written, if it looks like one.
    fn name(&self) -> Option<&'a str> {
        let name = *self.words.first()?;
        let plain = (1..=32).contains(&name.len())
            && name.iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-'));
        if plain { std::str::from_utf8(name).ok() } else { None }
    }

    fn shape(&self) -> Shape {
        let Some(name) = self.name() else { return Shape::Hidden };
        Shape::of(&name.to_ascii_uppercase())
    }

    /// A word that is fit to be shown: text without blanks, not too long.
    fn shown(&self, at: usize) -> Option<&'a str> {
        let word = std::str::from_utf8(self.words.get(at)?).ok()?;
        let plain = !word.is_empty()
            && word.len() <= MAX_KEY
            && !word.chars().any(|c| c.is_whitespace() || c.is_control() || matches!(c, '"' | '\'' | '?'));
        plain.then_some(word)
    }

    /// The command as one would type it, with `?` for values.
    fn text(&self, keys: bool) -> String {
        let Some(name) = self.name() else { return String::new() };
        let shape = self.shape();
        let mut text = name.to_owned();
        for at in 1..self.words.len() {
            let shown = match shape.place(at, self) {
                Place::Word => self.shown(at),
                Place::Key if keys => self.shown(at),
                Place::Key | Place::Value => None,
            };
            // Writing to a `String` does not fail.
            let _ = write!(text, " {}", shown.unwrap_or("?"));
            if text.len() > MAX_TEXT {
                return bounded(text);
            }
        }
        if self.total > self.words.len() {
            text.push_str(" …");
        }
        text
    }
}

fn bounded(mut text: String) -> String {
    if text.len() > MAX_TEXT {
        let end = (0..=MAX_TEXT).rev().find(|&at| text.is_char_boundary(at)).unwrap_or(0);
        text.truncate(end);
        text.push('…');
    }
    text
}

/// What an argument is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// Part of the command's name, out of a closed list, or the digest of a script.
    Word,
    /// A key, or the name of a field.
    Key,
    Value,
}

/// Where in a command its keys are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shape {
    /// There are none, or it is not known.
    Hidden,
    First,
    FirstTwo,
    All,
    AllButLast,
    /// `key value key value`
    Pairs,
    /// `key field value field value`
    FieldPairs,
    /// Behind a second word of the name: `XGROUP CREATE key`.
    Second,
    /// The second word of the name, and no key: `CONFIG GET`.
    Word,
    /// `… STREAMS key key id id`
    Streams,
    /// `digest count key key value`
    Script,
    /// `script count key key value`
    Source,
}

impl Shape {
    fn of(name: &str) -> Self {
        match name {
            "GET" | "SET" | "SETNX" | "SETEX" | "PSETEX" | "GETSET" | "GETDEL" | "GETEX" | "APPEND" | "STRLEN"
            | "GETRANGE" | "SETRANGE" | "SUBSTR" | "INCR" | "INCRBY" | "INCRBYFLOAT" | "DECR" | "DECRBY" | "GETBIT"
            | "SETBIT" | "BITCOUNT" | "BITPOS" | "BITFIELD" | "BITFIELD_RO" | "EXPIRE" | "PEXPIRE" | "EXPIREAT"
            | "PEXPIREAT" | "EXPIRETIME" | "PEXPIRETIME" | "TTL" | "PTTL" | "PERSIST" | "TYPE" | "DUMP" | "RESTORE"
            | "MOVE" | "SORT" | "SORT_RO" | "HGETALL" | "HKEYS" | "HVALS" | "HLEN" | "HSCAN" | "HRANDFIELD"
            | "LPUSH" | "RPUSH" | "LPUSHX" | "RPUSHX" | "LPOP" | "RPOP" | "LLEN" | "LRANGE" | "LINDEX" | "LSET"
            | "LREM" | "LTRIM" | "LINSERT" | "LPOS" | "SADD" | "SREM" | "SMEMBERS" | "SISMEMBER" | "SMISMEMBER"
            | "SCARD" | "SPOP" | "SRANDMEMBER" | "SSCAN" | "ZADD" | "ZREM" | "ZSCORE" | "ZMSCORE" | "ZINCRBY"
            | "ZCARD" | "ZCOUNT" | "ZRANGE" | "ZREVRANGE" | "ZRANGEBYSCORE" | "ZREVRANGEBYSCORE" | "ZRANGEBYLEX"
            | "ZREVRANGEBYLEX" | "ZLEXCOUNT" | "ZRANK" | "ZREVRANK" | "ZPOPMIN" | "ZPOPMAX" | "ZRANDMEMBER"
            | "ZREMRANGEBYRANK" | "ZREMRANGEBYSCORE" | "ZREMRANGEBYLEX" | "ZSCAN" | "PFADD" | "GEOADD" | "GEODIST"
            | "GEOHASH" | "GEOPOS" | "GEOSEARCH" | "GEORADIUS" | "XADD" | "XDEL" | "XLEN" | "XRANGE" | "XREVRANGE"
            | "XTRIM" | "XACK" | "XACKDEL" | "XDELEX" | "XCLAIM" | "XAUTOCLAIM" | "XPENDING" | "XSETID" | "PUBLISH"
            | "SPUBLISH" => Self::First,
            "RENAME" | "RENAMENX" | "COPY" | "SMOVE" | "LMOVE" | "BLMOVE" | "RPOPLPUSH" | "BRPOPLPUSH"
            | "ZRANGESTORE" | "GEOSEARCHSTORE" | "HINCRBY" | "HINCRBYFLOAT" | "HSETNX" => Self::FirstTwo,
            "DEL" | "UNLINK" | "EXISTS" | "TOUCH" | "MGET" | "WATCH" | "SINTER" | "SUNION" | "SDIFF"
            | "SINTERSTORE" | "SUNIONSTORE" | "SDIFFSTORE" | "PFCOUNT" | "PFMERGE" | "HGET" | "HMGET" | "HDEL"
            | "HEXISTS" | "HSTRLEN" => Self::All,
            "BLPOP" | "BRPOP" | "BZPOPMIN" | "BZPOPMAX" => Self::AllButLast,
            "MSET" | "MSETNX" => Self::Pairs,
            "HSET" | "HMSET" => Self::FieldPairs,
            "XGROUP" | "XINFO" | "OBJECT" => Self::Second,
            "ACL" | "CLIENT" | "CLUSTER" | "COMMAND" | "CONFIG" | "DEBUG" | "FUNCTION" | "LATENCY" | "MEMORY"
            | "MODULE" | "PUBSUB" | "SCRIPT" | "SLOWLOG" => Self::Word,
            "XREAD" | "XREADGROUP" => Self::Streams,
            "EVALSHA" | "EVALSHA_RO" | "FCALL" | "FCALL_RO" => Self::Script,
            "EVAL" | "EVAL_RO" => Self::Source,
            _ => Self::Hidden,
        }
    }

    fn is_script(self) -> bool {
        self == Self::Script
    }

    /// What the argument at `at` is; the name is at 0.
    fn place(self, at: usize, words: &Words<'_>) -> Place {
        let key = match self {
            Self::Second | Self::Word if at == 1 => return word(words, at),
            Self::Script if at == 1 => return Place::Word,
            Self::Streams => return stream(at, words),
            Self::Hidden | Self::Word => false,
            Self::First => at == 1,
            Self::FirstTwo => at <= 2,
            Self::All => true,
            Self::AllButLast => at + 1 < words.total,
            Self::Pairs => at % 2 == 1,
            Self::FieldPairs => at == 1 || at % 2 == 0,
            Self::Second => at == 2,
            Self::Script | Self::Source => at > 2 && at - 3 < words.shown(2).and_then(|n| n.parse().ok()).unwrap_or(0),
        };
        if key { Place::Key } else { Place::Value }
    }
}

/// The second word of a name is made of letters; what else stands there is none.
fn word(words: &Words<'_>, at: usize) -> Place {
    let is_word = words.shown(at).is_some_and(|word| {
        word.len() <= 24 && word.bytes().all(|byte| byte.is_ascii_alphabetic() || matches!(byte, b'-' | b'_'))
    });
    if is_word { Place::Word } else { Place::Value }
}

/// In `XREADGROUP GROUP g c STREAMS a b > >` the keys are the first half behind `STREAMS`. That cannot be the name
/// of the group or the consumer, which stand behind `GROUP`.
fn stream(at: usize, words: &Words<'_>) -> Place {
    let is = |at: usize, name: &[u8]| words.words.get(at).is_some_and(|word| word.eq_ignore_ascii_case(name));
    let first = if is(1, b"GROUP") { 4 } else { 1 };
    let Some(streams) = (first..words.words.len()).find(|&at| is(at, b"STREAMS")) else { return Place::Value };
    if at == streams || (at == 1 && first == 4) {
        return Place::Word;
    }
    let keys = (words.total - streams - 1) / 2;
    if at > streams && at <= streams + keys { Place::Key } else { Place::Value }
}

/// Commands as they go over the wire: `*2\r\n$3\r\nGET\r\n$1\r\nk\r\n`. Ends where it is not understood.
struct Packed<'a>(&'a [u8]);

impl<'a> Packed<'a> {
    fn number(&mut self, sign: u8) -> Option<usize> {
        let rest = self.0.strip_prefix(&[sign])?;
        let end = rest.iter().take(20).position(|byte| *byte == b'\r')?;
        let number = std::str::from_utf8(&rest[..end]).ok()?.parse().ok()?;
        self.0 = rest[end..].strip_prefix(b"\r\n")?;
        Some(number)
    }

    fn word(&mut self) -> Option<&'a [u8]> {
        let length = self.number(b'$')?;
        let (word, rest) = self.0.split_at_checked(length)?;
        self.0 = rest.strip_prefix(b"\r\n")?;
        Some(word)
    }
}

impl<'a> Iterator for Packed<'a> {
    type Item = Words<'a>;

    fn next(&mut self) -> Option<Words<'a>> {
        let total = self.number(b'*')?;
        let mut words = Vec::with_capacity(total.min(MAX_ARGS));
        for at in 0..total {
            let word = self.word()?;
            if at < MAX_ARGS {
                words.push(word);
            }
        }
        Some(Words { words, total })
    }
}

#[cfg(test)]
mod tests {
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
        let mut long = redis::pipe();
        for at in 0..10_000 {
            long.get(at);
        }
        let (operation, size, text) = call(&long);
        assert_eq!((operation.as_str(), size), ("PIPELINE GET", 10_000));
        assert!(text.len() <= MAX_TEXT + '…'.len_utf8());
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn any_bytes_are_bounded(packed in prop::collection::vec(prop_oneof![any::<u8>(), Just(b'*'), Just(b'$'), Just(b'1'), Just(b'\r'), Just(b'\n')], 0..80)) {
            let call = Call::of_packed(&packed, true);
            prop_assert!(call.text.len() <= MAX_TEXT + 3);
        }

        /// Of a command that is not known, and of the values of one that is.
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
}
