//! The container image: what it says of itself, and what it does under runc.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use libtest_mimic::Trial;
use serde_json::{Value, json};
use testkit::{Origin, World};

use crate::tools::{VERSION, command, dist_trial, ended, package, run, tool, tool_trial};

/// The owner of the data in the image.
const USER: u32 = 65532;

/// The time after which `docker stop` kills.
const STOPS_WITHIN: Duration = Duration::from_secs(10);

pub fn trials() -> Vec<Trial> {
    let in_runc = ["root", "umoci", "runc"];
    let with_go = ["root", "umoci", "runc", "go"];
    vec![
        dist_trial("image: its user, its health check, its labels, as every engine reads them", &["skopeo"], settings),
        dist_trial("image: these files and no others, and only the data belongs to its user", &in_runc, contents),
        dist_trial(
            "image: as it is, it serves, the health check passes, and it writes only its data",
            &in_runc,
            as_it_is,
        ),
        dist_trial("image: go downloads through it; it reads its settings again, and stops", &with_go, through_it),
        dist_trial("image: the tour, the health check without a mirror, and the CA certificates", &in_runc, commands),
        tool_trial("image: made in two folders it has the same bytes", &["root", "buildah", "check-jsonschema"], same),
        tool_trial("image: compose.yaml is valid, and says the same as the image", &["check-jsonschema"], compose),
    ]
}

