//! Decides about each environment variable that affects where code comes from, or which programs build it.
//!
//! The variables are those of `go env`, unlisted ones that `go`, its compilers and git read, and those of the dynamic linker. A
//! test compares the table with the sources of `go` and with the git program on the machine. A variable that is not in the
//! table is passed on: the command may need it.

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Decision {
    /// The gate sets it.
    Set,
    /// The gate removes it.
    Cleared,
    /// It is passed on. It does not bring code into a build.
    Kept,
    /// It is passed on, and names files or folders: one in the repository is the finding `build-override`.
    Path,
    /// It is passed on, and names a program: one in the repository is the finding `build-override`; one with arguments, or
    /// outside of the PATH, `build-environment`.
    Program,
    /// It is passed on, and names a program that takes no part in a build, such as an editor: one in the repository is the
    /// finding `build-override`.
    Helper,
    /// It is passed on; if it is set, that is the finding `build-environment`.
    Note,
    /// It is passed on; if it is set, that is the finding `build-override`.
    Override,
    /// GOFLAGS: `environment/flags` decides about each flag.
    Flags,
    /// It is passed on. A value other than a switch is a file that the program writes to: the finding `build-environment`.
    Output,
    /// It is passed on, and names a folder with settings: one in the repository, with settings that the gate does not check, is
    /// the finding `build-override`.
    Home,
    /// GOWORK: a file outside of the repository is the finding `build-override`.
    WorkFile,
    /// `go` computes it, and ignores the variable.
    Computed,
}

use Decision::{Cleared, Computed, Flags, Helper, Home, Kept, Note, Output, Override, Path, Program, Set, WorkFile};

