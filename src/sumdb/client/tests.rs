//! A client of a log in memory, with a clock that the test moves.
#![expect(clippy::disallowed_methods, clippy::unwrap_used, reason = "a test may touch the world, and panic")]

mod batches;
mod forks;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard};
use std::time::SystemTime;

use futures_util::future::join_all;
use testkit::World;
use tokio::time::advance;
use url::Url;

use super::*;
use crate::base::fault::Fault;
use crate::policy::Age;
use crate::sumdb::Databases;
use crate::upstream::database_request::DatabaseRequest;
use crate::upstream::{ProxyList, Script};

const HELLO: &str = "example.com/hello@v1.0.0";
const DAY: Duration = Duration::from_secs(24 * 3600);
const WEEK: Duration = Duration::from_secs(7 * 24 * 3600);

/// The answers of the endpoints.
struct Answers {
    world: World,
    /// There is no record yet.
    absent: bool,
    /// An endpoint whose tiles have a wrong bit.
    lies: Option<usize>,
    /// How often another process moves the head by one record during a tile request.
    moves: u64,
    state: Option<Arc<StateDir>>,
    /// Lookups of this module are answered from this world.
    other: Option<(ModuleVersion, World)>,
    /// Answers to requests for such a path take this long.
    slow: Option<(&'static str, Duration)>,
    /// The requests: endpoint and path.
    asked: Vec<(usize, String)>,
}

impl Answers {
    fn answer(&mut self, endpoint: usize, asked: &DatabaseRequest) -> Option<Vec<u8>> {
        self.asked.push((endpoint, asked.to_string()));
        let (world, size) = (&self.world, self.world.size());
        let found = match asked {
            DatabaseRequest::Supported => Some(Vec::new()),
            DatabaseRequest::Latest => world.head_at(size).map(String::into_bytes),
            DatabaseRequest::Lookup(_) if self.absent => None,
            DatabaseRequest::Lookup(module) => {
                let other = self.other.as_ref().filter(|(of, _)| of == module);
                let world = other.map_or(world, |(_, world)| world);
                world.lookup(module, world.size()).map(String::into_bytes)
            }
            DatabaseRequest::Tile(tile) => world.tile(tile),
        };
        let mut found = found?;
        if matches!(asked, DatabaseRequest::Tile(_)) {
            if self.lies == Some(endpoint) {
                found[0] ^= 1;
            }
            if let Some(state) = self.state.as_ref().filter(|_| self.moves > 0) {
                self.moves -= 1;
                let head = SignedCheckpoint::open(state.head().unwrap().unwrap().as_bytes(), SUMDB_ORIGIN, world.key());
                let next = world.head_at(head.unwrap().size().get() + 1).unwrap();
                state.swap_head(|_| true, &next).unwrap();
            }
        }
        Some(found)
    }
}

#[derive(Clone)]
struct Shared(Arc<Mutex<Answers>>);

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Shared")
    }
}

impl Script for Shared {
    fn answer(&self, url: &Url) -> (Duration, reqwest::Response) {
        let mut answers = self.0.lock().unwrap();
        let base = format!("/sumdb/{}", answers.world.name());
        let (endpoint, base) = if url.host_str() == Some("one.invalid") { (0, "") } else { (1, base.as_str()) };
        let path = url.path().strip_prefix(base).unwrap().strip_prefix('/').unwrap();
        let found = answers.answer(endpoint, &DatabaseRequest::parse(path).unwrap());
        let status = if found.is_some() { 200 } else { 404 };
        let mut response = hyper::Response::new(found.unwrap_or_default());
        *response.status_mut() = hyper::StatusCode::from_u16(status).unwrap();
        let slow = answers.slow.filter(|(part, _)| url.path().contains(part));
        (slow.map_or(Duration::ZERO, |(_, time)| time), response.into())
    }
}

/// One data folder, one clock, and one database with two endpoints: its own, and a proxy.
struct Bench {
    folder: tempfile::TempDir,
    script: Shared,
    clock: Clock,
}

