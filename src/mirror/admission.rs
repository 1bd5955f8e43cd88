//! Stage `admit`: what the policy says, as far as facts are known.
//!
//! Only the `.zip`, the code, is refused. `.mod` and `.info` of a refused version are still served, or module graphs and
//! retractions would not work; lists leave it out, so that `go get -u` picks another one.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use futures_util::{StreamExt, stream};

use super::error::MirrorError;
use crate::base::clock::Clock;
use crate::base::lock::lock;
use crate::policy::{self, Age, Decision, Denial, Exception, Facts, InForce, Policy, Verdict};
use crate::release::{Expectations, ReleaseError};
use crate::sumdb::ModuleRecord;
use gomodule::module::{ModulePath, ModuleVersion, Version};

/// Versions of a list that are judged, newest first; older ones stay in. Each may cost a lookup, once.
const MAX_JUDGED: usize = 300;
/// Lookups for one list at the same time.
const AT_ONCE: usize = 32;

/// The policies, each of which may refuse.
pub(crate) struct Admission {
    policies: InForce,
    clock: Clock,
    /// The exceptions of the present policy that lifted a rule so far, by number.
    used: Mutex<BTreeSet<usize>>,
}

/// What is known of a module version, for each policy: their minimum ages differ.
pub(crate) struct Known {
    now: Facts,
    base: Facts,
}

impl Known {
    /// Adds a fact that is the same for both.
    pub(crate) fn learn(&mut self, fact: impl Fn(&mut Facts)) {
        [&mut self.now, &mut self.base].into_iter().for_each(fact);
    }
}

impl Admission {
    /// `None` without a policy.
    pub(crate) fn new(policies: InForce, clock: Clock) -> Option<Self> {
        let is_any = policies.all().next().is_some();
        is_any.then_some(Self { policies, clock, used: Mutex::default() })
    }

    /// Whether this holds for one of the policies.
    pub(crate) fn any(&self, holds: fn(&Policy) -> bool) -> bool {
        self.policies.all().any(holds)
    }

    /// The rules of the present policy that only warn, for a reader.
    pub(crate) fn warning_only(&self) -> Option<String> {
        self.policies.now.as_ref().and_then(Policy::warning_only)
    }

    /// The exceptions of the present policy that lifted nothing so far.
    pub(crate) fn unused(&self) -> Vec<Exception> {
        let used = lock(&self.used);
        self.policies.now.iter().flat_map(|policy| policy.unused(&used)).cloned().collect()
    }

    /// Refuses what a rule denies. Returns what the rules that only warn would deny.
    pub(crate) fn check(&self, known: &Known) -> Result<Vec<Denial>, MirrorError> {
        let today = policy::day(self.clock.now().wall);
        let verdict = |policy: &Option<Policy>, facts| Some(policy::judge(policy.as_ref()?, facts, today));
        let now = verdict(&self.policies.now, &known.now);
        lock(&self.used).extend(now.iter().flat_map(|verdict| &verdict.used));
        let Decision { denial, warnings } = Decision::of(now, verdict(&self.policies.base, &known.base));
        let denied =
            |denial| MirrorError::Denied { module: Box::new(known.now.module.clone()), denial: Box::new(denial) };
        denial.map_or(Ok(warnings), |denial| Err(denied(denial)))
    }

    /// What the present policy says of a version, as far as it is known: `record` is that of the databases, if they
    /// have `answered`.
    pub(super) fn explain(
        &self,
        module: &ModuleVersion,
        record: Option<&ModuleRecord>,
        answered: bool,
        expectations: &Expectations,
    ) -> Option<Verdict> {
        let (policy, now) = (self.policies.now.as_ref()?, self.clock.now().wall);
        let mut facts = Facts::of(module.clone());
        facts.is_private = expectations.exempt.exempts(&module.path);
        if answered {
            let min = policy.min_age().unwrap_or_default();
            let age = |record| expectations.databases.age(record, min, now);
            facts.in_database = Some(record.is_some());
            facts.age = Some(record.map_or(Age::Unknown, age));
        }
        Some(policy::judge(policy, &facts, policy::day(now)))
    }

    /// The present policy.
    pub(super) fn policy(&self) -> Option<&Policy> {
        self.policies.now.as_ref()
    }

    /// Refuses by name, and by what the database says of the version. Returns what is known after that.
    pub(crate) async fn examine(
        &self,
        module: &ModuleVersion,
        expectations: &Expectations,
    ) -> Result<Known, MirrorError> {
        self.examined(module, expectations, Policy::needs_record).await
    }

