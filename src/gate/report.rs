//! What went through the gate, as JSON. The schema is `sumgate/run/1`; fields are only ever added to it.

use serde_json::{Value, json};

use super::Outcome;
use crate::artifact::Kind;
use crate::mirror::{ReleasedFile, Voucher};
use crate::module::ModuleVersion;

/// The name of the form below.
const SCHEMA: &str = "sumgate/run/1";

/// The report of a run.
pub fn report(outcome: &Outcome) -> Value {
    let released = outcome.trails.released.iter().map(|(key, file)| released(key, file));
    let refused = outcome.trails.refused.iter().map(|((module, kind), reason)| {
        json!({"module": module.path.as_ref(), "version": module.version.as_ref(), "file": kind.extension(), "reason": reason})
    });
    let databases = outcome.databases.iter().map(|database| {
        json!({"name": database.name, "key": database.key, "head": database.head, "fork_evidence": database.fork.as_ref().map(|path| path.display().to_string())})
    });
    let unused = outcome.unused.iter().map(|exception| {
        json!({"line": exception.line(), "modules": exception.modules(), "expires": exception.expires().to_string()})
    });
    json!({
        "schema": SCHEMA,
        "command": outcome.command,
        "command_exit_code": outcome.ended.code(),
        "seconds": outcome.took.as_secs_f64(),
        "upstream": outcome.upstream,
        "policy": outcome.policy.as_ref().map(|path| path.display().to_string()),
        "databases": databases.collect::<Vec<_>>(),
        "kept_settings": outcome.kept.iter().map(|(name, value)| (name.clone(), json!(value))).collect::<serde_json::Map<_, _>>(),
        "released": released.collect::<Vec<_>>(),
        "refused": refused.collect::<Vec<_>>(),
        "unused_exceptions": unused.collect::<Vec<_>>(),
        "not_listed": outcome.trails.dropped,
    })
}

fn released((module, kind): &(ModuleVersion, Kind), file: &ReleasedFile) -> Value {
    let mut value = json!({
        "module": module.path.as_ref(),
        "version": module.version.as_ref(),
        "file": kind.extension(),
        "h1": file.h1.to_string(),
        "bytes": file.bytes,
        "source": file.source,
        "proved": matches!(file.by, Voucher::Record { .. }),
    });
    if let Voucher::Record { id, database, proved_in } = &file.by {
        value["record"] = json!(id);
        value["database"] = json!(database);
        value["tree_size"] = json!(proved_in);
    }
    value
}
