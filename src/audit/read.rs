//! Reads a target: its hash lines, malformed lines, and the requirements of go.mod without a line.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::changes::changes;
use super::entry::{MAX_FINDINGS, more};
use super::error::{ReadError, or_missing};
use super::modules::{ModFile, State, of_go_mod, of_go_work, sum_beside};
use super::target::{Target, is_standard};
use super::toolchain::LocalGo;
use super::workspace::Workspaces;
use super::{Entry, FoundHash};
use crate::base::bounded::read_bounded;
use crate::base::limits::MAX_SUM;
use crate::base::tree::{Tree, TreeError, Unreadable, open_named};
use crate::finding::{Code, Finding, Place, Unaudited};
use crate::go::environment::GoWorkSetting;
use crate::repository::Base;
use gomodule::gomod::{GoMod, may_be_a_workspace, names_a_module};
use gomodule::gosum::{SumContent, SumLine, go_sum_lines};

/// Hash lines of one file. The go.sum of a very large monorepo has one megabyte, which is some 10,000 lines; a file of 16 MiB
/// may have 270,000, and each costs a lookup. Our own choice.
const MAX_LINES: usize = 50_000;

/// Reads targets of one tree.
#[derive(Debug)]
pub struct Reader<'a> {
    tree: &'a Tree,
    base: Option<&'a Base>,
    go: &'a LocalGo,
    setting: &'a GoWorkSetting,
    workspaces: Workspaces,
    earlier_workspaces: Workspaces,
}

impl<'a> Reader<'a> {
    /// Reads files in `tree`. With `base`, only what is new since this commit is reported: added lines, and what is wrong now and
    /// was not then. `go` decides which `go` lines need a download, and `setting` which workspaces count.
    pub fn new(tree: &'a Tree, base: Option<&'a Base>, go: &'a LocalGo, setting: &'a GoWorkSetting) -> Self {
        let (workspaces, earlier_workspaces) = Default::default();
        Self { tree, base, go, setting, workspaces, earlier_workspaces }
    }

    /// Reads a target.
    pub fn read(&self, target: &Target) -> Result<Vec<Entry>, ReadError> {
        let mut entries = Vec::new();
        let now = self.now(target, &mut entries)?;
        let then = self.base.map(|base| Files::then(target, base)).transpose()?;
        if target.sum.is_some() {
            let old = then.as_ref().filter(|then| then.was_target(target));
            let old = old.map(|then| then.sum.split(|byte| *byte == b'\n').map(fields).collect());
            now.entries(target, &old.unwrap_or_default(), &mut entries);
        }
        // `go` does not read it for this repository, and a test may need a go.mod that is wrong.
        if target.apart.is_some() {
            return Ok(entries);
        }
        if target.may_be_a_template
            && let (Some(path), Some(bytes)) = (&target.go_mod, &now.go_mod)
            && GoMod::read(bytes).0.module.is_none()
        {
            let message =
                "no module line is valid, so this may be a template: if no build reads it, leave it out with --exclude";
            let finding = Finding::new(Code::MayBeATemplate, message).at(path);
            entries.push(Entry::Finding(finding));
            return Ok(entries);
        }
        self.judge(target, &now, then.as_ref(), &mut entries)?;
        if let (Some(path), Some(bytes), Some(then)) = (&target.go_mod, &now.go_mod, &then) {
            entries.extend(changes(path, bytes, then.go_mod.as_deref().unwrap_or_default()));
        }
        let of_old = |file: fn(&Files) -> &Option<Vec<u8>>| then.as_ref().and_then(|then| file(then).as_deref());
        let pairs = [
            (&target.go_mod, &now.go_mod, of_old(|files| &files.go_mod)),
            (&target.go_work, &now.go_work, of_old(|files| &files.go_work)),
        ];
        for (path, now, then) in pairs {
            if let (Some(path), Some(now)) = (path, now) {
                // A line may be invalid for two reasons: the first is enough.
                let known: Vec<Place> = entries.iter().filter_map(invalid).cloned().collect();
                let toolchains = self.go.entries(path, now, then.unwrap_or_default()).into_iter();
                entries.extend(toolchains.filter(|entry| invalid(entry).is_none_or(|place| !known.contains(place))));
            }
        }
        Ok(entries)
    }

