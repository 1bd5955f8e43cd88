//! A version that the database does not have yet, told apart from one that it does not know.
//!
//! The database learns of a version when somebody first asks for it, and shows it some minutes later. The `.info` says
//! when it was tagged; an author can forge that, so it decides nothing but the words of a refusal and its status.

use std::time::Duration;

use serde::Deserialize;

use super::error::MirrorError;
use super::pipeline::Shared;
use crate::artifact::{Artifact, Kind};
use crate::fault::Fault;
use crate::module::ModuleVersion;

/// How long the database may take: 10 to 20 minutes have been seen, and a busy day takes longer.
const DELAY: Duration = Duration::from_hours(1);
/// A clock that is ahead of ours by less than this is no forgery.
const SKEW: Duration = Duration::from_mins(10);
/// As for any `.info` (`mirror/advisory.rs`).
const MAX_INFO: usize = 1 << 20;

#[derive(Deserialize)]
struct Info {
    #[serde(rename = "Time")]
    time: jiff::Timestamp,
}

impl Shared {
    /// The error to tell for `module`: `error`, or that it is too young, if the database does not have it and an upstream
    /// says that it was just tagged.
    pub(super) async fn or_too_young(&self, module: &ModuleVersion, error: MirrorError) -> MirrorError {
        if error.fault() != Fault::Absent || self.vouchers.exempts(&module.path) {
            return error;
        }
        let info = Artifact { module: module.clone(), kind: Kind::Info }.path();
        let time = |body: Vec<u8>| serde_json::from_slice::<Info>(&body).map_err(|error| error.to_string());
        let Ok(info) = self.sources.of(&module.path).small(&info, MAX_INFO, time).await else { return error };
        let Some(age) = age(info.value.time, jiff::Timestamp::now()) else { return error };
        MirrorError::TooYoung { module: Box::new(module.clone()), minutes: age.as_secs() / 60 }
    }
}

/// How long ago `time` was, if it is within the database's delay.
fn age(time: jiff::Timestamp, now: jiff::Timestamp) -> Option<Duration> {
    let past = now.duration_since(time);
    if past.is_negative() {
        return (past.unsigned_abs() <= SKEW).then_some(Duration::ZERO);
    }
    Some(past.unsigned_abs()).filter(|age| *age < DELAY)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use super::*;

    #[test]
    fn young_is_within_an_hour_and_not_from_the_future() {
        let now: jiff::Timestamp = "2026-11-20T12:00:00Z".parse().unwrap();
        let young = |time: &str| age(time.parse().unwrap(), now).map(|age| age.as_secs() / 60);
        assert_eq!(young("2026-11-20T11:47:30Z"), Some(12));
        assert_eq!(young("2026-11-20T11:00:00Z"), None);
        assert_eq!(young("2026-11-20T12:09:00Z"), Some(0), "a clock that is ahead");
        assert_eq!(young("2026-11-20T12:11:00Z"), None);
        assert_eq!(young("2019-01-01T00:00:00Z"), None);
    }
}
