//! When the database was first asked for versions that it does not have.
//!
//! The database begins a record when somebody first looks a version up, and shows it minutes to an hour later. So its 404
//! tells a version that does not exist from a new one only some time after the first question. The moments are kept in a
//! file, `UNIX-SECONDS MODULE@VERSION` a line, appended without a lock: of two lines for one version the first counts. A
//! moment that is lost, or that lies in the future, counts as now, which makes nothing absent.
//!
//! A line of whoever can write to the file is believed: who can do that can take the head away, too.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, UNIX_EPOCH};

use tokio::time::Instant;

use super::error::SumdbError;
use crate::base::clock::Now;
use crate::store::StateDir;
use gomodule::module::{ModulePath, ModuleVersion};

/// Versions that are remembered; the oldest makes room for the newest. A large company meets some new ones a day.
const MAX_ASKED: usize = 10_000;
/// 2026-03-20, before any version of this program that writes the file; a clock that says less is wrong. In seconds.
const EARLIEST: u64 = 1_773_964_800;

#[derive(Debug)]
pub(super) struct Asked {
    state: Arc<StateDir>,
    /// None until somebody asks.
    noted: Mutex<Option<Noted>>,
}

/// What is in the file, and in which order.
#[derive(Debug, Default, PartialEq, Eq)]
struct Noted {
    at: HashMap<String, Moment>,
    order: VecDeque<String>,
    /// Lines in the file, those of dropped versions too.
    lines: usize,
}

/// By the clock on the wall, and if it was in this process, by the one that is never set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Moment {
    wall: u64,
    steady: Option<Instant>,
}

/// When a database was first asked for a version: so long ago.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FirstAsked(Duration);

impl FirstAsked {
    /// How long ago.
    pub fn ago(self) -> Duration {
        self.0
    }

    /// The later one of two.
    #[must_use]
    pub fn later(self, other: Self) -> Self {
        Self(self.0.min(other.0))
    }
}

impl Asked {
    pub(super) fn new(state: Arc<StateDir>) -> Self {
        Self { state, noted: Mutex::default() }
    }

    /// When `module` was first asked for; if that was never, it is noted as now. Blocks on the disk.
    pub(super) fn first(&self, module: &ModuleVersion, now: Now) -> Result<FirstAsked, SumdbError> {
        let seconds = now.wall.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        // A clock that was never set would make everything old once it is.
        if seconds < EARLIEST {
            return Ok(FirstAsked(Duration::ZERO));
        }
        let mut noted = self.noted()?;
        let Some(noted) = noted.as_mut() else { return Ok(FirstAsked(Duration::ZERO)) };
        let name = module.to_string();
        if let Some(Moment { wall, steady }) = noted.at.get(&name)
            && *wall <= seconds
        {
            let by_wall = Duration::from_secs(seconds - wall);
            let steady = steady.map(|steady| now.steady.saturating_duration_since(steady));
            // A clock that is set while this runs makes nothing older.
            return Ok(FirstAsked(steady.map_or(by_wall, |steady| steady.min(by_wall))));
        }
        noted.add(name.clone(), Moment { wall: seconds, steady: Some(now.steady) });
        if noted.lines > 2 * MAX_ASKED {
            self.state.set_first_asked(&noted.text());
            noted.lines = noted.order.len();
        } else {
            self.state.add_first_asked(&format!("{seconds} {name}\n"));
        }
        Ok(FirstAsked(Duration::ZERO))
    }

    /// Whether some version of `path` was asked for. Blocks on the disk.
    pub(super) fn has_any_of(&self, path: &ModulePath) -> Result<bool, SumdbError> {
        let noted = self.noted()?;
        let is_of = |name: &String| name.strip_prefix(path.as_ref()).is_some_and(|rest| rest.starts_with('@'));
        Ok(noted.as_ref().is_some_and(|noted| noted.order.iter().any(is_of)))
    }

