//! The test origin: a module proxy and a checksum database on loopback, with the data of one [`World`].
//!
//! It serves `/M/@v/…` and `/M/@latest`, and the database at the root and at `/sumdb/NAME/…`. Other paths are 404. A
//! [`Fault`] can be set for each path. The origin records all requests, so that tests can check them.

use std::collections::HashMap;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use futures_util::{Stream, StreamExt, stream};
use http_body_util::{BodyExt, Full, StreamBody, combinators::BoxBody};
use hyper::body::Frame;
use hyper::header::{self, HeaderMap, HeaderName, HeaderValue};
use hyper::service::service_fn;
use hyper::{Response, StatusCode};
use hyper_util::rt::TokioIo;
use percent_encoding::percent_decode_str;
use tlog::Tile;
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio::task::JoinHandle;

use super::fault::{Fault, OtherTag};
use super::world::World;
use gomodule::artifact::{Artifact, Kind};
use gomodule::proxy_request::{Request, module_path, module_version};

fn gzip(body: &[u8]) -> io::Result<Vec<u8>> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    io::Write::write_all(&mut encoder, body)?;
    encoder.finish()
}

/// A running origin, which stops on drop.
pub struct Origin {
    address: SocketAddr,
    state: Arc<OriginState>,
    running: JoinHandle<()>,
}

struct OriginState {
    world: Mutex<World>,
    /// The tree size of the head that is served; `None` for the newest.
    shown: Mutex<Option<u64>>,
    faults: Mutex<HashMap<String, Fault>>,
    requests: Mutex<Vec<String>>,
    logins: Mutex<Vec<(String, Option<String>)>>,
    resume: Arc<Notify>,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

type AnyBody = BoxBody<Bytes, io::Error>;

impl Origin {
    /// Serves `world` on a free loopback port.
    pub async fn start(world: World) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let state = Arc::new(OriginState {
            world: Mutex::new(world),
            shown: Mutex::default(),
            faults: Mutex::default(),
            requests: Mutex::default(),
            logins: Mutex::default(),
            resume: Arc::default(),
        });
        let running = tokio::spawn(accept(listener, Arc::clone(&state)));
        Ok(Self { address, state, running })
    }

    /// The URL, without a trailing `/`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The verifier key of the database.
    pub fn key(&self) -> String {
        self.world().key().to_string()
    }

    /// The value of GOSUMDB for the database: key and URL.
    pub fn gosumdb(&self) -> String {
        format!("{} {}", self.key(), self.url())
    }

    /// The data that is served, which can be changed.
    pub fn world(&self) -> MutexGuard<'_, World> {
        locked(&self.state.world)
    }

    /// Serves the tree head of the first `size` records, or the newest for `None`.
    pub fn show(&self, size: Option<u64>) {
        *locked(&self.state.shown) = size;
    }

    /// Sets a fault for `path` (with a leading `/`). A `*` at its end matches any suffix. An exact path takes precedence, then
    /// the longest one with `*`.
    pub fn misbehave(&self, path: &str, fault: Fault) {
        locked(&self.state.faults).insert(path.to_owned(), fault);
    }

    /// Removes all faults, and continues answers that wait.
    pub fn behave(&self) {
        locked(&self.state.faults).clear();
        self.state.resume.notify_waiters();
    }

    /// The requests since the last call, in order. Partial requests include their `Range`.
    pub fn take_requests(&self) -> Vec<String> {
        std::mem::take(&mut locked(&self.state.requests))
    }

    /// The requested paths since the last call, each with its `Authorization` header.
    pub fn take_logins(&self) -> Vec<(String, Option<String>)> {
        std::mem::take(&mut locked(&self.state.logins))
    }

    /// The number of requests for `path` since the last [`Origin::take_requests`].
    pub fn asked(&self, path: &str) -> usize {
        locked(&self.state.requests).iter().filter(|asked| *asked == path).count()
    }
}

impl Drop for Origin {
    fn drop(&mut self) {
        self.running.abort();
    }
}

async fn accept(listener: TcpListener, state: Arc<OriginState>) {
    while let Ok((stream, _)) = listener.accept().await {
        // Small answers are sent at once.
        let _ = stream.set_nodelay(true);
        let state = Arc::clone(&state);
        let service = service_fn(move |request: hyper::Request<hyper::body::Incoming>| {
            let state = Arc::clone(&state);
            async move { state.answer(&request).await }
        });
        tokio::spawn(async move {
            let connection = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service);
            // Clients may disconnect at any time.
            let _ = connection.await;
        });
    }
}

