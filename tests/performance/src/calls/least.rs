//! The floor, plus the minimum that keeps two promises, for one callsite: the span is encoded into the buffer of its
//! trace when it ends, and, if `LISTED`, it is in a table of open spans, through which another thread can end it.
//!
//! Nothing else is done: no sampler, no limits, no attribute that is set twice, no events, no status, no panics.

use std::cell::RefCell;
use std::panic::Location;
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{SystemTime, UNIX_EPOCH};

use opentelemetry::trace::{SpanContext, SpanId, TraceContextExt as _};
use opentelemetry::{Context, time};
use opentelemetry_sdk::trace::{IdGenerator as _, RandomIdGenerator};

use super::inert::{Ends, Inert};
use super::plain;

type Buffer = Mutex<Vec<u8>>;

/// The buffer of the only trace.
static TRACE: LazyLock<Arc<Buffer>> = LazyLock::new(Arc::default);

/// The constant part of the callsite: its name and source location.
static CALL_SITE: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let mut bytes = vec![0x2a, 6];
    bytes.extend_from_slice(b"step_6");
    put_text(&mut bytes, "code.function.name", concat!(module_path!(), "::step_6"));
    put_text(&mut bytes, "code.file.path", file!());
    put_integer(&mut bytes, "code.line.number", line!().into());
    bytes
});

/// The table of open spans.
static OPEN: [Mutex<Option<Open>>; 64] = [const { Mutex::new(None) }; 64];

struct Open {
    context: Context,
    _name: &'static str,
    _place: &'static Location<'static>,
}

thread_local! {
    /// The buffer of the trace that this thread has used last.
    static RECENT: RefCell<Weak<Buffer>> = RefCell::new(Arc::downgrade(&TRACE));
    /// Buffers of attributes, for reuse.
    static SPARE: RefCell<Vec<Vec<u8>>> = const { RefCell::new(Vec::new()) };
    /// Free slots of the table.
    static FREE: RefCell<Vec<usize>> = RefCell::new((0..OPEN.len()).collect());
    /// Spans on their way to the export thread.
    static HANDED_OVER: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

struct Span {
    context: SpanContext,
    parent: SpanId,
    started: u64,
    buffer: Arc<Buffer>,
    attributes: Vec<u8>,
    _room: [u64; 2],
}

fn nanos(time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    since.as_secs() * 1_000_000_000 + u64::from(since.subsec_nanos())
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A length, which is below 128.
#[expect(clippy::cast_possible_truncation, reason = "the workload's texts are short")]
fn short(len: usize) -> u8 {
    debug_assert!(len < 0x80, "it takes one byte");
    len as u8
}

#[inline]
fn put_text(out: &mut Vec<u8>, key: &str, value: &str) {
    let value_len = 2 + value.len();
    out.extend_from_slice(&[0x4a, short(4 + key.len() + value_len), 0x0a, short(key.len())]);
    out.extend_from_slice(key.as_bytes());
    out.extend_from_slice(&[0x12, short(value_len), 0x0a, short(value.len())]);
    out.extend_from_slice(value.as_bytes());
}

#[inline]
#[expect(clippy::cast_sign_loss, clippy::cast_possible_truncation, reason = "protobuf's encoding of an integer")]
fn put_integer(out: &mut Vec<u8>, key: &str, value: i64) {
    let mut value = value as u64;
    let value_len = (64 - (value | 1).leading_zeros() as usize).div_ceil(7);
    out.extend_from_slice(&[0x4a, short(4 + key.len() + 1 + value_len), 0x0a, short(key.len())]);
    out.extend_from_slice(key.as_bytes());
    out.extend_from_slice(&[0x12, short(1 + value_len), 0x18]);
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

impl Ends for Span {
    fn span_context(&self) -> &SpanContext {
        &self.context
    }

    #[expect(clippy::cast_possible_truncation, reason = "seven bits at a time, of a length that takes two bytes")]
    fn end(&mut self, timestamp: SystemTime) {
        let end = nanos(timestamp);
        let code: &[u8] = &CALL_SITE;
        let mut out = lock(&self.buffer);
        let len = 64 + code.len() + self.attributes.len() + 2;
        out.reserve(3 + len);
        out.extend_from_slice(&[0x12, len as u8 & 0x7f | 0x80, (len >> 7) as u8]);
        out.extend_from_slice(&[0; 64]);
        let Some(fixed) = out.last_chunk_mut::<64>() else { return };
        fixed[0] = 0x30;
        fixed[1] = 1;
        fixed[2] = 0x39;
        fixed[3..11].copy_from_slice(&self.started.to_le_bytes());
        fixed[11] = 0x41;
        fixed[12..20].copy_from_slice(&end.to_le_bytes());
        fixed[20] = 0x85;
        fixed[21] = 1;
        fixed[22..26].copy_from_slice(&0x0101_u32.to_le_bytes());
        fixed[26] = 0x0a;
        fixed[27] = 16;
        fixed[28..44].copy_from_slice(&self.context.trace_id().to_bytes());
        fixed[44] = 0x12;
        fixed[45] = 8;
        fixed[46..54].copy_from_slice(&self.context.span_id().to_bytes());
        fixed[54] = 0x22;
        fixed[55] = 8;
        fixed[56..].copy_from_slice(&self.parent.to_bytes());
        out.extend_from_slice(code);
        out.extend_from_slice(&self.attributes);
        out.extend_from_slice(&[0x7a, 0]);
        if out.len() >= 1 << 14 {
            HANDED_OVER.with_borrow_mut(|handed_over| {
                handed_over.clear();
                handed_over.extend_from_slice(&out);
            });
            out.clear();
        }
        drop(out);
        let mut spare = std::mem::take(&mut self.attributes);
        spare.clear();
        SPARE.with_borrow_mut(|known| known.push(spare));
    }
}

fn begin(tenant_id: &str, order_no: i64) -> Context {
    let mut attributes = SPARE.with_borrow_mut(|spare| spare.pop().unwrap_or_default());
    put_text(&mut attributes, "tenant_id", tenant_id);
    put_integer(&mut attributes, "order_no", order_no);
    let buffer = RECENT.with_borrow(Weak::upgrade).expect("it is that of a static");
    Context::map_current(|current| {
        let above = current.span();
        let above = above.span_context();
        let span_id = RandomIdGenerator::default().new_span_id();
        let state = above.trace_state().clone();
        let context = SpanContext::new(above.trace_id(), span_id, above.trace_flags(), false, state);
        let started = nanos(time::now());
        current.with_span(Inert(Span { context, parent: above.span_id(), started, buffer, attributes, _room: [0; 2] }))
    })
}

#[inline(never)]
pub(super) fn leaf<const LISTED: bool>(tenant_id: &str, order_no: i64) -> usize {
    let context = begin(tenant_id, order_no);
    let slot = if LISTED { FREE.with_borrow_mut(Vec::pop) } else { None };
    if let Some(slot) = slot {
        let open = Open { context: context.clone(), _name: "step_6", _place: Location::caller() };
        *lock(&OPEN[slot]) = Some(open);
    }
    let guard = context.attach();
    let value = plain(tenant_id, order_no);
    match slot {
        Some(slot) => {
            let open = lock(&OPEN[slot]).take();
            FREE.with_borrow_mut(|free| free.push(slot));
            drop(guard);
            open.expect("nobody else ends it").context.span().end();
        }
        None => opentelemetry::trace::get_active_span(|span| span.end()),
    }
    value
}
