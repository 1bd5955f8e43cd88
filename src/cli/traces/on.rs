//! A build with traces: sends them if a receiver is named.

use std::time::Duration;

use opentelemetry::trace::TracerProvider;
use opentelemetry::{Key, KeyValue};
use opentelemetry_otlp::{SpanExporter, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::SdkTracerProvider;

use super::sending::{Client, Telling};
use super::variable;
use super::variables::Receiver;
use crate::base::fault::Fault;
use crate::cli::exit::Failure;
use crate::telemetry::trace;
use crate::upstream::blocking_client;

/// For the last spans: well within the 30 s or more after which process managers kill, of which the server may take 20.
const END_WITHIN: Duration = Duration::from_secs(3);
const SERVICE_NAME: &str = "service.name";

/// The receiver, if one is named.
pub(crate) struct TraceSettings(Option<Receiver>);

/// Sends spans from a thread of its own. A bounded queue waits for it (OTEL_BSP_MAX_QUEUE_SIZE, by the specification of
/// OpenTelemetry 2048 spans); more are lost.
pub(crate) struct Traces(Option<Running>);

struct Running {
    provider: SdkTracerProvider,
    server: String,
}

impl TraceSettings {
    pub(crate) fn read() -> Result<Self, Failure> {
        let receiver = Receiver::named(&variable);
        receiver.map(Self).map_err(|error| Failure::new(Fault::Request, error.to_string()))
    }

    /// Begins to send spans. Must not be called in an async runtime: the client has one of its own.
    pub(crate) fn start(self, offline: bool) -> Result<Traces, Failure> {
        let Some(receiver) = self.0 else { return Ok(Traces(None)) };
        if offline {
            tracing::warn!("no traces are sent, because --offline forbids requests");
            return Ok(Traces(None));
        }
        let client = blocking_client(receiver.timeout).map_err(|error| Failure::host("set up traces", &error))?;
        let (client, server) = (Client::of(client, receiver.timeout), receiver.server());
        let trouble = client.trouble();
        let exporter = SpanExporter::builder()
            .with_http()
            .with_http_client(client)
            .with_endpoint(receiver.url.as_str())
            .with_timeout(receiver.timeout)
            // The exporter reads none if the variable for traces is there and empty.
            .with_headers(receiver.headers)
            .build()
            .map_err(|error| Failure::host("set up traces", &error))?;
        let exporter = Telling::of(exporter, server.clone(), receiver.variable, trouble);
        let provider = SdkTracerProvider::builder().with_batch_exporter(exporter).with_resource(resource()).build();
        trace::start(provider.tracer("sumgate"));
        Ok(Traces(Some(Running { provider, server })))
    }
}

impl Traces {
    /// A line for what is printed at the start.
    pub(crate) fn greeting(&self) -> String {
        self.0.as_ref().map(|running| format!("\n  traces    {}", running.server)).unwrap_or_default()
    }

    /// Sends what is left. A receiver that does not answer is given up.
    pub(crate) fn end(self) {
        if let Some(Err(error)) = self.0.map(|running| running.provider.shutdown_with_timeout(END_WITHIN)) {
            tracing::warn!("the last traces were not sent: {error}");
        }
    }
}

/// OTEL_SERVICE_NAME, or else what OTEL_RESOURCE_ATTRIBUTES says, or else our name; and our version.
fn resource() -> Resource {
    let found = Resource::builder().build().get(&Key::from_static_str(SERVICE_NAME)).map(|name| name.to_string());
    // The SDK calls a program without a name "unknown_service", and prefers the attributes to the name, against the specification.
    let found = found.filter(|name| !name.starts_with("unknown_service"));
    let name = variable("OTEL_SERVICE_NAME").or(found).unwrap_or_else(|| "sumgate".to_owned());
    let version = KeyValue::new("service.version", env!("CARGO_PKG_VERSION"));
    Resource::builder().with_attributes([version, KeyValue::new(SERVICE_NAME, name)]).build()
}
