//! The page as text. `.ci/audit-page` checks it in a browser.

use opentelemetry::trace::{SpanId, TraceId};

use crate::SpanKind;
use crate::audit::{Audit, Place, Report, Rules, Span};

fn span(id: u64, parent: u64, name: &str) -> Span {
    let mut span = Span::new(TraceId::from(1), SpanId::from(id), name);
    span.service = "orders".into();
    span.parent_id = (parent > 0).then(|| SpanId::from(parent));
    (span.start, span.end) = (1_000_000 * id, Some(100_000_000));
    span
}

fn report(spans: impl IntoIterator<Item = Span>) -> Report {
    let mut audit = Audit::new(Rules::new());
    for span in spans {
        audit.push(span);
    }
    audit.finish()
}

/// The rows of the waterfall, each from the attributes of its `tr` element on.
fn rows(page: &str) -> Vec<&str> {
    let (_, table) = page.split_once("<table class=\"waterfall\">").expect("a waterfall");
    let (_, body) = table.split_once("<tbody>").unwrap();
    body.split("<tr").skip(1).collect()
}

#[test]
fn children_of_one_missing_parent_hang_below_one_dashed_row() {
    let mut left = span(3, 2, "left");
    left.end = Some(40_000_000);
    let page = report([span(1, 0, "root"), left, span(4, 2, "right"), span(5, 9, "other")]).to_html();
    let rows = rows(&page);
    let ghosts: Vec<_> =
        rows.iter().enumerate().filter(|(_, row)| row.starts_with(" class=\"ghost broken\"")).collect();
    assert_eq!(rows.len(), 6, "four spans, and two missing ones: {rows:#?}");
    let names =
        ["root", "missing parent 0000000000000002", "left", "right", "missing parent 0000000000000009", "other"];
    for (row, name) in rows.iter().zip(names) {
        assert!(row.contains(name), "{name}: {row}");
    }
    assert_eq!(ghosts.iter().map(|(at, _)| *at).collect::<Vec<_>>(), [1, 4]);
    assert!(
        ghosts
            .iter()
            .all(|(_, row)| row.contains("data-breaks=\"missing-parent\"") && row.contains("stroke-dasharray"))
    );
    // A ghost extends over its children.
    assert!(rows[1].contains("x=\"2.020%\" width=\"97.980%\""), "{}", rows[1]);
}

#[test]
fn an_entry_that_should_have_had_a_parent_hangs_below_its_caller() {
    let mut consumer = span(2, 0, "process orders");
    consumer.kind = SpanKind::Consumer;
    consumer.place = Some(Place::new("src/mailer.rs", Some(77), None).into());
    let page = report([consumer, span(3, 2, "store")]).to_html();
    let rows = rows(&page);
    assert!(rows[0].contains("missing caller") && rows[0].contains("data-breaks=\"unparented-entry\""), "{}", rows[0]);
    assert!(rows[0].contains("<code>src/mailer.rs:77</code>"), "{}", rows[0]);
    assert!(rows[1].contains("process orders") && !rows[1].contains("data-breaks"), "{}", rows[1]);
    assert_eq!(rows.len(), 3);
}

#[test]
fn each_service_has_a_colour() {
    let mut other = span(3, 2, "charge");
    other.service = "payments".into();
    let page = report([span(1, 0, "root"), other]).to_html();
    let rows = rows(&page);
    assert!(rows[0].contains("class=\"span c0\"") && rows[2].contains("class=\"span c1\""), "{rows:#?}");
}

#[test]
fn a_span_that_never_ended_is_marked_at_its_end() {
    let mut open = span(2, 1, "stuck");
    open.end = None;
    let page = report([span(1, 0, "root"), open]).to_html();
    let rows = rows(&page);
    assert!(
        rows[1].contains("data-breaks=\"never-ended\"") && rows[1].contains("<line class=\"never\" x1=\"100.000%\"")
    );
    assert!(rows[1].contains("never ended</td>") && !rows[0].contains("class=\"never\""));
}

#[test]
fn text_from_spans_is_escaped() {
    let hostile = "</table><script>alert(1)</script><img src=x onerror=y>\"'\u{202e}\n";
    let mut orphan = span(2, 7, hostile);
    orphan.service = hostile.into();
    let page = report([orphan]).to_html();
    assert!(!page.contains("<script") && !page.contains("<img"), "{page}");
    assert!(page.contains("&lt;script&gt;alert(1)"));
    assert!(!page.contains('\u{202e}'), "bidirectional controls are escaped");
}

