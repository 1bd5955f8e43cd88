//! Sources that fail and recover, with simulated time.

#![expect(clippy::disallowed_methods, clippy::unwrap_used, reason = "a test may touch the world, and panic")]

use std::collections::HashMap;
use std::time::SystemTime;

use hyper::header::RETRY_AFTER;
use tokio::time::{Instant, advance};
use url::Url;

use super::*;
use crate::upstream::config::Source;
use crate::upstream::error::SourceFailure;
use crate::upstream::http::Script;
use crate::upstream::scope::Scope;

const LIST: &str = "/example.com/a/@v/list";
const FIRST: UpstreamId = UpstreamId(0);
const SECOND: UpstreamId = UpstreamId(1);
const MS: fn(u64) -> Duration = Duration::from_millis;

/// A server's answer to a request.
#[derive(Clone, Copy, Debug, Default)]
struct Reply {
    status: u16,
    after: Duration,
    retry_after: Option<u64>,
    /// From the head to the body.
    body_after: Duration,
    /// Another server sends it, after a redirect.
    elsewhere: bool,
    body: Option<&'static str>,
}

fn status(status: u16) -> Reply {
    Reply { status, ..Reply::default() }
}

/// Servers: each url has the same answer until the test changes it; without one it is 404.
#[derive(Debug, Default)]
struct Servers {
    replies: Mutex<HashMap<String, Reply>>,
    asked: Mutex<Vec<(Instant, String)>>,
}

impl Script for Servers {
    fn answer(&self, url: &Url) -> (Duration, reqwest::Response) {
        self.asked.lock().unwrap().push((Instant::now(), url.to_string()));
        let reply = self.replies.lock().unwrap().get(url.as_str()).copied().unwrap_or(status(404));
        let body = async move {
            tokio::time::sleep(reply.body_after).await;
            Ok::<_, std::io::Error>(reply.body.unwrap_or("v1.0.0\n"))
        };
        let mut response = hyper::Response::new(reqwest::Body::wrap_stream(futures_util::stream::once(body)));
        *response.status_mut() = hyper::StatusCode::from_u16(reply.status).unwrap();
        response.headers_mut().extend(reply.retry_after.map(|seconds| (RETRY_AFTER, seconds.into())));
        (reply.after, response.into())
    }

    fn is_elsewhere(&self, url: &Url) -> bool {
        self.replies.lock().unwrap().get(url.as_str()).is_some_and(|reply| reply.elsewhere)
    }
}

impl Servers {
    /// The number of requests for urls that start so, since the last call of `asked`.
    fn asked_below(&self, start: &str) -> usize {
        self.asked.lock().unwrap().iter().filter(|(_, url)| url.starts_with(start)).count()
    }

    fn set(&self, url: &str, reply: Reply) {
        self.replies.lock().unwrap().insert(url.to_owned(), reply);
    }

    /// The times of the requests since the last call.
    fn asked(&self) -> Vec<Instant> {
        std::mem::take(&mut *self.asked.lock().unwrap()).into_iter().map(|(when, _)| when).collect()
    }

    /// The number of requests since the last call.
    fn times(&self) -> usize {
        self.asked().len()
    }
}

fn pool(configs: &[UpstreamConfig]) -> (Arc<Servers>, UpstreamPool) {
    let servers = Arc::new(Servers::default());
    let (http, clock) = (HttpClient::scripted(servers.clone()), Clock::seeded(SystemTime::UNIX_EPOCH));
    let pool = UpstreamPool::new(configs, &http, Ttls::default(), clock).unwrap();
    (servers, pool)
}

/// `https://a.example` and `https://b.example`, joined by `|`.
fn two() -> (Arc<Servers>, UpstreamPool) {
    let config = |url| UpstreamConfig::plain(Source::parse(url).unwrap(), true);
    pool(&[config("https://a.example"), config("https://b.example")])
}

fn one() -> (Arc<Servers>, UpstreamPool) {
    pool(&[UpstreamConfig::plain(Source::parse("https://a.example").unwrap(), false)])
}

fn request(path: &str) -> Request {
    Request::parse(&path[1..]).unwrap()
}

fn a(path: &str) -> String {
    format!("https://a.example{path}")
}

