//! Names, versions and patterns are what `go` says they are: many generated ones against its own packages, and the odd ones with
//! the `go` command itself, with and without the mirror.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::path::Path;

use gomodule::dirhash::{ZipLimits, hash_module_zip};
use gomodule::module::{ModulePath, ModuleVersion, Patterns, Version, is_semver};
use libtest_mimic::Trial;
use testkit::{World, module_zip};

use crate::audit::{audit, honest, line_of};
use crate::fixture::{Go, Mirror, get, go_trial, origin};

pub fn trials() -> Vec<Trial> {
    vec![
        go_trial("agreement: 20,000 generated pattern lists match what go matches", patterns),
        go_trial("agreement: 20,000 generated versions and modules are valid where go says so", versions),
        go_trial("agreement: 2,000 generated zips are valid where go says so, with its h1", zips),
        go_trial("agreement: the tables of letters and case folding are those of go", tables),
        go_trial("agreement: a module without files", no_files),
        go_trial("agreement: a version that its module cannot have is not found", impossible),
        go_trial("agreement: white space in GONOSUMDB is a part of a pattern", white_space),
    ]
}

/// The program that asks golang.org/x/mod, built with the copy that is part of `go`.
struct Oracle(Go);

impl Oracle {
    fn build(go: &Path) -> Self {
        let go = Go::new(go, "off", "off");
        let goroot = go.must(&["env", "GOROOT"]);
        let vendored = Path::new(goroot.trim()).join("src/cmd/vendor/golang.org/x/mod");
        copy(&vendored, &go.home().join("mod"));
        go.write("mod/go.mod", "module golang.org/x/mod\n\ngo 1.25\n");
        go.write("main.go", include_str!("../../gomodule/testdata/main.go"));
        let replace = "require golang.org/x/mod v0.0.0\n\nreplace golang.org/x/mod => ./mod\n";
        go.write("go.mod", &format!("module agreement\n\ngo 1.25\n\n{replace}"));
        go.must(&["build", "-o", "oracle", "."]);
        Self(go)
    }

