//! Stage `admit`: what the policy says, as far as facts are known.
//!
//! Only the `.zip`, the code, is refused. `.mod` and `.info` of a refused version still go out, or module graphs and
//! retractions would not work; lists leave it out, so that `go get -u` picks another one.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

use futures_util::{StreamExt, stream};

use super::attest::Vouchers;
use super::error::MirrorError;
use crate::module::{ModulePath, ModuleVersion, Version};
use crate::policy::{self, Age, Decision, Facts, Policy, Verdict};

/// Versions of a list that are judged, newest first; older ones stay in. Each may cost a lookup, once.
const MAX_JUDGED: usize = 300;
/// Lookups for one list at the same time.
const AT_ONCE: usize = 32;

/// The policy, and what was found out for it.
pub(super) struct Admission {
    policy: Policy,
    used: Mutex<BTreeSet<usize>>,
}

impl Admission {
    pub(super) fn new(policy: Policy) -> Self {
        Self { policy, used: Mutex::default() }
    }

    pub(super) fn policy(&self) -> &Policy {
        &self.policy
    }

    /// The exceptions that lifted a rule so far, by number.
    pub(super) fn used(&self) -> BTreeSet<usize> {
        self.used.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Refuses what `facts` forbid.
    pub(super) fn check(&self, facts: &Facts) -> Result<(), MirrorError> {
        let verdict = self.judge(facts);
        match verdict.decision {
            Decision::Allowed => Ok(()),
            Decision::Denied(denial) => {
                Err(MirrorError::Denied { module: Box::new(facts.module.clone()), denial: Box::new(denial) })
            }
        }
    }

    fn judge(&self, facts: &Facts) -> Verdict {
        let verdict = self.policy.judge(facts, policy::day(SystemTime::now()));
        self.used.lock().unwrap_or_else(PoisonError::into_inner).extend(&verdict.used);
        verdict
    }

    /// Refuses by name, and by what the database says of the version. Returns what is known then.
    pub(super) async fn examine(&self, module: &ModuleVersion, vouchers: &Vouchers) -> Result<Facts, MirrorError> {
        let mut facts = Facts::of(module.clone());
        // What the name alone forbids is asked of nobody.
        self.check(&facts)?;
        if self.policy.needs_record() {
            self.date(&mut facts, vouchers).await?;
            self.check(&facts)?;
        }
        Ok(facts)
    }

    /// Whether the database knows the version, and how long. A version that is exempt is one that it does not know: who
    /// sets GONOSUMDB must not be able to lift a rule with it.
    async fn date(&self, facts: &mut Facts, vouchers: &Vouchers) -> Result<(), MirrorError> {
        let record = vouchers.record(&facts.module).await;
        facts.in_database = Some(record.is_ok());
        facts.age = Some(match record {
            Ok((attested, client)) => {
                client.age(attested.record().id(), self.policy.min_age().unwrap_or_default(), SystemTime::now())
            }
            Err(MirrorError::NoRecord(_) | MirrorError::Exempt(_)) => Age::Unknown,
            Err(error) => return Err(error),
        });
        Ok(())
    }

    /// The versions of a list that may come in, in their order.
    pub(super) async fn allowed(&self, path: &ModulePath, versions: Vec<Version>, vouchers: &Vouchers) -> Vec<Version> {
        let mut newest = versions.clone();
        newest.sort();
        let judged: Vec<Version> = newest.into_iter().rev().take(MAX_JUDGED).collect();
        let denied = stream::iter(judged.into_iter().map(|version| self.denies(path, version, vouchers)));
        let denied: Vec<Option<Version>> = denied.buffer_unordered(AT_ONCE).collect().await;
        let denied: Vec<Version> = denied.into_iter().flatten().collect();
        versions.into_iter().filter(|version| !denied.contains(version)).collect()
    }

    /// The version, if it is denied by what is known of it. One that cannot be looked up now stays in the list; its zip is
    /// refused if it has to be.
    async fn denies(&self, path: &ModulePath, version: Version, vouchers: &Vouchers) -> Option<Version> {
        let module = ModuleVersion::new(path.clone(), version.clone()).ok()?;
        let examined = self.examine(&module, vouchers).await;
        matches!(examined, Err(MirrorError::Denied { .. })).then_some(version)
    }
}
