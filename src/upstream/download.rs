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
    /// The bytes of the file that the sink has, with those of an earlier download.
    written: u64,
    /// The bytes that arrived in this download.
    pub(super) received: u64,
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
        Self { url, limit, written: 0, received: 0, first_byte: clock.steady(), progress, on_head, clock }
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

    /// The rest of the body; or all of it, if the source does not send the rest, or that of another body: a cache may ignore
    /// If-Range. A part has the entity tag of its body (RFC 9110 section 15.3.7).
    async fn resumed(&mut self, http: &HttpClient, tag: String, sink: &DownloadSink) -> Result<Answer, UpstreamError> {
        let answer = match http.ask(self.url.clone(), &Condition::From(self.written, tag.clone())).await {
            Ok(answer) if answer.status() != StatusCode::PARTIAL_CONTENT => Some(answer),
            Ok(answer) if answer.first_byte() == Some(self.written) && answer.tag() == Some(tag) => return Ok(answer),
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
            self.received += chunk.len() as u64;
            if self.written > self.limit {
                // So that it is not resumed.
                sink.send(Part::Tag(None)).await?;
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

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use std::sync::Arc;
    use std::time::Duration;

    use hyper::header::{CONTENT_RANGE, ETAG};
    use tokio::sync::mpsc;

    use super::*;
    use crate::upstream::http::Script;

    /// A server that has the second half of a body of eight bytes, and the whole.
    #[derive(Debug)]
    struct Server {
        status: u16,
        tag: &'static str,
    }

    impl Script for Server {
        fn answer(&self, _: &Url) -> (Duration, reqwest::Response) {
            let answer = hyper::Response::builder().status(self.status).header(ETAG, self.tag);
            let part = self.status == 206;
            let answer = if part { answer.header(CONTENT_RANGE, "bytes 4-7/8") } else { answer };
            let body = if part { "5678" } else { "12345678" };
            (Duration::ZERO, answer.body(body).unwrap().into())
        }
    }

    /// Resumes after the first half.
    async fn resume(server: Server, limit: u64) -> (Result<(), UpstreamError>, u64, mpsc::Receiver<Part>) {
        let http = HttpClient::scripted(Arc::new(server));
        let (sink, parts) = DownloadSink::new(Some(Received { bytes: 4, tag: "\"1\"".to_owned() }));
        let (url, progress) = (Url::parse("https://a.example/x.zip").unwrap(), Progress::new(Clock::System));
        let mut on_head = || ();
        let mut download = Download::new(url, limit, &progress, &mut on_head, Clock::System);
        let done = download.run(&http, &sink).await;
        (done, download.received, parts)
    }

    #[tokio::test]
    async fn what_was_received_before_does_not_count_for_the_rate() {
        let (done, received, _) = resume(Server { status: 206, tag: "\"1\"" }, 8).await;
        assert_eq!((done.is_ok(), received), (true, 4));
        let (done, received, _) = resume(Server { status: 200, tag: "\"2\"" }, 8).await;
        assert_eq!((done.is_ok(), received), (true, 8));
    }

    #[tokio::test]
    async fn a_part_of_another_body_is_not_taken() {
        // The script sends a part to a request for the whole, too, which is refused.
        for tag in ["\"2\"", "W/\"1\"", ""] {
            let (done, received, mut parts) = resume(Server { status: 206, tag }, 8).await;
            assert!(done.is_err() && received == 0, "{tag}: {done:?}");
            assert!(matches!(parts.recv().await.unwrap(), Part::StartOver), "{tag}");
            assert!(parts.recv().await.is_none(), "{tag}");
        }
    }

    #[tokio::test]
    async fn a_body_over_the_limit_is_not_resumed() {
        let (done, _, mut parts) = resume(Server { status: 206, tag: "\"1\"" }, 7).await;
        assert!(matches!(done, Err(UpstreamError::Failed(HttpError::TooLarge { limit: 7, .. }))), "{done:?}");
        assert!(matches!(parts.recv().await.unwrap(), Part::Tag(Some(_))));
        assert!(matches!(parts.recv().await.unwrap(), Part::Tag(None)));
        assert!(parts.recv().await.is_none());
    }
}
