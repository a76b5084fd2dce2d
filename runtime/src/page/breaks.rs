//! The breaks by kind, with their usual causes and remedies.

use std::collections::HashSet;

use maud::{Markup, html};
use opentelemetry::trace::TraceId;

use super::text::{count, name, prose};
use crate::audit::{Break, BreakKind, Report, displayed};
use crate::text::escape;

pub(super) fn section(report: &Report) -> Markup {
    let shown: HashSet<TraceId> = report.traces.iter().map(|trace| trace.trace_id).collect();
    html! {
        section aria-labelledby="breaks" {
            h2 #breaks { "Breaks" }
            @if report.breaks.is_empty() && report.total.traces > 0 { p.good { "No breaks were found." } }
            @if report.breaks.is_empty() && report.total.traces == 0 { p { "Nothing has been judged." } }
            @for &kind in BreakKind::ALL {
                @let found: Vec<_> = report.breaks.iter().filter(|found| found.kind == kind).collect();
                @if !found.is_empty() { (of_kind(kind, &found, &shown)) }
            }
        }
    }
}

fn of_kind(kind: BreakKind, found: &[&Break], shown: &HashSet<TraceId>) -> Markup {
    let total: u64 = found.iter().map(|found| found.count).sum();
    html! {
        details.breaks open id=(kind.name()) {
            summary {
                h3 {
                    code.badge.defect[!kind.breaks_the_tree()] { (kind.name()) } " "
                    strong { (count(total)) } " × " (prose(kind.title()))
                }
            }
            p { b { "Usual cause: " } (prose(kind.cause())) "." }
            p { b { "Remedy: " } (prose(kind.remedy())) "." }
            div.scroll tabindex="0" role="region" aria-labelledby={ "of-" (kind.name()) } {
                table {
                    caption id={ "of-" (kind.name()) } { "Where breaks of the kind " (kind.name()) " are" }
                    thead {
                        tr {
                            @for head in ["service", "entry point", "span", "where"] { th scope="col" { (head) } }
                            th.number scope="col" { "count" }
                            th scope="col" { "examples" }
                        }
                    }
                    tbody {
                        @for found in found {
                            tr {
                                td { (name(&found.service)) }
                                td { (name(&found.entry)) }
                                td {
                                    (name(&found.span))
                                    @if let Some(subject) = &found.subject { " " code { (displayed(subject)) } }
                                }
                                td { @if let Some(place) = &found.place { code { (place) } } }
                                td.number { (count(found.count)) }
                                td { (examples(found, shown)) }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// Each example, with a link to its trace if that is drawn below.
fn examples(found: &Break, shown: &HashSet<TraceId>) -> Markup {
    html! {
        ul {
            @for example in &found.examples {
                li {
                    (prose(&escape(&example.detail)))
                    @if let Some(trace) = example.trace_id {
                        " "
                        @if shown.contains(&trace) {
                            a href={ "#trace-" (trace) } { code { (trace) } }
                        } @else {
                            code { (trace) }
                        }
                    }
                }
            }
        }
    }
}
