//! The caches of a run: its own, sealed ones, or inherited ones.

use std::collections::{BTreeMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicUsize;
use std::time::SystemTime;

use tlog::{Signer, VerifierKey};
use tokio::task::spawn_blocking;

use super::{Cache, RunArgs};
use crate::audit::{Audit, Entry, read_module_cache};
use crate::base::bounded::text_bounded;
use crate::base::fault::Fault;
use crate::cli::exit::Failure;
use crate::cli::out;
use crate::cli::policies::Policies;
use crate::finding::{Code, Finding, Severity};
use crate::gate::seal::Sealed;
use crate::gate::{self, CacheOrigin, CacheUse, Caches, Known, KnownFile, Outcome, RunFolder, cut, seal};
use crate::go::environment::GoEnv;
use crate::policy::{Age, Facts};
use crate::store::Store;
use crate::sumdb::Databases;
use gomodule::artifact::{Artifact, Kind};
use gomodule::dirhash::H1;
use gomodule::gosum::AnyHash;
use gomodule::module::{ModuleVersion, Patterns};

/// The variable with the secret key itself.
const KEY_VARIABLE: &str = "SUMGATE_CACHE_KEY";
/// Lookups at the same time, as for an audit.
const AT_ONCE: usize = 128;
/// A key has about 100 bytes.
const MAX_KEY_FILE: u64 = 4 << 10;

/// The caches of this run, and what is known of them before the command.
pub(super) struct Kept {
    folder: RunFolder,
    signer: Option<Signer>,
    bin: Option<PathBuf>,
    pub(super) caches: Caches,
    pub(super) usage: CacheUse,
    /// What the seal covers, and what was thrown away.
    pub(super) sealed: Sealed,
    /// Files of modules that a seal covers, or that were proved in the inherited cache.
    known: Known,
    /// Modules of an inherited cache that no database was asked about.
    exempt: Patterns,
    /// Zips that a seal covers, or that were proved in the inherited cache.
    pub(super) accepted: BTreeMap<ModuleVersion, H1>,
    pub(super) findings: Vec<Finding>,
}

impl Kept {
    /// Takes a folder for the run; what lies there and is not sealed is removed.
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
            Cache::Inherit => go.module_cache().ok_or_else(no_module_cache).map(real)?,
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
            let message = "the command uses a build cache that cannot be proved";
            findings.push(Finding::new(Code::InheritedBuildCache, message));
        }
        let caches = Caches { modules, build, gopath: folder.gopath() };
        let exempt = Patterns::default();
        Ok(Self { folder, signer, bin, caches, usage, sealed, known, exempt, accepted, findings })
    }

    /// Judges the modules that a seal covers: a policy may have changed since. Returns whether the command may use them.
    ///
    /// By name, by size, and by whether a database knows them: a record is not looked up again, so a `min-age` that grew since
    /// is not seen for what is proved.
    pub(super) fn judge_sealed(&mut self, policies: &Policies, deny: Severity) -> bool {
        if self.usage.modules == CacheOrigin::Inherited {
            return true;
        }
        let cache = &self.caches.modules;
        let zips = self.known.iter().filter(|((_, kind), _)| *kind == Kind::Zip);
        let facts = zips.map(|((module, kind), file)| {
            let artifact = Artifact { module: module.clone(), kind: *kind };
            let zip = cache.join("cache/download").join(artifact.path());
            // As for what comes through the gate: nothing tells the age of what no database knows.
            let age = (!file.proved).then_some(Age::Unknown);
            let zip_size = zip.symlink_metadata().ok().map(|found| found.len());
            Facts { in_database: Some(file.proved), age, zip_size, ..Facts::of(module.clone()) }
        });
        let help = format!(
            "Take another version, or ask the owner of the policy for an exception. If the build does not need it any more, \
             remove the kept caches: {}.",
            self.folder.root().display()
        );
        let findings = policies.denied(&facts.collect::<Vec<_>>()).into_iter();
        let findings: Vec<Finding> = findings.map(|found| Finding { help: Some(help.clone()), ..found }).collect();
        let is_right = findings.iter().all(|finding| finding.severity() < deny);
        self.findings.extend(cut(findings));
        is_right
    }

    /// Hashes and proves what lies in an inherited module cache, and judges it by the policies. Returns whether the command may
    /// use it: not if there are findings that are denied, or if the database signed two histories.
    pub(super) async fn prove_inherited(
        &mut self,
        go: &GoEnv,
        clients: &Databases,
        exempt: &Patterns,
        policies: &Policies,
        deny: Severity,
    ) -> Result<bool, Failure> {
        if self.usage.modules != CacheOrigin::Inherited {
            return Ok(true);
        }
        let cache = self.caches.modules.clone();
        // One that `go` has not made yet has nothing in it.
        let entries = if cache.join("cache/download").is_dir() {
            let goroot = go.goroot().map(Path::to_owned);
            let work = move || read_module_cache(&cache, goroot.as_deref(), &AtomicUsize::new(0));
            let read = spawn_blocking(work).await;
            let read = read.map_err(|error| Failure::host("read the module cache", &error))?;
            read.map_err(Failure::usage)?
        } else {
            Vec::new()
        };
        self.exempt = exempt.clone();
        let (databases, exempt) = (clients.clone(), exempt.clone());
        let (policy, base_policy) = (policies.now.clone(), policies.base.clone().map(|(_, policy)| policy));
        let audit = Audit { databases, exempt, at_once: AT_ONCE, policy, base_policy, now: SystemTime::now() };
        let mut report = audit.run(&entries, &AtomicUsize::new(0)).await;
        // An exception may be for what comes through the gate.
        report.findings.retain(|finding| finding.code != Code::UnusedException);
        if report.misbehaviour.is_some() {
            self.findings.extend(report.findings);
            return Ok(false);
        }
        if let Some(unchecked) = report.unchecked.first() {
            let words = format!(
                "the module cache cannot be proved: {} of its files were not checked, such as {}: {}",
                report.unchecked.len(),
                unchecked.module,
                unchecked.reason
            );
            return Err(Failure::new(Fault::Upstream, words));
        }
        let named = |finding: &Finding| finding.module.clone();
        let skipped = report.skipped.iter().map(|line| line.module.clone());
        // A name that looks private was asked of nobody, and is told as such.
        let held_back = |finding: &&Finding| finding.code == Code::PrivateName;
        let unasked: HashSet<String> = report.findings.iter().filter(held_back).filter_map(named).collect();
        let open: HashSet<String> = report.findings.iter().filter_map(named).chain(skipped).collect();
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
        let is_right = report.findings.iter().all(|finding| finding.severity() < deny);
        self.findings.extend(report.findings);
        Ok(is_right)
    }

    /// What is wrong with the downloads that the command left behind, where later commands use them; and what came through the
    /// gate unproved. Blocks.
    pub(super) fn findings_after(&self, outcome: &Outcome) -> Vec<Finding> {
        let known = gate::known(&self.known, &outcome.events);
        let past = outcome.kept.iter().find(|(name, _)| name == "GONOPROXY").map_or("", |(_, value)| value);
        let private = Patterns::parse(past).unwrap_or_default().with(self.exempt.clone());
        let is_inherited = self.usage.modules == CacheOrigin::Inherited;
        // What is not proved in an inherited cache was told before the command.
        let told = if is_inherited { Known::new() } else { known.clone() };
        let mut findings: Vec<Finding> = gate::unproved(outcome, &told).into_iter().collect();
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

    /// Moves what was installed to the user's GOPATH. What is wrong is not installed.
    pub(super) fn install(&self, outcome: &Outcome, is_wrong: bool) -> Result<Vec<PathBuf>, Failure> {
        if outcome.installed.is_empty() {
            return Ok(Vec::new());
        }
        if is_wrong {
            out::complain("nothing was installed: see the findings");
            return Ok(Vec::new());
        }
        let Some(to) = &self.bin else {
            return Err(Failure::new(Fault::Host, "cannot install: this user has no GOPATH; set GOBIN"));
        };
        let from = self.caches.gopath.join("bin");
        gate::install(&outcome.installed, &from, to)
            .map_err(|error| Failure::host(&format!("install to {}", to.display()), &error))
    }

    /// Seals both caches, where there is a key for it and nothing speaks against it.
    pub(super) fn seal(&mut self, outcome: &Outcome, deny: Severity) -> Result<(), Failure> {
        let Some(signer) = self.signer.take() else { return Ok(()) };
        if let Some(why) = outcome.unfit_to_seal(deny) {
            out::complain(&format!("the caches were not sealed: {why}"));
            return Ok(());
        }
        // Nothing of the seal's own cache was used or checked.
        let known = match self.usage.modules {
            CacheOrigin::Inherited => self.sealed.known.clone(),
            CacheOrigin::Own | CacheOrigin::Sealed => gate::known(&self.known, &outcome.events),
        };
        let files = seal::close(self.folder.root(), &signer, &known)?;
        out::complain(&format!("sealed {files} files of the caches in {}", self.folder.root().display()));
        Ok(())
    }
}

