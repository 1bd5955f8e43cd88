//! What is counted of one upstream, or of one endpoint of a database.

use std::time::Duration;

use super::labels::Outcome;
use super::number::{Counter, Histogram};

#[derive(Debug, Default)]
pub(crate) struct SourceTotals {
    pub(super) outcomes: [Counter; Outcome::ALL.len()],
    /// Until the first byte of an answer.
    pub(super) first_byte: Histogram,
    pub(super) wrong_bytes: Counter,
    pub(super) in_flight: Counter,
}

impl SourceTotals {
    pub(crate) fn began(&self) {
        self.in_flight.add(1);
    }

    pub(crate) fn ended(&self, outcome: Outcome) {
        self.in_flight.remove(1);
        self.outcomes[outcome as usize].add(1);
    }

    pub(crate) fn answered_after(&self, first_byte: Duration) {
        self.first_byte.observe(first_byte);
    }

    /// It sent bytes with another hash than the expected one.
    pub(crate) fn sent_wrong_bytes(&self) {
        self.wrong_bytes.add(1);
    }
}
