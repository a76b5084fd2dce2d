//! A second implementation of the header grammars, from the specifications and written for clarity, not for speed. The
//! parsers of the runtime are compared with it.

use std::collections::BTreeMap;

/// The span that a header names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Identity {
    /// Never zero.
    pub(crate) trace_id: u128,
    /// Never zero.
    pub(crate) span_id: u64,
    /// W3C's flags.
    pub(crate) flags: u8,
}

/// The members of a baggage: value and properties by key.
pub(crate) type Members = BTreeMap<String, (String, String)>;

/// W3C's optional white space.
const OWS: [char; 2] = [' ', '\t'];

/// Whether `text` is `length` hexadecimal digits in lower case.
fn is_hex(text: &str, length: std::ops::RangeInclusive<usize>) -> bool {
    length.contains(&text.len()) && text.chars().all(|digit| matches!(digit, '0'..='9' | 'a'..='f'))
}

fn identity(trace_id: &str, span_id: &str, flags: u8) -> Option<Identity> {
    let trace_id = u128::from_str_radix(trace_id, 16).ok()?;
    let span_id = u64::from_str_radix(span_id, 16).ok()?;
    (trace_id != 0 && span_id != 0).then_some(Identity { trace_id, span_id, flags })
}

/// W3C Trace Context, section "Traceparent Header".
pub(crate) fn traceparent(header: &str) -> Option<Identity> {
    let fields: Vec<&str> = header.trim_matches(OWS).split('-').collect();
    let [version, trace_id, span_id, flags, later @ ..] = fields.as_slice() else { return None };
    let shape = is_hex(version, 2..=2) && is_hex(trace_id, 32..=32) && is_hex(span_id, 16..=16) && is_hex(flags, 2..=2);
    if !shape || *version == "ff" || (*version == "00" && !later.is_empty()) {
        return None;
    }
    // The flags for sampled and for a random trace ID. Other flags are not propagated.
    identity(trace_id, span_id, u8::from_str_radix(flags, 16).ok()? & 3)
}

/// W3C Trace Context level 2, section "Tracestate Header". `None` if it is to be discarded.
pub(crate) fn tracestate(headers: &[&str]) -> Option<Vec<(String, String)>> {
    let mut members: Vec<(String, String)> = Vec::new();
    for member in
        headers.join(",").split(',').map(|member| member.trim_matches(OWS)).filter(|member| !member.is_empty())
    {
        let (key, value) = member.split_once('=')?;
        let values = (1..=256).contains(&value.len())
            && value.chars().all(|letter| matches!(letter, ' '..='+' | '-'..='<' | '>'..='~'));
        if !is_tracestate_key(key) || !values {
            return None;
        }
        // Of several members with the same key, the first one counts.
        if members.iter().all(|(other, _)| other != key) {
            members.push((key.to_owned(), value.to_owned()));
        }
    }
    (members.len() <= 32).then_some(members)
}

/// Level 2, section "Key".
fn is_tracestate_key(key: &str) -> bool {
    key.len() <= 256
        && key.starts_with(|first| matches!(first, 'a'..='z' | '0'..='9'))
        && key.chars().all(|letter| matches!(letter, 'a'..='z' | '0'..='9' | '_' | '-' | '*' | '/' | '@'))
}

/// Zipkin's `b3`.
pub(crate) fn b3(header: &str) -> Option<Identity> {
    match header.trim_matches(OWS).split('-').collect::<Vec<_>>().as_slice() {
        [trace_id, span_id] => b3_identity(trace_id, span_id, 1),
        [trace_id, span_id, sampled] => b3_identity(trace_id, span_id, b3_sampled(sampled)?),
        [trace_id, span_id, sampled, parent] if is_hex(parent, 16..=16) => {
            b3_identity(trace_id, span_id, b3_sampled(sampled)?)
        }
        _ => None,
    }
}

fn b3_sampled(state: &str) -> Option<u8> {
    match state {
        "0" => Some(0),
        "1" | "d" => Some(1),
        _ => None,
    }
}

fn b3_identity(trace_id: &str, span_id: &str, flags: u8) -> Option<Identity> {
    let shape = (is_hex(trace_id, 16..=16) || is_hex(trace_id, 32..=32)) && is_hex(span_id, 16..=16);
    if shape { identity(trace_id, span_id, flags) } else { None }
}

/// Zipkin's `x-b3-traceid`, `x-b3-spanid`, `x-b3-sampled` and `x-b3-flags`.
pub(crate) fn b3multi(
    trace_id: Option<&str>,
    span_id: Option<&str>,
    sampled: Option<&str>,
    flags: Option<&str>,
) -> Option<Identity> {
    let debug = flags.is_some_and(|flags| flags.trim_matches(OWS) == "1");
    let sampled = match sampled.map(|sampled| sampled.trim_matches(OWS)) {
        _ if debug => 1,
        None | Some("1" | "true") => 1,
        Some("0" | "false") => 0,
        _ => return None,
    };
    b3_identity(trace_id?.trim_matches(OWS), span_id?.trim_matches(OWS), sampled)
}

