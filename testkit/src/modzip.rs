//! Makes module zips in memory.

use std::io::{Cursor, Write};

use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

use gomodule::module::ModuleVersion;

/// Makes a module zip. `level` is the deflate level, in which two valid zips of one version may differ.
pub fn module_zip(module: &ModuleVersion, files: &[(&str, &str)], level: i64) -> zip::result::ZipResult<Vec<u8>> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    let options = SimpleFileOptions::default().compression_method(CompressionMethod::Deflated);
    for (name, content) in files {
        zip.start_file(format!("{module}/{name}"), options.compression_level(Some(level)))?;
        zip.write_all(content.as_bytes())?;
    }
    Ok(zip.finish()?.into_inner())
}
