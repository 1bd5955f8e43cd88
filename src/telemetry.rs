//! What a mirror counts, and how Prometheus reads it.
//!
//! [`Metrics`] is made once and kept over reloads; clones share the numbers. Recording takes no lock. Commands other than `serve`
//! have [`Metrics::default`], which counts nothing. Every set of labels is bounded and exists with 0 from the start: otherwise the
//! first refusal would raise no alert. No label has the name of a module.

mod exposition;
mod gauges;
mod labels;
mod metrics;
mod number;
mod source;
pub(crate) mod trace;

pub(crate) use exposition::{Format, expose};
pub(crate) use gauges::{DatabaseGauges, Gauges, SourceGauges};
pub(crate) use labels::{CacheKind, Outcome, RequestKind};
pub(crate) use metrics::Metrics;
pub(crate) use source::SourceTotals;