    /// Judges the go.mod and the go.work.
    fn judge(
        &self,
        target: &Target,
        now: &Files,
        then: Option<&Files>,
        entries: &mut Vec<Entry>,
    ) -> Result<(), ReadError> {
        let read_now = |path: &Path| Ok(self.around(path));
        let read_then = |path: &Path| Ok(self.base.map(|base| base.earlier(path)).transpose()?.flatten());
        let state = State { workspaces: &self.workspaces, setting: self.setting, read: &read_now };
        let earlier = State { workspaces: &self.earlier_workspaces, setting: self.setting, read: &read_then };
        if let (Some(path), Some(bytes)) = (&target.go_mod, &now.go_mod) {
            let is_replacement = target.is_replacement;
            let file = ModFile { path, bytes, sum: &now.sum, is_replacement };
            let then = then.and_then(|then| Some(ModFile { bytes: then.go_mod.as_deref()?, sum: &then.sum, ..file }));
            entries.extend(of_go_mod((file, &state), then.map(|then| (then, &earlier)))?);
        }
        if let (Some(path), Some(bytes)) = (&target.go_work, &now.go_work)
            && self.is_read(path)
        {
            let file = ModFile { path, bytes, sum: b"", is_replacement: false };
            let then = then.and_then(|then| Some(ModFile { bytes: then.go_work.as_deref()?, ..file }));
            entries.extend(of_go_work((file, &state), then.map(|then| (then, &earlier)))?);
        }
        Ok(())
    }

    /// Whether `go` reads this go.work.
    fn is_read(&self, go_work: &Path) -> bool {
        match self.setting {
            GoWorkSetting::Auto => true,
            GoWorkSetting::Off => false,
            GoWorkSetting::File(file) => file.canonicalize().ok() == go_work.canonicalize().ok(),
        }
    }

    fn now(&self, target: &Target, entries: &mut Vec<Entry>) -> Result<Files, ReadError> {
        let mut text = |path: &Option<PathBuf>, elsewhere| {
            path.as_deref().map(|path| self.text(path, elsewhere, entries)).transpose().map(Option::flatten)
        };
        // Beside a go.mod the go.sum may be missing.
        let sum = text(&target.sum, target.may_lie_elsewhere);
        let sum = if target.go_mod.is_some() { or_missing(sum)? } else { sum? };
        let (go_mod, go_work) = (text(&target.go_mod, false)?, text(&target.go_work, false)?);
        Ok(Files { sum: sum.unwrap_or_default(), go_mod, go_work })
    }

    /// A file of a workspace: in the tree, or elsewhere, where the author of the tree cannot write; `None` if there is none. One
    /// that cannot be read is empty here: if it is in the tree, its own audit reports it.
    fn around(&self, path: &Path) -> Option<Vec<u8>> {
        match or_missing(self.text(path, !path.starts_with(self.tree.root()), &mut Vec::new())) {
            Ok(None) if path.symlink_metadata().is_err() => None,
            read => Some(read.ok().flatten().unwrap_or_default()),
        }
    }

    /// The content of a file; `None` and a finding if it is not a regular file of the tree.
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

/// The contents of a target's files.
struct Files {
    sum: Vec<u8>,
    go_mod: Option<Vec<u8>>,
    go_work: Option<Vec<u8>>,
}

impl Files {
    fn then(target: &Target, base: &Base) -> Result<Self, ReadError> {
        let earlier = |path: &Option<PathBuf>| path.as_deref().map(|path| base.earlier(path)).transpose();
        let sum = target.sum.clone().or_else(|| target.go_mod.as_deref().map(sum_beside));
        let sum = earlier(&sum)?.flatten().unwrap_or_default();
        Ok(Self { sum, go_mod: earlier(&target.go_mod)?.flatten(), go_work: earlier(&target.go_work)?.flatten() })
    }

