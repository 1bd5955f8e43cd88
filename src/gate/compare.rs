//! Compares the modules that the command used with the released ones. Pure.

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

/// The version of a module in a folder of the workspace.
const DEVEL: &str = "(devel)";

/// The modules that a program and the module cache may have.
#[derive(Clone, Debug, Default)]
pub struct Accepted {
    /// The h1 of each zip that was released in this run, proved before it, or covered by a seal.
    pub hashes: BTreeMap<ModuleVersion, H1>,
    /// Modules that `go` may fetch past the gate.
    pub private: Patterns,
}

enum Comparison {
    Equal,
    Private,
    Different(Finding),
}

impl Accepted {
    fn compare(&self, module: &ModuleVersion, found: &H1, place: Option<&Place>) -> Comparison {
        let released = self.hashes.get(module);
        if released == Some(found) {
            return Comparison::Equal;
        }
        if released.is_none() && self.private.exempts(&module.path) {
            return Comparison::Private;
        }
        let message = match released {
            Some(_) => format!("{module} is not what came through the gate"),
            None => format!("{module} did not come through the gate"),
        };
        let wrong = Finding::new(Code::ModuleNotReleased, message).about(module).fact("found", found);
        let wrong = released.into_iter().fold(wrong, |wrong, h1| wrong.fact("released", h1));
        Comparison::Different(Finding { place: place.cloned(), ..wrong })
    }

    /// Findings about the unpacked modules in the module cache `cache`.
    pub(super) fn cache(&self, cache: &Path, hashes: &Hashes, odd: &[PathBuf]) -> Vec<Finding> {
        let (mut wrong, mut private) = (Vec::new(), Vec::new());
        for (module, hash) in hashes {
            match hash {
                Ok(found) => match self.compare(module, found, None) {
                    Comparison::Equal => {}
                    Comparison::Private => private.push(module.to_string()),
                    Comparison::Different(finding) => wrong.push(finding),
                },
                Err(why) => {
                    let message = format!("{module} cannot be hashed: {}", in_full(why));
                    wrong.push(Finding::new(Code::ModuleNotReleased, message).about(module));
                }
            }
        }
        for path in odd {
            let shown = path.strip_prefix(cache).unwrap_or(path).to_string_lossy().into_owned();
            let message = format!("{} in the module cache is not an unpacked module", safe(&shown));
            wrong.push(Finding::new(Code::ModuleNotReleased, message));
        }
        let mut findings = cut(wrong);
        findings.extend(past_the_gate(None, &private));
        findings
    }

