//! Traces: spans of requests, for an OTLP receiver that the standard variables of OpenTelemetry name.

#[cfg(not(feature = "otlp"))]
mod off;
#[cfg(feature = "otlp")]
mod on;
#[cfg(feature = "otlp")]
mod sending;
#[cfg(feature = "otlp")]
mod variables;

#[cfg(not(feature = "otlp"))]
pub(super) use off::TraceSettings;
#[cfg(feature = "otlp")]
pub(super) use on::TraceSettings;

/// The variables that name the receiver: of traces alone by its whole URL, or of everything.
const ENDPOINTS: [&str; 2] = ["OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT"];

/// A variable of the environment that is not empty. What is not UTF-8 is valid in none of them.
fn variable(name: &str) -> Option<String> {
    let value = std::env::var_os(name).filter(|value| !value.is_empty())?;
    Some(value.to_string_lossy().into_owned())
}
