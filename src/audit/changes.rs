//! What builds take in another version than at the base: the requirements of go.mod, with their replacements, and lines that only
//! go.sum has.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;

use super::{Entry, FoundHash, NamedModule};
use crate::finding::{Change, InLog, Place, Retracted};
use gomodule::artifact::Kind;
use gomodule::gomod::{GoMod, Replaced, Replacements};
use gomodule::module::{ModuleVersion, Version};

/// New versions that are looked up: the largest go.mod have some 1,000 requirements. Our own choice.
pub(super) const MAX_LOOKED_UP: usize = 2_000;
/// Changes of one file, and of new lines: as many as there are hash lines that are read of a file.
const MAX_CHANGES: usize = 50_000;

/// Where a required module is taken from.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Source {
    /// A version, another module with its version, or a folder.
    shown: String,
    taken: Option<ModuleVersion>,
    line: u32,
    /// The required version.
    version: Option<Version>,
}

/// How a go.mod differs from what it was, by module paths.
pub(super) fn changes(file: &Path, now: &[u8], then: &[u8]) -> Vec<Entry> {
    let (now, then) = (sources(now), sources(then));
    let paths: BTreeSet<&String> = now.keys().chain(then.keys()).collect();
    let change = |path: &String| {
        let (now, then) = (now.get(path), then.get(path));
        let shown = |source: Option<&Source>| source.map(|source| source.shown.clone());
        if shown(now) == shown(then) {
            return None;
        }
        let place = Place { file: file.into(), line: now.map(|now| now.line) };
        let taken = now.and_then(|now| now.taken.clone());
        Some(Entry::Change(changed(place, path, (shown(then), shown(now)), taken)))
    };
    paths.into_iter().filter_map(change).take(MAX_CHANGES).collect()
}

fn changed(
    place: Place,
    path: &str,
    (from, to): (Option<String>, Option<String>),
    taken: Option<ModuleVersion>,
) -> Change {
    let (module, in_log, retracted) = (path.to_owned(), InLog::default(), Retracted::default());
    Change { place, others: 0, module, from, to, taken, in_log, retracted }
}

fn sources(bytes: &[u8]) -> BTreeMap<String, Source> {
    let (go_mod, _) = GoMod::read(bytes);
    let replacements = Replacements::of(&go_mod.replaces);
    let mut sources: BTreeMap<String, Source> = BTreeMap::new();
    for require in &go_mod.requires {
        let (shown, taken) = match require.source(replacements.find(&require.path, &require.version)) {
            Ok(Replaced::Module(module)) if module.path.as_ref() == require.path => {
                (module.version.to_string(), Some(module))
            }
            Ok(Replaced::Module(module)) => (module.to_string(), Some(module)),
            Ok(Replaced::Folder(folder)) => (folder, None),
            Err(_) => (require.version.clone(), None),
        };
        let version = Version::parse(&require.version).ok();
        let source = Source { shown, taken, line: require.line, version };
        let found = sources.entry(require.path.clone()).or_insert_with(|| source.clone());
        // `go` takes the highest of several.
        if source.version > found.version {
            *found = source;
        }
    }
    sources
}

/// All changes of an audit, each once: those of go.mod files, and then the zips and toolchains of new lines that none of them names.
pub fn all_changes(of_go_mods: Vec<Change>, entries: &[Entry]) -> Vec<Change> {
    let mut all: Vec<Change> = Vec::new();
    let mut known: HashMap<(String, Option<String>, Option<String>), usize> = HashMap::new();
    for change in of_go_mods {
        let at = *known.entry((change.module.clone(), change.from.clone(), change.to.clone())).or_insert(all.len());
        match all.get_mut(at) {
            Some(first) => first.others += 1,
            None => all.push(change),
        }
    }
    let mut taken: BTreeSet<ModuleVersion> = all.iter().filter_map(|change| change.taken.clone()).collect();
    let lines = entries.iter().filter_map(|entry| match entry {
        Entry::Hash(FoundHash { module, place, kind: Kind::Zip, .. })
        | Entry::Named(NamedModule { module, place, .. }) => Some((module, place)),
        _ => None,
    });
    let new = lines.filter(|(module, _)| taken.insert((*module).clone())).map(|(module, place)| {
        let to = Some(module.version.to_string());
        changed(place.clone(), module.path.as_ref(), (None, to), Some(module.clone()))
    });
    let new: Vec<Change> = new.take(MAX_CHANGES).collect();
    all.extend(new);
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(now: &str, then: &str) -> Vec<String> {
        let entries = changes(Path::new("go.mod"), now.as_bytes(), then.as_bytes());
        let line = |entry: Entry| match entry {
            Entry::Change(change) => {
                let text = |value: Option<String>| value.unwrap_or_else(|| "-".to_owned());
                let taken = change.taken.map(|taken| taken.to_string());
                format!("{} {} {} {} {}", change.place, change.module, text(change.from), text(change.to), text(taken))
            }
            other => format!("{other:?}"),
        };
        entries.into_iter().map(line).collect()
    }

    #[test]
    fn a_change_is_what_builds_take_now_and_took_then() {
        let then = "module a.com/b\nrequire (\n\tb.com/x v1.0.0\n\tb.com/y v1.0.0\n\tb.com/z v1.0.0\n)\n";
        assert_eq!(shown(then, then), [""; 0]);
        let more =
            then.replace("y v1.0.0", "y v1.1.0 // indirect").replace("\tb.com/z v1.0.0\n", "\tb.com/new v0.1.0\n");
        let expected = [
            "go.mod:5 b.com/new - v0.1.0 b.com/new@v0.1.0",
            "go.mod:4 b.com/y v1.0.0 v1.1.0 b.com/y@v1.1.0",
            "go.mod b.com/z v1.0.0 - -",
        ];
        assert_eq!(shown(&more, then), expected);
        for (replace, to) in [
            ("b.com/x => c.com/fork v1.0.1", "c.com/fork@v1.0.1 c.com/fork@v1.0.1"),
            ("b.com/x v1.0.0 => b.com/x v1.0.2", "v1.0.2 b.com/x@v1.0.2"),
            ("b.com/x => ../x", "../x -"),
        ] {
            assert_eq!(shown(&format!("{then}replace {replace}\n"), then), [format!("go.mod:3 b.com/x v1.0.0 {to}")]);
        }
        assert_eq!(shown(&format!("{then}replace b.com/x v1.9.0 => ../x\n"), then), [""; 0], "of another version");
        // The highest of two counts, in any order.
        let twice = format!("{then}require b.com/x v1.2.0\nrequire b.com/x v1.1.0\n");
        assert_eq!(shown(&twice, then), ["go.mod:7 b.com/x v1.0.0 v1.2.0 b.com/x@v1.2.0"]);
        assert_eq!(shown(then, "").len(), 3);
    }

    #[test]
    fn the_same_change_of_several_files_is_one() {
        let of = |file: &str| changes(Path::new(file), b"module a.com/b\nrequire b.com/x v1.0.0\n", b"");
        let list = |entries: Vec<Entry>| -> Vec<Change> {
            entries
                .into_iter()
                .filter_map(|entry| if let Entry::Change(change) = entry { Some(change) } else { None })
                .collect()
        };
        let both = [of("a/go.mod"), of("b/go.mod")].concat();
        let all = all_changes(list(both), &[]);
        assert_eq!((all.len(), all[0].others, all[0].place.to_string()), (1, 1, "a/go.mod:2".to_owned()));
    }
}
