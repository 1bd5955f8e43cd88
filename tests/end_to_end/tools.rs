//! Tools and toolchains for a closed network: a module version comes with everything that `go install` of it needs.

use std::collections::BTreeSet;
use std::path::Path;

use libtest_mimic::Trial;
use testkit::{Fault, Origin, World};

use crate::airgap::{fetch, go_sum, import, nowhere, sumgate};
use crate::audit::{honest, line_of};
use crate::fixture::{Go, Mirror, files, go_trial, origin, trial};

pub fn trials() -> Vec<Trial> {
    vec![
        go_trial("tools: a tool comes with what go install of it needs, and no more than its author needed", installed),
        go_trial("tools: a newer toolchain comes along for each platform", toolchains),
        go_trial("tools: a requirement that needs a newer go brings no toolchain, as go takes none for it", lagging),
        trial("tools: what a tool needs and is missing is named by fetch and export", missing),
        trial("tools: a requirement of GOPRIVATE is requested nowhere", private_requirement),
        trial("tools: a go.mod stands for its go.sum, and several can be named", several_files),
    ]
}

const MAIN: &str = "package main\n\nimport \"example.com/hello\"\n\nfunc main() { println(hello.Text()) }\n";

/// The demo modules, and tools that need `hello`: with a go.sum, without one, and of before Go 1.17.
pub fn world() -> Origin {
    let mut world = World::demo();
    world.add_simple("example.com/tested@v1.0.0", "require example.com/deeper v1.0.0\n", "package tested\n");
    world.add_simple("example.com/deeper@v1.0.0", "", "package deeper\n");
    let origin = origin(world);
    let require = "require (\n\texample.com/hello v1.1.0\n\texample.com/Upper/CaseMod v1.2.3 // indirect\n\
                   \texample.com/dep/v2 v2.0.1 // indirect\n\texample.com/tested v1.0.0\n)\n";
    let go_mod = |name: &str, go: &str| format!("module example.com/{name}\n\ngo {go}\n\n{require}");
    let lines = honest(&origin);
    let line = |start: &str| format!("{}\n", line_of(&lines, start));
    let mut sums: String = ["hello v1.1.0", "Upper/CaseMod v1.2.3", "dep/v2 v2.0.1"]
        .iter()
        .map(|module| line(&format!("example.com/{module} ")) + &line(&format!("example.com/{module}/go.mod ")))
        .collect();
    sums.push_str(&line("example.com/tested v1.0.0/go.mod "));
    let mut world = origin.world();
    let text = go_mod("tool", "1.21");
    world.add_files("example.com/tool@v1.0.0", &[("go.mod", &text), ("go.sum", &sums), ("main.go", MAIN)]);
    let text = go_mod("bare", "1.21");
    world.add_files("example.com/bare@v1.0.0", &[("go.mod", &text), ("main.go", MAIN)]);
    let text = "module example.com/old\n\ngo 1.16\n\nrequire example.com/hello v1.1.0\n";
    world.add_files("example.com/old@v1.0.0", &[("go.mod", text), ("main.go", MAIN)]);
    world.pad(3);
    drop(world);
    origin
}

/// The files of modules that were asked for, without version lists.
fn asked(origin: &Origin) -> BTreeSet<String> {
    let files = origin.take_requests().into_iter().map(|path| path.replace("%21", "!"));
    files.filter(|path| path.contains("/@v/v") && (path.ends_with(".mod") || path.ends_with(".zip"))).collect()
}

fn installed(go: &Path) {
    for (tool, without) in [("tool", "tested/@v/v1.0.0.zip"), ("bare", "deeper/"), ("old", "tested/")] {
        let origin = world();
        let folder = tempfile::tempdir().unwrap();
        let (here, there, out) = (folder.path().join("here"), folder.path().join("there"), folder.path().join("out"));
        let name = format!("example.com/{tool}@v1.0.0");
        let plain = Go::new(go, &origin.url(), &origin.gosumdb());
        plain.must(&["install", &name]);
        let needed = asked(&origin);
        assert!(needed.iter().any(|path| path.ends_with("hello/@v/v1.1.0.zip")), "{needed:?}");

        let (code, said) = fetch(&origin, &here, &[&name]);
        assert_eq!(code, Some(0), "{said}");
        let fetched = asked(&origin);
        assert!(needed.is_subset(&fetched), "{tool}: go needs {needed:?}, fetched {fetched:?}");
        assert!(!fetched.iter().any(|path| path.contains(without)), "{tool}: {fetched:?}");
        let (code, said) = sumgate(&here, &nowhere(&origin), &["cache", "export", &name, out.to_str().unwrap()]);
        assert!(code == Some(0) && said.starts_with("exported "), "{said}");

        let proxy = format!("file://{}", out.display());
        Go::new(go, &proxy, &origin.key()).must(&["install", &name]);
        // The newest of the list is this one, and the database is in the folder, too.
        let by_list = Go::new(go, &proxy, &origin.key());
        by_list.must(&["install", &format!("example.com/{tool}@latest")]);
        assert!(by_list.root().join("path/pkg/sumdb").is_dir());
        assert_eq!(import(&origin, &there, out.to_str().unwrap()).0, Some(0));
        let mirror = Mirror::start_with(&there, &["--offline", "--sumdb", &nowhere(&origin)]);
        Go::new(go, &mirror.url, &format!("{} {}", origin.key(), mirror.url)).must(&["install", &name]);
        assert_eq!(origin.take_requests(), Vec::<String>::new());
    }
}

