//! The least rate of a body: a server that sends a byte now and then never runs into the timeout between two bytes.

use std::pin::Pin;
use std::time::Duration;

use futures_util::FutureExt;
use tokio::time::{Sleep, sleep};

/// Bytes per second, on average over a window. A modem of 1990 was faster.
const LEAST: u64 = 1 << 10;

/// Measures a body in windows of the timeout between two bytes, so that a pause which that timeout allows is not too slow
/// by itself.
#[derive(Debug)]
pub(super) struct Pace {
    window: Duration,
    end: Pin<Box<Sleep>>,
    bytes: u64,
}

impl Pace {
    pub(super) fn new(window: Duration) -> Self {
        Self { window, end: Box::pin(sleep(window)), bytes: 0 }
    }

    /// Counts received bytes. An error is the number of bytes of a window that had too few.
    pub(super) fn received(&mut self, bytes: usize) -> Result<(), u64> {
        self.bytes += bytes as u64;
        if self.end.as_mut().now_or_never().is_none() {
            return Ok(());
        }
        if self.bytes < LEAST * self.window.as_secs() {
            return Err(self.bytes);
        }
        *self = Self::new(self.window);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use super::*;

    /// Receives `bytes` each second for so many seconds.
    async fn paced(bytes: usize, seconds: u64) -> Result<(), u64> {
        let mut pace = Pace::new(Duration::from_secs(30));
        for _ in 0..seconds {
            sleep(Duration::from_secs(1)).await;
            pace.received(bytes)?;
        }
        Ok(())
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_drips_is_too_slow_after_one_window() {
        assert_eq!(paced(10, 29).await, Ok(()));
        assert_eq!(paced(10, 31).await, Err(300));
        paced(2 << 10, 600).await.unwrap();
        // A pause as long as the timeout between two bytes, in a body that is fast otherwise.
        let mut pace = Pace::new(Duration::from_secs(30));
        pace.received(1 << 20).unwrap();
        sleep(Duration::from_secs(31)).await;
        pace.received(1 << 10).unwrap();
    }
}
