//! Which trees are under audit, and messages about times of heads that do not count for `min-age`.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::exit::Failure;
use super::out;
use crate::base::text::safe;
use crate::base::tree::{Tree, folder_of};
use crate::policy::Policy;
use crate::sumdb::{Client, Databases};

/// The tree around the working folder, if others can write to it.
pub(super) fn trees_here() -> Result<Vec<Tree>, Failure> {
    let here = tree_around(Path::new("."))?;
    Ok(Some(here).filter(|tree| !tree.is_of_the_user()).into_iter().collect())
}

/// The trees around the audited files and folders, and the repository of the working folder, whose author could have written a data
/// folder, too.
pub(super) fn trees_of(paths: &[PathBuf]) -> Result<Vec<Tree>, Failure> {
    let mut trees = paths.iter().map(|path| tree_around(path)).collect::<Result<Vec<_>, _>>()?;
    trees.retain(|tree| !tree.is_of_the_user());
    trees.extend(trees_here()?.into_iter().filter(Tree::is_repository));
    Ok(trees)
}

fn tree_around(path: &Path) -> Result<Tree, Failure> {
    let folder = if path.is_dir() { path } else { folder_of(path) };
    Tree::around(folder).map_err(|error| Failure::host(&format!("find the folder {}", folder.display()), &error))
}

/// Prints which times of heads do not count; that none of a folder counts, only if a policy has a `min-age`.
pub(super) fn tell(databases: &Databases, policies: &[Policy]) {
    let mut messages: BTreeSet<String> = databases.iter().flat_map(|client| client.dropped().iter().cloned()).collect();
    if policies.iter().any(|policy| policy.min_age().is_some()) {
        let uncounted = databases.iter().filter_map(Client::uncounted);
        messages
            .extend(uncounted.map(|why| format!("the times of recorded tree heads do not count for min-age: {why}")));
    }
    for message in messages {
        out::message(&safe(&message));
    }
}
