//! The command that points `go` at a mirror.

use crate::sumdb::Database;
use gomodule::module::Patterns;

/// The command that points `go` at the mirror at `url`.
pub(crate) fn go_env_line(url: &str, database: &Database, exempt: &Patterns) -> String {
    let mut line = format!("go env -w GOPROXY={url} GOSUMDB=\"{} {url}\"", database.for_go());
    if !exempt.is_empty() {
        line.push_str(&format!(" GONOSUMDB=\"{exempt}\""));
    }
    line
}

/// The command that undoes it.
pub(crate) fn go_env_undo(exempt: &Patterns) -> String {
    let also = if exempt.is_empty() { "" } else { " GONOSUMDB" };
    format!("go env -u GOPROXY GOSUMDB{also}")
}
