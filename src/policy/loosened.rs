//! Finds changes of a policy that may allow what the earlier policy denies, or warns of.
//!
//! The policies are compared by their text. A change counts as loosening unless it is known to be at least as strict: a new
//! `[[deny]]`, a removed `[[allow]]`, `[[exception]]` or `[[accept]]`, one of the last two that expires earlier, an exception that
//! lifts fewer rules, a new rule, a larger `min-age`, a smaller `max-zip-size`, a rule that denies where it warned.

use super::{Accept, Exception, Policy, Rule, Selection};

/// Describes the changes from the policy `base` to the policy `now` that may loosen it.
pub fn loosened(base: &Policy, now: &Policy) -> Vec<String> {
    let mut found = Vec::new();
    lists(base, now, &mut found);
    exceptions(base, now, &mut found);
    found.extend(newly_accepted(base, now));
    min_age(base, now, &mut found);
    if let Some(old) = &base.max_zip_size
        && now.max_zip_size.as_ref().is_none_or(|new| new.value > old.value)
    {
        found.push("max-zip-size is larger, or gone".to_owned());
    }
    for (rule, was, is) in [
        (Rule::PseudoVersions, base.pseudo_versions, now.pseudo_versions),
        (Rule::PreReleases, base.pre_releases, now.pre_releases),
        (Rule::Retracted, base.retracted, now.retracted),
        (Rule::UnknownModules, base.unknown_modules, now.unknown_modules),
    ] {
        if was.is_some() && is.is_none() {
            found.push(format!("{rule} no longer denies"));
        }
    }
    toolchains(base, now, &mut found);
    // Those of `[[deny]]` are compared one by one. A rule that is gone was found above.
    let denied = Rule::all().filter(|rule| *rule != Rule::Deny && base.denies(*rule));
    let warns = denied.filter(|rule| now.has(*rule) && now.warns(*rule));
    found.extend(warns.map(|rule| format!("{rule} only warns now")));
    found
}

fn lists(base: &Policy, now: &Policy, found: &mut Vec<String>) {
    let warns = |policy: &Policy, table: &Selection| table.warns || policy.warns(Rule::Deny);
    for old in &base.deny {
        let like: Vec<&Selection> = now.deny.iter().filter(|new| new.is_like(old)).collect();
        let change = if like.is_empty() {
            "is changed or gone"
        } else if !warns(base, old) && like.iter().all(|new| warns(now, new)) {
            "only warns now"
        } else {
            continue;
        };
        found.push(format!("the [[deny]] of {} (line {}) {change}", old.modules, old.line));
    }
    if base.default_deny.is_none() {
        return;
    }
    if now.default_deny.is_none() {
        found.push("default is no longer \"deny\"".to_owned());
    }
    for new in now.allow.iter().filter(|new| !base.allow.iter().any(|old| old.is_like(new))) {
        found.push(format!("the [[allow]] of {} (line {}) is new or changed", new.modules, new.line));
    }
}

fn exceptions(base: &Policy, now: &Policy, found: &mut Vec<String>) {
    for new in &now.exceptions {
        // Also for rules that the base does not have: the exception would lift a rule that is added later.
        let within = |old: &Exception, rule: &Rule| {
            old.selection.is_like(&new.selection) && old.from.contains(rule) && old.expires >= new.expires
        };
        if !new.from.iter().all(|rule| base.exceptions.iter().any(|old| within(old, rule))) {
            found.push(format!(
                "the [[exception]] of {} (line {}) is new, or lifts more or longer",
                new.selection.modules, new.selection.line
            ));
        }
    }
}

/// Describes each `[[accept]]` of the policy `now` that accepts more than those of the policy `base`, or longer.
pub fn newly_accepted(base: &Policy, now: &Policy) -> Vec<String> {
    let within = |old: &Accept, new: &Accept| {
        old.code == new.code && old.selection.is_like(&new.selection) && old.expires >= new.expires
    };
    let new = now.accepts.iter().filter(|new| !base.accepts.iter().any(|old| within(old, new)));
    let words = |new: &Accept| {
        let line = new.selection.line;
        format!("the [[accept]] of {} (line {line}) is new, or accepts more or longer", new.what())
    };
    new.map(words).collect()
}

fn min_age(base: &Policy, now: &Policy, found: &mut Vec<String>) {
    let Some(old) = &base.min_age else { return };
    match &now.min_age {
        None => found.push("min-age is gone".to_owned()),
        Some(new) if new.value < old.value => found.push("min-age is smaller".to_owned()),
        // For a larger min-age, the age of more records is unknown.
        Some(new) if new.value > old.value && now.unknown_age_is_old => {
            found.push("min-age is larger while unknown-age is \"old\"".to_owned());
        }
        Some(_) if now.unknown_age_is_old && !base.unknown_age_is_old => {
            found.push("unknown-age is now \"old\"".to_owned());
        }
        Some(_) => {}
    }
}

fn toolchains(base: &Policy, now: &Policy, found: &mut Vec<String>) {
    match (&base.toolchains, &now.toolchains) {
        // Ranges are compared by their text.
        (Some(old), new) if new.as_ref().is_none_or(|new| new.value != old.value) => {
            found.push("toolchains is changed or gone".to_owned());
        }
        // `default = "deny"` does not apply to toolchains that are allowed here.
        (None, Some(_)) if base.default_deny.is_some() => {
            found.push("toolchains is new, and lifts default = \"deny\" for those that it allows".to_owned());
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests;
