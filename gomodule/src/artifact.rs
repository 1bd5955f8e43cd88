//! One immutable file of a module version, and its place in a GOPROXY tree (`go help goproxy`).

use std::fmt;

use crate::module::ModuleVersion;

/// Which of the three files of a version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// Metadata as JSON. Covered by no hash.
    Info,
    /// The go.mod file.
    Mod,
    /// The module zip.
    Zip,
}

impl Kind {
    /// The ending of the file, without the dot.
    pub fn extension(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Mod => "mod",
            Self::Zip => "zip",
        }
    }

    /// The most bytes that the file may have: MaxZipFile and MaxGoMod of `golang.org/x/mod/zip`. The largest `.info` seen
    /// has a few kilobytes.
    pub const fn max_len(self) -> usize {
        match self {
            Self::Info => 1 << 20,
            Self::Mod => 16 << 20,
            Self::Zip => 500 << 20,
        }
    }
}

/// A file of a module version.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Artifact {
    /// Whose file.
    pub module: ModuleVersion,
    /// Which file.
    pub kind: Kind,
}

impl Artifact {
    /// The escaped path below the root of a GOPROXY tree, without a leading `/`.
    pub fn path(&self) -> String {
        let ModuleVersion { path, version, .. } = &self.module;
        format!("{}/@v/{}.{}", path.escaped(), version.escaped(), self.kind.extension())
    }
}

impl fmt::Display for Artifact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} .{}", self.module, self.kind.extension())
    }
}
