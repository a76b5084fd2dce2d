//! The totals, and the table of services and entry points.

use maud::{Markup, html};

use super::text::{count, counted, kind, name};
use crate::audit::{Counts, Report};

/// The totals of all traces.
pub(super) fn figures(report: &Report) -> Markup {
    let breaks: u64 = report.breaks.iter().map(|found| found.count).sum();
    let skipped = report.skipped;
    html! {
        dl.figures {
            div.good[report.total.traces > 0 && report.total.complete == report.total.traces] {
                dt { "complete" } dd #completeness { (report.total.percent()) }
            }
            div { dt { "traces" } dd { (count(report.total.traces)) } }
            div { dt { "spans" } dd { (count(report.total.spans)) } }
            div.good[report.total.traces > 0 && breaks == 0] { dt { "breaks" } dd { (count(breaks)) } }
        }
        p.note {
            "A trace is complete if its spans form one connected tree in which every parent is present and every span has ended."
        }
        @for (number, what, why) in skipped.reasons() {
            p.note.skipped { "Not judged: " (counted(number, what)) " " (why) "." }
        }
    }
}

/// A table of the services, each followed by its entry points.
pub(super) fn services(report: &Report) -> Markup {
    html! {
        section aria-labelledby="services" {
            h2 #services { "Services and entry points" }
            @if report.services.is_empty() { p { "No trace has been judged." } } @else {
                div.scroll tabindex="0" role="region" aria-labelledby="of-services" {
                    table {
                        caption #of-services { "The traces of each service and of each of its entry points" }
                        thead {
                            tr {
                                th scope="col" { "service, entry point" }
                                th scope="col" { "kind" }
                                @for head in ["traces", "spans", "complete", "breaks"] { th.number scope="col" { (head) } }
                            }
                        }
                        @for service in &report.services {
                            tbody {
                                tr.service {
                                    th scope="row" { (name(&service.name)) }
                                    td {}
                                    (numbers(service.counts, service.breaks))
                                }
                                @for entry in &service.entries {
                                    tr {
                                        th.entry scope="row" { (name(&entry.name)) }
                                        td.kind { (kind(&entry.kind)) }
                                        (numbers(entry.counts, entry.breaks))
                                    }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn numbers(counts: Counts, breaks: u64) -> Markup {
    html! {
        td.number { (count(counts.traces)) }
        td.number { (count(counts.spans)) }
        td.number.bad[counts.complete < counts.traces] { (counts.percent()) }
        td.number.bad[breaks > 0] { (count(breaks)) }
    }
}
