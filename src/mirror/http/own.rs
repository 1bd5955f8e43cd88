//! The paths of the mirror itself, below the base path. They wait for no other request, and are not counted as traffic.
//!
//! Their first element has no dot, so no module can have such a path.

use bytes::Bytes;
use hyper::header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderValue};
use hyper::http::request::Parts;
use hyper::{Method, Response, StatusCode};

use super::body::Body;
use super::handle::Handler;
use super::respond::{self, BodyKind};
use crate::mirror::readiness::{Readiness, State};
use crate::mirror::route::BasePath;
use crate::telemetry::{Format, Gauges, Metrics, expose};

/// The check of process managers.
pub(crate) const HEALTH_PATH: &str = "/healthz";
/// The answer there.
pub(crate) const HEALTHY: &str = "ok\n";
/// The newest release of `go` whose rules for modules are followed.
const GO: &str = "go1.27";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum OwnPath {
    /// That the mirror answers, whatever else is wrong: a process manager must not end a mirror that is only busy.
    Health,
    /// Whether a load balancer should send requests.
    Ready,
    Version,
    Metrics,
}

/// All of them.
const PATHS: [(&str, OwnPath); 4] = [
    (HEALTH_PATH, OwnPath::Health),
    ("/readyz", OwnPath::Ready),
    ("/version", OwnPath::Version),
    ("/metrics", OwnPath::Metrics),
];

/// What the paths tell besides the handler.
pub(super) struct Own<'a> {
    pub(super) handler: &'a Handler,
    pub(super) readiness: &'a Readiness,
    pub(super) metrics: &'a Metrics,
    pub(super) connections: usize,
}

impl OwnPath {
    /// The one that a request asks for.
    pub(super) fn of(head: &Parts, base: &BasePath) -> Option<Self> {
        let path = head.uri.path().strip_prefix(base.as_str())?;
        let known = PATHS.iter().find(|(known, _)| *known == path).map(|(_, own)| *own);
        known.filter(|_| matches!(head.method, Method::GET | Method::HEAD))
    }
}

impl Own<'_> {
    /// `None` if this mirror does not have it.
    pub(super) async fn answer(&self, path: OwnPath, headers: &HeaderMap) -> Option<Response<Body>> {
        Some(match path {
            OwnPath::Health => respond::small(BodyKind::Text, HEALTHY.into()),
            OwnPath::Ready => {
                let State { reasons, .. } = self.readiness.look(&self.handler.pipeline).await;
                if reasons.is_empty() {
                    respond::small(BodyKind::Text, "ready\n".into())
                } else {
                    let text = format!("not ready\n{}", reasons.join("\n"));
                    respond::refusal(StatusCode::SERVICE_UNAVAILABLE, &self.handler.for_client(&text))
                }
            }
            OwnPath::Version => {
                let facts = build().into_iter().map(|(name, value)| (name.to_owned(), value.into()));
                let text = serde_json::Value::Object(facts.collect()).to_string();
                respond::small(BodyKind::Resolved, Bytes::from(text + "\n"))
            }
            OwnPath::Metrics => return self.metrics(headers).await,
        })
    }

    async fn metrics(&self, headers: &HeaderMap) -> Option<Response<Body>> {
        self.metrics.totals()?;
        let State { reasons, databases, disk } = self.readiness.look(&self.handler.pipeline).await;
        let context = &self.handler.pipeline.context;
        let gauges = Gauges {
            is_ready: reasons.is_empty(),
            databases,
            sources: context.sources.gauges(),
            disk: disk.room,
            quarantine_files: disk.quarantine,
            connections: self.connections as u64,
            hashing: context.hashing() as u64,
        };
        let accept = headers.get(ACCEPT).and_then(|accept| accept.to_str().ok()).unwrap_or_default();
        let format = Format::accepted(accept);
        let text = expose(self.metrics, gauges, &build(), format)?;
        let mut response = respond::small(BodyKind::Text, text.into());
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(format.content_type()));
        Some(response)
    }
}

/// What this program is.
fn build() -> Vec<(&'static str, String)> {
    let commit = option_env!("SUMGATE_COMMIT").unwrap_or("unknown");
    vec![("version", env!("CARGO_PKG_VERSION").to_owned()), ("commit", commit.to_owned()), ("go", GO.to_owned())]
}
