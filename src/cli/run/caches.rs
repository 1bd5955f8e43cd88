//! The caches of a run: new, sealed or inherited.

use std::collections::{BTreeMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::time::{Duration, SystemTime};

use tlog::{Signer, VerifierKey};
use tokio::task::spawn_blocking;

use super::{Cache, RunArgs};
use crate::audit::{Audit, Entry, read_module_cache};
use crate::base::bounded::text_bounded;
use crate::base::fault::Fault;
use crate::base::progress::Progress;
use crate::cli::exit::Failure;
use crate::cli::policies::Policies;
use crate::cli::{out, progress};
use crate::finding::{Code, Finding, Severity};
use crate::gate::seal::Sealed;
use crate::gate::{self, CacheOrigin, CacheUse, Caches, Known, KnownFile, Outcome, RunFolder, cut, seal};
use crate::go::environment::GoEnv;
use crate::policy::{Accepting, Age, Facts};
use crate::store::Store;
use crate::sumdb::Databases;
use gomodule::artifact::{Artifact, Kind};
use gomodule::dirhash::H1;
use gomodule::gosum::AnyHash;
use gomodule::module::{ModuleVersion, Patterns};

/// The variable with the secret key itself.
const KEY_VARIABLE: &str = "SUMGATE_CACHE_KEY";
/// Lookups at the same time, as for an audit.
const AT_ONCE: usize = 512;
/// A key has about 100 bytes.
const MAX_KEY_FILE: u64 = 4 << 10;
/// A program that gets the key from a secret store, and writes it to a pipe, takes a second or two.
const KEY_WITHIN: Duration = Duration::from_secs(10);

/// The caches of a run, and what is known about them before the command.
pub(super) struct RunCaches {
    folder: RunFolder,
    signer: Option<Signer>,
    bin: Option<PathBuf>,
    pub(super) caches: Caches,
    pub(super) usage: CacheUse,
    /// What the seal covers, and what was deleted.
    pub(super) sealed: Sealed,
    /// Files of modules that a seal covers, or that were proved in the inherited cache.
    known: Known,
    /// Modules of an inherited cache that were not looked up.
    exempt: Patterns,
    /// Zips that a seal covers, or that were proved in the inherited cache.
    pub(super) accepted: BTreeMap<ModuleVersion, H1>,
    pub(super) findings: Vec<Finding>,
}

impl RunCaches {
    /// Takes a folder for the run, and deletes what is not sealed in it.
    pub(super) fn open(args: &RunArgs, go: &GoEnv, store: &Store) -> Result<Self, Failure> {
        let signer = signer(args)?;
        let public = args.cache_public_key.as_deref().map(VerifierKey::parse).transpose();
        let public = public.map_err(|error| Failure::new(Fault::Request, format!("--cache-public-key: {error}")))?;
        let mut folder = RunFolder::take(store.root())?;
        let key = signer.as_ref().map(|signer| signer.verifier_key().clone()).or(public);
        if key.is_some() {
            folder.keep_caches();
        }
        folder.clear()?;
        let sealed = key.as_ref().map(|key| seal::open(folder.root(), key)).transpose()?.unwrap_or_default();
        let bin = go.gopath().map(|path| path.join("bin"));
        let modules = match args.module_cache {
            Cache::Own => folder.modules(),
            Cache::Inherit => {
                let missing = || Failure::new(Fault::Request, "no module cache to inherit: set GOMODCACHE");
                let path = go.module_cache().ok_or_else(missing)?;
                // Links are resolved now, so that links that the command creates are not followed.
                path.canonicalize().unwrap_or(path)
            }
        };
        let build = (args.build_cache == Cache::Own).then(|| folder.build());
        let whose = |cache| match cache {
            Cache::Inherit => CacheOrigin::Inherited,
            Cache::Own if sealed.files > 0 => CacheOrigin::Sealed,
            Cache::Own => CacheOrigin::Own,
        };
        let usage = CacheUse {
            modules: whose(args.module_cache),
            build: whose(args.build_cache),
            sealed_files: sealed.files,
            thrown_away: sealed.thrown_away.len(),
            key: key.filter(|_| sealed.files > 0).map(|key| key.to_string()),
        };
        let known = match args.module_cache {
            Cache::Own => sealed.known.clone(),
            Cache::Inherit => Known::new(),
        };
        let zips = known.iter().filter(|((_, kind), _)| *kind == Kind::Zip);
        let accepted = zips.map(|((module, _), file)| (module.clone(), file.h1)).collect();
        let mut findings = Vec::new();
        if args.build_cache == Cache::Inherit {
            let message = "the command uses an inherited build cache, which cannot be proved";
            findings.push(Finding::new(Code::InheritedBuildCache, message));
        }
        let caches = Caches { modules, build, gopath: folder.gopath() };
        let exempt = Patterns::default();
        Ok(Self { folder, signer, bin, caches, usage, sealed, known, exempt, accepted, findings })
    }

    /// Judges the sealed modules, because a policy may have changed. Returns whether the command may use them.
    ///
    /// Decides by name, size, and whether there is a record. Records are not looked up again, so a `min-age` that was raised does not
    /// affect proved modules.
    pub(super) fn judge_sealed(&mut self, policies: &Policies, accepting: &mut Accepting, deny: Severity) -> bool {
        if self.usage.modules == CacheOrigin::Inherited {
            return true;
        }
        let cache = &self.caches.modules;
        let zips = self.known.iter().filter(|((_, kind), _)| *kind == Kind::Zip);
        let facts = zips.map(|((module, kind), file)| {
            let artifact = Artifact { module: module.clone(), kind: *kind };
            let zip = cache.join("cache/download").join(artifact.path());
            // As for the mirror: without a record, the age is unknown.
            let age = (!file.proved).then_some(Age::Unknown);
            let zip_size = zip.symlink_metadata().ok().map(|found| found.len());
            Facts {
                in_database: Some(file.proved),
                is_private: !file.proved,
                age,
                zip_size,
                ..Facts::of(module.clone())
            }
        });
        let help = format!(
            "Use another version, or ask the owner of the policy for an exception. If the build no longer needs it, delete \
             the kept caches: {}.",
            self.folder.root().display()
        );
        let findings = policies.decided(&facts.collect::<Vec<_>>()).into_iter();
        let advised = |found: Finding| {
            if found.code == Code::PolicyDenied { Finding { help: Some(help.clone()), ..found } } else { found }
        };
        let findings = accepting.sort(findings.map(advised).collect());
        let is_right = findings.iter().all(|finding| finding.severity() < deny);
        self.findings.extend(cut(findings));
        is_right
    }

    /// Hashes, proves and judges an inherited module cache. Returns whether the command may use it: not if findings are denied, or if
    /// the database signed two histories.
    pub(super) async fn prove_inherited(
        &mut self,
        go: &GoEnv,
        clients: &Databases,
        exempt: &Patterns,
        policies: &Policies,
        accepting: &mut Accepting,
        deny: Severity,
    ) -> Result<bool, Failure> {
        if self.usage.modules != CacheOrigin::Inherited {
            return Ok(true);
        }
        let entries = hashed(&self.caches.modules, go).await?;
        self.exempt = exempt.clone();
        let (databases, exempt) = (clients.clone(), exempt.clone());
        let (policy, base_policy) = (policies.now.clone(), policies.base.clone().map(|(_, policy)| policy));
        let audit = Audit { databases, exempt, at_once: AT_ONCE, policy, base_policy, now: SystemTime::now() };
        let progress = Progress::default();
        progress.expect(audit.wanted(&entries).len());
        let line = progress::show_counted("looking up the modules of the cache", &progress);
        let mut report = audit.run(&entries, progress.counter()).await;
        audit.databases.written().await;
        drop(line);
        // An exception may be for modules of the mirror.
        report.findings.retain(|finding| finding.code != Code::UnusedException);
        if report.misbehaviour.is_some() {
            self.findings.extend(report.findings);
            return Ok(false);
        }
        if let Some(unchecked) = report.unchecked.first() {
            let message = format!(
                "the module cache cannot be proved: {} of its files were not checked, such as {}: {}",
                report.unchecked.len(),
                unchecked.module,
                unchecked.reason
            );
            return Err(Failure::new(Fault::Upstream, message));
        }
        let named = |finding: &Finding| finding.module.clone();
        let skipped = report.skipped.iter().map(|line| line.module.clone());
        // A name that looks private was not looked up, and is reported.
        let held_back = |finding: &&Finding| finding.code == Code::PrivateName;
        let unasked: HashSet<String> = report.findings.iter().filter(held_back).filter_map(named).collect();
        // A rule that only warns lets the module pass.
        let holds_up = |finding: &&Finding| finding.code != Code::PolicyWarning;
        let open = report.findings.iter().filter(holds_up).filter_map(named).chain(skipped);
        let open: HashSet<String> = open.collect();
        for entry in &entries {
            if let Entry::Hash(at) = entry
                && let AnyHash::H1(h1) = at.hash
                && (!open.contains(&at.module.to_string()) || unasked.contains(&at.module.to_string()))
            {
                let proved = !unasked.contains(&at.module.to_string());
                self.known.insert((at.module.clone(), at.kind), KnownFile { h1, proved });
                if at.kind == Kind::Zip {
                    self.accepted.insert(at.module.clone(), h1);
                }
            }
        }
        let findings = accepting.sort(report.findings);
        let is_right = findings.iter().all(|finding| finding.severity() < deny);
        self.findings.extend(findings);
        Ok(is_right)
    }

    /// Modules that the command may fetch itself, by its variable GONOPROXY, or that may be in an inherited cache unproved.
    pub(super) fn unproved(&self, variables: &[(String, String)]) -> Patterns {
        let direct = variables.iter().find(|(name, _)| name == "GONOPROXY").map_or("", |(_, value)| value);
        Patterns::of_go(direct).with(self.exempt.clone())
    }

    /// Findings about downloads in caches that later commands use, and about modules that were released unproved. Blocks.
    pub(super) fn findings_after(&self, outcome: &Outcome) -> Vec<Finding> {
        let known = gate::known(&self.known, &outcome.events);
        let private = self.unproved(&outcome.kept);
        let is_inherited = self.usage.modules == CacheOrigin::Inherited;
        // Unproved modules in an inherited cache were reported before the command.
        let reported = if is_inherited { Known::new() } else { known.clone() };
        let mut findings: Vec<Finding> = gate::unproved(outcome, &reported).into_iter().collect();
        if is_inherited || self.signer.is_some() {
            let cache = &self.caches.modules;
            let found = gate::check_downloads(cache, &known, &private, |path| self.sealed.is_new(path));
            findings.extend(found.unwrap_or_else(|error| {
                let message = format!("cannot read the downloads in {}: {error}", cache.display());
                vec![Finding::new(Code::NotExamined, message)]
            }));
        }
        findings
    }

    /// Moves installed programs to the user's GOPATH, unless the run is wrong.
    pub(super) fn install(&self, outcome: &Outcome, is_wrong: bool) -> Result<Vec<PathBuf>, Failure> {
        if outcome.installed.is_empty() {
            return Ok(Vec::new());
        }
        if is_wrong {
            out::message("nothing was installed, because of the findings");
            return Ok(Vec::new());
        }
        let Some(to) = &self.bin else {
            return Err(Failure::new(Fault::Host, "cannot install: this user has no GOPATH; set GOBIN"));
        };
        let from = self.caches.gopath.join("bin");
        gate::install(&outcome.installed, &from, to)
            .map_err(|error| Failure::host(&format!("install to {}", to.display()), &error))
    }

    /// Seals both caches, if there is a key and no reason against it.
    pub(super) fn seal(&mut self, outcome: &Outcome, deny: Severity) -> Result<(), Failure> {
        let Some(signer) = self.signer.take() else { return Ok(()) };
        if let Some(why) = outcome.unfit_to_seal(deny) {
            out::message(&format!("the caches were not sealed: {why}"));
            return Ok(());
        }
        // With an inherited cache, the sealed one was neither used nor checked.
        let known = match self.usage.modules {
            CacheOrigin::Own | CacheOrigin::Sealed => gate::known(&self.known, &outcome.events),
            CacheOrigin::Inherited => self.sealed.known.clone(),
        };
        let files = seal::close(self.folder.root(), &signer, &known)?;
        out::message(&format!("sealed {files} files of the caches in {}", self.folder.root().display()));
        Ok(())
    }
}

/// The secret key, from the variable or the file.
fn signer(args: &RunArgs) -> Result<Option<Signer>, Failure> {
    let text = match (&args.cache_key, std::env::var(KEY_VARIABLE)) {
        (Some(path), _) => Some(read_key(path)?),
        // An attacker who sets one of the two variables must not choose the key.
        (None, Ok(text)) if !text.is_empty() && args.cache_public_key.is_some() => {
            let message = format!(
                "expected one key of the caches, found the secret key in {KEY_VARIABLE} and a public key in \
                 --cache-public-key (SUMGATE_CACHE_PUBLIC_KEY): remove one of them"
            );
            return Err(Failure::new(Fault::Request, message));
        }
        (None, Ok(text)) => Some(text).filter(|text| !text.is_empty()),
        _ => None,
    };
    let parse = |text: String| {
        // The error does not contain the key.
        Signer::parse(text.trim()).map_err(|error| Failure::new(Fault::Request, format!("the cache key: {error}")))
    };
    text.map(parse).transpose()
}

fn read_key(path: &Path) -> Result<String, Failure> {
    let (sender, receiver) = mpsc::channel();
    let named = path.to_owned();
    // A FIFO that nobody writes blocks this thread until the program ends, which is at once.
    std::thread::spawn(move || {
        let text = std::fs::File::open(named).and_then(|file| text_bounded(file, MAX_KEY_FILE));
        // Nobody listens any more after the time.
        let _ = sender.send(text);
    });
    let text = receiver.recv_timeout(KEY_WITHIN).map_err(|_| {
        let message = format!(
            "cannot read the cache key {}: nobody wrote it within {} seconds",
            path.display(),
            KEY_WITHIN.as_secs()
        );
        Failure::new(Fault::Host, message)
    })?;
    let text = text.map_err(|error| Failure::host(&format!("read the cache key {}", path.display()), &error))?;
    let too_large = || format!("the cache key {} has more than {MAX_KEY_FILE} bytes", path.display());
    let text = text.ok_or_else(|| Failure::new(Fault::Request, too_large()))?;
    if path.is_file() {
        out::message(&format!(
            "the command can read the cache key {}: pass it through a pipe, or in {KEY_VARIABLE}",
            path.display()
        ));
    }
    Ok(text)
}

/// What a module cache has, with its hashes. Empty if `go` has not created it yet.
async fn hashed(cache: &Path, go: &GoEnv) -> Result<Vec<Entry>, Failure> {
    if !cache.join("cache/download").is_dir() {
        return Ok(Vec::new());
    }
    let (cache, goroot) = (cache.to_owned(), go.goroot().map(Path::to_owned));
    let progress = Progress::default();
    let _line = progress::show_counted("hashing the module cache", &progress);
    let read = spawn_blocking(move || read_module_cache(&cache, goroot.as_deref(), &progress)).await;
    read.map_err(|error| Failure::host("read the module cache", &error))?.map_err(Failure::usage)
}