    /// Whether the sum was a target at the base: an X.sum, which `go` reads only with `-modfile` or GOWORK, is one only beside
    /// a module or workspace file. Otherwise its lines were never audited, and all of them are new.
    fn was_target(&self, target: &Target) -> bool {
        let is = |file: &Option<Vec<u8>>, what: fn(&str) -> bool| {
            file.as_deref().is_some_and(|bytes| what(&String::from_utf8_lossy(bytes)))
        };
        let stands_alone = target.go_mod.is_none() && target.go_work.is_none();
        stands_alone
            || is_standard(&target.file())
            || is(&self.go_mod, names_a_module)
            || is(&self.go_work, may_be_a_workspace)
    }

    fn entries(&self, target: &Target, old_lines: &HashSet<String>, entries: &mut Vec<Entry>) {
        entries_of(&target.file(), &self.sum, |line| !old_lines.contains(&fields(line)), entries);
    }
}

/// The entries of a go.sum that lies beside nothing: its lines alone. `name` is for messages.
pub fn go_sum_entries(name: &Path, text: &[u8]) -> Vec<Entry> {
    let mut entries = Vec::new();
    entries_of(name, text, |_| true, &mut entries);
    entries
}

/// The entries of the lines of a go.sum that are new.
fn entries_of(sum: &Path, text: &[u8], is_new: impl Fn(&[u8]) -> bool, entries: &mut Vec<Entry>) {
    let shared: Arc<Path> = sum.into();
    let (mut valid, mut malformed) = (0, 0);
    for (_, line) in go_sum_lines(text).filter(|(bytes, _)| is_new(bytes)) {
        let (count, max) = match line.content {
            SumContent::Hash(_) => (&mut valid, MAX_LINES),
            SumContent::Malformed { .. } | SumContent::Dropped(_) => (&mut malformed, MAX_FINDINGS),
        };
        *count += 1;
        if *count <= max {
            entries.push(entry(&shared, line));
        }
    }
    entries.extend(too_many(sum, valid));
    entries.extend(more(sum, Code::MalformedLine, malformed).map(Entry::Finding));
}

/// The place of an invalid line of a go.mod or go.work.
fn invalid(entry: &Entry) -> Option<&Place> {
    match entry {
        Entry::Finding(finding) if finding.code == Code::InvalidGoMod => finding.place.as_ref(),
        _ => None,
    }
}

fn entry(sum: &Arc<Path>, line: SumLine) -> Entry {
    let place = Place { file: Arc::clone(sum), line: Some(line.number) };
    match line.content {
        SumContent::Hash(hash) => {
            Entry::Hash(FoundHash { place, module: hash.module, kind: hash.kind, hash: hash.hash })
        }
        SumContent::Malformed { text, why } => {
            let malformed = Finding::new(Code::MalformedLine, format!("not a hash line: {why}")).at(place);
            Entry::Finding(text.into_iter().fold(malformed, |malformed, text| malformed.fact("line", &text)))
        }
        SumContent::Dropped(module) => {
            let message = "the hash of an empty go.mod, which an old go wrote by mistake: no go.mod is empty";
            Entry::Finding(Finding::new(Code::DroppedLine, message).at(place).about(&module))
        }
    }
}

/// A line as `go` reads it: its fields, with one space between them.
fn fields(line: &[u8]) -> String {
    String::from_utf8_lossy(line).split_whitespace().collect::<Vec<_>>().join(" ")
}

fn too_many(file: &Path, found: usize) -> Option<Entry> {
    let unread = found.checked_sub(MAX_LINES).filter(|unread| *unread > 0)?;
    let reason = format!("expected at most {MAX_LINES} new hash lines, found {found}: no module has that many");
    Some(Entry::Unchecked(Unaudited {
        place: file.into(),
        module: format!("its last {unread} lines"),
        reason,
        cause: None,
    }))
}
