//! compiles: a record that was proved under a signed head has lines, and a head that was signed is trusted.

use gomodule::module::ModuleVersion;
use sumgate::sumdb::{ModuleRecord, ModuleRecordError};
use tlog::{AuthenticTiles, LookupReply, RecordError, SignedCheckpoint, Timeline};

pub fn prove(reply: LookupReply, tiles: &AuthenticTiles, head: &SignedCheckpoint) -> Result<tlog::ProvenRecord, RecordError> {
    reply.prove(tiles, head)
}

pub fn read(record: tlog::ProvenRecord, module: &ModuleVersion) -> Result<ModuleRecord, ModuleRecordError> {
    ModuleRecord::of(record, module)
}

pub fn trust(head: SignedCheckpoint) -> Timeline {
    Timeline::resume(head)
}
