//! Retries after every source has failed.
//!
//! One round asks each source that may help. After temporary failures another round follows. The pause before it grows
//! exponentially, with jitter so that the clients of one broken upstream do not return together, and obeys `Retry-After` up
//! to a limit.

use std::time::Duration;

/// Rounds in total: a user waits for the answer.
const ROUNDS: u32 = 3;
/// The pause after the first round; each pause is twice as long as the one before.
const FIRST_PAUSE: Duration = Duration::from_millis(200);
/// The longest `Retry-After` that is obeyed. `go` has no timeout of its own, but its user has.
const LONGEST_PAUSE: Duration = Duration::from_secs(10);
/// No round follows after rounds that took so long together, without their pauses: as long as the longest pause. A source that
/// was silent until its time-out most likely stays silent, and the user has waited enough.
const ENOUGH: Duration = LONGEST_PAUSE;

/// The pause after round `nth` (from 0), or `None` if no other round follows. All rounds so far `took` that long. `random` is in
/// 0..1.
pub(super) fn pause(nth: u32, took: Duration, retry_after: Duration, random: f64) -> Option<Duration> {
    if nth + 1 >= ROUNDS || took >= ENOUGH {
        return None;
    }
    let jittered = FIRST_PAUSE.saturating_mul(1 << nth).mul_f64(0.5 + random / 2.0);
    // `Retry-After` gets some jitter too.
    (retry_after <= LONGEST_PAUSE).then(|| retry_after + if retry_after.is_zero() { jittered } else { jittered / 4 })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_are_jittered_and_end() {
        assert_eq!(pause(0, Duration::ZERO, Duration::ZERO, 0.0), Some(Duration::from_millis(100)));
        assert_eq!(pause(0, Duration::ZERO, Duration::ZERO, 1.0), Some(Duration::from_millis(200)));
        assert_eq!(pause(1, Duration::ZERO, Duration::ZERO, 1.0), Some(Duration::from_millis(400)));
        assert_eq!(pause(2, Duration::ZERO, Duration::ZERO, 1.0), None);
    }

    #[test]
    fn long_rounds_are_the_last_ones() {
        assert_eq!(pause(0, ENOUGH.saturating_sub(Duration::from_millis(1)), Duration::ZERO, 1.0), Some(FIRST_PAUSE));
        assert_eq!(pause(0, ENOUGH, Duration::ZERO, 1.0), None);
    }

    #[test]
    fn retry_after_is_obeyed_up_to_the_limit() {
        assert_eq!(pause(0, Duration::ZERO, Duration::from_secs(3), 0.0), Some(Duration::from_millis(3025)));
        assert_eq!(pause(0, Duration::ZERO, Duration::from_secs(11), 0.0), None);
    }
}
