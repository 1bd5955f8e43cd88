//! Imports: no cycles between files, and no room imports a higher one.
//!
//! Names are followed to the file that defines them. A file that only declares modules and exports what they define imports
//! nothing. The tests of a file may import all of its room.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

/// From the lowest to the highest: a room imports only rooms before it.
const ROOMS: [&str; 21] = [
    "base",
    // All others may report to it.
    "telemetry",
    // The output of programs is made safe for a terminal.
    "finding",
    "go",
    "policy",
    "store",
    // `direct` unpacks below the data folder.
    "upstream",
    // It has upstreams with their credentials.
    "settings",
    // It sends events with the one HTTP client.
    "events",
    // It is reached through upstreams, and uses the age type of the policy.
    "sumdb",
    "release",
    "mirror",
    "repository",
    "audit",
    // It shows what the mirror knows, and audits a go.sum.
    "page",
    "airgap",
    // It skips modules of the toolchain, like the audit of a module cache.
    "gate",
    // It finds go.sum files like the audit.
    "doctor",
    // It calls parsers of all rooms for the fuzz targets.
    "fuzzing",
    "cli",
    "main",
];

/// The words between `::`.
type Names = Vec<String>;

/// The imports of a file.
#[derive(Default)]
struct Source {
    /// What `use` brings, by its name here.
    imported: BTreeMap<String, Names>,
    /// The paths of every `use`, and of the code, without what is exported only.
    used: Vec<Names>,
    /// Like `used`, of the tests at the end of the file.
    tests: Vec<Names>,
    /// The types that are defined here.
    types: BTreeSet<String>,
    /// The types that have functions of their own here.
    implemented: BTreeSet<String>,
}

/// Every file of a package, by its module path.
struct Sources(BTreeMap<Names, Source>);

/// Identifiers and punctuation, without comments, strings and lifetimes.
fn tokens(code: &str) -> Vec<&str> {
    let mut found = Vec::new();
    let mut rest = code;
    while let Some(first) = rest.chars().next() {
        let word = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
        let hashes = rest.strip_prefix('r').map(|raw| raw.len() - raw.trim_start_matches('#').len());
        let length = match (first, hashes) {
            ('r', Some(hashes)) if rest[1 + hashes..].starts_with('"') => {
                let end = format!("\"{}", "#".repeat(hashes));
                2 + hashes + rest[2 + hashes..].find(&end).unwrap() + end.len()
            }
            ('/', _) if rest.starts_with("//") => rest.find('\n').unwrap_or(rest.len()),
            ('"', _) => closed(rest, '"'),
            ('\'', _) if rest[1..].starts_with('\\') || rest.chars().nth(2) == Some('\'') => closed(rest, '\''),
            _ => {
                let length = word.max(first.len_utf8()).max(2 * usize::from(rest.starts_with("::")));
                found.push(&rest[..length]);
                length
            }
        };
        rest = rest[length..].trim_start();
    }
    found
}

/// The length of a string between two such quotes.
fn closed(text: &str, quote: char) -> usize {
    let mut escaped = false;
    let end = text.char_indices().skip(1).find(|&(_, c)| {
        let ends = c == quote && !escaped;
        escaped = c == '\\' && !escaped;
        ends
    });
    end.unwrap().0 + 1
}

/// Reads one tree of a `use` from `at`; returns the position after it.
fn use_tree(tokens: &[&str], mut at: usize, before: &Names, found: &mut Vec<(String, Names)>) -> usize {
    let mut path = before.clone();
    loop {
        match tokens[at] {
            "{" => {
                at += 1;
                while tokens[at] != "}" {
                    at = use_tree(tokens, at, &path, found);
                    at += usize::from(tokens[at] == ",");
                }
                return at + 1;
            }
            "::" => at += 1,
            "as" => {
                found.push((tokens[at + 1].to_owned(), path));
                return at + 2;
            }
            ";" | "," | "}" => {
                found.push((path.last().unwrap().clone(), path));
                return at;
            }
            "self" if !path.is_empty() => at += 1,
            word => {
                path.push(word.to_owned());
                at += 1;
            }
        }
    }
}

