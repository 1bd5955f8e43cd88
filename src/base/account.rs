//! The home folder of the current user according to the system, not to `HOME`.

use std::fs::File;
use std::path::PathBuf;

use rustix::process::getuid;

use super::bounded::first;

/// The file of local accounts. Accounts of a directory service, and users on macOS, are not in it.
const ACCOUNTS: &str = "/etc/passwd";
/// A system with ten thousand accounts has about a megabyte.
const MAX_BYTES: u64 = 4 << 20;

/// The home folder of the current user in the file of accounts. On systems other than Linux, the fallback is the home folder
/// in the environment.
fn account_home() -> Option<PathBuf> {
    // An unreadable file is treated as empty.
    let text = File::open(ACCOUNTS).and_then(|file| first(file, MAX_BYTES)).unwrap_or_default();
    let found = home_of(&String::from_utf8_lossy(&text), getuid().as_raw());
    found.or_else(|| std::env::home_dir().filter(|_| cfg!(not(target_os = "linux"))))
}

/// [`account_home`] with links resolved, if it exists.
pub(crate) fn real_home() -> Option<PathBuf> {
    account_home()?.canonicalize().ok()
}

/// The sixth field of the first line with this user id (passwd(5)).
fn home_of(accounts: &str, id: u32) -> Option<PathBuf> {
    let fields = accounts.lines().map(|line| line.split(':').collect::<Vec<_>>());
    let mut own = fields.filter(|fields| fields.get(2).and_then(|field| field.parse().ok()) == Some(id));
    // The root folder, which some service accounts have, is not a home folder.
    own.next()?.get(5).map(PathBuf::from).filter(|home| home.is_absolute() && home.parent().is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_home_folder_is_found_by_user_id() {
        let accounts = "root:x:0:0:root:/root:/bin/sh\nodd\nnobody:x:99:99::/:/x\na:x:1000:1000:A:/home/a:/bin/sh\n";
        let of = |id| home_of(accounts, id);
        assert_eq!((of(0), of(1000)), (Some("/root".into()), Some("/home/a".into())));
        assert_eq!((of(99), of(7)), (None, None));
    }
}
