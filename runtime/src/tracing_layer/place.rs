//! A cache of data about callsites: the source location, encoded once, and how their spans are used.

use std::ptr;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU8, Ordering};

use tracing::Metadata;

#[cfg(feature = "sdk")]
use crate::encoding::code::CodeAttributes;
use crate::span::unstarted::Place;

/// Data about a callsite.
#[derive(Debug)]
pub(super) struct Known {
    /// The address of the metadata, which identifies the callsite.
    address: usize,
    #[cfg(feature = "sdk")]
    code: CodeAttributes,
    /// Bits of [`Use`].
    uses: AtomicU8,
}

/// How a span was used.
#[derive(Debug, Clone, Copy)]
#[repr(u8)]
pub(super) enum Use {
    /// Entered first where its parent was current.
    Here = 1,
    /// Entered elsewhere, or given another parent.
    Elsewhere = 2,
}

/// A hash table of fixed size. Callsites that find no free slot are not cached.
static KNOWN: [OnceLock<Box<Known>>; 2048] = [const { OnceLock::new() }; 2048];

/// The number of slots that are probed for a callsite.
const PROBES: usize = 8;

fn slots(address: usize) -> impl Iterator<Item = &'static OnceLock<Box<Known>>> {
    let first = (address >> 4).wrapping_mul(0x9e37_79b9);
    (0..PROBES).map(move |probe| &KNOWN[first.wrapping_add(probe) % KNOWN.len()])
}

/// Returns the data about a callsite, or `None` if there are too many callsites.
pub(super) fn known(metadata: &'static Metadata<'static>) -> Option<&'static Known> {
    let address = ptr::from_ref(metadata).addr();
    slots(address).find_map(|slot| {
        let known = slot.get_or_init(|| Box::new(Known::new(metadata)));
        (known.address == address).then_some(&**known)
    })
}

impl Known {
    fn new(metadata: &'static Metadata<'static>) -> Self {
        #[cfg(feature = "sdk")]
        let place = metadata.file().zip(metadata.line());
        Self {
            address: ptr::from_ref(metadata).addr(),
            #[cfg(feature = "sdk")]
            code: place.map_or(CodeAttributes::NONE, |(file, line)| CodeAttributes::at(metadata.name(), file, line)),
            uses: AtomicU8::new(0),
        }
    }

    pub(super) fn note(&self, used: Use) {
        // The bit is usually set already, and a write would take the cache line from other threads.
        if self.uses.load(Ordering::Relaxed) & used as u8 == 0 {
            self.uses.fetch_or(used as u8, Ordering::Relaxed);
        }
    }
}

/// Whether spans of this callsite have been used, and none of them elsewhere.
pub(super) fn is_used_here(metadata: &Metadata<'_>) -> bool {
    let address = ptr::from_ref(metadata).addr();
    let known = slots(address).map_while(OnceLock::get).find(|known| known.address == address);
    known.is_some_and(|known| known.uses.load(Ordering::Relaxed) == Use::Here as u8)
}

/// Records how a span of this callsite was used.
pub(super) fn note(metadata: &'static Metadata<'static>, used: Use) {
    if let Some(known) = known(metadata) {
        known.note(used);
    }
}

/// Returns the source location of the spans of a callsite.
pub(super) fn of(metadata: &'static Metadata<'static>) -> Place {
    Place {
        // Not encoded if it is too long.
        #[cfg(feature = "sdk")]
        encoded: known(metadata).map(|known| &known.code).filter(|code| code.count() > 0),
        file: metadata.file(),
        line: metadata.line(),
    }
}
