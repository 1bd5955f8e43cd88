//! An event for people, on one line.

use super::event::{Event, Facts, Outcome};
use crate::base::text::{one_line, safe, without_commands};

/// Longest reason on a line, in characters: about three lines of a terminal.
const MAX_REASON: usize = 300;

/// The line, without its end. Safe to print, whatever a client or an upstream wrote into the event.
pub(crate) fn human(event: &Event) -> String {
    let Facts { outcome, .. } = &*event.facts;
    let client = event.client.map_or_else(|| "-".to_owned(), |client| client.to_string());
    let request = event.request.as_deref().map(|id| format!("  request {id}")).unwrap_or_default();
    let line = format!("{:.0}  {:<11}  {client:<15}  {}{request}", event.time, outcome.name(), what(&event.facts));
    without_commands(&safe(&line))
}

fn what(facts: &Facts) -> String {
    let file = facts.kind.iter().map(|kind| format!(" {kind}")).collect::<String>();
    let mut parts = vec![format!("{}{file}", facts.subject())];
    parts.extend(facts.code.clone());
    match (facts.outcome, facts.basis.as_deref()) {
        (Outcome::Released, Some("record")) => parts.push(format!(
            "proved by record {} of {} in the tree of {}",
            number(facts.record),
            facts.database.as_deref().unwrap_or("?"),
            number(facts.tree)
        )),
        (Outcome::Released, Some("pin")) => parts.push("pinned on first use".to_owned()),
        (Outcome::Fork, _) => parts.extend(facts.database.clone()),
        _ => {}
    }
    parts.extend(facts.h1.clone());
    parts.extend(facts.source.iter().map(|source| format!("from {source}")));
    parts.extend(facts.bytes.map(|bytes| format!("{bytes} bytes")));
    parts.extend(facts.rule.iter().map(|rule| format!("rule {rule}, line {}", facts.line.unwrap_or_default())));
    parts.extend(facts.reason.iter().map(|reason| one_line(reason, MAX_REASON)));
    parts.extend(facts.warnings.iter().map(|warning| format!("warning: {}", one_line(warning, MAX_REASON))));
    parts.extend(facts.quarantine.iter().map(|case| format!("in {case}")));
    parts.extend(facts.evidence.iter().map(|file| format!("evidence in {file}")));
    parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("  ")
}

fn number(value: Option<u64>) -> String {
    value.map_or_else(|| "?".to_owned(), |value| value.to_string())
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use std::sync::Arc;
    use std::time::SystemTime;

    use super::*;

    #[test]
    fn a_line_says_who_got_what_and_proved_how() {
        let text = |text: &str| Some(text.to_owned());
        let facts = Facts {
            module: text("example.com/hello"),
            version: text("v1.0.0"),
            kind: text("zip"),
            basis: text("record"),
            database: text("sum.example"),
            record: Some(3),
            tree: Some(100),
            source: text("store"),
            bytes: Some(7),
            ..Facts::default()
        };
        let event = Event::at(SystemTime::UNIX_EPOCH, Arc::new(facts));
        let event = Event { request: text("0a"), client: Some("127.0.0.1".parse().unwrap()), ..event };
        assert_eq!(
            human(&event),
            "1970-01-01T00:00:00Z  released     127.0.0.1        example.com/hello@v1.0.0 zip  proved by record 3 of \
             sum.example in the tree of 100  from store  7 bytes  request 0a"
        );
    }

    #[test]
    fn hostile_text_stays_on_its_line() {
        let facts = Facts {
            outcome: Outcome::Refused,
            module: Some("a\u{1b}[2J\n::error::x".to_owned()),
            reason: Some("no\nsuch ##[group]\u{202e}".to_owned()),
            ..Facts::default()
        };
        let line = human(&Event::at(SystemTime::UNIX_EPOCH, Arc::new(facts)));
        assert_eq!(
            line,
            "1970-01-01T00:00:00Z  refused      -                a\\u{1b}[2J\\n::error::x  no such # #[group]"
        );
    }
}
