//! A private module whose flag was forgotten once: each command names the flag.

use libtest_mimic::Trial;
use testkit::World;

use crate::airgap::{TWO, fetch, go_sum, nowhere, sumgate};
use crate::fixture::{Mirror, files, get, origin, run, trial};

pub fn trials() -> Vec<Trial> {
    vec![
        trial("private: export, import and serve name --private where it was forgotten", forgotten),
        trial("private: serve and fetch send no name that is pinned, if --private was forgotten", online),
        trial("private: a pin of a module that the database is known to have keeps nobody from it", known),
    ]
}

fn online() {
    let origin = origin(World::demo());
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let go_sum = go_sum(&origin, folder.path(), &TWO[1..]);
    let named = ["--nosumdb", "example.com/dep"];
    assert_eq!(fetch(&origin, &data, &[&["-m", &go_sum], &named[..]].concat()).0, Some(0));
    let told =
        || origin.take_requests().into_iter().filter(|path| path.contains("example.com/dep")).collect::<Vec<_>>();
    assert!(!told().is_empty());

    let (code, said) = fetch(&origin, &data, &["-m", &go_sum]);
    assert!(code == Some(1) && said.contains("example.com/dep/v2 is pinned here"), "{said}");
    assert_eq!(told(), [""; 0]);

    let why = ["why", "example.com/dep/v2@v2.0.1"];
    let (code, said) = sumgate(&data, &origin.gosumdb(), &why);
    let is_told = said.contains("not looked up in the database: example.com/dep/v2 is pinned here")
        && said.contains("\n          sumgate cache pins forget example.com/dep/v2@v2.0.1\n");
    assert!(code == Some(0) && is_told, "{said}");
    assert_eq!(told(), [""; 0]);

    let words = ["--upstream", &origin.url(), "--sumdb", &origin.gosumdb()];
    let mirror = Mirror::start_with(&data, &words);
    // `go install M/cmd@V` asks for M/cmd first.
    // Another major version has the same name.
    let majors = ["@v/list", "v3/@v/list", "v3/cmd/@v/list", "@v/v1.0.0.info"];
    let modules = ["v2/@v/list", "v2/@latest", "v2/@v/main.info", "v2/@v/v2.0.1.info", "v2/cmd/@v/v2.0.1.info"];
    let files = ["v2/@v/v2.0.1.mod", "v2/@v/v2.0.1.zip", "v2/@v/v2.0.0.zip"];
    let lookup = ["/lookup/example.com/dep/v2@v2.0.1".to_owned()];
    let paths = modules.into_iter().chain(majors).chain(files).map(|path| format!("/example.com/dep/{path}"));
    for path in paths.chain(lookup) {
        let answer = get(&mirror.url, &path);
        let said = answer.text();
        assert_eq!((answer.status, answer.header("x-sumgate-refused")), (403, Some("not-named")), "{path}: {said}");
        assert!(said.contains("example.com/dep/v2 is pinned here") && said.contains("--private PATTERNS"), "{said}");
        assert!(said.contains("sumgate cache pins forget example.com/dep/v2@v2.0.1\n"), "{said}");
    }
    assert_eq!(told(), [""; 0]);
    assert_eq!(get(&mirror.url, "/example.com/hello/@v/v1.0.0.zip").status, 200, "others are served");

    let forget = ["cache", "pins", "forget", "example.com/dep/v2@v2.0.1", "--data", data.to_str().unwrap()];
    assert!(run(&forget).status.success());
    assert_eq!(get(&mirror.url, "/example.com/dep/v2/@v/v2.0.1.zip").status, 200, "it is public now");
}

fn known() {
    let origin = origin(World::demo());
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let go_sum = go_sum(&origin, folder.path(), &TWO[1..]);
    assert_eq!(fetch(&origin, &data, &["-m", &go_sum]).0, Some(0));
    assert_eq!(fetch(&origin, &data, &["-m", &go_sum, "--nosumdb", "*"]).0, Some(0));
    assert!(!files(&data.join("pins")).is_empty(), "one run with a pattern that is too wide");
    let mirror = Mirror::start_with(&data, &["--upstream", &origin.url(), "--sumdb", &origin.gosumdb()]);
    for path in ["@v/v2.0.1.zip", "@v/list", "@v/v2.0.1.info"] {
        let answer = get(&mirror.url, &format!("/example.com/dep/v2/{path}"));
        assert_eq!(answer.status, 200, "{path}: {}", answer.text());
    }
}

fn forgotten() {
    let origin = origin(World::demo());
    let folder = tempfile::tempdir().unwrap();
    let (here, there) = (folder.path().join("here"), folder.path().join("there"));
    let go_sum = go_sum(&origin, folder.path(), &TWO[1..]);
    let named = ["--nosumdb", "example.com/dep"];
    assert_eq!(fetch(&origin, &here, &[&["-m", &go_sum], &named[..]].concat()).0, Some(0));
    origin.take_requests();

    let sumdb = nowhere(&origin);
    let out = folder.path().join("out");
    let export = |out: &str, more: &[&str]| {
        let out = folder.path().join(out);
        sumgate(&here, &sumdb, &[&["cache", "export", "--for", &go_sum, out.to_str().unwrap()], more].concat())
    };
    let (code, said) = export("without", &[]);
    let is_told = said.contains("example.com/dep/v2@v2.0.1 is pinned here") && said.contains("--private PATTERNS");
    assert!(code == Some(1) && is_told && !said.contains("cache fetch"), "{said}");
    assert_eq!(export("out", &named).0, Some(0));

    let import = ["cache", "import", out.to_str().unwrap()];
    let (code, said) = sumgate(&there, &sumdb, &import);
    assert!(code == Some(1) && said.contains("if it is private, name it with --private PATTERNS"), "{said}");
    assert_eq!(files(&there.join("pins")).len(), 0);
    let (code, said) = sumgate(&there, &sumdb, &[&import[..], &named].concat());
    assert_eq!(code, Some(0), "{said}");

    let path = "/example.com/dep/v2/@v/v2.0.1.zip";
    let mirror = Mirror::start_with(&there, &["--offline", "--sumdb", &sumdb]);
    let answer = get(&mirror.url, path);
    let said = answer.text();
    assert!(answer.status == 403 && said.contains("is pinned here") && said.contains("--private PATTERNS"), "{said}");
    drop(mirror);
    let mirror = Mirror::start_with(&there, &[&["--offline", "--sumdb", &sumdb], &named[..]].concat());
    assert_eq!(get(&mirror.url, path).status, 200);
    assert_eq!(origin.take_requests(), Vec::<String>::new());
}
