//! The guided tour: an honest module, then a forged zip, a forged tile and a forked log, which are refused.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use testkit::{Fault, Origin, World, module_zip};
use tlog::{Tile, TileHeight, TreeSize};
use tokio::process::Command;
use url::Url;

use super::mirror;
use crate::base::limits::MAX_ANSWER;
use crate::base::process::{self, Limits};
use crate::mirror::{Mirror, Watch};
use crate::sumdb::Client;
use crate::upstream::{HttpClient, HttpError};
use gomodule::module::ModuleVersion;

/// Ten times the slowest step on a small machine, so that a hanging `go` does not block the tour.
const TIME_LIMIT: Duration = Duration::from_secs(60);
/// The reason of a refusal, or a small module.
const MAX_BODY: usize = 1 << 20;

/// How much further the rest of a broken line is indented.
const HANGING: &str = "  ";
/// What a reader is about to see.
const WHAT: &str = "\
Five downloads through a mirror: two are honest, three are attacks to refuse.
All of it stays on this machine.

";
/// What a reader can do next.
const NEXT: &str = "
Next:
  sumgate audit                  look up each line of go.sum below this folder
  sumgate run -- go build ./...  build with proved modules; changes no setting
  sumgate serve                  run the mirror; it prints the line for `go`
  go env -u GOPROXY GOSUMDB      go back afterwards
  sumgate demo --keep            see in a browser what was refused, try it by
                                 hand, and verify the evidence of step 5,
                                 which is else deleted with the demo
";

/// A running tour: an origin, its mirror, and a client.
pub(super) struct Tour {
    origin: Origin,
    mirror: Mirror,
    client: Client,
    http: HttpClient,
    go: Option<PathBuf>,
    folder: tempfile::TempDir,
    /// The length of lines.
    width: usize,
    _watch: Watch,
}

impl Tour {
    /// Starts the origin and the mirror on free ports. `go` is the real command, if there is one.
    pub(super) async fn start(go: Option<PathBuf>, width: usize) -> Result<Self> {
        // Before the world, which needs temporary files, too, and has no error for that.
        let folder = tempfile::tempdir()
            .context("cannot make a folder for the tour: name a folder for temporary files with TMPDIR")?;
        let origin = Origin::start(World::demo()).await.context("cannot start the origin")?;
        let http = HttpClient::on_this_machine()?;
        let (mirror, client, watch) = mirror::start(&origin, &folder.path().join("data"), &http).await?;
        Ok(Self { origin, mirror, client, http, go, folder, width, _watch: watch })
    }

    /// Runs all steps; returns whether all had the expected result. `say` prints.
    pub(super) async fn run(&self, say: &mut impl FnMut(&str)) -> Result<bool> {
        let with = self
            .go
            .as_ref()
            .map_or("an HTTP client (there is no go on the PATH)".into(), |go| go.display().to_string());
        say(WHAT);
        say(&format!("A test module proxy, with a few modules and a signed log:\n  {}\n", self.origin.url()));
        say(&format!("Its mirror:\n  {}\nDownloads are made with\n  {with}\n\n", self.mirror.url()));

        say("1. An honest module: example.com/hello@v1.0.0\n");
        let honest = self.expect("example.com/hello@v1.0.0", None, say).await?;
        say("   The proof, as the mirror serves it: record number, hashes, signed tree head\n");
        let lookup = self.get("lookup/example.com/hello@v1.0.0").await.unwrap_or_else(|error| error.to_string());
        say(&format!("{}\n", indented(&lookup, self.width)));

        say("2. A zip with a backdoor: example.com/dep/v2@v2.0.1\n");
        let dep = ModuleVersion::parse("example.com/dep/v2@v2.0.1")?;
        let files = [("a.go", "package dep\n\nfunc N() int { steal(); return 2 }\n")];
        let bad_zip = module_zip(&dep, &files, 6)?;
        self.origin.misbehave("/example.com/dep/v2/@v/v2.0.1.zip", Fault::Body(bad_zip.into()));
        let zip = self.expect("example.com/dep/v2@v2.0.1", Some("403"), say).await?;
        self.origin.behave();

        say("3. A tile of the log with one bit changed: example.com/late@v1.0.0\n");
        self.forge_tile();
        let tile = self.expect("example.com/late@v1.0.0", Some("502"), say).await?;
        self.origin.behave();

        say("4. The same module from an honest origin: the forged tile was not stored\n");
        let healed = self.expect("example.com/late@v1.0.0", None, say).await?;

        say("5. The database signs another history: example.com/legacy@v2.0.0+incompatible\n");
        let fork = self.origin.world().fork(400, 900);
        *self.origin.world() = fork;
        let forked = self.expect("example.com/legacy@v2.0.0+incompatible", Some("503"), say).await?;

        let fine = honest && zip && tile && healed && forked;
        say(if fine {
            "All five steps had the expected result.\n"
        } else {
            "NOT all steps had the expected result.\n"
        });
        say(NEXT);
        Ok(fine)
    }

