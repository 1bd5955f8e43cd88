//! What follows from the failures of all sources of a proxy list for one path.
//!
//! After 404 and 410 the next source is asked; after anything else only if a `|` follows, as in `go`
//! (<https://go.dev/ref/mod#environment-variables>, GOPROXY). So a file exists nowhere only if every source was asked and
//! answered 404 or 410. A source that was not asked, is disabled, refuses or fails may have it.

use super::{Nowhere, UpstreamError};
use crate::upstream::wanted::UpstreamId;
use gomodule::proxy_request::Request;

#[derive(Debug)]
pub(crate) struct Search {
    failures: Vec<Option<UpstreamError>>,
    ended_by: Option<UpstreamId>,
}

impl Search {
    pub(crate) fn among(sources: usize) -> Self {
        Self { failures: (0..sources).map(|_| None).collect(), ended_by: None }
    }

    /// A source failed; it `ends` the search if no source may be asked after that.
    pub(crate) fn failed(&mut self, id: UpstreamId, error: UpstreamError, ends: bool) {
        if ends {
            self.ended_by = self.ended_by.or(Some(id));
        }
        if let Some(failure) = self.failures.get_mut(id.0) {
            *failure = Some(error);
        }
    }

    /// The error of the whole search: the failure that ended it; else a failure that may pass; else a refusal; else
    /// [`Nowhere`].
    pub(crate) fn conclude(mut self, request: &Request) -> UpstreamError {
        if self.failures.is_empty() {
            return UpstreamError::NoSource(request.clone());
        }
        if let Some(error) = self.ended_by.and_then(|id| self.failures.get_mut(id.0)?.take()) {
            return error;
        }
        let (mut not_found, mut refusal, mut all_asked) = (None, None, true);
        for failure in self.failures {
            match failure {
                Some(UpstreamError::NotFound(reason)) => not_found = Some(reason),
                Some(error) if error.is_refusal() => refusal = refusal.or(Some(error)),
                Some(error) => return error,
                None => all_asked = false,
            }
        }
        match (refusal, not_found) {
            (Some(refusal), _) => refusal,
            (None, Some(reason)) if all_asked => UpstreamError::Nowhere(Nowhere(reason)),
            _ => UpstreamError::invalid("that was asked", format!("not every source was asked for {request}")),
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use std::time::Duration;

    use super::super::SourceFailure;
    use super::*;
    use crate::base::fault::Fault;

    fn list() -> Request {
        Request::parse("example.com/a/@v/list").unwrap()
    }

    /// The failure of a source, by a letter: not found, refused, invalid, disabled, not asked.
    fn failure(letter: char) -> Option<UpstreamError> {
        let source = |failure| Some(UpstreamError::Source("https://a.example".to_owned(), failure));
        match letter {
            'n' => Some(UpstreamError::NotFound("a: not found".to_owned())),
            'r' => source(SourceFailure::Refused(403, String::new())),
            'i' => source(SourceFailure::Invalid("a page".to_owned())),
            'd' => source(SourceFailure::CircuitOpen { last_failure: "down".to_owned(), open_for: Duration::ZERO }),
            _ => None,
        }
    }

    #[test]
    fn nowhere_only_if_every_source_was_asked_and_does_not_have_it() {
        let letters = ['n', 'r', 'i', 'd', '-'];
        for sources in 1..=3_u32 {
            for case in 0..5_usize.pow(sources) {
                let all: Vec<char> = (0..sources).map(|nth| letters[case / 5_usize.pow(nth) % 5]).collect();
                for ended_by in (0..all.len()).map(Some).chain([None]) {
                    let mut search = Search::among(all.len());
                    for (nth, letter) in all.iter().enumerate() {
                        if let Some(error) = failure(*letter) {
                            // A source that does not have it never ends a search.
                            search.failed(UpstreamId(nth), error, ended_by == Some(nth) && *letter != 'n');
                        }
                    }
                    let fault = search.conclude(&list()).fault();
                    let nowhere = all.iter().all(|letter| *letter == 'n');
                    assert_eq!(fault == Fault::Absent, nowhere, "{all:?} {ended_by:?}");
                }
            }
        }
    }

    #[test]
    fn the_failure_that_ended_the_search_comes_first_then_others_then_a_refusal() {
        let told = |all: &str, ended_by: Option<usize>| {
            let mut search = Search::among(all.len());
            for (nth, letter) in all.chars().enumerate() {
                if let Some(error) = failure(letter) {
                    search.failed(UpstreamId(nth), error, ended_by == Some(nth));
                }
            }
            search.conclude(&list()).fault()
        };
        assert_eq!(told("ir-", Some(1)), Fault::Refused);
        assert_eq!(told("ri", None), Fault::Upstream);
        assert_eq!(told("nr", None), Fault::Refused);
        assert_eq!(told("", None), Fault::Refused, "no source is configured");
    }
}
