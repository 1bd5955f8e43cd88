//! What stands in for a required module (`cmd/go/internal/modload`, Replacement).

use std::collections::HashMap;

use super::directive::Replace;

/// The replacements of one or more files.
#[derive(Clone, Debug, Default)]
pub struct Replacements<'r>(HashMap<(&'r str, Option<&'r str>), &'r Replace>);

impl<'r> Replacements<'r> {
    /// The replacements in order: the first of several for the same module counts.
    pub fn of(replaces: impl IntoIterator<Item = &'r Replace>) -> Self {
        let mut found = HashMap::new();
        for replace in replaces {
            found.entry((replace.old.0.as_str(), replace.old.1.as_deref())).or_insert(replace);
        }
        Self(found)
    }

    /// The replacement of a module version. One for this version counts before one for all versions.
    pub fn find(&self, path: &str, version: &str) -> Option<&'r Replace> {
        self.0.get(&(path, Some(version))).or_else(|| self.0.get(&(path, None))).copied()
    }
}
