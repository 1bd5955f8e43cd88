//! When the mirror may answer 404, and on what evidence.
//!
//! After 404 or 410 `go` asks the next proxy, or version control. So 404 is a security statement: an attacker who can provoke
//! a wrong one leads `go` past the mirror. Only this module makes an [`Absent`], by these rules:
//!
//! 1. *Nowhere*: each upstream that may have it was asked and answered 404 or 410 ([`Nowhere`]). An upstream that refuses,
//!    fails, is temporarily disabled, or sends an invalid answer may have it.
//! 2. *No record*: each database answered a lookup, from an endpoint that has shown a signed head, with "no record"
//!    ([`NoRecord`]); and either rule 1 holds for the version too, or this mirror first asked the database for it more than
//!    [`INDEXED_WITHIN`] ago. Until then the database may be about to add the record.
//! 3. *A folder*: no upstream can be asked now, the path lies below a module whose zip is stored, the zip of the requested
//!    version has Go files in that folder, and no module of that path was ever seen here. `go` asks for every prefix of a
//!    package path, so this decides about `.info`, lists and `@latest` only, never about a `.mod` or `.zip`.
//!
//! Five other 404 answers say nothing about a module ([`crate::base::fault::Fault::NotServed`]): `supported` of a database that
//! is not served, the lookup of an exempt module, data tiles, paths that do not belong to the protocol, and what is not stored
//! when the request forbids downloads, which `go` never does.

use std::path::Path;
use std::time::Duration;

use crate::sumdb::{FirstAsked, NoRecord};
use crate::upstream::Nowhere;
use gomodule::module::{ModulePath, ModuleVersion};

/// How long a database may take to show a record after it was first asked for a version: minutes to an hour were observed
/// (<https://go.dev/issue/70042>), and a busy day takes longer.
pub(super) const INDEXED_WITHIN: Duration = Duration::from_secs(2 * 3600);

/// Something does not exist, by one of the rules of this module.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct Absent {
    reason: String,
}

impl Absent {
    /// Rule 1.
    pub(super) fn nowhere(nowhere: &Nowhere) -> Self {
        Self { reason: nowhere.to_string() }
    }

    /// Rule 2: no upstream has it either.
    pub(super) fn no_record(none: &NoRecord, nowhere: &Nowhere) -> Self {
        Self { reason: format!("{none}; and {nowhere}") }
    }

    /// Rule 2: the database was first asked long enough ago.
    pub(super) fn overdue(none: &NoRecord, first_asked: FirstAsked) -> Option<Self> {
        let (module, hours) = (none.module(), first_asked.ago().as_secs() / 3600);
        let reason = format!("{none} (this mirror first asked for {module} {hours} hours ago)");
        (first_asked.ago() > INDEXED_WITHIN).then_some(Self { reason })
    }

    /// Rule 3: `path` is a folder in the proved zip of the module `of`, which has these `names`. `seen`: a module of that path
    /// was seen.
    pub(super) fn folder(path: &ModulePath, of: &ModuleVersion, names: &[String], seen: bool) -> Option<Self> {
        let below = path.as_ref().strip_prefix(of.path.as_ref())?.strip_prefix('/')?;
        let prefix = format!("{of}/{below}/");
        let is_go = |name: &str| Path::new(name).extension().is_some_and(|extension| extension == "go");
        let has_go_files = names.iter().any(|name| name.starts_with(&prefix) && is_go(name));
        let reason = format!("not found: {path} is a folder of {of}, and this mirror knows no module of that path");
        (has_go_files && !seen).then_some(Self { reason })
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use super::*;

    #[test]
    fn two_hours_must_have_passed() {
        let module = ModuleVersion::parse("example.com/a@v1.0.0").unwrap();
        let none = NoRecord::of(&module);
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