/// Names, or prefixes (`*`), with the decision and its reason. The first match counts.
const TABLE: &[(&str, Decision, &str)] = &[
    // Where modules come from, and which database proves them.
    ("GOPROXY", Set, "the mirror of this run"),
    ("GOSUMDB", Set, "the database, through the mirror of this run"),
    ("GOPRIVATE", Set, "as resolved: GOENV is off"),
    ("GONOPROXY", Set, "as resolved, or none with --gate-private"),
    ("GONOSUMDB", Set, "what the mirror exempts, too"),
    ("GOINSECURE", Set, "none: TLS is not optional"),
    ("GOENV", Set, "off: its file is resolved already"),
    ("GOVCS", Kept, "only version control of private modules; the default allows git"),
    ("GOAUTH", Note, "it can run commands, and choose who receives the names of private modules"),
    ("NETRC", Path, "logins for private modules"),
    ("GOTOOLCHAIN", Kept, "other toolchains come through the mirror"),
    ("GOTOOLCHAIN_INTERNAL_SWITCH_*", Cleared, "it would prevent a switch of toolchains"),
    ("GO111MODULE", Set, "on: GOPATH mode has no modules that could be proved"),
    ("GCM_INTERACTIVE", Kept, "never, unless it is set"),
    // Folders.
    ("GOMODCACHE", Set, "the module cache of this run"),
    ("GOCACHE", Set, "the build cache of this run"),
    ("GOCACHEPROG", Cleared, "it would replace the build cache; kept with --build-cache inherit"),
    ("GOPATH", Set, "a folder of this run"),
    ("GOBIN", Kept, "what is installed there is checked"),
    ("GOTMPDIR", Kept, "only the files of a build under way"),
    ("GOCOVERDIR", Kept, "only where coverage data is written"),
    ("GOROOT", Cleared, "`go` finds its own"),
    ("GOROOT_BOOTSTRAP", Kept, "read only to build Go itself"),
    // What is built, and how.
    ("GOFLAGS", Flags, ""),
    ("GOWORK", WorkFile, "its modules replace dependencies"),
    ("GOARCH GOOS GO386* GOAMD64* GOARM* GOMIPS* GOPPC64* GORISCV64* GOWASM", Kept, "the target"),
    ("GOEXPERIMENT", Kept, "features of the toolchain itself"),
    ("GOFIPS140", Kept, "a version that comes with the toolchain; its copy is compared"),
    ("GODEBUG", Note, "with allowmultiplevcs=1 another repository than that of git decides the version"),
    ("GOGC GOMEMLIMIT GOMAXPROCS", Kept, "the memory and processors of `go`"),
    ("GOTRACEBACK GOCOVERDEBUG", Kept, "messages"),
    ("GOCLOBBERDEADHASH GOCOMPILEDEBUG", Kept, "a debugging aid of the compiler"),
    ("GOSSA*", Kept, "output of the compiler"),
    ("GO_GCFLAGS", Kept, "read only to build Go itself"),
    ("GO_BUILDER_NAME GO_TEST* GO_START_* GO_CGOCHECK*", Kept, "read only by the tests of Go itself"),
    ("GO_EXTLINK_ENABLED", Kept, "whether the C linker is used"),
    ("GO_BUILDER_FLAKY_NET GOTRACETEST TESTGO*", Kept, "read only by the tests of Go itself"),
    ("GOFILE GOLINE GOPACKAGE", Kept, "set by `go generate`"),
    // Programs that take part in a build.
    ("CC", Program, "the C compiler"),
    ("CXX", Program, "the C++ compiler"),
    ("FC", Program, "the Fortran compiler"),
    ("AR", Program, "the archiver"),
    ("GCC", Program, "the C compiler of cgo"),
    ("GCCGO", Program, "the gccgo compiler"),
    ("GCCGOTOOLDIR", Override, "the tools of gccgo"),
    ("PKG_CONFIG", Program, "it prints compiler flags"),
    ("PKG_CONFIG_*", Note, "where pkg-config finds compiler flags"),
    ("GOPACKAGESDRIVER", Program, "linters run it instead of `go`"),
    ("CGO_ENABLED", Kept, "whether C code is compiled"),
    ("CGO_CFLAGS CGO_CPPFLAGS CGO_CXXFLAGS CGO_FFLAGS CGO_LDFLAGS", Note, "flags of the compilers and the linker"),
    ("CGO_CFLAGS_* CGO_CPPFLAGS_* CGO_CXXFLAGS_* CGO_FFLAGS_* CGO_LDFLAGS_*", Note, "which flags a module may set"),
    ("CGO_TEST_* CGOCATCHPANIC_*", Kept, "read only by the tests of Go itself"),
    ("GCC_EXEC_PREFIX COMPILER_PATH", Override, "the parts of gcc"),
    ("LIBRARY_PATH", Note, "what the C linker links"),
    ("CPATH C_INCLUDE_PATH CPLUS_INCLUDE_PATH OBJC_INCLUDE_PATH", Note, "what the C and C++ compilers include"),
    ("CCC_OVERRIDE_OPTIONS", Note, "flags of clang"),
    ("CCACHE_* SCCACHE_*", Note, "a cache of compiled C code, and its compiler"),
    ("DISTCC_*", Note, "other machines that compile C code"),
    ("SDKROOT", Note, "what clang includes and links"),
    ("SWIG_*", Note, "the library and the flags of swig"),
    ("LD_RUN_PATH", Note, "where a linked program looks for code"),
    ("GCONV_PATH", Override, "code in every program that converts text"),
    ("LD_PRELOAD LD_AUDIT DYLD_INSERT_LIBRARIES", Override, "code in every program"),
    ("LD_LIBRARY_PATH DYLD_*", Note, "code in programs that are linked dynamically"),
    ("LD_DEBUG_OUTPUT LD_PROFILE_OUTPUT", Note, "each program writes there"),
    ("DEPENDENCIES_OUTPUT SUNPRO_DEPENDENCIES", Note, "the C compiler appends to that file"),
    // Computed by `go`.
    ("GOEXE GOGCCFLAGS GOHOSTARCH GOHOSTOS GOMOD GOTELEMETRY GOTELEMETRYDIR GOTOOLDIR GOVERSION", Computed, ""),
    // git, which reads the repository for the version of a program, and fetches private modules.
    ("GIT_HTTP_USER_AGENT", Cleared, "if it has the host of the default proxy, `go` does not verify toolchains"),
    ("GIT_OPTIONAL_LOCKS", Set, "0: `git status` writes no index, which would run a hook"),
    ("GIT_SSL_NO_VERIFY", Cleared, "TLS is not optional"),
    ("GIT_SSL_*", Path, "certificates for private modules"),
    ("GIT_EXEC_PATH", Override, "the parts of git"),
    ("GIT_TEMPLATE_DIR", Override, "hooks in every repository that is cloned"),
    ("GIT_SSH GIT_SSH_COMMAND GIT_PROXY_COMMAND SVN_SSH", Program, "how private modules are fetched"),
    ("GIT_SSH_VARIANT", Kept, "the options of ssh"),
    ("GIT_ASKPASS SSH_ASKPASS", Helper, "passwords for private modules"),
    ("GIT_CONFIG_GLOBAL GIT_CONFIG_SYSTEM", Path, "settings of git"),
    ("GIT_CONFIG_NOSYSTEM", Kept, "fewer settings of git"),
    ("GIT_CONFIG_COUNT GIT_CONFIG_PARAMETERS", Kept, "its settings are examined (`repository`)"),
    ("GIT_CONFIG_KEY_* GIT_CONFIG_VALUE_*", Kept, "see GIT_CONFIG_COUNT"),
    ("GIT_CONFIG", Path, "read by `git config` alone"),
    ("GIT_ALLOW_PROTOCOL", Note, "protocols that can run programs"),
    ("GIT_PROTOCOL_FROM_USER", Kept, "fewer protocols"),
    ("GIT_DIR GIT_COMMON_DIR GIT_COMMONDIR GIT_WORK_TREE", Cleared, "`go` would read another repository"),
    ("GIT_IMPLICIT_WORK_TREE GIT_INDEX_FILE GIT_OBJECT_DIRECTORY", Cleared, "`go` would read another repository"),
    ("GIT_INDEX_VERSION", Kept, "the format of an index"),
    ("GIT_ALTERNATE_OBJECT_DIRECTORIES GIT_SHALLOW_FILE", Cleared, "`go` would read another repository"),
    ("GIT_GRAFT_FILE GIT_REPLACE_REF_BASE", Cleared, "`go` would read another history"),
    ("GIT_NO_REPLACE_OBJECTS", Kept, "the history without replacements"),
    ("GIT_NAMESPACE", Cleared, "`go` would read other references"),
    ("GIT_PREFIX GIT_INTERNAL_* GIT_CHERRY_PICK_HELP", Kept, "set by git for its own commands"),
    ("GIT_QUARANTINE_PATH GIT_PUSH_*", Kept, "set by git for its own hooks"),
    ("GIT_EXT_SERVICE*", Kept, "set by git for its own helpers"),
    ("GIT_CEILING_DIRECTORIES GIT_DISCOVERY_ACROSS_FILESYSTEM", Kept, "where git looks for a repository"),
    ("GIT_TERMINAL_PROMPT", Kept, "whether git prompts the user"),
    ("GIT_USER_AGENT GIT_AUTHOR_* GIT_COMMITTER_*", Kept, "a name"),
    ("GIT_PROTOCOL", Kept, "the version of a protocol"),
    ("GIT_PROJECT_ROOT", Kept, "read only by `git http-backend`"),
    ("GIT_OVERRIDE_VIRTUAL_HOST", Kept, "the name of a host for git://"),
    ("GIT_NO_LAZY_FETCH", Kept, "less is fetched"),
    ("GIT_ATTR_*", Kept, "fewer attributes"),
    ("GIT_DEFAULT_*", Kept, "how repositories are made"),
    ("GIT_TRACE*", Output, "git appends messages to that file"),
    ("GIT_CURL_VERBOSE GIT_REDACT_COOKIES GIT_TEXTDOMAINDIR GIT_TRANSLOOP_DEBUG", Kept, "messages"),
    ("GIT_PAGER", Helper, "only for a terminal"),
    ("GIT_PAGER_IN_USE", Kept, "only for a terminal"),
    ("GIT_EDITOR GIT_SEQUENCE_EDITOR GIT_MAN_VIEWER", Helper, "only for interactive use"),
    ("GIT_EXTERNAL_DIFF GIT_DIFFTOOL_*", Helper, "only for `git diff` and `git difftool`"),
    ("GIT_DIFF_*", Kept, "only for `git diff`"),
    ("GIT_MERGE*", Kept, "only for `git merge`"),
    ("GIT_TEST_*", Kept, "read only by the tests of git itself"),
    ("GIT_NOTES_*", Kept, "only for notes"),
    ("GIT_BASENAME_FACTOR*", Kept, "how renames are detected"),
    ("GIT_MAX_HEXSZ GIT_REFLOG_ACTION GIT_TRANSPORT_HELPER_DEBUG", Kept, "messages"),
    ("GIT_ALLOC_LIMIT GIT_MMAP_LIMIT", Kept, "the memory of git"),
    ("GIT_ALLOW_NULL_SHA1", Kept, "only for `git fsck`"),
    ("GIT_REF_PARANOIA", Kept, "stricter"),
    ("GIT_FLUSH GIT_PROGRESS_DELAY GIT_PRINT_SHA1_ELLIPSIS", Kept, "output"),
    ("GIT_FORCE_THREADS GIT_FORCE_UNTRACKED_CACHE GIT_DISABLE_UNTRACKED_CACHE", Kept, "speed"),
    ("GIT_GLOB_PATHSPECS GIT_NOGLOB_PATHSPECS GIT_ICASE_PATHSPECS GIT_LITERAL_PATHSPECS", Kept, "arguments"),
    ("GIT_*", Cleared, "not known to the gate"),
    ("HGRCPATH", Override, "settings of Mercurial can run programs"),
    ("PYTHONPATH PYTHONHOME", Note, "code in programs in Python, such as Mercurial"),
    ("PERL5LIB PERL5OPT PERLLIB", Note, "code in programs in Perl, such as parts of git"),
    ("BASH_ENV", Note, "code in each bash script"),
    ("BASH_FUNC_*", Note, "a function that replaces a program in each bash script"),
    ("ENV", Kept, "read only by interactive shells"),
    // Where these programs have settings, and what they trust.
    ("HOME XDG_CONFIG_HOME", Home, "settings of programs that take part in a build"),
    ("SSL_CERT_FILE SSL_CERT_DIR", Path, "certificates that `go` and git trust"),
    ("CURL_CA_BUNDLE", Path, "certificates that git trusts"),
    ("OPENSSL_CONF", Note, "settings of OpenSSL can load code into git and ssh"),
    ("OPENSSL_MODULES OPENSSL_ENGINES", Note, "code in programs that use OpenSSL"),
    ("HTTP_PROXY", Kept, "the proxy for other hosts; the mirror is on this machine"),
    ("HTTPS_PROXY NO_PROXY", Kept, "the proxy for other hosts"),
    // sumgate itself.
    ("SUMGATE_*", Cleared, "settings and keys of the gate"),
];