/// Asks the first source once. `Err` is how long its breaker is open, if it was not asked.
async fn first(pool: &UpstreamPool) -> Result<bool, Duration> {
    match pool.small_from(FIRST, &(&request(LIST)).into()).await {
        Ok(_) => Ok(true),
        Err(UpstreamError::Source(_, SourceFailure::CircuitOpen { open_for, .. })) => Err(open_for),
        Err(_) => Ok(false),
    }
}

/// Asks all for a small answer, in rounds.
async fn ask(pool: &UpstreamPool, path: &str) -> Result<(), UpstreamError> {
    pool.small(&request(path), Ok::<_, String>).await.map(|_| ())
}

#[tokio::test(start_paused = true)]
async fn after_three_failures_a_source_is_disabled_then_one_request_decides() {
    let (servers, pool) = one();
    servers.set(&a(LIST), status(429));
    for _ in 0..3 {
        assert_eq!(first(&pool).await, Ok(false));
    }
    assert_eq!((first(&pool).await, servers.times()), (Err(MS(500)), 3));
    advance(MS(500)).await;
    servers.set(&a(LIST), Reply { after: MS(40), ..status(200) });
    let asked = tokio::join!(first(&pool), first(&pool));
    assert_eq!(
        (asked, servers.times()),
        ((Ok(true), Err(MS(500))), 1),
        "one request is sent, the other one does not wait"
    );
    let asked = tokio::join!(first(&pool), first(&pool));
    assert_eq!((asked, servers.times()), ((Ok(true), Ok(true)), 2), "its answer was valid");
}

/// A zip may take minutes.
#[tokio::test(start_paused = true)]
async fn a_source_is_back_when_the_head_of_an_answer_has_arrived() {
    const ZIP: &str = "/example.com/a/@v/v1.0.0.zip";
    let (servers, pool) = one();
    servers.set(&a(LIST), status(429));
    for _ in 0..3 {
        assert_eq!(first(&pool).await, Ok(false));
    }
    advance(MS(500)).await;
    servers.set(&a(LIST), status(200));
    servers.set(&a(ZIP), Reply { body_after: Duration::from_secs(20), ..status(200) });
    let download = async {
        let (sink, mut parts) = DownloadSink::new(None);
        let request = request(ZIP);
        let progress = Progress::new(pool.clock);
        tokio::join!(pool.download(FIRST, &request, &sink, &progress), async { while parts.recv().await.is_some() {} })
            .0
    };
    let other = async {
        tokio::time::sleep(MS(10)).await;
        (first(&pool).await, servers.times())
    };
    let result = tokio::select! {
        downloaded = download => panic!("{downloaded:?}"),
        other = other => other,
    };
    assert_eq!(result, (Ok(true), 5));
}

#[tokio::test(start_paused = true)]
async fn a_probe_without_an_answer_makes_room_for_another() {
    let (servers, pool) = one();
    servers.set(&a(LIST), status(429));
    for _ in 0..3 {
        assert_eq!(first(&pool).await, Ok(false));
    }
    advance(MS(500)).await;
    servers.set(&a(LIST), status(200));
    let slow = "/example.com/slow/@v/list";
    servers.set(&a(slow), Reply { after: Duration::from_secs(50), ..status(200) });
    let other = async {
        tokio::time::sleep(MS(1990)).await;
        let before = first(&pool).await;
        tokio::time::sleep(MS(20)).await;
        (before, first(&pool).await)
    };
    let slow = Wanted::from(&request(slow));
    let (slow, other) = tokio::join!(pool.small_from(FIRST, &slow), other);
    assert_eq!((slow.is_ok(), other), (true, (Err(MS(500)), Ok(true))));
}

#[tokio::test(start_paused = true)]
async fn requests_under_way_when_a_source_goes_down_disable_it_once() {
    let (servers, pool) = one();
    servers.set(&a(LIST), Reply { after: MS(40), ..status(429) });
    let failed = futures_util::future::join_all((0..20).map(|_| first(&pool))).await;
    assert!(failed.iter().all(|answer| *answer == Ok(false)), "{failed:?}");
    assert_eq!((first(&pool).await, servers.times()), (Err(MS(500)), 20));
    advance(MS(500)).await;
    servers.set(&a(LIST), status(200));
    assert_eq!(first(&pool).await, Ok(true), "it is found when it works again");
}

