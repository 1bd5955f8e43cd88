//! Finds patterns that match more than the modules of one organisation.

use gomodule::module::{ModulePath, Patterns};

/// Public modules of different owners. Patterns for one organisation match at most one; patterns that match two are too wide.
const PUBLIC: [&str; 10] = [
    "github.com/google/uuid",
    "github.com/stretchr/testify",
    "github.com/spf13/cobra",
    "gitlab.com/gitlab-org/labkit",
    "golang.org/x/net",
    "golang.org/x/text",
    "gopkg.in/check.v1",
    "gopkg.in/yaml.v3",
    "go.uber.org/zap",
    "k8s.io/api",
];
/// Public hosts of repositories: a pattern that matches two invented owners matches all owners.
pub(super) const HOSTS: [&str; 6] =
    ["bitbucket.org", "codeberg.org", "git.sr.ht", "gitee.com", "github.com", "gitlab.com"];
const OWNERS: [&str; 2] = ["owner-one/name-one", "other-two/name-two"];

/// Two public modules of different owners that match the comma-separated `patterns`, as `go` reads them.
pub(crate) fn two_public(patterns: &str) -> Option<[String; 2]> {
    let patterns = Patterns::of_go(patterns);
    let covered = |name: &String| ModulePath::parse(name).is_ok_and(|path| patterns.matches(&path));
    let mut known = PUBLIC.iter().map(|name| (*name).to_owned()).filter(covered);
    if let (Some(first), Some(second)) = (known.next(), known.next()) {
        return Some([first, second]);
    }
    let both = HOSTS.iter().map(|host| OWNERS.map(|owner| format!("{host}/{owner}")));
    both.into_iter().find(|both| both.iter().all(covered))
}

#[cfg(test)]
mod tests {
    use super::two_public;

    #[test]
    fn whole_hosts_are_wide_and_organisations_are_not() {
        for wide in ["*", "github.com", "github.com/*", "*.org", "gitlab.com", "golang.org/*/*", "[,git.sr.ht/*/*"] {
            assert!(two_public(wide).is_some(), "{wide}");
        }
        for own in
            ["", "none", "corp.example", "github.com/us/*", "github.com/us,gitlab.com/us,*.corp.example", "k8s.io"]
        {
            assert_eq!(two_public(own), None, "{own}");
        }
    }
}
