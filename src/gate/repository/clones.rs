//! Clones that `go` keeps in a module cache (`cache/vcs`), and uses to fetch private modules. In a restored cache an attacker
//! may have written them.

use std::path::{Path, PathBuf};
use std::time::Instant;

use super::{Git, MAX_REPOSITORIES, Setting, TIME, fits};
use crate::base::text::safe;
use crate::finding::{Code, Finding};

const FOLDER: &str = "cache/vcs";
/// Settings that `git init --bare` and `go` write into such a clone. Any other one may run a program.
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
/// Programs that git runs, also during a fetch; those of its template end with `.sample`.
const HOOKS: &str = "hooks";

/// Findings about clones in an inherited module cache that `go` did not write. Empty if the command does not fetch with git.
pub async fn examine_clones(git: &Git<'_>, module_cache: &Path) -> Vec<Finding> {
    let (until, folder) = (Instant::now() + TIME, module_cache.join(FOLDER));
    let Some(entries) = folder.read_dir().ok().filter(|_| git.fetches) else { return Vec::new() };
    // Beside each clone are its lock and its description.
    let clones = entries.filter_map(Result::ok).map(|entry| entry.path()).filter(|path| path.is_dir());
    let clones: Vec<PathBuf> = clones.take(MAX_REPOSITORIES + 1).collect();
    let mut findings = Vec::new();
    for clone in clones.iter().take(MAX_REPOSITORIES) {
        if let Some(why) = oddity(git, clone, until).await {
            let message = format!("{why}: `go` fetches private modules with this clone of the inherited module cache");
            let help = Some("Remove it, or fetch private modules through the gate (--gate-private).".to_owned());
            findings.push(Finding { help, ..Finding::new(Code::RepositoryProgram, message).at(clone) });
        }
    }
    if clones.len() > MAX_REPOSITORIES {
        let message = format!("there are more than {MAX_REPOSITORIES} clones in {}", folder.display());
        findings.push(Finding::new(Code::NotExamined, message));
    }
    findings
}

/// The first property of a clone that `go` did not write.
async fn oddity(git: &Git<'_>, clone: &Path, until: Instant) -> Option<String> {
    if clone.is_symlink() {
        return Some("it is a link".to_owned());
    }
    let hooks = clone.join(HOOKS).read_dir().into_iter().flatten().filter_map(Result::ok);
    let mut hooks = hooks.map(|entry| entry.file_name());
    if let Some(hook) = hooks.find(|name| !name.as_encoded_bytes().ends_with(b".sample")) {
        return Some(format!("it has the hook {}", safe(&hook.to_string_lossy())));
    }
    match git.settings(clone, until).await {
        Ok(settings) => {
            let odd = settings.iter().find(|setting| setting.is_of_repository() && !is_plain(setting))?;
            Some(format!("it sets {}", safe(&odd.name)))
        }
        Err(why) => Some(format!("its settings cannot be read: {why}")),
    }
}

fn is_plain(Setting { name, value, .. }: &Setting) -> bool {
    // `ext::` runs a program, and `-` begins a flag.
    let is_address = fits("remote.origin.url", name) && !value.starts_with('-') && !value.contains("::");
    is_address || PLAIN.iter().any(|plain| fits(plain, name))
}
