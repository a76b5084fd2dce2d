//! Where a span is created, encoded once for each callsite.

#[cfg(feature = "sdk")]
use std::ptr;
#[cfg(feature = "sdk")]
use std::sync::OnceLock;

use tracing::Metadata;

#[cfg(feature = "sdk")]
use crate::encoding::code::CodeAttributes;
use crate::span::unstarted::Place;

/// Where the spans of a callsite are created.
pub(super) fn of(metadata: &'static Metadata<'static>) -> Place {
    Place {
        #[cfg(feature = "sdk")]
        encoded: encoded(metadata),
        file: metadata.file(),
        line: metadata.line(),
    }
}

#[cfg(feature = "sdk")]
struct Known {
    /// The address of its metadata identifies a callsite.
    address: usize,
    code: CodeAttributes,
}

/// A table of fixed size: callsites that find no slot are encoded for each span.
#[cfg(feature = "sdk")]
static KNOWN: [OnceLock<Box<Known>>; 2048] = [const { OnceLock::new() }; 2048];

/// How many slots a callsite may be in.
#[cfg(feature = "sdk")]
const PROBES: usize = 8;

/// The attributes of a place, encoded. `None` if they are too long, or if there are too many callsites.
#[cfg(feature = "sdk")]
fn encoded(metadata: &'static Metadata<'static>) -> Option<&'static CodeAttributes> {
    let address = ptr::from_ref(metadata).addr();
    let first = (address >> 4).wrapping_mul(0x9e37_79b9);
    let known = (0..PROBES).find_map(|probe| {
        let slot = &KNOWN[first.wrapping_add(probe) % KNOWN.len()];
        let known = slot.get_or_init(|| {
            let place = metadata.file().zip(metadata.line());
            let code =
                place.map_or(CodeAttributes::NONE, |(file, line)| CodeAttributes::at(metadata.name(), file, line));
            Box::new(Known { address, code })
        });
        (known.address == address).then_some(&known.code)
    })?;
    (known.count() > 0).then_some(known)
}
