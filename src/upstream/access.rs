//! Whether an answer shows that a source accepted the login. A source may answer "not found", or an empty list, to a client whose
//! login it ignores.

use url::Url;

use super::http::{Condition, HttpClient, HttpError};
use super::secret::without_credentials;
use gomodule::module::Version;
use gomodule::proxy_request::Request;

/// Whether this valid answer to a request with the login shows that.
pub(super) fn is_shown_by(request: &Request, body: &[u8]) -> bool {
    !matches!(request, Request::List(_)) || has_version(body)
}

/// Whether the version list at this url shows that. An empty one does if a request without the login gets another answer.
pub(super) async fn is_shown_by_list(http: &HttpClient, url: Url, limit: usize) -> bool {
    match http.get_small(url.clone(), limit).await {
        Ok(list) if has_version(&list) => true,
        Ok(list) if is_blank(&list) => match without_login(http, &url, limit).await {
            Ok(same) => !is_blank(&same),
            Err(error) => matches!(error, HttpError::Absent { .. } | HttpError::Status { status: 401 | 403, .. }),
        },
        // Another text, such as a sign-in page, is no list.
        _ => false,
    }
}

async fn without_login(http: &HttpClient, url: &Url, limit: usize) -> Result<Vec<u8>, HttpError> {
    http.without_login().ask(without_credentials(url), &Condition::None).await?.small(limit).await
}

fn has_version(list: &[u8]) -> bool {
    let text = String::from_utf8_lossy(list);
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
        for list in ["", "\n", "please log in\n", "<html>v1.0.0</html>", "\u{fffd}"] {
            assert!(!has_version(list.as_bytes()), "{list}");
        }
    }
}
