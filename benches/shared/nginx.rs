//! nginx with sendfile over a folder: the yardstick of what is served from disk.

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Ended when dropped.
pub(crate) struct Nginx {
    pub(crate) url: String,
    process: Child,
    _home: tempfile::TempDir,
}

impl Nginx {
    /// `None` without an nginx on the PATH.
    pub(crate) fn start(files: &Path) -> Option<Self> {
        let home = tempfile::tempdir().unwrap();
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let config = format!(
            "daemon off; worker_processes auto; pid {home}/pid; error_log {home}/error.log;\n\
             events {{ worker_connections 4096; }}\n\
             http {{ access_log off; sendfile on; tcp_nopush on; keepalive_requests 1000000000; default_type text/plain;\n\
             server {{ listen {address}; root {files}; }} }}\n",
            home = home.path().display(),
            files = files.display()
        );
        fs::write(home.path().join("nginx.conf"), config).unwrap();
        // Its workers may run as another user.
        for folder in [files, home.path()] {
            fs::set_permissions(folder, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        }
        let mut command = Command::new("nginx");
        command.arg("-p").arg(home.path()).arg("-c").arg(home.path().join("nginx.conf"));
        let process = command.stderr(Stdio::null()).spawn().ok()?;
        let nginx = Self { url: format!("http://{address}"), process, _home: home };
        let begin = Instant::now();
        while TcpStream::connect(address).is_err() {
            assert!(begin.elapsed() < Duration::from_secs(10), "nginx does not start");
            std::thread::sleep(Duration::from_millis(20));
        }
        Some(nginx)
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        // Its workers end with it only after this signal.
        let _ = Command::new("kill").args(["-QUIT", &self.process.id().to_string()]).status();
        let _ = self.process.wait();
    }
}
