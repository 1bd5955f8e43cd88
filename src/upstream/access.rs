//! Whether an answer shows that a source accepted the login. A source may answer "not found", or an empty list, to a client whose
//! login it ignores.

use std::time::Duration;

use tokio::sync::{Mutex, MutexGuard};
use url::Url;

use super::http::{Condition, HttpClient, HttpError};
use super::secret::without_credentials;
use super::wanted::Wanted;
use crate::base::clock::Clock;
use crate::base::recent::Recent;
use crate::base::text::page;
use gomodule::module::Version;
use gomodule::proxy_request::Request;

/// How long a login counts as accepted after a successful answer; then an expired one is noticed.
pub(super) const ACCEPTED_FOR: Duration = Duration::from_secs(10 * 60);
/// How long lists are asked for, for one "not found": a server that answers needs less for all of them.
pub(super) const CHECK_FOR: Duration = Duration::from_secs(10);
/// After this time a list that did not show an accepted login is asked for again: the user corrects the login, and runs `go` again.
const AGAIN_AFTER: Duration = Duration::from_secs(5);
/// Such lists of one source remembered: about 150 bytes each.
const MAX_LISTS: usize = 1000;

/// The checks of one source, one after the other: each "not found" needs the same lists.
pub(super) struct Checks {
    one: Mutex<()>,
    asked: Recent<Wanted, ()>,
}

impl std::fmt::Debug for Checks {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Checks")
    }
}

impl Checks {
    pub(super) fn new(clock: Clock) -> Self {
        Self { one: Mutex::default(), asked: Recent::new(MAX_LISTS, AGAIN_AFTER, clock) }
    }

    /// Waits until no other check is under way.
    pub(super) async fn begin(&self) -> MutexGuard<'_, ()> {
        self.one.lock().await
    }

    /// Whether this list was not asked for a moment ago.
    pub(super) fn may_ask(&self, list: &Wanted) -> bool {
        let may = self.asked.get(list).is_none();
        if may {
            self.asked.insert(list.clone(), ());
        }
        may
    }
}

/// Whether this valid answer to a request with the login shows that.
pub(super) fn is_shown_by(request: &Request, body: &[u8]) -> bool {
    !matches!(request, Request::List(_)) || has_version(body)
}

/// Whether the version list at this url shows that. An empty one does if a request without the login gets another answer.
pub(super) async fn is_shown_by_list(http: &HttpClient, url: Url, limit: usize) -> Result<bool, HttpError> {
    let answer = http.ask(url.clone(), &Condition::None).await?;
    // Another server did not get the login.
    if answer.elsewhere {
        return Ok(false);
    }
    let list = answer.small(limit).await?;
    // Another text, such as a sign-in page, is no list.
    if !is_blank(&list) {
        return Ok(has_version(&list));
    }
    Ok(match without_login(http, &url, limit).await {
        Ok(same) => !is_blank(&same),
        Err(error) => matches!(error, HttpError::Absent { .. } | HttpError::Status { status: 401 | 403, .. }),
    })
}

async fn without_login(http: &HttpClient, url: &Url, limit: usize) -> Result<Vec<u8>, HttpError> {
    http.without_login().ask(without_credentials(url), &Condition::None).await?.small(limit).await
}

fn has_version(list: &[u8]) -> bool {
    let text = String::from_utf8_lossy(list);
    if page(&text).is_some() {
        return false;
    }
    let mut firsts = text.lines().filter_map(|line| line.split_whitespace().next());
    firsts.any(|first| Version::parse(first).is_ok())
}

fn is_blank(list: &[u8]) -> bool {
    list.trim_ascii().is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_shows_it_by_a_version() {
        for list in ["v1.0.0\n", "\nx\nv1.0.0-rc.1 2026-01-01T00:00:00Z", "v0.0.0-20260101000000-0123456789ab"] {
            assert!(has_version(list.as_bytes()), "{list}");
        }
        for list in ["", "\n", "please log in\n", "<html>\nv1.0.0\n</html>", "\u{feff}\n<pre>\nv1.0.0\n", "\u{fffd}"] {
            assert!(!has_version(list.as_bytes()), "{list}");
        }
    }
}