    /// Instructions to try it by hand with `fresh`, another tour. The mirror of this one saw the fork, and releases nothing new.
    pub(super) fn by_hand(&self, fresh: &Self) -> String {
        let (url, key, origin) = (fresh.mirror.url(), fresh.origin.key(), fresh.origin.url());
        let mut text = format!(
            "Running until you press Ctrl-C: an honest origin and its mirror. Try this in an empty folder:\n  \
             export GOPROXY={url} GOSUMDB=\"{key} {url}\" GOMODCACHE=$(mktemp -d) GOFLAGS=-modcacherw\n  \
             go mod download -json example.com/hello@v1.1.0\n  \
             curl {url}/example.com/legacy/@v/v2.0.0+incompatible.info\n\
             Your own mirror of the same origin:\n  \
             sumgate serve --data $(mktemp -d) --listen 127.0.0.1:0 --upstream {origin} --sumdb \"{key} {origin}\"\n"
        );
        if let Some(evidence) = self.client.fork() {
            text.push_str(&format!(
                "The mirror of the tour releases nothing new. What it refused, why, and what to do, in a browser:\n  \
                 {}/-/events\n\
                 Anyone can verify its evidence:\n  \
                 curl {}/example.com/legacy/@v/v2.0.0+incompatible.zip\n  \
                 sumgate verify --sumdb {key} '{}'\n",
                self.mirror.url(),
                self.mirror.url(),
                evidence.display()
            ));
        }
        text
    }

    /// Stops the mirror.
    pub(super) async fn stop(self) {
        self.mirror.stop().await;
    }

    /// Adds a module to the log whose record is in a tile that the mirror does not have yet, and forges that tile.
    fn forge_tile(&self) {
        let mut world = self.origin.world();
        world.pad(300);
        let id = world.size();
        world.add_simple("example.com/late@v1.0.0", "", "package late\n");
        let Ok(size) = TreeSize::new(world.size()) else {
            return;
        };
        let tile = Tile::in_tree(TileHeight::SUMDB, 0, id / 256, size);
        drop(world);
        if let Some(tile) = tile {
            self.origin.misbehave(&format!("/{tile}"), Fault::FlipBit(3));
        }
    }

    /// Downloads a module, which must be refused with `status` if given. Prints the result.
    async fn expect(&self, module: &str, status: Option<&str>, say: &mut impl FnMut(&str)) -> Result<bool> {
        let (fine, output) = match &self.go {
            Some(go) => self.go_download(go, module).await?,
            None => self.http_download(module).await,
        };
        say(&indented(&output, self.width));
        let as_expected = match status {
            None => fine,
            Some(status) => !fine && output.contains(status),
        };
        let verdict = match (as_expected, status) {
            (true, None) => "   → released\n\n",
            (true, Some(_)) => "   → refused, as it must be\n\n",
            (false, _) => "   → NOT the expected result\n\n",
        };
        say(verdict);
        Ok(as_expected)
    }