/// The probe of a path may fail with the whole server.
#[tokio::test(start_paused = true)]
async fn a_failing_path_is_asked_for_again_after_trouble_of_the_server() {
    let (servers, pool) = one();
    servers.set(&a(LIST), status(500));
    assert!(ask(&pool, LIST).await.is_err());
    advance(Duration::from_secs(10)).await;
    servers.set(&a(LIST), status(429));
    assert_eq!(first(&pool).await, Ok(false));
    servers.set(&a(LIST), status(200));
    assert_eq!(first(&pool).await, Ok(true));
}

/// Public proxies answer 500 for what they cannot clone.
#[tokio::test(start_paused = true)]
async fn a_failure_for_one_path_does_not_keep_other_paths_from_being_asked() {
    let (servers, pool) = one();
    let paths: Vec<String> = (0..12).map(|nth| format!("/example.com/m{nth}/@v/list")).collect();
    for path in &paths {
        servers.set(&a(path), status(500));
    }
    servers.set(&a(LIST), status(200));
    for path in &paths {
        let failed = ask(&pool, path).await.unwrap_err();
        assert!(failed.to_string().contains("500"), "{failed}");
    }
    servers.times();
    assert_eq!((first(&pool).await, servers.times()), (Ok(true), 1));
    let again = ask(&pool, &paths[0]).await.unwrap_err();
    assert!(servers.times() <= 3, "it is asked for the failed path no more than in rounds: {again}");
}

#[tokio::test(start_paused = true)]
async fn after_a_cancelled_probe_another_request_is_the_probe() {
    let (servers, pool) = one();
    servers.set(&a(LIST), status(500));
    for _ in 0..3 {
        assert_eq!(first(&pool).await, Ok(false));
    }
    advance(MS(500)).await;
    servers.set(&a(LIST), Reply { after: MS(40), ..status(200) });
    assert!(tokio::time::timeout(MS(10), first(&pool)).await.is_err());
    assert_eq!(first(&pool).await, Ok(true));
}

#[tokio::test(start_paused = true)]
async fn retry_after_is_obeyed_up_to_a_bound() {
    for (seconds, obeyed) in [(7, 7), (24 * 3600, 300)] {
        let (servers, pool) = one();
        servers.set(&a(LIST), Reply { retry_after: Some(seconds), ..status(429) });
        assert_eq!(first(&pool).await, Ok(false));
        assert_eq!(first(&pool).await, Err(Duration::from_secs(obeyed)));
        servers.set(&a(LIST), status(200));
        advance(Duration::from_secs(obeyed).saturating_sub(MS(1))).await;
        assert_eq!((first(&pool).await, servers.times()), (Err(MS(1)), 1));
        advance(MS(1)).await;
        assert_eq!((first(&pool).await, servers.times()), (Ok(true), 1));
    }
}

