//! Modules, and a log with their records.
#![expect(clippy::missing_panics_doc, reason = "the data is fixed; see SOUND")]

use std::collections::BTreeMap;
use std::io::Write;

use tlog::{MemoryTree, SUMDB_ORIGIN, Signer, Tile, TreeSize, VerifierKey};

use super::modzip::module_zip;
use gomodule::dirhash::{ZipLimits, hash_go_mod, hash_module_zip};
use gomodule::module::ModuleVersion;

/// The files of a module version.
#[derive(Clone, Debug)]
pub struct DemoModule {
    /// The `.info` file.
    pub info: String,
    /// The `.mod` file.
    pub go_mod: String,
    /// The `.zip` file.
    pub zip: Vec<u8>,
}

/// Modules, and the log of a checksum database.
pub struct World {
    name: String,
    seed: [u8; 32],
    signer: Signer,
    tree: MemoryTree,
    records: Vec<String>,
    modules: BTreeMap<ModuleVersion, (DemoModule, u64)>,
}

/// The data is fixed, so an error is a bug in this package or in a test.
const SOUND: &str = "the data of the test world is valid";

impl World {
    /// Makes an empty world, with a database `name` whose key derives from `seed`.
    pub fn new(name: &str, seed: [u8; 32]) -> Self {
        let signer = Signer::from_seed(name, seed).expect(SOUND);
        let (tree, records, modules) = (MemoryTree::new(), Vec::new(), BTreeMap::new());
        Self { name: name.to_owned(), seed, signer, tree, records, modules }
    }

    /// Makes a world with the demo modules: upper case, `+incompatible`, `/v2`, a pseudo-version, dependencies, a toolchain.
    pub fn demo() -> Self {
        let mut world = Self::new("localhost.localdev/sumdb", [7; 32]);
        world.pad(300);
        let hello = "package hello\n\n// Text greets.\nfunc Text() string { return \"hello\" }\n";
        world.add_simple("example.com/hello@v1.0.0", "", hello);
        world.add_simple("example.com/dep/v2@v2.0.1", "", "package dep\n\nfunc N() int { return 2 }\n");
        world.add_simple(
            "example.com/Upper/CaseMod@v1.2.3",
            "",
            "package casemod\n\nfunc C() string { return \"C\" }\n",
        );
        world.add_simple(
            "example.com/legacy@v2.0.0+incompatible",
            "",
            "package legacy\n\nfunc L() string { return \"L\" }\n",
        );
        world.add_simple("example.com/pseudo@v0.0.0-20260102030405-0123456789ab", "", "package pseudo\n");
        world.add_simple(
            "example.com/hello@v1.1.0",
            "require (\n\texample.com/Upper/CaseMod v1.2.3\n\texample.com/dep/v2 v2.0.1\n)\n",
            "package hello\n\nimport (\n\t\"example.com/Upper/CaseMod\"\n\t\"example.com/dep/v2\"\n)\n\n\
             // Text greets.\nfunc Text() string { return casemod.C() + string(rune('0'+dep.N())) }\n",
        );
        world.add_toolchain("v0.0.1-go1.99.1.linux-amd64", "go1.99.1");
        world.pad(300);
        world
    }

    /// Adds a module with one Go file. `requires` is added to its go.mod, unless it is `+incompatible`.
    pub fn add_simple(&mut self, module: &str, requires: &str, code: &str) -> ModuleVersion {
        let module = ModuleVersion::parse(module).expect(SOUND);
        let go_mod = if module.version.is_incompatible() {
            format!("module {}\n", module.path)
        } else {
            format!("module {}\n\ngo 1.21\n\n{requires}", module.path)
        };
        let mut files = vec![("a.go", code)];
        if !module.version.is_incompatible() {
            files.push(("go.mod", go_mod.as_str()));
        }
        let zip = module_zip(&module, &files, 6).expect(SOUND);
        self.add(&module, &go_mod, zip);
        module
    }

    /// Adds a module with these files, one of which may be go.mod.
    pub fn add_files(&mut self, module: &str, files: &[(&str, &str)]) -> ModuleVersion {
        let module = ModuleVersion::parse(module).expect(SOUND);
        let go_mod = files.iter().find(|(name, _)| *name == "go.mod").map_or("", |(_, text)| *text);
        let zip = module_zip(&module, files, 6).expect(SOUND);
        self.add(&module, go_mod, zip);
        module
    }

