//! The events that the programs emit.

use tracing::info;

/// Reports its drop.
pub(super) struct Loud(pub(super) String);

impl Drop for Loud {
    fn drop(&mut self) {
        info!("{} dropped", self.0);
    }
}

/// Emits an event with as many fields as `tracing` allows, one of which is the message.
pub(super) fn wide(text: &str) {
    info!(
        a = 0,
        b = 0,
        c = 0,
        d = 0,
        e = 0,
        f = 0,
        g = 0,
        h = 0,
        i = 0,
        j = 0,
        k = 0,
        l = 0,
        m = 0,
        n = 0,
        o = 0,
        p = 0,
        q = 0,
        r = 0,
        s = 0,
        t = 0,
        u = 0,
        v = 0,
        w = 0,
        x = 0,
        y = 0,
        z = 0,
        aa = 0,
        ab = 0,
        ac = 0,
        ad = 0,
        ae = 0,
        "{text}"
    );
}

/// The fields, the level, the target, the file and the line.
pub(super) const WIDE: usize = 31 + 4;
