//! The behaviour of attributes and functions, one file or folder per subject.

#![expect(
    clippy::needless_pass_by_value,
    clippy::unnecessary_wraps,
    clippy::unused_self,
    reason = "clippy sees traced functions as they are written, and these have little to do"
)]

mod block;
mod carried;
mod handle;
mod http;
mod living;
mod log;
mod messaging;
mod options;
mod origin;
mod outcome;
mod output;
mod propagation;
mod record;
mod shared;
mod spawn;
mod subscriber;
mod tag_failures;
mod tag_keys;
mod tag_secrets;
mod tags;
mod teardown;
mod text;
mod timers;
mod values;
