//! The container image under runc.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::tools::{VERSION, command, ended, json_of, package, run};

/// The image in a folder, to be run by runc as with `docker run --read-only --cap-drop=ALL --security-opt=no-new-privileges`.
pub struct Bundle {
    pub folder: tempfile::TempDir,
    pub config: Value,
}

impl Bundle {
    pub fn unpack(dist: &Path) -> Self {
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

    pub fn root(&self) -> PathBuf {
        self.folder.path().join("bundle/rootfs")
    }

    /// Mounts a folder or file of this machine, instead of what is mounted there.
    pub fn mount(&mut self, source: &Path, destination: &str, option: &str) {
        let mounts = self.config["mounts"].as_array_mut().unwrap();
        mounts.retain(|mount| mount["destination"] != destination);
        let options = json!(["bind", option]);
        mounts.push(json!({ "destination": destination, "type": "none", "source": source, "options": options }));
    }

    /// As `--network host`.
    pub fn on_this_network(&mut self) {
        self.config["linux"]["namespaces"].as_array_mut().unwrap().retain(|namespace| namespace["type"] != "network");
    }

    /// Sets a variable, as `--env`.
    pub fn set(&mut self, name: &str, value: &str) {
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
    pub fn ended(&mut self, words: &[&str], code: i32) -> String {
        self.config["process"]["args"] = json!([&["/sumgate"], words].concat());
        let output = ended(&mut self.run(), code);
        String::from_utf8([output.stdout, output.stderr].concat()).unwrap()
    }

    /// Starts the command of the image, a mirror.
    pub fn start(&self) -> Container<'_> {
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
        container.url.push_str(greeting.lines().next().unwrap().rsplit(' ').next().unwrap());
        container
    }

    /// What is in its root outside of the data: owner, permissions, size and time of change.
    pub fn outside_data(&self) -> BTreeMap<String, (u32, u32, u64, i64)> {
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
pub struct Container<'a> {
    bundle: &'a Bundle,
    pub url: String,
    process: Child,
}

impl Container<'_> {
    pub fn log(&self) -> String {
        fs::read_to_string(self.bundle.folder.path().join("log")).unwrap()
    }

    /// Runs the health check in the container; returns what it prints.
    pub fn health(&self, more: &[&str]) -> String {
        let id = self.bundle.id();
        run(&mut self.bundle.runc(&[&["exec", &id, "/sumgate", "health"], more].concat()))
    }

    /// Whether a socket of its network accepts connections of other machines to this port.
    pub fn listens_everywhere(&self, port: u16) -> bool {
        let state = json_of(&run(&mut self.bundle.runc(&["state", &self.bundle.id()])));
        // The address of all interfaces, in IPv6 or IPv4, and the state LISTEN.
        [("tcp6", 32), ("tcp", 8)].iter().any(|(table, digits)| {
            let sockets = fs::read_to_string(format!("/proc/{}/net/{table}", state["pid"])).unwrap_or_default();
            let any = "0".repeat(*digits);
            sockets.contains(&format!(" {any}:{port:04X} {any}:0000 0A "))
        })
    }

    pub fn signal(&self, name: &str) {
        run(&mut self.bundle.runc(&["kill", &self.bundle.id(), name]));
    }

    /// Stops the mirror, as engines do; returns how long that took.
    pub fn stop(&mut self) -> Duration {
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
