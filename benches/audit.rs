//! A cold and a warm audit of the real piece of the database, over a stand-in that delays every answer by 50 ms.
//!
//! Yardstick: one request after the other never ends before `requests × delay`, and no client can be faster than the four
//! answers that depend on each other (a lookup, then the tiles of its proof from the widest row down are known at once: two
//! rounds), so the result is told in delays. The reference tool, where it can be had, takes 980 requests and about 8 delays.
#![expect(clippy::unwrap_used, reason = "a benchmark may panic")]

use std::convert::Infallible;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use http_body_util::Full;
use hyper::Response;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use sumgate::audit::{Audit, find, read};
use sumgate::finding::Report;
use sumgate::module::Patterns;
use sumgate::origin::HttpClient;
use sumgate::store::Store;
use sumgate::sumdb::{Anchor, Client, Database};
use tlog::Tile;
use tokio::net::TcpListener;

const DELAY: Duration = Duration::from_millis(50);
const RUNS: usize = 5;

fn main() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/real-sumdb");
    if !folder.is_dir() {
        println!("the piece of the real database is not here ({}); nothing to measure", folder.display());
        return;
    }
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let requests = Arc::new(AtomicUsize::new(0));
    let url = runtime.block_on(stand_in(folder.clone(), Arc::clone(&requests)));
    // One run is a smoke test; five are a measurement.
    let runs = if std::env::args().any(|word| word == "--test") { 1 } else { RUNS };
    let (mut cold, mut warm) = (Vec::new(), Vec::new());
    for _ in 0..runs {
        let data = tempfile::tempdir().unwrap();
        cold.push(runtime.block_on(audit(&folder, data.path(), &url)));
        assert!(requests.swap(0, Ordering::SeqCst) <= 308 + 494);
        warm.push(runtime.block_on(audit(&folder, data.path(), &url)));
        assert_eq!(requests.load(Ordering::SeqCst), 0);
    }
    for (what, mut times) in [("cold", cold), ("warm", warm)] {
        times.sort();
        let median = times[times.len() / 2];
        let delays = median.as_secs_f64() / DELAY.as_secs_f64();
        println!("audit of 616 lines, {what}: median {median:?} of {runs} runs = {delays:.1} delays of {DELAY:?}");
    }
}

async fn audit(folder: &Path, data: &Path, url: &str) -> Duration {
    let start = Instant::now();
    let store = Store::open(data).unwrap();
    let database = Database::parse(&format!("sum.golang.org {url}")).unwrap();
    let client = Client::open(database, &store, &Anchor::BuiltIn, HttpClient::new().unwrap()).unwrap();
    let entries = read(&find(&folder.join("go.sum")).unwrap()[0], None).unwrap();
    let now = SystemTime::now();
    let audit = Audit { clients: vec![client], exempt: Patterns::default(), at_once: 128, policy: None, now };
    let report: Report = audit.run(&entries, &AtomicUsize::new(0)).await;
    assert_eq!((report.proved, report.unchecked.len()), (616, 0));
    start.elapsed()
}

/// Serves the folder on loopback, every answer late.
async fn stand_in(folder: PathBuf, requests: Arc<AtomicUsize>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let folder = Arc::new(folder);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            stream.set_nodelay(true).unwrap();
            let (folder, requests) = (Arc::clone(&folder), Arc::clone(&requests));
            let service = service_fn(move |request: hyper::Request<hyper::body::Incoming>| {
                let (folder, requests) = (Arc::clone(&folder), Arc::clone(&requests));
                async move {
                    requests.fetch_add(1, Ordering::SeqCst);
                    tokio::time::sleep(DELAY).await;
                    let body = stored(&folder, request.uri().path().trim_start_matches('/'));
                    let mut response = Response::new(Full::new(Bytes::from(body.clone().unwrap_or_default())));
                    if body.is_none() {
                        *response.status_mut() = hyper::StatusCode::NOT_FOUND;
                    }
                    Ok::<_, Infallible>(response)
                }
            });
            tokio::spawn(async move {
                let connection = hyper::server::conn::http1::Builder::new();
                // A client that goes away is no event.
                let _ = connection.serve_connection(TokioIo::new(stream), service).await;
            });
        }
    });
    url
}

/// A stored file; a partial tile that is not stored is cut from a wider one, as the real server has every width.
fn stored(folder: &Path, path: &str) -> Option<Vec<u8>> {
    if let Ok(body) = std::fs::read(folder.join(path)) {
        return Some(body);
    }
    let tile = Tile::parse(path).ok()?;
    let wider = (tile.width()..=256)
        .find_map(|width| std::fs::read(folder.join(tile.with_width(width).ok()?.to_string())).ok())?;
    tile.cut(&wider).map(<[u8]>::to_vec)
}
