//! A module whose zip has a given length.

use std::io::{Cursor, Write};

use gomodule::module::ModuleVersion;
use testkit::World;
use zip::CompressionMethod;
use zip::write::SimpleFileOptions;

pub(crate) const MB: usize = 1_000_000;

/// Adds a module of one file that does not compress, of so many bytes.
pub(crate) fn add_zip(world: &mut World, module: &str, length: usize) {
    let module = ModuleVersion::parse(module).unwrap();
    let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
    let stored = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
    let go_mod = format!("module {}\n", module.path);
    zip.start_file(format!("{module}/go.mod"), stored).unwrap();
    zip.write_all(go_mod.as_bytes()).unwrap();
    zip.start_file(format!("{module}/data"), stored).unwrap();
    let mut random = fastrand::Rng::with_seed(1);
    let mut piece = vec![0; length.min(MB)];
    for _ in 0..length / piece.len() {
        random.fill(&mut piece);
        zip.write_all(&piece).unwrap();
    }
    world.add(&module, &go_mod, zip.finish().unwrap().into_inner());
}