fn toolchains(go: &Path) {
    let origin = world();
    let text = "module example.com/new\n\ngo 1.99.1\n";
    origin
        .world()
        .add_files("example.com/new@v1.0.0", &[("go.mod", text), ("main.go", "package main\n\nfunc main() {}\n")]);
    origin.world().add_toolchain("v0.0.1-go1.99.1.plan9-arm", "go1.99.1");
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let go_mod = path("go.mod");
    std::fs::write(&go_mod, "module a.example/main\n\ngo 1.21\n\ntoolchain go1.99.1\n").unwrap();
    let go_mod = go_mod.to_str().unwrap();
    let linux = "golang.org/toolchain/@v/v0.0.1-go1.99.1.linux-amd64.zip";
    let other = "golang.org/toolchain/@v/v0.0.1-go1.99.1.plan9-arm.zip";
    let both = ["--platform", "linux/amd64", "--platform", "plan9/arm"];
    for (nth, what) in [&["-m", go_mod][..], &["example.com/new@v1.0.0"]].into_iter().enumerate() {
        let data = path(&format!("data-{nth}"));
        let (code, said) = fetch(&origin, &data, &[what, &["--target-go", "1.99.1"]].concat());
        assert_eq!(code, Some(0), "{said}");
        assert!(!files(&data).contains_key(&format!("proxy/{linux}")), "the go there is new enough");
        let (code, said) = fetch(&origin, &data, &[what, &both].concat());
        assert_eq!(code, Some(0), "{said}");
        let stored = files(&data.join("proxy"));
        assert!(stored.contains_key(linux) && stored.contains_key(other), "{:?}", stored.keys());
        let (code, said) = fetch(&origin, &data, &[what, &["--platform", "aix/ppc64"]].concat());
        assert!(code == Some(1) && said.contains("golang.org/toolchain@v0.0.1-go1.99.1.aix-ppc64"), "{said}");

        let out = path(&format!("out-{nth}"));
        let words = if nth == 0 { vec!["--for", go_mod] } else { what.to_vec() };
        let export = [&["cache", "export"], &words[..], &both, &[out.to_str().unwrap()]].concat();
        let (code, said) = sumgate(&data, &nowhere(&origin), &export);
        assert_eq!(code, Some(0), "{said}");
        let there = path(&format!("there-{nth}"));
        origin.take_requests();
        assert_eq!(import(&origin, &there, out.to_str().unwrap()).0, Some(0));
        let mirror = Mirror::start_with(&there, &["--offline", "--sumdb", &nowhere(&origin)]);
        for proxy in [format!("file://{}", out.display()), mirror.url.clone()] {
            let sumdb = if proxy == mirror.url { format!("{} {proxy}", origin.key()) } else { origin.key() };
            let home = Go::new(go, &proxy, &sumdb).set("GOTOOLCHAIN", "auto");
            if nth == 0 {
                home.write("go.mod", &std::fs::read_to_string(go_mod).unwrap());
                let said = home.must(&["version"]);
                assert!(said.ends_with("go version go1.99.1 demo\n"), "{proxy}: {said}");
            } else {
                // The toolchain of the demo only says its name, whatever it is asked to do.
                let said = home.must(&["install", "example.com/new@v1.0.0"]);
                assert!(said.contains("go version go1.99.1 demo"), "{proxy}: {said}");
            }
        }
    }
    let (code, said) = fetch(&origin, &path("data"), &["example.com/new@v1.0.0", "--target-go", "x"]);
    assert!(code == Some(2) && said.contains("expected a version of go"), "{said}");
}

