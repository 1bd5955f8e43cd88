//! Module paths, versions and patterns, and their escaped forms in URLs and file names.
//!
//! The rules are those of `golang.org/x/mod/module` and `golang.org/x/mod/semver` (<https://go.dev/ref/mod>).

mod path;
mod pattern;
mod version;

use std::fmt;

pub(crate) use path::{DEVICES, is_import_path, major_suffix};
pub use path::{ModulePath, PathError};
pub use pattern::{HOSTS_IGNORING_CASE, PatternError, Patterns};
pub(crate) use version::canonical;
pub use version::{Query, Version, VersionError, is_semver};

/// A module path with a version whose major version matches the path.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ModuleVersion {
    /// The module.
    pub path: ModulePath,
    /// The version.
    pub version: Version,
}

/// Why a text is not a valid module version.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ModuleVersionError {
    /// No `@`.
    #[error("expected MODULE@VERSION with a full version, such as golang.org/x/text@v0.3.0, found {0:?}")]
    NoVersion(String),
    /// The path.
    #[error(transparent)]
    Path(#[from] PathError),
    /// The version.
    #[error(transparent)]
    Version(#[from] VersionError),
    /// Such as `example.com/a/v2` with `v3.0.0`.
    #[error("{1} cannot be a version of {0}: the major versions differ")]
    MajorMismatch(ModulePath, Version),
}

impl ModuleVersion {
    /// Makes a module version if the major versions match (`module.CheckPathMajor`): a path with `/vN` or, below gopkg.in,
    /// `.vN` needs version N; any other path needs v0, v1 or `+incompatible`.
    pub fn new(path: ModulePath, version: Version) -> Result<Self, ModuleVersionError> {
        if path.allows(&version) {
            Ok(Self { path, version })
        } else {
            Err(ModuleVersionError::MajorMismatch(path, version))
        }
    }

    /// Parses `path@version`.
    ///
    /// ```
    /// use gomodule::module::ModuleVersion;
    /// assert!(ModuleVersion::parse("example.com/a/v2@v2.0.0").is_ok());
    /// assert!(ModuleVersion::parse("example.com/a@v2.0.0").is_err());
    /// ```
    pub fn parse(text: &str) -> Result<Self, ModuleVersionError> {
        let (path, version) = text.split_once('@').ok_or_else(|| ModuleVersionError::NoVersion(text.to_owned()))?;
        Self::of(path, version)
    }

    /// Parses the escaped form of `path@version`, as in folder names of the module cache.
    pub fn unescape(name: &str) -> Option<Self> {
        let (path, version) = name.rsplit_once('@')?;
        Self::new(ModulePath::unescape(path).ok()?, Version::unescape(version).ok()?).ok()
    }

    /// Parses path and version.
    pub fn of(path: &str, version: &str) -> Result<Self, ModuleVersionError> {
        Self::new(ModulePath::parse(path)?, Version::parse(version)?)
    }
}

impl fmt::Display for ModuleVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.path, self.version)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_major_version_matches_the_path() {
        for right in [
            "example.com/a@v0.1.0",
            "example.com/a@v1.0.0-rc.1",
            "example.com/a@v2.0.0+incompatible",
            "example.com/a/v2@v2.3.4",
            "example.com/a/v2@v2.0.0-20200101000000-0123456789ab",
            "gopkg.in/yaml.v2@v2.4.0",
            "gopkg.in/check.v1@v0.0.0-20200101000000-0123456789ab",
            "gopkg.in/check.v1-unstable@v0.0.0-20200101000000-0123456789ab",
            "gopkg.in/check.v1@v1.0.0",
            "golang.org/toolchain@v0.0.1-go1.27.3.linux-amd64",
        ] {
            assert_eq!(ModuleVersion::parse(right).map(|m| m.to_string()), Ok(right.to_owned()));
        }
        for wrong in [
            "example.com/a@v2.0.0",
            "example.com/a/v2@v1.0.0",
            "example.com/a/v2@v3.0.0",
            "example.com/a/v2@v2.0.0+incompatible",
            "gopkg.in/yaml.v2@v3.0.0",
            "gopkg.in/yaml.v2@v0.0.0-20200101000000-0123456789ab",
            "gopkg.in/yaml.v2@v2.0.0+incompatible",
            "example.com/a@v1.0.0+incompatible",
            "example.com/a",
        ] {
            assert!(ModuleVersion::parse(wrong).is_err(), "{wrong}");
        }
    }

    /// The generator is `testdata/main.go`.
    #[test]
    fn module_versions_are_read_as_go_reads_them() {
        let mut valid = 0;
        for line in include_str!("../testdata/modules.txt").lines() {
            let fields: Vec<&str> = line.split('\t').collect();
            let [path, version, is_path, is_module] = fields[..] else { panic!("{line}") };
            assert_eq!(ModulePath::parse(path).is_ok().to_string(), is_path, "{line}");
            let found = ModuleVersion::of(path, version).is_ok();
            // Refused on purpose: +incompatible with a path that has a major version, or with v0 and v1.
            let is_refused = version.ends_with("+incompatible") && !found;
            assert!(is_refused || found.to_string() == is_module, "{line}");
            valid += usize::from(found);
        }
        assert!(valid > 50);
    }
}
