//! Spans that are sent.

use std::sync::OnceLock;

use opentelemetry::trace::{FutureExt, SpanKind, Status, TraceContextExt, Tracer};
use opentelemetry::{Context, KeyValue};
use opentelemetry_sdk::trace::SdkTracer;

use crate::base::request_context::RequestId;
use crate::telemetry::RequestKind;

/// There is one receiver for the whole program.
static TRACER: OnceLock<SdkTracer> = OnceLock::new();

/// From now on requests have spans.
pub(crate) fn start(tracer: SdkTracer) {
    // Fails only if there is one already, which is then used.
    let _ = TRACER.set(tracer);
}

/// The span of a request, until its answer was sent or given up. The default has none.
#[derive(Default)]
pub(crate) struct RequestSpan {
    whole: Option<Context>,
    /// The answer is known, and is being sent.
    sending: Option<Context>,
}

/// Where the spans of work belong that another task or thread does.
pub(crate) struct ParentSpan(Context);

impl RequestSpan {
    pub(crate) fn begin(id: &RequestId, method: &str, kind: RequestKind) -> Self {
        let Some(tracer) = TRACER.get() else { return Self::default() };
        // The method is of the client.
        let method =
            if matches!(method, "GET" | "HEAD" | "OPTIONS" | "POST") { method.to_owned() } else { "_OTHER".to_owned() };
        let span = tracer.span_builder(format!("{method} {}", kind.name())).with_kind(SpanKind::Server);
        let facts =
            [KeyValue::new("sumgate.request.id", id.as_str().to_owned()), KeyValue::new("http.request.method", method)];
        let nothing = Context::new();
        let span = span.with_attributes(facts).start_with_context(tracer, &nothing);
        Self { whole: Some(nothing.with_span(span)), sending: None }
    }

    pub(crate) fn parent_span(&self) -> ParentSpan {
        ParentSpan(self.whole.clone().unwrap_or_default())
    }

    pub(crate) fn answered(&mut self, status: u16, code: Option<&str>) {
        let Some(whole) = &self.whole else { return };
        let span = whole.span();
        span.set_attribute(KeyValue::new("http.response.status_code", i64::from(status)));
        if let Some(code) = code {
            span.set_attribute(KeyValue::new("sumgate.refused", code.to_owned()));
        }
        if status >= 500 {
            span.set_status(Status::error(""));
        }
        self.sending = child("send", whole);
    }
}

impl Drop for RequestSpan {
    fn drop(&mut self) {
        for context in [&self.sending, &self.whole].into_iter().flatten() {
            context.span().end();
        }
    }
}

/// Of the current span.
pub(crate) fn parent_span() -> ParentSpan {
    ParentSpan(Context::current())
}

impl ParentSpan {
    pub(crate) fn during<F: Future>(self, work: F) -> impl Future<Output = F::Output> {
        work.with_context(self.0)
    }

    pub(crate) fn within<T>(self, work: impl FnOnce() -> T) -> T {
        let _attached = self.0.attach();
        work()
    }
}

/// Does a stage of the current request, in a span of its own.
pub(crate) fn stage<F: Future>(name: &'static str, work: F) -> impl Future<Output = F::Output> {
    let stage = Stage(child(name, &Context::current()));
    let context = stage.0.clone().unwrap_or_else(Context::current);
    let work = work.with_context(context);
    async move {
        let result = work.await;
        drop(stage);
        result
    }
}

/// Does a stage that blocks.
pub(crate) fn stage_now<T>(name: &'static str, work: impl FnOnce() -> T) -> T {
    let stage = Stage(child(name, &Context::current()));
    let _attached = stage.0.clone().map(Context::attach);
    work()
}

/// Notes a fact about the current span.
pub(crate) fn note(key: &'static str, value: impl FnOnce() -> Option<String>) {
    let context = Context::current();
    if context.span().is_recording()
        && let Some(value) = value()
    {
        context.span().set_attribute(KeyValue::new(key, value));
    }
}

/// A span that ends when this is dropped, also where the work was cancelled.
struct Stage(Option<Context>);

impl Drop for Stage {
    fn drop(&mut self) {
        if let Some(context) = &self.0 {
            context.span().end();
        }
    }
}

/// A span below the one of `parent`, if that has one.
fn child(name: &'static str, parent: &Context) -> Option<Context> {
    let tracer = TRACER.get().filter(|_| parent.has_active_span())?;
    Some(parent.with_span(tracer.span_builder(name).start_with_context(tracer, parent)))
}
