//! A closed network from one export: a file system with the program and `go` only, and a medium that is read-only.

use std::path::Path;
use std::process::Command;

use libtest_mimic::Trial;

use crate::airgap::nowhere;
use crate::fixture::{BUILD_CACHE, Go, go_trial, may_mount, sumgate};
use crate::private::Repositories;
use crate::tools::world;

pub fn trials() -> Vec<Trial> {
    let trial = go_trial("closed network: one export on a read-only medium builds it all", from_one_export);
    let is_ignored = trial.has_ignored_flag() || !may_mount();
    vec![trial.with_ignored_flag(is_ignored)]
}

/// A public module, and a private one from git.
const MAIN: &str = "package main

import (
\t\"example.com/hello\"
\t\"example.test/repo.git\"
)

func main() {
\tprintln(hello.Text())
\tprintln(repo.Text())
}
";

/// Makes the root, imports, serves, and runs `go` there. The shared libraries and the shell are for the program and the toolchain of
/// the demo.
const SCRIPT: &str = r#"
set -e
chroot=$(command -v chroot)
root=$1 goroot=$2 cache=$3 medium=$4 program=$5 key=$6
put() { mkdir -p "$root$2"; mount --rbind "$1" "$root$2"; }
for folder in /lib /lib64 /usr/lib /dev /proc; do if [ -d "$folder" ]; then put "$folder" "$folder"; fi; done
# The `go` of the trials has links to the installed one.
real=$(dirname "$(readlink -f "$goroot/src")")
for folder in "$goroot" "$real"; do put "$folder" "$folder"; done
put "$cache" /cache
put "$medium" /medium
mount -o remount,ro,bind "$root/medium"
mkdir -p "$root/bin" "$root/tmp" "$root/home"
touch "$root/bin/sh"; mount --bind /bin/sh "$root/bin/sh"
touch "$root/sumgate"; mount --bind "$program" "$root/sumgate"
if touch "$root/medium/x" 2>/dev/null; then echo "the medium can be written"; exit 1; fi
private="--nosumdb example.com/dep --private example.test --data /data"
chroot "$root" /sumgate cache import $private --sumdb "$key http://127.0.0.1:1" /medium/out
: >"$root/log"
chroot "$root" /sumgate serve --offline $private --sumdb "$key http://127.0.0.1:1" --listen 127.0.0.1:0 >"$root/log" &
mirror=$!
trap 'kill $mirror' EXIT
while ! grep -q "go env -w" "$root/log"; do kill -0 $mirror; sleep 0.1; done
url=$(sed -n 's/.*listening on //p' "$root/log")
run() {
    env -i GODEBUG=installgoroot=all HOME=/home GOROOT="$goroot" GOPATH="/path-$1" GOENV=off GOCACHE=/cache GOTELEMETRY=off GOFLAGS="-modcacherw -mod=mod" GOPROXY="$2" GOSUMDB="$3" \
        GONOSUMDB=example.com/dep,example.test PATH="$goroot/bin:/bin" GOTOOLCHAIN="$4" $chroot "$root" /bin/sh -c "cd $5 && exec go $6"
}
for way in mirror medium; do
    if [ $way = mirror ]; then proxy=$url sumdb="$key $url"; else proxy=file:///medium/out sumdb=$key; fi
    run $way "$proxy" "$sumdb" local /work "build -o /work/$way ."
    chroot "$root" "/work/$way" 2>&1
    run $way "$proxy" "$sumdb" local /home "install example.com/tool@v1.0.0"
    chroot "$root" "/path-$way/bin/tool" 2>&1
    run $way "$proxy" "$sumdb" auto /new version
done
"#;

fn from_one_export(go: &Path) {
    let (origin, repositories) = (world(), Repositories::new());
    repositories.commit("module example.test/repo.git\n\ngo 1.21\n", "a private text");
    repositories.git(&["tag", "-f", "v1.0.0"]);
    let folder = tempfile::tempdir().unwrap();
    let (data, medium, root) = (folder.path().join("data"), folder.path().join("medium"), folder.path().join("root"));
    let (work, new) = (root.join("work"), root.join("new"));
    for folder in [&medium, &work, &new] {
        std::fs::create_dir_all(folder).unwrap();
    }
    let home = Go::new(go, &origin.url(), &origin.gosumdb()).set("GOPRIVATE", "example.test").set("GOVCS", "*:git");
    let home = home.set("HOME", repositories.home().to_str().unwrap());
    let requires = "require (\n\texample.com/hello v1.1.0\n\texample.test/repo.git v1.0.0\n)\n";
    home.write("go.mod", &format!("module example.org/app\n\ngo 1.21\n\n{requires}"));
    home.write("main.go", MAIN);
    home.must(&["mod", "tidy"]);
    for name in ["go.mod", "go.sum", "main.go"] {
        std::fs::copy(home.home().join(name), work.join(name)).unwrap();
    }
    std::fs::write(new.join("go.mod"), "module example.org/new\n\ngo 1.99.1\n").unwrap();
    let (first, second) = (work.join("go.mod"), new.join("go.mod"));
    let (first, second) = (first.to_str().unwrap(), second.to_str().unwrap());
    let what = ["--nosumdb", "example.com/dep", "--private", "example.test", "--platform", "linux/amd64"];
    let what = [&what[..], &["example.com/tool@v1.0.0"]].concat();
    let run = |sumdb: &str, words: &[&str]| {
        let mut command = repositories.with_home(sumgate());
        let output = command.args(words).args(["--sumdb", sumdb, "--data"]).arg(&data).output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    };
    let upstream = origin.url();
    let fetch = ["cache", "fetch", "--upstream", &upstream, "-m", first, "-m", second];
    run(&origin.gosumdb(), &[&fetch[..], &what].concat());
    let out = medium.join("out");
    let export = ["cache", "export", "--for", first, "--for", second];
    run(&nowhere(&origin), &[&export[..], &what, &[out.to_str().unwrap()]].concat());
    let (goroot, key) = (home.must(&["env", "GOROOT"]), origin.key());
    std::fs::remove_dir_all(&data).unwrap();
    drop(origin);

    let mut shell = Command::new("unshare");
    shell.args(["--user", "--map-root-user", "--mount", "sh", "-c", SCRIPT, "sh"]).arg(&root).arg(goroot.trim());
    let output = shell.arg(BUILD_CACHE).arg(&medium).args([env!("CARGO_BIN_EXE_sumgate"), &key]).output().unwrap();
    let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    assert!(output.status.success(), "{said}");
    assert!(said.contains("imported ") && !said.contains("REFUSED"), "{said}");
    for (words, times) in [("C2\n", 4), ("a private text\n", 2), ("go version go1.99.1 demo\n", 2)] {
        assert_eq!(said.matches(words).count(), times, "{words}: {said}");
    }
}
