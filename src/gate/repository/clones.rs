//! Clones that `go` keeps in a module cache (`cache/vcs`), and fetches private modules with. In a restored cache they are as
//! whoever wrote it likes.

use std::path::{Path, PathBuf};
use std::time::Instant;

use super::{Git, MAX_REPOSITORIES, Setting, TIME, fits};
use crate::base::text::safe;
use crate::finding::{Code, Finding};

const FOLDER: &str = "cache/vcs";
/// What `git init --bare` and `go` write into such a clone. Everything else may run a program.
const PLAIN: [&str; 9] = [
    "core.repositoryformatversion",
    "core.filemode",
    "core.bare",
    "core.ignorecase",
    "core.precomposeunicode",
    "core.symlinks",
    "extensions.objectformat",
    "remote.origin.fetch",
    "remote.origin.tagopt",
];
/// Programs that git runs, also when it fetches; those of its template end with `.sample`.
const HOOKS: &str = "hooks";

/// The clones of an inherited module cache.
pub struct Clones<'a>(pub &'a Git<'a>);

impl Clones<'_> {
    /// What in the clones of an inherited module cache `go` did not write. Nothing, if the command does not fetch with git.
    pub async fn examine(&self, module_cache: &Path) -> Vec<Finding> {
        let until = Instant::now() + TIME;
        let Ok(entries) = module_cache.join(FOLDER).read_dir() else { return Vec::new() };
        if !self.0.fetches {
            return Vec::new();
        }
        // Beside each clone lie its lock and its description.
        let clones = entries.filter_map(Result::ok).map(|entry| entry.path()).filter(|path| path.is_dir());
        let clones: Vec<PathBuf> = clones.take(MAX_REPOSITORIES + 1).collect();
        let mut findings = Vec::new();
        for clone in clones.iter().take(MAX_REPOSITORIES) {
            if let Some(why) = self.oddity(clone, until).await {
                let message =
                    format!("{why}: `go` fetches private modules with this clone of the inherited module cache");
                let help = Some("Remove it, or fetch private modules through the gate (--gate-private).".to_owned());
                findings.push(Finding { help, ..Finding::new(Code::RepositoryProgram, message).at(clone) });
            }
        }
        if clones.len() > MAX_REPOSITORIES {
            let message =
                format!("there are more than {MAX_REPOSITORIES} clones in {}", module_cache.join(FOLDER).display());
            findings.push(Finding::new(Code::NotExamined, message));
        }
        findings
    }

    /// The first thing about a clone that `go` did not write.
    async fn oddity(&self, clone: &Path, until: Instant) -> Option<String> {
        if clone.is_symlink() {
            return Some("it is a link".to_owned());
        }
        let hooks = clone.join(HOOKS).read_dir().into_iter().flatten().filter_map(Result::ok);
        if let Some(hook) =
            hooks.map(|entry| entry.file_name()).find(|name| !name.as_encoded_bytes().ends_with(b".sample"))
        {
            return Some(format!("it has the hook {}", safe(&hook.to_string_lossy())));
        }
        match self.0.settings(clone, until).await {
            Ok(settings) => {
                let own = settings.iter().filter(|setting| matches!(setting.scope.as_str(), "local" | "worktree"));
                let odd = own.filter(|setting| !is_plain(setting)).map(|setting| safe(&setting.name)).next();
                odd.map(|name| format!("it sets {name}"))
            }
            Err(why) => Some(format!("its settings cannot be read: {why}")),
        }
    }
}

fn is_plain(Setting { name, value, .. }: &Setting) -> bool {
    // An address that begins so is a program (`ext::`), or a flag.
    let is_address = fits("remote.origin.url", name) && !value.starts_with('-') && !value.contains("::");
    is_address || PLAIN.iter().any(|plain| fits(plain, name))
}