    async fn go_download(&self, go: &Path, module: &str) -> Result<(bool, String)> {
        let home = tempfile::tempdir_in(self.folder.path())?;
        let mut command = Command::new(go);
        command.args(["mod", "download", module]).current_dir(home.path());
        command
            .env("HOME", home.path())
            .env("GOPATH", home.path().join("path"))
            .env("GOMODCACHE", home.path().join("mod"));
        command.env("GOENV", "off").env("GOFLAGS", "-modcacherw").env("GOTOOLCHAIN", "local").env("GONOSUMDB", "");
        command.env("GOPRIVATE", "").env("GONOPROXY", "").env("GOPROXY", self.mirror.url()).env_remove("GOWORK");
        command.env("GOSUMDB", format!("{} {}", self.origin.key(), self.mirror.url()));
        let limits = Limits { time: TIME_LIMIT, stdout: MAX_ANSWER };
        let output = process::run(command, limits).await.context("go mod download")?;
        let mut text = format!("$ go mod download {module}\n");
        text.push_str(&String::from_utf8_lossy(&output.stderr));
        Ok((output.status.success(), text))
    }

    async fn http_download(&self, module: &str) -> (bool, String) {
        let (path, version) = module.split_once('@').unwrap_or((module, ""));
        let file = format!("{path}/@v/{version}.zip");
        match self.get(&file).await {
            Ok(_) => (true, format!("GET /{file}\n200 OK\n")),
            Err(error) => {
                let why = error.downcast_ref::<HttpError>().map_or_else(|| error.to_string(), HttpError::why);
                // The client joins the lines of a reason: these begin one.
                let lines = ["proved:", "upstream:", "the wrong bytes"];
                let why = lines.into_iter().fold(why, |why, start| why.replace(start, &format!("\n{start}")));
                (false, format!("GET /{file}\n{why}\n"))
            }
        }
    }

    async fn get(&self, path: &str) -> Result<String> {
        let url = Url::parse(&format!("{}/{path}", self.mirror.url()))?;
        let body = self.http.get_small(url, MAX_BODY).await?;
        Ok(String::from_utf8_lossy(&body).into_owned())
    }
}

/// The lines of a text, indented, and broken at this width: between words, or within a word that does not fit.
fn indented(text: &str, width: usize) -> String {
    const INDENT: &str = "   ";
    let mut lines = String::new();
    for line in text.lines() {
        let line = line.replace('\t', HANGING);
        let hanging = line.chars().take_while(|c| *c == ' ').collect::<String>() + HANGING;
        let (mut rest, mut indent) = (line.as_str(), "");
        loop {
            let room = width.saturating_sub(INDENT.len() + indent.len()).max(1);
            let byte = |chars| rest.char_indices().nth(chars).map_or(rest.len(), |(at, _)| at);
            if byte(room) == rest.len() {
                lines.push_str(format!("{INDENT}{indent}{rest}").trim_end());
                lines.push('\n');
                break;
            }
            // A space after the last word that fits.
            let space = rest[..byte(room + 1)].rfind(' ').filter(|at| !rest[..*at].trim().is_empty());
            let (head, tail) = rest.split_at(space.unwrap_or(byte(room)));
            lines.push_str(&format!("{INDENT}{indent}{}\n", head.trim_end()));
            (rest, indent) = (tail.trim_start(), &hanging);
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::indented;

    #[test]
    fn long_lines_are_broken_between_words_and_long_words_anywhere() {
        assert_eq!(indented("a bc\n", 20), "   a bc\n");
        assert_eq!(indented("a\n\nb\n", 20), "   a\n\n   b\n");
        assert_eq!(indented("aaaa bbbb cccc dddd", 17), "   aaaa bbbb cccc\n     dddd\n");
        assert_eq!(indented("\twords of a reply", 17), "     words of a\n       reply\n");
        assert_eq!(indented("0123456789abcdef", 15), "   0123456789ab\n     cdef\n");
        for width in 0..40 {
            let shown = indented("go: x\n\tthe 0123456789012345678901234567890123456789 end", width);
            assert!(shown.lines().all(|line| line.chars().count() <= width.max(9)), "{width}: {shown}");
            let kept: String = shown.split_whitespace().collect();
            assert_eq!(kept, "go:xthe0123456789012345678901234567890123456789end");
        }
    }
}