/// Jaeger's `uber-trace-id`.
pub(crate) fn jaeger(header: &str) -> Option<Identity> {
    let header = header.trim_matches(OWS);
    // As long as 32 + 16 + 16 + 2 digits with encoded colons between them.
    if header.len() > 75 {
        return None;
    }
    let header = String::from_utf8(percent_decoded(header)).ok()?;
    let [trace_id, span_id, parent, flags] = header.split(':').collect::<Vec<_>>().try_into().ok()?;
    let shape = is_hex(trace_id, 1..=32) && is_hex(span_id, 1..=16) && is_hex(parent, 1..=16) && is_hex(flags, 1..=2);
    if shape { identity(trace_id, span_id, u8::from_str_radix(flags, 16).ok()? & 1) } else { None }
}

/// AWS X-Ray's `X-Amzn-Trace-Id`: fields in any order, each at most once.
pub(crate) fn xray(header: &str) -> Option<Identity> {
    let header = header.trim_matches(OWS);
    let fields: Vec<_> =
        header.split(';').map(|field| field.trim_matches(OWS)).filter(|field| !field.is_empty()).collect();
    if header.len() > 1024 || !fields.iter().all(|field| field.contains('=')) {
        return None;
    }
    let of = |name: &str| {
        let named: Vec<_> = fields.iter().filter_map(|field| field.strip_prefix(name)?.strip_prefix('=')).collect();
        if named.len() > 1 { Err(()) } else { Ok(named.first().copied()) }
    };
    let (root, parent, sampled) = (of("Root").ok()?, of("Parent").ok()?, of("Sampled").ok()?);
    let flags = match sampled {
        None | Some("?" | "1") => 1,
        Some("0") => 0,
        _ => return None,
    };
    let parts: Vec<_> = root?.split('-').collect();
    let ["1", time, rest] = parts.as_slice() else { return None };
    let shape = is_hex(time, 1..=8) && is_hex(rest, 24..=24) && is_hex(parent?, 16..=16);
    if shape { identity(&format!("{time}{rest}"), parent?, flags) } else { None }
}

/// W3C Baggage, section "Header Content". A member that is not valid is left out; nothing is read past
/// 8,192 bytes or 64 accepted members.
pub(crate) fn baggage(headers: &[&str], accepts: fn(&str) -> bool) -> Members {
    let mut members = Members::new();
    let mut read = 0;
    for member in headers.join(",").split(',') {
        if read + member.len() > 8192 || members.len() == 64 {
            break;
        }
        read += member.len() + 1;
        let mut parts = member.split(';');
        let Some((key, value)) = parts.next().and_then(|pair| pair.split_once('=')) else { continue };
        let (key, value) = (key.trim_matches(OWS), value.trim_matches(OWS));
        if is_token(key) && is_baggage_value(value) && accepts(key) {
            let value = String::from_utf8_lossy(&percent_decoded(value)).into_owned();
            let properties: Vec<_> = parts.filter_map(property).collect();
            members.insert(key.to_owned(), (value, properties.join(";")));
        }
    }
    members
}

/// A property without its white space; `None` if it is not valid.
fn property(text: &str) -> Option<String> {
    match text.split_once('=') {
        None => is_token(text.trim_matches(OWS)).then(|| text.trim_matches(OWS).to_owned()),
        Some((key, value)) => {
            let (key, value) = (key.trim_matches(OWS), value.trim_matches(OWS));
            (is_token(key) && is_baggage_value(value)).then(|| format!("{key}={value}"))
        }
    }
}

/// Whether `header` may be sent: every member and property is valid, there is no white space around them, and
/// everything is within the limits.
pub(crate) fn is_strict_baggage(header: &str) -> bool {
    header.len() <= 8192
        && header.split(',').count() <= 64
        && header.split(',').all(|member| {
            let mut parts = member.split(';');
            let pair = parts.next().and_then(|pair| pair.split_once('='));
            pair.is_some_and(|(key, value)| is_token(key) && is_baggage_value(value))
                && parts.all(|part| property(part).is_some_and(|clean| clean == part))
        })
}

/// A token of RFC 9110: visible, and none of the separators.
fn is_token(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|letter| letter.is_ascii_graphic() && !"(),/:;<=>?@[\\]{}\"".contains(letter))
}

/// Any number of `baggage-octet`, including none.
fn is_baggage_value(text: &str) -> bool {
    text.chars().all(|letter| letter.is_ascii_graphic() && !"\",;\\".contains(letter))
}

/// A percent sign without two digits stands for itself.
fn percent_decoded(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((&byte, behind)) = rest.split_first() {
        let digits = behind.get(..2).and_then(|two| std::str::from_utf8(two).ok());
        let digits = digits.filter(|two| two.bytes().all(|digit| digit.is_ascii_hexdigit()));
        match digits.map(|two| u8::from_str_radix(two, 16)) {
            Some(Ok(decoded)) if byte == b'%' => {
                bytes.push(decoded);
                rest = &behind[2..];
            }
            _ => {
                bytes.push(byte);
                rest = behind;
            }
        }
    }
    bytes
}
