//! Redaction of URLs: credentials, and the values of secret parameters.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;

const REDACTED: &str = "REDACTED";

/// Names of secret parameters, in lowercase and without punctuation.
#[rustfmt::skip]
const NAMES: [&str; 31] = [
    "assertion", "auth", "authcode", "authorization", "authorizationcode", "bearer", "code", "codeverifier", "cookie",
    "csrf", "cvc", "cvv", "devicecode", "hmac", "idtokenhint", "key", "oauthverifier", "otp", "pass", "passcode", "pin",
    "pw", "samlart", "samlrequest", "samlresponse", "session", "sid", "sig", "subscriptionkey", "ticket", "xsrf",
];

/// Suffixes of names of secret parameters, such as `refresh_token`, `X-Amz-Signature` and `AWSAccessKeyId`.
#[rustfmt::skip]
const ENDS: [&str; 23] = [
    "accesskey", "accesskeyid", "apikey", "appkey", "authkey", "clientassertion", "credential", "credentials", "jwt",
    "masterkey", "passphrase", "passwd", "password", "privatekey", "pwd", "secret", "secretkey", "sessid", "sessionid",
    "sessionkey", "sharedkey", "signature", "token",
];

/// The maximum number of layers of percent-encoding that are decoded to find secrets.
const MAX_DECODED: usize = 4;

/// Determines which parameters are secrets. Names are compared without regard to case, punctuation and
/// percent-encoding.
#[derive(Debug, Clone, Default)]
pub struct UrlRules {
    hidden: Vec<String>,
    shown: Vec<String>,
}

/// How one parameter is redacted.
enum Verdict {
    Shown,
    /// The value is redacted.
    Named,
    /// Name and value are redacted, because the name may contain a secret.
    Hidden,
}

impl UrlRules {
    /// The default rules: only parameters with common names of secrets are redacted.
    pub const DEFAULT: Self = Self { hidden: Vec::new(), shown: Vec::new() };

    /// Also redacts the values of this parameter.
    #[cfg(feature = "integration")]
    pub fn hide(&mut self, name: &str) {
        self.hidden.push(bare(name));
    }

    /// Does not redact the values of this parameter, although its name is a common one for secrets.
    /// [`hide`](Self::hide) takes precedence.
    #[cfg(feature = "integration")]
    pub fn show(&mut self, name: &str) {
        self.shown.push(bare(name));
    }