    /// What is noted, read from the file the first time.
    fn noted(&self) -> Result<MutexGuard<'_, Option<Noted>>, SumdbError> {
        let mut noted = self.noted.lock().unwrap_or_else(PoisonError::into_inner);
        if noted.is_none() {
            *noted = Some(Noted::read(&self.state.first_asked()?.unwrap_or_default()));
        }
        Ok(noted)
    }
}

impl Noted {
    /// Reads the file. A line that cannot be read is as good as absent, and so is one that was not written to its end.
    fn read(text: &str) -> Self {
        let mut noted = Self::default();
        for line in text.split_inclusive('\n') {
            if let Some((at, name)) = line.strip_suffix('\n').and_then(|line| line.split_once(' '))
                && let Ok(wall) = at.parse()
                && wall >= EARLIEST
                && !noted.at.contains_key(name)
            {
                noted.add(name.to_owned(), Moment { wall, steady: None });
            }
        }
        noted.lines = text.lines().count();
        noted
    }

    fn add(&mut self, name: String, at: Moment) {
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
        let line = |name: &String| Some(format!("{} {name}\n", self.at.get(name)?.wall));
        self.order.iter().filter_map(line).collect()
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::disallowed_methods, clippy::unwrap_used, reason = "a test may touch the world, and panic")]

    use super::*;
    use crate::store::Store;

    impl FirstAsked {
        /// For tests of what follows from it.
        pub(crate) fn of(ago: Duration) -> Self {
            Self(ago)
        }
    }

    /// So many seconds after the earliest, by both clocks.
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

    fn ago(asked: &Asked, nth: usize, now: Now) -> u64 {
        asked.first(&module(nth), now).unwrap().ago().as_secs()
    }

    #[test]
    fn the_first_time_counts_also_after_a_start() {
        let folder = tempfile::tempdir().unwrap();
        let open = || Asked::new(state(&folder));
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
    fn a_clock_that_is_wrong_or_set_makes_nothing_older() {
        let folder = tempfile::tempdir().unwrap();
        let open = || Asked::new(state(&folder));
        assert_eq!(ago(&open(), 1, at(1000)), 0);
        // It went backwards: what was noted lies in the future.
        assert_eq!(ago(&open(), 1, at(500)), 0);
        // It was never set, and then is.
        let asked = open();
        assert_eq!(ago(&asked, 2, Now { wall: UNIX_EPOCH + Duration::from_mins(1), ..at(0) }), 0);
        assert_eq!(ago(&asked, 2, at(1000)), 0);
        // It jumps ahead by a day while a minute passes.
        assert_eq!(ago(&asked, 2, Now { wall: at(87_400).wall, ..at(1060) }), 60);
    }

    #[test]
    fn a_line_that_was_not_written_to_its_end_is_as_good_as_absent() {
        let (one, two) = (format!("{EARLIEST} example.com/a@v1.0.1\n"), format!("{EARLIEST} example.com/a@v1.0.1"));
        assert_eq!(Noted::read(&one).order.len(), 1);
        assert_eq!(Noted::read(&two).order.len(), 0, "the version might go on");
        assert_eq!(Noted::read("17 example.com/a@v1.0.1\n").order.len(), 0, "of a clock that was wrong");
    }

    #[test]
    fn the_oldest_makes_room_and_the_file_stays_bounded() {
        let folder = tempfile::tempdir().unwrap();
        let state = state(&folder);
        let asked = Asked::new(state.clone());
        for nth in 0..=MAX_ASKED {
            ago(&asked, nth, at(1000));
        }
        assert_eq!(ago(&asked, 1, at(2000)), 1000);
        assert_eq!(ago(&asked, 0, at(2000)), 0, "it fell out, and counts as new");
        for nth in MAX_ASKED + 1..=2 * MAX_ASKED + 10 {
            ago(&asked, nth, at(1000));
        }
        let text = state.first_asked().unwrap().unwrap();
        assert!(text.lines().count() <= MAX_ASKED + 20, "{}", text.lines().count());
        assert_eq!(ago(&Asked::new(state), 2 * MAX_ASKED, at(1007)), 7);
    }
}
