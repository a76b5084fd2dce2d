//! Dumps that end early.

use super::*;

#[test]
fn of_a_dump_that_is_cut_off_the_rest_is_read() {
    let requests = [request(["order", "charge"]), request(["refund", "pay"])];
    for (form, content) in forms(&requests) {
        // In the middle of the second one; the last byte of the lines is what may be missing.
        let (spans, dump) = read(&content[..content.len() - 20]).unwrap();
        let cut_off = dump.cut_off.unwrap_or_else(|| panic!("{form}: not seen")).to_string();
        assert_eq!(spans.iter().map(|span| &*span.name).collect::<Vec<_>>(), ["charge", "order"], "{form}");
        let expected = format!("byte {}: unexpected end of data", content.len() - 20);
        assert!(cut_off.starts_with(&expected), "{form}: {cut_off}");
        assert!(
            cut_off.contains("unexpected end of data; expected") || cut_off.contains(": EOF while parsing"),
            "{cut_off}"
        );
    }
}

/// Wherever the compressed data is cut: in the header, the content or the checksum.
#[test]
fn of_compressed_data_that_is_cut_off_the_rest_is_read() {
    let requests = [request(["order", "charge"]), request(["refund", "pay"])];
    for (form, content) in forms(&requests) {
        let mut stored = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::none());
        stored.write_all(&content).unwrap();
        let compressed = stored.finish().unwrap();
        let (mut last, all) = (0, 4);
        for end in (2..compressed.len()).step_by(7).chain([compressed.len() - 1]) {
            let (spans, dump) = read(&compressed[..end]).unwrap_or_else(|error| panic!("{form} at {end}: {error}"));
            let cut_off = dump.cut_off.unwrap_or_else(|| panic!("{form} at {end}: not seen")).to_string();
            assert_eq!(
                cut_off,
                format!("byte {end} of the compressed data: unexpected end of data; expected more gzip data")
            );
            assert!((last..=all).contains(&spans.len()), "{form} at {end}: {} after {last}", spans.len());
            last = spans.len();
        }
        assert_eq!(last, all, "{form}: only the checksum is missing");
        // A second part that is cut off, after one that is whole. A byte order mark only stands at the start.
        if form == "with a byte order mark" {
            continue;
        }
        let twice = [&*compressed, &compressed[..compressed.len() - 30]].concat();
        let (spans, dump) = read(&*twice).unwrap();
        assert!(spans.len() >= all && dump.cut_off.is_some(), "{form}: {} spans", spans.len());
    }
    // What is something else, or damaged, is not cut off.
    let page = gzip("<html>".repeat(1000).as_bytes());
    assert!(error(&page[..page.len() - 4]).starts_with("not OTLP: it begins with `<html>"));
    let logs = gzip("{\"resourceLogs\":[]}\n".repeat(10).as_bytes());
    assert!(error(&logs[..logs.len() - 4]).starts_with("JSON without spans: "));
    let mut damaged = gzip(&forms(&requests)[0].1);
    let end = damaged.len();
    damaged[end - 6] ^= 1;
    assert!(error(&damaged).starts_with("cannot be read: "), "{}", error(&damaged));
}
