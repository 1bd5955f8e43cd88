//! The page of events: forks and wrong bytes on top, a filter, and the newest events. The script fills the same rows.

use clap::ValueEnum;
use maud::{Markup, html};

use super::event_query::{Asked, SHOWN};
use super::layout::{State, bytes, number, page, state};
use super::shown_event::{Shown, ShownEvent};
use super::view::View;
use crate::events::Outcome;
use crate::mirror::REFUSAL_CODES;

/// The events, or what is wrong with the filter.
pub(super) fn events(view: &View, asked: &Asked, shown: Result<&Shown, &str>) -> Markup {
    let main = html! {
        h1 { "Events" }
        @match shown {
            Ok(_) => p.lead { "What this mirror released and refused, the newest first. Times are in UTC." },
            Err(why) => p.lead role="alert" { (state(State::Bad, "Not filtered")) ". " (why) },
        }
        @if let Ok(shown) = shown { (alarms(view, &shown.alarms)) }
        (form(view, asked))
        @if let Ok(shown) = shown { (list(view, asked, &shown.events)) }
    };
    page(view, "/-/events", "Events", "", &main)
}

fn alarms(view: &View, alarms: &[ShownEvent]) -> Markup {
    html! {
        section #alarms.alarms aria-labelledby="look" hidden[alarms.is_empty()] {
            h2 #look { "Look at these first" }
            ol.rows #alarm-rows { @for shown in alarms { (row(&Row::of(view, shown))) } }
        }
    }
}

fn form(view: &View, asked: &Asked) -> Markup {
    let text = |name: &str, label: &str, hint: &str| {
        html! {
            div {
                label for=(format!("filter-{name}")) { (label) }
                input id=(format!("filter-{name}")) type="text" name=(name) value=(asked.field(name)) placeholder=(hint)
                    maxlength="500" autocomplete="off" autocapitalize="off" spellcheck="false";
            }
        }
    };
    let choice = |name: &str, label: &str, all: &str, values: &[(&str, &str)]| {
        html! {
            div {
                label for=(format!("filter-{name}")) { (label) }
                select id=(format!("filter-{name}")) name=(name) {
                    option value="" { (all) }
                    @for (value, text) in values { option value=(value) selected[asked.field(name) == *value] { (text) } }
                }
            }
        }
    };
    let outcomes: Vec<(&str, &str)> =
        Outcome::value_variants().iter().map(|outcome| (outcome.name(), title(*outcome).1)).collect();
    let codes: Vec<(&str, &str)> = REFUSAL_CODES.iter().map(|code| (*code, *code)).collect();
    html! {
        form.filter action=(view.link("/-/events")) method="get" role="search" aria-label="Filter events" {
            (choice("outcome", "Outcome", "all", &outcomes))
            (choice("code", "Code of a refusal", "all", &codes))
            (text("module", "Module", "golang.org/x or M@V"))
            (text("request", "Id of a request", "in the text of a refusal"))
            @if view.with_private { (text("client", "Client", "10.0.0.7 or 10.0.0.0/8")) }
            div.actions {
                button type="submit" { "Filter" }
                @if asked.has_filter() { a href=(view.link("/-/events")) { "Show all" } }
            }
        }
    }
}

fn list(view: &View, asked: &Asked, events: &[ShownEvent]) -> Markup {
    let after = events.first().map_or(0, |newest| newest.id);
    let stream = format!("/-/api/v1/events/stream?{}", asked.query());
    html! {
        section aria-labelledby="newest" {
            div.live {
                h2 #newest { @if asked.has_filter() { "Matching events" } @else { "Newest events" } }
                p #live-state.state.with-script role="status" {}
                button #pause.with-script type="button" { "Pause" }
            }
            ol.rows #events data-stream=(view.link(&stream)) data-module=(view.link("/-/module?q=")) data-after=(after)
                data-most=(SHOWN) {
                @for shown in events { (row(&Row::of(view, shown))) }
            }
            p #none hidden[!events.is_empty()] {
                @if asked.has_filter() { "No event in memory matches the filter." } @else { "Nothing happened yet." }
            }
            p #left-out.note hidden { "Some events came too fast for this window. Load the page again to see all that are kept." }
            p.note {
                "At most " (SHOWN) " events are shown. The mirror keeps the newest " (number(1000)) " of each outcome in memory; its log has "
                "more: " code { "sumgate report events" } "."
                @if !view.with_private { " Addresses of clients and private modules are not shown here." }
            }
        }
        @for outcome in Outcome::value_variants() { template id=(format!("event-{}", outcome.name())) { (row(&Row::empty(*outcome))) } }
    }
}

