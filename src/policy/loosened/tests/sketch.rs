//! Policies as values, and random changes of them, each known to loosen or not.

use std::fmt::Write;

use crate::finding::Code;
use crate::policy::{Policy, parse};

/// SplitMix64: the same seed gives the same pair.
pub(super) struct Random(pub(super) u64);

impl Random {
    pub(super) fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut word = self.0;
        word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (word ^ (word >> 31)) % bound
    }

    pub(super) fn one<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        let nth = self.below(of.len() as u64);
        &of[usize::try_from(nth).unwrap()]
    }

    pub(super) fn yes(&mut self) -> bool {
        self.below(2) == 0
    }

    pub(super) fn some<T: Clone>(&mut self, of: &[T]) -> Vec<T> {
        of.iter().filter(|_| self.yes()).cloned().collect()
    }
}

/// The content of a policy before it is written as text.
#[derive(Clone, Debug, Default)]
pub(super) struct Sketch {
    pub(super) deny: Vec<&'static str>,
    pub(super) allow: Option<Vec<&'static str>>,
    pub(super) exceptions: Vec<(&'static str, Vec<&'static str>, i16)>,
    pub(super) min_age: Option<u64>,
    pub(super) unknown_is_old: bool,
    pub(super) flags: Vec<&'static str>,
    pub(super) max_zip_size: Option<u64>,
    pub(super) toolchains: Option<&'static str>,
    pub(super) accepts: Vec<(&'static str, Option<&'static str>, i16)>,
    pub(super) warn: Vec<&'static str>,
    /// Those of `deny` that only warn.
    pub(super) deny_warns: Vec<&'static str>,
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
pub(super) const CODES: [Code; 3] = [Code::UnknownVersion, Code::PrivateName, Code::VendorUnproved];
const TOOLCHAINS: [&str; 2] = [">=go1.26.0", ">=go1.27.0"];

impl Sketch {
    pub(super) fn random(random: &mut Random) -> Self {
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

    pub(super) fn has(&self, rule: &str) -> bool {
        match rule {
            "deny" => !self.deny.is_empty(),
            "default" => self.allow.is_some(),
            "min-age" => self.min_age.is_some(),
            "max-zip-size" => self.max_zip_size.is_some(),
            "toolchains" => self.toolchains.is_some(),
            flag => self.flags.contains(&flag),
        }
    }

    pub(super) fn text(&self) -> String {
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

    pub(super) fn policy(&self) -> Policy {
        let text = self.text();
        parse(&text).unwrap_or_else(|error| panic!("{text}{error}"))
    }
}

/// Makes one change. Returns whether it loosens, or `None` if this sketch has nothing to change.
pub(super) fn change(random: &mut Random, base: &Sketch, now: &mut Sketch) -> Option<bool> {
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
pub(super) fn further(random: &mut Random, now: &Sketch) -> Sketch {
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
