//! Sends a small body to a URL of the operator. Follows no redirect: the body is for this server alone.

use bytes::Bytes;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use url::Url;

use super::dialer::Unanswered;
use super::http::{HttpClient, HttpError, Transport};

/// Sends JSON. Any status but 2xx is an error; no error names more of the URL than its server, or quotes the answer.
pub(crate) async fn post(
    http: &HttpClient,
    url: &Url,
    headers: &[(&'static str, String)],
    body: Bytes,
) -> Result<(), HttpError> {
    let shown = url.origin().ascii_serialization();
    let Transport::Dialer(dialer) = &http.transport else { return Err(HttpError::Offline(shown)) };
    let valid = |(name, value): &(&'static str, String)| {
        Some((HeaderName::from_static(name), HeaderValue::from_str(value).ok()?))
    };
    let mut all: HeaderMap = headers.iter().filter_map(valid).collect();
    all.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    let response = dialer.post(url, all, body).await.map_err(|error| match error {
        Unanswered::NoClient(error) => HttpError::setup(&*error),
        Unanswered::Failed(error) => HttpError::transport(&shown, &error.without_url()),
        Unanswered::Inside(why) => HttpError::Redirect { url: shown.clone(), cause: why },
    })?;
    if response.status().is_success() {
        return Ok(());
    }
    let (status, reason) = (response.status().as_u16(), String::new());
    Err(HttpError::Status { url: shown, status, reason, retry_after: None })
}
