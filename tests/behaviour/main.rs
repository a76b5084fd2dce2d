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
mod shapes;
mod spawn;
mod tags;
mod timers;
