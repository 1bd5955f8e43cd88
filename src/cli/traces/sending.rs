//! The way of spans to the receiver, and what the log says of it: once when it goes away, and once when it is back.

use std::error::Error;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use opentelemetry_otlp::SpanExporter;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{SpanData, SpanExporter as Exporter};

use crate::base::fault::in_full;
use crate::base::lock::lock;
use crate::base::text::safe_joined;

/// Why the last request failed.
pub(super) type Trouble = Arc<Mutex<Option<String>>>;

/// Sends requests, and remembers why one failed: the exporter does not tell.
#[derive(Debug)]
pub(super) struct Client {
    http: reqwest::blocking::Client,
    timeout: Duration,
    trouble: Trouble,
}

impl Client {
    pub(super) fn of(http: reqwest::blocking::Client, timeout: Duration) -> Self {
        Self { http, timeout, trouble: Trouble::default() }
    }

    pub(super) fn trouble(&self) -> Trouble {
        Arc::clone(&self.trouble)
    }

    async fn send(&self, mut request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        // Nothing may show them, also not a log of all details.
        request.headers_mut().values_mut().for_each(|value| value.set_sensitive(true));
        let sent = self.http.send_bytes(request).await;
        *lock(&self.trouble) = match &sent {
            Ok(response) if response.status().is_success() => None,
            Ok(response) => Some(format!("HTTP status {}", response.status().as_u16())),
            Err(error) => Some(self.why(&**error)),
        };
        sent
    }

    /// Why there was no answer. The path of the URL may be a secret.
    fn why(&self, error: &(dyn Error + Send + Sync + 'static)) -> String {
        match error.downcast_ref::<reqwest::Error>() {
            Some(error) if error.is_timeout() => format!("no answer within {} ms", self.timeout.as_millis()),
            Some(error) => safe_joined(&error.source().map_or_else(|| "no answer".to_owned(), in_full)),
            None => safe_joined(&in_full(error)),
        }
    }
}

type Sending<'a> = Pin<Box<dyn Future<Output = Result<Response<Bytes>, HttpError>> + Send + 'a>>;

impl HttpClient for Client {
    fn send_bytes<'a, 'sending>(&'a self, request: Request<Bytes>) -> Sending<'sending>
    where
        'a: 'sending,
        Self: 'sending,
    {
        Box::pin(self.send(request))
    }
}

/// An exporter that tells the log.
#[derive(Debug)]
pub(super) struct Telling {
    exporter: SpanExporter,
    receiver: String,
    /// The variable that names it.
    variable: &'static str,
    trouble: Trouble,
    is_away: AtomicBool,
    lost: AtomicU64,
}

impl Telling {
    pub(super) fn of(exporter: SpanExporter, receiver: String, variable: &'static str, trouble: Trouble) -> Self {
        Self { exporter, receiver, variable, trouble, is_away: AtomicBool::new(false), lost: AtomicU64::new(0) }
    }
}

impl Exporter for Telling {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let (number, Self { receiver, variable, .. }) = (batch.len() as u64, self);
        let sent = self.exporter.export(batch).await;
        if let Err(error) = &sent {
            self.lost.fetch_add(number, Ordering::Relaxed);
            if !self.is_away.swap(true, Ordering::Relaxed) {
                let why = lock(&self.trouble).take().unwrap_or_else(|| safe_joined(&in_full(error)));
                tracing::warn!("traces are lost until {receiver} ({variable}) takes them: {why}");
            }
        } else if self.is_away.swap(false, Ordering::Relaxed) {
            let lost = self.lost.swap(0, Ordering::Relaxed);
            tracing::warn!("{receiver} takes traces again; it refused or missed {lost} spans");
        }
        sent
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(timeout)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.exporter.set_resource(resource);
    }
}
