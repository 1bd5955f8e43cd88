//! One request to a source, counted once it has a result or was given up.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use super::error::UpstreamError;
use crate::telemetry::{Outcome, SourceTotals};

/// The numbers of a source, if it is counted.
pub(super) type Totals = OnceLock<Arc<SourceTotals>>;

pub(super) struct Counted {
    totals: Option<Arc<SourceTotals>>,
    outcome: Outcome,
}

impl Counted {
    pub(super) fn begin(totals: &Totals) -> Self {
        let totals = totals.get().cloned();
        if let Some(totals) = &totals {
            totals.began();
        }
        Self { totals, outcome: Outcome::Cancelled }
    }

    /// The work of a source that is not asked over HTTP.
    pub(super) async fn work<T>(
        totals: &Totals,
        work: impl Future<Output = Result<T, UpstreamError>>,
    ) -> Result<T, UpstreamError> {
        let mut counted = Self::begin(totals);
        let done = work.await;
        counted.ended(done.as_ref().map_or_else(UpstreamError::outcome, |_| Outcome::Answered));
        done
    }

    pub(super) fn answered(&mut self, first_byte: Duration) {
        self.outcome = Outcome::Answered;
        self.totals.iter().for_each(|totals| totals.answered_after(first_byte));
    }

    pub(super) fn ended(&mut self, outcome: Outcome) {
        self.outcome = outcome;
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.totals.iter().for_each(|totals| totals.ended(self.outcome));
    }
}
