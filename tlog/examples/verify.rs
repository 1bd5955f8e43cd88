//! Verifies a record of a log from files, and prints it. FOLDER has the files of a checksum database (`lookup/…`, `tile/…`);
//! the module path is escaped (`!a` for `A`).
//!
//! ```text
//! cargo run -p sumgate-tlog --example verify -- KEY FOLDER golang.org/x/text@v0.3.0
//! ```
#![expect(clippy::disallowed_methods, reason = "an example reads files")]

use std::error::Error;
use std::fs;
use std::path::Path;

use tlog::{LookupReply, Node, SUMDB_ORIGIN, SignedCheckpoint, TileHeight, TilePlan, VerifierKey};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [key, folder, name] = arguments.as_slice() else { return Err("expected KEY FOLDER MODULE@VERSION".into()) };
    let (key, folder) = (VerifierKey::parse(key)?, Path::new(folder));

    let reply = LookupReply::parse(&fs::read(folder.join("lookup").join(name))?)?;
    let head = SignedCheckpoint::open(reply.note(), SUMDB_ORIGIN, &key)?;
    let leaf = Node { level: 0, index: reply.id().get() };
    let plan = TilePlan::new(*head.head(), TileHeight::SUMDB, &[leaf])?;
    // A program that runs more than once also compares `head` with its trusted head: see the README.
    let bytes: Result<Vec<Vec<u8>>, _> =
        plan.tiles().iter().map(|tile| fs::read(folder.join(tile.to_string()))).collect();
    let record = reply.prove(&plan.authenticate(&bytes?)?, &head)?;
    print!("{}", record.text());
    Ok(())
}