impl OriginState {
    /// Answers a request. An error closes the connection.
    async fn answer(&self, request: &hyper::Request<hyper::body::Incoming>) -> io::Result<Response<AnyBody>> {
        let raw = request.uri().path();
        let range = request.headers().get(header::RANGE).and_then(|range| range.to_str().ok());
        let login = request.headers().get(header::AUTHORIZATION).and_then(|login| login.to_str().ok());
        locked(&self.logins).push((raw.to_owned(), login.map(str::to_owned)));
        locked(&self.requests).push(range.map_or_else(|| raw.to_owned(), |range| format!("{raw} {range}")));
        let path = percent_decode_str(raw).decode_utf8_lossy();
        let honest = self.honest(path.strip_prefix('/').unwrap_or_default());
        let mut fault = self.fault(raw);
        if let Some(Fault::Delay(delay, then)) = fault {
            tokio::time::sleep(delay).await;
            fault = then.map(|then| *then);
        }
        if let Some(Fault::NeedsLogin(then)) = fault {
            fault = if login.is_some() { then.map(|then| *then) } else { Some(Fault::Status(401, "log in\n")) };
        }
        if let Some(Fault::Hold) = fault {
            self.resume.notified().await;
        }
        Ok(match (fault, honest) {
            (Some(Fault::Reset), _) => return Err(io::Error::other("reset on purpose")),
            (Some(Fault::Status(status, text)), _) => respond(status, text.as_bytes().to_vec()),
            (Some(Fault::RetryAfter(status, seconds)), _) => {
                with(respond(status, b"come back later\n".to_vec()), header::RETRY_AFTER, seconds.into())
            }
            (Some(Fault::Redirect(to)), _) => {
                let to = HeaderValue::from_str(&to).map_err(io::Error::other)?;
                with(respond(302, Vec::new()), header::LOCATION, to)
            }
            (Some(Fault::Body(body)), _) => respond(200, body.to_vec()),
            (_, None) => respond(404, format!("not found: {path}\n").into_bytes()),
            (Some(Fault::Coding(coding)), Some(body)) => {
                let body = if coding == "gzip" { gzip(&body)? } else { body };
                with(respond(200, body), header::CONTENT_ENCODING, HeaderValue::from_static(coding))
            }
            (Some(Fault::FlipBit(at)), Some(mut body)) => {
                if let Some(byte) = body.get_mut(at) {
                    *byte ^= 1;
                }
                respond(200, body)
            }
            (Some(Fault::Cut(length)), Some(mut body)) => {
                body.truncate(length);
                respond(200, body)
            }
            (Some(Fault::Break(after)), Some(body)) => in_pieces(&body, broken(&body, after)),
            (Some(Fault::OtherRest(after, other_tag)), Some(body)) => match first_byte(request.headers()) {
                None | Some(0) => in_pieces(&body, broken(&body, after)),
                Some(first) => other_rest(&body, first, other_tag),
            },
            (Some(Fault::Stall(after)), Some(body)) => in_pieces(&body, self.stalled(&body, after)),
            (Some(Fault::Trickle(rate)), Some(body)) => in_pieces(&body, trickling(&body, rate)),
            (None | Some(Fault::Hold | Fault::Delay(..) | Fault::NeedsLogin(_) | Fault::Times(..)), Some(body)) => {
                requested_part(body, request.headers())
            }
        })
    }

    /// The fault for a path. Faults of the database apply to both of its endpoints.
    fn fault(&self, path: &str) -> Option<Fault> {
        let endpoint = format!("/sumdb/{}", locked(&self.world).name());
        let paths = [path, path.strip_prefix(&endpoint).unwrap_or(path)];
        let mut faults = locked(&self.faults);
        let covers = |key: &&String| {
            paths.iter().any(|path| key.strip_suffix('*').map_or(*path == **key, |start| path.starts_with(start)))
        };
        let key = faults.keys().filter(covers).max_by_key(|key| (!key.ends_with('*'), key.len()))?.clone();
        match faults.get_mut(&key)? {
            Fault::Times(0, _) => None,
            Fault::Times(left, fault) => {
                *left -= 1;
                Some((**fault).clone())
            }
            fault => Some(fault.clone()),
        }
    }

    /// The first bytes, and the rest after [`Origin::behave`].
    fn stalled(&self, body: &[u8], after: usize) -> Pieces {
        let (first, rest) = body.split_at(after.min(body.len()));
        let (first, rest) = (Bytes::copy_from_slice(first), Bytes::copy_from_slice(rest));
        let resume = Arc::clone(&self.resume);
        let rest = stream::once(async move {
            resume.notified().await;
            Ok(Frame::data(rest))
        });
        Box::pin(stream::iter([Ok(Frame::data(first))]).chain(rest))
    }

