//! Random pairs of policies: every loosening change is found, and a pair without findings allows nothing new.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::fmt::Write;
use std::path::Path;
use std::time::Duration;

use jiff::civil::Date;

use super::loosened;
use crate::finding::{Code, Finding};
use crate::policy::{Accepting, Age, Facts, InForce, Policy, judge, parse};
use gomodule::module::ModuleVersion;

const PAIRS: u64 = 2_000;
const FACTS: u64 = 60;
const DAY: u64 = 86_400;

/// SplitMix64: the same seed gives the same pair.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut word = self.0;
        word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (word ^ (word >> 31)) % bound
    }

    fn one<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        let nth = self.below(of.len() as u64);
        &of[usize::try_from(nth).unwrap()]
    }

    fn yes(&mut self) -> bool {
        self.below(2) == 0
    }

    fn some<T: Clone>(&mut self, of: &[T]) -> Vec<T> {
        of.iter().filter(|_| self.yes()).cloned().collect()
    }
}

/// The content of a policy before it is written as text.
#[derive(Clone, Debug, Default)]
struct Sketch {
    deny: Vec<&'static str>,
    allow: Option<Vec<&'static str>>,
    exceptions: Vec<(&'static str, Vec<&'static str>, i16)>,
    min_age: Option<u64>,
    unknown_is_old: bool,
    flags: Vec<&'static str>,
    max_zip_size: Option<u64>,
    toolchains: Option<&'static str>,
    accepts: Vec<(&'static str, Option<&'static str>, i16)>,
    warn: Vec<&'static str>,
    /// Those of `deny` that only warn.
    deny_warns: Vec<&'static str>,
}

const MODULES: [&str; 4] = ["a.com/x", "a.com", "b.com/y", "golang.org/toolchain"];
const FLAGS: [&str; 4] = ["pseudo-versions", "pre-releases", "retracted", "unknown-modules"];
const RULES: [&str; 9] = [
    "deny",
    "default",
    "min-age",
    "pseudo-versions",
    "pre-releases",
    "retracted",
    "unknown-modules",
    "max-zip-size",
    "toolchains",
];
/// Codes of findings, with and without a module.
const CODES: [Code; 3] = [Code::UnknownVersion, Code::PrivateName, Code::VendorUnproved];
const TOOLCHAINS: [&str; 2] = [">=go1.26.0", ">=go1.27.0"];

impl Sketch {
    fn random(random: &mut Random) -> Self {
        let allow = random.yes().then(|| random.some(&MODULES));
        let exceptions = (0..random.below(3)).map(|_| {
            let rules = random.some(&RULES);
            (*random.one(&MODULES), if rules.is_empty() { vec!["deny"] } else { rules }, 2020)
        });
        let exceptions = exceptions.collect();
        let accepts = (0..random.below(3)).map(|_| {
            let code = *random.one(&CODES);
            (code.name(), code.is_about_a_module().then(|| *random.one(&MODULES)), 2020)
        });
        Self {
            accepts: accepts.collect(),
            exceptions,
            deny: random.some(&MODULES),
            allow,
            min_age: random.yes().then(|| 1 + random.below(3)),
            unknown_is_old: random.yes(),
            flags: random.some(&FLAGS),
            max_zip_size: random.yes().then(|| 100 * (1 + random.below(3))),
            toolchains: random.yes().then(|| *random.one(&TOOLCHAINS)),
            warn: if random.yes() { random.some(&RULES) } else { Vec::new() },
            deny_warns: random.some(&MODULES),
        }
    }

    fn has(&self, rule: &str) -> bool {
        match rule {
            "deny" => !self.deny.is_empty(),
            "default" => self.allow.is_some(),
            "min-age" => self.min_age.is_some(),
            "max-zip-size" => self.max_zip_size.is_some(),
            "toolchains" => self.toolchains.is_some(),
            flag => self.flags.contains(&flag),
        }
    }

    fn text(&self) -> String {
        let mut text = "[policy]\n".to_owned();
        if self.allow.is_some() {
            text.push_str("default = \"deny\"\n");
        }
        if let Some(weeks) = self.min_age {
            writeln!(text, "min-age = \"{weeks}w\"").unwrap();
        }
        let word = if self.unknown_is_old { "old" } else { "new" };
        writeln!(text, "unknown-age = \"{word}\"").unwrap();
        self.flags.iter().for_each(|flag| writeln!(text, "{flag} = \"deny\"").unwrap());
        if let Some(size) = self.max_zip_size {
            writeln!(text, "max-zip-size = \"{size}\"").unwrap();
        }
        if let Some(range) = self.toolchains {
            writeln!(text, "toolchains = [\"{range}\"]").unwrap();
        }
        writeln!(text, "warn = {:?}", self.warn).unwrap();
        for module in &self.deny {
            let warns = self.deny_warns.contains(module);
            writeln!(text, "[[deny]]\nmodule = \"{module}\"\nreason = \"r\"\nwarn = {warns}").unwrap();
        }
        for module in self.allow.iter().flatten() {
            writeln!(text, "[[allow]]\nmodule = \"{module}\"\nreason = \"r\"").unwrap();
        }
        for (module, rules, year) in &self.exceptions {
            writeln!(
                text,
                "[[exception]]\nmodule = \"{module}\"\nfrom = {rules:?}\nreason = \"r\"\nexpires = {year}-06-01"
            )
            .unwrap();
        }
        for (code, module, year) in &self.accepts {
            let module = module.map(|module| format!("module = \"{module}\"\n")).unwrap_or_default();
            writeln!(text, "[[accept]]\ncode = \"{code}\"\n{module}reason = \"r\"\nexpires = {year}-06-01").unwrap();
        }
        text
    }

