//! Durations as users write them.

use std::time::Duration;

use jiff::{Span, SpanRelativeTo};

/// Parses a duration such as `60s`, `1m 30s`, `24h`, `7d` or `2w`. A day has 24 hours; months and years are invalid. The
/// caller checks the range and the precision.
pub(crate) fn duration(text: &str) -> Option<Duration> {
    let span: Span = text.parse().ok()?;
    span.to_duration(SpanRelativeTo::days_are_24_hours()).ok()?.try_into().ok()
}

/// A duration for a reader, in whole seconds: `1h 30m`.
pub(crate) fn shown(duration: Duration) -> String {
    let seconds = i64::try_from(duration.as_secs()).unwrap_or(i64::MAX);
    format!("{:#}", jiff::SignedDuration::from_secs(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_units_of_a_fixed_length_are_valid() {
        const HOUR: u64 = 3600;
        for (text, seconds) in [
            ("0s", 0),
            ("60s", 60),
            ("1m 30s", 90),
            ("24h", 24 * HOUR),
            ("7d", 7 * 24 * HOUR),
            ("7 d", 7 * 24 * HOUR),
            ("1d 12h", 36 * HOUR),
            ("2w", 14 * 24 * HOUR),
        ] {
            assert_eq!(duration(text), Some(Duration::from_secs(seconds)), "{text}");
        }
        assert_eq!([0, 60, 5400].map(|seconds| shown(Duration::from_secs(seconds))), ["0s", "1m", "1h 30m"]);
        for text in ["", "7", "soon", "1mo", "1y", "-7d", "7d ago", "7d,", "9999999999999h"] {
            assert_eq!(duration(text), None, "{text}");
        }
    }
}
