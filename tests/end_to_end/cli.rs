//! Invalid arguments are clear errors, and nothing is lost.

use std::path::Path;

use gomodule::module::ModuleVersion;
use libtest_mimic::Trial;
use testkit::World;

use crate::fixture::{Mirror, Running, files, get, origin, run, trial};

pub fn trials() -> Vec<Trial> {
    vec![
        trial("cli: invalid flags", bad_flags),
        trial("cli: an unusable data folder", bad_data_folder),
        trial("cli: a port in use", port_in_use),
        trial("cli: a damaged head is not deleted", damaged_head),
        trial("cli: invalid upstreams", upstreams_that_are_none),
        trial("cli: lookup of a version without a record", unknown_module),
        trial("cli: hash of zips, go.mod and folders", hashes),
        trial("cli: verify of another kind of file", no_evidence),
        trial("cli: env prints the go env command", env_line),
        trial("cli: demo without go", demo_without_go),
        trial("cli: demo --keep leaves an honest mirror and the forked one running", demo_kept),
        trial("cli: help and version", help),
    ]
}

/// Runs the program, which must exit with `code` and print `why` to stderr.
fn fails(arguments: &[&str], code: i32, why: &str) {
    let output = run(arguments);
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(code), "{arguments:?}: {said}");
    assert!(said.contains(why), "{arguments:?} does not say {why:?}: {said}");
}

fn bad_flags() {
    fails(&["serve", "--upstream", "proxy"], 2, "must start with https://");
    fails(&["serve", "--upstream", "direct"], 2, "names no proxy");
    fails(&["serve", "--sumdb", "off"], 2, "--nosumdb");
    fails(&["serve", "--sumdb", "sum.example.org"], 2, "give its verifier key");
    fails(&["serve", "--sumdb", "sum.golang.org+00000000+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8"], 2, "key hash");
    fails(&["serve", "--sumdb", "sum.golang.org", "--sumdb", "sum.golang.org http://x"], 2, "named twice");
    fails(&["serve", "--base-path", "/a/../b"], 2, "base path");
    fails(&["serve", "--nosumdb", "example.com/[a-"], 2, "is not a pattern");
    fails(&["serve", "--listen", "8080"], 2, "expected ADDR:PORT with an IP address");
    fails(&["serve", "--anchor", "/no/such/file"], 2, "cannot read the anchor");
    fails(&["serve", "--no-such-flag"], 2, "unexpected argument");
    fails(&["sumdb", "lookup", "example.com/hello"], 2, "MODULE@VERSION");
    fails(&["sumdb", "lookup", "example.com/hello@v1"], 2, "canonical version");
    fails(&["sumdb", "lookup", "example.com/hello@v2.0.0"], 2, "major versions differ");
    fails(&["sumdb", "lookup"], 2, "required");
    fails(&["env", "--url", "mirror:8080"], 2, "expected an http or https URL");
    let folder = tempfile::tempdir().unwrap();
    let (anchor, data) = (folder.path().join("anchor"), folder.path().join("data"));
    std::fs::write(&anchor, "go.sum database tree\n").unwrap();
    let words =
        ["sumdb", "lookup", "a.com/b@v1.0.0", "--anchor", anchor.to_str().unwrap(), "--data", data.to_str().unwrap()];
    fails(&words, 2, "not a tree head signed by a configured database (sum.golang.org)");
}

fn bad_data_folder() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    std::fs::write(&file, "precious").unwrap();
    fails(&["serve", "--data", file.to_str().unwrap()], 2, "cannot make the data folder");
    fails(&["serve", "--data", "/proc/nothing/here"], 2, "cannot make the data folder /proc/nothing/here");
    assert_eq!(std::fs::read_to_string(file).unwrap(), "precious");
}

fn port_in_use() {
    let (origin, folder) = (origin(World::demo()), tempfile::tempdir().unwrap());
    let address = origin.url().strip_prefix("http://").unwrap().to_owned();
    let data = folder.path().join("data");
    let data = data.to_str().unwrap();
    fails(&["serve", "--listen", &address, "--data", data], 2, "another program has that port");
    fails(&["serve", "--listen", "192.0.2.1:80", "--data", data], 2, "does not have that address");
}

fn damaged_head() {
    let (origin, folder) = (origin(World::demo()), tempfile::tempdir().unwrap());
    let data = folder.path().join("data");
    let (data, sumdb) = (data.to_str().unwrap(), origin.gosumdb());
    let lookup = ["sumdb", "lookup", "example.com/hello@v1.0.0", "--data", data, "--sumdb", &sumdb];
    assert_eq!(run(&lookup).status.code(), Some(0));
    let head = files(Path::new(data)).into_keys().find(|name| name.ends_with("/head")).unwrap();
    let head = Path::new(data).join(head);
    std::fs::write(&head, "go.sum database tree\n").unwrap();
    fails(&lookup, 2, "does not verify");
    assert_eq!(std::fs::read_to_string(head).unwrap(), "go.sum database tree\n", "it is for a person to look at");
}

