//! Module paths that no public database can have.
//!
//! A module path begins with a host name. Hosts below these names are not in the public DNS, so no public proxy can have
//! fetched from them: a lookup would disclose the name and find nothing.

use gomodule::module::ModulePath;

/// Reserved for private networks, or common there: RFC 6761, 6762 and 8375, RFC 2606 but for `example`, ICANN's `internal`,
/// and RFC 6762 appendix G.
const PRIVATE: [&str; 13] = [
    "internal",
    "local",
    "localdomain",
    "localhost",
    "home.arpa",
    "home",
    "lan",
    "corp",
    "intranet",
    "private",
    "test",
    "invalid",
    "onion",
];

/// Whether the host of a module path is one that only a private network can have.
pub(crate) fn looks_private(path: &ModulePath) -> bool {
    let below = |name: &str| path.host().strip_suffix(name).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'));
    PRIVATE.iter().any(|name| below(name))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use super::*;

    #[test]
    fn the_end_of_the_host_decides() {
        let private = |path: &str| looks_private(&ModulePath::parse(path).unwrap());
        for path in ["git.corp/a", "code.internal/a/b", "x.y.local/a", "nas.home.arpa/a", "git.lan/internal"] {
            assert!(private(path), "{path}");
        }
        for path in ["example.com/internal", "corp.example.com/a", "github.com/corp/local", "notlocal.io/a"] {
            assert!(!private(path), "{path}");
        }
    }
}
