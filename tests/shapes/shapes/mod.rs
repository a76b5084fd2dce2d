//! The shapes of functions: with `#[traced]`, each behaves as without it, in one span that ends with the function.

#![cfg_attr(
    not(linted),
    allow(
        clippy::all,
        clippy::pedantic,
        unused_variables,
        unused_mut,
        dead_code,
        missing_abi,
        unreachable_code,
        unreachable_patterns,
        unreachable_pub,
        unused_assignments,
        unused_braces,
        unused_parens,
        reason = "the shapes of other people's functions, not the style of this crate"
    )
)]

mod harness;

mod arguments;
mod async_traits;
mod attributes;
mod blocks;
mod bodies;
mod cancellation;
mod drop_order;
mod errors;
mod exits;
mod futures;
mod generics;
mod impl_blocks;
#[cfg(linted)]
#[rustfmt::skip]
mod linted;
mod macros;
mod passed_on;
mod patterns;
mod qualifiers;
mod receivers;
mod returns;
mod send;
mod streams;
mod traits;
mod uncommon;
