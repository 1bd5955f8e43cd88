//! The handle that other rooms record with.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use super::labels::{CacheKind, RequestKind, STATUSES};
use super::number::{Counter, Histogram};
use super::source::SourceTotals;
use crate::base::lock::lock;

/// More sources than any configuration has; those of later reloads are not counted.
const MAX_SOURCES: usize = 200;

/// Cheap to clone; clones share the numbers. The default counts nothing.
#[derive(Clone, Debug, Default)]
pub(crate) struct Metrics(Option<Arc<Totals>>);

/// What was counted since the start.
#[derive(Debug)]
pub(crate) struct Totals {
    pub(super) started: SystemTime,
    /// The codes of refusals.
    pub(super) codes: &'static [&'static str],
    /// The statuses, and the others.
    pub(super) requests: [[Counter; STATUSES.len() + 1]; RequestKind::ALL.len()],
    pub(super) durations: [Histogram; RequestKind::ALL.len()],
    pub(super) in_flight: Counter,
    pub(super) sent_bytes: Counter,
    pub(super) refusals: Vec<Counter>,
    /// Hits and misses.
    pub(super) caches: [[Counter; 2]; CacheKind::ALL.len()],
    /// Files whose hash was compared: as expected, and other ones.
    pub(super) proofs: [Counter; 2],
    /// Events that are not in the event log.
    pub(super) events_lost: Counter,
    pub(super) sources: Mutex<BTreeMap<String, Arc<SourceTotals>>>,
}

impl Metrics {
    /// Counts. `codes` are all codes of refusals.
    pub(crate) fn counting(codes: &'static [&'static str], started: SystemTime) -> Self {
        Self(Some(Arc::new(Totals {
            started,
            codes,
            requests: Default::default(),
            durations: Default::default(),
            in_flight: Counter::default(),
            sent_bytes: Counter::default(),
            refusals: codes.iter().map(|_| Counter::default()).collect(),
            caches: Default::default(),
            proofs: Default::default(),
            events_lost: Counter::default(),
            sources: Mutex::default(),
        })))
    }

    /// `None` if nothing is counted.
    pub(crate) fn totals(&self) -> Option<&Totals> {
        self.0.as_deref()
    }

    pub(crate) fn request_began(&self) {
        self.record(|totals| totals.in_flight.add(1));
    }

    /// A request has the head of its answer.
    pub(crate) fn request_answered(&self, kind: RequestKind, status: u16, code: Option<&str>, took: Duration) {
        self.record(|totals| {
            let nth = STATUSES.iter().position(|known| *known == status).unwrap_or(STATUSES.len());
            totals.requests[kind as usize][nth].add(1);
            totals.durations[kind as usize].observe(took);
            let nth = code.and_then(|code| totals.codes.iter().position(|known| *known == code));
            if let Some(nth) = nth {
                totals.refusals[nth].add(1);
            }
        });
    }

    /// The answer was sent, or given up.
    pub(crate) fn request_ended(&self, sent_bytes: u64) {
        self.record(|totals| {
            totals.in_flight.remove(1);
            totals.sent_bytes.add(sent_bytes);
        });
    }

    pub(crate) fn cache(&self, cache: CacheKind, is_hit: bool) {
        self.record(|totals| totals.caches[cache as usize][usize::from(!is_hit)].add(1));
    }

    /// The hash of a file was compared with the expected one.
    pub(crate) fn compared(&self, is_right: bool) {
        self.record(|totals| totals.proofs[usize::from(!is_right)].add(1));
    }

    /// The disk did not take some events.
    pub(crate) fn events_lost(&self, number: u64) {
        self.record(|totals| totals.events_lost.add(number));
    }

    /// The numbers of a source, which exist from now on. A source has the same ones after a reload.
    pub(crate) fn source(&self, name: &str) -> Option<Arc<SourceTotals>> {
        let mut sources = lock(&self.0.as_ref()?.sources);
        if sources.len() >= MAX_SOURCES && !sources.contains_key(name) {
            return None;
        }
        Some(Arc::clone(sources.entry(name.to_owned()).or_default()))
    }

    fn record(&self, record: impl FnOnce(&Totals)) {
        if let Some(totals) = &self.0 {
            record(totals);
        }
    }
}
