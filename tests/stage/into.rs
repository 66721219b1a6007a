//! Runs whose standard output is the story's own: a full device, a pipe that nobody reads.

use std::process::Stdio;

use super::{Runner, Told, scrub};

impl Runner {
    /// Runs a command whose standard output goes there; what went there is not read.
    pub async fn run_into(&self, command: &str, out: Stdio) -> Told {
        let child = self.command(command).stdout(out).stderr(Stdio::piped()).spawn().unwrap();
        let output = child.wait_with_output().await.unwrap();
        let err = String::from_utf8_lossy(&output.stderr);
        let err = scrub::text(&err, self.folder.path(), &self.url);
        Told { out: String::new(), err, exit: output.status.code().unwrap_or(-1) }
    }
}