/// The texts of a row. The script sets those of a template by their names.
#[derive(Default)]
struct Row {
    outcome: Outcome,
    time: String,
    subject: Option<String>,
    link: Option<String>,
    kind: Option<String>,
    reason: Option<String>,
    advice: Option<String>,
    /// A label, the name of the part, and its text.
    more: Vec<(&'static str, &'static str, String)>,
}

/// The parts below a row, with their labels.
const MORE: [(&str, &str); 9] = [
    ("", "proof"),
    ("code", "code"),
    ("rule", "rule"),
    ("from", "source"),
    ("", "size"),
    ("client", "client"),
    ("request", "request"),
    ("warning", "warnings"),
    ("evidence in", "evidence"),
];

impl Row {
    fn of(view: &View, shown: &ShownEvent) -> Self {
        let facts = &shown.event.facts;
        let subject = Some(facts.subject()).filter(|subject| !subject.is_empty()).or_else(|| facts.database.clone());
        let text = |part: &str| match part {
            "proof" => shown.proof(),
            "code" => facts.code.clone(),
            "rule" => facts.rule.clone(),
            "source" => facts.source.clone(),
            "size" => facts.bytes.map(bytes),
            "client" => shown.event.client.map(|client| client.to_string()),
            "request" => shown.event.request.clone(),
            "warnings" => (!facts.warnings.is_empty()).then(|| facts.warnings.join("; ")),
            _ => shown.evidence(),
        };
        Self {
            outcome: facts.outcome,
            time: format!("{:.0}", shown.event.time).replace('T', " ").replace('Z', ""),
            link: facts.module.is_some().then(|| view.module(&facts.subject())),
            subject,
            kind: facts.kind.clone(),
            reason: facts.reason.clone(),
            advice: facts.advice.clone(),
            more: MORE.iter().filter_map(|(label, part)| Some((*label, *part, text(part)?))).collect(),
        }
    }

    /// With all parts, for the script.
    fn empty(outcome: Outcome) -> Self {
        let empty = || Some(String::new());
        let more = MORE.iter().map(|(label, part)| (*label, *part, String::new())).collect();
        Self {
            outcome,
            subject: empty(),
            link: empty(),
            kind: empty(),
            reason: empty(),
            advice: empty(),
            more,
            ..Self::default()
        }
    }
}

fn title(outcome: Outcome) -> (State, &'static str) {
    match outcome {
        Outcome::Released => (State::Good, "Released"),
        Outcome::Refused => (State::Bad, "Refused"),
        Outcome::Failed => (State::Doubtful, "Failed"),
        Outcome::Quarantined => (State::Bad, "Wrong bytes"),
        Outcome::Fork => (State::Bad, "Fork of a database"),
        Outcome::SourceDown => (State::Doubtful, "Source down"),
    }
}

fn row(row: &Row) -> Markup {
    let (kind, outcome) = title(row.outcome);
    html! {
        li.event {
            div.event-head {
                (state(kind, outcome))
                @if let Some(subject) = &row.subject {
                    " "
                    @if let Some(link) = &row.link { a data-part="subject" href=(link) { (subject) } } @else { span data-part="subject" { (subject) } }
                }
                @if let Some(kind) = &row.kind { " " span.plain data-part="kind" { (kind) } }
                " " time data-part="time" { (row.time) }
            }
            @if let Some(reason) = &row.reason { p.reason data-part="reason" { (reason) } }
            @if let Some(advice) = &row.advice { p.advice data-needs="advice" { "What to do: " span data-part="advice" { (advice) } } }
            @if !row.more.is_empty() {
                ul.facts {
                    @for (label, part, text) in &row.more {
                        li data-needs=(part) { @if !label.is_empty() { (label) " " } span data-part=(part) { (text) } }
                    }
                }
            }
        }
    }
}
