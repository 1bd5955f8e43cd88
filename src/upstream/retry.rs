//! When to ask again after every source has failed.
//!
//! One round asks each source that may help. If the trouble is of a kind that passes, another round follows after a pause:
//! exponential, with jitter, so that many clients of one broken upstream do not come back together; and as late as the
//! sources want (Retry-After), up to a bound.

use std::time::Duration;

/// Rounds in all. A person waits at the other end; what is down for longer is down.
pub(super) const ROUNDS: u32 = 3;
/// The pause after the first round; each further one is twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(200);
/// The longest pause for a source that asked for it. `go` itself waits for ever; a person does not.
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// How long to pause after the round `nth` (from 0), or `None` if there is no use in another one. `retry_after` is how long
/// sources want to be left alone; `random` is in 0..1.
pub(super) fn pause(nth: u32, retry_after: Duration, random: f64) -> Option<Duration> {
    if nth + 1 >= ROUNDS {
        return None;
    }
    let jittered = FIRST_PAUSE.saturating_mul(1 << nth).mul_f64(0.5 + random / 2.0);
    // As late as they want and a little, so that not all come back at once.
    (retry_after <= LONGEST_PAUSE).then(|| retry_after + if retry_after.is_zero() { jittered } else { jittered / 4 })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_are_jittered_and_end() {
        assert_eq!(pause(0, Duration::ZERO, 0.0), Some(Duration::from_millis(100)));
        assert_eq!(pause(0, Duration::ZERO, 1.0), Some(Duration::from_millis(200)));
        assert_eq!(pause(1, Duration::ZERO, 1.0), Some(Duration::from_millis(400)));
        assert_eq!(pause(2, Duration::ZERO, 1.0), None);
    }

    #[test]
    fn retry_after_is_obeyed_if_it_is_bearable() {
        assert_eq!(pause(0, Duration::from_secs(3), 0.0), Some(Duration::from_millis(3025)));
        assert_eq!(pause(0, Duration::from_secs(11), 0.0), None);
    }
}
