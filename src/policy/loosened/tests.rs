//! Random pairs of policies: every loosening change is found, and a pair without findings allows nothing new.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod sketch;

use std::path::Path;
use std::time::Duration;

use jiff::civil::Date;

use sketch::{CODES, Random, Sketch, change, further};

use super::loosened;
use crate::finding::Finding;
use crate::policy::{Accepting, Age, Facts, InForce, Policy, judge, parse};
use gomodule::module::ModuleVersion;

const DAY: u64 = 86_400;
const PAIRS: u64 = 2_000;
const FACTS: u64 = 60;

/// All facts about a module version.
struct Truth {
    module: &'static str,
    /// The least age of the record according to the sightings, and the ages of all sightings, in days.
    covered_since: Option<u64>,
    sightings: Vec<u64>,
    facts: Facts,
    finding: Finding,
    today: Date,
}

impl Truth {
    fn random(random: &mut Random) -> Self {
        let module = *random.one(&[
            "a.com/x@v1.0.0",
            "a.com/z@v1.0.0-rc.1",
            "b.com/y@v0.0.0-20200101000000-0123456789ab",
            "c.com/w@v1.0.0",
            "golang.org/toolchain@v0.0.1-go1.26.6.linux-amd64",
        ]);
        let sightings: Vec<u64> = (0..random.below(4)).map(|_| random.below(60)).collect();
        let covered_since = random.yes().then(|| sightings.iter().copied().max()).flatten();
        let mut facts = Facts::of(ModuleVersion::parse(module).unwrap());
        facts.in_database = Some(random.yes());
        facts.retracted = Some(random.yes().then(String::new));
        facts.zip_size = Some(random.below(450));
        let today = Date::new(*random.one(&[2018, 2022, 2028]), 1, 1).unwrap();
        let code = *random.one(&CODES);
        let finding =
            Finding { module: code.is_about_a_module().then(|| module.to_owned()), ..Finding::new(code, "x") };
        Self { module, covered_since, sightings, facts, finding, today }
    }

    /// A record is old if a sighting of the required age covers it. Otherwise it is young, or its age is unknown if the newest
    /// sighting of that age is more than twice as old.
    fn age(&self, min: u64) -> Age {
        let covered = self.covered_since.unwrap_or_default();
        let newest = self.sightings.iter().copied().filter(|age| *age >= min).min();
        if covered < min && newest.is_none_or(|age| age > 2 * min) {
            Age::Unknown
        } else {
            Age::AtLeast(Duration::from_secs(covered * DAY))
        }
    }

    fn is_unknown(&self, sketch: &Sketch) -> bool {
        sketch.min_age.is_some_and(|weeks| self.age(weeks * 7) == Age::Unknown)
    }

    /// How strict the policy is: 0 allows, 1 warns, 2 denies.
    fn level(&self, sketch: &Sketch, policy: &Policy) -> u8 {
        let age = Some(self.age(sketch.min_age.unwrap_or_default() * 7));
        let verdict = judge(policy, &Facts { age, ..self.facts.clone() }, self.today);
        if verdict.denial.is_some() { 2 } else { u8::from(!verdict.warnings.is_empty()) }
    }

    fn is_accepted(&self, now: &Policy, base: Option<&Policy>) -> bool {
        if now.accepts.is_empty() {
            return false;
        }
        let policies = InForce { now: Some(now.clone()), base: base.cloned() };
        let mut accepting = Accepting::new(Path::new("sumgate.toml"), policies, self.today);
        accepting.sort(vec![self.finding.clone()]).is_empty()
    }
}

