//! Formats tokens in conventional style, for error messages that quote them.

use std::iter::Peekable;

use proc_macro2::token_stream::IntoIter;
use proc_macro2::{Delimiter, Spacing, TokenStream, TokenTree};
use quote::ToTokens;

/// Operators that consist of several tokens. `>>` is not one of them: in types, it closes two lists.
const SIGNS: &[&str] = &["..=", "::", "->", "=>", "==", "!=", "<=", ">=", "&&", "||", "..", "+=", "-=", "*="];

/// Formats `tokens` in conventional style.
pub(crate) fn shown(tokens: impl ToTokens) -> String {
    let mut printer = Printer { text: String::new(), last: Last::Start, generics: 0, closure: false };
    printer.stream(tokens.into_token_stream());
    printer.text
}

/// What the text ends with, which decides whether a space follows.
#[derive(Clone, Copy, PartialEq)]
enum Last {
    Start,
    /// A name, a literal, or a closing delimiter.
    Word {
        is_type: bool,
    },
    /// An operator or delimiter without a space after it.
    Prefix,
    /// An operator with a space after it.
    Sign,
}

struct Printer {
    text: String,
    last: Last,
    generics: usize,
    closure: bool,
}

impl Printer {
    fn stream(&mut self, tokens: TokenStream) {
        let mut tokens = tokens.into_iter().peekable();
        while let Some(token) = tokens.next() {
            match token {
                TokenTree::Ident(ident) => {
                    let ident = ident.to_string();
                    let is_type = ident.starts_with(char::is_uppercase) && ident.contains(char::is_lowercase);
                    self.word(&ident, is_type);
                }
                TokenTree::Literal(literal) => self.word(&literal.to_string(), false),
                TokenTree::Group(group) => self.group(group.delimiter(), group.stream()),
                TokenTree::Punct(first) => {
                    let sign = whole_sign(first.as_char(), first.spacing(), &mut tokens);
                    self.sign(&sign);
                }
            }
        }
    }

    fn put(&mut self, space: bool, text: &str, last: Last) {
        if space {
            self.text.push(' ');
        }
        self.text.push_str(text);
        self.last = last;
    }

    fn word(&mut self, text: &str, is_type: bool) {
        self.put(matches!(self.last, Last::Word { .. } | Last::Sign), text, Last::Word { is_type });
    }

    fn group(&mut self, delimiter: Delimiter, inner: TokenStream) {
        let after_word = matches!(self.last, Last::Word { .. });
        let (open, close) = match delimiter {
            Delimiter::Parenthesis => ("(", ")"),
            Delimiter::Bracket => ("[", "]"),
            Delimiter::Brace => ("{ ", " }"),
            Delimiter::None => return self.stream(inner),
        };
        self.put(self.last == Last::Sign || after_word && delimiter == Delimiter::Brace, open, Last::Start);
        let (generics, closure) = (std::mem::take(&mut self.generics), std::mem::take(&mut self.closure));
        self.stream(inner);
        (self.generics, self.closure) = (generics, closure);
        self.put(false, close, Last::Word { is_type: false });
    }

    fn sign(&mut self, sign: &str) {
        let after_word = matches!(self.last, Last::Word { .. });
        let after_sign = self.last == Last::Sign;
        match sign {
            "," | ";" | ":" => self.put(false, sign, Last::Sign),
            "." | "::" | ".." | "..=" => self.put(after_sign, sign, Last::Prefix),
            "'" => self.put(after_word || after_sign, sign, Last::Prefix),
            "?" if after_word => self.put(false, sign, Last::Word { is_type: false }),
            "!" if after_word => self.put(false, sign, Last::Prefix),
            // Generics, or a qualified path: `<A as B>::C`.
            "<" if !after_word || self.last == (Last::Word { is_type: true }) => {
                self.generics += 1;
                self.put(after_sign, sign, Last::Prefix);
            }
            ">" if self.generics > 0 => {
                self.generics -= 1;
                self.put(false, sign, Last::Word { is_type: false });
            }
            "|" if self.closure => {
                self.closure = false;
                self.put(false, sign, Last::Sign);
            }
            "|" if !after_word => {
                self.closure = true;
                self.put(after_sign, sign, Last::Prefix);
            }
            _ if after_word => self.put(true, sign, Last::Sign),
            "->" | "=>" | "=" | "==" => self.put(true, sign, Last::Sign),
            _ => self.put(after_sign, sign, Last::Prefix),
        }
    }
}

/// The sign that begins with `first`.
fn whole_sign(first: char, mut spacing: Spacing, tokens: &mut Peekable<IntoIter>) -> String {
    let mut sign = String::from(first);
    while spacing == Spacing::Joint {
        let Some(TokenTree::Punct(next)) = tokens.peek() else { break };
        let longer = format!("{sign}{}", next.as_char());
        if !SIGNS.contains(&longer.as_str()) {
            break;
        }
        spacing = next.spacing();
        sign = longer;
        tokens.next();
    }
    sign
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_shown_as_written() {
        for text in [
            "std::collections::HashMap<String, Vec<(u8, &'static str)>>",
            "Box<dyn Fn(&str) -> u8 + Send + 'static>",
            "order.lines.iter().map(|line| line.price).sum::<u64>()",
            "a = b, \"g.h\" = %x, ?order.id, n = -1",
            "a < b && c != !d",
            "&mut self.count[0..2]",
            "format!(\"{a}\", 1)?",
            "level = tracing::Level::DEBUG",
            "<A>::b(), c = <D as Into<E>>::into(f) < g",
            "if a { b } else { c }",
        ] {
            assert_eq!(shown(text.parse::<TokenStream>().unwrap()), text);
        }
    }
}