    async fn examined(
        &self,
        module: &ModuleVersion,
        expectations: &Expectations,
        needs_record: fn(&Policy) -> bool,
    ) -> Result<Known, MirrorError> {
        let mut known = Known { now: Facts::of(module.clone()), base: Facts::of(module.clone()) };
        // The database is not asked for a version that its name alone forbids.
        self.check(&known)?;
        if self.any(needs_record) {
            self.date(&mut known, module, expectations).await?;
            self.check(&known)?;
        }
        Ok(known)
    }

    /// Looks up the record and its age. An exempt version counts as unknown: GONOSUMDB must not lift a rule.
    async fn date(
        &self,
        known: &mut Known,
        module: &ModuleVersion,
        expectations: &Expectations,
    ) -> Result<(), MirrorError> {
        let record = match expectations.record(module).await {
            Ok(record) => Some(record),
            Err(ReleaseError::NoRecord(_) | ReleaseError::Exempt { .. }) => None,
            Err(error) => return Err(error.into()),
        };
        let is_private = expectations.exempt.exempts(&module.path);
        for (policy, facts) in [(&self.policies.now, &mut known.now), (&self.policies.base, &mut known.base)] {
            let min = policy.as_ref().and_then(Policy::min_age).unwrap_or_default();
            facts.in_database = Some(record.is_some());
            facts.is_private = is_private;
            let age =
                |(record, _): &(Arc<ModuleRecord>, _)| expectations.databases.age(record, min, self.clock.now().wall);
            facts.age = Some(record.as_ref().map_or(Age::Unknown, age));
        }
        Ok(())
    }

    /// The versions of a list that the policies allow, in their order.
    pub(crate) async fn allowed(
        &self,
        path: &ModulePath,
        versions: Vec<Version>,
        expectations: &Expectations,
    ) -> Vec<Version> {
        let mut newest = versions.clone();
        newest.sort();
        let judged: Vec<Version> = newest.into_iter().rev().take(MAX_JUDGED).collect();
        let denied = stream::iter(judged.into_iter().map(|version| self.denies(path, version, expectations)));
        let denied: Vec<Version> = denied.buffer_unordered(AT_ONCE).filter_map(std::future::ready).collect().await;
        versions.into_iter().filter(|version| !denied.contains(version)).collect()
    }

    /// The version, if it is denied. One that cannot be looked up now stays in the list; its zip is checked on request.
    async fn denies(&self, path: &ModulePath, version: Version, expectations: &Expectations) -> Option<Version> {
        let module = ModuleVersion::new(path.clone(), version.clone()).ok()?;
        // For a list, the database is not asked about what only gets a warning.
        let examined = self.examined(&module, expectations, Policy::denies_by_record).await;
        matches!(examined, Err(MirrorError::Denied { .. })).then_some(version)
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use std::time::{Duration, SystemTime};

    use super::*;
    use crate::store::Store;
    use crate::sumdb::{Anchor, Client, Database, Databases};
    use crate::upstream::HttpClient;
    use gomodule::module::Patterns;

    #[tokio::test]
    async fn min_age_denies_until_the_clock_has_moved() {
        let folder = tempfile::tempdir().unwrap();
        let store = Arc::new(Store::open(folder.path()).unwrap());
        let world = testkit::Origin::start(testkit::World::demo()).await.unwrap();
        let database = Database::parse(&world.gosumdb()).unwrap();
        let clock = Clock::seeded(SystemTime::UNIX_EPOCH + Duration::from_secs(1_780_000_000));
        let client = Client::open(database, &store, &Anchor::None, &HttpClient::new().unwrap(), clock).unwrap();
        let databases = Databases::new(vec![client]).unwrap();
        let expectations = Expectations { databases, exempt: Patterns::default() };
        let module = ModuleVersion::parse("example.com/hello@v1.0.0").unwrap();
        expectations.record(&module).await.unwrap();
        // The record is here; from now on nothing waits for the network, and the clock moves when the test says so.
        tokio::time::pause();
        let policy = policy::parse("[policy]\nmin-age = \"7d\"\n").unwrap();
        let admission = Admission::new(Some(policy).into(), clock).unwrap();
        let examine = async || admission.examine(&module, &expectations).await.map(drop);
        tokio::time::advance(Duration::from_secs((7 * 24 * 60 - 1) * 60)).await;
        assert!(matches!(examine().await, Err(MirrorError::Denied { .. })));
        tokio::time::advance(Duration::from_secs(2 * 60)).await;
        examine().await.unwrap();
    }
}
