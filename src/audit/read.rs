//! A target, read: its hash lines, what is wrong with them by themselves, and what go.mod requires without a line.

use std::collections::{BTreeSet, HashSet};
use std::io;
use std::path::{Path, PathBuf};

use super::entry::{MAX_FINDINGS, more};
use super::target::{MAX_USED, Target, is_standard};
use super::toolchain::GoHere;
use super::{Entry, HashAt};
use crate::base::bounded::read_bounded;
use crate::base::limits::MAX_SUM;
use crate::base::tree::{Tree, TreeError, Unreadable, folder_of, open_named};
use crate::finding::{Code, Finding, Place, Unaudited};
use crate::repository::{Base, BaseError};
use gomodule::artifact::Kind;
use gomodule::gomod::{GoMod, folders, may_be_a_workspace, names_a_module};
use gomodule::gosum::{SumContent, SumLine, go_sum_lines};
use gomodule::module::ModuleVersion;

/// Beside the go.work of a workspace. `go` looks there too.
const WORK_SUM: &str = "go.work.sum";

/// Hash lines of one file. The go.sum of a very large monorepo has one megabyte, which is some 10,000 lines; a file of 16 MiB
/// may have 270,000, and each costs a lookup. A constant of ours.
const MAX_LINES: usize = 50_000;
/// Why a target cannot be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// The file system refuses.
    #[error(transparent)]
    Unreadable(#[from] Unreadable),
    /// Larger than such a file may be.
    #[error("{} has more than {MAX_SUM} bytes", .0.display())]
    TooLarge(PathBuf),
    /// The earlier state of the file.
    #[error(transparent)]
    Base(#[from] BaseError),
}

/// Reads targets of one tree.
#[derive(Clone, Copy, Debug)]
pub struct Reader<'a> {
    /// Where files may lie.
    pub tree: &'a Tree,
    /// Only what is new since then: the lines that were not there, and what is missing now and was not missing then.
    pub base: Option<&'a Base>,
    /// Decides which `go` lines count.
    pub go: &'a GoHere,
}

