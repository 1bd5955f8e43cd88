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

mod access;
mod disabled;

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

/// Servers: each URL has the same answer until the test changes it; without one it is 404.
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

/// Of sources joined by `|`, metadata comes from the first valid answer; the name of an exempt module goes to one at a time.
#[tokio::test(start_paused = true)]
async fn the_earlier_answer_to_a_small_request_wins() {
    for (first, second, from) in [(MS(900), MS(2000), FIRST), (MS(20_000), MS(30), SECOND)] {
        let (servers, mut pool) = two();
        pool.hedged = true;
        servers.set(&a(LIST), Reply { after: first, ..status(200) });
        servers.set(&format!("https://b.example{LIST}"), Reply { after: second, ..status(200) });
        let answer = pool.small(&request(LIST), Ok::<_, String>).await.unwrap();
        assert_eq!((answer.source, servers.times()), (from, 2));
        pool.hedged = false;
        let answer = pool.small(&request(LIST), Ok::<_, String>).await.unwrap();
        assert_eq!((answer.source, servers.times()), (FIRST, 1));
    }
}

/// A list that has no answer, or whose body does not arrive.
fn silent() -> Reply {
    Reply { after: Duration::from_secs(3600), ..status(200) }
}

#[tokio::test(start_paused = true)]
async fn a_silent_source_is_asked_in_one_round() {
    let (servers, pool) = one();
    servers.set(&a(LIST), silent());
    assert!(ask(&pool, LIST).await.is_err());
    assert_eq!(servers.times(), 1);
}