fn json_of(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

/// The configuration in the file, as the names of Docker.
fn image_settings(dist: &Path) -> Value {
    let file = format!("oci-archive:{}", package(dist, "-image-amd64.tar").display());
    // `--raw`, because skopeo leaves the health check out when it prints what it has read.
    json_of(&run(command("skopeo").args(["inspect", "--config", "--raw", &file])))
}

fn settings(dist: &Path) {
    let image = image_settings(dist);
    assert_eq!((&image["os"], &image["architecture"]), (&json!("linux"), &json!("amd64")));
    assert_eq!(image["rootfs"]["diff_ids"].as_array().unwrap().len(), 1, "{image}");
    let config = &image["config"];
    for (name, value) in [
        ("User", json!("65532:65532")),
        ("Entrypoint", json!(["/sumgate"])),
        ("Cmd", json!(["serve"])),
        ("ExposedPorts", json!({ "8080/tcp": {} })),
        ("Volumes", json!({ "/data": {} })),
    ] {
        assert_eq!(config[name], value, "{name}");
    }
    assert_eq!(config["Healthcheck"]["Test"], json!(["CMD", "/sumgate", "health"]));
    // Above the five seconds of `sumgate health`, in nanoseconds.
    assert!(config["Healthcheck"]["Timeout"].as_u64().unwrap() > 5_000_000_000, "{config}");
    let label = |name: &str| config["Labels"][format!("org.opencontainers.image.{name}")].as_str().unwrap().to_owned();
    assert_eq!((label("title"), label("version")), ("sumgate".to_owned(), VERSION.to_owned()));
    assert_eq!(label("licenses"), env!("CARGO_PKG_LICENSE"));
    assert_eq!(label("description"), env!("CARGO_PKG_DESCRIPTION").trim_end_matches('.'));
    assert_eq!(label("url"), env!("CARGO_PKG_REPOSITORY"));
    let revision = label("revision");
    assert!(revision.len() == 40 && revision.bytes().all(|byte| byte.is_ascii_hexdigit()), "{revision}");
    // As `docker load` reads it: the same configuration, with its name.
    let file = format!("docker-archive:{}:sumgate:{VERSION}", package(dist, "-image-amd64.tar").display());
    let loaded = json_of(&run(command("skopeo").args(["inspect", "--config", "--raw", &file])));
    assert_eq!(loaded, image);
}

/// The image in a folder, to be run by runc as with `docker run --read-only --cap-drop=ALL --security-opt=no-new-privileges`.
struct Bundle {
    folder: tempfile::TempDir,
    config: Value,
}

impl Bundle {
    fn unpack(dist: &Path) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let layout = folder.path().join("layout");
        fs::create_dir(&layout).unwrap();
        run(command("tar").arg("-xf").arg(package(dist, "-image-amd64.tar")).arg("-C").arg(&layout));
        let image = format!("{}:{VERSION}", layout.display());
        run(command("umoci").args(["unpack", "--image", &image]).arg(folder.path().join("bundle")));
        let config = json_of(&fs::read_to_string(folder.path().join("bundle/config.json")).unwrap());
        let mut bundle = Self { folder, config };
        let process = &mut bundle.config["process"];
        process["terminal"] = json!(false);
        process["noNewPrivileges"] = json!(true);
        process["capabilities"] = json!({});
        bundle.config["root"]["readonly"] = json!(true);
        // As engines do with a new volume: with the owner and the permissions of the folder in the image.
        let data = bundle.root().join("data");
        bundle.mount(&data, "/data", "rw");
        bundle
    }

    fn root(&self) -> PathBuf {
        self.folder.path().join("bundle/rootfs")
    }

    /// Mounts a folder or file of this machine, instead of what is mounted there.
    fn mount(&mut self, source: &Path, destination: &str, option: &str) {
        let mounts = self.config["mounts"].as_array_mut().unwrap();
        mounts.retain(|mount| mount["destination"] != destination);
        let options = json!(["bind", option]);
        mounts.push(json!({ "destination": destination, "type": "none", "source": source, "options": options }));
    }

    /// As `--network host`.
    fn on_this_network(&mut self) {
        self.config["linux"]["namespaces"].as_array_mut().unwrap().retain(|namespace| namespace["type"] != "network");
    }

    /// Sets a variable, as `--env`.
    fn set(&mut self, name: &str, value: &str) {
        let variables = self.config["process"]["env"].as_array_mut().unwrap();
        variables.retain(|variable| !variable.as_str().unwrap().starts_with(&format!("{name}=")));
        variables.push(json!(format!("{name}={value}")));
    }

    /// A command of runc. The container has the name of its folder.
    fn runc(&self, words: &[&str]) -> Command {
        let mut runc = command("runc");
        runc.arg("--root").arg(self.folder.path().join("state")).args(words);
        runc
    }

    fn id(&self) -> String {
        let name = self.folder.path().file_name().unwrap().to_str().unwrap();
        format!("sumgate-test-{}", name.trim_start_matches('.'))
    }

    fn run(&self) -> Command {
        let bundle = self.folder.path().join("bundle");
        fs::write(bundle.join("config.json"), self.config.to_string()).unwrap();
        self.runc(&["run", "--bundle", bundle.to_str().unwrap(), &self.id()])
    }

    /// Runs a command of the image to its end; returns everything that it printed.
    fn ended(&mut self, words: &[&str], code: i32) -> String {
        self.config["process"]["args"] = json!([&["/sumgate"], words].concat());
        let output = ended(&mut self.run(), code);
        String::from_utf8([output.stdout, output.stderr].concat()).unwrap()
    }

    /// Starts the command of the image, a mirror.
    fn start(&self) -> Container<'_> {
        let log = fs::File::create(self.folder.path().join("log")).unwrap();
        let mut process = self.run().stdout(Stdio::piped()).stderr(log).spawn().unwrap();
        let mut greeting = String::new();
        let mut stdout = BufReader::new(process.stdout.take().unwrap());
        // Made first, so that the container is removed if the mirror does not start.
        let mut container = Container { bundle: self, url: String::new(), process };
        while !greeting.contains("go env -w") {
            let read = stdout.read_line(&mut greeting).unwrap();
            assert_ne!(read, 0, "the mirror did not start: {greeting}{}", container.log());
        }
        container.url = greeting.lines().next().unwrap().rsplit(' ').next().unwrap().to_owned();
        container
    }

    /// What is in its root outside of the data: owner, permissions, size and time of change.
    fn outside_data(&self) -> BTreeMap<String, (u32, u32, u64, i64)> {
        let mut found = BTreeMap::new();
        let mut folders = vec![self.root()];
        while let Some(folder) = folders.pop() {
            for path in fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()) {
                let at = path.symlink_metadata().unwrap();
                let name = format!("/{}", path.strip_prefix(self.root()).unwrap().display());
                if at.is_dir() && name != "/data" {
                    folders.push(path);
                }
                let size = if at.is_dir() { 0 } else { at.len() };
                let changed = if name == "/data" { 0 } else { at.mtime() * 1_000_000_000 + at.mtime_nsec() };
                found.insert(name, (at.uid(), at.mode() & 0o7777, size, changed));
            }
        }
        found
    }
}

