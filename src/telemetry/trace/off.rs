//! A build without traces.
#![expect(clippy::unused_self, reason = "a build with traces uses it")]

use crate::base::request_context::RequestId;
use crate::telemetry::RequestKind;

pub(crate) struct RequestSpan;

/// Where the spans of work belong that another task or thread does.
pub(crate) struct ParentSpan;

impl RequestSpan {
    pub(crate) fn begin(_id: &RequestId, _method: &str, _kind: RequestKind) -> Self {
        Self
    }

    pub(crate) fn parent_span(&self) -> ParentSpan {
        ParentSpan
    }

    pub(crate) fn answered(&mut self, _status: u16, _code: Option<&str>) {}
}

pub(crate) fn parent_span() -> ParentSpan {
    ParentSpan
}

impl ParentSpan {
    pub(crate) fn during<F: Future>(self, work: F) -> F {
        work
    }

    pub(crate) fn within<T>(self, work: impl FnOnce() -> T) -> T {
        work()
    }
}

/// Does a stage of the current request.
pub(crate) fn stage<F: Future>(_name: &'static str, work: F) -> F {
    work
}

/// Does a stage that blocks.
pub(crate) fn stage_now<T>(_name: &'static str, work: impl FnOnce() -> T) -> T {
    work()
}

/// Notes a fact about the current span.
pub(crate) fn note(_key: &'static str, _value: impl FnOnce() -> Option<String>) {}