    /// Redacts a query or a fragment, without the leading `?` or `#`.
    pub fn query<'a>(&self, query: &'a str) -> Cow<'a, str> {
        self.pairs(query, &['&', ';'])
    }

    /// Redacts a path. Segments may have parameters (`/orders;jsessionid=1`), and the path may contain a URL.
    pub fn path<'a>(&self, path: &'a str) -> Cow<'a, str> {
        let (mut shown, mut rest) = (String::new(), path);
        // User information precedes an `@`, so it is not searched for after the last one.
        let tail = path.rfind('@').map_or(path.len(), |at| path.len() - at);
        while let Some((front, after)) = self.authority(&rest[..rest.len().saturating_sub(tail)], rest) {
            (shown, rest) = (shown + &front, after);
        }
        let rest = self.pairs(rest, &['/', ';']);
        if shown.is_empty() { rest } else { (shown + &rest).into() }
    }

    /// Redacts an absolute or relative URL.
    pub fn url(&self, url: &str) -> String {
        let marked = url.find(['?', '#']).unwrap_or(url.len());
        let (mut shown, rest) = match url.strip_prefix("//").map(without_user) {
            // A reference without a scheme.
            Some((user, rest)) => (format!("//{user}"), rest),
            None => self.authority(&url[..marked], url).unwrap_or((String::new(), url)),
        };
        let (rest, fragment) = cut(rest, '#');
        let (path, query) = cut(rest, '?');
        shown.push_str(&self.path(path));
        shown.extend(query.map(|query| format!("?{}", self.query(query))));
        shown.extend(fragment.map(|fragment| format!("#{}", self.query(fragment))));
        shown
    }

    /// Redacts `url` up to its host, if there is an authority in `front`, a prefix of `url`. Also returns the rest of
    /// `url`, which begins with the host.
    fn authority<'a>(&self, front: &str, url: &'a str) -> Option<(String, &'a str)> {
        let at = front.find("://")?;
        let (user, rest) = without_user(&url[at + 3..]);
        Some((format!("{}://{user}", self.pairs(&url[..at], &['/', ';'])), rest))
    }

    /// Redacts the URLs in a text, such as an error message.
    pub(crate) fn text<'a>(&self, text: &'a str) -> Cow<'a, str> {
        let looks_like_url = |word: &str| word.contains("://") || word.contains('?');
        if !looks_like_url(text) && !text.contains('\\') {
            return text.into();
        }
        let mut shown = String::with_capacity(text.len());
        for word in text.split_inclusive(|c: char| c.is_whitespace() || "\"<>`".contains(c)) {
            // Punctuation that follows a URL in a sentence is not part of it.
            let url = word.trim_end_matches(|c: char| c.is_whitespace() || "\"<>`)]},.:;'!".contains(c));
            let plain = if url.contains('\\') { without_escapes(url).into() } else { Cow::from(url) };
            let redacted = if looks_like_url(&plain) { self.url(&plain) } else { String::new() };
            shown.push_str(if redacted.is_empty() || redacted == plain { url } else { &redacted });
            shown.push_str(&word[url.len()..]);
        }
        shown.into()
    }

    fn pairs<'a>(&self, text: &'a str, separators: &[char]) -> Cow<'a, str> {
        let all = || text.split(separators);
        // Evaluated once for all pairs, because there may be thousands.
        let login = std::cell::OnceCell::new();
        let is_login = || *login.get_or_init(|| self.is_login(text));
        if all().all(|pair| matches!(self.judge(pair, &is_login), Verdict::Shown)) {
            return text.into();
        }
        let mut shown = String::with_capacity(text.len() + REDACTED.len());
        let mut hidden = false;
        for pair in all() {
            let separator = text[..pair.as_ptr() as usize - text.as_ptr() as usize].chars().next_back();
            shown.extend(separator);
            let (name, value) = cut(pair, '=');
            // The rest of a secret that contains an unencoded semicolon.
            let continues = hidden && separator == Some(';') && value.is_none() && !pair.is_empty();
            let verdict = if continues { Verdict::Hidden } else { self.judge(pair, &is_login) };
            hidden = !matches!(verdict, Verdict::Shown);
            match verdict {
                Verdict::Shown => shown.push_str(pair),
                Verdict::Named => shown.extend([name, "=", REDACTED]),
                Verdict::Hidden => shown.push_str(REDACTED),
            }
        }
        shown.into()
    }

    /// Decides how to redact a pair. `is_login` returns whether the pairs are those of a login.
    fn judge(&self, pair: &str, is_login: &dyn Fn() -> bool) -> Verdict {
        match cut(pair, '=') {
            (_, Some("")) => Verdict::Shown,
            (name, Some(_)) if self.is_secret(name) => Verdict::Named,
            // A secret in an OAuth redirect, and harmless elsewhere.
            (name, Some(_)) if bare(name) == "state" && is_login() => Verdict::Named,
            (name, _) if self.holds_secret(name) => Verdict::Hidden,
            (_, Some(value)) if self.holds_secret(value) => Verdict::Named,
            _ => Verdict::Shown,
        }
    }

    fn is_login(&self, pairs: &str) -> bool {
        pairs.split(['&', ';']).any(|pair| {
            let name = cut(pair, '=').0;
            matches!(&*bare(name), "clientid" | "responsetype") || self.is_secret(name)
        })
    }

    /// Whether a parameter with this name is a secret, including `user[password]` and `user.password`, and the first
    /// parameter of a nested query, as in `#/callback?code=`.
    fn is_secret(&self, name: &str) -> bool {
        let Some(name) = decoded(name) else { return true };
        let whole = bare(&name);
        let shown = self.shown.contains(&whole);
        self.hidden.contains(&whole)
            || name.split(['[', ']', '.', '?', '#', '/', '&', ';']).map(bare).any(|part| {
                let stem = part.trim_end_matches(|c: char| c.is_ascii_digit());
                let is_common = || NAMES.contains(&stem) || ENDS.iter().any(|end| stem.ends_with(end));
                self.hidden.contains(&part) || (!shown && is_common())
            })
    }

    /// Whether `text` contains a URL, a query or JSON with a secret.
    fn holds_secret(&self, text: &str) -> bool {
        if !text.contains(['=', '@', ':', '%']) {
            return false;
        }
        let Some(text) = decoded(text) else { return true };
        let front = &text[..text.rfind('@').unwrap_or(0)];
        let credentials = front.match_indices("://").any(|(at, _)| !without_user(&text[at + 3..]).0.is_empty());
        credentials
            || text.match_indices(['=', ':']).any(|(at, mark)| {
                let (before, after) = (&text[..at], &text[at + 1..]);
                // Before a colon, as in JSON, only a quoted name counts.
                let name = before.trim_end().trim_end_matches(['"', '\'']);
                let is_name = mark == "=" || name.len() < before.trim_end().len();
                let name = name.rsplit(|c: char| c.is_whitespace() || "&;?#/,{}()<>\"'=:".contains(c)).next();
                is_name
                    && !after.is_empty()
                    && !after.starts_with(['&', ';', '='])
                    && name.is_some_and(|it| self.is_secret(it))
            })
    }
}

