//! When the database was first asked for versions that it does not have.
//!
//! The database starts a record at the first lookup of a version, and shows it minutes to an hour later. So its 404 means
//! that the version does not exist only some time after the first lookup. The times are in a file, one line
//! `UNIX-SECONDS MODULE@VERSION` each, appended without a lock: of two lines for one version the first counts. A time that
//! is lost, or in the future, counts as now, which makes no version absent.
//!
//! The file is trusted: a process that can write to it can also remove the trusted head.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, UNIX_EPOCH};

use tokio::time::Instant;

use super::error::SumdbError;
use crate::base::clock::Now;
use crate::base::lock::lock;
use crate::store::StateDir;
use gomodule::module::{ModulePath, ModuleVersion};

/// Versions that are remembered; the newest replaces the oldest. A large company asks for a few new ones a day.
const MAX_ASKED: usize = 10_000;
/// 2026-03-20, in seconds: older than any version of this program that writes the file. An earlier clock is wrong.
const EARLIEST: u64 = 1_773_964_800;

#[derive(Debug)]
pub(super) struct FirstAskedList {
    state: Arc<StateDir>,
    /// `None` until the file is read.
    entries: Mutex<Option<Entries>>,
}

/// The content of the file.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Entries {
    times: HashMap<String, Time>,
    order: VecDeque<String>,
    /// Lines in the file, including those of dropped versions.
    lines: usize,
}

/// By the wall clock, and by the monotonic clock if it was in this process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Time {
    wall: u64,
    steady: Option<Instant>,
}

/// How long ago a database was first asked for a version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FirstAsked(Duration);

impl FirstAsked {
    /// The duration.
    pub fn ago(self) -> Duration {
        self.0
    }

    /// The later one of two.
    #[must_use]
    pub fn later(self, other: Self) -> Self {
        Self(self.0.min(other.0))
    }
}

impl FirstAskedList {
    pub(super) fn new(state: Arc<StateDir>) -> Self {
        Self { state, entries: Mutex::default() }
    }

    /// When the database was first asked for `module`; if never, now is written down. Blocks on the disk.
    pub(super) fn first(&self, module: &ModuleVersion, now: Now) -> Result<FirstAsked, SumdbError> {
        let seconds = now.wall.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        // A time from a clock that is not set yet would make the version old once the clock is set.
        if seconds < EARLIEST {
            return Ok(FirstAsked(Duration::ZERO));
        }
        let mut entries = self.entries()?;
        let Some(entries) = entries.as_mut() else { return Ok(FirstAsked(Duration::ZERO)) };
        let name = module.to_string();
        if let Some(Time { wall, steady }) = entries.times.get(&name)
            && *wall <= seconds
        {
            let by_wall = Duration::from_secs(seconds - wall);
            let steady = steady.map(|steady| now.steady.saturating_duration_since(steady));
            // Setting the clock while this process runs must not make a version older.
            return Ok(FirstAsked(steady.map_or(by_wall, |steady| steady.min(by_wall))));
        }
        entries.add(name.clone(), Time { wall: seconds, steady: Some(now.steady) });
        if entries.lines > 2 * MAX_ASKED {
            self.state.set_first_asked(&entries.text());
            entries.lines = entries.order.len();
        } else {
            self.state.add_first_asked(&format!("{seconds} {name}\n"));
        }
        Ok(FirstAsked(Duration::ZERO))
    }

    /// Whether the database was asked for some version of `path`. Blocks on the disk.
    pub(super) fn has_any_of(&self, path: &ModulePath) -> Result<bool, SumdbError> {
        let entries = self.entries()?;
        let is_of = |name: &String| name.strip_prefix(path.as_ref()).is_some_and(|rest| rest.starts_with('@'));
        Ok(entries.as_ref().is_some_and(|entries| entries.order.iter().any(is_of)))
    }

    /// The entries, read from the file the first time.
    fn entries(&self) -> Result<MutexGuard<'_, Option<Entries>>, SumdbError> {
        let mut entries = lock(&self.entries);
        if entries.is_none() {
            *entries = Some(Entries::read(&self.state.first_asked()?.unwrap_or_default()));
        }
        Ok(entries)
    }
}

impl Entries {
    /// Reads the file. Invalid and incomplete lines are skipped.
    pub(crate) fn read(text: &str) -> Self {
        let mut entries = Self::default();
        for line in text.split_inclusive('\n') {
            if let Some((at, name)) = line.strip_suffix('\n').and_then(|line| line.split_once(' '))
                && let Ok(wall) = at.parse()
                && wall >= EARLIEST
                && !entries.times.contains_key(name)
            {
                entries.add(name.to_owned(), Time { wall, steady: None });
            }
        }
        entries.lines = text.lines().count();
        entries
    }

