//! What stands in for a required module (`cmd/go/internal/modload`, Replacement).

use std::collections::HashMap;

use super::directive::Replace;

/// The replacements of one or more files.
#[derive(Clone, Debug, Default)]
pub struct Replacements(HashMap<String, HashMap<Option<String>, Replace>>);

impl Replacements {
    /// The replacements in order: the first of several for the same module counts.
    pub fn of<'r>(replaces: impl IntoIterator<Item = &'r Replace>) -> Self {
        let mut this = Self::default();
        replaces.into_iter().for_each(|replace| this.add(replace.clone()));
        this
    }

    /// Adds one, unless there is one for the same module.
    pub fn add(&mut self, replace: Replace) {
        let (path, version) = replace.old.clone();
        self.0.entry(path).or_default().entry(version).or_insert(replace);
    }

    /// The replacement of a module version. One for this version counts before one for all versions.
    pub fn find(&self, path: &str, version: &str) -> Option<&Replace> {
        let of_path = self.0.get(path)?;
        of_path.get(&Some(version.to_owned())).or_else(|| of_path.get(&None))
    }
}
