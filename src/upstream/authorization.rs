//! Values of `Authorization` (RFC 9110 section 11.6.2), which libraries do not log.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use reqwest::header::{HeaderValue, InvalidHeaderValue};

pub(super) fn authorization(scheme: &str, secret: &str) -> Result<HeaderValue, InvalidHeaderValue> {
    let mut value = HeaderValue::from_str(&format!("{scheme} {secret}"))?;
    value.set_sensitive(true);
    Ok(value)
}

/// A name and a password (RFC 7617).
pub(super) fn basic(user: &str, password: &str) -> Result<HeaderValue, InvalidHeaderValue> {
    authorization("Basic", &STANDARD.encode(format!("{user}:{password}")))
}
