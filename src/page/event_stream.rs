//! Events as they happen: server-sent events (HTML, section 9.2).

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::{BoxStream, StreamExt, unfold};
use serde_json::json;
use tokio::time::sleep;

use super::client_places::Place;
use super::names::Names;
use super::shown_event::ShownEvent;
use crate::events::{Filter, Follower, News};
use crate::mirror::Pipeline;

/// A browser that lost its connection waits so long. It is in the first piece, which also shows the client that the stream is open.
const FIRST: &[u8] = b"retry: 3000\n: events as they happen\n\n";
/// An idle stream sends a comment: proxies close connections on which nothing comes for 30 seconds or more, and the mirror learns
/// that a client has left.
const IDLE: Duration = Duration::from_secs(15);
const IDLE_PIECE: &[u8] = b": nothing happened\n\n";
/// Between two pieces. A person reads no faster, and a busy mirror makes a thousand events a second.
const GAP: Duration = Duration::from_millis(200);
/// Events of one piece: some 100 KB.
const BATCH: usize = 200;

/// What a stream needs. It holds one place among the streams.
pub(super) struct Streaming {
    pub(super) follower: Follower,
    pub(super) filter: Filter,
    pub(super) with_private: bool,
    pub(super) names: Arc<Names>,
    pub(super) pipeline: Pipeline,
    pub(super) _place: Place,
}

/// The pieces, each made when it is asked for.
pub(super) fn pieces(streaming: Streaming) -> BoxStream<'static, Bytes> {
    let rest = unfold(streaming, |mut streaming| async move {
        let piece = streaming.next().await?;
        Some((piece, streaming))
    });
    futures_util::stream::once(async { Bytes::from_static(FIRST) }).chain(rest).boxed()
}

impl Streaming {
    /// Waits for events that match, or for some time.
    async fn next(&mut self) -> Option<Bytes> {
        let mut idle = pin!(sleep(IDLE));
        loop {
            sleep(GAP).await;
            let news = tokio::select! {
                news = self.follower.next(BATCH) => news?,
                () = &mut idle => return Some(Bytes::from_static(IDLE_PIECE)),
            };
            let piece = self.piece(news).await;
            if !piece.is_empty() {
                return Some(piece.into());
            }
        }
    }

    async fn piece(&self, News { mut entries, left_out }: News) -> String {
        let mut text = String::new();
        if left_out > 0 {
            text.push_str(&format!("event: left-out\ndata: {}\n\n", json!({"left_out": left_out})));
        }
        entries.retain(|entry| self.filter.matches(&entry.event));
        if !self.with_private {
            self.names.keep_public(&mut entries).await;
        }
        let request = self.filter.request.as_deref();
        for entry in entries {
            let shown = ShownEvent::of(&entry, self.with_private, request, self.pipeline.data());
            text.push_str(&format!("id: {}\ndata: {}\n\n", shown.id, shown.line()));
        }
        text
    }
}
