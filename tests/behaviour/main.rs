//! What the attributes and functions do, a file for each subject.

mod block;
mod carried;
mod http;
mod living;
mod log;
mod options;
mod origin;
mod outcome;
mod propagation;
mod record;
mod shapes;
mod spawn;
mod tag_failures;
mod tag_keys;
mod tag_secrets;
mod tags;
mod teardown;
mod timers;
mod values;
