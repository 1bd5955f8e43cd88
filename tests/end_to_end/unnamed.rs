//! A private module whose flag was forgotten once: each command names the flag.

use libtest_mimic::Trial;
use testkit::World;

use crate::airgap::{TWO, fetch, go_sum, nowhere, sumgate};
use crate::fixture::{Mirror, files, get, origin, trial};

pub fn trials() -> Vec<Trial> {
    vec![trial("private: export, import and serve name --private where it was forgotten", forgotten)]
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
