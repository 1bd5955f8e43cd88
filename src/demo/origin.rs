//! The embedded origin: a GOPROXY and a checksum database on loopback, over one [`World`].
//!
//! `/M/@v/…` and `/M/@latest`, the database at the root and at `/sumdb/NAME/…`. It answers what it has and 404 for the
//! rest, unless a [`Fault`] is set for the path. It remembers what was asked, so that a test can forbid requests.

use std::collections::HashMap;
use std::convert::Infallible;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use futures_util::stream;
use http_body_util::{BodyExt, Full, StreamBody, combinators::BoxBody};
use hyper::body::Frame;
use hyper::service::service_fn;
use hyper::{Response, StatusCode};
use hyper_util::rt::TokioIo;
use percent_encoding::percent_decode_str;
use tlog::Tile;
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio::task::JoinHandle;

use super::fault::Fault;
use super::world::World;
use crate::module::{ModulePath, ModuleVersion, Version};

/// The running origin. Stops when dropped.
pub struct Origin {
    address: SocketAddr,
    state: Arc<State>,
    running: JoinHandle<()>,
}

struct State {
    world: Mutex<World>,
    /// The size of the tree whose head is shown; `None` for the whole.
    shown: Mutex<Option<u64>>,
    faults: Mutex<HashMap<String, Fault>>,
    requests: Mutex<Vec<String>>,
    go_on: Notify,
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
        let state = Arc::new(State {
            world: Mutex::new(world),
            shown: Mutex::default(),
            faults: Mutex::default(),
            requests: Mutex::default(),
            go_on: Notify::new(),
        });
        let running = tokio::spawn(accept(listener, Arc::clone(&state)));
        Ok(Self { address, state, running })
    }

    /// Its url, without a trailing `/`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Its database's verifier key, as text.
    pub fn key(&self) -> String {
        self.world().key().to_string()
    }

    /// GOSUMDB for its database: key and url.
    pub fn gosumdb(&self) -> String {
        format!("{} {}", self.key(), self.url())
    }

    /// The world it serves, to look at or to change.
    pub fn world(&self) -> MutexGuard<'_, World> {
        locked(&self.state.world)
    }

    /// Shows the head of the first `size` records; `None` shows the newest again.
    pub fn show(&self, size: Option<u64>) {
        *locked(&self.state.shown) = size;
    }

    /// Misbehaves for `path` (as asked, with a leading `/`) from now on.
    pub fn misbehave(&self, path: &str, fault: Fault) {
        locked(&self.state.faults).insert(path.to_owned(), fault);
    }

    /// Is honest again.
    pub fn behave(&self) {
        locked(&self.state.faults).clear();
        self.state.go_on.notify_waiters();
    }

    /// What was asked since the last call, in order.
    pub fn take_requests(&self) -> Vec<String> {
        std::mem::take(&mut locked(&self.state.requests))
    }

    /// How often `path` was asked since the requests were last taken.
    pub fn asked(&self, path: &str) -> usize {
        locked(&self.state.requests).iter().filter(|asked| *asked == path).count()
    }
}

impl Drop for Origin {
    fn drop(&mut self) {
        self.running.abort();
    }
}

async fn accept(listener: TcpListener, state: Arc<State>) {
    while let Ok((stream, _)) = listener.accept().await {
        let state = Arc::clone(&state);
        let service = service_fn(move |request: hyper::Request<hyper::body::Incoming>| {
            let state = Arc::clone(&state);
            async move { Ok::<_, Infallible>(state.answer(request.uri().path()).await) }
        });
        tokio::spawn(async move {
            let connection = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service);
            // A client that goes away is no event.
            let _ = connection.await;
        });
    }
}

impl State {
    async fn answer(&self, raw: &str) -> Response<AnyBody> {
        locked(&self.requests).push(raw.to_owned());
        let fault = locked(&self.faults).get(raw).cloned();
        if let Some(Fault::Hold) = fault {
            self.go_on.notified().await;
        }
        let path = percent_decode_str(raw).decode_utf8_lossy();
        let honest = self.honest(path.strip_prefix('/').unwrap_or_default());
        let body = match (fault, honest) {
            (Some(Fault::Status(status, text)), _) => {
                return respond(status, text.as_bytes().to_vec());
            }
            (Some(Fault::Body(body)), _) => body.to_vec(),
            (_, None) => return respond(404, format!("not found: {path}\n").into_bytes()),
            (Some(Fault::FlipBit(at)), Some(mut body)) => {
                if let Some(byte) = body.get_mut(at) {
                    *byte ^= 1;
                }
                body
            }
            (Some(Fault::Cut(length)), Some(mut body)) => {
                body.truncate(length);
                body
            }
            (Some(Fault::Break(after)), Some(body)) => return broken_off(&body, after),
            (None | Some(Fault::Hold), Some(body)) => body,
        };
        respond(200, body)
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
                    return world.lookup(&module(path, version)?, size).map(String::into_bytes);
                }
            }
        }
        if let Some(path) = path.strip_suffix("/@latest") {
            let path = ModulePath::unescape(path).ok()?;
            let newest = world.modules().filter(|m| m.path == path).max()?;
            return world.module(newest).map(|files| files.info.clone().into_bytes());
        }
        let (path, file) = path.split_once("/@v/")?;
        if file == "list" {
            let path = ModulePath::unescape(path).ok()?;
            let of_path: Vec<_> = world.modules().filter(|m| m.path == path).collect();
            let tagged = of_path.iter().filter(|m| !m.version.is_pseudo());
            return (!of_path.is_empty())
                .then(|| tagged.map(|m| format!("{}\n", m.version)).collect::<String>().into_bytes());
        }
        let (version, extension) = file.rsplit_once('.')?;
        if extension == "info" && version == "main" {
            let path = ModulePath::unescape(path).ok()?;
            let newest = world.modules().filter(|m| m.path == path).max()?;
            return world.module(newest).map(|files| files.info.clone().into_bytes());
        }
        let files = world.module(&module(path, version)?)?;
        match extension {
            "info" => Some(files.info.clone().into_bytes()),
            "mod" => Some(files.go_mod.clone().into_bytes()),
            "zip" => Some(files.zip.clone()),
            _ => None,
        }
    }
}

fn module(path: &str, version: &str) -> Option<ModuleVersion> {
    ModuleVersion::new(ModulePath::unescape(path).ok()?, Version::unescape(version).ok()?).ok()
}

fn respond(status: u16, body: Vec<u8>) -> Response<AnyBody> {
    let mut response = Response::new(Full::new(Bytes::from(body)).map_err(|never| match never {}).boxed());
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    response.headers_mut().insert("content-type", hyper::header::HeaderValue::from_static("text/plain; charset=utf-8"));
    response
}

fn broken_off(body: &[u8], after: usize) -> Response<AnyBody> {
    let first = Bytes::copy_from_slice(&body[..after.min(body.len())]);
    let pieces = stream::iter([Ok(Frame::data(first)), Err(io::Error::other("broken off on purpose"))]);
    let mut response = Response::new(BodyExt::boxed(StreamBody::new(pieces)));
    response.headers_mut().insert("content-length", body.len().into());
    response
}
