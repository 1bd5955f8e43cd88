//! What the files of a module may be called (`module.CheckFilePath` and `zip.CheckZip` of `golang.org/x/mod`).

use crate::module::DEVICES;

/// Why a name is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NameError {
    /// Does not begin with `path@version/`.
    #[error("{0:?} does not begin with the module's name and version")]
    OtherModule(String),
    /// Empty, `.` or `..` elements, characters, endings, devices.
    #[error("{0:?} cannot be a file name: {1}")]
    Bad(String, &'static str),
    /// One name twice, or a file that is also a folder.
    #[error("{0:?} is there twice, or is both a file and a folder")]
    Twice(String),
    /// Two names that a file system without case takes for one.
    #[error("{0:?} and {1:?} differ in case only")]
    CaseCollision(String, String),
    /// A go.mod that is not the module's.
    #[error("{0:?}: go.mod may stand at the root only, in lower case")]
    StrayGoMod(String),
}

/// Longest stored name, in bytes: PATH_MAX of Linux.
pub(super) const MAX_NAME: usize = 4096;
/// Longest element, in bytes: NAME_MAX of nearly every file system.
pub(super) const MAX_ELEMENT: usize = 255;

/// Punctuation that file names may have; the rest of ASCII means something to some shell or file system.
const PUNCTUATION: &str = "!#$%&()+,-.=@[]^_{}~ ";

/// Checks a stored name by itself. Returns the part behind `prefix`.
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

struct Noted<'n> {
    /// Without the `/` at the end of a folder.
    name: &'n str,
    is_dir: bool,
    /// Where its folded form stands among all.
    start: u32,
    end: u32,
}

/// Checks names, each of which is well formed by itself, against each other.
///
/// They are sorted by their folded elements. Then all below one folder, however its name is written, stand together, and a
/// file stands directly before what is below it; so where any two names collide, two neighbours do. No folder is noted
/// anywhere: what this needs is the names once more, folded, and 32 bytes for each.
pub(super) fn check_together<'n>(names: impl ExactSizeIterator<Item = &'n str> + Clone) -> Result<(), NameError> {
    let mut folded = String::with_capacity(names.clone().map(str::len).sum());
    let mut sorted = Vec::with_capacity(names.len());
    for stored in names {
        let (name, is_dir) = stored.strip_suffix('/').map_or((stored, false), |name| (name, true));
        let start = position(&folded);
        folded.extend(name.chars().map(|c| if c == '/' { BETWEEN } else { fold(c) }));
        sorted.push(Noted { name, is_dir, start, end: position(&folded) });
    }
    let folded = |noted: &Noted<'n>| &folded[noted.start as usize..noted.end as usize];
    sorted.sort_unstable_by(|a, b| (folded(a), a.name).cmp(&(folded(b), b.name)));
    sorted.windows(2).try_for_each(|two| match two {
        [a, b] => check_neighbours((a, folded(a)), (b, folded(b))),
        _ => Ok(()),
    })
}

/// Between folded elements: less than any character of a name.
const BETWEEN: char = '\0';

/// All names are bounded far below 4 GiB (`directory`).
fn position(folded: &str) -> u32 {
    u32::try_from(folded.len()).unwrap_or(u32::MAX)
}

fn check_neighbours((a, a_folded): (&Noted<'_>, &str), (b, b_folded): (&Noted<'_>, &str)) -> Result<(), NameError> {
    let elements = |noted: &Noted<'_>| noted.name.split('/').count();
    let shared = a_folded.split(BETWEEN).zip(b_folded.split(BETWEEN)).take_while(|(a, b)| a == b).count();
    let pairs = a.name.split('/').zip(b.name.split('/')).take(shared);
    if let Some(differing) = pairs.clone().position(|(a, b)| a != b) {
        let folder = |noted: &Noted<'_>| noted.name.split('/').take(differing + 1).collect::<Vec<_>>().join("/");
        return Err(NameError::CaseCollision(folder(a), folder(b)));
    }
    // The shorter one is first.
    let is_above = shared == elements(a);
    let is_same = is_above && shared == elements(b);
    if is_same || (is_above && !a.is_dir) { Err(NameError::Twice(b.name.to_owned())) } else { Ok(()) }
}

/// One character for all that differ in case only, where that is one character.
fn fold(c: char) -> char {
    if c.is_ascii() {
        return c.to_ascii_lowercase();
    }
    let single = |mut mapped: std::iter::Fuse<std::char::ToLowercase>| match (mapped.next(), mapped.next()) {
        (Some(c), None) => Some(c),
        _ => None,
    };
    let mut upper = c.to_uppercase();
    let upper = if upper.len() == 1 { upper.next().unwrap_or(c) } else { c };
    single(upper.to_lowercase().fuse()).unwrap_or(c)
}

fn flaw(name: &str) -> Option<&'static str> {
    name.split('/').find_map(|element| {
        let stem = element.split('.').next().unwrap_or_default();
        let allowed = |c: char| {
            if c.is_ascii() { c.is_ascii_alphanumeric() || PUNCTUATION.contains(c) } else { c.is_alphabetic() }
        };
        if element.is_empty() {
            Some("it has an empty element")
        } else if element.bytes().all(|b| b == b'.') {
            Some("it has an element of dots only")
        } else if element.ends_with('.') {
            Some("it has an element that ends with a dot")
        } else if !element.chars().all(allowed) {
            Some("it has a character that no file of a module may have")
        } else if DEVICES.iter().any(|device| stem.eq_ignore_ascii_case(device)) {
            Some("it has an element that Windows takes for a device")
        } else {
            None
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn take_all(names: &[&str]) -> Result<(), NameError> {
        names.iter().try_for_each(|name| check(name, "m@v1/").map(|_| ()))?;
        check_together(names.iter().copied())
    }

    #[test]
    fn ordinary_names_pass() {
        assert_eq!(
            take_all(&["m@v1/go.mod", "m@v1/a/b.go", "m@v1/a/c d.go", "m@v1/ä.go", "m@v1/a/", "m@v1/.x"]),
            Ok(())
        );
        assert_eq!(take_all(&["m@v1/d/", "m@v1/d/e/", "m@v1/d/e/f"]), Ok(()));
    }

    #[test]
    fn each_bad_name_has_its_reason() {
        let bad = |names: &[&str]| take_all(names).err();
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

    /// The same by noting each name and each folder, however many there are.
    fn collides_when_noted(names: &[&str]) -> bool {
        let mut noted = std::collections::HashMap::new();
        let mut note = |name: &str, is_dir: bool, is_above: bool| {
            let folded: String = name.chars().map(fold).collect();
            let new = (name.to_owned(), is_dir, is_above);
            match noted.get(&folded).cloned() {
                None => noted.insert(folded, new).is_some(),
                Some((other, other_is_dir, _)) if other != name || !is_dir || !other_is_dir => true,
                // A folder may be named once by itself.
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
    fn neighbours_collide_wherever_any_two_names_do() {
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
                    assert_eq!(collides, collides_when_noted(&three), "{three:?}");
                    if collides { bad += 1 } else { fine += 1 }
                }
            }
        }
        assert!(bad > 1000 && fine > 1000, "{bad} {fine}");
    }
}