/// A mirror in a container, which is removed at the end.
struct Container<'a> {
    bundle: &'a Bundle,
    url: String,
    process: Child,
}

impl Container<'_> {
    fn log(&self) -> String {
        fs::read_to_string(self.bundle.folder.path().join("log")).unwrap()
    }

    /// Runs the health check in the container; returns what it prints.
    fn health(&self, more: &[&str]) -> String {
        let id = self.bundle.id();
        run(&mut self.bundle.runc(&[&["exec", &id, "/sumgate", "health"], more].concat()))
    }

    /// Whether a socket of its network accepts connections of other machines to this port.
    fn listens_everywhere(&self, port: u16) -> bool {
        let state = json_of(&run(&mut self.bundle.runc(&["state", &self.bundle.id()])));
        // The address of all interfaces, in IPv6 or IPv4, and the state LISTEN.
        [("tcp6", 32), ("tcp", 8)].iter().any(|(table, digits)| {
            let sockets = fs::read_to_string(format!("/proc/{}/net/{table}", state["pid"])).unwrap_or_default();
            let any = "0".repeat(*digits);
            sockets.contains(&format!(" {any}:{port:04X} {any}:0000 0A "))
        })
    }

    fn signal(&self, name: &str) {
        run(&mut self.bundle.runc(&["kill", &self.bundle.id(), name]));
    }

    /// Stops the mirror, as engines do; returns how long that took.
    fn stop(&mut self) -> Duration {
        let start = Instant::now();
        self.signal("TERM");
        assert_eq!(self.process.wait().unwrap().code(), Some(0), "{}", self.log());
        start.elapsed()
    }
}

