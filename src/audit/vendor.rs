//! The vendor folder that `go` builds from by itself (`cmd/go/internal/modload`, setDefaultBuildMod). It needs no go.sum then.

use std::collections::HashMap;
use std::path::Path;

use super::error::{ReadError, ReadFile};
use super::missing::Missing;
use crate::base::tree::folder_of;
use gomodule::goversion::is_newer;

/// The first `go` line with which a vendor folder counts without a flag.
const FIRST: &str = "1.14";

/// The modules in a vendor folder that counts, each with its version.
#[derive(Debug, Default)]
pub(super) struct Vendored {
    versions: HashMap<String, String>,
    /// A workspace has the highest version of each module, which not every requirement names.
    is_of_workspace: bool,
}

impl Vendored {
    /// The vendor folder beside a go.mod or go.work with this `go` line.
    pub(super) fn beside(file: &Path, go: Option<&str>, read: ReadFile) -> Result<Self, ReadError> {
        if go.is_none_or(|go| is_newer(FIRST, go)) {
            return Ok(Self::default());
        }
        let list = read(&folder_of(file).join("vendor/modules.txt"))?.unwrap_or_default();
        let list = String::from_utf8_lossy(&list);
        let notes = list.lines().next().and_then(|line| line.strip_prefix("## ")).unwrap_or_default();
        let is_of_workspace = notes.split(';').any(|note| note.trim() == "workspace");
        if is_of_workspace != file.file_name().is_some_and(|name| name == "go.work") {
            return Ok(Self::default());
        }
        let module = |line: &str| {
            let mut words = line.strip_prefix("# ")?.split_whitespace();
            Some((words.next()?.to_owned(), words.next()?.to_owned()))
        };
        Ok(Self { versions: list.lines().filter_map(module).collect(), is_of_workspace })
    }

    /// Whether `go` takes a required module from it. If the version differs, `go` refuses the folder.
    pub(super) fn has(&self, one: &Missing) -> bool {
        self.versions.get(&one.required).is_some_and(|version| self.is_of_workspace || *version == one.version)
    }
}
