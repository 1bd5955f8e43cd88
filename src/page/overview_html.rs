//! The overview: whether the mirror works, how to use it, its log and its upstreams.

use std::time::Duration;

use maud::{Markup, html};

use super::growth::growth;
use super::layout::{State, copied, number, page, state};
use super::view::View;
use crate::events::Counts;
use crate::mirror::{Activity, DatabaseState, Overview, go_env_undo};
use crate::upstream::SourceState;

/// After this time without a sign of the head, the log may have moved on. sum.golang.org has a new head every few minutes.
const OLD_HEAD: Duration = DAY;
const DAY: Duration = Duration::from_secs(24 * 3600);

pub(super) fn overview(view: &View, overview: &Overview, go_env: &str) -> Markup {
    let main = html! {
        (headline(overview))
        section aria-labelledby="use" {
            h2 #use { "Use this mirror" }
            p { "Paste this on the machine on which you run " code { "go" } ":" }
            pre { (copied(go_env)) }
            p.note { "To go back: " code { (go_env_undo(&overview.exempt)) } }
            @if overview.hides_exempt {
                p.note { "For private modules, " code { "go" } " also needs GONOSUMDB: ask the operator of this mirror." }
            }
        }
        @if let Some(activity) = &overview.activity { (of_activity(activity)) }
        @for database in &overview.databases { (of_database(database)) }
        (upstreams(overview))
        section aria-labelledby="policy" {
            h2 #policy { "Policy" }
            @match (&overview.warns, overview.has_policy) {
                (Some(what), _) => p { (state(State::Doubtful, "It only warns")) ": " (what) },
                (None, true) => p { "A policy decides which proved modules may be used. The page of a version says what it decides." },
                (None, false) => p { "There is no policy: every proved version may be used." },
            }
        }
    };
    page(view, "/", "Overview", "", &main)
}

fn headline(overview: &Overview) -> Markup {
    let disabled = overview.sources.iter().filter(|source| source.disabled_for.is_some()).count();
    html! {
        @if let Some((database, evidence)) = overview.databases.iter().find_map(|one| Some((one, one.fork.as_ref()?))) {
            h1 { (state(State::Bad, "Nothing new is released")) }
            p.lead {
                (database.name) " signed two histories that contradict each other. The evidence is in " code { (evidence) }
                ". What was proved before is still served. Tell the operator of this mirror."
            }
        } @else if disabled > 0 && disabled == overview.sources.len() {
            h1 { (state(State::Doubtful, "Serving what is stored")) }
            p.lead { "No upstream answers. What is stored is served; the rest fails until an upstream answers again." }
        } @else if overview.is_offline {
            h1 { (state(State::Good, "Serving, offline")) }
            p.lead { "Only what is stored is served, and no request leaves this machine." }
        } @else {
            h1 { (state(State::Good, "Serving")) }
            p.lead {
                "Every file is proved in the checksum database before its first byte is served."
                @if overview.hides_exempt || !overview.exempt.is_empty() { " Exempt modules are pinned at their first download." }
            }
        }
    }
}

fn of_database(database: &DatabaseState) -> Markup {
    let seen = match database.seen_before {
        None => "not yet".to_owned(),
        Some(before) => ago(before),
    };
    let is_old = database.seen_before.is_some_and(|before| before > OLD_HEAD);
    html! {
        section {
            h2 { "Checksum database " span.plain { (database.name) } }
            dl {
                @if let Some((size, root)) = &database.head {
                    dt { "Trusted tree" } dd { (number(*size)) " records" }
                    dt { "Root hash" } dd { (copied(root)) }
                } @else {
                    dt { "Trusted tree" } dd { "none yet: the first lookup will ask for it" }
                }
                dt { "Last seen" }
                dd {
                    (seen)
                    @if is_old { " " (state(State::Doubtful, "the log has most likely grown since")) }
                    @if !database.is_shown && database.seen_before.is_some() { " (by an earlier run)" }
                }
            }
            (growth(&database.growth))
        }
    }
}

/// What clients got.
fn of_activity(Activity { hour, day, counted_for }: &Activity) -> Markup {
    let count = |of: fn(&Counts) -> u32| [hour, day].map(|counts| number(of(counts).into()));
    let rows = [
        ("Module files served", count(|counts| counts.served)),
        ("Served without a download", [hour, day].map(hit_rate)),
        ("Requests refused", count(|counts| counts.refused)),
        ("Requests failed", count(|counts| counts.failed)),
    ];
    html! {
        section aria-labelledby="activity" {
            h2 #activity { "Activity" }
            table {
                thead { tr { td {} th scope="col" { "last hour" } th scope="col" { "last day" } } }
                tbody {
                    @for (name, values) in &rows {
                        tr { th scope="row" { (name) } @for value in values { td { (value) } } }
                    }
                }
            }
            @if *counted_for < DAY { p.note { "This mirror started " (ago(*counted_for)) "." } }
        }
    }
}

/// The share of files that were here already.
fn hit_rate(counts: &Counts) -> String {
    let here = u64::from(counts.served.saturating_sub(counts.downloaded));
    let percent = (here * 100).checked_div(counts.served.into());
    percent.map_or_else(|| "–".to_owned(), |percent| format!("{percent} %"))
}

fn upstreams(overview: &Overview) -> Markup {
    html! {
        section aria-labelledby="upstreams" {
            h2 #upstreams { "Upstreams" }
            @if overview.is_offline || overview.sources.is_empty() {
                p { "None: this mirror is offline." }
            } @else {
                ul.rows { @for source in &overview.sources { li { (of_source(source)) } } }
            }
        }
    }
}

fn of_source(source: &SourceState) -> Markup {
    let (kind, text) = match (source.disabled_for, source.distrusted, source.failures) {
        (Some(left), ..) => {
            (State::Bad, format!("temporarily disabled ({} s left) after repeated failures", left.as_secs().max(1)))
        }
        (None, true, _) => (State::Doubtful, "sent wrong bytes recently: asked last".to_owned()),
        (None, false, 0) if source.first_byte.is_none() => (State::Neutral, "not asked yet".to_owned()),
        (None, false, 0) => (State::Good, "answers".to_owned()),
        (None, false, _) => (State::Doubtful, "failed last time".to_owned()),
    };
    html! {
        div { (source.name) }
        div {
            (state(kind, &text))
            @if let Some(time) = source.first_byte { span.note { ", first byte after " (time.as_millis()) " ms" } }
        }
        @if source.failures > 0 && !source.last_failure.is_empty() { div.note { (source.last_failure) } }
    }
}

/// A time before now, for a reader.
fn ago(before: Duration) -> String {
    let minutes = before.as_secs() / 60;
    match minutes {
        0..1 => "less than a minute ago".to_owned(),
        1..120 => format!("{minutes} minutes ago"),
        120..2880 => format!("{} hours ago", minutes / 60),
        _ => format!("{} days ago", minutes / 60 / 24),
    }
}
