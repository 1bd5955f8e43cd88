//! Generated proxy lists, answers and states: no 404 that the rules of `mirror/absence` do not allow.
//!
//! `SUMGATE_CASES` sets how many (300), `SUMGATE_SEED` which ones. A failure prints its case; the same seed makes it again.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

use fastrand::Rng;
use libtest_mimic::Trial;
use testkit::{Fault, Origin, World};

use crate::fixture::{Mirror, get, origin, trial};

pub fn trials() -> Vec<Trial> {
    vec![trial("absence: generated proxy lists, answers and states", generated)]
}

const MODULE: &str = "example.com/fresh@v1.0.0";
const PATHS: [&str; 5] = [
    "/example.com/fresh/@v/list",
    "/example.com/fresh/@latest",
    "/example.com/fresh/@v/v1.0.0.info",
    "/example.com/fresh/@v/v1.0.0.mod",
    "/example.com/fresh/@v/v1.0.0.zip",
];
const INFO: usize = 2;
const MOD: usize = 3;
const ZIP: usize = 4;
const LOOKUP: &str = "/lookup/example.com/fresh@v1.0.0";
const SOURCES: usize = 3;
/// Each case is a process that mostly waits.
const THREADS: usize = 8;

/// The answer of an upstream to a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Says {
    Right,
    NotFound,
    Gone,
    WantsLogin,
    Refuses,
    RefusesByLaw,
    Fails,
    FailsForAWhile,
    Page,
    Changed,
}

/// The answer of the database about the version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Database {
    HasRecord,
    HasNone,
    /// Lookups are 404, and there is no signed head.
    IsAnother,
    LacksTiles,
    Fails,
}

#[derive(Clone, Debug)]
struct Case {
    chain: Vec<([Says; PATHS.len()], char)>,
    database: Database,
    /// Seconds since the first lookup.
    first_asked: Option<u64>,
    exempt: bool,
    offline: bool,
    /// The answer of a second database.
    second: Option<Database>,
    /// Whether the zip was released before.
    is_here: bool,
    /// The upstream that once sent an HTML page instead of the zip.
    once_wrong: Option<usize>,
}

impl Case {
    fn of(rng: &mut Rng) -> Self {
        let mut says = || {
            use Says::{
                Changed, Fails, FailsForAWhile, Gone, NotFound, Page, Refuses, RefusesByLaw, Right, WantsLogin,
            };
            // Mostly absent: the rules are about the other answers.
            let all = [NotFound, NotFound, NotFound, NotFound, Gone, Right, Right, Fails, Refuses, RefusesByLaw];
            match rng.u32(0..20) {
                0 => WantsLogin,
                1 => FailsForAWhile,
                2 => Page,
                3 => Changed,
                _ => all[rng.usize(0..all.len())],
            }
        };
        let sources: Vec<[Says; PATHS.len()]> = (0..SOURCES).map(|_| std::array::from_fn(|_| says())).collect();
        let alike = rng.bool();
        let length = rng.usize(1..=SOURCES);
        let chain = sources.into_iter().take(length).map(|says| {
            let says = if alike { [says[0]; PATHS.len()] } else { says };
            (says, if rng.bool() { ',' } else { '|' })
        });
        let chain: Vec<_> = chain.collect();
        let databases =
            [Database::HasRecord, Database::HasNone, Database::IsAnother, Database::LacksTiles, Database::Fails];
        // Half of the cases have one of the first two.
        let kinds = if rng.bool() { 2 } else { databases.len() };
        Self {
            database: databases[rng.usize(0..kinds)],
            first_asked: rng.bool().then(|| [60, 7000, 7300, 100_000][rng.usize(0..4)]),
            exempt: rng.u32(0..6) == 0,
            offline: rng.u32(0..10) == 0,
            second: (rng.u32(0..4) == 0).then(|| databases[rng.usize(0..kinds)]),
            is_here: rng.u32(0..6) == 0,
            once_wrong: (rng.u32(0..4) == 0).then(|| rng.usize(0..chain.len())),
            chain,
        }
    }

