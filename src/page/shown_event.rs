//! What a view shows of an event.

use std::path::Path;

use serde::Serialize;

use crate::events::{Entry, Event, Facts, Outcome, plain_json};

/// What is shown to one reader, the newest first.
pub(super) struct Shown {
    pub(super) alarms: Vec<ShownEvent>,
    pub(super) events: Vec<ShownEvent>,
}

/// An event as its reader may see it, with what to do.
#[derive(Debug, Serialize)]
pub(super) struct ShownEvent {
    pub(super) id: u64,
    #[serde(flatten)]
    pub(super) event: Event,
}

impl ShownEvent {
    /// Without private names, addresses and ids, unless the reader may know them. A reader who has the id of a request is shown it.
    pub(super) fn of(entry: &Entry, with_private: bool, request: Option<&str>, data: &Path) -> Self {
        let mut event = if with_private { entry.event.for_this_machine(data) } else { entry.event.public(data) };
        if !with_private {
            event.client = None;
            event.request = event.request.filter(|id| Some(id.as_str()) == request);
        }
        if let Some(advice) = advice(&event.facts) {
            let facts = Facts { advice: Some(advice.to_owned()), ..(*event.facts).clone() };
            event.facts = facts.into();
        }
        Self { id: entry.id, event }
    }

    /// One line of JSON.
    pub(super) fn line(&self) -> String {
        plain_json(&serde_json::to_string(self).unwrap_or_default())
    }

    /// How the file was proved.
    pub(super) fn proof(&self) -> Option<String> {
        let Facts { outcome, basis, database, record, .. } = &*self.event.facts;
        match (outcome, basis.as_deref(), record, database) {
            (Outcome::Released, Some("pin"), ..) => Some("pinned on first use".to_owned()),
            (Outcome::Released, _, Some(record), Some(database)) => {
                Some(format!("proved by record {record} of {database}"))
            }
            _ => None,
        }
    }

    /// The folder or file with the evidence, relative to the data folder.
    pub(super) fn evidence(&self) -> Option<String> {
        let Facts { evidence, quarantine, .. } = &*self.event.facts;
        evidence.clone().or_else(|| (!quarantine.is_empty()).then(|| quarantine.join(", ")))
    }
}

/// Wrong bytes, or a fork: what an operator must look at.
pub(super) fn is_alarm(event: &Event) -> bool {
    matches!(event.facts.outcome, Outcome::Quarantined | Outcome::Fork)
}

/// What to do, unless the event says it.
fn advice(facts: &Facts) -> Option<&'static str> {
    match facts.outcome {
        Outcome::Fork => Some(
            "Keep the evidence file and publish it; `sumgate verify FILE` checks it. Nothing new is released until you have moved \
             it away.",
        ),
        Outcome::Quarantined => Some(
            "Look at facts.json in the folder, and ask the owner of the source. Remove the folder after that. No client got these \
             bytes.",
        ),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use std::sync::Arc;
    use std::time::SystemTime;

    use super::*;

    #[test]
    fn others_see_neither_address_nor_id_except_their_own() {
        let facts =
            Facts { outcome: Outcome::Quarantined, quarantine: vec!["/d/quarantine/1".to_owned()], ..Facts::default() };
        let event = Event {
            request: Some("0a".to_owned()),
            client: Some("10.0.0.7".parse().unwrap()),
            ..Event::at(SystemTime::UNIX_EPOCH, Arc::new(facts))
        };
        let entry = Entry { id: 7, event };
        let line = |with_private, request| ShownEvent::of(&entry, with_private, request, Path::new("/d")).line();
        for other in [line(false, None), line(false, Some("0b"))] {
            assert!(!other.contains("10.0.0.7") && !other.contains("0a") && other.contains("\"id\":7"), "{other}");
        }
        assert!(
            line(false, Some("0a")).contains("\"request\":\"0a\"") && !line(false, Some("0a")).contains("10.0.0.7")
        );
        let own = line(true, None);
        assert!(own.contains("10.0.0.7") && own.contains("0a") && own.contains("[\"quarantine/1\"]"), "{own}");
        assert!(own.contains("facts.json"), "{own}");
    }
}
