//! When the mirror may say that something does not exist (404), and on what evidence.
//!
//! `go` takes 404 and 410 for the permission to ask the next proxy, or version control. So 404 is a statement about security:
//! whoever can provoke a wrong one leads `go` past the mirror. Only this module makes an [`Absent`], by these rules:
//!
//! 1. *Nowhere*: each source that may have it was asked and answered 404 or 410 ([`Nowhere`]). A source that refuses, rests,
//!    fails, or sends something else may have it.
//! 2. *No record*: each database says, as the answer to a lookup and from an address that has shown a signed head, that it has
//!    no record ([`NoRecord`]); and either rule 1 holds for the version too, or the database was first asked for it here more
//!    than [`INDEXED_WITHIN`] ago. Until then it may be about to have one.
//! 3. *A folder*: no source can be asked now, the path lies below a module whose zip is here, the zip of the version that is
//!    asked for has Go files in that folder, and nothing of a module of that path was ever seen here. `go` asks for every
//!    prefix of a package path, so this decides between `.info`, lists and `@latest` alone, never a `.mod` or `.zip`.
//!
//! Four other answers are 404 and say nothing about a module ([`crate::base::fault::Fault::NotServed`]): `supported` of a database
//! that is not served here, the lookup of an exempt module, data tiles, and paths that are no requests for a module.

use std::path::Path;
use std::time::Duration;

use crate::release::NoRecord;
use crate::sumdb::FirstAsked;
use crate::upstream::Nowhere;
use gomodule::module::{ModulePath, ModuleVersion};

/// How long a database may take to show a record after it was first asked for a version: minutes to an hour were seen
/// (<https://go.dev/issue/70042>), and a busy day takes longer.
pub(super) const INDEXED_WITHIN: Duration = Duration::from_hours(2);

/// Something does not exist, by one of the rules of this module.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{words}")]
pub struct Absent {
    words: String,
}

impl Absent {
    /// By rule 1.
    pub(super) fn nowhere(nowhere: &Nowhere) -> Self {
        Self { words: nowhere.to_string() }
    }

    /// By rule 2, since no source has it either.
    pub(super) fn no_record(none: &NoRecord, nowhere: &Nowhere) -> Self {
        Self { words: format!("{none}; and {nowhere}") }
    }

    /// By rule 2, if the database was first asked so long ago.
    pub(super) fn overdue(none: &NoRecord, first_asked: FirstAsked) -> Option<Self> {
        let (module, hours) = (none.module(), first_asked.ago().as_secs() / 3600);
        let words = format!("{none} (this mirror first asked for {module} {hours} hours ago)");
        (first_asked.ago() > INDEXED_WITHIN).then_some(Self { words })
    }

    /// By rule 3, of the names in the proved zip of the module `of`, for a path of which nothing was `seen`.
    pub(super) fn folder(path: &ModulePath, of: &ModuleVersion, names: &[String], seen: bool) -> Option<Self> {
        let below = path.as_ref().strip_prefix(of.path.as_ref())?.strip_prefix('/')?;
        let prefix = format!("{of}/{below}/");
        let is_go = |name: &str| Path::new(name).extension().is_some_and(|extension| extension == "go");
        let has_go_files = names.iter().any(|name| name.starts_with(&prefix) && is_go(name));
        let words = format!("not found: {path} is a folder of {of}, and no module as far as this mirror knows");
        (has_go_files && !seen).then_some(Self { words })
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use std::sync::Arc;

    use super::*;
    use crate::sumdb::SumdbError;

    #[test]
    fn two_hours_must_have_passed() {
        let module = ModuleVersion::parse("example.com/a@v1.0.0").unwrap();
        let (database, what, reason) = ("a.example".to_owned(), module.to_string(), "not found".to_owned());
        let said = Arc::new(SumdbError::NoRecord { database, what, reason });
        let none = NoRecord::of(&module, &[said]).unwrap();
        assert_eq!(Absent::overdue(&none, FirstAsked::of(INDEXED_WITHIN)), None);
        let overdue = Absent::overdue(&none, FirstAsked::of(INDEXED_WITHIN + Duration::from_secs(1))).unwrap();
        assert!(overdue.to_string().contains("2 hours ago"), "{overdue}");
    }

    #[test]
    fn a_folder_has_go_files_below_it_in_the_zip_and_was_never_seen_as_a_module() {
        let of = ModuleVersion::parse("example.com/a@v1.0.0").unwrap();
        let names = ["a.go", "b/b.go", "c/readme.md", "d/e/e.go"].map(|name| format!("{of}/{name}"));
        let folder = |path: &str, seen| Absent::folder(&ModulePath::parse(path).unwrap(), &of, &names, seen).is_some();
        assert!(
            folder("example.com/a/b", false) && folder("example.com/a/d", false) && folder("example.com/a/d/e", false)
        );
        assert!(!folder("example.com/a/b", true));
        for none in ["example.com/a/c", "example.com/a/x", "example.com/ab", "example.com/a"] {
            assert!(!folder(none, false), "{none}");
        }
    }
}