    fn all_absent(&self, path: usize) -> bool {
        self.chain.iter().all(|(says, _)| matches!(says[path], Says::NotFound | Says::Gone))
    }

    /// Whether the record of the first database was proved before.
    fn is_kept(&self) -> bool {
        !self.exempt && (self.is_here || (self.once_wrong.is_some() && !self.offline))
    }

    /// Whether the record is proved, now or before.
    fn is_proved(&self) -> bool {
        let by_second = self.database == Database::HasNone && self.second == Some(Database::HasRecord);
        self.is_kept() || (!self.offline && (self.database == Database::HasRecord || by_second))
    }

    /// Whether the rules allow `PATHS[path]` to be absent: an independent, simple implementation.
    fn may_be_absent(&self, path: usize) -> bool {
        if self.offline || (path < MOD && self.is_here) {
            return false;
        }
        if path < MOD || self.exempt || self.is_proved() {
            return self.all_absent(path);
        }
        self.second.is_none_or(|second| second == Database::HasNone) && self.lookup_may_be_absent()
    }

    /// The same for a lookup in the first database.
    fn lookup_may_be_absent(&self) -> bool {
        let overdue = self.first_asked.is_some_and(|ago| ago > 2 * 3600);
        !self.offline
            && self.database == Database::HasNone
            && !self.is_kept()
            && (overdue || [INFO, MOD, ZIP].iter().all(|path| self.all_absent(*path)))
    }

    /// Whether `PATHS[path]` must be served: a stored proved file, or each upstream has it and there is a record.
    fn must_come(&self, path: usize) -> bool {
        let right = !self.offline && self.chain.iter().all(|(says, _)| says[path] == Says::Right);
        (self.is_here && path >= MOD) || (right && (path < MOD || self.exempt || self.is_proved()))
    }
}

/// The origins of one thread: what each of them does is set anew for each case.
struct Stage {
    sources: Vec<Origin>,
    databases: [Origin; 2],
}

fn world(mut world: World) -> Origin {
    world.add_simple(MODULE, "", "package fresh\n");
    world.pad(1);
    origin(world)
}

impl Stage {
    fn new() -> Self {
        let sources = (0..SOURCES).map(|_| world(World::demo())).collect();
        Self { sources, databases: [world(World::demo()), world(World::new("second.localdev", [9; 32]))] }
    }

    fn set(&self, case: &Case) {
        for (source, (says, _)) in self.sources.iter().zip(&case.chain) {
            source.behave();
            // The database has one address.
            source.misbehave("/sumdb/*", Fault::Status(404, "not found"));
            for (path, says) in PATHS.iter().zip(says) {
                if let Some(fault) = fault(*says) {
                    source.misbehave(path, fault);
                }
            }
        }
        for (origin, database) in self.databases.iter().zip([Some(case.database), case.second]) {
            origin.behave();
            match database {
                Some(Database::HasRecord) | None => {}
                Some(Database::HasNone) => origin.misbehave(LOOKUP, Fault::Status(404, "not found")),
                Some(Database::IsAnother) => {
                    origin.misbehave("/lookup/*", Fault::Status(404, "not found"));
                    origin.misbehave("/latest", Fault::Body("<html>Log in</html>".into()));
                }
                Some(Database::LacksTiles) => origin.misbehave("/tile/*", Fault::Status(404, "not found")),
                Some(Database::Fails) => origin.misbehave("/lookup/*", Fault::Status(418, "out of order")),
            }
        }
    }

    fn mirror(&self, case: &Case, offline: bool, folder: &tempfile::TempDir) -> Mirror {
        let links = self.sources.iter().zip(&case.chain);
        let chain: String = links.map(|(source, (_, separator))| format!("{}{separator}", source.url())).collect();
        let [first, second] = self.databases.each_ref().map(Origin::gosumdb);
        let mut words = vec!["--upstream", &chain, "--sumdb", &first, "--hold-for", "0s", "--fresh-for", "0s"];
        if case.second.is_some() {
            words.extend(["--sumdb", &second]);
        }
        if offline {
            words.push("--offline");
        }
        words.extend(["--absent-for", "0s"]);
        if case.exempt {
            words.extend(["--nosumdb", "example.com/fresh"]);
        }
        Mirror::start_with(&folder.path().join("data"), &words)
    }