impl Source {
    fn read(text: &str) -> Self {
        let (code, tests) = text.split_once("#[cfg(test)]\nmod ").unwrap_or((text, ""));
        let mut source = Self::default();
        let (mut exported, mut words) = (Vec::new(), BTreeSet::new());
        let tokens = tokens(code);
        let mut at = 0;
        while at < tokens.len() {
            if tokens[at] == "use" && tokens[at + 1] != "<" {
                let mut found = Vec::new();
                let public = at > 0 && ["pub", ")"].contains(&tokens[at - 1]);
                at = use_tree(&tokens, at + 1, &Names::new(), &mut found);
                source.imported.extend(found.iter().cloned());
                if public {
                    exported.extend(found);
                } else {
                    source.used.extend(found.into_iter().map(|(_, path)| path));
                }
            } else if tokens[at] == "mod" {
                at += 2;
            } else if tokens.get(at + 1) == Some(&"::") {
                let end = (at..tokens.len()).step_by(2).find(|&end| tokens.get(end + 1) != Some(&"::")).unwrap();
                source.used.push(tokens[at..=end].iter().step_by(2).map(ToString::to_string).collect());
                words.insert(tokens[at]);
                at = end;
            } else {
                words.insert(tokens[at]);
                at += 1;
            }
        }
        source
            .used
            .extend(exported.into_iter().filter(|(name, _)| words.contains(name.as_str())).map(|(_, path)| path));
        source.tests = tests_of(tests);
        let defined = tokens.windows(2).filter(|pair| ["struct", "enum", "union"].contains(&pair[0]));
        source.types = defined.map(|pair| pair[1].to_owned()).collect();
        // Elsewhere it is in the type of an argument or a result.
        let is_item = |at: usize| at == 0 || ["}", ";", "]", "{"].contains(&tokens[at - 1]);
        let starts = (0..tokens.len()).filter(|&at| tokens[at] == "impl" && is_item(at));
        source.implemented = starts.filter_map(|at| implemented(&tokens[at + 1..])).collect();
        source
    }
}

/// The type of an inherent `impl`; none for that of a trait.
fn implemented(tokens: &[&str]) -> Option<String> {
    let (mut depth, mut name) = (0, None);
    for token in tokens {
        match *token {
            "<" => depth += 1,
            ">" => depth -= 1,
            "{" | "where" => break,
            "for" if depth == 0 => return None,
            word if depth == 0 => name = Some(word.to_owned()),
            _ => {}
        }
    }
    name
}

/// The paths from the root of the crate in the tests of a file.
fn tests_of(code: &str) -> Vec<Names> {
    let mut found = Vec::new();
    let tokens = tokens(code);
    for at in (0..tokens.len()).filter(|&at| tokens[at] == "crate") {
        let mut paths = Vec::new();
        if tokens.get(at.wrapping_sub(1)) == Some(&"use") {
            use_tree(&tokens, at, &Names::new(), &mut paths);
            found.extend(paths.into_iter().map(|(_, path)| path));
        } else {
            found.push(vec!["crate".to_owned(), tokens[at + 2].to_owned()]);
        }
    }
    found
}

impl Sources {
    /// Those of one package.
    fn read(package: &str) -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join(package).join("src");
        let mut folders = vec![root.clone()];
        let mut found = BTreeMap::new();
        while let Some(folder) = folders.pop() {
            for path in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
                if path.is_dir() {
                    folders.push(path);
                } else if path.extension().is_some_and(|extension| extension == "rs") {
                    let name = path.strip_prefix(&root).unwrap().with_extension("");
                    let mut module: Names = name.iter().map(|part| part.to_str().unwrap().to_owned()).collect();
                    if module == ["lib"] {
                        module.clear();
                    }
                    found.insert(module, Source::read(&fs::read_to_string(path).unwrap()));
                }
            }
        }
        assert!(found.len() > 2, "the sources of {package:?} were not found");
        Self(found)
    }

    /// The path from the root of the crate for a path in this file; none for other crates.
    fn absolute(&self, path: &[String], file: &Names) -> Option<Names> {
        let (first, rest) = path.split_first()?;
        let mut from = match first.as_str() {
            "crate" | "sumgate" => Names::new(),
            "self" => file.clone(),
            "super" => {
                let parent = file[..file.len().checked_sub(1)?].to_vec();
                return self.absolute(&[&["self".to_owned()], rest].concat(), &parent);
            }
            name => {
                let child = [file.as_slice(), &[name.to_owned()]].concat();
                if self.0.contains_key(&child) {
                    child
                } else {
                    let imported = self.0[file].imported.get(name).filter(|to| to.first() != Some(first))?;
                    self.absolute(imported, file)?
                }
            }
        };
        from.extend_from_slice(rest);
        Some(from)
    }

    /// The file that defines the item of a path; none for a module.
    fn defining(&self, path: &[String]) -> Option<Names> {
        let mut file = Names::new();
        for (at, name) in path.iter().enumerate() {
            let child = [file.as_slice(), std::slice::from_ref(name)].concat();
            // A function may have the name of the file that it is in.
            let is_item = at + 1 == path.len() && self.0[&file].imported.contains_key(name);
            if self.0.contains_key(&child) && !is_item {
                file = child;
            } else if let Some(imported) = self.0[&file].imported.get(name) {
                let mut to = self.absolute(imported, &file)?;
                to.extend_from_slice(&path[at + 1..]);
                return self.defining(&to);
            } else {
                return Some(file);
            }
        }
        None
    }

    fn imports(&self) -> BTreeMap<&Names, BTreeSet<Names>> {
        let of = |file: &Names, source: &Source| {
            let used = source.used.iter().filter_map(|path| self.defining(&self.absolute(path, file)?));
            used.filter(|to| to != file).collect()
        };
        self.0.iter().map(|(file, source)| (file, of(file, source))).collect()
    }
}

