//! What the gate cannot see: one trial for each entry of that list in `docs/run.md`. None of them ends in a finding.

use std::io::Write;
use std::net::TcpListener;
use std::path::Path;

use libtest_mimic::Trial;
use testkit::Origin;

use crate::fixture::{Go, go_trial, origin};
use crate::gate_ways::{BUILD, FORGED, HONEST, app, gate, module_with, patch, says};

pub fn trials() -> Vec<Trial> {
    vec![
        go_trial("gate, blind: a command that opens its own connections", own_connections),
        go_trial("gate, blind: code that is already in the repository", already_there),
        go_trial("gate, blind: an inherited build cache", inherited_build_cache),
        go_trial("gate, blind: a program without build information", no_build_information),
        go_trial("gate, blind: a program elsewhere that --subject does not name", elsewhere),
        go_trial("gate, blind: a module that is changed for the build and restored", put_back),
        go_trial("gate, blind: the go command on the PATH", go_on_the_path),
    ]
}

/// Runs the gate, which passes although the program has the forged text.
#[track_caller]
fn unseen(app: &Go, words: &[&str], known: &[&str]) {
    let (code, output, findings) = gate(app, words);
    assert_eq!((code, findings.iter().map(String::as_str).collect::<Vec<_>>()), (Some(0), known.to_vec()), "{output}");
    assert!(says(app).contains(FORGED), "{output}");
}

#[track_caller]
fn unseen_script(app: &Go, script: &str) {
    unseen(app, &["--", "sh", "-ec", script], &[]);
}

/// `go generate` runs a program of the repository, which fetches source code by itself.
fn own_connections(go: &Path) {
    let origin = origin(module_with(HONEST));
    let app = app(go, &origin);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let server = std::thread::spawn(move || {
        let code = format!("package main\n\nfunc init() {{ println(\"{FORGED}\") }}\n");
        listener.accept().unwrap().0.write_all(code.as_bytes()).unwrap();
    });
    let generator = format!(
        "package main\n\nimport (\n\t\"io\"\n\t\"net\"\n\t\"os\"\n)\n\nfunc main() {{\n\tconnection, _ := net.Dial(\"tcp\", \
         \"{address}\")\n\tcode, _ := io.ReadAll(connection)\n\tos.WriteFile(\"fetched.go\", code, 0o644)\n}}\n"
    );
    app.write("gen/main.go", &generator);
    app.write("generate.go", "package main\n\n//go:generate go run ./gen\n");
    unseen_script(&app, "go generate . && go build -o app .");
    server.join().unwrap();
}

/// A copy of a module, changed, is code of the repository.
fn already_there(go: &Path) {
    let origin = origin(module_with(HONEST));
    let app = app(go, &origin);
    app.write("mark/mark.go", &format!("package mark\n\nfunc Mark() string {{ return \"{FORGED}\" }}\n"));
    let main = std::fs::read_to_string(app.home().join("main.go")).unwrap();
    app.write("main.go", &main.replace("example.com/mark", "example.org/app/mark"));
    unseen(&app, &BUILD, &[]);
}

fn inherited_build_cache(go: &Path) {
    let (origin, cache) = (origin(module_with(HONEST)), tempfile::tempdir().unwrap());
    let app = app(go, &origin).set("GOCACHE", cache.path().to_str().unwrap());
    let words = [&["--build-cache", "inherit"], &BUILD[..]].concat();
    // An earlier job stored compiled archives there, for the paths of a run.
    assert_eq!(gate(&app, &words).0, Some(0));
    assert!(patch(cache.path(), HONEST, FORGED) > 0);
    std::fs::remove_file(app.home().join("app")).unwrap();
    // Every report says that it was inherited; its content is unknown.
    unseen(&app, &words, &["inherited-build-cache"]);
}

/// Builds with a module that a child process fetches past the gate, which is reported if the program can be read.
fn past_the_gate(forger: &Origin, program: &str) -> String {
    let settings = format!("GOMODCACHE=$HOME/other GOPROXY={} GOSUMDB=off", forger.url());
    format!("{settings} go build -o {program} . && rm -f go.sum")
}

fn no_build_information(go: &Path) {
    let (honest, forger) = (origin(module_with(HONEST)), origin(module_with(FORGED)));
    let app = app(go, &honest);
    let build = past_the_gate(&forger, "app");
    let (code, output, findings) = gate(&app, &["--", "sh", "-ec", &build]);
    assert!(code == Some(120) && findings.contains(&"module-not-released".to_owned()), "{output}");
    std::fs::remove_file(app.home().join("app")).unwrap();
    unseen_script(&app, &format!("{build} && LC_ALL=C sed -i 's/ Go buildinf:/ no buildinf:/' app"));
}

fn elsewhere(go: &Path) {
    let (honest, forger) = (origin(module_with(HONEST)), origin(module_with(FORGED)));
    let app = app(go, &honest);
    let (code, output, findings) = gate(&app, &["--", "sh", "-ec", &past_the_gate(&forger, "../program")]);
    assert_eq!((code, findings), (Some(0), Vec::new()), "{output}");
    std::fs::copy(app.root().join("program"), app.home().join("app")).unwrap();
    assert!(says(&app).contains(FORGED));
}

fn put_back(go: &Path) {
    let origin = origin(module_with(HONEST));
    let app = app(go, &origin);
    let script = format!(
        "go mod download\nchmod -R u+w \"$GOMODCACHE\"\ncd \"$GOMODCACHE/example.com/mark@v1.0.0\"\nfile=$(ls *.go)\n\
         sed -i.old 's/{HONEST}/{FORGED}/' \"$file\"\n(cd \"$OLDPWD\" && go build -o app .)\nmv \"$file.old\" \"$file\"\n"
    );
    unseen_script(&app, &script);
}

/// A changed `go` command builds anything, and also says what is in a program.
fn go_on_the_path(go: &Path) {
    let origin = origin(module_with(HONEST));
    let app = app(go, &origin);
    let (main, folder) = (app.home().join("main.go"), app.root().join("programs"));
    std::fs::create_dir(&folder).unwrap();
    let code = std::fs::read_to_string(&main).unwrap();
    std::fs::write(folder.join("main.go"), code.replace("println(", &format!("println(\"{FORGED}\", "))).unwrap();
    let overlay = serde_json::json!({"Replace": {main.to_str().unwrap(): folder.join("main.go")}});
    std::fs::write(folder.join("overlay.json"), overlay.to_string()).unwrap();
    let script = format!(
        "#!/bin/sh\n[ \"$1\" != build ] || {{ shift; set -- build -overlay='{}' \"$@\"; }}\nexec '{}' \"$@\"\n",
        folder.join("overlay.json").display(),
        go.display()
    );
    std::fs::write(folder.join("go"), script).unwrap();
    std::fs::set_permissions(folder.join("go"), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let path = format!("{}:{}", folder.display(), std::env::var("PATH").unwrap());
    unseen(&app.set("PATH", &path), &BUILD, &[]);
}
