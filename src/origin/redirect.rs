//! Following redirects, one request at a time: at most ten, never from https to http, and from outside never inside.
//!
//! A public server must not make this machine ask its neighbours (server-side request forgery): what they answer is none of
//! the clients' business. Where a redirect came from is nobody else's business either, for the path names a module: no
//! `Referer` is sent.

use reqwest::header::{self, HeaderMap};
use reqwest::{Response, StatusCode};
use url::Url;

use super::dialer::{Dialer, Unanswered};
use super::http::{HttpClient, HttpError, transport, without_credentials};

/// Go's `net/http` follows ten.
const MAX_REDIRECTS: usize = 10;

impl HttpClient {
    /// The answer for `url`, and whether another server gave it.
    pub(super) async fn follow(
        &self,
        dialer: &Dialer,
        url: Url,
        mut headers: HeaderMap,
    ) -> Result<(Response, bool), HttpError> {
        let (asked, mut url) = (url.to_string(), url);
        let (mut elsewhere, mut from_outside) = (false, false);
        let refused = |cause: &str| HttpError::Redirect { url: asked.clone(), cause: cause.to_owned() };
        for _ in 0..=MAX_REDIRECTS {
            let answered = if from_outside && !self.redirects_inside {
                dialer.get_outside(&url, headers.clone()).await
            } else {
                dialer.get(&url, headers.clone()).await
            };
            let response = answered.map_err(|error| match error {
                Unanswered::Inside(why) => {
                    tracing::warn!(url = asked, why, "a redirect from outside to an address inside is not followed");
                    refused(
                        "it redirects from a public address to one of this machine or of a private network, which is not \
                         followed; if it may do so, set redirects-inside = true in its [[upstream]] or [[private]]",
                    )
                }
                Unanswered::Failed(error) => behind(transport(&asked, &error), elsewhere),
            })?;
            let Some(next) = target(&url, &response) else { return Ok((response, elsewhere)) };
            match (url.scheme(), next.scheme()) {
                // A redirect must not undo what TLS gave.
                ("https", "http") => return Err(refused("a redirect from https to http is not followed")),
                (_, "http" | "https") => {}
                _ => return Err(refused("a redirect to what is neither https nor http is not followed")),
            }
            from_outside = dialer.came_from_outside(&url, &response);
            if is_another(&url, &next) {
                elsewhere = true;
                headers.remove(header::AUTHORIZATION);
            }
            url = next;
        }
        Err(refused("too many redirects"))
    }
}

/// Where an answer leads (RFC 9110 section 15.4), without the login that may stand there: logins are in settings.
fn target(url: &Url, response: &Response) -> Option<Url> {
    let redirects = matches!(
        response.status(),
        StatusCode::MOVED_PERMANENTLY
            | StatusCode::FOUND
            | StatusCode::SEE_OTHER
            | StatusCode::TEMPORARY_REDIRECT
            | StatusCode::PERMANENT_REDIRECT
    );
    let to = response.headers().get(header::LOCATION).filter(|_| redirects)?.to_str().ok()?;
    url.join(to).ok().map(|next| without_credentials(&next))
}

fn is_another(url: &Url, next: &Url) -> bool {
    let server = |url: &Url| (url.scheme().to_owned(), url.host_str().map(str::to_owned), url.port_or_known_default());
    server(url) != server(next)
}

/// The library's words may quote what a server sent, such as the names in its certificate. Of another server than the one
/// that was asked they go to the log alone.
fn behind(error: HttpError, elsewhere: bool) -> HttpError {
    match error {
        HttpError::Transport { url, cause } if elsewhere => {
            tracing::warn!(url, cause, "a redirect leads to where the request fails");
            let cause = "it redirects to another server, and the request fails there (the log says why)".to_owned();
            HttpError::Transport { url, cause }
        }
        error => error,
    }
}
