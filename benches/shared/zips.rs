//! Module zips to hash, of the source code that comes with `go`: about 12,000 files, 130 MB, 38 MB packed.

use std::fs;
use std::io::{Cursor, Write};
use std::path::Path;
use std::process::Command;

use gomodule::module::ModuleVersion;
use zip::write::SimpleFileOptions;

/// The files of GOROOT/src, in the order of their paths; `None`, with a message, without `go`.
pub(crate) fn sources() -> Option<Vec<Vec<u8>>> {
    let Some(output) = Command::new("go").args(["env", "GOROOT"]).output().ok().filter(|go| go.status.success()) else {
        println!("there is no go command on the PATH, whose source code is what is hashed");
        return None;
    };
    let goroot = String::from_utf8(output.stdout).unwrap();
    let mut files = Vec::new();
    collect(&Path::new(goroot.trim()).join("src"), &mut files);
    Some(files)
}

fn collect(folder: &Path, files: &mut Vec<Vec<u8>>) {
    let mut paths: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    for path in paths {
        if path.is_dir() {
            collect(&path, files);
        } else {
            files.push(fs::read(path).unwrap());
        }
    }
}

/// A zip of these files under other names, compressed as by `go`.
pub(crate) fn module_zip<'f>(module: &ModuleVersion, files: impl Iterator<Item = &'f Vec<u8>>) -> Vec<u8> {
    let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for (nth, file) in files.enumerate() {
        zip.start_file(format!("{module}/p{}/f{nth}.go", nth / 100), SimpleFileOptions::default()).unwrap();
        zip.write_all(file).unwrap();
    }
    zip.finish().unwrap().into_inner()
}
