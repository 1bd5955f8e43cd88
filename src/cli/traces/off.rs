//! A build without traces, which says so.
#![expect(clippy::unused_self, clippy::unnecessary_wraps, reason = "a build with traces uses it, and can fail")]

use super::{ENDPOINTS, variable};
use crate::cli::exit::Failure;

pub(crate) struct TraceSettings;

pub(crate) struct Traces;

impl TraceSettings {
    pub(crate) fn read() -> Result<Self, Failure> {
        Ok(Self)
    }

    /// Says that there are no traces, if some are wanted.
    pub(crate) fn start(self, _offline: bool) -> Result<Traces, Failure> {
        if let Some(name) = ENDPOINTS.into_iter().find(|name| variable(name).is_some()) {
            tracing::warn!(
                "{name} is set, but this build sends no traces: build sumgate with `cargo build --release --features otlp`, \
                 or unset the variable"
            );
        }
        Ok(Traces)
    }
}

impl Traces {
    pub(crate) fn greeting(&self) -> String {
        String::new()
    }

    pub(crate) fn end(self) {}
}
