//! What a span records about a command: its name, and its text without values.

use std::borrow::Cow;

use redis::{Arg, Cmd, Pipeline};
use throughline::text::{ellipsize, needs_escape};

use super::arguments::{Argument, Layout};

/// How much text of a command, pipeline or transaction is recorded, in bytes.
const MAX_TEXT: usize = 1024;

/// How many words of a command are read.
const MAX_WORDS: usize = 64;

/// Keys that are longer, in bytes, are written `?`.
const MAX_KEY: usize = 256;

/// The attributes of a command, a pipeline or a transaction.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Call {
    /// The name of the command, if it looks like one.
    pub(super) operation: Option<String>,
    /// The command with `?` for every value.
    pub(super) text: String,
    /// The number of commands.
    pub(super) size: usize,
    /// The digest or the name of a script that the server has already.
    pub(super) procedure: Option<String>,
}

impl Call {
    /// Reads a command. `keys`: whether its text contains keys.
    pub(super) fn of_command(cmd: &Cmd, keys: bool) -> Self {
        Self::of(&Words::of(cmd), keys)
    }

    pub(super) fn of_pipeline(pipeline: &Pipeline, keys: bool) -> Self {
        let commands = pipeline.cmd_iter().map(Words::of);
        Self::of_all(commands, pipeline.is_transaction(), keys)
    }

    /// Reads commands in the format of the protocol.
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
        let layout = Layout::of(&words.words);
        Self {
            operation: words.name().map(str::to_owned),
            text: words.text(layout, keys),
            size: 1,
            procedure: words.procedure(layout).map(str::to_owned),
        }
    }

    /// The name of the span: the command and, for a function, its name. A digest says little, and there may be many.
    pub(super) fn span_name(&self) -> Option<Cow<'static, str>> {
        let operation = self.operation.clone()?;
        let is_function = operation.get(..5).is_some_and(|name| name.eq_ignore_ascii_case("FCALL"));
        Some(match &self.procedure {
            Some(function) if is_function => format!("{operation} {function}").into(),
            _ => operation.into(),
        })
    }

    /// Reads a pipeline. What its commands have in common is recorded as if there were one.
    fn of_all<'a>(mut commands: impl Iterator<Item = Words<'a>>, transaction: bool, keys: bool) -> Self {
        let Some(first) = commands.next() else { return Self::default() };
        let mut this = Self::of(&first, keys);
        let (mut same_name, mut same_text) = (true, true);
        let mut texts = this.text.clone();
        for command in commands {
            this.size += 1;
            same_name &= command.name() == first.name();
            let layout = Layout::of(&command.words);
            if command.procedure(layout) != this.procedure.as_deref() {
                this.procedure = None;
            }
            if texts.len() < MAX_TEXT {
                let text = command.text(layout, keys);
                same_text &= text == this.text;
                texts.push_str("; ");
                texts.push_str(&text);
            }
        }
        if !same_text {
            this.text = ellipsize(&texts, MAX_TEXT).into_owned();
        }
        if this.size > 1 || transaction {
            let batch = if transaction { "MULTI" } else { "PIPELINE" };
            this.operation = Some(match this.operation.filter(|_| same_name) {
                Some(name) => format!("{batch} {name}"),
                None => batch.to_owned(),
            });
        }
        this
    }
}

/// The name of a command and its arguments.
struct Words<'a> {
    /// The first [`MAX_WORDS`] of them.
    words: Vec<&'a [u8]>,
    total: usize,
}

impl<'a> Words<'a> {
    fn of(cmd: &'a Cmd) -> Self {
        let all = cmd.args_iter();
        let total = all.len();
        let words = all.take(MAX_WORDS).map(|arg| match arg {
            Arg::Simple(word) => word,
            // The cursor of a scan, which redis fills in later.
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

    /// The script or function that is called, if the server has it already.
    fn procedure(&self, layout: Layout) -> Option<&'a str> {
        if layout.has_procedure() { self.shown(1) } else { None }
    }

    /// A word that can be read in the text of a command: UTF-8 without blanks and quotes, and not too long.
    fn shown(&self, at: usize) -> Option<&'a str> {
        let word = std::str::from_utf8(self.words.get(at)?).ok()?;
        let plain = !word.is_empty()
            && word.len() <= MAX_KEY
            && !word.chars().any(|c| c.is_whitespace() || needs_escape(c) || matches!(c, '"' | '\'' | '?'));
        plain.then_some(word)
    }

    /// The command as one would type it, with `?` for values.
    fn text(&self, layout: Layout, keys: bool) -> String {
        let Some(name) = self.name() else { return String::new() };
        let mut text = name.to_owned();
        for at in 1..self.words.len() {
            let shown = match layout.argument(at, &self.words, self.total) {
                Argument::Subcommand | Argument::Procedure | Argument::Keyword => self.shown(at),
                Argument::Key if keys => self.shown(at),
                Argument::Key | Argument::Count | Argument::Value => None,
            };
            text.push(' ');
            text.push_str(shown.unwrap_or("?"));
            if text.len() > MAX_TEXT {
                return ellipsize(&text, MAX_TEXT).into_owned();
            }
        }
        if self.total > self.words.len() {
            text.push_str(" …");
        }
        text
    }
}

/// Commands in the format of the protocol: `*2\r\n$3\r\nGET\r\n$1\r\nk\r\n`. Ends where it does not follow that.
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
        let mut words = Vec::with_capacity(total.min(MAX_WORDS));
        for at in 0..total {
            let word = self.word()?;
            if at < MAX_WORDS {
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
            // In turn with values.
            ("MSETNX a secret b", "MSETNX a ? b"),
            ("HMSET h f secret g secret", "HMSET h f ? g ?"),
            ("BITOP AND a b c", "BITOP ? a b c"),
            // As many as another argument says.
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
            // Behind another one.
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
