//! What the command built with, held against what was released to it. Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::Outcome;
use super::known::Known;
use super::unpacked::Hashes;
use crate::base::fault::in_full;
use crate::base::limits::MAX_TOLD;
use crate::base::text::{safe, some_of};
use crate::finding::{Code, Finding, Place};
use crate::go::buildinfo::{BuildInfo, BuiltModule};
use crate::release::Basis;
use gomodule::dirhash::H1;
use gomodule::module::{ModulePath, ModuleVersion, Patterns, Version};

/// `go` writes it for a module that lies in a folder of the workspace.
const DEVEL: &str = "(devel)";

/// What may be in a program, or in the module cache.
#[derive(Clone, Debug, Default)]
pub struct Accepted {
    /// The h1 of each zip that was released in this run, proved before it, or covered by the seal.
    pub hashes: BTreeMap<ModuleVersion, H1>,
    /// Modules that `go` may fetch past the gate.
    pub private: Patterns,
}

enum Verdict {
    Right,
    Private,
    Wrong(Finding),
}

impl Accepted {
    fn judge(&self, module: &ModuleVersion, found: &H1, place: Option<&Place>) -> Verdict {
        let released = self.hashes.get(module);
        if released == Some(found) {
            return Verdict::Right;
        }
        if released.is_none() && self.private.exempts(&module.path) {
            return Verdict::Private;
        }
        let message = match released {
            Some(_) => format!("{module} is not what came through the gate"),
            None => format!("{module} did not come through the gate"),
        };
        let wrong = Finding::new(Code::ModuleNotReleased, message).about(module).fact("found", found);
        let wrong = released.into_iter().fold(wrong, |wrong, h1| wrong.fact("released", h1));
        Verdict::Wrong(Finding { place: place.cloned(), ..wrong })
    }

    /// What is wrong with the modules that are unpacked in the module cache `cache`.
    pub(super) fn cache(&self, cache: &Path, hashes: &Hashes, odd: &[PathBuf]) -> Vec<Finding> {
        let (mut wrong, mut private) = (Vec::new(), Vec::new());
        for (module, hash) in hashes {
            match hash {
                Ok(found) => match self.judge(module, found, None) {
                    Verdict::Right => {}
                    Verdict::Private => private.push(module.to_string()),
                    Verdict::Wrong(finding) => wrong.push(finding),
                },
                Err(why) => {
                    let message = format!("{module} cannot be hashed: {}", in_full(why));
                    wrong.push(Finding::new(Code::ModuleNotReleased, message).about(module));
                }
            }
        }
        for path in odd {
            let shown = path.strip_prefix(cache).unwrap_or(path).to_string_lossy().into_owned();
            let message = format!("{} in the module cache is not a module that `go` unpacked", safe(&shown));
            wrong.push(Finding::new(Code::ModuleNotReleased, message));
        }
        let mut findings = cut(wrong);
        findings.extend(past_the_gate(None, &private));
        findings
    }

    pub(super) fn program(&self, program: &Path, info: &BuildInfo) -> Vec<Finding> {
        let place = Place::from(program);
        let (mut wrong, mut private, mut vendored, mut replaced) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        let (mut any, mut any_right) = (false, false);
        // A main module has an h1 only where it was not built from a folder.
        let main = info.main.iter().filter(|main| main.h1.is_some());
        for built in main.chain(&info.dependencies) {
            let name = format!("{}@{}", built.path, built.version);
            let built = built.replaced_by.as_deref().unwrap_or(built);
            match read(built) {
                Built::Workspace => continue,
                Built::Folder => replaced.push(name),
                Built::Vendored => vendored.push(name),
                Built::Odd => {
                    let message = format!("{} is not a module version that can be proved", safe(&name));
                    wrong.push(Finding::new(Code::ModuleNotReleased, message).at(place.clone()));
                }
                Built::Module(module, found) => match self.judge(&module, &found, Some(&place)) {
                    Verdict::Right => any_right = true,
                    Verdict::Private => private.push(name),
                    Verdict::Wrong(finding) => wrong.push(finding),
                },
            }
            any = true;
        }
        let mut findings = cut(wrong);
        let mut all = |code, names: &[String], one, many| {
            findings.extend(together(code, Some(&place), names, one, many));
        };
        all(Code::VendorUnproved, &vendored, "comes from a vendor folder", "come from a vendor folder");
        all(Code::ReplacedUnproved, &replaced, "is replaced by a folder", "are replaced by folders");
        findings.extend(past_the_gate(Some(&place), &private));
        if any && !any_right {
            findings.push(Finding::new(Code::NothingReleased, "none of its modules is known to the gate").at(place));
        }
        findings
    }
}

