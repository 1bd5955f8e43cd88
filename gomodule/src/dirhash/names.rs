//! Checks of file names in a module zip (`module.CheckFilePath` and `zip.CheckZip` of `golang.org/x/mod`).

use crate::module::DEVICES;
use crate::unicode::{fold, is_letter};

/// Why a name is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NameError {
    /// The name does not begin with `path@version/`.
    #[error("{0:?} does not begin with the module's name and version")]
    OtherModule(String),
    /// An element of the name is invalid.
    #[error("{0:?} is not a valid file name: {1}")]
    Bad(String, &'static str),
    /// A name occurs twice, or a file is also a folder.
    #[error("{0:?} is there twice, or is both a file and a folder")]
    Twice(String),
    /// Two names are the same on a file system that is not case-sensitive.
    #[error("{0:?} and {1:?} differ in case only")]
    CaseCollision(String, String),
    /// A go.mod is not that of the module.
    #[error("{0:?}: go.mod must be in the root folder and in lower case")]
    StrayGoMod(String),
}

/// Longest name in a zip, with `MODULE@VERSION/`, in bytes: PATH_MAX of Linux.
pub const MAX_NAME: usize = 4096;
/// Longest element of a name in a zip, in bytes: NAME_MAX of nearly every file system.
pub const MAX_ELEMENT: usize = 255;

/// Punctuation allowed in file names. Other ASCII characters have a meaning in some shell or file system.
const PUNCTUATION: &[u8] = b"!#$%&()+,-.=@[]^_{}~ ";

/// Which ASCII characters are allowed in an element.
const ALLOWED: [bool; 128] = {
    let mut allowed = [false; 128];
    let mut byte = 0_u8;
    while byte < 128 {
        allowed[byte as usize] = byte.is_ascii_alphanumeric();
        byte += 1;
    }
    let mut nth = 0;
    while nth < PUNCTUATION.len() {
        allowed[PUNCTUATION[nth] as usize] = true;
        nth += 1;
    }
    allowed
};

/// Checks a single stored name. Returns the part after `prefix`.
pub(super) fn check<'n>(stored: &'n str, prefix: &str) -> Result<&'n str, NameError> {
    let name = stored.strip_prefix(prefix).ok_or_else(|| NameError::OtherModule(stored.to_owned()))?;
    let (name, is_dir) = name.strip_suffix('/').map_or((name, false), |name| (name, true));
    if let Some(why) = flaw(name) {
        return Err(NameError::Bad(stored.to_owned(), why));
    }
    let base = name.rsplit('/').next().unwrap_or(name);
    if !is_dir && base.eq_ignore_ascii_case("go.mod") && name != "go.mod" {
        return Err(NameError::StrayGoMod(stored.to_owned()));
    }
    Ok(name)
}

struct FoldedName<'n> {
    /// Without the final `/` of a folder.
    name: &'n str,
    is_dir: bool,
    /// The range of its folded form in the text of all folded names.
    start: u32,
    end: u32,
}

/// Checks valid names against each other for duplicates and case collisions.
///
/// The names are sorted by their case-folded elements. Then all names below a folder are adjacent, in whatever case the
/// folder is written, and a file is directly before names below it. So if any two names collide, two neighbours do. This
/// needs a folded copy of the names and 32 bytes for each, and no table of folders.
pub(super) fn check_together<'n>(names: impl ExactSizeIterator<Item = &'n str> + Clone) -> Result<(), NameError> {
    let mut folded = String::with_capacity(names.clone().map(str::len).sum());
    let mut sorted = Vec::with_capacity(names.len());
    for stored in names {
        let (name, is_dir) = stored.strip_suffix('/').map_or((stored, false), |name| (name, true));
        let start = length(&folded);
        folded.extend(name.chars().map(|c| if c == '/' { BETWEEN } else { fold(c) }));
        sorted.push(FoldedName { name, is_dir, start, end: length(&folded) });
    }
    let folded = |name: &FoldedName<'n>| &folded[name.start as usize..name.end as usize];
    sorted.sort_unstable_by(|a, b| (folded(a), a.name).cmp(&(folded(b), b.name)));
    sorted.windows(2).try_for_each(|two| match two {
        [a, b] => check_neighbours((a, folded(a)), (b, folded(b))),
        _ => Ok(()),
    })
}

