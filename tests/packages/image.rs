//! The container image: what it says of itself, and what it does under runc.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::time::{Duration, Instant};

use libtest_mimic::Trial;
use serde_json::{Value, json};
use testkit::{Origin, World};

use crate::runc::Bundle;
use crate::tools::{VERSION, command, dist_trial, ended, json_of, package, run, tool, tool_trial};

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
        ("/licenses/LICENSE-THIRD-PARTY", 0, 0o644),
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
    let unit = fs::read_to_string(file.with_file_name("sumgate.service")).unwrap();
    let files = &service["ulimits"]["nofile"];
    assert!(unit.contains(&format!("\nLimitNOFILE={files}\n")), "{files}");
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
