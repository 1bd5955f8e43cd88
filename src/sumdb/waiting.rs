//! Which databases a command waits for, so that it can say so.

use std::time::Duration;

use super::contact::Silence;
use super::remote::Remote;

/// The waits for the databases of a command.
pub struct Waiting(Vec<Wait>);

struct Wait {
    remote: Remote,
    silence: Silence,
    was_told: bool,
}

impl Waiting {
    pub(super) fn of(remotes: impl Iterator<Item = Remote>) -> Self {
        Self(remotes.map(|remote| Wait { silence: remote.silence(), remote, was_told: false }).collect())
    }

    /// The databases that requests have waited for during `limit`, with their addresses. Each is told once.
    pub fn longer_than(&mut self, limit: Duration) -> Vec<String> {
        let mut told = Vec::new();
        for wait in &mut self.0 {
            if wait.silence.lasts() >= limit && !wait.was_told {
                wait.was_told = true;
                told.push(format!("{} ({})", wait.remote.database.name(), wait.remote.addresses()));
            }
        }
        told
    }
}