pub(super) fn entries() -> impl Iterator<Item = (&'static str, Decision, &'static str)> {
    TABLE.iter().flat_map(|(names, decision, why)| names.split(' ').map(|name| (name, *decision, *why)))
}

/// The decision about the variable `name`, and its reason; `None` if the table has no entry.
pub(super) fn decision(name: &str) -> Option<(Decision, &'static str)> {
    entries().find(|(entry, ..)| fits(entry, name)).map(|(_, decision, why)| (decision, why))
}

/// Whether an entry of the table covers the variable `name`.
pub(super) fn fits(entry: &str, name: &str) -> bool {
    entry.strip_suffix('*').map_or(name == entry, |start| name.starts_with(start))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use super::*;

    #[test]
    fn the_first_match_counts() {
        let of = |name| decision(name).map(|(decision, _)| decision);
        assert_eq!(of("GOPROXY"), Some(Decision::Set));
        assert_eq!(of("GIT_SSL_NO_VERIFY"), Some(Decision::Cleared));
        assert_eq!(of("GIT_SSL_CAINFO"), Some(Decision::Path));
        assert_eq!(of("GIT_SOMETHING_NEW"), Some(Decision::Cleared));
        assert_eq!(of("SUMGATE_CACHE_KEY"), Some(Decision::Cleared));
        assert_eq!(of("GOOGLE_APPLICATION_CREDENTIALS"), None);
    }

    /// From the manuals of gcc and clang ("Environment Variables"), ld.so(8), ld(1), ccache, swig, hg (`hg help environment`),
    /// python(1), perlrun(1), bash(1) and openssl-env(7): variables that bring in or choose code.
    #[test]
    fn variables_of_other_build_programs_are_decided() {
        for name in [
            "GCC_EXEC_PREFIX",
            "COMPILER_PATH",
            "LIBRARY_PATH",
            "CPATH",
            "C_INCLUDE_PATH",
            "CPLUS_INCLUDE_PATH",
            "OBJC_INCLUDE_PATH",
            "CCC_OVERRIDE_OPTIONS",
            "SDKROOT",
            "CCACHE_DIR",
            "CCACHE_COMPILER",
            "CCACHE_PREFIX",
            "CCACHE_CONFIGPATH",
            "SCCACHE_DIR",
            "DISTCC_HOSTS",
            "SWIG_LIB",
            "SWIG_FEATURES",
            "LD_PRELOAD",
            "LD_AUDIT",
            "LD_LIBRARY_PATH",
            "LD_RUN_PATH",
            "GCONV_PATH",
            "HGRCPATH",
            "SVN_SSH",
            "PYTHONPATH",
            "PYTHONHOME",
            "PERL5LIB",
            "PERL5OPT",
            "PERLLIB",
            "BASH_ENV",
            "BASH_FUNC_go%%",
            "DEPENDENCIES_OUTPUT",
            "SUNPRO_DEPENDENCIES",
            "LD_DEBUG_OUTPUT",
            "LD_PROFILE_OUTPUT",
            "DYLD_INSERT_LIBRARIES",
            "DYLD_LIBRARY_PATH",
            "OPENSSL_CONF",
            "OPENSSL_MODULES",
            "OPENSSL_ENGINES",
        ] {
            let decision = decision(name).map(|(decision, _)| decision);
            assert!(matches!(decision, Some(Note | Override | Program)), "{name}: {decision:?}");
        }
    }

    #[test]
    fn no_entry_is_hidden_by_one_before_it() {
        for (nth, (name, ..)) in entries().enumerate() {
            let (first, (by, ..)) = entries().enumerate().find(|(_, (entry, ..))| fits(entry, name)).unwrap();
            assert_eq!(first, nth, "{name} is hidden by {by}");
        }
    }
}
