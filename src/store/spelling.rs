//! Finds stored modules by a path in any case, or by the path of a package in them.

use std::io;
use std::path::{Path, PathBuf};

use super::open::entries;
use gomodule::module::ModulePath;

/// Entries of one folder that are looked at. A mirror of a large company has some thousand owners on one host.
const MAX_ENTRIES: usize = 50_000;
/// Spellings that are followed. Two owners may differ by case alone; more than a few are an attack.
const MAX_SPELLINGS: usize = 8;
/// Elements of a path. The longest path of a known module has 13.
const MAX_ELEMENTS: usize = 32;

/// The modules below `root` whose path is this one, or one above it, in any case; those above first. Blocks.
pub(super) fn modules_towards(root: &Path, path: &str) -> io::Result<Vec<ModulePath>> {
    let (mut found, mut places) = (Vec::new(), vec![(root.to_owned(), String::new())]);
    for element in path.split('/').take(MAX_ELEMENTS) {
        let mut next = Vec::new();
        for (folder, above) in &places {
            next.extend(spelled(folder, element)?.into_iter().map(|name| {
                let path = if above.is_empty() { name.clone() } else { format!("{above}/{name}") };
                (folder.join(&name), path)
            }));
        }
        next.truncate(MAX_SPELLINGS);
        let is_module = |(folder, _): &&(PathBuf, String)| folder.join("@v").is_dir();
        found.extend(next.iter().filter(is_module).filter_map(|(_, escaped)| ModulePath::unescape(escaped).ok()));
        places = next;
    }
    Ok(found)
}

/// The folders in `folder` whose names are this element in any case.
fn spelled(folder: &Path, element: &str) -> io::Result<Vec<String>> {
    let mut found = Vec::new();
    for entry in entries(folder)?.take(MAX_ENTRIES) {
        let Ok(name) = entry?.file_name().into_string() else { continue };
        // An upper case letter is stored as `!` and the lower case one.
        if name.replace('!', "").eq_ignore_ascii_case(element) && !name.starts_with('@') {
            found.push(name);
        }
    }
    found.sort();
    Ok(found)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use super::*;

    #[test]
    fn modules_are_found_in_any_case_and_from_their_packages() {
        let root = tempfile::tempdir().unwrap();
        for module in ["github.com/!burnt!sushi/toml", "github.com/burntsushi/toml", "github.com/!burnt!sushi/toml/v2"]
        {
            std::fs::create_dir_all(root.path().join(module).join("@v")).unwrap();
        }
        let found = |path: &str| -> Vec<String> {
            modules_towards(root.path(), path).unwrap().iter().map(ToString::to_string).collect()
        };
        let both = ["github.com/BurntSushi/toml", "github.com/burntsushi/toml"];
        assert_eq!(found("GitHub.com/burntSushi/TOML"), both);
        assert_eq!(found("github.com/burntsushi/toml/internal"), both);
        assert_eq!(found("github.com/burntsushi/toml/v2/x").last().unwrap(), "github.com/BurntSushi/toml/v2");
        for nothing in ["", "..", "../..", "github.com", "github.com/burntsushi/toml/@v", "/etc", "example.com/none"] {
            assert!(found(nothing).is_empty() || nothing.contains("@v"), "{nothing}");
        }
    }
}