    fn add(&mut self, name: String, time: Time) {
        self.lines += 1;
        if self.times.insert(name.clone(), time).is_none() {
            self.order.push_back(name);
        }
        while self.order.len() > MAX_ASKED {
            let oldest = self.order.pop_front();
            oldest.and_then(|oldest| self.times.remove(&oldest));
        }
    }

    /// The file with these entries only.
    pub(crate) fn text(&self) -> String {
        let line = |name: &String| Some(format!("{} {name}\n", self.times.get(name)?.wall));
        self.order.iter().filter_map(line).collect()
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::disallowed_methods, clippy::unwrap_used, reason = "a test may touch the world, and panic")]

    use super::*;
    use crate::store::Store;

    impl FirstAsked {
        /// For tests of callers.
        pub(crate) fn of(ago: Duration) -> Self {
            Self(ago)
        }
    }

    /// `seconds` after `EARLIEST`, by both clocks.
    fn at(seconds: u64) -> Now {
        static START: std::sync::LazyLock<Instant> = std::sync::LazyLock::new(Instant::now);
        let after = Duration::from_secs(seconds);
        Now { wall: UNIX_EPOCH + Duration::from_secs(EARLIEST) + after, steady: *START + after }
    }

    fn module(nth: usize) -> ModuleVersion {
        ModuleVersion::parse(&format!("example.com/a@v1.0.{nth}")).unwrap()
    }

    fn state(folder: &tempfile::TempDir) -> Arc<StateDir> {
        Store::open(folder.path()).unwrap().database("a.example", "a.example+00000000+AA").unwrap().into()
    }

    fn ago(asked: &FirstAskedList, nth: usize, now: Now) -> u64 {
        asked.first(&module(nth), now).unwrap().ago().as_secs()
    }

    #[test]
    fn the_first_time_counts_after_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        let open = || FirstAskedList::new(state(&folder));
        let asked = open();
        assert_eq!(ago(&asked, 1, at(1000)), 0);
        assert_eq!(ago(&asked, 1, at(1061)), 61);
        assert_eq!(ago(&asked, 2, at(1060)), 0);
        assert_eq!(ago(&open(), 1, at(9000)), 8000);
        let path = |name: &str| ModulePath::parse(name).unwrap();
        assert!(open().has_any_of(&path("example.com/a")).unwrap());
        assert!(!open().has_any_of(&path("example.com")).unwrap());
    }

    #[test]
    fn a_clock_that_is_wrong_or_set_makes_no_version_older() {
        let folder = tempfile::tempdir().unwrap();
        let open = || FirstAskedList::new(state(&folder));
        assert_eq!(ago(&open(), 1, at(1000)), 0);
        // It went backwards: the stored time is in the future.
        assert_eq!(ago(&open(), 1, at(500)), 0);
        // It was not set, and then it is.
        let asked = open();
        assert_eq!(ago(&asked, 2, Now { wall: UNIX_EPOCH + Duration::from_secs(60), ..at(0) }), 0);
        assert_eq!(ago(&asked, 2, at(1000)), 0);
        // It jumps ahead by a day while a minute passes.
        assert_eq!(ago(&asked, 2, Now { wall: at(87_400).wall, ..at(1060) }), 60);
    }

    #[test]
    fn an_incomplete_line_is_treated_as_missing() {
        let (one, two) = (format!("{EARLIEST} example.com/a@v1.0.1\n"), format!("{EARLIEST} example.com/a@v1.0.1"));
        assert_eq!(Entries::read(&one).order.len(), 1);
        assert_eq!(Entries::read(&two).order.len(), 0, "the version may be longer");
        assert_eq!(Entries::read("17 example.com/a@v1.0.1\n").order.len(), 0, "the clock was wrong");
    }

    #[test]
    fn the_oldest_is_replaced_and_the_file_stays_bounded() {
        let folder = tempfile::tempdir().unwrap();
        let state = state(&folder);
        let asked = FirstAskedList::new(state.clone());
        for nth in 0..=MAX_ASKED {
            ago(&asked, nth, at(1000));
        }
        assert_eq!(ago(&asked, 1, at(2000)), 1000);
        assert_eq!(ago(&asked, 0, at(2000)), 0, "it was dropped, and counts as new");
        for nth in MAX_ASKED + 1..=2 * MAX_ASKED + 10 {
            ago(&asked, nth, at(1000));
        }
        let text = state.first_asked().unwrap().unwrap();
        assert!(text.lines().count() <= MAX_ASKED + 20, "{}", text.lines().count());
        assert_eq!(ago(&FirstAskedList::new(state), 2 * MAX_ASKED, at(1007)), 7);
    }
}