#[tokio::test(start_paused = true)]
async fn the_next_round_follows_retry_after_unless_it_is_too_long() {
    for (seconds, rounds) in [(3, 3), (11, 1)] {
        let (servers, pool) = one();
        servers.set(&a(LIST), Reply { retry_after: Some(seconds), ..status(503) });
        assert!(matches!(ask(&pool, LIST).await, Err(UpstreamError::Failed(_))));
        let asked = servers.asked();
        assert_eq!(asked.len(), rounds, "Retry-After: {seconds}");
        assert!(asked.windows(2).all(|two| (MS(3025)..MS(3101)).contains(&(two[1] - two[0]))), "{asked:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_pauses_between_rounds_are_jittered_and_replay() {
    let run = async || {
        let (servers, pool) = one();
        servers.set(&a(LIST), status(503));
        assert!(ask(&pool, LIST).await.is_err());
        let asked = servers.asked();
        [asked[1] - asked[0], asked[2] - asked[1]]
    };
    let [first, second] = run().await;
    assert!((MS(100)..=MS(201)).contains(&first) && (MS(200)..=MS(401)).contains(&second), "{first:?} {second:?}");
    // A timer of tokio may be a millisecond late.
    assert!(second.abs_diff(first * 2) > MS(3), "{first:?} {second:?}");
    assert_eq!([first, second], run().await);
}

#[tokio::test(start_paused = true)]
async fn a_404_is_cached_for_its_ttl_and_a_refusal_is_not() {
    let (servers, pool) = one();
    for _ in 0..3 {
        assert!(matches!(ask(&pool, LIST).await, Err(UpstreamError::Nowhere(_))));
    }
    assert_eq!(servers.times(), 1);
    advance(Ttls::default().absent.saturating_sub(MS(1))).await;
    assert_eq!((ask(&pool, LIST).await.is_err(), servers.times()), (true, 0));
    advance(MS(1)).await;
    assert_eq!((ask(&pool, LIST).await.is_err(), servers.times()), (true, 1));

    let other = "/example.com/b/@v/list";
    servers.set(&a(other), status(403));
    assert!(matches!(ask(&pool, other).await, Err(UpstreamError::Source(_, SourceFailure::Refused(..)))));
    servers.set(&a(other), status(200));
    assert!(ask(&pool, other).await.is_ok(), "a refusal is not cached");
}

#[tokio::test(start_paused = true)]
async fn for_an_hour_other_sources_come_first_for_a_wrong_file() {
    let (_, pool) = two();
    let [file, other] =
        ["/example.com/a/@v/v1.0.0.zip", "/example.com/b/@v/v1.0.0.zip"].map(|path| Wanted::from(&request(path)));
    pool.had_wrong(FIRST, &file);
    assert_eq!(pool.stages(&file), [[SECOND], [FIRST]]);
    assert_eq!(pool.stages(&other), [[SECOND, FIRST]], "for its other files it ranks last within its stage");
    advance(Duration::from_secs(3600).saturating_sub(MS(1))).await;
    assert_eq!((pool.stages(&file), pool.distrusts(FIRST)), (vec![vec![SECOND], vec![FIRST]], false));
    advance(MS(1)).await;
    assert_eq!(pool.stages(&file), [[FIRST, SECOND]]);
}

#[tokio::test(start_paused = true)]
async fn the_second_source_is_asked_when_the_first_is_too_slow() {
    let (servers, pool) = two();
    let file = Wanted::from(&request("/example.com/a/@v/v1.0.0.info"));
    for (url, after) in [("https://a.example", MS(10_000)), ("https://b.example", MS(30))] {
        servers.set(&format!("{url}/{file}"), Reply { after, ..status(200) });
    }
    let attempt = |id, _| pool.small_from(id, &file);
    let won = pool.race(pool.stages(&file), Duration::ZERO, |_, _| false, attempt).await;
    assert_eq!(won.unwrap().0, SECOND);
    let asked = servers.asked();
    let usual = pool.at(FIRST).health(|health, _| health.hedge_after(asked[0], 0));
    // A timer of tokio may be a millisecond late.
    assert!((usual..=usual + MS(1)).contains(&(asked[1] - asked[0])), "{asked:?}, not {usual:?}");
}

#[tokio::test(start_paused = true)]
async fn a_login_counts_as_accepted_for_ten_minutes() {
    let config = UpstreamConfig {
        scope: Scope::Private(gomodule::module::Patterns::parse("corp.example/*").unwrap()),
        ..UpstreamConfig::plain(Source::parse("https://user:word@a.example").unwrap(), false)
    };
    let (servers, pool) = pool(&[config]);
    let [list, absent, later] =
        ["/corp.example/a/@v/list", "/corp.example/a/@v/v1.0.0.info", "/corp.example/a/@v/v1.1.0.info"];
    assert!(
        matches!(ask(&pool, absent).await, Err(UpstreamError::Source(_, SourceFailure::Hidden(_)))),
        "the login was never accepted"
    );
    servers.set(&a(list), status(200));
    assert!(ask(&pool, list).await.is_ok());
    servers.set(&a(list), status(404));
    advance(Duration::from_secs(10 * 60)).await;
    assert!(matches!(ask(&pool, absent).await, Err(UpstreamError::Nowhere(_))));
    advance(MS(1)).await;
    assert!(matches!(ask(&pool, later).await, Err(UpstreamError::Source(_, SourceFailure::Hidden(_)))));
    servers.set(&a(list), status(200));
    advance(Duration::from_secs(5)).await;
    assert!(matches!(ask(&pool, later).await, Err(UpstreamError::Nowhere(_))), "it serves a list for this login");
}

#[tokio::test(start_paused = true)]
async fn an_answer_to_an_earlier_request_does_not_end_a_pause() {
    let (servers, pool) = one();
    let slow = "/example.com/slow/@v/list";
    servers.set(&a(slow), Reply { after: MS(1000), ..status(200) });
    let paused = async {
        tokio::time::sleep(MS(100)).await;
        servers.set(&a(LIST), Reply { retry_after: Some(7), ..status(429) });
        first(&pool).await
    };
    let slow = Wanted::from(&request(slow));
    let (slow, paused) = tokio::join!(pool.small_from(FIRST, &slow), paused);
    assert_eq!((slow.is_ok(), paused), (true, Ok(false)));
    assert!(first(&pool).await.is_err_and(|left| left > Duration::from_secs(6)), "it asked for seven seconds");
}

/// A list that has no answer, or whose body does not arrive.
fn silent() -> Reply {
    Reply { after: Duration::from_secs(3600), ..status(200) }
}

#[tokio::test(start_paused = true)]
async fn silence_for_one_module_does_not_keep_others_from_being_asked() {
    let (servers, pool) = one();
    let ask_often = async |path: &str, reply| {
        servers.set(&a(path), reply);
        let wanted = Wanted::from(&request(path));
        for _ in 0..5 {
            assert!(pool.small_from(FIRST, &wanted).await.is_err());
        }
    };
    servers.set(&a(LIST), status(200));
    for path in ["/example.com/m/x/@v/list", "/example.com/m/@latest", "/example.com/m/x/@v/v1.0.0.info"] {
        ask_often(path, silent()).await;
    }
    assert_eq!(first(&pool).await, Ok(true));
    // The head of an answer shows that the source works.
    for nth in 0..5 {
        let stalls = Reply { body_after: Duration::from_secs(3600), ..status(200) };
        ask_often(&format!("/example.com/stalls{nth}/@v/list"), stalls).await;
    }
    assert_eq!(first(&pool).await, Ok(true));
    ask_often("/example.com/m/@v/list", silent()).await;
    ask_often("/example.com/n/@v/list", silent()).await;
    assert!(first(&pool).await.is_err(), "two modules, and no success");
}

#[tokio::test(start_paused = true)]
async fn a_silent_source_is_asked_in_one_round() {
    let (servers, pool) = one();
    servers.set(&a(LIST), silent());
    assert!(ask(&pool, LIST).await.is_err());
    assert_eq!(servers.times(), 1);
}

/// Who is slower than another source may still be the only one that has the next file.
#[tokio::test(start_paused = true)]
async fn a_source_that_is_overtaken_is_not_disabled() {
    const B: &str = "https://b.example";
    let slow_head = Reply { after: MS(1500), ..status(200) };
    let slow_body = Reply { after: MS(10), body_after: MS(1500), ..status(200) };
    for (reply, waits_for_slot, ranks_lower) in
        [(slow_head, false, true), (slow_body, false, false), (status(200), true, false)]
    {
        let (servers, pool) = two();
        let pool = UpstreamPool { hedged: true, ..pool };
        let rank = |id| pool.at(id).health(|health, now| health.rank(now, 1.0));
        let before = rank(FIRST);
        let _slots = if waits_for_slot { pool.at(FIRST).take_all_slots().await } else { Vec::new() };
        for nth in 0..6 {
            let path = format!("/example.com/m{nth}/@v/list");
            servers.set(&a(&path), reply);
            servers.set(&format!("{B}{path}"), status(200));
            let won = pool.small(&request(&path), Ok::<_, String>).await.unwrap();
            assert_eq!(won.source, SECOND);
        }
        let is_open = pool.at(FIRST).health(|health, now| health.breaker.is_open(now));
        assert_eq!((is_open, rank(FIRST) > before), (false, ranks_lower), "{reply:?}");
    }
}

/// `https://user:word@a.example` for `corp.example/*`.
fn private() -> (Arc<Servers>, UpstreamPool) {
    let config = UpstreamConfig {
        scope: Scope::Private(gomodule::module::Patterns::parse("corp.example/*").unwrap()),
        ..UpstreamConfig::plain(Source::parse("https://user:word@a.example").unwrap(), false)
    };
    pool(&[config])
}

fn is_hidden<T>(answer: &Result<T, UpstreamError>) -> bool {
    matches!(answer, Err(UpstreamError::Source(_, SourceFailure::Hidden(_))))
}

#[tokio::test(start_paused = true)]
async fn lists_that_may_show_an_accepted_login_are_asked_for_once() {
    let (servers, pool) = private();
    let paths: Vec<_> = (0..20).map(|nth| format!("/corp.example/a/b/@v/v1.0.{nth}.info")).collect();
    let answers = futures_util::future::join_all(paths.iter().map(|path| ask(&pool, path))).await;
    assert!(answers.iter().all(is_hidden), "{answers:?}");
    assert_eq!(servers.asked_below(&a("/corp.example/a/b/@v/list")), 1);
    assert_eq!(servers.asked_below(&a("/corp.example/a/@v/list")), 1);
    // Later they are asked for again.
    advance(Duration::from_secs(60)).await;
    servers.set(&a("/corp.example/a/@v/list"), status(200));
    assert!(matches!(ask(&pool, &paths[0]).await, Err(UpstreamError::Nowhere(_))));
}

#[tokio::test(start_paused = true)]
async fn a_source_that_fails_for_one_list_is_not_asked_for_more() {
    let (servers, pool) = private();
    servers.set(&a("/corp.example/a/b/@v/list"), Reply { after: Duration::from_secs(5), ..status(500) });
    assert!(is_hidden(&ask(&pool, "/corp.example/a/b/@v/v1.0.0.info").await));
    assert_eq!(servers.times(), 2, "the file, and the first list");
    // A list that hangs.
    let (servers, pool) = private();
    servers.set(&a("/corp.example/a/b/@v/list"), silent());
    let start = Instant::now();
    assert!(is_hidden(&ask(&pool, "/corp.example/a/b/@v/v1.0.0.info").await));
    assert_eq!(servers.times(), 2);
    assert!(start.elapsed() < Duration::from_secs(20), "{:?}", start.elapsed());
}

#[tokio::test(start_paused = true)]
async fn lists_are_asked_for_within_the_limits_of_the_source() {
    let (servers, pool) = private();
    let held = async {
        tokio::time::sleep(MS(1)).await;
        let slots = pool.at(FIRST).take_all_slots().await;
        tokio::time::sleep(MS(500)).await;
        drop(slots);
    };
    let info = "/corp.example/a/@v/v1.0.0.info";
    servers.set(&a(info), Reply { after: MS(100), ..status(404) });
    let start = Instant::now();
    let (_, answer) = tokio::join!(held, ask(&pool, info));
    assert!(is_hidden(&answer));
    let asked = servers.asked();
    assert!(asked[1] - start >= MS(500), "{asked:?}");
}

#[tokio::test(start_paused = true)]
async fn an_answer_of_another_server_does_not_show_an_accepted_login() {
    const INFO: &str = "/corp.example/a/@v/v1.0.0.info";
    for elsewhere in [true, false] {
        let (servers, pool) = private();
        servers.set(&a("/corp.example/a/@v/list"), Reply { elsewhere, ..status(200) });
        assert_eq!(is_hidden(&ask(&pool, INFO).await), elsewhere);
        let (servers, pool) = private();
        servers.set(&a("/corp.example/a/@v/list"), Reply { elsewhere, ..status(200) });
        assert!(ask(&pool, "/corp.example/a/@v/list").await.is_ok());
        servers.set(&a("/corp.example/a/@v/list"), status(404));
        assert_eq!(is_hidden(&ask(&pool, INFO).await), elsewhere, "nor one to a client");
    }
    for body in ["<html>\nv1.0.0\n</html>\n", "\u{feff}<html>\nv1.0.0\n", " \n<pre>\nv1.0.0\n"] {
        let (servers, pool) = private();
        servers.set(&a("/corp.example/a/@v/list"), Reply { body: Some(body), ..status(200) });
        assert!(is_hidden(&ask(&pool, INFO).await), "{body}");
    }
}
