//! Spans: what a request is doing, and for how long.
//!
//! A request has a span, and each stage of its work one below it. Without the cargo feature `otlp` nothing of this exists at run
//! time; with it, a span is made only after [`start`]. Spans have no name of a private module, and no text of others.

#[cfg(not(feature = "otlp"))]
mod off;
#[cfg(feature = "otlp")]
mod on;

#[cfg(not(feature = "otlp"))]
pub(crate) use off::{ParentSpan, RequestSpan, note, parent_span, stage, stage_now};
#[cfg(feature = "otlp")]
pub(crate) use on::{ParentSpan, RequestSpan, note, parent_span, stage, stage_now, start};
