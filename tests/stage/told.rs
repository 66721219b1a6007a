//! What a run said, and one that still goes on.

use tokio::io::BufReader;
use tokio::process::{Child, Command};

use super::runner::Runner;
use super::scrub;

/// A run that ended.
pub struct Told {
    /// Standard output, scrubbed.
    pub out: String,
    /// Standard error, scrubbed.
    pub err: String,
    /// The exit code.
    pub exit: i32,
}

/// A run that goes on.
pub struct Going {
    pub(super) child: Child,
    pub(super) lines: tokio::io::Lines<BufReader<tokio::process::ChildStdout>>,
    pub(super) seen: String,
}

impl Told {
    /// What is printed to people, without the lines of the watch: how many there are depends on time.
    pub fn talk(&self) -> String {
        self.talk_of(&self.err)
    }

    fn talk_of(&self, text: &str) -> String {
        let watch = |line: &&str| !(line.starts_with("  +") && line.contains("/3 new"));
        text.lines().filter(watch).map(|line| format!("{line}\n")).collect()
    }

    /// Everything that is said beside the steps: blocks, what was not seen, the last line.
    pub fn words(&self) -> String {
        let said = |line: &&str| {
            ["error[", "warning[", "notice[", "  why:", "  now:", "  next:", "        "]
                .iter()
                .chain(&["not seen", "shipped ", "unchanged"])
                .any(|begin| line.starts_with(begin))
        };
        let all = format!("{}{}", self.out, self.err);
        let lines: String = all.lines().filter(said).map(|line| format!("{line}\n")).collect();
        format!("-> {}\n{lines}", self.exit)
    }

    /// The exit code and the blocks: what a refusal is to its reader.
    pub fn refusal(&self) -> String {
        format!("-> {}\n{}", self.exit, self.blocks())
    }

    /// The blocks alone: from the first `error[`, `warning[` or `notice[` on.
    pub fn blocks(&self) -> String {
        let all = format!("{}{}", self.out, self.err);
        let from = ["error[", "warning[", "notice["]
            .iter()
            .filter_map(|word| all.find(&format!("\n{word}")))
            .min();
        let blocks = from.map_or(all.as_str(), |at| &all[at + 1..]);
        // What the watch says on the way depends on time.
        blocks
            .lines()
            .filter(|line| !line.starts_with("  +"))
            .map(|line| format!("{line}\n"))
            .collect()
    }
}

impl Told {
    /// What GitHub's log shows: masks are heard by the runner and not shown.
    pub fn log(&self) -> String {
        let shown = self.talk_of(&self.out);
        shown.lines().filter(|l| !l.starts_with("::add-mask::")).map(|l| format!("{l}\n")).collect()
    }

    /// How it ended: the last block, or the last line where there is none.
    pub fn ending(&self) -> String {
        let words = ["error[", "notice["];
        let begins = |line: &&str| words.iter().any(|word| line.starts_with(word));
        let all = format!("{}{}", self.out, self.err);
        let lines: Vec<_> = all.lines().filter(|line| !line.starts_with("::")).collect();
        let from = lines.iter().rposition(begins).unwrap_or(lines.len().saturating_sub(1));
        let mut block: Vec<_> = lines[from..].to_vec();
        block.truncate(1 + block.iter().skip(1).take_while(|line| line.starts_with("  ")).count());
        let mut block: String = block.iter().map(|line| format!("{line}\n")).collect();
        // Which node a pod came to, and how many had failed by then, depends on time.
        for node in ["ip-10-0-1-12", "ip-10-0-2-7"] {
            block = block.replace(&format!("kubelet on {node}"), "kubelet on @NODE@");
        }
        for pods in ["1/3 new pods", "2/3 new pods", "3/3 new pods"] {
            block = block.replace(pods, "@/3 new pods");
        }
        block
    }
}

impl Going {
    /// Waits until a line that contains this is printed.
    pub async fn until(&mut self, text: &str) {
        while let Some(line) = self.lines.next_line().await.unwrap() {
            self.seen.push_str(&line);
            self.seen.push('\n');
            if line.contains(text) {
                return;
            }
        }
        panic!("`{text}` was never printed:\n{}", self.seen);
    }

    /// Sends a signal: `INT` or `TERM`.
    pub async fn signal(&self, name: &str) {
        let pid = self.child.id().unwrap().to_string();
        let sent = Command::new("kill").args([format!("-{name}"), pid]).status().await.unwrap();
        assert!(sent.success());
    }

    /// Reads to the end.
    pub async fn end(mut self, runner: &Runner) -> Told {
        while let Some(line) = self.lines.next_line().await.unwrap() {
            self.seen.push_str(&line);
            self.seen.push('\n');
        }
        let exit = self.child.wait().await.unwrap().code().unwrap_or(-1);
        Told {
            out: String::new(),
            err: scrub::text(&self.seen, runner.folder.path(), &runner.url),
            exit,
        }
    }
}
