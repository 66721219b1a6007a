//! What builders say when they cannot: the words of engines 20.10 and 28, as they were recorded.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bollard_buildkit_proto::google::{protobuf::Any, rpc};
use prost::Message as _;
use serde_json::{Value, json};
use tonic::{Code, Status};

use super::Version;
use super::dockerfile::nearest;

/// Why a build is not done.
#[derive(Clone, Debug)]
pub(crate) enum Wrong {
    /// What this sandbox does not play: its own word, and no engine's.
    Unplayed(String),
    /// No file of that name came.
    NoFile(String),
    /// The file has no instruction.
    Empty,
    /// No `FROM` before this line.
    NoStage { line: i32 },
    /// A word that is no instruction.
    Unknown { word: String, line: i32 },
    /// An instruction whose words are not enough.
    Malformed { said: String, line: i32 },
    /// A base without a name.
    BlankBase { base: String, line: i32 },
    /// No stage of that name.
    NoTarget(String),
    /// A base image that could not be asked for: the registry's answer.
    NoBase { name: String, said: String, line: i32 },
    /// Not among what the caller sent.
    NoSource { path: String, lines: (i32, i32) },
    /// A step that ended so.
    Exit { command: Vec<String>, code: u32, lines: (i32, i32) },
    /// A secret that the caller does not have.
    NoSecret { id: String, lines: (i32, i32) },
    /// Several platforms, and a store that holds one.
    SeveralPlatforms,
    /// The caller's own session went wrong.
    Session(String),
}

impl Wrong {
    /// What the step itself says.
    pub(crate) fn of_step(&self, version: Version) -> String {
        let is_old = version == Version::V20;
        match self {
            Self::NoSource { path, .. } if is_old => format!("{path:?} not found: not found"),
            Self::NoSource { path, .. } => {
                let checksum = "failed to calculate checksum of ref 76c99040-c2fc-49ff-ad44-4bb481663319::\
                                y3jkn2gx6tu7xmgafexjibky1";
                format!("{checksum}: {path:?}: not found")
            }
            Self::Exit { command, code, .. } if is_old => {
                format!("executor failed running [{}]: exit code: {code}", command.join(" "))
            }
            Self::Exit { command, code, .. } => {
                let command = command.join(" ");
                format!("process \"{command}\" did not complete successfully: exit code: {code}")
            }
            Self::NoSecret { id, .. } if is_old => format!("secret {id} not found: not found"),
            Self::NoSecret { id, .. } => format!("secret {id}: not found"),
            Self::NoBase { said, .. } | Self::Session(said) => said.clone(),
            Self::SeveralPlatforms if is_old => "invalid reference type for forward <nil>".into(),
            Self::SeveralPlatforms => {
                "exporting multiple references to image store is currently unsupported".into()
            }
            Self::Unplayed(what) => format!("this sandbox's engine does not play {what}"),
            _ => self.of_file(version),
        }
    }

    /// What is wrong with the file.
    fn of_file(&self, version: Version) -> String {
        let is_old = version == Version::V20;
        let on = if is_old { "" } else { "on " };
        match self {
            Self::NoFile(name) if is_old => {
                let mount = "/var/lib/docker/tmp/buildkit-mount1257169579";
                format!("failed to read dockerfile: open {mount}/{name}: no such file or directory")
            }
            Self::NoFile(name) => {
                format!("failed to read dockerfile: open {name}: no such file or directory")
            }
            Self::Empty => "the Dockerfile cannot be empty".into(),
            Self::NoStage { .. } => "no build stage in current context".into(),
            Self::Unknown { word, line } => {
                let meant = nearest(word).filter(|_| !is_old);
                let meant = meant.map(|one| format!(" (did you mean {one}?)")).unwrap_or_default();
                format!(
                    "dockerfile parse error {on}line {line}: unknown instruction: {word}{meant}"
                )
            }
            Self::Malformed { said, line } => {
                format!("dockerfile parse error {on}line {line}: {said}")
            }
            Self::BlankBase { base, .. } => format!("base name ({base}) should not be blank"),
            Self::NoTarget(name) if is_old => format!("target stage {name} could not be found"),
            Self::NoTarget(name) => format!("target stage {name:?} could not be found"),
            _ => String::new(),
        }
    }

    /// What the whole build says.
    pub(crate) fn of_build(&self, version: Version) -> String {
        let said = self.of_step(version);
        let is_old = version == Version::V20;
        match self {
            Self::NoSource { .. } => format!("failed to compute cache key: {said}"),
            Self::NoBase { name, .. } if !is_old => {
                format!("{name}: failed to resolve source metadata for {name}: {said}")
            }
            Self::NoFile(_) | Self::SeveralPlatforms if is_old => {
                format!("failed to solve with frontend dockerfile.v0: {said}")
            }
            _ if is_old && self.is_of_frontend() => format!(
                "failed to solve with frontend dockerfile.v0: failed to create LLB definition: {said}"
            ),
            _ => said,
        }
    }

    fn is_of_frontend(&self) -> bool {
        matches!(
            self,
            Self::NoFile(_)
                | Self::Empty
                | Self::NoStage { .. }
                | Self::Unknown { .. }
                | Self::Malformed { .. }
                | Self::BlankBase { .. }
                | Self::NoTarget(_)
                | Self::NoBase { .. }
        )
    }

    fn lines(&self) -> Option<(i32, i32)> {
        match self {
            Self::NoStage { line }
            | Self::Unknown { line, .. }
            | Self::Malformed { line, .. }
            | Self::BlankBase { line, .. }
            | Self::NoBase { line, .. } => Some((*line, *line)),
            Self::NoSource { lines, .. }
            | Self::Exit { lines, .. }
            | Self::NoSecret { lines, .. } => Some(*lines),
            _ => None,
        }
    }

    /// The end of a gRPC call, with what engine 28 adds to it; 20.10 adds nothing.
    pub(crate) fn status(&self, version: Version, file: &str, text: &str) -> Status {
        let said = self.of_build(version);
        if matches!(self, Self::Unplayed(_)) {
            return Status::new(Code::Unimplemented, said);
        }
        if version == Version::V20 {
            return Status::new(Code::Unknown, said);
        }
        let mut details = Vec::new();
        let mut add = |name: &str, value: &Value| {
            let type_url = format!("github.com/moby/buildkit/{name}+json");
            details.push(Any { type_url, value: value.to_string().into_bytes() });
        };
        if self.is_of_frontend() {
            add("errdefs.Frontend", &json!({ "name": "dockerfile.v0" }));
        }
        if let Some((first, last)) = self.lines() {
            let line = |at: i32| json!({ "start": { "line": at }, "end": { "line": at } });
            let data = BASE64_STANDARD.encode(text);
            let info = json!({ "filename": file, "data": data, "language": "Dockerfile" });
            let ranges: Vec<_> = (first..=last).map(line).collect();
            add("errdefs.Source", &json!({ "info": info, "ranges": ranges }));
        }
        if let Self::Exit { code, .. } = self {
            add("gatewayapi.ExitMessage", &json!({ "Code": code }));
        }
        let code = Code::Unknown;
        let whole = rpc::Status { code: code as i32, message: said.clone(), details };
        Status::with_details(code, said, whole.encode_to_vec().into())
    }
}
