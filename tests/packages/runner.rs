//! Runs the steps of a composite action as a runner of GitHub does.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::Value;

use crate::repository::PullRequest;
use crate::tools::{command, run, tool};

/// What a job gives to an action, and gets from it.
pub struct Job<'a> {
    /// Where the action lies.
    pub action: &'a Path,
    /// The contexts, by the full names of their values.
    pub contexts: BTreeMap<String, String>,
    /// More variables of the job.
    pub environment: Vec<(&'a str, &'a str)>,
    /// The log: what all steps printed.
    pub log: String,
    /// The other actions that it used.
    pub used: Vec<String>,
    /// What is shown as the summary of the job.
    pub summary: String,
}

impl<'a> Job<'a> {
    /// A job for `request` with these inputs.
    pub fn new(action: &'a Path, request: &PullRequest, inputs: &[(&str, &str)]) -> Self {
        let mut contexts: BTreeMap<String, String> = [
            ("github.server_url", "https://github.example"),
            ("github.repository", "owner/app"),
            ("github.run_id", "17"),
            ("github.action_repository", ""),
            ("job.workflow_repository", ""),
            ("github.event.pull_request.base.sha", &request.base),
            ("github.event.merge_group.base_sha", ""),
            ("runner.os", "Linux"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into();
        let given: BTreeMap<&str, &str> = inputs.iter().copied().collect();
        let Value::Object(declared) = read_yaml(&action.join("action.yml"))["inputs"].take() else { panic!() };
        for (name, input) in &declared {
            let value = given.get(name.as_str()).copied().unwrap_or_else(|| input["default"].as_str().unwrap());
            contexts.insert(format!("inputs.{name}"), value.to_owned());
        }
        assert!(given.keys().all(|name| declared.contains_key(*name)), "{given:?}");
        Self { action, contexts, environment: Vec::new(), log: String::new(), used: Vec::new(), summary: String::new() }
    }

    /// Runs the steps until one fails; returns its exit code, or 0.
    pub fn run(&mut self, request: &PullRequest) -> i32 {
        let action = read_yaml(&self.action.join("action.yml"));
        for step in action["runs"]["steps"].as_array().unwrap() {
            if let Some(uses) = step["uses"].as_str() {
                self.used.push(uses.to_owned());
                continue;
            }
            let code = self.step(step, request);
            if code != 0 {
                return code;
            }
        }
        0
    }

    fn step(&mut self, step: &Value, request: &PullRequest) -> i32 {
        assert_eq!(step["shell"], "bash");
        let temp = request.folder().join("temp");
        std::fs::create_dir_all(&temp).unwrap();
        let [script, outputs, summary, log_file] =
            ["script.sh", "outputs", "summary", "log"].map(|name| temp.join(name));
        std::fs::write(&script, step["run"].as_str().unwrap()).unwrap();
        std::fs::write(&outputs, "").unwrap();
        let mut bash = request.command("bash");
        bash.args(["--noprofile", "--norc", "-eo", "pipefail"]).arg(&script);
        bash.env("GITHUB_ACTION_PATH", self.action)
            .env("GITHUB_WORKSPACE", request.checkout())
            .env("RUNNER_TEMP", &temp);
        bash.env("GITHUB_OUTPUT", &outputs).env("GITHUB_STEP_SUMMARY", &summary);
        bash.envs(self.environment.iter().copied());
        for (name, value) in step["env"].as_object().unwrap() {
            bash.env(name, self.filled(value.as_str().unwrap()));
        }
        // One log, in the order in which both are written.
        let log = std::fs::File::create(&log_file).unwrap();
        let status = bash.stdout(log.try_clone().unwrap()).stderr(log).status().unwrap();
        self.log += &std::fs::read_to_string(&log_file).unwrap();
        if let Some(id) = step["id"].as_str() {
            for line in std::fs::read_to_string(&outputs).unwrap().lines() {
                let (name, value) = line.split_once('=').unwrap();
                self.contexts.insert(format!("steps.{id}.outputs.{name}"), value.to_owned());
            }
        }
        self.summary = std::fs::read_to_string(&summary).unwrap_or_default();
        status.code().unwrap()
    }

    /// A text with the values of its expressions.
    fn filled(&self, text: &str) -> String {
        let mut parts = text.split("${{");
        let mut filled = parts.next().unwrap().to_owned();
        for part in parts {
            let (expression, rest) = part.split_once("}}").unwrap();
            filled += &self.value(expression);
            filled += rest;
        }
        filled
    }

    /// The value of an expression of names and `||`.
    fn value(&self, expression: &str) -> String {
        let mut values = expression.split("||").map(|name| match self.contexts.get(name.trim()) {
            Some(value) => value.clone(),
            None => panic!("an expression names {name}, which no runner has"),
        });
        values.find(|value| !value.is_empty()).unwrap_or_default()
    }
}

/// The documents of a YAML file; of one, its content.
pub fn read_yaml(file: &Path) -> Value {
    let code = "import json, sys, yaml\n\
                all = list(yaml.load_all(open(sys.argv[1]), yaml.BaseLoader))\n\
                print(json.dumps(all[0] if len(all) == 1 else all))";
    let printed = run(command(tool("python3").unwrap()).args(["-c", code]).arg(file));
    serde_json::from_str(&printed).unwrap()
}