/// Where a module of a program comes from.
enum Built {
    /// A folder of the workspace.
    Workspace,
    /// A folder that a replace directive names.
    Folder,
    /// A vendor folder: a version, and no hash.
    Vendored,
    Module(ModuleVersion, H1),
    /// Nothing that `go` writes.
    Odd,
}

fn read(built: &BuiltModule) -> Built {
    let is_folder = built.path.starts_with("./") || built.path.starts_with("../") || built.path.starts_with('/');
    if is_folder || matches!(built.path.as_str(), "." | "..") {
        return Built::Folder;
    }
    if matches!(built.version.as_str(), "" | DEVEL) && built.h1.is_none() {
        return Built::Workspace;
    }
    let version = Version::parse(&built.version).ok();
    let module = ModulePath::parse(&built.path).ok().zip(version);
    match (module.and_then(|(path, version)| ModuleVersion::new(path, version).ok()), built.h1) {
        (Some(module), Some(h1)) => Built::Module(module, h1),
        (Some(_), None) => Built::Vendored,
        (None, _) => Built::Odd,
    }
}

/// One note for all that came through the gate, in this run or in one that sealed its caches, with nobody to vouch for it.
pub fn unproved(outcome: &Outcome, known: &Known) -> Option<Finding> {
    let released = outcome.events.released.iter();
    let released = released.filter(|(_, file)| matches!(file.basis, Basis::Pinned(_))).map(|((module, _), _)| module);
    let sealed = known.iter().filter(|(_, file)| !file.proved).map(|((module, _), _)| module);
    let names: BTreeSet<String> = released.chain(sealed).map(ToString::to_string).collect();
    let names: Vec<String> = names.into_iter().collect();
    let [one, many] = ["was", "were"]
        .map(|verb| format!("{verb} released unproved: no database vouches for what is exempt (GONOSUMDB, --private)"));
    let help = "Check that nothing public is exempt. The bytes are those that were seen first: `sumgate cache pins` lists them.";
    let told = together(Code::PrivateUnproved, None, &names, &one, &many)?;
    Some(Finding { help: Some(help.to_owned()), ..told })
}

fn past_the_gate(place: Option<&Place>, names: &[String]) -> Option<Finding> {
    together(Code::PrivateUnproved, place, names, "was fetched past the gate", "were fetched past the gate")
}

fn together(code: Code, place: Option<&Place>, names: &[String], one: &str, many: &str) -> Option<Finding> {
    let message = format!("{} {}", some_of(names), if names.len() == 1 { one } else { many });
    (!names.is_empty()).then(|| Finding { place: place.cloned(), ..Finding::new(code, message) })
}