fn lagging(go: &Path) {
    let origin = world();
    let newer = "module example.com/newer\n\ngo 1.99.1\n";
    let built = "package main\n\nimport _ \"example.com/newer\"\n\nfunc main() {}\n";
    origin.world().add_files("example.com/newer@v1.0.0", &[("go.mod", newer), ("newer.go", "package newer\n")]);
    // Before Go 1.17, go reads the lines of the whole module graph.
    for (name, line) in [("lagging", "1.21"), ("old/lagging", "1.16")] {
        let text = format!("module example.com/{name}\n\ngo {line}\n\nrequire example.com/newer v1.0.0\n");
        origin.world().add_files(&format!("example.com/{name}@v1.0.0"), &[("go.mod", &text), ("main.go", built)]);
        let tool = format!("example.com/{name}@v1.0.0");
        let plain = Go::new(go, &origin.url(), &origin.gosumdb()).set("GOTOOLCHAIN", "auto");
        let said = plain.must_fail(&["install", &tool], "newer@v1.0.0 requires go >= 1.99.1");
        assert!(!said.contains("switching"), "{said}");
        let folder = tempfile::tempdir().unwrap();
        let (code, said) = fetch(&origin, folder.path(), &[&tool, "--platform", "linux/amd64"]);
        assert_eq!(code, Some(0), "{said}");
        assert!(!files(folder.path()).keys().any(|path| path.contains("golang.org/toolchain")), "{said}");
    }
}

fn missing() {
    let origin = world();
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let export = |data: &str, out: &str| {
        let out = path(out);
        sumgate(&path(data), &nowhere(&origin), &["cache", "export", "example.com/tool@v1.0.0", out.to_str().unwrap()])
    };
    let (code, said) = export("empty", "of-empty");
    assert!(code == Some(1) && said.contains("run `sumgate cache fetch example.com/tool@v1.0.0` first"), "{said}");
    origin.misbehave("/example.com/dep/v2/@v/v2.0.1.zip", Fault::Status(404, "not found"));
    origin.misbehave("/example.com/tested/@v/v1.0.0.mod", Fault::Status(404, "not found"));
    let (code, said) = fetch(&origin, &path("data"), &["example.com/tool@v1.0.0"]);
    assert!(code == Some(1) && said.contains("MISSING OR REFUSED"), "{said}");
    for name in ["example.com/dep/v2@v2.0.1 .zip", "example.com/tested@v1.0.0 .mod"] {
        assert!(said.contains(name), "{said}");
    }
    let (code, said) = export("data", "out");
    assert!(
        code == Some(1) && said.contains("example.com/dep/v2@v2.0.1 .zip") && said.contains("tested@v1.0.0 .mod"),
        "{said}"
    );
}

fn private_requirement() {
    let origin = world();
    let folder = tempfile::tempdir().unwrap();
    let mut command = crate::fixture::sumgate();
    command.args(["cache", "fetch", "--upstream", &origin.url(), "--sumdb", &origin.gosumdb()]);
    command.args(["example.com/tool@v1.0.0", "--data"]).arg(folder.path()).env("GOPRIVATE", "example.com/dep");
    let output = command.output().unwrap();
    let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    let named: Vec<String> = origin.take_requests().into_iter().filter(|path| path.contains("/dep/")).collect();
    assert_eq!((output.status.code(), named), (Some(1), Vec::new()), "{said}");
    assert!(said.contains("example.com/dep/v2@v2.0.1: GONOPROXY or GONOSUMDB") && said.contains("1 MISSING"), "{said}");
}

fn several_files() {
    let origin = world();
    let folder = tempfile::tempdir().unwrap();
    let place = |name: &str| {
        std::fs::create_dir(folder.path().join(name)).unwrap();
        folder.path().join(name)
    };
    let (one, two, data) = (place("one"), place("two"), folder.path().join("data"));
    go_sum(&origin, &one, &["example.com/hello@v1.0.0"]);
    std::fs::write(one.join("go.mod"), "module a.example\n\nrequire example.com/hello v1.0.0\n").unwrap();
    let second = go_sum(&origin, &two, &["example.com/dep/v2@v2.0.1"]);
    let first = one.join("go.mod").to_str().unwrap().to_owned();
    let (code, said) = fetch(&origin, &data, &["-m", &first, "-m", &second]);
    assert_eq!(code, Some(0), "{said}");
    let out = folder.path().join("out");
    let export = ["cache", "export", "--for", &first, "--for", &second, out.to_str().unwrap()];
    let (code, said) = sumgate(&data, &nowhere(&origin), &export);
    assert!(code == Some(0) && said.starts_with("exported 8 files"), "{said}");
    for zip in ["example.com/hello/@v/v1.0.0.zip", "example.com/dep/v2/@v/v2.0.1.zip"] {
        assert!(out.join(zip).is_file(), "{zip}");
    }
    std::fs::remove_file(one.join("go.sum")).unwrap();
    let (code, said) = fetch(&origin, &data, &["-m", &first]);
    assert!(code == Some(2) && said.contains("one/go.sum: No such file"), "{said}");
}
