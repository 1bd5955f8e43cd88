//! Lines that were not checked, grouped by their common cause.

use std::collections::HashMap;

use super::Unaudited;
use crate::base::text::safe;

/// Lines with one cause; or one line.
pub(super) struct Group<'a> {
    cause: Option<&'a str>,
    pub(super) lines: Vec<&'a Unaudited>,
}

impl Group<'_> {
    /// One sentence for all lines of a group; `None` for a single line, which is shown itself.
    pub(super) fn summary(&self) -> Option<String> {
        let cause = self.cause.filter(|_| self.lines.len() > 1)?;
        Some(format!("{} lines not checked: {}", self.lines.len(), safe(cause)))
    }
}

/// The groups in the order of their first lines.
pub(super) fn by_cause(unchecked: &[Unaudited]) -> Vec<Group<'_>> {
    let mut groups: Vec<Group<'_>> = Vec::new();
    let mut of_cause: HashMap<&str, usize> = HashMap::new();
    for line in unchecked {
        let cause = line.cause.as_deref();
        let at = cause.map_or(groups.len(), |cause| *of_cause.entry(cause).or_insert(groups.len()));
        match groups.get_mut(at) {
            Some(group) => group.lines.push(line),
            None => groups.push(Group { cause, lines: vec![line] }),
        }
    }
    groups
}