impl Bench {
    fn new() -> Self {
        let (absent, lies, moves, state, other, slow, asked) = (false, None, 0, None, None, None, Vec::new());
        let script = Answers { world: World::demo(), absent, lies, moves, state, other, slow, asked };
        let clock = Clock::seeded(SystemTime::UNIX_EPOCH + Duration::from_secs(1_780_000_000));
        Self { folder: tempfile::tempdir().unwrap(), script: Shared(Arc::new(Mutex::new(script))), clock }
    }

    /// A client as in a new process.
    fn client(&self) -> Client {
        self.client_of(self.database().with_fallbacks(&ProxyList::parse("http://two.invalid").unwrap()))
    }

    /// The database at its own address.
    fn database(&self) -> Database {
        Database::parse(&format!("{} http://one.invalid", self.script().world.key())).unwrap()
    }

    fn client_of(&self, database: Database) -> Client {
        let http = HttpClient::scripted(Arc::new(self.script.clone()));
        let store = Store::open(self.folder.path()).unwrap();
        Client::open(database, &store, &Anchor::None, &http, self.clock).unwrap()
    }

    fn script(&self) -> MutexGuard<'_, Answers> {
        self.script.0.lock().unwrap()
    }

    /// The stored tiles: names and bytes.
    fn tiles(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        let database = std::fs::read_dir(self.folder.path().join("sumdb")).unwrap().next().unwrap().unwrap();
        let tiles = std::fs::read_dir(database.path().join("tile")).unwrap().map(|entry| entry.unwrap().path());
        tiles.map(|path| (path.clone(), std::fs::read(path).unwrap())).collect()
    }

    /// The number of lookups since the last call.
    fn lookups(&self) -> usize {
        self.script().asked.drain(..).filter(|(_, asked)| asked.starts_with("lookup/")).count()
    }

    /// The age of a record, for a rule of one week.
    async fn age(&self, client: &Client, module: &ModuleVersion) -> Age {
        let record = client.lookup(module).await.unwrap();
        Databases::new(vec![client.clone()]).unwrap().age(&record, WEEK, self.clock.now().wall)
    }
}

