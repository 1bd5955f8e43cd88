//! The finding codes. A code never changes its meaning, and the name of a removed code is never reused.

use std::sync::LazyLock;

use clap::ValueEnum;

use super::severity::Severity;

/// Defines the codes: name, severity, meaning in one sentence, and advice.
macro_rules! codes {
    ($($code:ident $severity:ident $meaning:literal $help:literal;)*) => {
        /// The kind of a finding.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, clap::ValueEnum)]
        pub enum Code {
            $(#[doc = $meaning] $code,)*
        }

        impl Code {
            fn facts(self) -> (Severity, &'static str, &'static str) {
                match self {
                    $(Self::$code => (Severity::$severity, $meaning, $help),)*
                }
            }
        }
    };
}

codes! {
    HashMismatch Error
        "The hash is not the one that the checksum database has for this version."
        "The usual causes: the line was edited by hand, or the tag was moved after the first download. Find out which \
         before you use the proved hash: remove the line, run `go mod tidy`, and read what changed in the module.";
    UnknownVersion Error
        "The checksum database has no record of this module version, so its hash cannot be verified."
        "If the module is private, exempt it: GOPRIVATE or --nosumdb. If it is public, check that the version \
         exists.";
    ConflictingLines Error
        "Two lines have different hashes for the same file; `go` uses the first of them."
        "Remove the line that is not proved.";
    MalformedLine Error
        "The line is not \"MODULE VERSION HASH\"."
        "The usual cause is a failed merge: remove the line and run `go mod tidy`. Save a file of another encoding as UTF-8 \
         first.";
    UnknownAlgorithm Warning
        "The hash is of an algorithm that neither `go` nor sumgate knows, so it protects nothing."
        "Remove the line and run `go mod tidy`, which writes an h1 line.";
    MissingLine Warning
        "go.mod requires a version without a line in go.sum: a build fails, or adds the line by itself."
        "Run `go mod tidy` and commit go.sum.";
    InvalidGoMod Error
        "`go` refuses a line of this go.mod or go.work, or would change it: builds fail."
        "Correct the line; do not delete a requirement, or builds use another version. Where a full version is expected, \
         `go get MODULE@VERSION` finds it. Where two branches were merged, keep the higher versions, remove the conflict markers and run `go mod tidy`.";
    MissingOutsideWorkspace Note
        "The requirements have lines only in other files of the workspace: with GOWORK=off a build fails."
        "If the module is built alone, too, run `GOWORK=off go mod tidy` in its folder.";
    MissingUnneeded Note
        "Requirements have no line in go.sum, and a build does not need it: other `go` commands fail."
        "If you need those commands, too, run `go mod tidy` and commit go.sum.";
    MayBeATemplate Note
        "The go.mod has no valid module line, and nothing leads to it: it may be a template for other files."
        "If it is a template, leave it out with --exclude; else correct the module line.";
    PrivateName Warning
        "The name looks private, and no pattern exempts it; `go` would send it to the public database."
        "Set GOPRIVATE (or --nosumdb) to a pattern that covers it.";
    DroppedLine Note
        "All current versions of `go` ignore this line, so it protects nothing."
        "Run `go mod tidy`.";
    UnreadableFile Error
        "The file in the module cache cannot be hashed as `go` would."
        "Remove it with `go clean -modcache`; `go` downloads it again.";
    NotARegularFile Error
        "The file is a link that leads elsewhere, a FIFO or a device; it was not opened."
        "Commit a regular file instead. In the module cache, remove it: `go` does not create such files.";
    TrackedCache Error
        "Git tracks files in a folder that the audit excludes, so a pull request can change them."
        "Set GOMODCACHE, GOCACHE or the data folder to a place outside of the repository, or remove the files from \
         git.";
    PolicyDenied Error
        "The policy denies this version."
        "Use another version, or ask the owner of the policy for an exception.";
    PolicyWarning Note
        "A rule of the policy that only warns would deny this version."
        "Use another version before the rule denies it, or ask the owner of the policy for an exception.";
    UnusedException Warning
        "An exception of the policy matched nothing."
        "Remove it, so that it cannot allow something later.";
    UnusedAccept Warning
        "An `[[accept]]` of the policy accepts nothing: it expired, or no finding is like it."
        "Remove it, so that it cannot accept something later; or set a later day, if the finding is still right to accept.";
    PolicyLoosened Error
        "The policy may allow what the policy at the base denies or warns of."
        "Both policies apply until the change is accepted: ask the owner of the policy to run the job with \
         --accept-policy-change.";
    SumdbOff Error
        "GOSUMDB is off: `go` trusts the first download of every module."
        "Unset GOSUMDB, and exempt private modules with GOPRIVATE.";
    WideNosumdb Error
        "GONOSUMDB exempts public modules from the checksum database."
        "Name your own modules only, such as github.com/your-organisation/*.";
    WidePrivate Error
        "GOPRIVATE exempts public modules from proxy and checksum database."
        "Name your own modules only, such as github.com/your-organisation/*.";
    DirectBehindMirror Warning
        "GOPROXY lists a fallback after the mirror, so `go` can bypass it."
        "Set GOPROXY to the mirror only.";
    FileProxy Warning
        "GOPROXY is a folder: `go` does not verify toolchains from it with the database."
        "Serve the folder with `sumgate serve`, or set GOTOOLCHAIN=local.";
    OldGo Error
        "This `go` command verifies the checksum database with vulnerable code (CVE-2026-56864, \
         CVE-2026-56865)."
        "Update to go1.25.13, go1.26.6, or newer.";
    MirrorBehind Warning
        "The client has a newer tree head than the mirror; every verification fails until the mirror has it, too."
        "Let the mirror reach the checksum database once.";
    SumWithoutMod Warning
        "There is no go.mod next to this go.sum, so `go` never reads it."
        "Remove it, or put it where its go.mod is.";
    MirrorUnreachable Error
        "The mirror that GOPROXY names does not answer, or something else answers there."
        "Start it, or correct the address.";
    Insecure Note
        "GOINSECURE disables TLS for the modules it names."
        "Unset it, or name your own hosts only.";
    BuiltInRoots Note
        "This machine has no CA certificates: sumgate verifies servers with those built into it, and `go` can verify none."
        "Install the package ca-certificates, or name a file of certificates in SSL_CERT_FILE.";
    ModuleNotReleased Error
        "A module in a program or in the module cache did not come through the gate, or differs from the one that did."
        "The module came from a cache, another proxy, or a setting of the command itself. Find out which; the message \
         names the hashes.";
    VendorUnproved Note
        "Dependencies come from a vendor folder, whose files no hash covers."
        "Build with -mod=mod or -mod=readonly, so that they come through the gate.";
    ReplacedUnproved Note
        "A replace directive takes a dependency from a folder, whose files no hash covers."
        "Check that go.mod and go.work replace modules only with your own code.";
    PrivateUnproved Note
        "Private modules were fetched by `go` itself, past the gate (GONOPROXY, GOPRIVATE)."
        "Add --gate-private, so that they come through the gate and are pinned on first use.";
    InheritedBuildCache Note
        "The build cache existed before the run: code linked from it cannot be proved."
        "Omit --build-cache inherit; or keep the caches of the gate between jobs with --cache-key.";
    NothingReleased Note
        "A program contains modules, none of which came through the gate in this run or was proved before."
        "Check that the command uses the module cache and the GOPROXY that the gate set for it.";
    BuildEnvironment Note
        "A variable adds other programs or files to the build."
        "Unset it if the build does not need it.";
    BuildOverride Warning
        "A variable, a go.work or a folder around the repository chooses programs or files of the build."
        "Unset it, or set it to a file outside the repository.";
    RepositoryProgram Warning
        "The repository's own settings of version control run programs when `go` stamps a version into a program."
        "Remove the setting with `git config --unset`.";
    OtherDatabase Warning
        "GOSUMDB, not an option of the gate, selects a checksum database other than sum.golang.org."
        "If you trust this database, name it with --sumdb; else unset GOSUMDB.";
    ProcessLeft Note
        "A process of the command is still running: the gate does not see what it does from now on."
        "Let the command wait for it.";
    ProgramNotBuilt Warning
        "A program existed before the command, and the command did not rewrite it: `go` compares its build ID, \
         not its content."
        "Delete it before the build.";
    NotExamined Warning
        "Programs or modules could not be compared with the released modules."
        "Read the message; name programs with --subject FILE.";
}

/// The number of codes in [`WORST`].
const WORSE_THAN_OTHERS: u8 = 8;

/// What a reader with little room must see first.
const WORST: [Code; WORSE_THAN_OTHERS as usize] = [
    Code::HashMismatch,
    Code::ModuleNotReleased,
    Code::ConflictingLines,
    Code::PolicyLoosened,
    Code::TrackedCache,
    Code::NotARegularFile,
    Code::PolicyDenied,
    Code::UnreadableFile,
];

/// The stable names: the names of the variants in kebab case, as clap writes them.
static NAMES: LazyLock<Vec<String>> = LazyLock::new(|| {
    Code::all().iter().filter_map(|code| Some(code.to_possible_value()?.get_name().to_owned())).collect()
});

impl Code {
    /// All codes, in the order of the documentation.
    pub fn all() -> &'static [Self] {
        Self::value_variants()
    }

    /// The stable name.
    pub fn name(self) -> &'static str {
        &NAMES[self as usize]
    }

    /// The severity.
    pub fn severity(self) -> Severity {
        self.facts().0
    }

    /// Its number in an order of all codes, worst first: other code than expected, then what lets it pass, then the rest.
    pub(super) fn rank(self) -> u8 {
        let others = WORSE_THAN_OTHERS.saturating_add(self as u8);
        WORST
            .iter()
            .zip(0..WORSE_THAN_OTHERS)
            .find_map(|(worst, rank)| (*worst == self).then_some(rank))
            .unwrap_or(others)
    }

    /// Why no policy can accept findings of this code; `None` if one can.
    pub fn why_never_accepted(self) -> Option<&'static str> {
        match self {
            Self::HashMismatch => Some("other code than everybody else has would be built"),
            Self::NotARegularFile => Some("the file was not opened, so nothing is known about it"),
            Self::PolicyLoosened => {
                Some("a policy must not accept its own change: --accept-policy-change does, for one run")
            }
            Self::ModuleNotReleased => Some("code that nobody checked would be built"),
            Self::UnusedAccept => Some("remove the [[accept]] that it names"),
            _ => None,
        }
    }

    /// Whether each finding of this code is about one module version.
    pub fn is_about_a_module(self) -> bool {
        matches!(
            self,
            Self::HashMismatch
                | Self::UnknownVersion
                | Self::ConflictingLines
                | Self::UnknownAlgorithm
                | Self::MissingLine
                | Self::PrivateName
                | Self::DroppedLine
                | Self::UnreadableFile
                | Self::PolicyDenied
                | Self::ModuleNotReleased
        )
    }

    /// Whether an audit of a whole repository finds it on every machine, so that an `[[accept]]` of it that accepts nothing there is
    /// not needed.
    pub fn is_of_the_repository(self) -> bool {
        matches!(
            self,
            Self::UnknownVersion
                | Self::ConflictingLines
                | Self::MalformedLine
                | Self::UnknownAlgorithm
                | Self::MissingLine
                | Self::InvalidGoMod
                | Self::MissingOutsideWorkspace
                | Self::MissingUnneeded
                | Self::MayBeATemplate
                | Self::PrivateName
                | Self::DroppedLine
                | Self::PolicyDenied
                | Self::UnusedException
                | Self::VendorUnproved
        )
    }

    /// The address of its documentation.
    pub(super) fn page(self) -> String {
        format!("{}/blob/main/docs/findings.md#{}", env!("CARGO_PKG_REPOSITORY"), self.name())
    }

    /// The meaning, in one sentence.
    pub fn meaning(self) -> &'static str {
        self.facts().1
    }

    /// The advice.
    pub fn help(self) -> &'static str {
        self.facts().2
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_has_a_unique_name() {
        let names: std::collections::BTreeSet<&str> = Code::all().iter().map(|code| code.name()).collect();
        assert_eq!(names.len(), Code::all().len());
    }
}
