//! What servers say of errors, without the values that it quotes. The transports show it so on their spans, and
//! texts of errors that have it in them are shown so on the spans around.

/// Takes the arguments out of what Redis has said, in a text that quotes its error.
pub(crate) fn redis(text: &str) -> Option<String> {
    in_text(text, &["with args beginning with:"], |_| " '?'".into())
}

fn in_text(text: &str, marks: &[&str], redact: impl Fn(&str) -> String) -> Option<String> {
    let from = marks.iter().filter_map(|mark| text.find(mark).map(|at| at + mark.len())).min()?;
    Some(format!("{}{}", &text[..from], redact(&text[from..])))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_of_redis_commands_are_left_out() {
        let said = "ERR: unknown command 'FOO', with args beginning with: 'hunter2' 'x' ";
        assert_eq!(redis(said).unwrap(), "ERR: unknown command 'FOO', with args beginning with: '?'");
    }
}
