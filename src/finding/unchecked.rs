//! Lines that were not checked, grouped by their common cause.

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
    for line in unchecked {
        // The causes are few: each is about a database.
        match groups.iter_mut().find(|group| group.cause.is_some() && group.cause == line.cause.as_deref()) {
            Some(group) => group.lines.push(line),
            None => groups.push(Group { cause: line.cause.as_deref(), lines: vec![line] }),
        }
    }
    groups
}
