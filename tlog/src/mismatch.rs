//! An expected value and the one that was found instead.

use core::fmt;

/// An expected value and the different one that was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mismatch<T> {
    /// The value that the log, the plan or the caller requires.
    pub expected: T,
    /// The value in the input, or computed from it.
    pub found: T,
}

impl<T: fmt::Display> fmt::Display for Mismatch<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "expected {}, found {}", self.expected, self.found)
    }
}
