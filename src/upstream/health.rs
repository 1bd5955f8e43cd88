//! The health of a source: its usual latency, its circuit breaker, and its rank among the others.
//!
//! Pure: the time is an argument. The latency is smoothed as TCP smooths its round trips (RFC 6298), with a mean and a mean
//! deviation; after the mean and four deviations another source is asked too. Measurements fade, so that a source that was
//! slow once is tried again.
//!
//! The breaker of a source opens if there is no connection, if it asks for a pause, if it is silent for several modules, and if
//! it fails for many modules, without one success. A complete answer such as 500 belongs to its path alone: proxies answer so
//! for what they cannot clone. So does silence after the head of an answer, and a path that hangs while others have answers.

use std::collections::BTreeSet;
use std::time::Duration;

use tokio::time::Instant;

use super::breaker::Breaker;

/// Seconds to the first byte, before any measurement: a public proxy on the same continent.
const PRIOR_FIRST_BYTE: f64 = 0.06;
/// Its bytes per second: 16 Mbit/s.
const PRIOR_RATE: f64 = 2_097_152.0;
/// The weight of a measurement halves in so many seconds.
const HALF_LIFE: f64 = 60.0;
/// How long a source that sent wrong bytes ranks last: long enough for the operator to see it in the event log.
const DISTRUST: Duration = Duration::from_secs(10 * 60);
/// Limits of the time to a first byte before the hedge, in seconds: less is noise of the network, more is too slow for a user.
const HEDGE_AFTER: (f64, f64) = (0.05, 2.0);
/// How many times slower than usual a body may be before another source is asked too.
const SLOWER: f64 = 4.0;

/// Modules with a failure and no success in between, after which each further failure counts for the whole source: more than
/// one build has that a public proxy cannot clone.
const MANY_MODULES: usize = 32;
/// Modules without any answer, and no answer in between, from which on silence counts for the whole source: one may hang alone.
const SEVERAL_MODULES: usize = 2;

/// Each time that another source was faster doubles the expected time, so often at most: from the assumed time to that of the
/// longest hedge.
const MAX_OVERTAKEN: u32 = 5;
/// How long that counts, so that the source is tried again.
const OVERTAKEN_FOR: Duration = Duration::from_secs(60);

#[derive(Debug, Default)]
pub(super) struct Health {
    measured: Option<Latency>,
    pub(super) breaker: Breaker,
    /// At most `MANY_MODULES`.
    failed_modules: BTreeSet<String>,
    /// At most `SEVERAL_MODULES`.
    silent_modules: Vec<String>,
    distrusted_until: Option<Instant>,
    /// How often another source was faster since the last answer, and when that was.
    overtaken: Option<(u32, Instant)>,
    /// When it last sent a valid answer to a request with the configured login.
    pub(super) login_accepted: Option<Instant>,
}

#[derive(Clone, Copy, Debug)]
struct Latency {
    /// Seconds to the first byte: mean, and mean deviation.
    first_byte: f64,
    deviation: f64,
    /// Bytes per second, from the first byte on.
    rate: f64,
    at: Instant,
}

impl Health {
    /// A request has the whole answer: the first byte came after `first_byte`, then `bytes` within `body`.
    pub(super) fn answered(&mut self, now: Instant, first_byte: Duration, bytes: u64, body: Duration) {
        self.overtaken = None;
        let usual = self.usual(now);
        let first = first_byte.as_secs_f64();
        // RFC 6298 section 2: a quarter of the new deviation, an eighth of the new mean; the first sample counts whole.
        let (mean, deviation) = match self.measured {
            Some(_) => (
                usual.first_byte + (first - usual.first_byte) / 8.0,
                usual.deviation + ((first - usual.first_byte).abs() - usual.deviation) / 4.0,
            ),
            None => (first, first / 2.0),
        };
        // A small body arrives with the first byte, so it does not show the rate.
        let measured = float(bytes) / body.as_secs_f64().max(0.001);
        let rate = if bytes < 256 << 10 { usual.rate } else { usual.rate + (measured - usual.rate) / 4.0 };
        self.measured = Some(Latency { first_byte: mean, deviation, rate, at: now });
    }

    /// A request that `started` then has an answer, or the head of one.
    pub(super) fn reached(&mut self, started: Instant) {
        self.breaker.close(started);
        self.failed_modules.clear();
        self.silent_modules.clear();
    }

