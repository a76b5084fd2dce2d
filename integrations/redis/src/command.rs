//! What a span records about a command: its name, and its text without values.

#[cfg(test)]
mod tests;

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
    /// The digest or the name of a script that is stored on the server.
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

    /// Reads a pipeline. What all of its commands have in common is recorded as for a single command.
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
            if same_text || texts.len() < MAX_TEXT {
                let text = command.text(layout, keys);
                same_text &= text == this.text;
                if texts.len() < MAX_TEXT {
                    texts.push_str("; ");
                    texts.push_str(&text);
                }
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

    /// The script or function that is called, if it is stored on the server.
    fn procedure(&self, layout: Layout) -> Option<&'a str> {
        if layout.has_procedure() { self.shown(1) } else { None }
    }

    /// The word, if it can be part of the recorded text: UTF-8 without whitespace and quotes, and not too long.
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

/// Commands in the format of the protocol: `*2\r\n$3\r\nGET\r\n$1\r\nk\r\n`. Ends at the first deviation from it.
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
