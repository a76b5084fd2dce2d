//! Which arguments of a command are keys, and which are values.

use std::collections::HashMap;
use std::sync::LazyLock;

use self::Argument::{Count, Key, Procedure, Subcommand, Value};
use self::Rest::{CountedKeys, Keys, KeysButLast, Pairs, Streams, Values};

/// The role of an argument.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Argument {
    /// The second word of a command's name: `CREATE` in `XGROUP CREATE`.
    Subcommand,
    /// The digest or the name of a script that is stored on the server.
    Procedure,
    /// A keyword that separates other arguments.
    Keyword,
    /// A key, or the name of a field.
    Key,
    /// The number of keys that follow.
    Count,
    /// Everything else, and everything that is not known.
    Value,
}

/// The roles of the arguments after the first ones.
#[derive(Debug, Clone, Copy)]
enum Rest {
    Values,
    Keys,
    KeysButLast,
    /// Keys and values in turn.
    Pairs,
    /// As many keys as the [`Count`] before them says, then values.
    CountedKeys,
    /// `… STREAMS key… id…`
    Streams,
}

/// The layouts of the known commands: their first arguments, and the rest of them. Subcommands that differ from the
/// others of their command are written as in the access control lists of Redis: `MEMORY|USAGE`.
///
/// Arguments of other commands are values.
const LAYOUTS: &[(&[Argument], Rest, &str)] = &[
    // Strings and bits.
    (
        &[Key],
        Values,
        "APPEND BITCOUNT BITFIELD BITFIELD_RO BITPOS DECR DECRBY DELEX DIGEST GET GETBIT GETDEL GETEX GETRANGE GETSET \
         INCR INCRBY INCRBYFLOAT PSETEX SET SETBIT SETEX SETNX SETRANGE STRLEN SUBSTR",
    ),
    (&[Key, Key], Values, "LCS"),
    (&[], Keys, "MGET"),
    (&[], Pairs, "MSET MSETNX"),
    (&[Value], Keys, "BITOP"),
    // Keys of any type.
    (
        &[Key],
        Values,
        "DUMP EXPIRE EXPIREAT EXPIRETIME MOVE PERSIST PEXPIRE PEXPIREAT PEXPIRETIME PTTL RESTORE SORT SORT_RO TTL TYPE",
    ),
    (&[Key, Key], Values, "COPY RENAME RENAMENX"),
    (&[], Keys, "DEL EXISTS TOUCH UNLINK WATCH"),
    (&[Subcommand, Key], Values, "OBJECT MEMORY|USAGE CLUSTER|KEYSLOT DEBUG|OBJECT"),
    // Hashes.
    (
        &[Key],
        Values,
        "HEXPIRE HEXPIREAT HEXPIRETIME HGETALL HGETDEL HGETEX HKEYS HLEN HPERSIST HPEXPIRE HPEXPIREAT HPEXPIRETIME \
         HPTTL HRANDFIELD HSCAN HSETEX HTTL HVALS",
    ),
    (&[Key, Key], Values, "HINCRBY HINCRBYFLOAT HSETNX"),
    (&[], Keys, "HDEL HEXISTS HGET HMGET HSTRLEN"),
    (&[Key], Pairs, "HMSET HSET"),
    // Lists.
    (&[Key], Values, "LINDEX LINSERT LLEN LPOP LPOS LPUSH LPUSHX LRANGE LREM LSET LTRIM RPOP RPUSH RPUSHX"),
    (&[Key, Key], Values, "BLMOVE BRPOPLPUSH LMOVE RPOPLPUSH"),
    (&[], KeysButLast, "BLPOP BRPOP"),
    (&[Count], CountedKeys, "LMPOP"),
    (&[Value, Count], CountedKeys, "BLMPOP"),
    // Sets.
    (&[Key], Values, "SADD SCARD SISMEMBER SMEMBERS SMISMEMBER SPOP SRANDMEMBER SREM SSCAN"),
    (&[Key, Key], Values, "SMOVE"),
    (&[], Keys, "SDIFF SDIFFSTORE SINTER SINTERSTORE SUNION SUNIONSTORE"),
    (&[Count], CountedKeys, "SINTERCARD"),
    // Sorted sets.
    (
        &[Key],
        Values,
        "ZADD ZCARD ZCOUNT ZINCRBY ZLEXCOUNT ZMSCORE ZPOPMAX ZPOPMIN ZRANDMEMBER ZRANGE ZRANGEBYLEX ZRANGEBYSCORE \
         ZRANK ZREM ZREMRANGEBYLEX ZREMRANGEBYRANK ZREMRANGEBYSCORE ZREVRANGE ZREVRANGEBYLEX ZREVRANGEBYSCORE \
         ZREVRANK ZSCAN ZSCORE",
    ),
    (&[Key, Key], Values, "ZRANGESTORE"),
    (&[], KeysButLast, "BZPOPMAX BZPOPMIN"),
    (&[Count], CountedKeys, "ZDIFF ZINTER ZINTERCARD ZMPOP ZUNION"),
    (&[Key, Count], CountedKeys, "ZDIFFSTORE ZINTERSTORE ZUNIONSTORE"),
    (&[Value, Count], CountedKeys, "BZMPOP"),
    // Geospatial indexes and HyperLogLogs.
    (
        &[Key],
        Values,
        "GEOADD GEODIST GEOHASH GEOPOS GEORADIUS GEORADIUS_RO GEORADIUSBYMEMBER GEORADIUSBYMEMBER_RO GEOSEARCH PFADD",
    ),
    (&[Key, Key], Values, "GEOSEARCHSTORE"),
    (&[], Keys, "PFCOUNT PFMERGE"),
    // Streams and channels.
    (
        &[Key],
        Values,
        "PUBLISH SPUBLISH XACK XACKDEL XADD XAUTOCLAIM XCLAIM XDEL XDELEX XLEN XPENDING XRANGE XREVRANGE XSETID XTRIM",
    ),
    (&[Subcommand, Key], Values, "XGROUP XINFO"),
    (&[], Streams, "XREAD XREADGROUP"),
    // Scripts.
    (&[Value, Count], CountedKeys, "EVAL EVAL_RO"),
    (&[Procedure, Count], CountedKeys, "EVALSHA EVALSHA_RO FCALL FCALL_RO"),
    // The server.
    (
        &[Subcommand],
        Values,
        "ACL CLIENT CLUSTER COMMAND CONFIG DEBUG FUNCTION LATENCY MEMORY MODULE PUBSUB SCRIPT SLOWLOG",
    ),
];

