//! Removes logins from URLs.

use url::Url;

pub(super) fn without_credentials(url: &Url) -> Url {
    let mut url = url.clone();
    let _ = url.set_password(None);
    let _ = url.set_username("");
    url
}