#[test]
fn long_names_are_truncated() {
    let mut orphan = span(2, 7, &"n".repeat(70_000));
    orphan.service = "s".repeat(70_000).into();
    let page = report([orphan, span(3, 2, "child")]).to_html();
    let shown = |letter: &str| format!(">{}…<", letter.repeat(256));
    assert!(page.contains(&shown("n")) && page.contains(&shown("s")));
    assert!(page.lines().all(|line| line.len() < 30_000) && page.len() < 30_000, "{}", page.len());
}

#[test]
fn the_page_loads_nothing_and_runs_nothing() {
    let page = report([span(2, 7, "orphan")]).to_html();
    assert!(
        page.contains("content=\"default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'\"")
    );
    for what in ["<script", "<link", "<img", "@import", "url(", "src=", "://", " style="] {
        assert!(!page.contains(what), "{what}");
    }
    let handler = page.split('<').map(|rest| rest.split('>').next().unwrap()).find(|tag| tag.contains(" on"));
    assert_eq!(handler, None, "no tag has an event handler");
}

#[test]
fn links_have_targets() {
    let page = report([span(1, 0, "root"), span(3, 2, "orphan")]).to_html();
    let targets: Vec<_> = page.split("href=\"#").skip(1).map(|rest| rest.split('"').next().unwrap()).collect();
    assert!(targets.len() >= 2, "{targets:?}");
    for target in targets {
        assert_eq!(page.matches(&format!("id=\"{target}\"")).count(), 1, "{target}");
    }
}

#[test]
fn a_truncated_trace_says_how_many_spans_are_shown() {
    let page = |shown| {
        let mut audit = Audit::new(Rules::new().max_spans_shown(shown));
        (1..=1_200).for_each(|id| audit.push(span(id, if id == 1 { 9_999 } else { 1 }, "work")));
        audit.finish().to_html()
    };
    assert!(page(500).contains(" · 500 of 1,200 spans · "));
    assert!(page(1_200).contains(" · 1,200 spans · "));
}

/// The trace has two spans with the same ID.
#[test]
fn element_ids_are_unique_and_labels_refer_to_them() {
    let page = report([span(1, 0, "root"), span(3, 2, "one"), span(3, 1, "other"), span(5, 4, "late")]).to_html();
    let values = |attribute: &str| -> Vec<String> {
        page.split(&format!(" {attribute}=\"")).skip(1).map(|rest| rest.split('"').next().unwrap().to_owned()).collect()
    };
    let ids = values("id");
    for id in &ids {
        assert_eq!(ids.iter().filter(|other| *other == id).count(), 1, "{id}");
    }
    let labels = values("aria-labelledby");
    assert!(labels.iter().all(|label| ids.contains(label)), "{labels:?} {ids:?}");
    // Three sections, and each scrollable region.
    assert_eq!(labels.len(), 3 + page.matches("class=\"scroll\"").count());
}

/// `.ci/audit-page` checks the order, the focus and the contrast.
#[test]
fn the_page_is_structured_by_headings_and_captions() {
    let page = report([span(1, 0, "root"), span(3, 2, "orphan")]).to_html();
    let levels: Vec<_> = page.split("<h").filter_map(|rest| rest.chars().next()?.to_digit(10)).collect();
    assert_eq!(levels, [1, 2, 2, 3, 2, 3], "the title, the services, the breaks with their kinds, the traces");
    assert_eq!((page.matches("<table").count(), page.matches("<caption").count()), (3, 3));
    assert_eq!(page.matches("<th>").count(), 0, "each header cell has a scope");
    let body = page.split_once("<body>").unwrap().1;
    assert!(body.starts_with("<a class=\"skip\" href=\"#main\">"), "{body}");
    for landmark in ["<header>", "<nav aria-label=", "<main id=\"main\" tabindex=\"-1\">"] {
        assert_eq!(page.matches(landmark).count(), 1, "{landmark}");
    }
    // There is no link to a section that is absent.
    assert!(!report([span(1, 0, "root")]).to_html().contains("#traces"));
}

#[test]
fn totals_match_the_report() {
    let page = report([span(1, 0, "root"), span(3, 2, "orphan")]).to_html();
    assert!(page.contains("<title>0.000 % complete – trace audit</title>"));
    assert!(page.contains("id=\"completeness\">0.000 %"));
    let page = report([span(1, 0, "root")]).to_html();
    assert!(page.contains("id=\"completeness\">100.000 %") && page.contains("No breaks were found."));
    assert!(!page.contains("Broken traces"));
    let page = report([]).to_html();
    assert!(page.contains("<title>No traces judged – trace audit</title>"), "{page}");
    assert!(page.contains("id=\"completeness\">n/a"), "{page}");
    assert!(page.contains("No trace has been judged.") && !page.contains("No breaks were found."));
    assert!(!page.contains("class=\"good\""), "{page}");
}