fn upstreams_that_are_none() {
    let (origin, folder) = (origin(World::demo()), tempfile::tempdir().unwrap());
    let sumdb = origin.gosumdb();
    // The discard port of loopback is closed.
    let more = ["--upstream", "http://127.0.0.1:9", "--sumdb", &sumdb];
    let mirror = Mirror::start_with(&folder.path().join("nobody"), &more);
    let answer = get(&mirror.url, "/example.com/hello/@v/v1.0.0.zip");
    assert_eq!(answer.status, 502, "{}", answer.text());
    // A web server that answers 200 to everything is not a proxy.
    let page = testkit::Fault::Body("<html>welcome</html>".into());
    for path in ["/example.com/hello/@v/list", "/example.com/hello/@v/v1.0.0.info", "/example.com/hello/@latest"] {
        origin.misbehave(path, page.clone());
        let mirror = Mirror::start(&origin, &folder.path().join("page"));
        let answer = get(&mirror.url, path);
        assert_eq!(answer.status, 502, "{path}: {}", answer.text());
        assert!(answer.text().contains("does not answer like a Go module proxy"), "{}", answer.text());
    }
}

fn unknown_module() {
    let (origin, folder) = (origin(World::demo()), tempfile::tempdir().unwrap());
    let data = folder.path().join("data");
    let sumdb = origin.gosumdb();
    let words = ["sumdb", "lookup", "example.com/hello@v1.9.9", "--data", data.to_str().unwrap(), "--sumdb", &sumdb];
    fails(&words, 1, "does not have example.com/hello@v1.9.9");
}

fn hashes() {
    let (world, folder) = (World::demo(), tempfile::tempdir().unwrap());
    let module = ModuleVersion::parse("example.com/hello@v1.0.0").unwrap();
    let files = world.module(&module).unwrap();
    let record = world.lookup(&module, world.size()).unwrap();
    let write = |name: &str, bytes: &[u8]| {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, bytes).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let h1 = |arguments: &[&str]| {
        let output = run(&[&["hash"], arguments].concat());
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        String::from_utf8(output.stdout).unwrap().split(' ').next().unwrap().to_owned()
    };
    let zip = write("x.zip", &files.zip);
    let of_zip = h1(&[&zip]);
    assert!(record.contains(&format!("hello v1.0.0 {of_zip}\n")));
    let go_mod = write("dir/go.mod", files.go_mod.as_bytes());
    assert!(record.contains(&format!("v1.0.0/go.mod {}\n", h1(&[&go_mod]))));
    write("dir/a.go", b"package hello\n\n// Text greets.\nfunc Text() string { return \"hello\" }\n");
    let dir = folder.path().join("dir");
    let dir = dir.to_str().unwrap();
    assert_eq!(h1(&[dir, "--module", "example.com/hello@v1.0.0"]), of_zip);
    fails(&["hash", dir], 2, "--module");
    // In a module cache, the path has the module version.
    write("mine/cache/download/x/@v/list", b"");
    let cached = write("mine/example.com/hello@v1.0.0/go.mod", files.go_mod.as_bytes());
    std::fs::copy(folder.path().join("dir/a.go"), Path::new(&cached).with_file_name("a.go")).unwrap();
    assert_eq!(h1(&[Path::new(&cached).parent().unwrap().to_str().unwrap()]), of_zip);
    fails(&["hash", "/no/such/file"], 2, "cannot read /no/such/file");
    fails(&["hash", &write("text.zip", b"no zip at all, but longer than an end record")], 1, "is not a zip");
    fails(&["hash", &zip, "--module", "example.com/other@v1.0.0"], 1, "does not begin with the module's name");
}

fn no_evidence() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("evidence.txt");
    std::fs::write(&file, "nothing").unwrap();
    fails(
        &["verify", file.to_str().unwrap()],
        2,
        "expected evidence, a record proof or a module zip, found a file that begins",
    );
    fails(&["verify", "/no/such/file"], 2, "cannot read");
}

