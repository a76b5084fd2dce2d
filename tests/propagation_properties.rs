//! Properties of every header parser, for hostile input. The fuzz targets run the same functions (`docs/fuzzing.md`);
//! here the input is of three kinds: arbitrary bytes, random combinations of fragments of the grammars, and valid
//! headers with a few modified bytes.
//!
//! The cases are the same in every run. Set `PROPTEST_RNG_SEED` for different ones, and `PROPTEST_CASES` for more.

use std::path::Path;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use proptest::test_runner::{Config, RngSeed, TestRunner};

// The library of the fuzz targets. It is in another workspace, so it is included.
#[path = "../fuzz/src/lib.rs"]
#[expect(clippy::missing_panics_doc, reason = "the module's documentation says that all of them panic")]
pub mod invariants;

/// Valid and invalid pieces of headers.
const PIECES: &[&str] = &[
    "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    "0af7651916cd43dd8448eb211c80319c",
    "00000000000000000000000000000000",
    "b7ad6b7169203331",
    "0000000000000000",
    "af7",
    "0",
    "1",
    "d",
    "true",
    "00",
    "01",
    "02",
    "cc",
    "ff",
    "FF",
    "+1",
    "-",
    ":",
    "%3A",
    "%",
    "%2C",
    "%FF",
    "%C3%A9",
    ",",
    "=",
    ";",
    "@",
    "\"",
    "\\",
    " ",
    "\t",
    "\n",
    "\u{b}",
    "\u{3000}",
    "é",
    "a",
    "a=1",
    "a=2;p",
    "p=q",
    "foo=1,",
    "foo@bar=x",
    "foo@long-system-14=x",
    "tenant_id=",
    "order_no=",
    "traceparent: ",
    "TraceParent: ",
    "tracestate: ",
    "b3: ",
    "x-b3-traceid: ",
    "x-b3-spanid: ",
    "x-b3-sampled: ",
    "x-b3-flags: ",
    "uber-trace-id: ",
    "X-Amzn-Trace-Id: ",
    "Root=1-0af76519-16cd43dd8448eb211c80319c",
    "Root=",
    "Parent=b7ad6b7169203331",
    "Sampled=",
    "?",
    "baggage: ",
    "{\"traceparent\":\"",
    "\"tracestate\":\"",
    "\"baggage\":\"",
    "\"}",
    "null",
];

fn pieces() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        20 => select(PIECES).prop_map(|piece| piece.as_bytes().to_vec()),
        1 => vec(any::<u8>(), 1..4),
        // Around the limits of keys and values.
        1 => (select(b"a0*%".as_slice()), select(&[13_usize, 14, 15, 240, 241, 242, 255, 256, 257, 4000][..]))
            .prop_map(|(byte, length)| std::vec::from_elem(byte, length)),
        // Around the limits of members.
        1 => (30..70_u8).prop_map(|count| (0..count).flat_map(|at| format!("k{at}=v,").into_bytes()).collect()),
    ];
    vec(piece, 0..24).prop_map(|pieces| pieces.concat())
}

/// One of the seeds of the fuzz target, with some bytes modified, inserted or removed.
fn mutated(seeds: Vec<Vec<u8>>) -> impl Strategy<Value = Vec<u8>> {
    let change = (any::<Index>(), any::<u8>(), 0..4_u8);
    (select(seeds), vec(change, 0..4)).prop_map(|(mut seed, changes)| {
        for (at, byte, how) in changes {
            let at = at.index(seed.len() + 1);
            match (how, seed.get_mut(at)) {
                (0, Some(there)) => *there = byte,
                (1, Some(there)) => *there ^= 1 << (byte % 8),
                (2, Some(_)) => drop(seed.remove(at)),
                _ => seed.insert(at, byte),
            }
        }
        seed
    })
}

fn seeds(target: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/seeds").join(target);
    let mut paths: Vec<_> = folder
        .read_dir()
        .unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
        .map(|entry| entry.expect("a folder can be read").path())
        .collect();
    paths.sort();
    assert!(!paths.is_empty(), "no seeds for {target}");
    paths.into_iter().map(|path| std::fs::read(path).expect("a seed can be read")).collect()
}

fn check(target: &str, holds: fn(&[u8])) {
    let seeds = seeds(target);
    for seed in &seeds {
        holds(seed);
    }
    let mut config = Config { failure_persistence: None, ..Config::default() };
    if std::env::var_os("PROPTEST_CASES").is_none() {
        config.cases = 3000;
    }
    if config.rng_seed == RngSeed::Random {
        config.rng_seed = RngSeed::Fixed(1);
    }
    let bytes = prop_oneof![1 => vec(any::<u8>(), 0..300), 3 => pieces(), 3 => mutated(seeds)];
    let run = TestRunner::new(config).run(&bytes, |bytes| {
        holds(&bytes);
        Ok(())
    });
    run.unwrap_or_else(|failure| panic!("{target}: {failure}"));
}

macro_rules! targets {
    ($($target:ident)*) => {
        $(
            #[test]
            fn $target() {
                check(stringify!($target), invariants::$target);
            }
        )*
    };
}

targets! { traceparent tracestate baggage b3 b3multi jaeger xray composite carrier }
