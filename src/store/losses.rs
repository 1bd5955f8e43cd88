//! What could not be kept although it was good: a full disk must not take answers away that can be given without it.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::StoreError;

/// A full disk fails some thousand writes a minute, and all for one cause.
const PAUSE: Duration = Duration::from_mins(1);

/// Tells in the log what could not be kept, once a minute. Clones share the minute.
#[derive(Clone, Debug, Default)]
pub(super) struct Losses(Arc<Mutex<Told>>);

#[derive(Debug, Default)]
struct Told {
    last: Option<Instant>,
    silent: u64,
}

impl Losses {
    pub(super) fn tell(&self, error: &StoreError, now: Instant) {
        if let Some(silent) = self.is_due(now) {
            let since = if silent > 0 { format!(" ({silent} more since the last such line)") } else { String::new() };
            tracing::warn!("answers go out, and are not kept for the next time: {error}{since}");
        }
    }

    /// How many were not told since the last time, if it is time to tell one.
    fn is_due(&self, now: Instant) -> Option<u64> {
        let mut told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if told.last.is_some_and(|last| now.saturating_duration_since(last) < PAUSE) {
            told.silent += 1;
            return None;
        }
        told.last = Some(now);
        Some(std::mem::take(&mut told.silent))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_loss_a_minute_is_told_and_the_others_are_counted() {
        let (losses, start) = (Losses::default(), Instant::now());
        let after = |seconds| losses.is_due(start + Duration::from_secs(seconds));
        assert_eq!([0, 1, 59, 60, 61, 121].map(after), [Some(0), None, None, Some(2), None, Some(1)]);
    }
}