/// Removes the escapes of JSON encoders from a URL, at any level of nesting: `\/`, and `\u0026` for `&`.
fn without_escapes(url: &str) -> String {
    let plain = url.replace("\\u0026", "&").replace("\\u003d", "=");
    plain.split('/').map(|part| part.trim_end_matches('\\')).collect::<Vec<_>>().join("/")
}

/// Splits `rest`, which starts with an authority, into its redacted user information and what follows.
pub(crate) fn without_user(rest: &str) -> (&'static str, &str) {
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let authority = &rest[..end];
    // A port that is empty, invalid or without a host is the start of a password that should have been percent-encoded.
    let has_invalid_port = || {
        let port = authority.rsplit_once(':').filter(|(host, _)| !host.starts_with('['));
        port.is_some_and(|(host, port)| host.is_empty() || port.starts_with('+') || port.parse::<u16>().is_err())
    };
    let user = authority.rfind('@').or_else(|| if has_invalid_port() { rest.rfind('@') } else { None });
    match user {
        None => ("", rest),
        Some(at) if rest[..at].contains(':') => ("REDACTED:REDACTED@", &rest[at + 1..]),
        Some(at) => ("REDACTED@", &rest[at + 1..]),
    }
}

fn cut(text: &str, mark: char) -> (&str, Option<&str>) {
    text.split_once(mark).map_or((text, None), |(before, after)| (before, Some(after)))
}

/// Normalizes a name: lowercase, without punctuation.
fn bare(name: &str) -> String {
    name.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

/// Decodes percent-encoding, including nested encoding. Returns `None` if it is nested too deeply, which suggests an
/// attempt to hide a secret.
fn decoded(text: &str) -> Option<Cow<'_, str>> {
    let mut text = Cow::Borrowed(text);
    for _ in 0..MAX_DECODED {
        let Some(once) = decoded_once(&text) else { return Some(text) };
        text = once.into();
    }
    decoded_once(&text).is_none().then_some(text)
}

/// `None` if nothing was encoded.
fn decoded_once(text: &str) -> Option<String> {
    match Cow::from(percent_decode_str(text)) {
        Cow::Borrowed(_) => None,
        Cow::Owned(bytes) => Some(String::from_utf8_lossy(&bytes).into_owned()),
    }
}

#[cfg(test)]
mod tests;