impl Reader<'_> {
    /// Reads a target.
    pub fn read(&self, target: &Target) -> Result<Vec<Entry>, ReadError> {
        let mut entries = Vec::new();
        let now = self.now(target, &mut entries)?;
        let then = self.base.map(|base| Files::then(target, base)).transpose()?;
        if target.sum.is_some() {
            let missing = self.missing(target, &now, then.as_ref(), &mut entries)?;
            let is_a_target_then = |then: &&Files| then.counts(target);
            let old = |then: &Files| then.sum.split(|byte| *byte == b'\n').map(words).collect();
            now.entries(
                target,
                &then.as_ref().filter(is_a_target_then).map(old).unwrap_or_default(),
                &missing,
                &mut entries,
            );
        }
        let of_old = |file: fn(&Files) -> &Option<Vec<u8>>| then.as_ref().and_then(|then| file(then).as_deref());
        let pairs = [
            (&target.go_mod, &now.go_mod, of_old(|files| &files.go_mod)),
            (&target.go_work, &now.go_work, of_old(|files| &files.go_work)),
        ];
        for (path, now, then) in pairs {
            if let (Some(path), Some(now)) = (path, now) {
                entries.extend(self.go.entries(path, now, then.unwrap_or_default()));
            }
        }
        Ok(entries)
    }

    fn now(&self, target: &Target, entries: &mut Vec<Entry>) -> Result<Files, ReadError> {
        let mut text = |path: &Option<PathBuf>, elsewhere| {
            path.as_deref().map(|path| self.text(path, elsewhere, entries)).transpose().map(Option::flatten)
        };
        // Beside a go.mod the go.sum may be absent.
        let sum = match text(&target.sum, target.may_lie_elsewhere) {
            Err(ReadError::Unreadable(Unreadable { cause, .. }))
                if target.go_mod.is_some() && cause.kind() == io::ErrorKind::NotFound =>
            {
                None
            }
            sum => sum?,
        };
        let (go_mod, go_work) = (text(&target.go_mod, false)?, text(&target.go_work, false)?);
        Ok(Files { sum: sum.unwrap_or_default(), go_mod, go_work })
    }

    fn missing(
        &self,
        target: &Target,
        now: &Files,
        then: Option<&Files>,
        entries: &mut Vec<Entry>,
    ) -> Result<Vec<Missing>, ReadError> {
        let mut missing = now.missing();
        let workspace = if missing.is_empty() { None } else { workspace(target) };
        // A workspace may have thousands of modules: it is read only for those that need it.
        if let Some(workspace) = &workspace {
            let sum = match self.around(&workspace.join(WORK_SUM), entries) {
                Err(ReadError::Unreadable(Unreadable { cause, .. })) if cause.kind() == io::ErrorKind::NotFound => None,
                sum => sum?,
            };
            let (has, own) = (go_mods_in(&sum.unwrap_or_default()), self.own_modules(workspace));
            missing.retain(|one| !has.contains(&one.module) && !own.contains(&one.required));
        }
        let (Some(base), Some(then)) = (self.base, then) else { return Ok(missing) };
        let mut old_missing = then.missing();
        if let (false, Some(workspace)) = (missing.is_empty(), workspace) {
            let has = go_mods_in(&base.earlier(&workspace.join(WORK_SUM))?.unwrap_or_default());
            old_missing.retain(|one| !has.contains(&one.module));
        }
        // What was one of the workspace's own modules then is among them too: a workspace of the past is not read.
        let old_missing: HashSet<ModuleVersion> = old_missing.into_iter().map(|one| one.module).collect();
        missing.retain(|one| !old_missing.contains(&one.module));
        Ok(missing)
    }

    /// The module paths of the folders that a workspace uses: `go` takes those from there, and needs no line for them.
    /// What cannot be read has none, and may be reported as missing.
    fn own_modules(&self, workspace: &Path) -> HashSet<String> {
        let text = |path: &Path| {
            let bytes = self.around(path, &mut Vec::new()).ok().flatten()?;
            Some(String::from_utf8_lossy(&bytes).into_owned())
        };
        let folders = text(&workspace.join("go.work")).map(|text| folders(&text).used).unwrap_or_default();
        // Each once, however often it is named, and under however many names.
        let folders = folders.into_iter().filter_map(|folder| workspace.join(folder).canonicalize().ok());
        let folders: BTreeSet<PathBuf> = folders.take(MAX_USED).collect();
        let go_mods = folders.into_iter().filter_map(|folder| text(&folder.join("go.mod")));
        go_mods.filter_map(|go_mod| GoMod::parse(&go_mod).ok()?.module).collect()
    }

    /// A file of the workspace: one that lies in the tree, or one that lies around it, which the tree cannot write.
    fn around(&self, path: &Path, entries: &mut Vec<Entry>) -> Result<Option<Vec<u8>>, ReadError> {
        self.text(path, !path.starts_with(self.tree.root()), entries)
    }

    /// What a file has; `None`, and a finding, for one that is no regular file of the tree.
    fn text(&self, path: &Path, elsewhere: bool, entries: &mut Vec<Entry>) -> Result<Option<Vec<u8>>, ReadError> {
        let file = match if elsewhere { open_named(path) } else { self.tree.open(path) } {
            Ok(file) => file,
            Err(TreeError::NotRegular { path, found }) => {
                let message = format!("expected a regular file of the tree under audit, found {found}");
                entries.push(Entry::Finding(Finding::new(Code::NotARegularFile, message).at(&path)));
                return Ok(None);
            }
            Err(TreeError::Unreadable(unreadable)) => return Err(unreadable.into()),
        };
        let read = read_bounded(file, MAX_SUM).map_err(Unreadable::at(path))?;
        read.ok_or_else(|| ReadError::TooLarge(path.to_owned())).map(Some)
    }
}

/// A go.sum, what decides whether it is complete, and what names toolchains.
struct Files {
    sum: Vec<u8>,
    go_mod: Option<Vec<u8>>,
    go_work: Option<Vec<u8>>,
}

/// What go.mod requires and go.sum has no line for.
struct Missing {
    line: u32,
    /// The module path that is required.
    required: String,
    /// What stands for it once replacements are applied.
    module: ModuleVersion,
}

impl Files {
    fn then(target: &Target, base: &Base) -> Result<Self, ReadError> {
        let earlier = |path: &Option<PathBuf>| path.as_deref().map(|path| base.earlier(path)).transpose();
        let sum = earlier(&target.sum)?.flatten().unwrap_or_default();
        Ok(Self { sum, go_mod: earlier(&target.go_mod)?.flatten(), go_work: earlier(&target.go_work)?.flatten() })
    }

    /// Whether `audit` looked at the sum then: a sum that `go` reads only where it is told to, with `-modfile` or GOWORK, counts
    /// beside a go.mod or go.work alone. Lines that came before that were never judged.
    fn counts(&self, target: &Target) -> bool {
        let is = |file: &Option<Vec<u8>>, what: fn(&str) -> bool| {
            file.as_deref().is_some_and(|bytes| what(&String::from_utf8_lossy(bytes)))
        };
        let stands_alone = target.go_mod.is_none() && target.go_work.is_none();
        stands_alone
            || is_standard(&target.file())
            || is(&self.go_mod, names_a_module)
            || is(&self.go_work, may_be_a_workspace)
    }

