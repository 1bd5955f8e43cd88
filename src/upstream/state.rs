//! The state of a source for a reader.

use std::time::Duration;

use tokio::time::Instant;

use super::health::Health;

/// A source as it is now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SourceState {
    /// Its URL, without credentials.
    pub(crate) name: String,
    /// How long no request is sent to it after repeated failures.
    pub(crate) disabled_for: Option<Duration>,
    /// Consecutive failures, as far as they count.
    pub(crate) failures: u32,
    pub(crate) last_failure: String,
    /// It sent wrong bytes recently.
    pub(crate) distrusted: bool,
    /// The usual time to the first byte of an answer.
    pub(crate) first_byte: Option<Duration>,
}

impl SourceState {
    pub(super) fn of(name: String, health: &Health, now: Instant) -> Self {
        Self {
            name,
            disabled_for: health.breaker.opens_in(now),
            failures: health.breaker.failures(),
            last_failure: health.breaker.last_failure().to_owned(),
            distrusted: health.is_distrusted(now),
            first_byte: health.first_byte(),
        }
    }
}