    /// It answered with a failure for one path of this module: the connection works.
    pub(super) fn failed_for(&mut self, started: Instant, now: Instant, module: &str, why: String) {
        self.silent_modules.clear();
        if self.failed_modules.len() < MANY_MODULES {
            self.failed_modules.insert(module.to_owned());
            self.breaker.close(started);
        } else {
            self.breaker.failed(started, now, why, None);
        }
    }

    /// There was no answer for a path of this module: it came too late, or the connection was cut.
    pub(super) fn silent_for(&mut self, started: Instant, now: Instant, module: &str, why: String) {
        let is_related = |known: &String| is_prefix(known, module) || is_prefix(module, known);
        match self.silent_modules.iter().position(is_related) {
            Some(at) if self.silent_modules[at].len() < module.len() => module.clone_into(&mut self.silent_modules[at]),
            None if self.silent_modules.len() < SEVERAL_MODULES => self.silent_modules.push(module.to_owned()),
            _ => {}
        }
        if self.silent_modules.len() < SEVERAL_MODULES {
            self.breaker.probe_cancelled();
        } else {
            self.breaker.failed(started, now, why, None);
        }
    }

    pub(super) fn is_distrusted(&self, now: Instant) -> bool {
        self.distrusted_until.is_some_and(|until| now < until)
    }

    pub(super) fn distrust(&mut self, now: Instant) {
        self.distrusted_until = Some(now + DISTRUST);
    }

    /// It had no answer yet when another source had one. It may still be the only source that has the next file, so it ranks
    /// lower, and its breaker does not open.
    pub(super) fn overtaken(&mut self, now: Instant) {
        self.overtaken = Some((self.times_overtaken(now) + 1, now));
    }

    fn times_overtaken(&self, now: Instant) -> u32 {
        let lately = self.overtaken.filter(|(_, then)| now.saturating_duration_since(*then) < OVERTAKEN_FOR);
        lately.map_or(0, |(times, _)| times.min(MAX_OVERTAKEN))
    }

    /// Its rank; the smallest is asked first. Distrusted sources are last, then those with an open breaker, then the slower ones.
    pub(super) fn rank(&self, now: Instant, weight: f64) -> (bool, bool, Duration) {
        let distrusted = self.is_distrusted(now);
        let open = self.breaker.is_open(now);
        let usual = self.usual(now);
        // Failures lower the rank before the breaker opens.
        let slower = (1 + self.breaker.failures()) << self.times_overtaken(now);
        let expected = usual.first_byte * f64::from(slower) / weight;
        (distrusted, open, Duration::from_secs_f64(expected))
    }

    /// The measured time to the first byte, if there was an answer.
    pub(super) fn first_byte(&self) -> Option<Duration> {
        self.measured.map(|measured| Duration::from_secs_f64(measured.first_byte.max(0.0)))
    }

    /// How long `bytes` may take before the next source is asked too.
    pub(super) fn hedge_after(&self, now: Instant, bytes: u64) -> Duration {
        let usual = self.usual(now);
        let first_byte = (usual.first_byte + 4.0 * usual.deviation).clamp(HEDGE_AFTER.0, HEDGE_AFTER.1);
        Duration::from_secs_f64(first_byte + float(bytes) * SLOWER / usual.rate)
    }

    /// The measured latency, faded towards the assumed one.
    fn usual(&self, now: Instant) -> Latency {
        let prior =
            Latency { first_byte: PRIOR_FIRST_BYTE, deviation: PRIOR_FIRST_BYTE / 2.0, rate: PRIOR_RATE, at: now };
        let Some(measured) = self.measured else { return prior };
        let kept = 0.5_f64.powf(now.saturating_duration_since(measured.at).as_secs_f64() / HALF_LIFE);
        let fade = |measured: f64, prior: f64| prior + (measured - prior) * kept;
        Latency {
            first_byte: fade(measured.first_byte, prior.first_byte),
            deviation: fade(measured.deviation, prior.deviation),
            rate: fade(measured.rate, prior.rate).max(1.0),
            at: now,
        }
    }
}