#[test]
fn every_loosening_change_is_found_and_no_finding_means_nothing_new_is_allowed_or_without_a_warning() {
    let (mut counts, mut compared, mut unknown, mut accepted) = ([0; 2], 0, 0, 0);
    for seed in 0.. {
        if compared == PAIRS {
            break;
        }
        let mut random = Random(seed);
        let base = Sketch::random(&mut random);
        let mut now = base.clone();
        let Some(expected) = change(&mut random, &base, &mut now) else { continue };
        let (old, new) = (base.policy(), now.policy());
        let found = loosened(&old, &new);
        assert_eq!(!found.is_empty(), expected, "seed {seed}: {found:?}\n{}---\n{}", base.text(), now.text());
        counts[usize::from(expected)] += 1;

        // Whatever a change is, it accepts nothing that the base counts.
        let truth = Truth::random(&mut random);
        let [was, is] = [&old, &new].map(|policy| truth.is_accepted(policy, None));
        assert_eq!(truth.is_accepted(&new, Some(&old)), was && is, "seed {seed}: {}\n---\n{}", base.text(), now.text());
        accepted += usize::from(was && is);

        // A policy without findings denies and warns of everything as the earlier one, after any number of changes.
        let other = further(&mut random, &now);
        let (pair, new) = if random.yes() { (&now, now.policy()) } else { (&other, other.policy()) };
        if !loosened(&old, &new).is_empty() {
            continue;
        }
        compared += 1;
        for _ in 0..FACTS {
            let truth = Truth::random(&mut random);
            unknown += usize::from(truth.is_unknown(&base) || truth.is_unknown(pair));
            let let_in = truth.level(&base, &old) > truth.level(pair, &new);
            assert!(!let_in, "seed {seed}: {}\n{}---\n{}", truth.module, base.text(), pair.text());
            let newly_accepted = truth.is_accepted(&new, None) && !truth.is_accepted(&old, None);
            assert!(!newly_accepted, "seed {seed}: {:?}\n{}---\n{}", truth.finding, base.text(), pair.text());
        }
    }
    assert!(counts.iter().all(|count| *count > 1000), "{counts:?}");
    assert!(unknown > 10_000, "{unknown} of {compared} pairs");
    assert!(accepted > 50, "{accepted} of {compared} pairs");
}

#[test]
fn only_what_lifts_or_accepts_loosens_an_empty_policy() {
    for seed in 0..200 {
        let mut first = Sketch::random(&mut Random(seed));
        let both = first.exceptions.len() + first.accepts.len();
        assert_eq!(loosened(&Policy::default(), &first.policy()).len(), both);
        (first.exceptions, first.accepts) = Default::default();
        assert_eq!(loosened(&Policy::default(), &first.policy()), Vec::<String>::new());
    }
}

#[test]
fn other_versions_are_another_selection() {
    let policy = |list: &str, versions: &str| {
        let text = format!(
            "[policy]\ndefault = \"deny\"\n[[{list}]]\nmodule = \"a.com\"\nversions = \"{versions}\"\nreason = \"r\"\n"
        );
        parse(&text).unwrap()
    };
    for list in ["deny", "allow"] {
        let (one, other) = (policy(list, "<v1.2.0"), policy(list, "<v1.3.0"));
        assert_eq!((loosened(&one, &one).len(), loosened(&one, &other).len()), (0, 1), "{list}");
    }
}

#[test]
fn reasons_and_lines_do_not_matter() {
    let text = "[policy]\nmin-age = \"7d\"\n[[deny]]\nmodule = \"a.com\"\nreason = \"r\"\n";
    let policy = |text: &str| parse(text).unwrap();
    let other = text.replace("\"r\"", "\"another\"").replace("[[deny]]", "# A comment.\n\n[[deny]]");
    assert_eq!(loosened(&policy(text), &policy(&other)), Vec::<String>::new());
}

#[test]
fn newly_allowed_toolchains_loosen_the_default() {
    let policy = |text: &str| parse(&format!("[policy]\n{text}\n")).unwrap();
    let of = |base: &str, now: &str| loosened(&policy(base), &policy(now)).len();
    assert_eq!(of("default = \"deny\"", "default = \"deny\"\ntoolchains = [\">=go1.26.0\"]"), 1);
    assert_eq!(of("", "toolchains = [\">=go1.26.0\"]"), 0);
    assert_eq!(of("toolchains = [\">=go1.26.0\"]", "toolchains = [\">=go1.25.0\"]"), 1);
    assert_eq!(of("toolchains = [\">=go1.26.0\"]", ""), 1);
}
