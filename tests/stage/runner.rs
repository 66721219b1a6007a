//! A run of the program as a process of its own, with nothing of this machine's environment: its folder,
//! its inputs, its variables.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Command;

use super::scrub;
use super::told::{Going, Told};

/// What the program is run with.
pub struct Runner {
    /// A folder of the story's own, which is also where the program starts.
    pub folder: TempDir,
    /// What stands before the program on its command line: a wrapper that gives it an environment.
    pub(crate) wrapper: Vec<String>,
    pub(crate) environment: BTreeMap<String, String>,
    pub(crate) inputs: BTreeMap<&'static str, String>,
    /// The address whose port is scrubbed.
    pub(crate) url: String,
}

impl Runner {
    /// Gives an input; an empty value takes it away.
    pub fn input(&mut self, name: &'static str, value: &str) {
        if value.is_empty() {
            self.inputs.remove(name);
        } else {
            self.inputs.insert(name, value.into());
        }
    }

    /// Sets an environment variable; an empty value takes it away.
    pub fn variable(&mut self, name: &str, value: &str) {
        if value.is_empty() {
            self.environment.remove(name);
        } else {
            self.environment.insert(name.into(), value.into());
        }
    }

    /// Writes a file into the story's folder.
    pub fn holding(&self, name: &str, text: &str) {
        let path = self.folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    /// The text of a file in the story's folder, scrubbed; empty if it is not there.
    pub fn file(&self, name: &str) -> String {
        let text = std::fs::read_to_string(self.folder.path().join(name)).unwrap_or_default();
        scrub::text(&text, self.folder.path(), &self.url)
    }

    /// The outputs, a line each: `name = value`; the plan, which is long, as `{...}`.
    pub fn outputs(&self) -> String {
        let file = self.file("output");
        let mut lines = file.lines();
        let mut outputs = String::new();
        while let Some((name, end)) = lines.next().and_then(|line| line.split_once("<<")) {
            let value: Vec<_> = lines.by_ref().take_while(|line| *line != end).collect();
            let value = if name == "plan" { "{...}".to_owned() } else { value.join(" ") };
            outputs.push_str(format!("{name} = {value}").trim_end());
            outputs.push('\n');
        }
        outputs
    }

    pub(super) fn command(&self, command: &str) -> Command {
        self.command_with(command, &self.inputs)
    }

    fn command_with(&self, command: &str, inputs: &BTreeMap<&'static str, String>) -> Command {
        let mut words = self.wrapper.iter().map(PathBuf::from).chain([program()]);
        let mut run = Command::new(words.next().unwrap_or_default());
        run.args(words).arg(command).current_dir(self.folder.path()).env_clear();
        run.envs(&self.environment).stdin(Stdio::null()).kill_on_drop(true);
        for (name, value) in inputs {
            run.arg(format!("--{name}={value}"));
        }
        run
    }

    /// Runs a command with the story's inputs to its end.
    pub async fn run(&self, command: &str) -> Told {
        self.told(&mut self.command(command)).await
    }

    async fn told(&self, run: &mut Command) -> Told {
        let output = run.output().await.unwrap();
        let scrub = |bytes: &[u8]| {
            scrub::text(&String::from_utf8_lossy(bytes), self.folder.path(), &self.url)
        };
        let exit = output.status.code().unwrap_or(-1);
        Told { out: scrub(&output.stdout), err: scrub(&output.stderr), exit }
    }

    /// Runs a command in a folder below the story's own, with these inputs besides.
    pub async fn run_in(
        &self,
        folder: &str,
        command: &str,
        inputs: &[(&'static str, &str)],
    ) -> Told {
        let mut beside = self.inputs.clone();
        beside.remove("timeout");
        beside.extend(inputs.iter().map(|(name, value)| (*name, (*value).to_owned())));
        let mut run = self.command_with(command, &beside);
        self.told(run.current_dir(self.folder.path().join(folder))).await
    }

    /// Runs another command beside: with these inputs and variables instead of the story's own.
    pub async fn run_with(
        &self,
        command: &str,
        inputs: &[(&'static str, &str)],
        variables: &[(&str, &str)],
    ) -> Told {
        let mut beside = self.inputs.clone();
        for (name, value) in inputs {
            beside.remove(name);
            if !value.is_empty() {
                beside.insert(name, (*value).to_owned());
            }
        }
        let mut run = self.command_with(command, &beside);
        run.envs(variables.iter().copied());
        self.told(&mut run).await
    }

    /// Starts a command and leaves it going.
    pub fn start(&self, command: &str) -> Going {
        // Both outputs as one, in their order, as a log has them.
        let run = self.command(command);
        let run = run.as_std();
        let mut both = Command::new("/bin/sh");
        both.args(["-c", "exec \"$0\" \"$@\" 2>&1"]).arg(run.get_program()).args(run.get_args());
        both.current_dir(self.folder.path()).env_clear().envs(&self.environment);
        both.stdin(Stdio::null()).stdout(Stdio::piped()).kill_on_drop(true);
        let mut child = both.spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Going { child, lines, seen: String::new() }
    }
}

/// The program as cargo built it for these tests.
pub fn program() -> PathBuf {
    Path::new(env!("CARGO_BIN_EXE_slipway")).to_owned()
}