/// The layout of one command.
#[derive(Debug, Clone, Copy)]
pub(super) struct Layout {
    first: &'static [Argument],
    rest: Rest,
}

impl Layout {
    /// The layout of a command of which `words` are the name and the first arguments.
    pub(super) fn of(words: &[&[u8]]) -> Self {
        Self::find(words).unwrap_or(Self { first: &[], rest: Values })
    }

    fn find(words: &[&[u8]]) -> Option<Self> {
        static BY_NAME: LazyLock<HashMap<&str, Layout>> = LazyLock::new(|| {
            let rows = LAYOUTS.iter().map(|&(first, rest, names)| (Layout { first, rest }, names));
            rows.flat_map(|(layout, names)| names.split(' ').map(move |name| (name, layout))).collect()
        });
        let name = plain(words.first()?)?.to_ascii_uppercase();
        let layout = *BY_NAME.get(&*name)?;
        let subcommand = words.get(1).filter(|_| layout.first.first() == Some(&Subcommand));
        let of_subcommand = subcommand
            .and_then(|word| plain(word))
            .and_then(|word| BY_NAME.get(&*format!("{name}|{}", word.to_ascii_uppercase())));
        Some(*of_subcommand.unwrap_or(&layout))
    }

    /// Whether the first argument is a [`Procedure`].
    pub(super) fn has_procedure(self) -> bool {
        self.first.first() == Some(&Procedure)
    }

    /// The role of the word at `at`, of which 0 is the name. `words` are the first of `total` words.
    pub(super) fn argument(self, at: usize, words: &[&[u8]], total: usize) -> Argument {
        let first = self.first.len();
        if at <= first {
            // A subcommand consists of letters. Anything else is a mistake, and may be a password.
            let is_mistake = self.first[at - 1] == Subcommand && plain(words[at]).is_none();
            return if is_mistake { Value } else { self.first[at - 1] };
        }
        let nth = at - first;
        let is_key = match self.rest {
            Values => false,
            Keys => true,
            KeysButLast => at + 1 < total,
            Pairs => nth % 2 == 1,
            CountedKeys => nth <= number(words[first]).unwrap_or(0),
            Streams => return stream(at, words, total),
        };
        if is_key { Key } else { Value }
    }
}

/// A word that looks like the name of a command or of a subcommand.
fn plain(word: &[u8]) -> Option<&str> {
    let is_plain =
        word.len() <= 24 && word.iter().all(|byte| byte.is_ascii_alphabetic() || matches!(byte, b'-' | b'_'));
    if is_plain { std::str::from_utf8(word).ok() } else { None }
}

fn number(word: &[u8]) -> Option<usize> {
    std::str::from_utf8(word).ok()?.parse().ok()
}

/// In `XREADGROUP GROUP g c STREAMS a b > >` the keys are the first half of what follows `STREAMS`. A group or a
/// consumer may have that name as well.
fn stream(at: usize, words: &[&[u8]], total: usize) -> Argument {
    let is = |at: usize, keyword: &[u8]| words.get(at).is_some_and(|word| word.eq_ignore_ascii_case(keyword));
    let has_group = is(1, b"GROUP");
    let options = if has_group { 4 } else { 1 };
    let Some(streams) = (options..words.len()).find(|&at| is(at, b"STREAMS")) else { return Value };
    let keys = (total - streams - 1) / 2;
    if at == streams || (at == 1 && has_group) {
        Argument::Keyword
    } else if (streams + 1..=streams + keys).contains(&at) {
        Key
    } else {
        Value
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn a_command_has_one_layout() {
        let mut seen = HashSet::new();
        for (first, rest, names) in LAYOUTS {
            for name in names.split(' ') {
                assert!(seen.insert(name), "{name} is listed twice");
                let plain = |c: char| c.is_ascii_uppercase() || matches!(c, '_' | '|');
                assert!(!name.is_empty() && name.chars().all(plain), "{name}");
            }
            let counted = matches!(rest, CountedKeys);
            assert_eq!(first.last() == Some(&Count), counted, "{names}");
        }
    }
}
