//! What the gated command sees.

use crate::goenv::GoEnv;
use crate::module::Patterns;
use crate::sumdb::Database;

/// Matches no module: `go` takes an empty variable for one that is not set, and would look in its own file.
const NOTHING: &str = "none";

/// Variables to set for the command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Environment {
    /// Name and value.
    pub set: Vec<(&'static str, String)>,
    /// Settings that were there before and still count, as far as they are not empty.
    pub kept: Vec<(String, String)>,
}

impl Environment {
    /// The environment for a command behind the mirror at `url`.
    ///
    /// GOPROXY names the mirror alone: no `,direct` and no `|` lead round it. GOPRIVATE and GONOPROXY stay, so private
    /// modules are still fetched as the user set it up; GONOSUMDB is what the mirror exempts, too.
    pub fn behind(url: &str, database: &Database, exempt: &Patterns, go: &GoEnv) -> Self {
        let mut set = vec![
            ("GOPROXY", url.to_owned()),
            ("GOSUMDB", format!("{} {url}", database.for_go())),
            ("GOINSECURE", NOTHING.to_owned()),
        ];
        if !exempt.is_empty() {
            set.push(("GONOSUMDB", exempt.to_string()));
        }
        let names = ["GOPRIVATE", "GONOPROXY", "GONOSUMDB"];
        let value = |name: &str| if name == "GONOSUMDB" { exempt.to_string() } else { go.get(name).to_owned() };
        let kept = names.map(|name| (name.to_owned(), value(name))).into_iter().filter(|(_, value)| !value.is_empty());
        Self { set, kept: kept.collect() }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use super::*;

    #[test]
    fn nothing_leads_round_the_mirror_and_private_settings_stay() {
        let go = GoEnv::of(&[
            ("GOPROXY", "https://a.example|direct"),
            ("GOINSECURE", "*"),
            ("GOPRIVATE", "corp.example"),
            ("GONOSUMDB", "corp.example"),
        ]);
        let database = Database::parse("sum.golang.org").unwrap();
        let exempt = Patterns::parse("corp.example,other.example").unwrap();
        let environment = Environment::behind("http://127.0.0.1:1", &database, &exempt, &go);
        let expected = [
            ("GOPROXY", "http://127.0.0.1:1"),
            ("GOSUMDB", "sum.golang.org http://127.0.0.1:1"),
            ("GOINSECURE", "none"),
            ("GONOSUMDB", "corp.example,other.example"),
        ];
        assert_eq!(environment.set, expected.map(|(name, value)| (name, value.to_owned())));
        let kept: Vec<&str> = environment.kept.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(kept, ["GOPRIVATE", "GONOPROXY", "GONOSUMDB"]);
    }
}
