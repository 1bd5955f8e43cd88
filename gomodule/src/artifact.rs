//! The immutable files of a module version, and their paths in a GOPROXY tree (`go help goproxy`).

use std::fmt;

use crate::module::ModuleVersion;

/// One of the three files of a module version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// Metadata as JSON, which no hash covers.
    Info,
    /// The go.mod file.
    Mod,
    /// The module zip.
    Zip,
}

impl Kind {
    /// The file extension, without the dot.
    pub fn extension(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Mod => "mod",
            Self::Zip => "zip",
        }
    }

    /// The largest file, in bytes: MaxZipFile and MaxGoMod of `golang.org/x/mod/zip`. The largest known `.info` has a few
    /// kilobytes.
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
    /// The module version.
    pub module: ModuleVersion,
    /// The kind of file.
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
