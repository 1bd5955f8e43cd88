//! One event, and its line of JSON: format 1. Fields may be added, but are never changed or removed.

use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use clap::ValueEnum;
use jiff::{Timestamp, TimestampRound, Unit};
use serde::{Deserialize, Serialize};

use crate::base::client_text::for_client;
use crate::base::text::is_plain;
use crate::base::without_login::without_logins;

/// The number of the format. It changes only if the meaning of a field changes.
pub(crate) const FORMAT: u32 = 1;
/// Longest text of a field, in characters. The reason of a refusal has one line for each upstream; `go` shows about 600 bytes of it.
const MAX_TEXT: usize = 2000;
/// Longest list in a field: there are at most nine rules of a policy, and 32 cases in quarantine.
const MAX_ITEMS: usize = 32;
/// What stands for the name of a private module.
const PRIVATE: &str = "(private)";

/// Something that happened. Cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Event {
    /// The format, [`FORMAT`].
    pub(crate) v: u32,
    pub(crate) time: Timestamp,
    /// The request of a client, if there was one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) request: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) client: Option<IpAddr>,
    #[serde(flatten)]
    pub(crate) facts: Arc<Facts>,
}

/// What is the same for every request of a file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Facts {
    pub(crate) outcome: Outcome,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) module: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) version: Option<String>,
    /// `zip`, `mod`, `info`, `list`, `latest`, `query` or `lookup`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) kind: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) bytes: Option<u64>,
    /// Of the released bytes, or of those in quarantine.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) h1: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) expected: Option<String>,
    /// `record` or `pin`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) basis: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) database: Option<String>,
    /// The id of the record in the database.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) record: Option<u64>,
    /// The size of the tree in which the record was proved.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) tree: Option<u64>,
    /// `store`, or an upstream without its login.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) source: Option<String>,
    /// The code of a refusal, as in `X-Sumgate-Refused`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) code: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) reason: Option<String>,
    /// What to do about a refusal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) advice: Option<String>,
    /// The rule of the policy that denies.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) rule: Option<String>,
    /// Its line in the policy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) line: Option<u32>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) warnings: Vec<String>,
    /// The folders of wrong bytes, and where they came from.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) quarantine: Vec<String>,
    /// The file that proves a fork.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) evidence: Option<String>,
    /// The module is exempt or looks private, or the source is that of private modules: the name must not leave this machine.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(crate) private: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Outcome {
    /// A file was served, or fetched before a client asked
    #[default]
    Released,
    /// The bytes, a rule or the database forbid the answer
    Refused,
    /// An upstream, a database or this machine failed
    Failed,
    /// Wrong bytes were set aside
    Quarantined,
    /// The checksum database signed two histories
    Fork,
    /// A source failed repeatedly, and is not asked for a while
    SourceDown,
}

impl Outcome {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Released => "released",
            Self::Refused => "refused",
            Self::Failed => "failed",
            Self::Quarantined => "quarantined",
            Self::Fork => "fork",
            Self::SourceDown => "source-down",
        }
    }
}

impl Event {
    /// An event at this time, without a client.
    pub(crate) fn at(time: SystemTime, facts: Arc<Facts>) -> Self {
        let time = Timestamp::try_from(time).unwrap_or(Timestamp::UNIX_EPOCH);
        // Nanoseconds would only make the lines longer.
        let time = time.round(TimestampRound::new().smallest(Unit::Microsecond)).unwrap_or(time);
        Self { v: FORMAT, time, request: None, client: None, facts }
    }

    /// The line, without its end. Whatever is in the event, it is one line without control and invisible characters.
    pub(crate) fn line(&self) -> String {
        plain_json(&serde_json::to_string(self).unwrap_or_default())
    }

    /// The same for others than the operator of this machine: without the names of private modules and of their sources, without
    /// logins, and without the place of the data folder.
    pub(crate) fn public(&self, data: &Path) -> Self {
        let Facts { outcome, kind, code, bytes, rule, .. } = &*self.facts;
        if !self.facts.private {
            let mut clean = self.clean(data);
            // A source may name any module in its last answer.
            if *outcome == Outcome::SourceDown {
                clean.reason = None;
            }
            return Self { facts: Arc::new(clean), ..self.clone() };
        }
        let facts = Facts {
            outcome: *outcome,
            kind: kind.clone(),
            code: code.clone(),
            bytes: *bytes,
            rule: rule.clone(),
            module: self.facts.module.is_some().then(|| PRIVATE.to_owned()),
            source: self.facts.source.is_some().then(|| PRIVATE.to_owned()),
            private: true,
            ..Facts::default()
        };
        Self { facts: Arc::new(facts), ..self.clone() }
    }

    /// The same for users of this machine who may learn the names of private modules: without logins, and without the place of the
    /// data folder.
    pub(crate) fn for_this_machine(&self, data: &Path) -> Self {
        Self { facts: Arc::new(self.clean(data)), ..self.clone() }
    }

    fn clean(&self, data: &Path) -> Facts {
        let clean = |text: &Option<String>| text.as_deref().map(|text| for_client(&without_logins(text), data));
        let all = |texts: &[String]| texts.iter().map(|text| for_client(&without_logins(text), data)).collect();
        Facts {
            reason: clean(&self.facts.reason),
            source: clean(&self.facts.source),
            evidence: clean(&self.facts.evidence),
            warnings: all(&self.facts.warnings),
            quarantine: all(&self.facts.quarantine),
            ..(*self.facts).clone()
        }
    }
}

