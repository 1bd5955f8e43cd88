//! The growth of a log as a plot: its size at the times at which its head was observed.

use std::time::SystemTime;

use jiff::Timestamp;
use maud::{Markup, html};

use super::layout::number;

/// The drawing: as wide as that of a proof.
const WIDTH: f64 = 344.0;
/// The area of the curve, above the line with the dates.
const BOTTOM: f64 = 84.0;
const TOP: f64 = 20.0;
const HEIGHT: f64 = 104.0;
/// Below this, the dates need the time of day.
const FEW_DAYS: u64 = 3 * 24 * 3600;

/// The plot; nothing if the log was observed at one time only. The points ascend in time and size.
pub(super) fn growth(points: &[(SystemTime, u64)]) -> Markup {
    let ([first, .., last], true) = (points, spans_time(points)) else { return html! {} };
    let curve: Vec<String> = points.iter().map(|point| place(point, first, last)).collect();
    let curve = curve.join(" ");
    let seconds = last.0.duration_since(first.0).unwrap_or_default().as_secs();
    let [from, to] = [first, last].map(|(at, _)| date(*at, seconds < FEW_DAYS));
    let title = format!("{} records on {from}, {} on {to}", number(first.1), number(last.1));
    html! {
        figure.growth {
            svg viewBox=(format!("0 0 {WIDTH} {HEIGHT}")) width=(WIDTH) height=(HEIGHT) role="img" aria-label=(format!("Growth: {title}")) {
                polygon.area points=(format!("0,{BOTTOM} {curve} {WIDTH},{BOTTOM}")) {}
                polyline.curve points=(curve) {}
                text.label x="0" y=(BOTTOM - 8.0 - up(first.1, first, last)) { (number(first.1)) }
                text.label.end x=(WIDTH) y=(TOP - 8.0) { (number(last.1)) }
                text.label x="0" y=(HEIGHT - 4.0) { (from) }
                text.label.end x=(WIDTH) y=(HEIGHT - 4.0) { (to) }
            }
            figcaption.note { "Records in the log, at the times at which its head was observed" (pace(last.1 - first.1, seconds)) "." }
        }
    }
}

fn spans_time(points: &[(SystemTime, u64)]) -> bool {
    points.first().zip(points.last()).is_some_and(|(first, last)| last.0 > first.0 && last.1 >= first.1)
}

/// The coordinates of a point.
fn place((at, size): &(SystemTime, u64), first: &(SystemTime, u64), last: &(SystemTime, u64)) -> String {
    let since = |at: SystemTime| at.duration_since(first.0).unwrap_or_default().as_secs_f64();
    let x = WIDTH * since(*at) / since(last.0);
    format!("{x:.1},{:.1}", BOTTOM - up(*size, first, last))
}

/// How far above the bottom a size is. The axis begins at zero only if the log did.
#[expect(clippy::cast_precision_loss, reason = "a pixel is more than 2^53 can lose")]
fn up(size: u64, first: &(SystemTime, u64), last: &(SystemTime, u64)) -> f64 {
    // A flat line is in the middle.
    let range = last.1 - first.1;
    let part = if range == 0 { 0.5 } else { size.saturating_sub(first.1) as f64 / range as f64 };
    // The smallest size is not at the bottom, which would look like zero.
    (BOTTOM - TOP) * (0.15 + 0.85 * part)
}

/// How fast the log grows, if it was observed long enough to say.
fn pace(records: u64, seconds: u64) -> String {
    match seconds {
        0..3600 => String::new(),
        3600..172_800 => format!(": about {} an hour", number(records / (seconds / 3600))),
        _ => format!(": about {} a day", number(records / (seconds / 86_400))),
    }
}

fn date(at: SystemTime, with_time: bool) -> String {
    let at = Timestamp::try_from(at).unwrap_or(Timestamp::UNIX_EPOCH);
    at.strftime(if with_time { "%Y-%m-%d %H:%M UTC" } else { "%Y-%m-%d" }).to_string()
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;

    fn drawn(points: &[(u64, u64)]) -> String {
        let points: Vec<_> = points.iter().map(|(at, size)| (UNIX_EPOCH + Duration::from_secs(*at), *size)).collect();
        growth(&points).into_string()
    }

    #[test]
    fn the_curve_goes_from_the_first_to_the_last_observation() {
        let plot = drawn(&[(0, 100), (86_400 * 5, 600), (86_400 * 10, 1_100)]);
        assert!(plot.contains("points=\"0.0,74.4 172.0,47.2 344.0,20.0\""), "{plot}");
        assert!(plot.contains("Growth: 100 records on 1970-01-01, 1\u{202f}100 on 1970-01-11"), "{plot}");
        assert!(plot.contains("about 100 a day"), "{plot}");
        let short = drawn(&[(0, 100), (7200, 300)]);
        assert!(short.contains("1970-01-01 02:00 UTC") && short.contains("about 100 an hour"), "{short}");
    }

    #[test]
    fn one_time_is_no_plot_and_a_log_that_rests_is_a_level_line() {
        assert_eq!([drawn(&[]), drawn(&[(7, 100)]), drawn(&[(7, 100), (7, 200)])], ["", "", ""]);
        let level = drawn(&[(0, 100), (60, 100)]);
        assert!(level.contains("points=\"0.0,47.2 344.0,47.2\""), "{level}");
    }
}
