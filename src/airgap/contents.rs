//! What lies in a folder that was carried here, by its names alone.

use std::fs;
use std::path::Path;

use super::error::CarryError;
use super::layout::{Entry, MAX_ENTRIES};
use super::wanted::Wanted;
use crate::upstream::database_request::DatabaseRequest;
use gomodule::module::{ModulePath, ModuleVersion};
use gomodule::proxy_request::Request;

/// Module paths have at most some dozen elements; the layout puts five or so around them.
const MAX_DEPTH: usize = 256;

/// What was carried.
#[derive(Clone, Debug, Default)]
pub struct Contents {
    /// The files of modules.
    pub files: Wanted,
    /// The modules whose newest version is named.
    pub newest: Vec<ModulePath>,
    /// The databases whose heads are there, by name.
    pub heads: Vec<String>,
    /// The module versions with a record.
    pub records: Vec<ModuleVersion>,
}

impl Contents {
    /// Whether nothing was carried.
    pub fn is_empty(&self) -> bool {
        self.files.files() == 0 && self.heads.is_empty() && self.records.is_empty()
    }

    /// Looks through `folder`. Anything in it that no export makes is an error: a link or a device could lead anywhere.
    /// Blocks.
    pub fn read(folder: &Path, databases: &[String]) -> Result<Self, CarryError> {
        let mut contents = Self::default();
        let mut left = MAX_ENTRIES;
        contents.walk(folder, "", databases, 0, &mut left)?;
        contents.records.sort_unstable();
        contents.records.dedup();
        Ok(contents)
    }

    fn walk(
        &mut self,
        root: &Path,
        below: &str,
        databases: &[String],
        depth: usize,
        left: &mut usize,
    ) -> Result<(), CarryError> {
        let folder = root.join(below);
        let failed = |cause| CarryError::io("read", &folder)(cause);
        let too = |why: &str| CarryError::malformed(root, below, why);
        if depth > MAX_DEPTH {
            return Err(too("is nested too deeply"));
        }
        for entry in fs::read_dir(&folder).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            *left = left.checked_sub(1).ok_or_else(|| too("and the rest are too many entries"))?;
            let own = entry.file_name();
            let own = own.to_str().ok_or_else(|| too("has an entry whose name is not UTF-8"))?;
            let name = if below.is_empty() { own.to_owned() } else { format!("{below}/{own}") };
            let refused = |why: String| CarryError::malformed(root, &name, why);
            // Of the entry itself, not of what a link leads to.
            let meta = entry.metadata().map_err(failed)?;
            if meta.is_dir() {
                self.walk(root, &name, databases, depth + 1, left)?;
                continue;
            }
            if !meta.is_file() {
                return Err(refused("is no plain file".to_owned()));
            }
            let entry = Entry::parse(&name, databases).map_err(|why| refused(why.to_string()))?;
            if meta.len() > entry.max_len() {
                return Err(refused(format!("is longer than {} bytes", entry.max_len())));
            }
            self.take(entry);
        }
        Ok(())
    }

    fn take(&mut self, entry: Entry) {
        match entry {
            Entry::Module(Request::File(artifact)) => {
                self.files.add(&artifact.module, artifact.kind);
            }
            Entry::Module(Request::Latest(path)) => self.newest.push(path),
            Entry::Database(database, DatabaseRequest::Latest) => self.heads.push(database),
            Entry::Database(_, DatabaseRequest::Lookup(module)) => self.records.push(module),
            // A tile is looked for when a proof needs it, and the others are in no export.
            Entry::Database(..) | Entry::Module(_) => {}
        }
    }
}