    fn honest(&self, path: &str) -> Option<Vec<u8>> {
        let world = locked(&self.world);
        let size = locked(&self.shown).unwrap_or_else(|| world.size());
        let behind_proxy = path.strip_prefix(&format!("sumdb/{}/", world.name()));
        match behind_proxy.unwrap_or(path) {
            "supported" if behind_proxy.is_some() => return Some(Vec::new()),
            "latest" => return world.head_at(size).map(String::into_bytes),
            path if path.starts_with("tile/") => return world.tile(&Tile::parse(path).ok()?),
            path => {
                if let Some(name) = path.strip_prefix("lookup/") {
                    let (path, version) = name.rsplit_once('@')?;
                    let module = module_version(&module_path(path).ok()?, version).ok()?;
                    return world.lookup(&module, size).map(String::into_bytes);
                }
            }
        }
        let of = |path| world.modules().filter(move |module| module.path == path);
        let info = |module| world.module(module).map(|files| files.info.clone().into_bytes());
        match Request::parse(path).ok()? {
            Request::List(path) => {
                of(path.clone()).next()?;
                let tagged = of(path).filter(|module| !module.version.is_pseudo());
                Some(tagged.map(|module| format!("{}\n", module.version)).collect::<String>().into_bytes())
            }
            Request::Latest(path) => info(of(path).max()?),
            Request::Query(path, query) if query.as_ref() == "main" => info(of(path).max()?),
            Request::Query(..) => None,
            Request::File(Artifact { module, kind: Kind::Info }) => info(&module),
            Request::File(Artifact { module, kind: Kind::Mod }) => {
                Some(world.module(&module)?.go_mod.clone().into_bytes())
            }
            Request::File(Artifact { module, kind: Kind::Zip }) => Some(world.module(&module)?.zip.clone()),
        }
    }
}

fn respond(status: u16, body: Vec<u8>) -> Response<AnyBody> {
    let mut response = Response::new(Full::new(Bytes::from(body)).map_err(|never| match never {}).boxed());
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    with(response, header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"))
}

fn with(mut response: Response<AnyBody>, name: HeaderName, value: HeaderValue) -> Response<AnyBody> {
    response.headers_mut().insert(name, value);
    response
}

type Pieces = Pin<Box<dyn Stream<Item = io::Result<Frame<Bytes>>> + Send + Sync>>;

/// An answer in pieces, with the length of `body` as `Content-Length`.
fn in_pieces(body: &[u8], pieces: Pieces) -> Response<AnyBody> {
    let response = Response::new(BodyExt::boxed(StreamBody::new(pieces)));
    with(with(response, header::CONTENT_LENGTH, body.len().into()), header::ETAG, tag(body))
}

fn broken(body: &[u8], after: usize) -> Pieces {
    let first = Bytes::copy_from_slice(&body[..after.min(body.len())]);
    let broken = stream::once(async {
        // Lets the first part be sent before the connection is closed.
        tokio::time::sleep(Duration::from_millis(20)).await;
        Err(io::Error::other("closed on purpose"))
    });
    Box::pin(stream::iter([Ok(Frame::data(first))]).chain(broken))
}

/// The body in fifty pieces per second.
fn trickling(body: &[u8], rate: usize) -> Pieces {
    let pieces: Vec<Bytes> = body.chunks((rate / 50).max(1)).map(Bytes::copy_from_slice).collect();
    Box::pin(stream::iter(pieces).then(|piece| async {
        tokio::time::sleep(Duration::from_millis(20)).await;
        Ok(Frame::data(piece))
    }))
}

/// An entity tag of these bytes.
fn tag(body: &[u8]) -> HeaderValue {
    let tag = format!("\"{}\"", hex::encode(&tlog::leaf_hash(body).as_bytes()[..8]));
    HeaderValue::from_str(&tag).unwrap_or(HeaderValue::from_static("\"-\""))
}

/// The part of another file from this byte on.
fn other_rest(body: &[u8], first: usize, other_tag: OtherTag) -> Response<AnyBody> {
    let other: Vec<u8> = body.iter().map(|byte| !byte).collect();
    let tag = if other_tag == OtherTag::Own { tag(&other) } else { tag(body) };
    with(part(&other, first), header::ETAG, tag)
}

/// The body with an entity tag, or 304, or the range that was requested.
fn requested_part(body: Vec<u8>, request: &HeaderMap) -> Response<AnyBody> {
    let tag = tag(&body);
    if request.get(header::IF_NONE_MATCH) == Some(&tag) {
        return respond(304, Vec::new());
    }
    let first = first_byte(request).filter(|_| request.get(header::IF_RANGE) == Some(&tag));
    let response = match first.filter(|first| *first < body.len()) {
        Some(first) => part(&body, first),
        None => respond(200, body),
    };
    with(response, header::ETAG, tag)
}

/// The first byte of the range that is requested.
fn first_byte(request: &HeaderMap) -> Option<usize> {
    request.get(header::RANGE)?.to_str().ok()?.strip_prefix("bytes=")?.strip_suffix('-')?.parse().ok()
}

/// The body from its byte `first` on.
fn part(body: &[u8], first: usize) -> Response<AnyBody> {
    let range = format!("bytes {first}-{}/{}", body.len() - 1, body.len());
    let range = HeaderValue::from_str(&range).unwrap_or(HeaderValue::from_static(""));
    with(respond(206, body.get(first..).unwrap_or_default().to_vec()), header::CONTENT_RANGE, range)
}