    fn entries(&self, target: &Target, old_lines: &HashSet<String>, missing: &[Missing], entries: &mut Vec<Entry>) {
        let sum = target.file();
        let new = go_sum_lines(&self.sum).filter(|(bytes, _)| !old_lines.contains(&words(bytes)));
        let (mut right, mut wrong) = (0, 0);
        for (_, line) in new {
            let (count, max) = match line.content {
                SumContent::Hash(_) => (&mut right, MAX_LINES),
                SumContent::Malformed { .. } | SumContent::Dropped(_) => (&mut wrong, MAX_FINDINGS),
            };
            *count += 1;
            if *count <= max {
                entries.push(entry(&sum, line));
            }
        }
        entries.extend(too_many(&sum, right));
        entries.extend(more(&sum, Code::MalformedLine, wrong).map(Entry::Finding));
        let go_mod = target.go_mod.clone().unwrap_or_default();
        if let Some(Err(error)) = self.go_mod.as_deref().map(parse_go_mod) {
            let place = Place { file: go_mod.clone(), line: Some(error.0) };
            entries.push(Entry::Finding(Finding::new(Code::MalformedLine, error.1).at(place)));
        }
        for Missing { line, module, .. } in missing.iter().take(MAX_FINDINGS) {
            let place = Place { file: go_mod.clone(), line: Some(*line) };
            let sum = sum.file_name().unwrap_or_default().to_string_lossy();
            let message = format!("{module} is required, and {sum} has no line for its go.mod");
            entries.push(Entry::Finding(Finding::new(Code::MissingLine, message).at(place).about(module)));
        }
        entries.extend(more(&go_mod, Code::MissingLine, missing.len()).map(Entry::Finding));
    }

    /// What go.mod requires, or replaces it by, that no line is there for. `go` needs the go.mod hash of every version
    /// that go.mod names (`cmd/go/internal/modload`, keepSums).
    fn missing(&self) -> Vec<Missing> {
        let Some(Ok(go_mod)) = self.go_mod.as_deref().map(parse_go_mod) else { return Vec::new() };
        let has = go_mods_in(&self.sum);
        let required = go_mod.resolved().filter_map(|(require, stands)| {
            let (line, required) = (require.line, require.module.path.as_ref().to_owned());
            Some(Missing { line, required, module: stands? })
        });
        required.filter(|one| !has.contains(&one.module)).collect()
    }
}

/// The versions that hash lines have the go.mod of.
fn go_mods_in(sum: &[u8]) -> HashSet<ModuleVersion> {
    let go_mod = |line: SumLine| match line.content {
        SumContent::Hash(hash) if hash.kind == Kind::Mod => Some(hash.module),
        _ => None,
    };
    go_sum_lines(sum).filter_map(|(_, line)| go_mod(line)).collect()
}

fn entry(sum: &Path, line: SumLine) -> Entry {
    let place = Place { file: sum.to_owned(), line: Some(line.number) };
    match line.content {
        SumContent::Hash(hash) => Entry::Hash(HashAt { place, module: hash.module, kind: hash.kind, hash: hash.hash }),
        SumContent::Malformed { text, why } => {
            let malformed = Finding::new(Code::MalformedLine, format!("not a hash line: {why}")).at(place);
            Entry::Finding(text.into_iter().fold(malformed, |malformed, text| malformed.fact("line", &text)))
        }
        SumContent::Dropped(module) => {
            let message = "the hash of an empty go.mod: an old go wrote it by mistake, and every go.mod has content";
            Entry::Finding(Finding::new(Code::DroppedLine, message).at(place).about(&module))
        }
    }
}

/// The go.mod, or the line and the words of what is wrong with it.
fn parse_go_mod(bytes: &[u8]) -> Result<GoMod, (u32, String)> {
    GoMod::parse(&String::from_utf8_lossy(bytes)).map_err(|error| (error.line, error.to_string()))
}

/// A line as `go` sees it: its fields, with one space between them.
fn words(line: &[u8]) -> String {
    String::from_utf8_lossy(line).split_whitespace().collect::<Vec<_>>().join(" ")
}

fn too_many(file: &Path, found: usize) -> Option<Entry> {
    let unread = found.checked_sub(MAX_LINES).filter(|unread| *unread > 0)?;
    let reason = format!("expected at most {MAX_LINES} hash lines that are new, found {found}: no module has as many");
    Some(Entry::Unchecked(Unaudited { place: file.into(), module: format!("its last {unread} lines"), reason }))
}

/// The folder of the workspace that a go.mod lies in: that of the nearest go.work above it.
fn workspace(target: &Target) -> Option<PathBuf> {
    let folder = folder_of(target.go_mod.as_ref()?).canonicalize().ok()?;
    folder.ancestors().find(|folder| folder.join("go.work").is_file()).map(Path::to_owned)
}