    /// What it prints.
    fn print(&self, words: &[&str]) -> String {
        let output = self.0.command(&self.0.home().join("oracle")).args(words).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    /// The fields of each line.
    fn ask<const N: usize>(&self, words: &[&str], mut each: impl FnMut([&str; N])) {
        let printed = self.print(words);
        for line in printed.lines() {
            each(line.split('\t').collect::<Vec<_>>().try_into().unwrap());
        }
    }
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap().map(Result::unwrap) {
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// How often each kind of answer was given. Each kind must be there.
#[derive(Default)]
struct Counts(BTreeMap<String, usize>);

impl Counts {
    fn note(&mut self, found: bool, expected: &str, what: &str) {
        assert_eq!(found.to_string(), expected, "{what}");
        *self.0.entry(expected.to_owned()).or_default() += 1;
    }

    fn are_many(&self) {
        let is_many = self.0.len() == 2 && self.0.values().all(|count| *count > 100);
        assert!(is_many, "{:?}", self.0);
    }
}

fn patterns(go: &Path) {
    let mut counts = Counts::default();
    Oracle::build(go).ask(&["patterns", "20000"], |[globs, path, expected]| {
        let path = ModulePath::parse(path).unwrap();
        counts.note(Patterns::of_go(globs).matches(&path), expected, &format!("{globs:?} {path}"));
    });
    counts.are_many();
}

fn versions(go: &Path) {
    let (oracle, mut pseudo, mut canonical, mut paths) =
        (Oracle::build(go), Counts::default(), Counts::default(), Counts::default());
    // Refused on purpose: `go` makes no such version.
    let is_early = |text: &str| ["v0.", "v1."].iter().any(|one| text.starts_with(one));
    oracle.ask(&["versions", "20000"], |[text, valid, is_canonical, is_pseudo, commit]| {
        assert_eq!(is_semver(text).to_string(), valid, "{text}");
        let found = Version::parse(text);
        if is_early(text) && text.ends_with("+incompatible") {
            return assert!(found.is_err(), "{text}");
        }
        canonical.note(found.is_ok(), is_canonical, text);
        if let Ok(found) = found {
            pseudo.note(found.is_pseudo(), is_pseudo, text);
            assert_eq!(found.commit().unwrap_or_default(), commit, "{text}");
        }
    });
    oracle.ask(&["modules", "20000"], |[path, text, is_path, is_module]| {
        paths.note(ModulePath::parse(path).is_ok(), is_path, path);
        let found = ModuleVersion::of(path, text).is_ok();
        let is_refused = !found && text.ends_with("+incompatible");
        assert!(is_refused || found.to_string() == is_module, "{path} {text}");
    });
    [pseudo, canonical, paths].iter().for_each(Counts::are_many);
}

fn zips(go: &Path) {
    let (oracle, mut counts, mut nth) = (Oracle::build(go), Counts::default(), 0);
    let module = ModuleVersion::parse("example.com/m@v1.0.0").unwrap();
    let folder = tempfile::tempdir().unwrap();
    oracle.ask(&["names", "2000", folder.path().to_str().unwrap()], |[names, expected, h1]| {
        let zip = File::open(folder.path().join(format!("{nth}.zip"))).unwrap();
        nth += 1;
        let found = hash_module_zip(&zip, &module, &ZipLimits::default());
        let all: Vec<&str> = names.split('|').collect();
        let is_twice = |name: &&str| all.iter().filter(|other| *other == name).count() > 1;
        // Refused on purpose: the folder of the module itself, and a folder twice.
        if expected == "true" && all.iter().any(|name| name.is_empty() || is_twice(name)) {
            return assert!(found.is_err(), "{names}");
        }
        counts.note(found.is_ok(), expected, names);
        assert_eq!(found.map(|report| report.h1.to_string()).unwrap_or_default(), h1, "{names}");
    });
    counts.are_many();
}

/// A `go` of an earlier Unicode version has fewer letters, and no others.
fn tables(go: &Path) {
    let oracle = Oracle::build(go);
    let (ours, theirs) = (include_str!("../../gomodule/src/unicode/letters.rs"), oracle.print(&["letters"]));
    if oracle.print(&["unicode"]) == include_str!("../../gomodule/testdata/unicode.txt") {
        assert_eq!(theirs, ours);
        assert_eq!(oracle.print(&["folds"]), include_str!("../../gomodule/src/unicode/folds.rs"));
    }
    let missing: Vec<_> = letters(&theirs).difference(&letters(ours)).copied().collect();
    assert_eq!(missing, [0; 0]);
}

/// The code points of a table.
fn letters(table: &str) -> BTreeSet<u32> {
    let numbers = table.split("0x").skip(1).map(|number| number.split([',', ')']).next().unwrap());
    let numbers: Vec<u32> = numbers.map(|number| u32::from_str_radix(number, 16).unwrap()).collect();
    let found: BTreeSet<u32> = numbers.chunks(2).flat_map(|run| run[0]..=run[1]).collect();
    assert!(found.len() > 100_000);
    found
}

fn no_files(go: &Path) {
    let mut world = World::demo();
    let module = ModuleVersion::parse("example.com/nothing@v1.0.0").unwrap();
    world.add(&module, "module example.com/nothing\n", module_zip(&module, &[], 6).unwrap());
    let (origin, data) = (origin(world), tempfile::tempdir().unwrap());
    let download = ["mod", "download", "-json", "example.com/nothing@v1.0.0"];
    let h1 = "h1:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=";
    let without = Go::new(go, &origin.url(), &origin.gosumdb()).must(&download);
    assert!(without.contains(h1), "{without}");
    let mirror = Mirror::start(&origin, &data.path().join("data"));
    let with = Go::new(go, &mirror.url, &origin.key()).must(&download);
    assert!(with.contains(h1), "{with}");
    assert_eq!(get(&mirror.url, "/example.com/nothing/@v/v1.0.0.zip").status, 200);
}

fn white_space(go: &Path) {
    let origin = origin(World::demo());
    let asked = || origin.take_requests().iter().any(|path| path.starts_with("/lookup/example.com/hello@"));
    for (value, is_exempt, warnings) in [
        ("corp.example,example.com/hello", true, 0),
        ("corp.example, example.com/hello", false, 1),
        ("corp.example ,example.com/hel*", true, 1),
        ("example.com/hello//", false, 0),
        ("[,example.com/[a-,example.com/hello/", true, 2),
    ] {
        for name in ["GONOSUMDB", "GOPRIVATE"] {
            let home = Go::new(go, &origin.url(), &origin.gosumdb()).set(name, value).set("GONOPROXY", "none");
            origin.take_requests();
            home.must(&["mod", "download", "example.com/hello@v1.0.0"]);
            assert_eq!(asked(), !is_exempt, "go: {value:?}");
            home.write("go.sum", line_of(&honest(&origin), "example.com/hello v1.0.0 "));
            let (code, output) = audit(&home, &[]);
            assert_eq!((code, asked()), (Some(0), !is_exempt), "{value:?}: {output}");
            assert_eq!(output.matches(&format!("of {name} matches no module")).count(), warnings, "{output}");
        }
    }
}

/// `go get` of a package asks for the same version of each module whose path is a part of the package's.
fn impossible(go: &Path) {
    let mut world = World::demo();
    world.add_files("example.com/api@v1.0.0", &[("go.mod", "module example.com/api\n"), ("v2/a.go", "package api\n")]);
    let (origin, data) = (origin(world), tempfile::tempdir().unwrap());
    let mirror = Mirror::start(&origin, &data.path().join("data"));
    for url in [&origin.url(), &mirror.url] {
        let home = Go::new(go, url, &origin.gosumdb());
        home.write("go.mod", "module example.org/app\n\ngo 1.21\n");
        home.must(&["get", "example.com/api/v2@v1.0.0"]);
        assert!(std::fs::read_to_string(home.home().join("go.mod")).unwrap().contains("example.com/api v1.0.0"));
    }
    origin.take_requests();
    for (path, version) in [
        ("example.com/dep/v2", "v1.0.0"),
        ("example.com/hello", "v1.0.0+incompatible"),
        ("gopkg.in/yaml.v2", "v0.0.0-20260102030405-0123456789ab"),
    ] {
        let module = format!("{path}@{version}");
        for url in [&origin.url(), &mirror.url] {
            Go::new(go, url, &origin.gosumdb()).must_fail(&["mod", "download", &module], "404 Not Found");
        }
        origin.take_requests();
        let paths = ["info", "mod", "zip"].map(|kind| format!("/{path}/@v/{version}.{kind}"));
        for asked in paths.into_iter().chain([format!("/lookup/{module}")]) {
            assert_eq!(get(&mirror.url, &asked).status, 404, "{asked}");
        }
        assert_eq!(origin.take_requests(), [""; 0], "no source can have {module}");
    }
}