    /// The events before the case: a release, an HTML page instead of a zip, a first lookup long ago.
    fn prepare(&self, case: &Case, folder: &tempfile::TempDir) {
        self.sources.iter().for_each(Origin::behave);
        self.databases.iter().for_each(Origin::behave);
        let mirror = self.mirror(case, false, folder);
        if case.is_here {
            assert_eq!([MOD, ZIP].map(|nth| get(&mirror.url, PATHS[nth]).status), [200, 200]);
        }
        drop(mirror);
        if let Some(ago) = case.first_asked {
            let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
            for state in std::fs::read_dir(folder.path().join("data/sumdb")).unwrap() {
                let noted = state.unwrap().path().join("first-asked");
                std::fs::write(noted, format!("{} {MODULE}\n", now - ago)).unwrap();
            }
        }
    }
}

fn fault(says: Says) -> Option<Fault> {
    Some(match says {
        Says::Right => return None,
        Says::NotFound => Fault::Status(404, "not found"),
        Says::Gone => Fault::Status(410, "gone"),
        Says::WantsLogin => Fault::Status(401, "who are you"),
        Says::Refuses => Fault::Status(403, "no"),
        Says::RefusesByLaw => Fault::Status(451, "no"),
        Says::Fails => Fault::Status(418, "out of order"),
        Says::FailsForAWhile => Fault::Reset,
        Says::Page => Fault::Body("<html>Log in</html>".into()),
        Says::Changed => Fault::FlipBit(7),
    })
}

fn generated() {
    let number = |name: &str, otherwise: u64| std::env::var(name).map_or(otherwise, |text| text.parse().unwrap());
    let (cases, seed) = (number("SUMGATE_CASES", 300), number("SUMGATE_SEED", 1));
    let (next, absent) = (AtomicU64::new(0), AtomicU64::new(0));
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                let stage = Stage::new();
                loop {
                    let nth = next.fetch_add(1, Ordering::Relaxed);
                    if nth >= cases {
                        return;
                    }
                    let case = Case::of(&mut Rng::with_seed(seed.wrapping_mul(1_000_003).wrapping_add(nth)));
                    absent.fetch_add(try_case(&stage, &case), Ordering::Relaxed);
                }
            });
        }
    });
    // Otherwise rules that allow nothing would pass, too.
    let (cases, absent) = (cases, absent.into_inner());
    assert!(absent >= cases / 4, "only {absent} absences in {cases} cases");
}

/// Returns how many answers were absent.
fn try_case(stage: &Stage, case: &Case) -> u64 {
    let folder = tempfile::tempdir().unwrap();
    stage.prepare(case, &folder);
    let mirror = stage.mirror(case, case.offline, &folder);
    if let Some(nth) = case.once_wrong {
        for source in &stage.sources {
            source.misbehave(PATHS[ZIP], Fault::Status(404, "not found"));
        }
        stage.sources[nth].misbehave(PATHS[ZIP], Fault::Body("<html>Log in</html>".into()));
        get(&mirror.url, PATHS[ZIP]);
    }
    stage.set(case);
    let mut absent = 0;
    for (nth, path) in PATHS.iter().enumerate() {
        let answer = get(&mirror.url, path);
        let told = || format!("{path} is {}: {}\n{case:#?}", answer.status, answer.text());
        assert!(answer.status != 404 || case.may_be_absent(nth), "{}", told());
        assert!(!case.must_come(nth) || answer.status == 200, "{}", told());
        absent += u64::from(answer.status == 404);
    }
    let answer = get(&mirror.url, LOOKUP);
    let allowed = case.exempt || case.lookup_may_be_absent();
    assert!(answer.status != 404 || allowed, "lookup: {}\n{case:#?}", answer.text());
    absent
}
