//! A receiver of traces: it decodes what a mirror sends, and answers, waits or is silent as a trial wants.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message;
use tokio_rustls::rustls::{ServerConfig, ServerConnection, StreamOwned};

use crate::hosts::certificates;
use crate::traces::TIME_LIMIT;

/// What it does with a request.
pub enum Step {
    /// Answers with this head, the length and end of which are added, and this body.
    Answer(&'static str, &'static str),
    /// Answers with 200 once somebody sends, or is gone.
    Wait(Receiver<()>),
    /// Never answers; the connection stays open.
    Silence,
}

/// A request of the mirror: its head, and its body.
pub struct Sent {
    pub head: String,
    pub body: Vec<u8>,
}

/// It ends with the process.
pub struct Collector {
    pub url: String,
    sent: Receiver<Sent>,
}

impl Collector {
    /// Does these steps, and then takes everything.
    pub fn start(steps: Vec<Step>) -> Self {
        Self::serve(None, steps)
    }

    /// The same over TLS, for 127.0.0.1. The certificate that signs its own is written to this file.
    pub fn over_tls(certificate: &Path) -> Self {
        let (acceptor, pem) = certificates(&["127.0.0.1"]);
        std::fs::write(certificate, pem).unwrap();
        Self::serve(Some(Arc::clone(acceptor.config())), Vec::new())
    }

    fn serve(tls: Option<Arc<ServerConfig>>, steps: Vec<Step>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let scheme = if tls.is_some() { "https" } else { "http" };
        let url = format!("{scheme}://{}", listener.local_addr().unwrap());
        let (sender, sent) = channel();
        std::thread::spawn(move || {
            let (mut steps, mut silent) = (steps.into_iter(), Vec::new());
            while let Ok((stream, _)) = listener.accept() {
                let step = steps.next().unwrap_or(Step::Answer("200 OK", ""));
                let kept = match &tls {
                    None => step.with(&stream, &sender),
                    Some(config) => {
                        let connection = ServerConnection::new(Arc::clone(config)).unwrap();
                        step.with(StreamOwned::new(connection, stream.try_clone().unwrap()), &sender)
                    }
                };
                if !kept {
                    silent.push(stream);
                }
            }
        });
        Self { url, sent }
    }

    /// The variables with which a mirror sends to it without delay.
    pub fn variables(&self) -> [(&str, &str); 2] {
        // Milliseconds.
        [("OTEL_EXPORTER_OTLP_ENDPOINT", &self.url), ("OTEL_BSP_SCHEDULE_DELAY", "50")]
    }

    /// The next request.
    pub fn next(&self) -> Sent {
        self.sent.recv_timeout(TIME_LIMIT).unwrap()
    }

    /// All requests so far that were not taken.
    pub fn rest(&self) -> Vec<Sent> {
        self.sent.try_iter().collect()
    }

    /// All that is sent until so many spans of requests have ended.
    pub fn until(&self, ended: usize) -> (Vec<Sent>, Vec<Span>) {
        let (mut all, mut spans) = (Vec::new(), Vec::new());
        while roots(&spans).count() < ended {
            let sent = self.next();
            spans.extend(sent.spans());
            all.push(sent);
        }
        (all, spans)
    }
}

impl Step {
    /// Returns false if the connection must stay open.
    fn with(self, stream: impl Read + Write, sender: &Sender<Sent>) -> bool {
        let mut stream = BufReader::new(stream);
        let Some(sent) = read(&mut stream) else { return true };
        // The trial is over if nobody receives.
        let _ = sender.send(sent);
        let (head, body) = match self {
            Self::Silence => return false,
            Self::Answer(head, body) => (head, body),
            Self::Wait(told) => {
                let _ = told.recv();
                ("200 OK", "")
            }
        };
        let length = body.len();
        let answer = format!("HTTP/1.1 {head}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}");
        let _ = stream.get_mut().write_all(answer.as_bytes());
        let _ = stream.get_mut().flush();
        true
    }
}

fn read(stream: &mut impl BufRead) -> Option<Sent> {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") && stream.read_line(&mut head).unwrap_or(0) > 0 {}
    let length = head.to_lowercase();
    let length = length.split("content-length: ").nth(1)?.lines().next()?.parse().ok()?;
    let mut body = vec![0; length];
    stream.read_exact(&mut body).ok()?;
    Some(Sent { head, body })
}

impl Sent {
    fn request(&self) -> ExportTraceServiceRequest {
        ExportTraceServiceRequest::decode(self.body.as_slice()).unwrap()
    }

    pub fn spans(&self) -> Vec<Span> {
        let scopes = self.request().resource_spans.into_iter().flat_map(|resource| resource.scope_spans);
        scopes.flat_map(|scope| scope.spans).collect()
    }

    /// A fact about the service.
    pub fn service(&self, key: &str) -> Option<String> {
        let resource = self.request().resource_spans.remove(0).resource.unwrap();
        fact(&resource.attributes, key)
    }

    /// Everything that was sent, as text: strings are in the body as they are.
    pub fn text(&self) -> String {
        self.head.clone() + &String::from_utf8_lossy(&self.body)
    }
}

pub fn fact(facts: &[KeyValue], key: &str) -> Option<String> {
    let fact = facts.iter().find(|fact| fact.key == key)?;
    match fact.value.as_ref()? {
        AnyValue { value: Some(Value::StringValue(text)) } => Some(text.clone()),
        AnyValue { value: Some(Value::IntValue(number)) } => Some(number.to_string()),
        other => panic!("{key} is {other:?}"),
    }
}

/// The spans of whole requests.
pub fn roots(spans: &[Span]) -> impl Iterator<Item = &Span> {
    spans.iter().filter(|span| span.parent_span_id.is_empty())
}

/// The spans directly below one, in the order of their begin.
pub fn below(spans: &[Span], parent: &Span) -> Vec<Span> {
    let is_below = |span: &&Span| span.parent_span_id == parent.span_id && span.trace_id == parent.trace_id;
    let mut below: Vec<Span> = spans.iter().filter(is_below).cloned().collect();
    below.sort_by_key(|span| (span.start_time_unix_nano, span.end_time_unix_nano));
    for span in &below {
        assert!(span.start_time_unix_nano >= parent.start_time_unix_nano, "{} begins too early", span.name);
        assert!(span.end_time_unix_nano <= parent.end_time_unix_nano, "{} ends after {}", span.name, parent.name);
    }
    below
}

pub fn names(spans: &[Span]) -> Vec<&str> {
    spans.iter().map(|span| span.name.as_str()).collect()
}

/// An address at which nobody listens.
pub fn closed() -> String {
    format!("http://{}", TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap())
}
