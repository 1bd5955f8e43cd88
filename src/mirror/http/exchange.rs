//! One request until its answer was sent or given up: it is counted, and one line of the log.

use std::time::Duration;

use hyper::http::request::Parts;
use hyper::{Method, Response, Uri};
use tokio::time::Instant;

use super::body::Body;
use super::respond;
use crate::base::clock::Clock;
use crate::base::request_context::RequestContext;
use crate::base::text::safe;
use crate::telemetry::trace::{ParentSpan, RequestSpan};
use crate::telemetry::{Metrics, RequestKind};

/// The lines of requests in the log.
const TARGET: &str = "access";

pub(super) struct Exchange {
    request: RequestContext,
    method: Method,
    uri: Uri,
    clock: Clock,
    began: Instant,
    /// Checks of the mirror itself are not traffic.
    metrics: Metrics,
    status: u16,
    code: Option<String>,
    /// Bytes of the body that are to be sent, and those that were taken to be sent.
    length: u64,
    sent: u64,
    span: RequestSpan,
}

impl Exchange {
    pub(super) fn begin(request: RequestContext, head: &Parts, metrics: Metrics, clock: Clock) -> Self {
        metrics.request_began();
        let (method, uri) = (head.method.clone(), head.uri.clone());
        let span = RequestSpan::begin(&request.id, method.as_str(), RequestKind::of(uri.path()));
        let began = clock.steady();
        Self { request, method, uri, clock, began, metrics, status: 0, code: None, length: 0, sent: 0, span }
    }

    pub(super) fn request(&self) -> &RequestContext {
        &self.request
    }

    /// For the work of the request.
    pub(super) fn parent_span(&self) -> ParentSpan {
        self.span.parent_span()
    }

    /// The answer is known.
    pub(super) fn answered(&mut self, response: &Response<Body>) {
        let code = response.headers().get(respond::REFUSED).and_then(|code| code.to_str().ok());
        self.status = response.status().as_u16();
        // What never ends is never cut.
        self.length = response.body().len().unwrap_or_default();
        let kind = RequestKind::of(self.uri.path());
        self.metrics.request_answered(kind, self.status, code, self.took());
        self.span.answered(self.status, code);
        self.code = code.map(str::to_owned);
    }

    pub(super) fn sends(&mut self, bytes: usize) {
        self.sent += bytes as u64;
    }

    fn took(&self) -> Duration {
        self.clock.steady() - self.began
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        self.metrics.request_ended(self.sent);
        // A client that left before the answer was known got none.
        let status = Some(self.status).filter(|status| *status > 0);
        tracing::debug!(
            target: TARGET, request = %self.request.id, client = %self.request.client, method = self.method.as_str(),
            path = safe(self.uri.path()), status, code = self.code, bytes = self.sent,
            seconds = self.took().as_secs_f64(), cut = (self.sent < self.length).then_some(true), "request"
        );
    }
}
