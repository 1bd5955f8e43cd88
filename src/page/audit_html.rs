//! The page on which a go.sum is audited, and its findings.

use maud::{Markup, html};

use super::audit::{Audited, MAX_GO_SUM, MAX_VERSIONS};
use super::layout::{State, number, page, state};
use super::view::View;
use crate::base::text::{counted, safe};
use crate::finding::{Ending, Finding, Report, Severity, Unaudited};

/// Lines that were not checked, of which each is shown.
const MAX_SHOWN: usize = 100;

/// The form; with the findings after it was sent, or with what was wrong.
pub(super) fn form(view: &View, is_offline: bool, result: Option<Result<&Audited, &str>>) -> Markup {
    let main = html! {
        h1 { "Audit a go.sum" }
        @match result {
            Some(Ok(audited)) => (found(view, audited)),
            Some(Err(why)) => p.lead role="alert" { (state(State::Bad, "Not audited")) ". " (why) },
            None => p.lead {
                "Every line is compared with the proved record of the checksum database, and with the policy of this mirror."
            },
        }
        form method="post" action=(view.link("/-/audit")) {
            label for="go-sum" { "The content of a go.sum" }
            textarea #go-sum name="go_sum" rows="12" required spellcheck="false" autocomplete="off" wrap="off"
                aria-describedby="limits" placeholder="golang.org/x/text v0.14.0 h1:…" {}
            p #limits .note {
                "At most " (MAX_GO_SUM >> 20) " MB and " (number(MAX_VERSIONS as u64)) " module versions. "
                "Paste it here" span.with-script { ", or drop a file" } ". It is not stored."
                @if is_offline { " This mirror is offline: versions that it has not proved before stay unchecked." }
            }
            button type="submit" { "Audit" }
        }
    };
    page(view, "/-/audit", "Audit a go.sum", "", &main)
}

fn found(view: &View, Audited { report, left_out, .. }: &Audited) -> Markup {
    let (kind, headline) = headline(report);
    let proved = counted(report.proved, "line");
    html! {
        div role="status" {
            p.lead { (state(kind, headline)) ". " (proved) " proved, " (counted(report.findings.len(), "finding")) "." }
            @if *left_out > 0 {
                p { (counted(*left_out, "line")) " of modules that are exempt, or look private: not checked, and not sent to a database." }
            }
            @if let Some(misbehaviour) = &report.misbehaviour {
                p { (state(State::Bad, "The database signed two histories")) ": nothing else here is reliable. " (misbehaviour.message) }
            }
        }
        @if !report.findings.is_empty() {
            section aria-labelledby="findings" {
                h2 #findings { "Findings" }
                ol.findings { @for finding in &report.findings { li { (one(view, finding)) } } }
            }
        }
        @if !report.unchecked.is_empty() {
            section aria-labelledby="unchecked" {
                h2 #unchecked { "Not checked" }
                ul.findings { @for line in report.unchecked.iter().take(MAX_SHOWN) { li { (unchecked(line)) } } }
                @if report.unchecked.len() > MAX_SHOWN { p.note { (report.unchecked.len() - MAX_SHOWN) " more are not listed." } }
            }
        }
        h2 { "Audit another one" }
    }
}

fn headline(report: &Report) -> (State, &'static str) {
    match report.ending(Severity::Warning) {
        Ending::Nothing => (State::Neutral, "Nothing to check"),
        Ending::Clean => (State::Good, "Everything is proved"),
        Ending::Findings => (State::Bad, "Something is wrong"),
        Ending::NotFinished => (State::Doubtful, "Not finished"),
        Ending::Misbehaviour => (State::Bad, "The checksum database misbehaves"),
    }
}

fn one(view: &View, finding: &Finding) -> Markup {
    let kind = match finding.severity() {
        Severity::Error => State::Bad,
        Severity::Warning => State::Doubtful,
        Severity::Note => State::Neutral,
    };
    html! {
        h3 { (state(kind, finding.severity().name())) " " (finding.code.name()) }
        p {
            (message(view, finding))
            @if let Some(place) = &finding.place { " (" (place.to_string()) ")" }
        }
        @if finding.facts.iter().next().is_some() {
            dl { @for (name, value) in finding.facts.iter() { dt { (name) } dd { code { (safe(value)) } } } }
        }
        p.note { (finding.advice()) }
    }
}

/// The message, with the module version in it as a link.
fn message(view: &View, finding: &Finding) -> Markup {
    let Some(module) = &finding.module else { return html! { (safe(&finding.message)) } };
    let link = html! { a href=(view.module(module)) { (module) } };
    let Some((before, after)) = finding.message.split_once(module.as_str()) else {
        return html! { (link) ": " (safe(&finding.message)) };
    };
    html! { (safe(before)) (link) (safe(after)) }
}

fn unchecked(line: &Unaudited) -> Markup {
    html! { p { strong { (line.module) } " (" (line.place.to_string()) "): " (line.reason) } }
}
