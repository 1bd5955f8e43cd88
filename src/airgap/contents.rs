//! Lists the folder of an export, or the download folder of a module cache; and compares an export with its list of contents.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::path::Path;

use super::content_list::{ContentList, sha256_of};
use super::error::{AirgapError, Refusal};
use super::fetch_plan::FetchPlan;
use super::layout::{ExportEntry, LIST, MAX_ENTRIES, MAX_LIST, NameError};
use crate::base::bounded::text_bounded;
use crate::base::fault::Fault;
use crate::base::limits::MAX_DEPTH;
use crate::base::tree::{Unreadable, below, name_below};
use crate::upstream::database_request::DatabaseRequest;
use gomodule::module::{ModulePath, ModuleVersion};
use gomodule::proxy_request::Request;

/// What an export has.
#[derive(Clone, Debug, Default)]
pub struct Contents {
    /// The files of module versions.
    pub(crate) files: FetchPlan,
    /// The modules with an `@latest`.
    pub(crate) newest: Vec<ModulePath>,
    /// The names of the databases with a tree head.
    pub(crate) heads: Vec<String>,
    /// The module versions with a record.
    pub(crate) records: Vec<ModuleVersion>,
    /// Files that are missing, or differ from the list of contents.
    pub(crate) refused: Vec<Refusal>,
    /// All entries, by name.
    entries: BTreeMap<String, ExportEntry>,
}

impl Contents {
    /// Whether there is nothing to import.
    pub fn is_empty(&self) -> bool {
        self.files.files() == 0 && self.heads.is_empty() && self.records.is_empty()
    }

    /// Lists `folder`, without opening a file. Anything that no export has is an error: a link or a device could lead anywhere. Blocks.
    pub fn read(folder: &Path, databases: &[String]) -> Result<Self, AirgapError> {
        let mut contents = Self::default();
        for (count, entry) in below(folder, |_| true).enumerate() {
            let entry = entry.map_err(|unreadable| unread(folder, unreadable))?;
            let lossy = entry.path().strip_prefix(folder).unwrap_or(entry.path()).to_string_lossy();
            let refused = |why: String| AirgapError::malformed(folder, &lossy, why);
            let name = name_below(folder, &entry).ok_or_else(|| refused("has a name that is not UTF-8".to_owned()))?;
            if count >= MAX_ENTRIES {
                return Err(refused(format!("is one entry too many: expected at most {MAX_ENTRIES}")));
            }
            // Of the link, not of its target.
            let meta = entry.metadata().map_err(|error| AirgapError::io("read", entry.path())(error.into()))?;
            if meta.is_dir() && entry.depth() <= MAX_DEPTH {
                continue;
            }
            if !meta.is_file() {
                let why = if meta.is_dir() { "is nested too deeply" } else { "is not a regular file" };
                return Err(refused(why.to_owned()));
            }
            let entry = ExportEntry::parse(name, databases).map_err(|why| match why {
                // Such as .DS_Store, ._NAME and "System Volume Information", which systems add to a medium.
                NameError::Unknown => refused(format!("{why}: remove it")),
                _ => refused(why.to_string()),
            })?;
            if meta.len() > entry.max_len() {
                return Err(refused(format!("is longer than {} bytes", entry.max_len())));
            }
            contents.add(entry);
        }
        contents.records.sort_unstable();
        contents.records.dedup();
        Ok(contents)
    }

    /// The entries of the export in `folder` that are as its list of contents says. Other files are refused: nothing else may
    /// vouch for those of private modules. Blocks.
    pub fn checked(self, folder: &Path) -> Result<Self, AirgapError> {
        let place = folder.join(LIST);
        if !self.entries.contains_key(LIST) {
            return Err(AirgapError::NotWhole);
        }
        let text = File::open(&place)
            .and_then(|file| text_bounded(file, MAX_LIST))
            .map_err(AirgapError::io("read", &place))?;
        let list = ContentList::parse(&text.unwrap_or_default());
        let list = list.map_err(|why| AirgapError::malformed(folder, LIST, why.to_string()))?;
        let mut checked = Self::default();
        let mut refuse = |name: &str, why: &str| {
            checked.refused.push(Refusal::new(name, format!("{name} {why}: copy the export again"), Fault::Refused));
        };
        list.files.keys().filter(|name| !self.entries.contains_key(*name)).for_each(|name| {
            refuse(name, "is listed in SHA256SUMS, and missing");
        });
        let mut right = Vec::new();
        for (name, entry) in self.entries.into_iter().filter(|(name, _)| name != LIST) {
            let path = folder.join(&name);
            match list.files.get(&name) {
                None => refuse(&name, "is not listed in SHA256SUMS"),
                Some(expected) if sha256_of(&path).map_err(AirgapError::io("read", &path))? == *expected => {
                    right.push(entry);
                }
                Some(_) => refuse(&name, "differs from its line in SHA256SUMS"),
            }
        }
        for entry in right {
            checked.add(entry);
        }
        Ok(checked)
    }

    fn add(&mut self, entry: ExportEntry) {
        self.entries.insert(entry.name(), entry.clone());
        match entry {
            ExportEntry::Module(Request::File(artifact)) => drop(self.files.add(&artifact.module, artifact.kind)),
            ExportEntry::Module(Request::Latest(path)) => self.newest.push(path),
            ExportEntry::Database(database, DatabaseRequest::Latest) => self.heads.push(database),
            ExportEntry::Database(_, DatabaseRequest::Lookup(module)) => self.records.push(module),
            // Tiles are read when a proof needs them. The lists are for `go`: the store makes its own.
            ExportEntry::Database(..) | ExportEntry::Module(_) | ExportEntry::List => {}
        }
    }
}

/// The error for an entry that cannot be read. A system keeps folders on a medium that only the administrator reads, such as
/// `lost+found` and "System Volume Information".
fn unread(folder: &Path, Unreadable { path, cause }: Unreadable) -> AirgapError {
    let name = path.strip_prefix(folder).unwrap_or(&path).to_string_lossy();
    let first = name.split('/').next().unwrap_or_default();
    // The first element of a module path has a dot, and does not start with one.
    let may_be_of_an_export = first == "sumdb" || (first.contains('.') && !first.starts_with('.'));
    if name.is_empty() || may_be_of_an_export || cause.kind() != io::ErrorKind::PermissionDenied {
        return AirgapError::io("read", &path)(cause);
    }
    let why = format!(
        "cannot be read ({cause}), and no export has it: remove it, or copy the rest to a folder and import that"
    );
    AirgapError::malformed(folder, &name, why)
}

/// The files of module versions in `GOMODCACHE/cache/download`, which has the layout of a module proxy
/// (<https://go.dev/ref/mod#module-cache>). Other files there (locks, `.ziphash`, tiles) are skipped. Blocks.
pub(crate) fn module_cache_files(download: &Path) -> Result<FetchPlan, AirgapError> {
    let mut files = FetchPlan::default();
    for entry in below(download, |_| true) {
        let entry = entry.map_err(|Unreadable { path, cause }| AirgapError::io("read", &path)(cause))?;
        let Some(name) = name_below(download, &entry) else { continue };
        let kind = entry.file_type();
        if kind.is_dir() && entry.depth() > MAX_DEPTH {
            return Err(AirgapError::malformed(download, name, "is nested too deeply"));
        }
        if let (true, Ok(ExportEntry::Module(Request::File(artifact)))) =
            (kind.is_file(), ExportEntry::parse(name, &[]))
        {
            files.add(&artifact.module, artifact.kind);
        }
    }
    Ok(files)
}