    /// Findings about the modules of a program.
    pub(super) fn program(&self, program: &Path, info: &BuildInfo) -> Vec<Finding> {
        let place = Place::from(program);
        let (mut wrong, mut private, mut vendored, mut replaced) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        let (mut any, mut any_equal) = (false, false);
        // A main module has no h1 if it was built from a folder.
        let main = info.main.iter().filter(|main| main.h1.is_some());
        for built in main.chain(&info.dependencies) {
            let name = format!("{}@{}", built.path, built.version);
            let built = built.replaced_by.as_deref().unwrap_or(built);
            match origin(built) {
                Built::Workspace => continue,
                Built::Folder => replaced.push(name),
                Built::Vendored => vendored.push(name),
                Built::Invalid => {
                    let message = format!("{} is not a valid module version", safe(&name));
                    wrong.push(Finding::new(Code::ModuleNotReleased, message).at(place.clone()));
                }
                Built::Module(module, found) => match self.compare(&module, &found, Some(&place)) {
                    Comparison::Equal => any_equal = true,
                    Comparison::Private => private.push(name),
                    Comparison::Different(finding) => wrong.push(finding),
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
        if any && !any_equal {
            findings.push(Finding::new(Code::NothingReleased, "none of its modules is known to the gate").at(place));
        }
        findings
    }
}

/// The origin of a module in a program.
enum Built {
    /// A folder of the workspace.
    Workspace,
    /// A folder that a replace directive names.
    Folder,
    /// A vendor folder: it has a version and no hash.
    Vendored,
    Module(ModuleVersion, H1),
    /// Not a valid module version.
    Invalid,
}

fn origin(built: &BuiltModule) -> Built {
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
        (None, _) => Built::Invalid,
    }
}

/// One note for all modules that came through the gate without a proof, in this run or in one that sealed its caches.
pub fn unproved(outcome: &Outcome, known: &Known) -> Option<Finding> {
    let released = outcome.events.released.iter();
    let released = released.filter(|(_, file)| matches!(file.basis, Basis::Pinned(_))).map(|((module, _), _)| module);
    let sealed = known.iter().filter(|(_, file)| !file.proved).map(|((module, _), _)| module);
    let names: BTreeSet<String> = released.chain(sealed).map(ToString::to_string).collect();
    let names: Vec<String> = names.into_iter().collect();
    let [one, many] = ["was", "were"]
        .map(|verb| format!("{verb} released unproved: no database covers exempt modules (GONOSUMDB, --private)"));
    let help =
        "Check that no public module is exempt. The hashes were pinned on first use: `sumgate cache pins` lists them.";
    let note = together(Code::PrivateUnproved, None, &names, &one, &many)?;
    Some(Finding { help: Some(help.to_owned()), ..note })
}

fn past_the_gate(place: Option<&Place>, names: &[String]) -> Option<Finding> {
    together(Code::PrivateUnproved, place, names, "was fetched past the gate", "were fetched past the gate")
}

/// One finding for all of these modules.
fn together(code: Code, place: Option<&Place>, names: &[String], one: &str, many: &str) -> Option<Finding> {
    let message = format!("{} {}", some_of(names), if names.len() == 1 { one } else { many });
    (!names.is_empty()).then(|| Finding { place: place.cloned(), ..Finding::new(code, message) })
}

/// The first [`MAX_TOLD`] findings; the last one has the number of the others.
pub(crate) fn cut(mut findings: Vec<Finding>) -> Vec<Finding> {
    let more = findings.len().saturating_sub(MAX_TOLD);
    findings.truncate(MAX_TOLD);
    if let (true, Some(last)) = (more > 0, findings.last_mut()) {
        last.facts.push("more of them", &more.to_string());
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
    fn programs_are_compared_with_the_released_modules() {
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
        // A program of a module version: the main module is compared, too.
        assert_eq!(codes(&format!("\tmod\ta.com/x\tv1.0.0\t{ONE}\n")), [""; 0]);
        assert_eq!(codes(&format!("\tmod\ta.com/z\tv1.0.0\t{ONE}\n")), ["module-not-released", "nothing-released"]);
    }

    #[test]
    fn a_cache_is_compared_with_the_released_modules() {
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
        let messages: Vec<_> = findings.iter().map(|finding| (finding.code.name(), finding.message.as_str())).collect();
        assert_eq!(
            messages,
            [
                ("module-not-released", "a.com/y@v1.0.0 did not come through the gate"),
                ("module-not-released", "a.com/z@v1.0.0 cannot be hashed: the folder has more than 1000000 files"),
                ("module-not-released", "a@b in the module cache is not an unpacked module"),
                ("private-unproved", "corp.example/p@v1.0.0, corp.example/q@v1.0.0 were fetched past the gate"),
            ]
        );
        assert_eq!(findings[0].facts.iter().collect::<Vec<_>>(), [("found", ONE)]);
    }

    #[test]
    fn a_private_module_that_came_through_the_gate_must_be_that_one() {
        let mut accepted = accepted();
        let module = ModuleVersion::parse("corp.example/p@v1.0.0").unwrap();
        accepted.hashes.insert(module.clone(), H1::parse(ONE).unwrap());
        let found: Hashes = [(module, Ok(H1::parse(OTHER).unwrap()))].into();
        let findings = accepted.cache(Path::new("/cache"), &found, &[]);
        assert_eq!(findings.len(), 1);
        assert_eq!((findings[0].code, findings[0].facts.iter().count()), (Code::ModuleNotReleased, 2));
    }

    #[test]
    fn the_number_of_findings_is_limited() {
        let h1 = H1::parse(ONE).unwrap();
        let found: Hashes =
            (0..100).map(|nth| (ModuleVersion::parse(&format!("b.com/m@v1.0.{nth}")).unwrap(), Ok(h1))).collect();
        let findings = accepted().cache(Path::new("/cache"), &found, &[]);
        assert_eq!(findings.len(), MAX_TOLD);
        assert_eq!(findings.last().unwrap().facts.iter().last(), Some(("more of them", "80")));
    }
}
