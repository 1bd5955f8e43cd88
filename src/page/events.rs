//! Answers requests for events: the page, the same as JSON, and the stream.

use std::collections::HashSet;
use std::sync::Arc;

use bytes::Bytes;
use hyper::header::{HeaderName, HeaderValue};
use hyper::{Method, Response, StatusCode};
use serde_json::{Value, json};

use super::client_places::{Full, Places};
use super::event_query::{Asked, SHOWN, Wrong};
use super::event_stream::{Streaming, pieces};
use super::headers::{answer, html};
use super::names::Names;
use super::same_origin::is_own;
use super::shown_event::{Shown, ShownEvent, is_alarm};
use super::view::View;
use super::{api, events_html};
use crate::events::{Entry, Event, Feed, Span};
use crate::mirror::{OwnBody, OwnRequest, Pipeline};

/// Streams at a time: the people of a team who look at once. Each is a connection.
const MAX_STREAMS: usize = 32;
/// Streams of one client at a time: a quarter, as for its requests while connections are scarce. Some people share one address.
const MAX_OF_ONE: usize = MAX_STREAMS / 4;
/// Forks and wrong bytes on top: what an operator can look at. The events below have the others.
const MAX_ALARMS: usize = 20;

pub(super) struct Events {
    pipeline: Pipeline,
    names: Arc<Names>,
    feed: Feed,
    span: Span,
    streams: Arc<Places>,
}

impl Events {
    /// Ends the streams of the settings before these.
    pub(super) fn new(pipeline: Pipeline, names: Arc<Names>, feed: Feed) -> Self {
        let span = feed.end_streams();
        Self { pipeline, names, feed, span, streams: Places::new(MAX_STREAMS, MAX_OF_ONE) }
    }

    pub(super) async fn page(&self, view: &View, query: &str) -> Response<Bytes> {
        match Asked::read(query, view.with_private, true) {
            Ok(asked) => {
                let shown = self.shown(view, &asked).await;
                html(StatusCode::OK, events_html::events(view, &asked, Ok(&shown)))
            }
            Err((status, why)) => html(status, events_html::events(view, &Asked::default(), Err(&why))),
        }
    }

    pub(super) async fn api(&self, view: &View, query: &str) -> Response<Bytes> {
        match Asked::read(query, view.with_private, false) {
            Ok(asked) => {
                let Shown { alarms, events } = self.shown(view, &asked).await;
                api::found(&json!({"alarms": list(&alarms), "events": list(&events)}))
            }
            Err((status, why)) => api::error(status, &why),
        }
    }

    /// The stream continues after the event that the client saw last.
    pub(super) fn stream(&self, view: &View, request: &OwnRequest) -> Response<OwnBody> {
        self.streamed(view, request).unwrap_or_else(|(status, why)| api::error(status, &why).map(OwnBody::Whole))
    }

    fn streamed(&self, view: &View, request: &OwnRequest) -> Result<Response<OwnBody>, Wrong> {
        // A browser would hold a place for a page that cannot read the events.
        if !is_own(&request.headers, request.host()) {
            return Err((StatusCode::FORBIDDEN, "events are not sent to pages of another origin".to_owned()));
        }
        let Asked { filter, after, .. } = Asked::read(&request.query, view.with_private, false)?;
        let last = request.headers.get("last-event-id").and_then(|id| id.to_str().ok()?.parse().ok());
        let place = self.streams.take(request.client).map_err(no_stream)?;
        let (outcomes, span) = (filter.outcome.clone(), self.span.clone());
        let follower = self.feed.follow(view.with_private, outcomes, last.or(after), span);
        let (with_private, names, pipeline) = (view.with_private, Arc::clone(&self.names), self.pipeline.clone());
        let mut response = answer(StatusCode::OK, "text/event-stream", Bytes::new());
        // nginx would collect the events of some minutes.
        response.headers_mut().insert(HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no"));
        if request.method == Method::HEAD {
            return Ok(response.map(OwnBody::Whole));
        }
        let streaming = Streaming { follower, filter, with_private, names, pipeline, _place: place };
        Ok(response.map(|_| OwnBody::Pieces(pieces(streaming))))
    }

    async fn shown(&self, view: &View, asked: &Asked) -> Shown {
        let all = self.feed.newest(view.with_private);
        let alarms = self.open(distinct(&all)).await;
        let is_new = |entry: &Arc<Entry>| asked.after.is_none_or(|after| entry.id > after);
        let matching = all.into_iter().filter(|entry| is_new(entry) && asked.filter.matches(&entry.event)).collect();
        Shown {
            alarms: self.some(view, asked, alarms, MAX_ALARMS).await,
            events: self.some(view, asked, matching, asked.limit).await,
        }
    }

    /// Those whose evidence is still here: an operator removes what is settled, and the mirror the oldest of many.
    async fn open(&self, mut alarms: Vec<Arc<Entry>>) -> Vec<Arc<Entry>> {
        let all: HashSet<String> = alarms.iter().flat_map(|entry| evidence(&entry.event)).cloned().collect();
        let open = self.pipeline.which_are_open(all).await;
        alarms.retain(|entry| evidence(&entry.event).any(|path| open.contains(path)));
        alarms
    }

    /// The first `most` that the reader may see.
    async fn some(&self, view: &View, asked: &Asked, entries: Vec<Arc<Entry>>, most: usize) -> Vec<ShownEvent> {
        let (mut shown, request) = (Vec::new(), asked.filter.request.as_deref());
        // Each is checked on another thread: not one by one, however few are asked for.
        for some in entries.chunks(most.max(SHOWN)) {
            let mut some = some.to_vec();
            if !view.with_private {
                self.names.keep_public(&mut some).await;
            }
            let of = |entry: &Arc<Entry>| ShownEvent::of(entry, view.with_private, request, self.pipeline.data());
            shown.extend(some.iter().take(most - shown.len()).map(of));
            if shown.len() == most {
                break;
            }
        }
        shown
    }
}

fn no_stream(full: Full) -> Wrong {
    let why = match full {
        Full::All => {
            "all streams of events are in use: load the page again to see new events, or close other windows".to_owned()
        }
        Full::Own => format!(
            "{MAX_OF_ONE} streams of events are open from this address: close other windows, or load the page again to see new events. \
             If a proxy is in front of this mirror, name it with serve --trusted-proxy: its clients are then counted one by one"
        ),
    };
    (StatusCode::SERVICE_UNAVAILABLE, why)
}

/// The alarms, of each case the newest: wrong bytes are found again with each request, and a fork with each start.
fn distinct(entries: &[Arc<Entry>]) -> Vec<Arc<Entry>> {
    let mut known = HashSet::new();
    let case =
        |event: &Event| (event.facts.database.clone(), event.facts.evidence.clone(), event.facts.quarantine.clone());
    let mut alarms: Vec<_> = entries.iter().filter(|entry| is_alarm(&entry.event)).cloned().collect();
    alarms.retain(|entry| known.insert(case(&entry.event)));
    alarms
}

/// The files and folders with the evidence of an alarm.
fn evidence(event: &Event) -> impl Iterator<Item = &String> {
    event.facts.evidence.iter().chain(&event.facts.quarantine)
}

fn list(events: &[ShownEvent]) -> Value {
    events.iter().map(|shown| serde_json::to_value(shown).unwrap_or_default()).collect()
}