fn hello() -> ModuleVersion {
    ModuleVersion::parse(HELLO).unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_record_becomes_older_as_time_passes() {
    let bench = Bench::new();
    let client = bench.client();
    assert_eq!(bench.age(&client, &hello()).await, Age::Unknown);
    advance(8 * DAY).await;
    assert_eq!(bench.age(&client, &hello()).await, Age::AtLeast(8 * DAY));
    // Also for a new process.
    assert_eq!(bench.age(&bench.client(), &hello()).await, Age::AtLeast(8 * DAY));
}

#[tokio::test(start_paused = true)]
async fn a_head_that_is_shown_again_makes_later_records_young() {
    for (shown_again, age) in [(true, Age::AtLeast(Duration::ZERO)), (false, Age::Unknown)] {
        let bench = Bench::new();
        let client = bench.client();
        client.refresh().await.unwrap();
        advance(10 * DAY).await;
        if shown_again {
            client.refresh().await.unwrap();
        }
        advance(8 * DAY).await;
        let new = bench.script().world.add_simple("example.com/new@v1.0.0", "", "package new\n");
        assert_eq!(bench.age(&client, &new).await, age);
    }
}

#[tokio::test(start_paused = true)]
async fn a_missing_record_is_remembered_for_five_seconds() {
    let bench = Bench::new();
    let client = bench.client();
    bench.script().absent = true;
    assert_eq!(client.lookup(&hello()).await.unwrap_err().fault(), Fault::Absent);
    bench.script().absent = false;
    advance(Duration::from_millis(4_900)).await;
    assert_eq!(client.lookup(&hello()).await.unwrap_err().fault(), Fault::Absent);
    assert_eq!(bench.lookups(), 1);
    advance(Duration::from_millis(100)).await;
    assert_eq!(*client.lookup(&hello()).await.unwrap().module(), hello());
    assert_eq!(bench.lookups(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_missing_record_that_is_forgotten_is_requested_again() {
    let bench = Bench::new();
    let client = bench.client();
    bench.script().absent = true;
    client.lookup(&hello()).await.unwrap_err();
    bench.script().absent = false;
    client.forget_no_record(&hello());
    client.lookup(&hello()).await.unwrap();
    // The proved record is remembered.
    client.lookup(&hello()).await.unwrap();
    assert_eq!(bench.lookups(), 2);
}

#[tokio::test(start_paused = true)]
async fn the_first_lookup_counts_after_a_restart() {
    let bench = Bench::new();
    assert_eq!(bench.client().first_asked(&hello()).await.unwrap().ago(), Duration::ZERO);
    advance(Duration::from_secs(3 * 3600)).await;
    assert_eq!(bench.client().first_asked(&hello()).await.unwrap().ago(), Duration::from_secs(3 * 3600));
}

#[tokio::test(start_paused = true)]
async fn a_head_that_moves_while_a_lookup_runs_is_compared_again() {
    for (moves, ends_well) in [(1, true), (200, false)] {
        let bench = Bench::new();
        let client = bench.client();
        client.refresh().await.unwrap();
        let before = client.trusted_size().unwrap();
        bench.script().world.pad(400);
        let state = Arc::clone(&client.state);
        (bench.script().moves, bench.script().state) = (moves, Some(state));
        match client.lookup(&hello()).await {
            Ok(_) => assert!(ends_well && client.trusted_size().unwrap().get() == before.get() + 400),
            Err(error) => assert!(!ends_well && matches!(*error, SumdbError::Contention(_)), "{error}"),
        }
        assert!(client.trusted_size() > Some(before), "it never goes backwards");
    }
}

#[tokio::test(start_paused = true)]
async fn an_endpoint_with_wrong_tiles_is_found_and_avoided() {
    let bench = Bench::new();
    let client = bench.client();
    bench.script().lies = Some(0);
    client.lookup(&hello()).await.unwrap();
    bench.script().asked.clear();
    let other = ModuleVersion::parse("example.com/dep/v2@v2.0.1").unwrap();
    client.lookup(&other).await.unwrap();
    assert!(bench.script().asked.iter().all(|(endpoint, _)| *endpoint == 1), "{:?}", bench.script().asked);
}

#[tokio::test(start_paused = true)]
async fn an_exchange_ends_in_time_whatever_is_silent() {
    const SILENT: Duration = Duration::from_secs(3600);
    for part in ["lookup/", "tile/"] {
        let bench = Bench::new();
        let client = bench.client();
        bench.script().slow = Some((part, SILENT));
        let start = bench.clock.steady();
        let error = client.lookup(&hello()).await.unwrap_err();
        assert_eq!((error.fault(), (bench.clock.steady() - start).as_secs()), (Fault::Timeout, 15), "{part}: {error}");
        assert!(error.is_lost());
        // The limit is for one exchange: the next one begins anew, though the requests of the first may go on for a while.
        bench.script().slow = None;
        client.lookup(&hello()).await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn an_exchange_does_not_wait_for_a_request_that_has_hung_for_long() {
    let bench = Bench::new();
    let client = bench.client();
    let other = bench.script().world.modules().find(|module| **module != hello()).unwrap().clone();
    bench.script().slow = Some(("tile/", Duration::from_secs(3600)));
    let second = async {
        tokio::time::sleep(Duration::from_secs(10)).await;
        bench.script().slow = None;
        let start = bench.clock.steady();
        let answer = client.lookup(&other).await;
        (answer.map(|_| ()), bench.clock.steady() - start)
    };
    let wanted = hello();
    let (first, second) = tokio::join!(client.lookup(&wanted), second);
    assert!(first.unwrap_err().is_lost());
    assert!(second.0.is_ok() && second.1 < Duration::from_secs(1), "{second:?}");
}

#[tokio::test(start_paused = true)]
async fn a_silent_database_is_not_waited_for_again_and_again() {
    let bench = Bench::new();
    let client = bench.client();
    bench.script().slow = Some(("", DAY));
    let ask = async |nth: usize| {
        let (start, module) = (bench.clock.steady(), format!("example.com/m{nth}@v1.0.0"));
        let error = client.lookup(&ModuleVersion::parse(&module).unwrap()).await.unwrap_err();
        assert_eq!(error.fault(), Fault::Timeout, "{error}");
        bench.clock.steady() - start
    };
    // The own address rests after three lookups, and the proxy, which is asked a second later, with it or after some more.
    let mut waited = Vec::new();
    for nth in 0..8 {
        waited.push(ask(nth).await.as_secs());
    }
    assert!(waited.iter().all(|waited| *waited <= 15) && waited.ends_with(&[0, 0]), "{waited:?}");
    // It is asked again, and found when it answers.
    bench.script().slow = None;
    tokio::time::sleep(Duration::from_secs(30)).await;
    client.lookup(&hello()).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_database_that_answers_others_does_not_rest_because_of_one_lookup() {
    let bench = Bench::new();
    let client = bench.client_of(bench.database());
    bench.script().slow = Some(("/m", DAY));
    let silent: Vec<_> =
        (0..6).map(|nth| ModuleVersion::parse(&format!("example.com/m{nth}@v1.0.0")).unwrap()).collect();
    let answered = async {
        tokio::time::sleep(Duration::from_secs(10)).await;
        client.refresh().await
    };
    let (failed, answered) = tokio::join!(join_all(silent.iter().map(|module| client.lookup(module))), answered);
    assert!(failed.iter().all(|lookup| lookup.as_ref().is_err_and(|error| error.fault() == Fault::Timeout)));
    answered.unwrap();
    client.lookup(&hello()).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_batch_may_take_long_but_ends_when_nothing_arrives() {
    let answered = AtomicUsize::new(0);
    let modules: Vec<ModuleVersion> = Bench::new().script().world.modules().cloned().collect();
    // One request at a time: each answer is progress.
    for (part, each, ends_well) in [("lookup/", 9, true), ("lookup/", 14, false), ("tile/", 3600, false)] {
        let bench = Bench::new();
        let client = bench.client();
        bench.script().slow = Some((part, Duration::from_secs(each)));
        let start = bench.clock.steady();
        let answers = client.lookup_all(&modules, 1, &answered).await;
        let took = (bench.clock.steady() - start).as_secs();
        assert_eq!(answers.len(), modules.len());
        if ends_well {
            assert!(answers.iter().all(Result::is_ok) && took > 15, "{took}");
        } else {
            assert!(answers.iter().all(|answer| answer.as_ref().is_err_and(|error| error.is_lost())), "{answers:?}");
            // Ten seconds after the proxy, which is asked after one second, said that it passes the database on.
            assert!((10..=11).contains(&took), "{part}: {took}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_wait_is_told_after_its_limit_and_once() {
    let bench = Bench::new();
    let client = bench.client();
    bench.script().slow = Some(("lookup/", Duration::from_secs(8)));
    let mut waiting = Databases::new(vec![client.clone()]).unwrap().waiting();
    let (limit, name) = (Duration::from_secs(2), bench.script().world.name().to_owned());
    let watch = async {
        let mut told = Vec::new();
        for tenth in 0..150 {
            told.extend(waiting.longer_than(limit).into_iter().map(|database| (tenth, database)));
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        told
    };
    let wanted = hello();
    let (answer, told) = tokio::join!(client.lookup(&wanted), watch);
    answer.unwrap();
    let addresses = format!("{name} (http://one.invalid, http://two.invalid/sumdb/{name})");
    // The proxy answers after one second that it passes the database on.
    assert!(told.len() == 1 && (29..=32).contains(&told[0].0) && told[0].1 == addresses, "{told:?}");
}
