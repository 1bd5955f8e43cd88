//! Finds what a valid policy says that its author most likely does not mean.

use std::fmt;

use jiff::civil::Date;

use super::wide::{HOSTS, two_public};
use super::{Policy, in_words};
use gomodule::goversion::GoVersion;

/// Something doubtful, with its line in the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Doubt {
    /// The line in the file.
    pub line: u32,
    /// What is doubtful, and what to write.
    pub words: String,
}

impl fmt::Display for Doubt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: warning: {}", self.line, self.words)
    }
}

/// What is doubtful in a policy on a day, in the order of the file. `known_since` is the day of the oldest tree head whose time is
/// known, before which no record is known to be in the database.
pub fn doubtful(policy: &Policy, today: Date, known_since: Date) -> Vec<Doubt> {
    let mut found: Vec<Doubt> = denials(policy).chain(expired(policy, today)).chain(wide(policy)).collect();
    found.extend(min_age(policy, today, known_since));
    found.extend(misleading(policy));
    found.extend(idle_warnings(policy));
    found.sort_by_key(|doubt| doubt.line);
    found
}

/// What does other things than it seems to say: a comparison in `toolchains` with go1.26, which is its first release.
pub fn misleading(policy: &Policy) -> Vec<Doubt> {
    let words = |written: &str| {
        let sign = written.find("go").map_or("", |at| written[..at].trim());
        let line = written.trim_start_matches(sign).trim();
        let (major, minor) = GoVersion::parse(line)?.line();
        let (next, only) =
            (format!("go{major}.{}", minor.checked_add(1)?), format!("{line} in toolchains is {line}.0 alone"));
        Some(match sign {
            "<=" => format!("{only}: to allow all of its releases write \"<{next}\""),
            ">" => format!("{only}: to leave out all of its releases write \">={next}\""),
            _ => format!("{only}: for all of its releases write \">={line}, <{next}\""),
        })
    };
    let doubts = policy.lines_of_go.iter().filter_map(|at| Some(Doubt { line: at.line, words: words(&at.value)? }));
    doubts.collect()
}

/// Patterns of `[[deny]]` that match what is below a module, but not the module itself.
fn denials(policy: &Policy) -> impl Iterator<Item = Doubt> {
    policy.deny.iter().flat_map(move |selection| {
        let patterns = selection.modules.to_string();
        let above = |glob: &str| glob.strip_suffix("/*").map(str::to_owned);
        let is_denied = |above: &String| {
            let all =
                policy.deny.iter().filter(|other| other.versions.is_none() || other.versions == selection.versions);
            let mut globs = all.map(|other| other.modules.to_string());
            globs.any(|globs| globs.split(',').any(|glob| glob == above))
        };
        let missed: Vec<String> = patterns
            .split(',')
            .filter_map(above)
            .filter(|above| !HOSTS.contains(&above.as_str()) && !is_denied(above))
            .collect();
        missed.into_iter().map(|above| Doubt {
            line: selection.line,
            words: format!(
                "{above}/* does not deny {above} itself: write {above}, which also covers all modules below it"
            ),
        })
    })
}

fn expired(policy: &Policy, today: Date) -> impl Iterator<Item = Doubt> {
    let exceptions = policy.exceptions.iter().filter(move |exception| !exception.expires.includes(today));
    let exceptions = exceptions.map(|exception| {
        let words = format!("the exception for {} expired on {}", exception.modules(), exception.expires);
        (exception.line(), words)
    });
    let accepts = policy.accepts.iter().filter(move |accept| !accept.expires.includes(today));
    let accepts = accepts.map(|accept| {
        (accept.selection.line, format!("the [[accept]] of {} expired on {}", accept.what(), accept.expires))
    });
    let doubt = |(line, words)| Doubt { line, words: format!("{words}: remove it, or set a later day") };
    exceptions.chain(accepts).map(doubt)
}

/// An `[[accept]]` for modules of many owners.
fn wide(policy: &Policy) -> impl Iterator<Item = Doubt> {
    policy.accepts.iter().filter_map(|accept| {
        let [one, other] = two_public(&accept.selection.modules.to_string())?;
        let code = accept.code.name();
        let words = format!("the [[accept]] of {code} covers {one} and {other}: name only the modules that you mean");
        Some(Doubt { line: accept.selection.line, words })
    })
}

/// Rules that `warn` names, but that are not in the policy.
fn idle_warnings(policy: &Policy) -> impl Iterator<Item = Doubt> {
    policy.warn.iter().filter(|named| !policy.has(named.value)).map(|named| Doubt {
        line: named.line,
        words: format!("warn names {0}, but there is no {0} in this policy: remove it, or add the rule", named.value),
    })
}

