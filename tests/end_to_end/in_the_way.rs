//! `sumgate doctor --try`: whether `go` asks a mirror, and nobody else, with the real `go` as the client.

use std::path::Path;

use libtest_mimic::Trial;
use testkit::{Fault, Origin, World};

use crate::audit::{honest, line_of};
use crate::fixture::{Go, Mirror, get, go_trial, origin, trial};

pub fn trials() -> Vec<Trial> {
    vec![
        trial("doctor, try: every mirror refuses the reserved module, and asks nobody about it", reserved),
        go_trial("doctor, try: a mirror in the way, also if its policy denies or only warns", in_the_way),
        go_trial("doctor, try: a plain proxy is not a mirror", plain_proxy),
        go_trial("doctor, try: a fallback after the mirror, and a proxy before it", fallbacks),
        go_trial("doctor, try: a mirror that is down, or releases nothing", down),
        go_trial("doctor, try: GONOSUMDB=* and GOPRIVATE=*; no private module is asked for", exempt),
        trial("doctor, try: without go", without_go),
    ]
}

const INFO: &str = "/sumgate.invalid/refused/@v/v1.0.0.info";

fn mirror(origin: &Origin, folder: &tempfile::TempDir, more: &[&str]) -> Mirror {
    let (url, sumdb) = (origin.url(), origin.gosumdb());
    let words = ["--upstream", &url, "--sumdb", &sumdb];
    Mirror::start_with(&folder.path().join("data"), &[&words[..], more].concat())
}

fn reserved() {
    let origin = origin(World::demo());
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("policy.toml");
    std::fs::write(&file, "[policy]\ndefault = \"deny\"\n").unwrap();
    let policy = ["--policy", file.to_str().unwrap(), "--warn"];
    for more in [&[][..], &["--nosumdb", "*"], &["--private", "sumgate.invalid"], &["--offline"], &policy] {
        let mirror = mirror(&origin, &folder, more);
        origin.take_requests();
        let module = "/sumgate.invalid/refused";
        let versioned = ["info", "mod", "zip"].map(|kind| format!("{module}/@v/v1.0.0.{kind}"));
        let others = [format!("{module}/@v/list"), format!("{module}/@latest"), format!("/lookup{module}@v1.0.0")];
        for path in versioned.iter().chain(&others) {
            let answer = get(&mirror.url, path);
            let said = (answer.status, answer.header("x-sumgate-refused").map(str::to_owned));
            assert_eq!(said, (403, Some("reserved".to_owned())), "{path} {more:?}");
            let words = "sumgate.invalid/refused is reserved, and refused by every sumgate mirror";
            assert_eq!(answer.text().lines().next(), Some(words), "{path} {more:?}");
        }
        assert_eq!(origin.take_requests(), Vec::<String>::new(), "{more:?}");
    }
}

/// A home with a go.sum of one public module.
fn client(go: &Path, origin: &Origin, goproxy: &str) -> Go {
    // What `go` asks past every proxy leaves through this one, which is not there.
    let client = Go::new(go, goproxy, &origin.key()).set("HTTPS_PROXY", "http://127.0.0.1:1");
    let lines = honest(origin);
    let line = |start: &str| line_of(&lines, start).to_owned() + "\n";
    client.write("go.sum", &(line("example.com/hello v1.1.0 ") + &line("example.com/hello v1.1.0/go.mod ")));
    client
}

fn tries(client: &Go) -> (Option<i32>, String) {
    client.sumgate(&["doctor", "--try"])
}

fn in_the_way(go: &Path) {
    let (origin, folder) = (origin(World::demo()), tempfile::tempdir().unwrap());
    let file = folder.path().join("policy.toml");
    std::fs::write(&file, "[policy]\ndefault = \"deny\"\n").unwrap();
    let policy = ["--policy", file.to_str().unwrap()];
    for more in [&[][..], &policy, &[policy[0], policy[1], "--warn"], &["--base-path", "/go"]] {
        let mirror = mirror(&origin, &folder, more);
        let url = &mirror.url;
        let (code, output) = tries(&client(go, &origin, url));
        let name = origin.world().name().to_owned();
        let expected = format!(
            "asked {url} for sumgate.invalid/refused@v1.0.0: refused as expected\n\
             asked {url} for the go.mod of example.com/hello@v1.1.0: released, with the hash of go.sum\n\
             `go` compared it with the checksum database, asked at {url}/sumdb/{name}\n\
             a sumgate mirror is in the way of `go`: {url}\n"
        );
        assert_eq!((code, output), (Some(0), expected), "{more:?}");
    }
}

