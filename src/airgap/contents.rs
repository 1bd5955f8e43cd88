//! What lies in a folder that was carried here, by its names alone.

use std::path::Path;

use super::error::AirgapError;
use super::fetch_plan::FetchPlan;
use super::layout::{Entry, MAX_ENTRIES};
use crate::base::limits::MAX_DEPTH;
use crate::base::tree::{Unreadable, below, name_below};
use crate::upstream::database_request::DatabaseRequest;
use gomodule::module::{ModulePath, ModuleVersion};
use gomodule::proxy_request::Request;

/// What was carried.
#[derive(Clone, Debug, Default)]
pub struct Contents {
    /// The files of modules.
    pub(crate) files: FetchPlan,
    /// The modules whose newest version is named.
    pub(crate) newest: Vec<ModulePath>,
    /// The databases whose heads are there, by name.
    pub(crate) heads: Vec<String>,
    /// The module versions with a record.
    pub(crate) records: Vec<ModuleVersion>,
}

impl Contents {
    /// Whether nothing was carried.
    pub fn is_empty(&self) -> bool {
        self.files.files() == 0 && self.heads.is_empty() && self.records.is_empty()
    }

    /// Looks through `folder`. Anything in it that no export makes is an error: a link or a device could lead anywhere.
    /// Blocks.
    pub fn read(folder: &Path, databases: &[String]) -> Result<Self, AirgapError> {
        let mut contents = Self::default();
        for (count, entry) in below(folder, |_| true).enumerate() {
            let entry = entry.map_err(|Unreadable { path, cause }| AirgapError::io("read", &path)(cause))?;
            let lossy = entry.path().strip_prefix(folder).unwrap_or(entry.path()).to_string_lossy();
            let refused = |why: String| AirgapError::malformed(folder, &lossy, why);
            let name = name_below(folder, &entry).ok_or_else(|| refused("has a name that is not UTF-8".to_owned()))?;
            if count >= MAX_ENTRIES {
                return Err(refused("and the rest are too many entries".to_owned()));
            }
            // Of the entry itself, not of what a link leads to.
            let meta = entry.metadata().map_err(|error| AirgapError::io("read", entry.path())(error.into()))?;
            if meta.is_dir() && entry.depth() <= MAX_DEPTH {
                continue;
            }
            if !meta.is_file() {
                let why = if meta.is_dir() { "is nested too deeply" } else { "is no plain file" };
                return Err(refused(why.to_owned()));
            }
            let entry = Entry::parse(name, databases).map_err(|why| refused(why.to_string()))?;
            if meta.len() > entry.max_len() {
                return Err(refused(format!("is longer than {} bytes", entry.max_len())));
            }
            contents.take(entry);
        }
        contents.records.sort_unstable();
        contents.records.dedup();
        Ok(contents)
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