fn env_line() {
    let line = |arguments: &[&str]| String::from_utf8(run(arguments).stdout).unwrap();
    assert_eq!(
        line(&["env"]),
        "go env -w GOPROXY=http://127.0.0.1:8080 GOSUMDB=\"sum.golang.org http://127.0.0.1:8080\"\n\
         # To go back: go env -u GOPROXY GOSUMDB\n"
    );
    assert_eq!(
        line(&["env", "--url", "https://go.example.com/m/", "--nosumdb", "corp.example.com"]),
        "go env -w GOPROXY=https://go.example.com/m GOSUMDB=\"sum.golang.org https://go.example.com/m\" \
         GONOSUMDB=\"corp.example.com\"\n# To go back: go env -u GOPROXY GOSUMDB GONOSUMDB\n"
    );
}

fn demo_without_go() {
    let output = crate::fixture::sumgate().arg("demo").env("PATH", "/nowhere").env("COLUMNS", "80").output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(0), "{text}");
    assert!(text.contains("All five steps had the expected result."), "{text}");
    assert!(text.lines().all(|line| line.chars().count() <= 80 && !line.ends_with(' ')), "{text}");
    assert!(text.starts_with("Five downloads through a mirror"), "it begins with what it shows: {text}");
    assert!(!text.contains(": HTTP status"), "the address stands in the line before: {text}");
    let hashes = text.lines().filter(|line| line.starts_with("   proved:") || line.starts_with("   upstream:"));
    assert_eq!(hashes.count(), 2, "each hash begins a line: {text}");
    assert!(text.contains("deleted with the demo"), "nobody can verify the evidence afterwards: {text}");
    assert!(text.contains("sumgate run -- ") && text.contains("go env -u GOPROXY GOSUMDB"), "{text}");
    assert!(text.contains("sumgate serve") && text.contains("sumgate demo --keep"), "{text}");
    assert_eq!(text.matches("→ refused, as it must be").count(), 3, "{text}");
}

fn demo_kept() {
    let mut command = crate::fixture::sumgate();
    let mut demo = Running(
        command.args(["demo", "--keep"]).env("PATH", "/nowhere").stdout(std::process::Stdio::piped()).spawn().unwrap(),
    );
    let mut stdout = std::io::BufReader::new(demo.0.stdout.take().unwrap());
    let [mut honest, mut forked, mut page, mut last] = [const { String::new() }; 4];
    // The last step names it with FILE: its evidence stays only with --keep.
    while !last.contains("sumgate verify --sumdb ") || !last.contains(" '/") {
        last.clear();
        assert_ne!(std::io::BufRead::read_line(&mut stdout, &mut last).unwrap(), 0, "no line to try the evidence");
        let words: Vec<&str> = last.split_whitespace().collect();
        match words[..] {
            [url] if url.ends_with("/-/events") => url.clone_into(&mut page),
            ["curl", url] if url.ends_with(".zip") => url.clone_into(&mut forked),
            ["export", url, ..] => url.trim_start_matches("GOPROXY=").clone_into(&mut honest),
            _ => {}
        }
    }
    let (forked, module) = forked.split_at(forked.find("/example.com").unwrap());
    assert_eq!((get(&honest, module).status, get(forked, module).status), (200, 503), "{honest} {forked}");
    assert_eq!(page, format!("{forked}/-/events"));
    let page = get(forked, "/-/events").text();
    for shown in ["Wrong bytes", "code <span data-part=\"code\">wrong-bytes", "What to do: ", "Fork of a database"] {
        assert!(page.contains(shown), "{shown}: {page}");
    }
    // The line as it is printed, its quotes aside.
    let words: Vec<String> = last.split_whitespace().skip(1).map(|word| word.replace('\'', "")).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    assert_eq!(run(&words).status.code(), Some(0), "{words:?}");
    let id = demo.0.id().to_string();
    assert!(std::process::Command::new("kill").args(["-INT", &id]).status().unwrap().success());
    assert_eq!(crate::fixture::wait(&mut demo.0).code(), Some(0));
    assert!(!Path::new(words[words.len() - 1]).exists(), "its folders go with it");
}

fn help() {
    let text = |arguments: &[&str]| {
        let output = run(arguments);
        assert_eq!(output.status.code(), Some(0));
        String::from_utf8(output.stdout).unwrap()
    };
    let target = format!("{}-{}", std::env::consts::ARCH, std::env::consts::OS);
    let version = text(&["--version"]);
    assert!(version.starts_with(&format!("sumgate {} (", env!("CARGO_PKG_VERSION"))), "{version}");
    assert!(version.contains(&target) && version.ends_with(")\n"), "{version}");
    let help = text(&["--help"]);
    assert!(help.contains("Exit codes:") && help.contains("sumgate demo"));
    for setting in ["LISTEN", "DATA", "UPSTREAM", "SUMDB", "BASE_PATH", "NOSUMDB", "ANCHOR"] {
        assert!(text(&["serve", "--help"]).contains(&format!("SUMGATE_{setting}")), "{setting}");
    }
}
