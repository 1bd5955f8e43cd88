//! The repository of a report. Formats for other programs name files from its top folder, wherever the command runs.

use std::path::{Path, PathBuf};

use crate::base::tree::lexical;

/// The repository of a report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Root {
    /// The working folder, where relative paths begin.
    here: PathBuf,
    /// The top folder, by each of its names.
    tops: Vec<PathBuf>,
    /// A file of the repository, relative to the top folder.
    module: PathBuf,
}

impl Root {
    /// The repository with the top folder `tops`, which may have several names. What lies elsewhere is shown at its file `module`.
    pub fn new(here: impl Into<PathBuf>, tops: Vec<PathBuf>, module: impl Into<PathBuf>) -> Self {
        Self { here: here.into(), tops, module: module.into() }
    }

    /// The path from the top folder; `None` for the top folder itself, and for files outside the repository.
    pub(super) fn inside(&self, file: &Path) -> Option<PathBuf> {
        let path = lexical(&self.here.join(file));
        let inside = self.tops.iter().find_map(|top| path.strip_prefix(top).ok())?;
        (inside.is_relative() && !inside.as_os_str().is_empty()).then(|| inside.to_owned())
    }

    /// The path from the top folder, or else as it is.
    pub(super) fn shown(&self, file: &Path) -> PathBuf {
        self.inside(file).unwrap_or_else(|| file.to_owned())
    }

    /// A file of the repository, relative to the top folder.
    pub(super) fn module(&self) -> &Path {
        &self.module
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_named_from_the_top_folder() {
        let root = Root::new("/r/sub", vec!["/r".into(), "/link/r".into()], "go.mod");
        let inside = |file: &str| root.inside(Path::new(file)).map(|path| path.display().to_string());
        for (file, path) in [
            ("go.sum", "sub/go.sum"),
            ("./a/go.sum", "sub/a/go.sum"),
            ("../go.mod", "go.mod"),
            ("/r/x/go.sum", "x/go.sum"),
            ("/link/r/x/go.sum", "x/go.sum"),
        ] {
            assert_eq!(inside(file).as_deref(), Some(path), "{file}");
        }
        for outside in ["../../go.sum", "/go.sum", "/rr/go.sum", ".."] {
            assert_eq!(inside(outside), None, "{outside}");
            assert_eq!(root.shown(Path::new(outside)), Path::new(outside));
        }
    }
}