/// The first findings of many; the last one of them says how many there are more.
pub(crate) fn cut(mut findings: Vec<Finding>) -> Vec<Finding> {
    let more = findings.len().saturating_sub(MAX_TOLD);
    findings.truncate(MAX_TOLD);
    if let (true, Some(last)) = (more > 0, findings.last_mut()) {
        last.facts.push(("more of them".to_owned(), more.to_string()));
    }
    findings
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use super::*;
    use crate::base::tree::DirError;

    const ONE: &str = "h1:qgOY6WgZOaTkIIMiVjBQcw93ERBE4m30iBm00nkL0i8=";
    const OTHER: &str = "h1:w5fcysjrx7yqtD/aO+QwRjYZOKnaM9Uh2b40tElTs3Y=";

    fn accepted() -> Accepted {
        let hashes = [(ModuleVersion::parse("a.com/x@v1.0.0").unwrap(), H1::parse(ONE).unwrap())];
        Accepted { hashes: hashes.into(), private: Patterns::parse("corp.example").unwrap() }
    }

    fn codes(lines: &str) -> Vec<&'static str> {
        let found = accepted().program(Path::new("app"), &BuildInfo::parse(lines));
        found.iter().map(|finding| finding.code.name()).collect()
    }

    #[test]
    fn programs_are_held_against_what_was_released() {
        let main = "\tmod\texample.org/app\t(devel)\t\n";
        let with = |lines: &str| codes(&format!("{main}{lines}"));
        assert_eq!(with(""), [""; 0]);
        assert_eq!(with(&format!("\tdep\ta.com/x\tv1.0.0\t{ONE}\n")), [""; 0]);
        assert_eq!(with("\tdep\ta.com/w\t(devel)\t\n"), [""; 0], "a module of the workspace");
        let right = format!("\tdep\ta.com/x\tv1.0.0\t{ONE}\n");
        for (line, code) in [
            (format!("\tdep\ta.com/y\tv1.0.0\t{ONE}\n"), "module-not-released"),
            ("\tdep\ta.com/x\tv1.0.1\t\n".to_owned(), "vendor-unproved"),
            ("\tdep\ta.com/y\tv1.0.0\n\t=>\t../y\t\t\n".to_owned(), "replaced-unproved"),
            ("\tdep\ta.com/y\tv1.0.0\n\t=>\t/abs\t(devel)\t\n".to_owned(), "replaced-unproved"),
            (format!("\tdep\tcorp.example/p\tv1.0.0\t{OTHER}\n"), "private-unproved"),
            (format!("\tdep\ta.com/y\tv1.0.0\n\t=>\ta.com/fork\tv1.0.0\t{OTHER}\n"), "module-not-released"),
            (format!("\tdep\ta.com/y\tnonsense\t{OTHER}\n"), "module-not-released"),
        ] {
            assert_eq!(with(&format!("{right}{line}")), [code], "{line}");
            assert_eq!(with(&line), [code, "nothing-released"], "{line}");
        }
        assert_eq!(with(&format!("{right}\tdep\ta.com/x\tv1.0.0\t{OTHER}\n")), ["module-not-released"]);
        assert_eq!(with(&format!("\tdep\ta.com/old\tv1.0.0\n\t=>\ta.com/x\tv1.0.0\t{ONE}\n")), [""; 0]);
        // A program of a module version: it is one of its modules.
        assert_eq!(codes(&format!("\tmod\ta.com/x\tv1.0.0\t{ONE}\n")), [""; 0]);
        assert_eq!(codes(&format!("\tmod\ta.com/z\tv1.0.0\t{ONE}\n")), ["module-not-released", "nothing-released"]);
    }

    #[test]
    fn a_cache_is_held_against_what_was_released() {
        let module = |name: &str| ModuleVersion::parse(name).unwrap();
        let h1 = |text: &str| Ok(H1::parse(text).unwrap());
        let found: Hashes = [
            (module("a.com/x@v1.0.0"), h1(ONE)),
            (module("a.com/y@v1.0.0"), h1(ONE)),
            (module("a.com/z@v1.0.0"), Err(DirError::TooManyFiles)),
            (module("corp.example/p@v1.0.0"), h1(OTHER)),
            (module("corp.example/q@v1.0.0"), h1(OTHER)),
        ]
        .into();
        let odd = [PathBuf::from("/cache/a@b")];
        let findings = accepted().cache(Path::new("/cache"), &found, &odd);
        let told: Vec<_> = findings.iter().map(|finding| (finding.code.name(), finding.message.as_str())).collect();
        assert_eq!(
            told,
            [
                ("module-not-released", "a.com/y@v1.0.0 did not come through the gate"),
                ("module-not-released", "a.com/z@v1.0.0 cannot be hashed: the folder has more than 1000000 files"),
                ("module-not-released", "a@b in the module cache is not a module that `go` unpacked"),
                ("private-unproved", "corp.example/p@v1.0.0, corp.example/q@v1.0.0 were fetched past the gate"),
            ]
        );
        assert_eq!(findings[0].facts, [("found".to_owned(), ONE.to_owned())]);
    }

    #[test]
    fn a_private_module_that_came_through_the_gate_must_be_that_one() {
        let mut accepted = accepted();
        let module = ModuleVersion::parse("corp.example/p@v1.0.0").unwrap();
        accepted.hashes.insert(module.clone(), H1::parse(ONE).unwrap());
        let found: Hashes = [(module, Ok(H1::parse(OTHER).unwrap()))].into();
        let findings = accepted.cache(Path::new("/cache"), &found, &[]);
        assert_eq!(findings.len(), 1);
        assert_eq!((findings[0].code, findings[0].facts.len()), (Code::ModuleNotReleased, 2));
    }

    #[test]
    fn no_number_of_modules_floods_the_report() {
        let h1 = H1::parse(ONE).unwrap();
        let found: Hashes =
            (0..100).map(|nth| (ModuleVersion::parse(&format!("b.com/m@v1.0.{nth}")).unwrap(), Ok(h1))).collect();
        let findings = accepted().cache(Path::new("/cache"), &found, &[]);
        assert_eq!(findings.len(), MAX_TOLD);
        assert_eq!(findings.last().unwrap().facts[1], ("more of them".to_owned(), "80".to_owned()));
    }
}
