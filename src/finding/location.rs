//! Where a finding is.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

/// A line of a file, or a whole file.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    /// The path, which is relative if the file is below the working folder. All lines of a file share it.
    pub file: Arc<Path>,
    /// The line number, from 1; `None` for the whole file.
    pub line: Option<u32>,
}

impl<P: AsRef<Path> + ?Sized> From<&P> for Place {
    fn from(file: &P) -> Self {
        Self { file: file.as_ref().into(), line: None }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file.display())?;
        self.line.map_or(Ok(()), |line| write!(f, ":{line}"))
    }
}
