//! The waterfall of each broken trace, in which the breaks are marked.

mod rows;

use maud::{Markup, html};

use self::rows::{Bar, Row, Rows};
use super::text::{count, counted, kind, prose, time};
use crate::audit::{BrokenTrace, Report, displayed};
use crate::text::escape;

/// The number of colours for services in the style sheet.
const COLOURS: usize = 8;

pub(super) fn section(report: &Report) -> Markup {
    let services: Vec<&str> = report.services.iter().map(|service| &*service.name).collect();
    html! {
        @if !report.traces.is_empty() {
            section aria-labelledby="traces" {
                h2 #traces { "Broken traces" }
                p.note {
                    "Dashed rows are missing spans. A dashed end marks a span that never ended. "
                    "Times are those of the spans' own clocks."
                }
                // Only the first ones are open, to keep the page short.
                @for (at, trace) in report.traces.iter().enumerate() { (waterfall(trace, &services, at < 3)) }
            }
        }
    }
}

fn waterfall(trace: &BrokenTrace, services: &[&str], is_open: bool) -> Markup {
    let rows = Rows::of(trace);
    let mut kinds: Vec<_> = trace.marks.iter().map(|mark| mark.kind).collect();
    kinds.sort_unstable();
    kinds.dedup();
    let shown = trace.spans.len() as u64;
    let root = rows.rows.iter().find_map(|row| row.span);
    html! {
        details.trace open[is_open] id={ "trace-" (trace.trace_id) } {
            summary {
                h3 {
                    @if let Some(root) = root { strong { (displayed(&root.name)) } " " }
                    code { (trace.trace_id) }
                }
                " · "
                @if trace.spans_left_out > 0 { (count(shown)) " of " }
                (counted(shown + trace.spans_left_out, "span")) " · " (time(rows.duration)) " "
                @for kind in kinds { code.badge.defect[!kind.breaks_the_tree()] { (kind.name()) } " " }
            }
            div.scroll tabindex="0" role="region" aria-labelledby={ "of-" (trace.trace_id) } {
                table.waterfall {
                    caption id={ "of-" (trace.trace_id) } { "The spans of the trace, by their start, each below its parent" }
                    thead {
                        tr {
                            th scope="col" { "span" }
                            th scope="col" { "service" }
                            th.number scope="col" { "duration" }
                            th.lane scope="col" { span.from { "0" } span.to { (time(rows.duration)) } }
                        }
                    }
                    tbody { @for row in &rows.rows { (line(row, services)) } }
                }
            }
        }
    }
}

fn line(row: &Row<'_>, services: &[&str]) -> Markup {
    let service = row.span.map(|span| &*span.service).unwrap_or_default();
    let colour = services.iter().position(|known| *known == service).unwrap_or_default() % COLOURS;
    html! {
        tr.ghost[row.span.is_none()].broken[!row.marks.is_empty()]
            data-breaks=[row.breaks()]
        {
            th scope="row" {
                // Indented by a graphic rather than a style, which a content security policy may forbid.
                svg.indent width=(row.depth * 14) height="1" aria-hidden="true" {}
                (displayed(&row.label))
                @if let Some(span) = row.span { @if !kind(&span.kind).is_empty() { " " span.kind { (kind(&span.kind)) } } }
                @for (kind, detail) in &row.marks {
                    div.mark {
                        svg.indent width=(row.depth * 14) height="1" aria-hidden="true" {}
                        a.badge.defect[!kind.breaks_the_tree()] href={ "#" (kind.name()) } { (kind.name()) }
                        " " (prose(&escape(detail)))
                        @if let Some(place) = &row.place { " · " code { (place) } }
                    }
                }
            }
            td { (displayed(service)) }
            td.number {
                @match row.span.map(crate::audit::Span::duration) {
                    None => {}
                    Some(None) => "never ended"
                    Some(Some(nanos)) => (time(nanos))
                }
            }
            td.lane { (bar(row, colour)) }
        }
    }
}

/// The bar of a row. It is positioned by attributes; the style sheet only sets its colours.
fn bar(row: &Row<'_>, colour: usize) -> Markup {
    let Bar { left, width, is_open } = row.bar;
    let percent = |share: f64| format!("{:.3}%", share * 100.0);
    html! {
        svg.bar width="100%" height="18" role="img" aria-label=(row.spoken()) {
            @if row.span.is_none() {
                rect.ghost x=(percent(left)) width=(percent(width)) y="4" height="10" rx="2"
                    fill="none" stroke="#c0392b" stroke-dasharray="5 3" {}
            } @else {
                rect class={ "span c" (colour) } x=(percent(left)) width=(percent(width)) y="4" height="10" rx="2" fill="#4a7fb5" {}
            }
            @if is_open {
                line.never x1=(percent(left + width)) x2=(percent(left + width)) y1="1" y2="17"
                    stroke="#c0392b" stroke-width="3" stroke-dasharray="3 3" {}
            }
            @if row.span.is_some() && !row.marks.is_empty() {
                rect.outline x=(percent(left)) width=(percent(width)) y="2" height="14" rx="3"
                    fill="none" stroke="#c0392b" stroke-width="2" {}
            }
        }
    }
}
