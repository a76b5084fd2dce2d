//! Defaults, and limits that depend on others.

use super::*;

#[test]
fn open_spans() {
    let default = OpenSpansConfig { max: 16_384, warn_after: Duration::from_secs(300) };
    assert_eq!(valid(&[]).open_spans, default);
    let with_max = |max| {
        let mut config = default;
        config.set_max(max);
        config.max
    };
    assert_eq!([0, 1, 262_144, 262_145].map(with_max), [0, 1, 262_144, 262_144]);
}

#[test]
fn error_text() {
    let of = |variables| format!("{:?}", valid(variables).error_text);
    assert_eq!(of(&[]), "Unset");
    assert_eq!(of(&[("THROUGHLINE_ERROR_TEXT", "full")]), "Variable(Full)");
    assert_eq!(of(&[("THROUGHLINE_ERROR_TEXT", "Type")]), "Variable(Type)");
}

#[test]
fn a_batch_leaves_room_in_the_queue_and_has_at_least_one_span() {
    let mut batch = BatchConfig::default();
    for (queue, expected) in [(1, (1, 1)), (7, (1, 3)), (8, (2, 4)), (1_000, (250, 500)), (100_000, (512, 512))] {
        batch.max_export_batch_size = 512;
        batch.set_max_queue_size(Setting { value: queue, name: "Builder::max_queue_size" });
        assert_eq!((batch.export_threshold(), batch.largest_batch()), expected, "{queue}");
    }
}

#[test]
fn the_byte_limit_depends_on_the_span_limit_unless_it_is_set() {
    let mut batch = BatchConfig::default();
    assert_eq!(batch.queue_bytes().value, 128 << 20);
    for (spans, bytes) in [(1, 32 << 20), (1_000_000, 1_024_000_000), (usize::MAX, usize::MAX)] {
        batch.set_max_queue_size(Setting { value: spans, name: "Builder::max_queue_size" });
        assert_eq!(batch.queue_bytes(), Setting { value: bytes, name: "THROUGHLINE_MAX_QUEUE_BYTES" });
    }
    batch.max_queue_bytes = Some(Setting { value: 5, name: "Builder::max_queue_bytes" });
    assert_eq!(batch.queue_bytes(), Setting { value: 5, name: "Builder::max_queue_bytes" });
}
