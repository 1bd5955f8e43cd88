//! What the files of a module may be called (`module.CheckFilePath` and `zip.CheckZip` of `golang.org/x/mod`).

use std::collections::{HashMap, HashSet};

/// Why a name is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NameError {
    /// Does not begin with `path@version/`.
    #[error("{0:?} does not begin with the module's name and version")]
    OtherModule(String),
    /// Empty, `.` or `..` elements, characters, endings, devices.
    #[error("{name:?} cannot be a file name: {why}")]
    Bad {
        /// The name.
        name: String,
        /// Which rule.
        why: &'static str,
    },
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

/// The names of one zip.
#[derive(Debug, Default)]
pub(super) struct Names {
    /// Case-folded name → name, and whether it is a folder.
    seen: HashMap<String, (String, bool)>,
    /// The names as stored.
    stored: HashSet<String>,
}

/// Punctuation that file names may have; the rest of ASCII means something to some shell or file system.
const PUNCTUATION: &str = "!#$%&()+,-.=@[]^_{}~ ";
const DEVICES: [&str; 22] = [
    "con", "prn", "aux", "nul", "com1", "com2", "com3", "com4", "com5", "com6", "com7", "com8", "com9", "lpt1", "lpt2",
    "lpt3", "lpt4", "lpt5", "lpt6", "lpt7", "lpt8", "lpt9",
];

impl Names {
    /// Checks a stored name against the rules and against all earlier ones. Returns the part behind `prefix`.
    pub(super) fn take<'n>(&mut self, stored: &'n str, prefix: &str) -> Result<&'n str, NameError> {
        let name = stored.strip_prefix(prefix).ok_or_else(|| NameError::OtherModule(stored.to_owned()))?;
        let (name, is_dir) = name.strip_suffix('/').map_or((name, false), |name| (name, true));
        if let Some(why) = flaw(name) {
            return Err(NameError::Bad { name: stored.to_owned(), why });
        }
        if !self.stored.insert(stored.to_owned()) {
            return Err(NameError::Twice(stored.to_owned()));
        }
        self.note(name, is_dir)?;
        let mut above = name;
        while let Some((folder, _)) = above.rsplit_once('/') {
            if !self.note(folder, true)? {
                break;
            }
            above = folder;
        }
        let base = name.rsplit('/').next().unwrap_or(name);
        if !is_dir && base.eq_ignore_ascii_case("go.mod") && name != "go.mod" {
            return Err(NameError::StrayGoMod(stored.to_owned()));
        }
        Ok(name)
    }

    /// Notes a name; `false` says that it was noted before, as the same folder.
    fn note(&mut self, name: &str, is_dir: bool) -> Result<bool, NameError> {
        let folded: String = name.chars().map(fold).collect();
        match self.seen.get(&folded) {
            None => {
                self.seen.insert(folded, (name.to_owned(), is_dir));
                Ok(true)
            }
            Some((other, _)) if other != name => Err(NameError::CaseCollision(other.clone(), name.to_owned())),
            Some((_, true)) if is_dir => Ok(false),
            Some(_) => Err(NameError::Twice(name.to_owned())),
        }
    }
}

/// One character for all that differ in case only, where that is one character.
fn fold(c: char) -> char {
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
        let mut taken = Names::default();
        names.iter().try_for_each(|name| taken.take(name, "m@v1/").map(|_| ()))
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
}
