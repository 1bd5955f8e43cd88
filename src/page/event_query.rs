//! Which events a request asks for. Pure.

use clap::ValueEnum;
use hyper::StatusCode;

use crate::base::request_context::RequestId;
use crate::events::{Filter, Outcome, WantedModule};
use crate::mirror::REFUSAL_CODES;

/// Events on the page, and in an answer of the API that names no number: some 100 KB.
pub(super) const SHOWN: usize = 200;
/// In an answer of the API: some 500 KB.
const MOST: usize = 1000;
/// Longest value that is read: a module path and a version.
const MAX_VALUE: usize = 500;
/// Values of a query. The form has five.
const MAX_FIELDS: usize = 40;

/// Ids are microseconds of the time. What is above is no id, and no exact number in JavaScript.
const MAX_ID: u64 = (1 << 53) - 1;

/// What a request asks for.
#[derive(Debug, Default)]
pub(super) struct Asked {
    pub(super) filter: Filter,
    pub(super) limit: usize,
    /// Only what happened after the event with this id.
    pub(super) after: Option<u64>,
    /// The parts of the filter as they were sent.
    fields: Vec<(String, String)>,
}

/// Why there is no answer, and the status.
pub(super) type Wrong = (StatusCode, String);

impl Asked {
    /// Reads a query. A form sends every field, also those that are empty.
    pub(super) fn read(query: &str, with_private: bool, is_form: bool) -> Result<Self, Wrong> {
        let mut asked = Self { limit: SHOWN, ..Self::default() };
        let fields = url::form_urlencoded::parse(query.as_bytes());
        for (name, value) in fields.filter(|(_, value)| !is_form || !value.trim().is_empty()).take(MAX_FIELDS) {
            asked.set(&name, value.trim(), with_private)?;
        }
        Ok(asked)
    }

    fn set(&mut self, name: &str, value: &str, with_private: bool) -> Result<(), Wrong> {
        let wrong = |expected: &str| {
            let found: String = value.chars().take(100).collect();
            (StatusCode::BAD_REQUEST, format!("{name}: expected {expected}, found {found:?}"))
        };
        if value.len() > MAX_VALUE {
            return Err(wrong(&format!("at most {MAX_VALUE} bytes")));
        }
        let filter = &mut self.filter;
        match name {
            "outcome" => {
                let outcome = Outcome::value_variants().iter().find(|outcome| outcome.name() == value);
                filter.outcome.push(*outcome.ok_or_else(|| wrong(&outcomes()))?);
            }
            "module" => {
                let expected = |why| wrong(&format!("a module, M@V, or a pattern ({why})"));
                let wanted = WantedModule::parse(value).map_err(expected)?;
                (filter.module, filter.version) = (Some(wanted.patterns), wanted.version);
            }
            "code" if REFUSAL_CODES.contains(&value) => filter.code.push(value.to_owned()),
            "code" => return Err(wrong("the code of a refusal, such as wrong-bytes")),
            // Or the filter would tell which events a client caused.
            "client" if !with_private => {
                let why =
                    "client: events are found by a client only on the machine of the mirror, with serve --show-private";
                return Err((StatusCode::FORBIDDEN, why.to_owned()));
            }
            "client" => filter.client = Some(Filter::client_of(value).map_err(|expected| wrong(&expected))?),
            "request" => {
                let id = RequestId::given(value.as_bytes());
                let expected = "the id of a request, which is in the text of a refusal";
                filter.request = Some(id.ok_or_else(|| wrong(expected))?.to_string());
            }
            "limit" => {
                let limit = value.parse().ok().filter(|limit| (1..=MOST).contains(limit));
                self.limit = limit.ok_or_else(|| wrong(&format!("a number from 1 to {MOST}")))?;
                return Ok(());
            }
            "after" => {
                let id = value.parse().ok().filter(|id| *id <= MAX_ID);
                self.after = Some(id.ok_or_else(|| wrong("the id of an event"))?);
                return Ok(());
            }
            _ => return Ok(()),
        }
        self.fields.push((name.to_owned(), value.to_owned()));
        Ok(())
    }

    /// A part of the filter, as it was sent.
    pub(super) fn field(&self, name: &str) -> &str {
        self.fields.iter().find(|(found, _)| found == name).map_or("", |(_, value)| value)
    }

    pub(super) fn has_filter(&self) -> bool {
        !self.fields.is_empty()
    }

    /// The same filter as a query.
    pub(super) fn query(&self) -> String {
        url::form_urlencoded::Serializer::new(String::new()).extend_pairs(&self.fields).finish()
    }
}

/// A query of the API as it is read, written again.
pub(crate) fn same_query(query: &str) -> Option<String> {
    Some(Asked::read(query, true, false).ok()?.query())
}

fn outcomes() -> String {
    let names: Vec<&str> = Outcome::value_variants().iter().map(|outcome| outcome.name()).collect();
    format!("one of {}", names.join(", "))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use super::*;

    #[test]
    fn a_form_is_read_without_its_empty_fields_and_gives_the_same_query_again() {
        let query = "outcome=refused&module=example.com%2Fa%40v1.0.0&code=&client=&request=0a";
        let asked = Asked::read(query, false, true).unwrap();
        assert_eq!(asked.filter.outcome, [Outcome::Refused]);
        assert_eq!((asked.filter.version.as_deref(), asked.filter.request.as_deref()), (Some("v1.0.0"), Some("0a")));
        assert_eq!((asked.field("module"), asked.field("code"), asked.limit), ("example.com/a@v1.0.0", "", SHOWN));
        assert_eq!(asked.query(), "outcome=refused&module=example.com%2Fa%40v1.0.0&request=0a");
        assert!(!Asked::read("limit=7&after=9&other=1", false, false).unwrap().has_filter());
    }

    #[test]
    fn what_is_wrong_says_what_was_expected() {
        for query in [
            "outcome=",
            "outcome=gone",
            "code=x",
            "request=%3Cscript%3E",
            "limit=0",
            "limit=1001",
            "limit=-1",
            "after=x",
            "module=%2F",
            "module=",
            "client=10.0.0.1",
        ] {
            let (status, why) = Asked::read(query, false, false).unwrap_err();
            assert!(why.contains("expected") || status == StatusCode::FORBIDDEN, "{query}: {why}");
        }
        let long = format!("module={}", "a".repeat(MAX_VALUE + 1));
        assert!(Asked::read(&long, false, false).unwrap_err().1.len() < 300);
        assert!(Asked::read("client=10.0.0.0/8", true, false).unwrap().filter.client.is_some());
        assert!(Asked::read("client=me", true, false).unwrap_err().1.contains("expected an IP address"));
    }
}