/// The separator of folded elements, which sorts before every character of a name.
const BETWEEN: char = '\0';

/// `directory` limits the length of all names to far below 4 GiB.
fn length(folded: &str) -> u32 {
    u32::try_from(folded.len()).unwrap_or(u32::MAX)
}

fn check_neighbours(
    (a, a_folded): (&FoldedName<'_>, &str),
    (b, b_folded): (&FoldedName<'_>, &str),
) -> Result<(), NameError> {
    if differ_early(a.name.as_bytes(), b.name.as_bytes()) {
        return Ok(());
    }
    let elements = |name: &FoldedName<'_>| name.name.split('/').count();
    let shared = a_folded.split(BETWEEN).zip(b_folded.split(BETWEEN)).take_while(|(a, b)| a == b).count();
    let pairs = a.name.split('/').zip(b.name.split('/')).take(shared);
    if let Some(differing) = pairs.clone().position(|(a, b)| a != b) {
        let folder = |name: &FoldedName<'_>| name.name.split('/').take(differing + 1).collect::<Vec<_>>().join("/");
        return Err(NameError::CaseCollision(folder(a), folder(b)));
    }
    // The shorter name is the first.
    let is_above = shared == elements(a);
    let is_same = is_above && shared == elements(b);
    if is_same || (is_above && !a.is_dir) { Err(NameError::Twice(b.name.to_owned())) } else { Ok(()) }
}

/// Whether the first byte that differs shows that no elements collide: all before it are the same, and the elements with it
/// differ in more than case. This decides for nearly all names.
fn differ_early(a: &[u8], b: &[u8]) -> bool {
    let first = a.iter().zip(b).position(|(a, b)| a != b);
    match first.map(|at| (a[at], b[at])) {
        Some((a, b)) => a.is_ascii() && b.is_ascii() && !a.eq_ignore_ascii_case(&b),
        None => b.get(a.len()).is_some_and(|next| *next != b'/'),
    }
}

fn flaw(name: &str) -> Option<&'static str> {
    name.split('/').find_map(|element| {
        let allowed = |c: char| match u8::try_from(c) {
            Ok(byte) if byte.is_ascii() => ALLOWED[usize::from(byte)],
            _ => is_letter(c),
        };
        if element.is_empty() {
            Some("it has an empty element")
        } else if element.bytes().all(|b| b == b'.') {
            Some("it has an element of dots only")
        } else if element.ends_with('.') {
            Some("it has an element that ends with a dot")
        } else if !element.chars().all(allowed) {
            Some("it has a character that is not allowed")
        } else if is_device(element) {
            Some("it has an element that is a Windows device name")
        } else {
            None
        }
    })
}

/// Whether it is the name of a device of Windows, with or without an extension. These have three or four characters.
fn is_device(element: &str) -> bool {
    let stem = element.split('.').next().unwrap_or_default();
    matches!(stem.len(), 3 | 4) && DEVICES.iter().any(|device| stem.eq_ignore_ascii_case(device))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_all(names: &[&str]) -> Result<(), NameError> {
        names.iter().try_for_each(|name| check(name, "m@v1/").map(|_| ()))?;
        check_together(names.iter().copied())
    }

    #[test]
    fn ordinary_names_are_valid() {
        assert_eq!(
            check_all(&["m@v1/go.mod", "m@v1/a/b.go", "m@v1/a/c d.go", "m@v1/ä.go", "m@v1/a/", "m@v1/.x"]),
            Ok(())
        );
        assert_eq!(check_all(&["m@v1/d/", "m@v1/d/e/", "m@v1/d/e/f"]), Ok(()));
    }

    #[test]
    fn invalid_names_have_a_reason() {
        let bad = |names: &[&str]| check_all(names).err();
        assert!(matches!(bad(&["n@v1/a"]), Some(NameError::OtherModule(_))));
        for name in [
            "m@v1/",
            "m@v1//a",
            "m@v1/../a",
            "m@v1/./a",
            "m@v1/a.",
            "m@v1/a\nb",
            "m@v1/a\\b",
            "m@v1/a:b",
            "m@v1/NUL.txt",
        ] {
            assert!(matches!(bad(&[name]), Some(NameError::Bad { .. })), "{name:?}");
        }
        assert!(matches!(bad(&["m@v1/a", "m@v1/a"]), Some(NameError::Twice(_))));
        assert!(matches!(bad(&["m@v1/d/", "m@v1/d/"]), Some(NameError::Twice(_))));
        assert!(matches!(bad(&["m@v1/a", "m@v1/a/b"]), Some(NameError::Twice(_))));
        assert!(matches!(bad(&["m@v1/a/b", "m@v1/a"]), Some(NameError::Twice(_))));
        assert!(matches!(bad(&["m@v1/A", "m@v1/a"]), Some(NameError::CaseCollision(..))));
        assert!(matches!(bad(&["m@v1/D/x", "m@v1/d/y"]), Some(NameError::CaseCollision(..))));
        assert!(matches!(bad(&["m@v1/ſ", "m@v1/S"]), Some(NameError::CaseCollision(..))));
        assert!(matches!(bad(&["m@v1/Go.mod"]), Some(NameError::StrayGoMod(_))));
        assert!(matches!(bad(&["m@v1/sub/go.mod"]), Some(NameError::StrayGoMod(_))));
    }

    /// The generator is `testdata/main.go`.
    #[test]
    fn names_are_valid_if_go_takes_them() {
        let (mut valid, mut refused) = (0, 0);
        for line in include_str!("../../testdata/names.txt").lines() {
            let fields: Vec<&str> = line.split('\t').collect();
            let [names, expected, _h1] = fields[..] else { panic!("{line}") };
            let mut folders: Vec<&str> = names.split('|').filter(|name| name.ends_with('/')).collect();
            folders.sort_unstable();
            let stored: Vec<String> = names.split('|').map(|name| format!("m@v1/{name}")).collect();
            let found = check_all(&stored.iter().map(String::as_str).collect::<Vec<_>>());
            // Refused on purpose: the zip itself as a folder, and a folder twice.
            if expected == "true"
                && (names.split('|').any(str::is_empty) || folders.windows(2).any(|two| two[0] == two[1]))
            {
                assert!(found.is_err(), "{line}");
                continue;
            }
            assert_eq!(found.is_ok().to_string(), expected, "{line}: {found:?}");
            if found.is_ok() { valid += 1 } else { refused += 1 }
        }
        assert!(valid > 100 && refused > 100, "{valid} {refused}");
    }

    /// The same check with a table of all names and folders.
    fn collides_in_a_table(names: &[&str]) -> bool {
        let mut noted = std::collections::HashMap::new();
        let mut note = |name: &str, is_dir: bool, is_above: bool| {
            let folded: String = name.chars().map(fold).collect();
            let new = (name.to_owned(), is_dir, is_above);
            match noted.get(&folded).cloned() {
                None => noted.insert(folded, new).is_some(),
                Some((other, other_is_dir, _)) if other != name || !is_dir || !other_is_dir => true,
                // A folder may have one entry of its own.
                Some((.., other_is_above)) if !is_above && !other_is_above => true,
                Some((.., other_is_above)) => {
                    noted.insert(folded, (name.to_owned(), true, is_above && other_is_above));
                    false
                }
            }
        };
        names.iter().any(|stored| {
            let (name, is_dir) = stored.strip_suffix('/').map_or((*stored, false), |name| (name, true));
            let above = name.match_indices('/').any(|(end, _)| note(&name[..end], true, true));
            note(name, is_dir, false) || above
        })
    }

    #[test]
    fn two_neighbours_collide_if_any_two_names_do() {
        let elements = ["a", "A", "a!", "s", "ſ"];
        let mut names: Vec<String> = elements.iter().flat_map(|one| [(*one).to_owned(), format!("{one}/")]).collect();
        for one in elements {
            names.extend(elements.iter().map(|two| format!("{one}/{two}")));
        }
        names.extend(["a/a/a", "a/A/a", "a/a/A", "A/a/"].map(str::to_owned));
        let (mut bad, mut fine) = (0, 0);
        for one in &names {
            for two in &names {
                for three in &names {
                    let three = [one.as_str(), two, three];
                    let collides = check_together(three.into_iter()).is_err();
                    assert_eq!(collides, collides_in_a_table(&three), "{three:?}");
                    if collides { bad += 1 } else { fine += 1 }
                }
            }
        }
        assert!(bad > 1000 && fine > 1000, "{bad} {fine}");
    }
}
