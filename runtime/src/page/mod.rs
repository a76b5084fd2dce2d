//! The report of an audit as one HTML page.
//!
//! The page contains no scripts and loads no resources, so it works from a file, in an e-mail, and as a CI artifact
//! that is served with a strict content security policy. Graphics are positioned by SVG attributes, which no policy
//! forbids: where inline style sheets are blocked, only the colours are lost.

mod breaks;
mod summary;
#[cfg(test)]
mod tests;
mod text;
mod waterfall;

use maud::{DOCTYPE, Markup, PreEscaped, html};

use crate::audit::Report;

impl Report {
    /// Returns the report as a single HTML page, with a waterfall of each [broken trace](Self::traces) in which the
    /// breaks are marked.
    ///
    /// The page contains no scripts and loads no resources, so it works from a file and without a network connection.
    /// All text that comes from spans is escaped, and names are truncated to 256 bytes. The size is about 500 bytes for
    /// each span shown.
    ///
    /// It is accessible by keyboard and screen reader: every control is a link or a `summary` element, tables have
    /// captions and headers, and the contrast conforms to WCAG 2.2, level AA, in the light and the dark colour scheme.
    ///
    /// ```
    /// use throughline::audit::{Audit, Rules, Span};
    ///
    /// let mut audit = Audit::new(Rules::new());
    /// let mut orphan = Span::new(1.into(), 2.into(), "load order");
    /// orphan.parent_id = Some(3.into());
    /// audit.push(orphan);
    /// let page = audit.finish().to_html();
    /// assert!(page.starts_with("<!DOCTYPE html>") && page.contains("missing-parent"));
    /// ```
    pub fn to_html(&self) -> String {
        document(self).into_string()
    }
}

/// Forbids everything except for the inline style sheet.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'";

fn document(report: &Report) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta http-equiv="Content-Security-Policy" content=(POLICY);
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                meta name="generator" content={ "throughline " (env!("CARGO_PKG_VERSION")) };
                title {
                    @if report.total.traces > 0 { (report.total.percent()) " complete" } @else { "No traces judged" }
                    " – trace audit"
                }
                style { (PreEscaped(include_str!("style.css"))) }
            }
            body {
                a.skip href="#main" { "Skip to the content" }
                header {
                    h1 { "Trace audit" }
                    (summary::figures(report))
                }
                nav aria-label="On this page" {
                    a href="#services" { "Services" } " "
                    a href="#breaks" { "Breaks" } " "
                    @if !report.traces.is_empty() { a href="#traces" { "Broken traces" } }
                }
                main #main tabindex="-1" {
                    (summary::services(report))
                    (breaks::section(report))
                    (waterfall::section(report))
                }
            }
        }
    }
}
