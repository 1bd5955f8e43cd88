//! A version that an upstream has and the database shows later, under a clock that moves only while the test waits.
#![expect(clippy::disallowed_methods, clippy::unwrap_used, reason = "a test may touch the world, and panic")]

use std::sync::Mutex;
use std::time::SystemTime;

use testkit::World;
use tokio::time::sleep;
use url::Url;

use super::*;
use crate::policy::InForce;
use crate::release::{EventLog, Expectations};
use crate::store::Store;
use crate::sumdb::{Anchor, Client, Database, Databases};
use crate::upstream::database_request::DatabaseRequest;
use crate::upstream::{HttpClient, ProxyList, Router, Script, Ttls, UpstreamPool};
use gomodule::module::Patterns;

const HOLD: Duration = Duration::from_secs(6);
const SECONDS: fn(u64) -> Duration = Duration::from_secs;

/// A proxy and a database, which shows no record while `is_new`.
#[derive(Clone)]
struct Servers(Arc<Mutex<(World, bool)>>);

impl std::fmt::Debug for Servers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Servers")
    }
}

impl Script for Servers {
    fn answer(&self, url: &Url) -> (Duration, reqwest::Response) {
        let (world, is_new) = &*self.0.lock().unwrap();
        let path = url.path().trim_start_matches('/');
        let found = match DatabaseRequest::parse(path).ok().filter(|_| url.host_str() == Some("database.invalid")) {
            Some(DatabaseRequest::Latest) => world.head_at(world.size()).map(String::into_bytes),
            Some(DatabaseRequest::Lookup(_)) if *is_new => None,
            Some(DatabaseRequest::Lookup(module)) => world.lookup(&module, world.size()).map(String::into_bytes),
            Some(DatabaseRequest::Tile(tile)) => world.tile(&tile),
            Some(DatabaseRequest::Supported) => Some(Vec::new()),
            None => Request::parse(path).ok().and_then(|request| {
                let Artifact { module, kind } = request.file()?;
                let found = world.module(&module)?;
                Some(match kind {
                    Kind::Info => format!(r#"{{"Version":"{}"}}"#, module.version).into_bytes(),
                    Kind::Mod => found.go_mod.clone().into(),
                    Kind::Zip => found.zip.clone(),
                })
            }),
        };
        let status = if found.is_some() { 200 } else { 404 };
        let mut response = hyper::Response::new(found.unwrap_or_default());
        *response.status_mut() = hyper::StatusCode::from_u16(status).unwrap();
        (Duration::ZERO, response.into())
    }
}

/// The first request waits from 0 to 6 seconds, the second one from 4 to 10: only the second gets the record, which is there
/// after 7.
#[tokio::test(start_paused = true)]
async fn a_later_request_waits_as_long_as_the_first() {
    let servers = Servers(Arc::new(Mutex::new((World::demo(), true))));
    let key = servers.0.lock().unwrap().0.key().to_string();
    let (http, folder) = (HttpClient::scripted(Arc::new(servers.clone())), tempfile::tempdir().unwrap());
    let clock = Clock::seeded(SystemTime::UNIX_EPOCH + SECONDS(1_780_000_000));
    let store = Arc::new(Store::open(folder.path()).unwrap());
    let database = Database::parse(&format!("{key} http://database.invalid")).unwrap();
    let client = Client::open(database, &store, &Anchor::None, &http, clock).unwrap();
    let ttls = Ttls { hold: Some(HOLD), ..Ttls::default() };
    let proxies = ProxyList::parse("http://proxy.invalid").unwrap();
    let router = Router::new(UpstreamPool::new(proxies.upstreams(), &http, ttls, clock).unwrap(), Vec::new());
    let expectations = Expectations { databases: Databases::new(vec![client]).unwrap(), exempt: Patterns::default() };
    let log = EventLog::default();
    let holds = super::super::Pipeline::new(store, router, expectations, InForce::default(), log, clock).holds;
    let module = ModuleVersion::parse("example.com/hello@v1.0.0").unwrap();
    let go_mod = Artifact { module, kind: Kind::Mod };
    let start = Instant::now();
    let ask = async |after: u64| {
        sleep(SECONDS(after)).await;
        (holds.release(&go_mod).await, start.elapsed())
    };
    let show = async || {
        sleep(SECONDS(7)).await;
        servers.0.lock().unwrap().1 = false;
    };
    let ((first, first_ended), (second, second_ended), ()) = tokio::join!(ask(0), ask(4), show());
    assert!(matches!(first, Err(MirrorError::NotYet { .. })), "the first waited in vain");
    assert!((SECONDS(6)..SECONDS(7)).contains(&first_ended), "{first_ended:?}");
    assert!(second.is_ok(), "the second waits for its own time");
    assert!((SECONDS(7)..=SECONDS(10)).contains(&second_ended), "{second_ended:?}");
}
