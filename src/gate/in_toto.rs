//! The released files as an in-toto statement (
//! <https://github.com/in-toto/attestation/blob/main/spec/v1/statement.md>).
//!
//! Each released file is a subject; its digest is the `dirHash` of the in-toto digest set, which is h1 in hexadecimal. The
//! predicate has the record number of each file and the signed tree heads, so that anyone can request the proofs from the log;
//! an exempt module has `"proved": false`. The statement is not signed: the job that runs the gate signs it.

use serde_json::{Value, json};

use super::Outcome;
use crate::release::ReleasedFile;
use gomodule::artifact::Kind;
use gomodule::module::ModuleVersion;

/// The type of the predicate below.
const PREDICATE: &str = "urn:sumgate:predicate:proved-modules:v1";

/// The statement of a run.
pub fn attestation(outcome: &Outcome) -> Value {
    let released = &outcome.events.released;
    let subjects = released.iter().map(|((module, kind), file)| {
        json!({"name": name(module, *kind), "digest": {"dirHash": hex::encode(file.basis.h1().as_bytes())}})
    });
    let heads = outcome
        .databases
        .iter()
        .map(|database| json!({"database": database.name, "verifierKey": database.key, "treeHead": database.head}));
    json!({
        "_type": "https://in-toto.io/Statement/v1",
        "subject": subjects.collect::<Vec<_>>(),
        "predicateType": PREDICATE,
        "predicate": {
            "command": outcome.command,
            "commandExitCode": outcome.ended.code(),
            "treeHeads": heads.collect::<Vec<_>>(),
            "modules": released.iter().map(|(key, file)| module(key, file)).collect::<Vec<_>>(),
            // By rules of the policy that only warn.
            "warned": outcome.events.warned.keys().map(|(module, kind)| name(module, *kind)).collect::<Vec<_>>(),
            "refused": outcome.events.refused.keys().map(|(module, kind)| name(module, *kind)).collect::<Vec<_>>(),
        },
    })
}

fn name(module: &ModuleVersion, kind: Kind) -> String {
    match kind {
        Kind::Mod => format!("{module}/go.mod"),
        Kind::Zip | Kind::Info => module.to_string(),
    }
}

fn module((module, kind): &(ModuleVersion, Kind), file: &ReleasedFile) -> Value {
    let proved = file.basis.record().is_some();
    let mut value = json!({"name": name(module, *kind), "h1": file.basis.h1().to_string(), "source": file.source.to_string(), "proved": proved});
    if let Some(record) = file.basis.record() {
        value["database"] = json!(record.database());
        value["record"] = json!(record.proven().id().get());
        value["treeSize"] = json!(record.tree_size().get());
    }
    value
}