/// Where a folder is, once all links are followed: what the command puts in its place is not followed.
fn real(path: PathBuf) -> PathBuf {
    path.canonicalize().unwrap_or(path)
}

/// The secret key, from the variable or the file.
fn signer(args: &RunArgs) -> Result<Option<Signer>, Failure> {
    let text = match (&args.cache_key, std::env::var(KEY_VARIABLE)) {
        (Some(path), _) => Some(read_key(path)?),
        // Whoever sets one of two variables must not choose whose seals count.
        (None, Ok(text)) if !text.is_empty() && args.cache_public_key.is_some() => {
            let words = format!(
                "expected one key of the caches, found the secret key in {KEY_VARIABLE} and a public key in \
                 --cache-public-key (SUMGATE_CACHE_PUBLIC_KEY): remove one of them"
            );
            return Err(Failure::new(Fault::Request, words));
        }
        (None, Ok(text)) => Some(text).filter(|text| !text.is_empty()),
        _ => None,
    };
    let parse = |text: String| {
        // The words of the error do not show the key.
        Signer::parse(text.trim()).map_err(|error| Failure::new(Fault::Request, format!("the cache key: {error}")))
    };
    text.map(parse).transpose()
}

fn read_key(path: &Path) -> Result<String, Failure> {
    let text = std::fs::File::open(path).and_then(|file| text_bounded(file, MAX_KEY_FILE));
    let text = text.map_err(|error| Failure::host(&format!("read the cache key {}", path.display()), &error))?;
    let too_large = || format!("the cache key {} has more than {MAX_KEY_FILE} bytes", path.display());
    let text = text.ok_or_else(|| Failure::new(Fault::Request, too_large()))?;
    if path.is_file() {
        out::complain(&format!(
            "the command can read the cache key {}: give it through a pipe, or in {KEY_VARIABLE}",
            path.display()
        ));
    }
    Ok(text)
}

fn no_module_cache() -> Failure {
    Failure::new(Fault::Request, "there is no module cache to inherit: set GOMODCACHE to where it is")
}