impl Facts {
    /// The same with bounded texts.
    pub(crate) fn bounded(mut self) -> Self {
        let texts = [&mut self.module, &mut self.version, &mut self.source, &mut self.reason, &mut self.evidence];
        texts.into_iter().flatten().for_each(cut);
        for list in [&mut self.warnings, &mut self.quarantine] {
            list.truncate(MAX_ITEMS);
            list.iter_mut().for_each(cut);
        }
        self
    }

    /// Whether others than the operator may learn of it. A module without a record is pinned: it is exempt, or was.
    pub(super) fn is_public(&self) -> bool {
        !self.private && self.basis.as_deref() != Some("pin")
    }

    /// `path@version`, or what there is of it.
    pub(crate) fn subject(&self) -> String {
        let version = self.version.iter().map(|version| format!("@{version}")).collect::<String>();
        self.module.iter().map(|module| format!("{module}{version}")).collect()
    }
}

fn cut(text: &mut String) {
    if let Some((end, _)) = text.char_indices().nth(MAX_TEXT) {
        text.truncate(end);
    }
}

/// JSON in which control and invisible characters, which can only be in strings, are escaped (RFC 8259 section 7).
pub(crate) fn plain_json(json: &str) -> String {
    if json.bytes().all(|byte| (b' '..=b'~').contains(&byte)) {
        return json.to_owned();
    }
    let escaped = |c: char| c.encode_utf16(&mut [0; 2]).iter().map(|unit| format!("\\u{unit:04x}")).collect::<String>();
    json.chars().map(|c| if is_plain(c) { c.to_string() } else { escaped(c) }).collect()
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use std::time::Duration;

    use super::*;

    fn event(facts: Facts) -> Event {
        Event::at(SystemTime::UNIX_EPOCH + Duration::from_nanos(1_764_285_600_123_456_789), Arc::new(facts))
    }

    #[test]
    fn the_line_has_what_is_known_and_is_read_again() {
        let facts = Facts {
            module: Some("example.com/hello".to_owned()),
            version: Some("v1.0.0".to_owned()),
            kind: Some("zip".to_owned()),
            bytes: Some(7),
            record: Some(3),
            ..Facts::default()
        };
        let event =
            Event { request: Some("0a".to_owned()), client: Some("127.0.0.1".parse().unwrap()), ..event(facts) };
        let line = event.line();
        assert_eq!(
            line,
            "{\"v\":1,\"time\":\"2025-11-27T23:20:00.123457Z\",\"request\":\"0a\",\"client\":\"127.0.0.1\",\
             \"outcome\":\"released\",\"module\":\"example.com/hello\",\"version\":\"v1.0.0\",\"kind\":\"zip\",\"bytes\":7,\
             \"record\":3}"
        );
        assert_eq!(serde_json::from_str::<Event>(&line).unwrap(), event);
        let later = line.replace("\"v\":1", "\"v\":1,\"later\":[1]");
        assert_eq!(serde_json::from_str::<Event>(&later).unwrap(), event, "a field of a later program");
    }

    #[test]
    fn hostile_text_is_one_plain_line_that_means_the_same() {
        let hostile = "a\u{1b}[2J\u{9b}2J\u{202e}b\nc\u{e0041}\"";
        let event = event(Facts { reason: Some(hostile.to_owned()), ..Facts::default() });
        let line = event.line();
        assert!(line.chars().all(is_plain) && line.contains("\\udb40\\udc41"), "{line}");
        assert_eq!(serde_json::from_str::<Event>(&line).unwrap(), event);
    }

    #[test]
    fn texts_have_a_bound() {
        let facts = Facts { reason: Some("é".repeat(9000)), warnings: vec!["x".repeat(9000); 99], ..Facts::default() };
        assert!(event(facts.bounded()).line().len() < 72 << 10);
    }

    #[test]
    fn nothing_private_is_left_for_others() {
        let secret = || Some("secret".to_owned());
        let facts = Facts {
            outcome: Outcome::Refused,
            module: secret(),
            version: secret(),
            h1: secret(),
            expected: secret(),
            basis: secret(),
            database: secret(),
            source: secret(),
            reason: secret(),
            warnings: vec!["secret".to_owned()],
            quarantine: vec!["secret".to_owned()],
            evidence: secret(),
            code: Some("wrong-bytes".to_owned()),
            private: true,
            ..Facts::default()
        };
        let line = event(facts).public(Path::new("/srv/data")).line();
        assert!(!line.contains("secret"), "{line}");
        assert!(line.contains("\"module\":\"(private)\"") && line.contains("wrong-bytes"), "{line}");
        let public = Facts { reason: Some("https://me:word@a.example/x: no".to_owned()), ..Facts::default() };
        assert_eq!(
            event(public).public(Path::new("/srv/data")).facts.reason.as_deref(),
            Some("https://a.example/x: no")
        );
    }

    #[test]
    fn others_do_not_learn_where_the_data_folder_is() {
        let facts = Facts {
            source: Some("file:///srv/data/proxy".to_owned()),
            reason: Some("cannot open /srv/data/proxy/x".to_owned()),
            evidence: Some("/srv/data/sumdb/x/fork.txt".to_owned()),
            quarantine: vec!["/srv/data/quarantine/1".to_owned()],
            warnings: vec!["in /srv/data/x".to_owned()],
            ..Facts::default()
        };
        let line = event(facts).public(Path::new("/srv/data")).line();
        assert!(!line.contains("/srv") && line.contains("\"evidence\":\"sumdb/x/fork.txt\""), "{line}");
    }
}
