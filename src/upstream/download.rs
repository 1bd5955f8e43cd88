//! One download over HTTP: the body in parts to a sink, resumed if it is interrupted.

use reqwest::StatusCode;
use tokio::time::Instant;
use url::Url;

use super::error::UpstreamError;
use super::http::{Answer, Condition, HttpClient, HttpError};
use super::race::Progress;
use super::sink::{DownloadSink, Part, Received};
use crate::base::clock::Clock;

/// Resumes of one interrupted download, each after at least one more byte arrived.
const MAX_RESUMES: u32 = 8;
/// The log reports a download each time another 16 MiB of it has arrived.
const LOG_EVERY: u64 = 16 << 20;

pub(super) struct Download<'a> {
    url: Url,
    limit: u64,
    pub(super) written: u64,
    pub(super) first_byte: Instant,
    progress: &'a Progress,
    /// Called when the head of the answer has arrived.
    on_head: &'a mut (dyn FnMut() + Send),
    clock: Clock,
}

impl<'a> Download<'a> {
    pub(super) fn new(
        url: Url,
        limit: u64,
        progress: &'a Progress,
        on_head: &'a mut (dyn FnMut() + Send),
        clock: Clock,
    ) -> Self {
        Self { url, limit, written: 0, first_byte: clock.steady(), progress, on_head, clock }
    }

    /// Sends one request, or resumes an earlier download, and resumes an interrupted body if the source still has the same
    /// strong entity tag (RFC 9110 section 14.2).
    pub(super) async fn run(&mut self, http: &HttpClient, sink: &DownloadSink) -> Result<(), UpstreamError> {
        let mut answer = match sink.received() {
            Some(Received { bytes, tag }) => {
                self.written = bytes;
                self.resumed(http, tag, sink).await?
            }
            None => http.ask(self.url.clone(), &Condition::None).await?,
        };
        self.first_byte = self.clock.steady();
        self.progress.began();
        (self.on_head)();
        for _ in 0..MAX_RESUMES {
            let (before, tag) = (self.written, answer.tag());
            sink.send(Part::Tag(tag.clone())).await?;
            match (self.body(&mut answer, sink).await, tag) {
                (Ok(()), _) => return Ok(()),
                (Err(UpstreamError::Failed(error)), Some(tag)) if error.passes() && self.written > before => {
                    tracing::info!(url = answer.url, bytes = self.written, %error, "resuming an interrupted download");
                    answer = self.resumed(http, tag, sink).await?;
                }
                (Err(error), _) => return Err(error),
            }
        }
        let cause = format!("the download was interrupted {MAX_RESUMES} times");
        Err(HttpError::Transport { url: answer.url, cause }.into())
    }

    /// The rest of the body; or all of it, if the source does not send the rest.
    async fn resumed(&mut self, http: &HttpClient, tag: String, sink: &DownloadSink) -> Result<Answer, UpstreamError> {
        let answer = match http.ask(self.url.clone(), &Condition::From(self.written, tag)).await {
            Ok(answer) if answer.status() != StatusCode::PARTIAL_CONTENT => Some(answer),
            Ok(answer) if answer.first_byte() == Some(self.written) => return Ok(answer),
            // Another part than the requested one, or a body that is shorter now (416).
            Ok(_) | Err(HttpError::Status { status: 416, .. }) => None,
            Err(error) => return Err(error.into()),
        };
        self.written = 0;
        sink.send(Part::StartOver).await?;
        match answer {
            Some(answer) => Ok(answer),
            None => Ok(http.ask(self.url.clone(), &Condition::None).await?),
        }
    }

    async fn body(&mut self, answer: &mut Answer, sink: &DownloadSink) -> Result<(), UpstreamError> {
        while let Some(chunk) = answer.chunk().await? {
            let before = self.written;
            self.written += chunk.len() as u64;
            if self.written > self.limit {
                return Err(HttpError::TooLarge { url: answer.url.clone(), limit: self.limit }.into());
            }
            self.progress.received(chunk.len() as u64);
            sink.send_bytes(chunk).await?;
            if before / LOG_EVERY != self.written / LOG_EVERY {
                tracing::info!(url = answer.url, megabytes = self.written >> 20, "downloading");
            }
        }
        Ok(())
    }
}
