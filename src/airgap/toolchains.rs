//! The toolchains that go.mod files name: modules that `go` downloads when it is too old for a file.
//!
//! `go` takes the version of the `toolchain` line, or of the `go` line if that is newer; for `go install M@V` only the `go` line
//! of M counts. `go 1.27` of a line of releases means go1.27.0 (<https://go.dev/doc/toolchain#select>). A requirement with a newer
//! `go` line changes nothing: `go mod tidy` raises the line of M to it, and where the author did not run it, `go install` fails
//! rather than take another toolchain.

use super::error::Refusal;
use super::fetch_plan::{FetchPlan, of_names};
use crate::base::fault::Fault;
use gomodule::gomod::{ToolchainLine, toolchain_lines};
use gomodule::goversion::GoVersion;
use gomodule::module::ModuleVersion;

/// The first line of `go` that has toolchains as modules, and patch release 0.
const SINCE: (u32, u32) = (1, 21);

/// Which toolchains a closed network needs.
#[derive(Clone, Debug)]
pub(crate) struct Toolchains {
    /// The `go` there.
    pub(crate) target: Option<GoVersion>,
    /// Such as `linux-amd64`.
    pub(crate) platforms: Vec<String>,
}

impl Toolchains {
    /// Adds the toolchain that `go` takes in the module with this go.mod, which `shown` names.
    pub(crate) fn add_for_main(&self, text: &str, shown: &str, plan: &mut FetchPlan) -> Result<(), Refusal> {
        let lines = toolchain_lines(text);
        let [toolchain, go] = ["toolchain", "go"].map(|verb| lines.iter().find(|line| line.verb == verb));
        let toolchain = toolchain.filter(|line| line.name != "default").map(|line| line.name.clone());
        self.add([toolchain, go.map(name_of)], shown, plan)
    }

    /// Adds the toolchain that `go install` takes for `module` with this go.mod.
    pub(crate) fn add_for_install(
        &self,
        text: &str,
        module: &ModuleVersion,
        plan: &mut FetchPlan,
    ) -> Result<(), Refusal> {
        let lines = toolchain_lines(text);
        let go = lines.iter().find(|line| line.verb == "go").map(name_of);
        self.add([None, go], &format!("the go.mod of {module}"), plan)
    }

    /// The newest of `names` that is newer than the `go` there.
    fn add(&self, names: [Option<String>; 2], shown: &str, plan: &mut FetchPlan) -> Result<(), Refusal> {
        let known = names.into_iter().flatten().filter_map(|name| Some((GoVersion::parse(&name)?, name)));
        // Of equal ones the first, as `go` does.
        let newest = known.reduce(|best, other| if other.0 > best.0 { other } else { best });
        let Some((version, name)) = newest.filter(|(version, _)| version.line() >= SINCE) else { return Ok(()) };
        let refusal = |why: String| Refusal::new(shown, format!("{shown} names {name}, and {why}"), Fault::Absent);
        let Some(target) = &self.target else {
            let why =
                "which `go` is in the closed network is unknown, for there is none here: name it with --target-go";
            return Err(refusal(why.to_owned()));
        };
        if version <= *target {
            return Ok(());
        }
        for platform in &self.platforms {
            let module = ModuleVersion::parse(&format!("golang.org/toolchain@v0.0.1-{name}.{platform}"));
            let module = module.map_err(|error| refusal(format!("no toolchain has this name: {error}")))?;
            plan.join(&of_names(&[module]));
        }
        Ok(())
    }
}

/// The name of the toolchain of a `go` line.
fn name_of(line: &ToolchainLine) -> String {
    let is_line_of_releases =
        line.name.bytes().all(|b| b.is_ascii_digit() || b == b'.') && line.name.matches('.').count() == 1;
    let has_patches = GoVersion::parse(&format!("go{}", line.name)).is_some_and(|go| go.line() >= SINCE);
    format!("go{}{}", line.name, if is_line_of_releases && has_patches { ".0" } else { "" })
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use super::*;

    #[test]
    fn the_toolchain_is_the_one_that_go_takes() {
        let toolchains = Toolchains { target: GoVersion::parse("go1.26.5"), platforms: vec!["linux-amd64".to_owned()] };
        let added = |text: &str| {
            let mut plan = FetchPlan::default();
            toolchains.add_for_main(text, "go.mod", &mut plan).unwrap();
            plan.modules().first().map(|module| module.version.to_string())
        };
        for (text, name) in [
            ("go 1.21\n", None),
            ("go 1.26.5\ntoolchain go1.26.5\n", None),
            ("go 1.26\ntoolchain go1.27.1\n", Some("go1.27.1")),
            ("go 1.27\n", Some("go1.27.0")),
            ("go 1.27rc1\n", Some("go1.27rc1")),
            ("go 1.27.3\ntoolchain go1.27.2\n", Some("go1.27.3")),
            ("go 1.26\ntoolchain default\n", None),
            ("go 1.19\n", None),
        ] {
            let expected = name.map(|name| format!("v0.0.1-{name}.linux-amd64"));
            assert_eq!(added(&format!("module a.com/b\n{text}")), expected, "{text}");
        }
        let module = ModuleVersion::parse("a.com/b@v1.0.0").unwrap();
        let mut plan = FetchPlan::default();
        toolchains.add_for_install("go 1.26\ntoolchain go1.27.1\n", &module, &mut plan).unwrap();
        assert_eq!(plan.files(), 0, "go install does not read the toolchain line");
        let unknown = Toolchains { target: None, ..toolchains };
        let refused = unknown.add_for_install("go 1.21\n", &module, &mut plan).unwrap_err();
        assert!(refused.why.contains("--target-go"), "{}", refused.why);
    }
}
