//! When the database was first asked for versions that it does not have.
//!
//! The database begins a record when somebody first looks a version up, and shows it minutes to an hour later. So its 404
//! tells a version that does not exist from a new one only some time after the first question. The moments are kept in a
//! file, `UNIX-SECONDS MODULE@VERSION` a line, appended without a lock: of two lines for one version the first counts. A
//! moment that is lost, or that lies in the future, counts as now, which makes nothing absent.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::client::Client;
use super::error::SumdbError;
use super::tiles::blocking;
use crate::module::{ModulePath, ModuleVersion};
use crate::store::StateDir;

/// Versions that are remembered; the oldest makes room for the newest. A large company meets some new ones a day.
const MAX_ASKED: usize = 10_000;

/// The moments, of one database.
#[derive(Debug)]
pub(super) struct Asked {
    state: StateDir,
    /// None until somebody asks.
    noted: Mutex<Option<Noted>>,
}

/// What is in the file, and in which order.
#[derive(Debug, Default, PartialEq, Eq)]
struct Noted {
    at: HashMap<String, u64>,
    order: VecDeque<String>,
    /// Lines in the file, those of dropped versions too.
    lines: usize,
}

impl Client {
    /// Whether a record of some version of `path` is kept here. Blocks on the disk.
    pub fn has_record_of(&self, path: &ModulePath) -> Result<bool, SumdbError> {
        Ok(self.shared.state.has_record(&format!("{}@", path.escaped()))?)
    }

    /// How long ago this installation first asked the database for `module`, as far as is known: from now on, if never.
    pub async fn first_asked(&self, module: &ModuleVersion, now: SystemTime) -> Result<Duration, Arc<SumdbError>> {
        let (shared, module) = (Arc::clone(&self.shared), module.clone());
        blocking(move || shared.asked.first(&module, now)).await
    }
}

impl Asked {
    pub(super) fn new(state: StateDir) -> Self {
        Self { state, noted: Mutex::default() }
    }

    /// How long ago `module` was first asked for; if that was never, it is noted as now. Blocks on the disk.
    pub(super) fn first(&self, module: &ModuleVersion, now: SystemTime) -> Result<Duration, SumdbError> {
        let now = now.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        let mut noted = self.noted.lock().unwrap_or_else(PoisonError::into_inner);
        let noted = match &mut *noted {
            Some(noted) => noted,
            empty => empty.insert(Noted::read(&self.state.first_asked()?.unwrap_or_default())),
        };
        let name = module.to_string();
        match noted.at.get(&name) {
            Some(at) if *at <= now => return Ok(Duration::from_secs(now - at)),
            _ => {}
        }
        noted.add(name.clone(), now);
        if noted.lines > 2 * MAX_ASKED {
            self.state.set_first_asked(&noted.text())?;
            noted.lines = noted.order.len();
        } else {
            self.state.add_first_asked(&format!("{now} {name}\n"))?;
        }
        Ok(Duration::ZERO)
    }
}

impl Noted {
    /// Reads the file. A line that cannot be read is as good as absent.
    fn read(text: &str) -> Self {
        let mut noted = Self::default();
        for line in text.lines() {
            if let Some((at, name)) = line.split_once(' ')
                && let Ok(at) = at.parse()
                && !noted.at.contains_key(name)
            {
                noted.add(name.to_owned(), at);
            }
        }
        noted.lines = text.lines().count();
        noted
    }

    fn add(&mut self, name: String, at: u64) {
        self.lines += 1;
        if self.at.insert(name.clone(), at).is_none() {
            self.order.push_back(name);
        }
        while self.order.len() > MAX_ASKED {
            let oldest = self.order.pop_front();
            oldest.and_then(|oldest| self.at.remove(&oldest));
        }
    }

    fn text(&self) -> String {
        let line = |name: &String| Some(format!("{} {name}\n", self.at.get(name)?));
        self.order.iter().filter_map(line).collect()
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use super::*;
    use crate::store::Store;

    fn at(seconds: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(seconds)
    }

    fn module(nth: usize) -> ModuleVersion {
        ModuleVersion::parse(&format!("example.com/a@v1.0.{nth}")).unwrap()
    }

    #[test]
    fn the_first_time_counts_also_after_a_start_and_a_clock_that_was_wrong_makes_nothing_older() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        let open = || Asked::new(store.database("a.example", "a.example+00000000+AA").unwrap());
        let asked = open();
        assert_eq!(asked.first(&module(1), at(1000)).unwrap(), Duration::ZERO);
        assert_eq!(asked.first(&module(1), at(1061)).unwrap(), Duration::from_secs(61));
        assert_eq!(asked.first(&module(2), at(1060)).unwrap(), Duration::ZERO);
        assert_eq!(open().first(&module(1), at(9000)).unwrap(), Duration::from_secs(8000));
        // The clock went backwards: what was noted lies in the future.
        assert_eq!(open().first(&module(1), at(500)).unwrap(), Duration::ZERO);
    }

    #[test]
    fn the_oldest_makes_room_and_the_file_stays_bounded() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        let state = store.database("a.example", "a.example+00000000+AA").unwrap();
        let asked = Asked::new(state.clone());
        for nth in 0..=MAX_ASKED {
            asked.first(&module(nth), at(1000)).unwrap();
        }
        assert_eq!(asked.first(&module(1), at(2000)).unwrap(), Duration::from_secs(1000));
        assert_eq!(asked.first(&module(0), at(2000)).unwrap(), Duration::ZERO, "it fell out, and counts as new");
        for nth in MAX_ASKED + 1..=2 * MAX_ASKED + 10 {
            asked.first(&module(nth), at(1000)).unwrap();
        }
        let text = state.first_asked().unwrap().unwrap();
        assert!(text.lines().count() <= MAX_ASKED + 20, "{}", text.lines().count());
        assert_eq!(Asked::new(state).first(&module(2 * MAX_ASKED), at(1007)).unwrap(), Duration::from_secs(7));
    }
}
