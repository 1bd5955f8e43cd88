//! Failed writes that do not fail the answer: a full disk must not stop answers that need no write.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::time::Instant;

use super::StoreError;
use crate::base::lock::lock;

/// A full disk fails thousands of writes a minute, all for the same cause.
const PAUSE: Duration = Duration::from_secs(60);

/// Logs failed writes, at most once a minute for all clones together.
#[derive(Clone, Debug, Default)]
pub(super) struct WriteFailures(Arc<Mutex<Logged>>);

#[derive(Debug, Default)]
struct Logged {
    last: Option<Instant>,
    skipped: u64,
}

impl WriteFailures {
    pub(super) fn log(&self, error: &StoreError, now: Instant) {
        if let Some(skipped) = self.is_due(now) {
            let more = if skipped > 0 { format!(" ({skipped} more since the last such line)") } else { String::new() };
            tracing::warn!("answers are sent, but not stored: {error}{more}");
        }
    }

    /// The number of failures since the last line, if another line is due.
    fn is_due(&self, now: Instant) -> Option<u64> {
        let mut logged = lock(&self.0);
        if logged.last.is_some_and(|last| now.saturating_duration_since(last) < PAUSE) {
            logged.skipped += 1;
            return None;
        }
        logged.last = Some(now);
        Some(std::mem::take(&mut logged.skipped))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_failure_a_minute_is_logged_and_the_others_are_counted() {
        let (failures, start) = (WriteFailures::default(), Instant::now());
        let after = |seconds| failures.is_due(start + Duration::from_secs(seconds));
        assert_eq!([0, 1, 59, 60, 61, 121].map(after), [Some(0), None, None, Some(2), None, Some(1)]);
    }
}
