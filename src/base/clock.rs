//! The clock, which is always an argument, so that tests can control the time.

use std::time::SystemTime;

use tokio::time::Instant;

/// The source of wall-clock and monotonic time.
#[derive(Clone, Copy, Debug)]
pub enum Clock {
    /// The clocks of this machine.
    System,
    /// The wall clock was at `wall` when the monotonic clock was at `steady`. In a test with paused time
    /// (`tokio::time::pause`), both advance only when the test waits or advances them.
    Seeded {
        /// The wall-clock time at that moment.
        wall: SystemTime,
        /// The moment.
        steady: Instant,
    },
}

/// One moment by both clocks.
#[derive(Clone, Copy, Debug)]
pub struct Now {
    /// By the wall clock.
    pub wall: SystemTime,
    /// By the monotonic clock.
    pub steady: Instant,
}

impl Clock {
    /// A clock whose wall-clock time is `wall` now.
    pub fn seeded(wall: SystemTime) -> Self {
        Self::Seeded { wall, steady: Instant::now() }
    }

    /// Reads both clocks.
    pub fn now(self) -> Now {
        let now = Instant::now();
        match self {
            Self::System => Now { wall: SystemTime::now(), steady: now },
            Self::Seeded { wall, steady } => Now { wall: wall + (now - steady), steady: now },
        }
    }

    /// Reads the monotonic clock.
    pub fn steady(self) -> Instant {
        Instant::now()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_seeded_clock_advances_when_the_test_waits() {
        let clock = Clock::seeded(SystemTime::UNIX_EPOCH);
        tokio::time::sleep(Duration::from_secs(3 * 3600)).await;
        let Now { wall, steady } = clock.now();
        assert_eq!(wall, SystemTime::UNIX_EPOCH + Duration::from_secs(3 * 3600));
        assert_eq!(steady, clock.steady());
    }
}
