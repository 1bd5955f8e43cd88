//! Why the policy accepts findings: they are reported, and do not fail the command.

use jiff::civil::Date;

use super::Place;

/// Why findings are accepted: an `[[accept]]` of the policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Acceptance {
    /// The reason, on one line.
    pub reason: String,
    /// The last day; `None` for good.
    pub until: Option<Date>,
    /// The line of the policy.
    pub place: Place,
}

impl Acceptance {
    /// `until 2027-06-30`, or `for good`.
    pub(super) fn until(&self) -> String {
        self.until.map_or_else(|| "for good".to_owned(), |day| format!("until {day}"))
    }

    /// The last day, as in the policy: `2027-06-30` or `never`.
    pub fn expires(&self) -> String {
        self.until.map_or_else(|| "never".to_owned(), |day| day.to_string())
    }

    /// One sentence: until when, where, and why.
    pub(crate) fn in_words(&self) -> String {
        format!("accepted {} ({}): {}", self.until(), self.place, self.reason)
    }
}