/// All files that are reachable.
fn reached<'a>(from: &Names, imports: &'a BTreeMap<&Names, BTreeSet<Names>>) -> BTreeSet<&'a Names> {
    let mut found = BTreeSet::new();
    let mut open: Vec<&Names> = imports[from].iter().collect();
    while let Some(file) = open.pop() {
        if found.insert(file) {
            open.extend(&imports[file]);
        }
    }
    found
}

/// The name in the tables.
fn shown(file: &Names) -> String {
    file.join("/")
}

/// The files of each cycle.
fn circles(package: &str, least_imports: usize) -> BTreeSet<BTreeSet<String>> {
    let sources = Sources::read(package);
    let imports = sources.imports();
    assert!(imports.values().map(BTreeSet::len).sum::<usize>() >= least_imports, "the imports were not read");
    let reach: BTreeMap<_, _> = imports.keys().map(|&file| (file, reached(file, &imports))).collect();
    let circle = |(file, to): (&&Names, &BTreeSet<&Names>)| -> BTreeSet<String> {
        to.iter().filter(|to| reach[*to].contains(file)).map(|file| shown(file)).collect()
    };
    reach.iter().map(circle).filter(|circle| !circle.is_empty()).collect()
}

#[test]
fn no_file_imports_itself_by_way_of_others() {
    for (package, least_imports) in [("", 500), ("tlog", 20), ("gomodule", 20), ("testkit", 3)] {
        assert_eq!(circles(package, least_imports), BTreeSet::new(), "{package}");
    }
}

#[test]
fn no_room_imports_a_higher_one() {
    let sources = Sources::read("");
    let level = |room: &String| ROOMS.iter().position(|known| room == known);
    for (file, source) in &sources.0 {
        // The root of the crate declares the rooms.
        let Some(room) = file.first() else { continue };
        let own = level(room).unwrap_or_else(|| panic!("{room} is not in the list of rooms"));
        let used = source.used.iter().filter_map(|path| sources.absolute(path, file));
        let tests = source.tests.iter().map(|path| path[1..].to_vec());
        for path in used.chain(tests) {
            let is_higher = path.first().and_then(level).is_some_and(|other| other > own);
            assert!(!is_higher, "{} imports {}, a higher room", shown(file), path.join("::"));
        }
    }
}

/// A type is one idea, and a file is one idea, so the functions of a type are in one file.
#[test]
fn every_function_of_a_type_stands_in_its_file() {
    for (package, least) in [("", 150), ("tlog", 15), ("gomodule", 15), ("testkit", 3)] {
        let sources = Sources::read(package);
        let all: Vec<_> =
            sources.0.iter().flat_map(|(file, source)| source.implemented.iter().map(move |of| (file, of))).collect();
        assert!(all.len() >= least, "the functions of {package:?} were not read: {}", all.len());
        let scattered = all.iter().filter(|(file, of)| !sources.0[*file].types.contains(*of));
        let scattered: Vec<_> = scattered.map(|(file, of)| format!("{of} in {}", shown(file))).collect();
        assert_eq!(scattered, Vec::<String>::new(), "{package}");
    }
}