/// A `min-age` that every record has, or none.
fn min_age(policy: &Policy, today: Date, known_since: Date) -> Option<Doubt> {
    let min = policy.min_age.as_ref()?;
    let doubt = |words: String| Some(Doubt { line: min.line, words });
    if min.value.is_zero() {
        return doubt("min-age is 0, which every record has: remove it, or set an age such as \"7d\"".to_owned());
    }
    let days = today.since(known_since).ok().and_then(|span| u64::try_from(span.get_days()).ok()).unwrap_or_default();
    if min.value.as_secs() <= days * 24 * 3600 {
        return None;
    }
    let effect = if policy.unknown_age_is_old {
        "so unknown-age = \"old\" decides for most of them"
    } else {
        "so every version is denied"
    };
    doubt(format!(
        "no record is known to be {} old, because the oldest known tree head is from {known_since}, {effect}: set a shorter min-age",
        in_words(min.value)
    ))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use jiff::civil::date;

    use super::*;
    use crate::policy::parse;

    fn found(text: &str) -> Vec<(u32, String)> {
        let all = doubtful(&parse(text).unwrap(), date(2026, 11, 27), date(2025, 7, 28));
        all.into_iter().map(|doubt| (doubt.line, doubt.words)).collect()
    }

    fn deny(module: &str) -> String {
        format!("[[deny]]\nmodule = \"{module}\"\nreason = \"x\"\n")
    }

    #[test]
    fn a_pattern_below_a_module_does_not_deny_the_module() {
        let one = found(&deny("example.com/evil/*, a.com"));
        assert_eq!((one.len(), one[0].0), (1, 1));
        assert!(one[0].1.starts_with("example.com/evil/* does not deny example.com/evil itself"), "{one:?}");
        for fine in
            [deny("example.com/evil"), deny("github.com/*"), deny("example.com/evil/*,example.com/evil"), deny("*.com")]
        {
            assert_eq!(found(&fine), [], "{fine}");
        }
        let two = format!("{}\n{}", deny("example.com/evil/*"), deny("example.com/evil"));
        assert_eq!(found(&two), []);
        let of_some = format!("{}versions = \"v1.0.0\"\n", deny("example.com/evil"));
        assert_eq!(found(&format!("{}\n{of_some}", deny("example.com/evil/*"))).len(), 1);
    }

    #[test]
    fn a_line_of_go_is_its_first_release() {
        let of = |ranges: &str| found(&format!("[policy]\ntoolchains = [\n  {ranges}\n]\n"));
        for (range, words) in [
            ("go1.26", "for all of its releases write \">=go1.26, <go1.27\""),
            (">=go1.25.3, = go1.26", "for all of its releases write \">=go1.26, <go1.27\""),
            ("go1.25.3 || <=go1.26", "to allow all of its releases write \"<go1.27\""),
            ("> go1.26", "to leave out all of its releases write \">=go1.27\""),
        ] {
            let expected = format!("go1.26 in toolchains is go1.26.0 alone: {words}");
            assert_eq!(of(&format!("\"go1.25.1\",\n  \"{range}\"")), [(4, expected)], "{range}");
        }
        for fine in [">=go1.26, <go1.27", "go1.26.0", "go1.27rc1", "<=go1.26.7"] {
            assert_eq!(of(&format!("\"{fine}\"")), [], "{fine}");
        }
    }

    #[test]
    fn an_exception_that_expired_lifts_nothing() {
        let exception = |day: &str| {
            format!("[[exception]]\nmodule = \"a.com\"\nfrom = [\"deny\"]\nreason = \"x\"\nexpires = {day}\n")
        };
        let words = "the exception for a.com expired on 2026-11-26: remove it, or set a later day";
        assert_eq!(found(&exception("2026-11-26")), [(1, words.to_owned())]);
        for valid in ["2026-11-27", "\"never\""] {
            assert_eq!(found(&exception(valid)), []);
        }
    }

    #[test]
    fn an_accept_that_expired_or_covers_all_owners() {
        let accept = |module: &str, day: &str| {
            format!("[[accept]]\ncode = \"unknown-version\"\nmodule = \"{module}\"\nreason = \"x\"\nexpires = {day}\n")
        };
        let words = "the [[accept]] of unknown-version for a.com expired on 2026-11-26: remove it, or set a later day";
        assert_eq!(found(&accept("a.com", "2026-11-26")), [(1, words.to_owned())]);
        let wide = found(&accept("github.com/*", "\"never\""));
        assert!(wide.len() == 1 && wide[0].1.contains("name only the modules that you mean"), "{wide:?}");
        assert_eq!(found(&accept("github.com/us/*", "2026-11-27")), []);
    }

    #[test]
    fn warn_names_rules_of_the_policy() {
        let text = "[policy]\nmin-age = \"7d\"\nwarn = [\n  \"min-age\",\n  \"retracted\"]\n";
        let words = "warn names retracted, but there is no retracted in this policy: remove it, or add the rule";
        assert_eq!(found(text), [(5, words.to_owned())]);
        assert_eq!(found(&format!("[policy]\nwarn = [\"deny\"]\n{}", deny("a.com"))), []);
    }

    #[test]
    fn an_age_that_every_record_has_or_none() {
        let of = |age: &str| found(&format!("[policy]\nmin-age = \"{age}\"\n"));
        assert_eq!((of("7d"), of("487d")), (Vec::new(), Vec::new()));
        let (zero, long) = (of("0h"), of("488d"));
        assert!(zero[0].0 == 2 && zero[0].1.contains("every record has"), "{zero:?}");
        assert!(
            long[0].1.contains("no record is known to be 488 days old") && long[0].1.contains("2025-07-28"),
            "{long:?}"
        );
        let old = found("[policy]\nmin-age = \"999d\"\nunknown-age = \"old\"\n");
        assert!(old[0].1.contains("unknown-age = \"old\" decides"), "{old:?}");
    }
}