    /// Adds a minimal toolchain: a script that prints its version.
    pub fn add_toolchain(&mut self, version: &str, name: &str) -> ModuleVersion {
        let module = ModuleVersion::parse(&format!("golang.org/toolchain@{version}")).expect(SOUND);
        let script = format!("#!/bin/sh\necho go version {name} demo\n");
        let files = [
            ("VERSION", name),
            ("bin/go", script.as_str()),
            ("bin/gofmt", script.as_str()),
            ("lib/README", "no library\n"),
            ("pkg/tool/README", "no tools\n"),
        ];
        let zip = module_zip(&module, &files, 6).expect(SOUND);
        self.add(&module, "module golang.org/toolchain\n", zip);
        module
    }

    /// Adds a module version with the record of these files.
    pub fn add(&mut self, module: &ModuleVersion, go_mod: &str, zip: Vec<u8>) {
        let mut file = tempfile::tempfile().expect(SOUND);
        file.write_all(&zip).expect(SOUND);
        let h1 = hash_module_zip(&file, module, &ZipLimits::default()).expect(SOUND).h1;
        let (path, version) = (&module.path, &module.version);
        let text = format!("{path} {version} {h1}\n{path} {version}/go.mod {}\n", hash_go_mod(go_mod.as_bytes()));
        self.add_with_record(module, go_mod, zip, text);
    }

    /// Adds a module version without a zip.
    pub fn add_go_mod(&mut self, module: &ModuleVersion, go_mod: &str) {
        let (path, version) = (&module.path, &module.version);
        let text = format!("{path} {version}/go.mod {}\n", hash_go_mod(go_mod.as_bytes()));
        self.add_with_record(module, go_mod, Vec::new(), text);
    }

    /// Adds a module version with this text as its record.
    pub fn add_with_record(&mut self, module: &ModuleVersion, go_mod: &str, zip: Vec<u8>, text: String) {
        let id = self.append(text);
        let version = &module.version;
        let info =
            format!("{{\"Version\":\"{version}\",\"Time\":\"2026-01-02T03:04:05Z\",\"Origin\":{{\"VCS\":\"git\"}}}}");
        self.modules.insert(module.clone(), (DemoModule { info, go_mod: go_mod.to_owned(), zip }, id));
    }

    /// Appends a record.
    pub fn append(&mut self, text: String) -> u64 {
        let id = self.tree.append(text.as_bytes());
        self.records.push(text);
        id.get()
    }

    /// Appends `n` records of modules that do not exist, so that the tree has several tiles.
    pub fn pad(&mut self, n: usize) {
        for _ in 0..n {
            let nth = self.records.len();
            self.append(format!("example.com/filler v0.0.{nth} h1:{}\n", tlog::leaf_hash(&nth.to_be_bytes())));
        }
    }

    /// A fork of the log, signed with the same key: the first `keep` records, then `more` others. Its modules are those of
    /// the common records.
    #[must_use]
    pub fn fork(&self, keep: usize, more: usize) -> Self {
        let mut fork = Self::new(&self.name, self.seed);
        self.records.iter().take(keep).for_each(|text| {
            fork.append(text.clone());
        });
        for nth in 0..more {
            fork.append(format!("example.com/other v0.0.{nth} h1:{}\n", tlog::leaf_hash(&nth.to_le_bytes())));
        }
        fork.modules =
            self.modules.iter().filter(|(_, (_, id))| *id < keep as u64).map(|(m, d)| (m.clone(), d.clone())).collect();
        fork
    }

    /// The name of the database.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The key of the database.
    pub fn key(&self) -> &VerifierKey {
        self.signer.verifier_key()
    }

    /// The number of records.
    pub fn size(&self) -> u64 {
        self.tree.size().get()
    }

    /// The signed tree head of the first `size` records; `None` if there are fewer.
    pub fn head_at(&self, size: u64) -> Option<String> {
        let head = self.tree.head_at(TreeSize::new(size).ok()?)?;
        self.signer.sign_head(SUMDB_ORIGIN, &head).ok()
    }

    /// Signs any text with the key of the database, for replies of a misbehaving database.
    pub fn sign(&self, text: &str) -> String {
        self.signer.sign(text).expect(SOUND)
    }

    /// The lookup reply for a module version, with the tree head of the first `size` records.
    pub fn lookup(&self, module: &ModuleVersion, size: u64) -> Option<String> {
        let (_, id) = self.modules.get(module)?;
        let text = self.records.get(usize::try_from(*id).ok()?)?;
        Some(format!("{id}\n{text}\n{}", self.head_at(size)?))
    }

    /// The bytes of a tile.
    pub fn tile(&self, tile: &Tile) -> Option<Vec<u8>> {
        self.tree.tile(tile)
    }

    /// The files of a module version.
    pub fn module(&self, module: &ModuleVersion) -> Option<&DemoModule> {
        self.modules.get(module).map(|(files, _)| files)
    }

    /// All module versions.
    pub fn modules(&self) -> impl Iterator<Item = &ModuleVersion> {
        self.modules.keys()
    }
}