    fn policy(&self) -> Policy {
        let text = self.text();
        parse(&text).unwrap_or_else(|error| panic!("{text}{error}"))
    }
}

/// Makes one change. Returns whether it loosens, or `None` if this sketch has nothing to change.
fn change(random: &mut Random, base: &Sketch, now: &mut Sketch) -> Option<bool> {
    match random.below(16) {
        0 => {
            let new = MODULES.into_iter().find(|module| !base.deny.contains(module))?;
            now.deny.push(new);
            Some(false)
        }
        1 => now.deny.pop().map(|_| true),
        2 => {
            let had = base.allow.is_some();
            now.allow = if had { None } else { Some(random.some(&MODULES)) };
            Some(had)
        }
        3 => now.allow.as_mut()?.pop().map(|_| false),
        4 => {
            let new =
                MODULES.into_iter().find(|module| !base.allow.as_ref().is_some_and(|had| had.contains(module)))?;
            now.allow.as_mut()?.push(new);
            Some(true)
        }
        5 => {
            let rule = *random.one(&RULES);
            now.exceptions.push(("c.com", vec![rule], 2030));
            Some(true)
        }
        6 => {
            let (.., year) = now.exceptions.first_mut()?;
            let later = random.yes();
            *year = if later { 2025 } else { 2019 };
            Some(later)
        }
        7 => change_min_age(random, base, now),
        8 => {
            let flag = *random.one(&FLAGS);
            let had = base.flags.contains(&flag);
            if had {
                now.flags.retain(|one| *one != flag);
            } else {
                now.flags.push(flag);
            }
            Some(had)
        }
        9 => {
            let (_, rules, _) = now.exceptions.first_mut()?;
            let rule = RULES.into_iter().find(|rule| !rules.contains(rule))?;
            rules.push(rule);
            // Another exception for the same modules may already lift it.
            let (module, ..) = &base.exceptions[0];
            let is_lifted = |one: &(&str, Vec<&str>, i16)| one.0 == *module && one.1.contains(&rule);
            Some(!base.exceptions.iter().any(is_lifted))
        }
        10..=12 => change_accepts(random, now),
        13 | 14 => change_warn(random, base, now),
        _ => {
            let old = base.max_zip_size?;
            let larger = random.yes();
            now.max_zip_size = Some(if larger { old + 1 } else { old - 1 });
            Some(larger)
        }
    }
}

fn change_accepts(random: &mut Random, now: &mut Sketch) -> Option<bool> {
    match random.below(3) {
        0 => {
            let (_, module, year) = now.accepts.first_mut()?;
            if let Some(module) = module.as_mut().filter(|_| random.yes()) {
                // Compared by its text.
                *module = "c.com";
                return Some(true);
            }
            let later = random.yes();
            *year = if later { 2025 } else { 2019 };
            Some(later)
        }
        1 => {
            let code = *random.one(&CODES);
            now.accepts.push((code.name(), code.is_about_a_module().then_some("d.com"), 2030));
            Some(true)
        }
        _ => now.accepts.pop().map(|_| false),
    }
}

/// Turns a rule, or a table of `[[deny]]`, to `warn` or back.
fn change_warn(random: &mut Random, base: &Sketch, now: &mut Sketch) -> Option<bool> {
    if random.yes() {
        let module = *base.deny.first()?;
        if base.deny_warns.contains(&module) {
            now.deny_warns.retain(|one| *one != module);
            return Some(false);
        }
        now.deny_warns.push(module);
        return Some(!base.warn.contains(&"deny"));
    }
    let rule = *random.one(&RULES);
    if base.warn.contains(&rule) {
        now.warn.retain(|one| *one != rule);
        return Some(false);
    }
    now.warn.push(rule);
    let denies = |module: &&str| !base.deny_warns.contains(module);
    Some(if rule == "deny" { base.deny.iter().any(denies) } else { base.has(rule) })
}

fn change_min_age(random: &mut Random, base: &Sketch, now: &mut Sketch) -> Option<bool> {
    let old = base.min_age?;
    now.min_age = *random.one(&[None, Some(old), Some(old + 1), old.checked_sub(1).filter(|age| *age > 0)]);
    now.unknown_is_old = random.yes();
    Some(match now.min_age {
        Some(new) if new > old => now.unknown_is_old,
        Some(new) if new == old => now.unknown_is_old && !base.unknown_is_old,
        _ => true,
    })
}

/// Makes a few more changes that do not loosen.
fn further(random: &mut Random, now: &Sketch) -> Sketch {
    let mut sketch = now.clone();
    for _ in 0..4 {
        let before = sketch.clone();
        let mut after = before.clone();
        if change(random, &before, &mut after) == Some(false) {
            sketch = after;
        }
    }
    sketch
}

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
