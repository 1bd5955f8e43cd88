//! The clocks, as an argument: a test gives one that stands still until the test moves it.

use std::time::SystemTime;

use tokio::time::Instant;

/// The clock on the wall, and the one that is never set.
#[derive(Clone, Copy, Debug)]
pub enum Clock {
    /// The clocks of this machine.
    System,
    /// The wall showed `wall` at `steady`, and both go on together. In a test with paused time (`tokio::time::pause`) they
    /// stand still until the test moves them, or waits.
    Seeded {
        /// What the wall showed.
        wall: SystemTime,
        /// At which moment.
        steady: Instant,
    },
}

/// One moment, by both clocks.
#[derive(Clone, Copy, Debug)]
pub struct Now {
    /// By the clock on the wall.
    pub wall: SystemTime,
    /// By the one that is never set.
    pub steady: Instant,
}

impl Clock {
    /// A clock whose wall shows `wall` now.
    pub fn seeded(wall: SystemTime) -> Self {
        Self::Seeded { wall, steady: Instant::now() }
    }

    /// Reads both.
    pub fn now(self) -> Now {
        let now = Instant::now();
        match self {
            Self::System => Now { wall: SystemTime::now(), steady: now },
            Self::Seeded { wall, steady } => Now { wall: wall + (now - steady), steady: now },
        }
    }

    /// Reads the one that is never set.
    pub fn steady(self) -> Instant {
        Instant::now()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_seeded_clock_goes_on_when_the_test_waits() {
        let clock = Clock::seeded(SystemTime::UNIX_EPOCH);
        tokio::time::sleep(Duration::from_hours(3)).await;
        let Now { wall, steady } = clock.now();
        assert_eq!(wall, SystemTime::UNIX_EPOCH + Duration::from_hours(3));
        assert_eq!(steady, clock.steady());
    }
}
