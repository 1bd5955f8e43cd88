//! When an exception ends.

use std::fmt;

use jiff::civil::Date;

/// When an exception ends. `Never` is later than every day.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Expiry {
    /// After this day.
    After(Date),
    /// It does not end.
    Never,
}

impl Expiry {
    /// Whether the exception applies on a day.
    pub fn includes(self, day: Date) -> bool {
        self >= Self::After(day)
    }

    /// `until 2027-06-30`, or `for good`.
    pub fn in_words(self) -> String {
        match self {
            Self::After(day) => format!("until {day}"),
            Self::Never => "for good".to_owned(),
        }
    }
}

/// As in the file.
impl fmt::Display for Expiry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::After(day) => day.fmt(f),
            Self::Never => f.write_str("never"),
        }
    }
}