fn plain_proxy(go: &Path) {
    let origin = origin(World::demo());
    add_quote(&origin);
    let url = origin.url();
    let (code, output) = tries(&client(go, &origin, &url));
    assert_eq!(code, Some(1), "{output}");
    let asked = origin.take_requests();
    assert!(
        !asked.iter().any(|path| path.contains("example.com")),
        "no name of go.sum is sent past a mirror: {asked:?}"
    );
    assert!(output.contains(&format!("{url} is not a sumgate mirror")), "{output}");
    assert!(output.contains("NO sumgate mirror is in the way of `go`"), "{output}");
    assert!(output.contains("released, with the hash of sum.golang.org"), "what go would have done: {output}");
    // A refusal with other words, such as that of another curating proxy.
    origin.misbehave(INFO, Fault::Status(403, "denied by the security team"));
    let (code, output) = tries(&client(go, &origin, &url));
    assert!(code == Some(1) && output.contains("403 Forbidden"), "{output}");
    for (goproxy, words) in [("off", "GOPROXY=off"), ("file:///nonexistent", "no such file")] {
        let (code, output) = tries(&client(go, &origin, goproxy));
        assert!(code == Some(1) && output.contains("asked no server") && output.contains(words), "{output}");
    }
}

fn fallbacks(go: &Path) {
    let (origin, folder) = (origin(World::demo()), tempfile::tempdir().unwrap());
    let mirror = mirror(&origin, &folder, &[]);
    let (m, o) = (&mirror.url, &origin.url());
    // A refusal ends the list.
    let (code, output) = tries(&client(go, &origin, &format!("{m},direct")));
    assert_eq!(code, Some(0), "{output}");
    assert!(
        output.contains(&format!("after a 404 of the mirror, `go` asks the others in GOPROXY={m},direct")),
        "{output}"
    );
    for (goproxy, next) in [
        (format!("{m}|direct"), "goes on to the host of the module itself".to_owned()),
        (format!("{m}|{o}"), format!("after {m}, `go` goes on to {o}")),
        (format!("{o},{m}"), format!("after {o}, `go` goes on to {m}")),
    ] {
        let (code, output) = tries(&client(go, &origin, &goproxy));
        assert!(code == Some(1) && output.contains(&next), "{goproxy}: {code:?} {output}");
    }
}

fn down(go: &Path) {
    let (origin, folder) = (origin(World::demo()), tempfile::tempdir().unwrap());
    let nobody = "http://127.0.0.1:1";
    let (code, output) = tries(&client(go, &origin, nobody));
    assert!(code == Some(2) && output.contains(&format!("{nobody} is not reached")), "{output}");
    assert!(output.contains("connection refused") && output.contains("is unknown\n"), "{output}");
    let (code, output) = tries(&client(go, &origin, &format!("{nobody}|direct")));
    assert!(code == Some(1) && output.contains("goes on to the host of the module itself"), "{output}");
    let mirror = mirror(&origin, &folder, &[]);
    for path in ["/example.com/hello/@v/v1.1.0.info", "/example.com/hello/@v/v1.1.0.mod"] {
        origin.misbehave(path, Fault::Status(500, "down"));
    }
    let (code, output) = tries(&client(go, &origin, &mirror.url));
    assert!(code == Some(2) && output.contains("refused as expected"), "{output}");
    assert!(output.contains("example.com/hello@v1.1.0 was not released, as it must be"), "{output}");
}

fn exempt(go: &Path) {
    let (origin, folder) = (origin(World::demo()), tempfile::tempdir().unwrap());
    add_quote(&origin);
    let mirror = mirror(&origin, &folder, &[]);
    let named = |name: &'static str, value: &str| {
        origin.take_requests();
        let (code, output) = tries(&client(go, &origin, &mirror.url).set(name, value));
        let asked = origin.take_requests();
        assert!(asked.iter().all(|path| !path.contains("example.com")), "{asked:?}");
        (code, output)
    };
    let (code, output) = named("GONOSUMDB", "*");
    assert_eq!(code, Some(0), "{output}");
    assert!(
        output.contains("for the go.mod of rsc.io/quote@v1.5.2: released, with the hash of sum.golang.org"),
        "{output}"
    );
    assert!(output.contains("note: `go` itself asked no checksum database about it"), "{output}");
    let (code, output) = named("GOPRIVATE", "*");
    assert!(code == Some(1) && output.contains("asked the host of the module itself"), "{output}");
    // The pattern covers the module of go.sum; `go` asks no mirror for it.
    let (code, output) = named("GOPRIVATE", "example.com");
    assert!(code == Some(0) && output.contains("rsc.io/quote@v1.5.2: released"), "{output}");
    assert!(output.contains("`go` asks no mirror for the modules of GONOPROXY=example.com"), "{output}");
}

/// The well-known module, with the go.mod of the real one.
fn add_quote(origin: &Origin) {
    let quote = gomodule::module::ModuleVersion::parse("rsc.io/quote@v1.5.2").unwrap();
    origin.world().add_go_mod(&quote, "module \"rsc.io/quote\"\n\nrequire \"rsc.io/sampler\" v1.3.0\n");
}

fn without_go() {
    let home = Go::new(Path::new("/nonexistent"), "https://proxy.golang.org,direct", "sum.golang.org");
    let (code, output) = home.set("PATH", "/nonexistent").sumgate(&["doctor", "--try"]);
    assert!(code == Some(2) && output.contains("there is no go command on the PATH"), "{output}");
}
