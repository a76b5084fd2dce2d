//! For `.ci/gate`: what `docs/gate/clippy.toml` forbids, and what it advises. Nothing here is ever run.

mod bare;
mod ours;
