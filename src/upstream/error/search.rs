//! What the sources of a chain say together about one path.
//!
//! After 404 and 410 the next source is asked; after anything else only where a `|` follows, as `go` does
//! (<https://go.dev/ref/mod#environment-variables>, GOPROXY). So a chain says that something is nowhere only if each of its
//! sources was asked and said so. A source that was left out, is left alone, refuses or is in trouble may have it.

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

    /// A source gave nothing; it `ends` the search if none may be asked after that.
    pub(crate) fn failed(&mut self, id: UpstreamId, error: UpstreamError, ends: bool) {
        if ends {
            self.ended_by = self.ended_by.or(Some(id));
        }
        if let Some(failure) = self.failures.get_mut(id.0) {
            *failure = Some(error);
        }
    }

    /// Why nothing was found: what ended the search; else trouble, which may pass; else a refusal; else that it
    /// is nowhere.
    pub(crate) fn conclude(mut self, request: &Request) -> UpstreamError {
        if self.failures.is_empty() {
            return UpstreamError::NoSource(request.clone());
        }
        if let Some(error) = self.ended_by.and_then(|id| self.failures.get_mut(id.0)?.take()) {
            return error;
        }
        let mut words = None;
        let mut refusal = None;
        let mut each_said_so = true;
        for failure in self.failures {
            match failure {
                Some(UpstreamError::NotFound(said)) => words = Some(said),
                Some(error) if error.is_refusal() => refusal = refusal.or(Some(error)),
                Some(error) => return error,
                None => each_said_so = false,
            }
        }
        match (refusal, words) {
            (Some(refusal), _) => refusal,
            (None, Some(words)) if each_said_so => UpstreamError::Nowhere(Nowhere { words }),
            _ => {
                let why = format!("not every source was asked for {request}");
                UpstreamError::Nonsense { upstream: "that was asked".to_owned(), why }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use std::time::Duration;

    use super::*;
    use crate::base::fault::Fault;

    fn list() -> Request {
        Request::parse("example.com/a/@v/list").unwrap()
    }

    /// What a source may say, by a letter: not found, refused, trouble, left alone, not asked.
    fn said(letter: char) -> Option<UpstreamError> {
        let upstream = || "https://a.example".to_owned();
        match letter {
            'n' => Some(UpstreamError::NotFound("a: not found".to_owned())),
            'r' => Some(UpstreamError::Refused { upstream: upstream(), status: 403, reason: String::new() }),
            't' => Some(UpstreamError::Nonsense { upstream: upstream(), why: "a page".to_owned() }),
            'z' => Some(UpstreamError::CircuitOpen {
                upstream: upstream(),
                why: "down".to_owned(),
                open_for: Duration::ZERO,
            }),
            _ => None,
        }
    }

    #[test]
    fn nowhere_only_if_each_source_was_asked_and_said_so() {
        let letters = ['n', 'r', 't', 'z', '-'];
        for sources in 1..=3_u32 {
            for case in 0..5_usize.pow(sources) {
                let all: Vec<char> = (0..sources).map(|nth| letters[case / 5_usize.pow(nth) % 5]).collect();
                for ended_by in (0..all.len()).map(Some).chain([None]) {
                    let mut search = Search::among(all.len());
                    for (nth, letter) in all.iter().enumerate() {
                        if let Some(error) = said(*letter) {
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
    fn what_ended_the_search_is_told_then_trouble_then_a_refusal() {
        let told = |all: &str, ended_by: Option<usize>| {
            let mut search = Search::among(all.len());
            for (nth, letter) in all.chars().enumerate() {
                if let Some(error) = said(letter) {
                    search.failed(UpstreamId(nth), error, ended_by == Some(nth));
                }
            }
            search.conclude(&list()).fault()
        };
        assert_eq!(told("tr-", Some(1)), Fault::Refused);
        assert_eq!(told("rt", None), Fault::Upstream);
        assert_eq!(told("nr", None), Fault::Refused);
        assert_eq!(told("", None), Fault::Refused, "no source is configured");
    }
}
