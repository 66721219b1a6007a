//! The files through which a step tells the runner things: outputs, state, summary, evidence.
//!
//! A failure to write is returned as a sentence and is never a run's failure. Nothing is read but
//! the length of the summary, which has a limit.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::{Path, PathBuf};

use super::door::token;

/// More than this and the runner uploads no summary at all.
const MOST_SUMMARY: u64 = 1024 * 1024;

/// What the runner's variables say about where it wants things.
#[derive(Clone, Debug, Default)]
pub struct Runner {
    /// Somebody parses our log for commands.
    pub listens: bool,
    /// `GITHUB_OUTPUT`.
    pub output: Option<PathBuf>,
    /// `GITHUB_STATE`.
    pub state: Option<PathBuf>,
    /// `GITHUB_STEP_SUMMARY`.
    pub summary: Option<PathBuf>,
    /// `RUNNER_TEMP`.
    pub temp: Option<PathBuf>,
}

impl Runner {
    /// Reads the runner's variables; without `GITHUB_ACTIONS=true` there is no runner, whatever
    /// else is set.
    #[must_use]
    pub fn read(variable: &impl Fn(&str) -> Option<String>) -> Self {
        if variable("GITHUB_ACTIONS").as_deref() != Some("true") {
            return Self::default();
        }
        let path = |name: &str| variable(name).filter(|p| !p.is_empty()).map(PathBuf::from);
        Self {
            listens: true,
            output: path("GITHUB_OUTPUT"),
            state: path("GITHUB_STATE"),
            summary: path("GITHUB_STEP_SUMMARY"),
            temp: path("RUNNER_TEMP"),
        }
    }
}

/// Appends `name=value` pairs in the form that no value can break out of.
pub(super) fn keyed(file: Option<&Path>, values: &[(&str, String)]) -> Result<(), String> {
    let Some(file) = file else { return Ok(()) };
    let mut text = String::new();
    for (name, value) in values {
        let end = token();
        text.push_str(&format!("{name}<<{end}\n{value}\n{end}\n"));
    }
    append(file, &text)
}

/// Appends the sections that fit under the runner's limit, and says how many do not.
pub(super) fn summary(file: Option<&Path>, sections: &[String]) -> Result<(), String> {
    let Some(file) = file else { return Ok(()) };
    // Room for the sentence about what is left out.
    let mut room = MOST_SUMMARY - 200;
    room = room.saturating_sub(std::fs::metadata(file).map_or(0, |m| m.len()));
    let mut text = String::new();
    let mut left_out = 0;
    for section in sections {
        let length = section.len() as u64;
        if left_out == 0 && length <= room {
            room -= length;
            text.push_str(section);
        } else {
            left_out += 1;
        }
    }
    if left_out > 0 {
        text.push_str(&format!("\n{left_out} sections left out: a summary holds 1 MiB\n"));
    }
    append(file, &text)
}

/// Writes the evidence under a name that no other step has; the name, or None where there is no
/// place for it.
pub(super) fn evidence(temp: Option<&Path>, text: &str) -> Result<Option<String>, String> {
    let Some(temp) = temp else { return Ok(None) };
    let name = format!("slipway-evidence-{}.txt", &token()[..12]);
    append(&temp.join(&name), text)?;
    Ok(Some(name))
}

fn append(file: &Path, text: &str) -> Result<(), String> {
    OpenOptions::new()
        .create(true)
        .append(true)
        .open(file)
        .and_then(|mut file| file.write_all(text.as_bytes()))
        .map_err(|error| format!("{}: {error}", file.display()))
}