impl Drop for Container<'_> {
    fn drop(&mut self) {
        let _ = self.bundle.runc(&["delete", "--force", &self.bundle.id()]).output();
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn contents(dist: &Path) {
    let found = Bundle::unpack(dist).outside_data();
    let found: Vec<_> = found.iter().map(|(path, (owner, mode, ..))| (path.as_str(), *owner, *mode)).collect();
    let expected = [
        ("/data", USER, 0o700),
        ("/etc", 0, 0o755),
        ("/etc/ssl", 0, 0o755),
        ("/etc/ssl/certs", 0, 0o755),
        ("/etc/ssl/certs/ca-certificates.crt", 0, 0o644),
        ("/licenses", 0, 0o755),
        ("/licenses/LICENSE-APACHE", 0, 0o644),
        ("/licenses/LICENSE-MIT", 0, 0o644),
        ("/licenses/ca-certificates.crt.LICENSE", 0, 0o644),
        ("/sumgate", 0, 0o755),
        ("/tmp", 0, 0o1777),
    ];
    assert_eq!(found, expected);
}

fn as_it_is(dist: &Path) {
    let mut bundle = Bundle::unpack(dist);
    // So that a write outside of the data is seen, and does not just fail.
    bundle.config["root"]["readonly"] = json!(false);
    // The first run makes the folders that are mounted.
    bundle.ended(&["--version"], 0);
    bundle.config["process"]["args"] = json!(["/sumgate", "serve"]);
    let before = bundle.outside_data();
    let mut container = bundle.start();
    assert_eq!(container.url, "http://127.0.0.1:8080");
    assert_eq!(container.health(&[]), "http://127.0.0.1:8080 answers\n");
    assert!(container.listens_everywhere(8080), "it listens on loopback only, and no other machine reaches it");
    let took = container.stop();
    assert!(took < STOPS_WITHIN, "stopped after {took:?}");
    assert_eq!(bundle.outside_data(), before);
    assert!(bundle.root().join("data/sumgate-format").is_file());
}

fn through_it(dist: &Path) {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let origin = runtime.block_on(Origin::start(World::demo())).unwrap();
    let mut bundle = Bundle::unpack(dist);
    let settings = bundle.folder.path().join("settings");
    fs::create_dir(&settings).unwrap();
    fs::set_permissions(&settings, fs::Permissions::from_mode(0o755)).unwrap();
    let write = |name: &str, text: &str| {
        fs::write(settings.join(name), text).unwrap();
        fs::set_permissions(settings.join(name), fs::Permissions::from_mode(0o644)).unwrap();
    };
    let [url, gosumdb] = [origin.url(), origin.gosumdb()];
    let config =
        format!("[serve]\npolicy = \"sumgate.toml\"\nsumdb = \"{gosumdb}\"\n\n[[upstream]]\nurl = \"{url}\"\n");
    write("serve.toml", &config);
    write("sumgate.toml", "[policy]\n");
    bundle.mount(&settings, "/etc/sumgate", "ro");
    bundle.set("SUMGATE_CONFIG", "/etc/sumgate/serve.toml");
    bundle.set("SUMGATE_LISTEN", "127.0.0.1:0");
    bundle.on_this_network();
    let mut container = bundle.start();

    download(&origin, &container.url, 0);
    let health = container.health(&["--url", &container.url]);
    assert_eq!(health, format!("{} answers\n", container.url));
    let released = bundle.root().join("data/proxy/example.com/hello/@v/v1.0.0.zip");
    assert_eq!(released.metadata().unwrap().uid(), USER);

    write("sumgate.toml", "[[deny]]\nmodule = \"example.com/hello\"\nreason = \"not here\"\n");
    container.signal("HUP");
    let start = Instant::now();
    while !container.log().contains("the settings were read again and are in force") {
        assert!(start.elapsed() < Duration::from_secs(60), "the settings were not read again: {}", container.log());
        std::thread::sleep(Duration::from_millis(20));
    }
    let output = download(&origin, &container.url, 1);
    assert!(output.contains("403 Forbidden"), "{output}");

    let took = container.stop();
    assert!(took < STOPS_WITHIN, "stopped after {took:?}");
    assert!(!container.log().contains("Read-only file system"), "{}", container.log());
}

/// Has `go`, with a home of its own, download a module from the mirror; it must end with this code.
fn download(origin: &Origin, mirror: &str, code: i32) -> String {
    let home = tempfile::tempdir().unwrap();
    let mut go = command("go");
    go.env_clear().env("PATH", std::env::var_os("PATH").unwrap()).current_dir(home.path());
    go.env("HOME", home.path()).env("GOENV", "off").env("GOTOOLCHAIN", "local").env("GOFLAGS", "-modcacherw");
    go.env("GOPROXY", mirror).env("GOSUMDB", format!("{} {mirror}", origin.key()));
    let output = ended(go.args(["mod", "download", "example.com/hello@v1.0.0"]), code);
    String::from_utf8([output.stdout, output.stderr].concat()).unwrap()
}

fn commands(dist: &Path) {
    let mut bundle = Bundle::unpack(dist);
    assert!(bundle.ended(&["--version"], 0).starts_with(&format!("sumgate {VERSION} (")));
    assert!(bundle.ended(&["health"], 2).contains("the mirror does not answer"));
    // Its exit code is 2: there is no go whose settings could be read.
    let roots_are_built_in = |bundle: &mut Bundle| bundle.ended(&["doctor", "/licenses"], 2).contains("built-in-roots");
    assert!(!roots_are_built_in(&mut bundle), "the CA certificates of the image are not used");
    let nothing = bundle.folder.path().join("nothing");
    fs::write(&nothing, "").unwrap();
    bundle.mount(&nothing, "/etc/ssl/certs/ca-certificates.crt", "ro");
    assert!(roots_are_built_in(&mut bundle), "the CA certificates of the image are not in that file");

    let told = bundle.ended(&["demo"], 2);
    assert!(told.contains("TMPDIR") && !told.contains("panicked"), "{told}");
    bundle.config["root"]["readonly"] = json!(false);
    bundle.ended(&["demo"], 0);
}

fn same() {
    let checkout = Path::new(env!("CARGO_MANIFEST_DIR"));
    let made = |umask: &str| {
        let (stage, out) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        fs::write(stage.path().join("sumgate"), "a program").unwrap();
        for license in ["LICENSE-APACHE", "LICENSE-MIT"] {
            fs::copy(checkout.join(license), stage.path().join(license)).unwrap();
        }
        let mut step = command("sh");
        step.args(["-c", &format!("umask {umask} && exec \"$0\" \"$@\"")]);
        step.arg(checkout.join("packaging/steps/image")).arg(stage.path()).arg(out.path()).current_dir(stage.path());
        step.env("VERSION", VERSION).env("SOURCE_DATE_EPOCH", "1700000000");
        run(&mut step);
        fs::read(package(out.path(), "-image-amd64.tar")).unwrap()
    };
    assert!(made("022") == made("077"), "the images differ");
}

fn compose() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging/compose.yaml");
    let checker = tool("check-jsonschema").unwrap();
    let check = |file: &Path, code: i32| {
        ended(command(&checker).args(["--builtin-schema", "vendor.compose-spec"]).arg(file), code);
    };
    check(&file, 0);
    let text = fs::read_to_string(&file).unwrap();
    let misspelt = tempfile::Builder::new().suffix(".yaml").tempfile().unwrap();
    fs::write(misspelt.path(), text.replace("read_only", "read_onyl")).unwrap();
    check(misspelt.path(), 1);

    let parse =
        "import json, ruamel.yaml, sys; print(json.dumps(ruamel.yaml.YAML(typ='safe').load(open(sys.argv[1]))))";
    let parsed = run(command(checker.with_file_name("python")).args(["-c", parse]).arg(&file));
    let service = &json_of(&parsed)["services"]["sumgate"];
    for (name, value) in [
        ("image", json!(format!("sumgate:{VERSION}"))),
        ("read_only", json!(true)),
        ("cap_drop", json!(["ALL"])),
        ("security_opt", json!(["no-new-privileges:true"])),
        ("ports", json!(["127.0.0.1:8080:8080"])),
        ("volumes", json!(["data:/data"])),
    ] {
        assert_eq!(service[name], value, "{name}");
    }
    assert!(text.contains(&format!("sumgate-{VERSION}-image-amd64.tar")), "{text}");
    let health = &service["healthcheck"];
    let dockerfile = fs::read_to_string(file.with_file_name("Dockerfile")).unwrap();
    let line = dockerfile.lines().find(|line| line.starts_with("HEALTHCHECK")).unwrap();
    let value = |name: &str| health[name].as_str().map_or_else(|| health[name].to_string(), str::to_owned);
    let [interval, timeout, start, retries] = ["interval", "timeout", "start_period", "retries"].map(value);
    let expected = format!(
        "HEALTHCHECK --interval={interval} --timeout={timeout} --start-period={start} --retries={retries} CMD {}",
        health["test"].to_string().replace("\"CMD\",", "").replace("\",\"", "\", \"")
    );
    assert_eq!(line, expected);
}