/// `go get` asks for each prefix of a path, so they may hang together.
fn is_prefix(prefix: &str, path: &str) -> bool {
    path.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

#[expect(clippy::cast_precision_loss, reason = "bounded by the largest module zip, 500 MiB")]
fn float(bytes: u64) -> f64 {
    bytes as f64
}

#[cfg(test)]
mod tests {
    #![expect(clippy::disallowed_methods, reason = "a moment to count from")]

    use super::*;

    const MS: fn(u64) -> Duration = Duration::from_millis;

    fn measured(now: Instant, first_byte: Duration) -> Health {
        let mut health = Health::default();
        for _ in 0..20 {
            health.answered(now, first_byte, 100, MS(0));
        }
        health
    }

    #[test]
    fn failures_of_single_modules_open_no_breaker_until_there_are_many() {
        let (mut health, now) = (Health::default(), Instant::now());
        let fail = |health: &mut Health, module: usize| {
            health.failed_for(now, now, &format!("example.com/m{module}"), "HTTP status 500".to_owned());
            health.breaker.ask(now).is_ok()
        };
        // One module may fail as often as it likes.
        assert!((0..100).all(|_| fail(&mut health, 0)));
        assert!((0..MANY_MODULES).all(|module| fail(&mut health, module)));
        assert!(!(0..3).all(|module| fail(&mut health, MANY_MODULES + module)), "nothing works there");
        health.reached(now);
        assert!((0..MANY_MODULES).all(|module| fail(&mut health, module)), "a success starts anew");
    }

    #[test]
    fn silence_opens_the_breaker_if_several_modules_have_no_answer() {
        let (mut health, now) = (Health::default(), Instant::now());
        let silent = |health: &mut Health, module: &str| {
            (0..3).for_each(|_| health.silent_for(now, now, module, "no answer in time".to_owned()));
            health.breaker.ask(now).is_err()
        };
        assert!(["a.example/x", "a.example", "a.example/x/y"].iter().all(|module| !silent(&mut health, module)));
        health.reached(now);
        assert!(!silent(&mut health, "a.example/z"), "an answer came in between");
        health.failed_for(now, now, "a.example/w", "HTTP status 500".to_owned());
        assert!(!silent(&mut health, "a.example/x"), "a failure is an answer too");
        assert!(silent(&mut health, "a.example/xy"));
    }

    #[test]
    fn the_faster_comes_first_then_open_breakers_then_the_distrusted() {
        let now = Instant::now();
        let (fast, slow, unknown) = (measured(now, MS(20)), measured(now, MS(300)), Health::default());
        assert!(fast.rank(now, 1.0) < unknown.rank(now, 1.0) && unknown.rank(now, 1.0) < slow.rank(now, 1.0));
        assert!(slow.rank(now, 20.0) < fast.rank(now, 1.0), "a weight outweighs time");
        let mut open = measured(now, MS(1));
        (0..3).for_each(|_| open.breaker.failed(now, now, String::new(), None));
        assert!(slow.rank(now, 1.0) < open.rank(now, 1.0));
        let mut liar = measured(now, MS(1));
        liar.distrust(now);
        assert!(open.rank(now, 1.0) < liar.rank(now, 1.0));
        assert!(liar.rank(now + DISTRUST, 1.0) < fast.rank(now + DISTRUST, 1.0), "only for a while");
    }

    #[test]
    fn who_is_overtaken_ranks_lower_for_a_minute() {
        let now = Instant::now();
        let (mut fast, slow) = (measured(now, MS(20)), measured(now, MS(1000)));
        (0..100).for_each(|_| fast.overtaken(now));
        assert!(fast.rank(now, 1.0) < slow.rank(now, 1.0), "it has a limit");
        assert!(fast.rank(now, 1.0) > measured(now, MS(300)).rank(now, 1.0));
        let later = now + OVERTAKEN_FOR;
        assert_eq!(fast.rank(later, 1.0), measured(now, MS(20)).rank(later, 1.0));
        fast.answered(now, MS(20), 100, MS(0));
        assert!(fast.rank(now, 1.0) < (false, false, MS(21)), "an answer ends it");
    }

    #[test]
    fn measurements_fade() {
        let now = Instant::now();
        let slow = measured(now, MS(2000));
        assert!(slow.rank(now, 1.0) > Health::default().rank(now, 1.0));
        let (_, _, later) = slow.rank(now + Duration::from_secs(10 * 60), 1.0);
        assert!(later < MS(63), "{later:?}");
    }

    #[test]
    fn the_hedge_follows_the_usual_latency_and_grows_with_the_bytes() {
        let now = Instant::now();
        assert_eq!(Health::default().hedge_after(now, 0), MS(180));
        assert!(measured(now, MS(20)).hedge_after(now, 0) <= MS(60));
        assert_eq!(measured(now, MS(9000)).hedge_after(now, 0), MS(2000));
        assert_eq!(Health::default().hedge_after(now, 1 << 20), MS(180 + 2000));
        let mut quick = measured(now, MS(20));
        (0..20).for_each(|_| quick.answered(now, MS(20), 100 << 20, Duration::from_secs(1)));
        assert!(quick.hedge_after(now, 100 << 20) < Duration::from_secs(5));
    }
}
