//! The inputs of a run: typed once, all faults told at once. After this file nobody reads flags,
//! environment or strings.
//!
//! Raw values come through the one table in `inputs/table.rs`; here they get their meaning.

pub mod build;
pub mod config;
pub mod credentials;
pub mod endpoints;
pub mod raw;
pub mod table;
pub mod typed;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use secrecy::SecretString;

use crate::aws::Identity;
use crate::error::{Code, Failure};
use crate::names::{
    Account, Cluster, CommitPrefix, CommitSha, Container, Namespace, Platform, Region, Repository,
    Workload,
};
use crate::rollout::Patience;
use credentials::Credentials;
use endpoints::Endpoints;
use raw::{Environment, Fault, Given};
use table::Command;
use typed::Reader;

/// What the run is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Intent {
    /// Bring a commit to the workload.
    Ship,
    /// Put an earlier commit back, on purpose.
    Rollback(CommitPrefix),
}

/// Which workload, where.
#[derive(Clone, Debug)]
pub struct Target {
    /// The EKS cluster.
    pub cluster: Cluster,
    /// The namespace.
    pub namespace: Namespace,
    /// The workload.
    pub workload: Workload,
    /// The container, where it is named.
    pub container: Option<Container>,
}

/// How the image is written into the workload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spelling {
    /// `host/repository:commit@sha256:…`.
    TagAndDigest,
    /// `host/repository@sha256:…`.
    Digest,
}

/// What a cancelled run does after the patch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnCancel {
    /// Leave the rollout going.
    Keep,
    /// Put the restore point back.
    Rollback,
}

/// Everything a run was given.
pub struct Inputs {
    /// Ship, plan and so on.
    pub command: Command,
    /// What for.
    pub intent: Intent,
    /// Whose credentials; none only for the plan of a fork.
    pub identity: Option<Identity>,
    /// Where.
    pub region: Region,
    /// The account it has to be.
    pub expect_account: Option<Account>,
    /// For GitHub's API.
    pub github_token: Option<SecretString>,
    /// The ECR repository; `status` and `history` can find it themselves.
    pub repository: Option<Repository>,
    /// The commit, where it is said.
    pub commit: Option<CommitSha>,
    /// The folder whose checkout is shipped.
    pub context: PathBuf,
    /// The image to take, as it was typed.
    pub image: Option<String>,
    /// Platforms the image must have.
    pub platforms: Vec<Platform>,
    /// Create a missing repository.
    pub create_repository: bool,
    /// The workload; none with `until: push`.
    pub target: Option<Target>,
    /// How the image is written.
    pub spelling: Spelling,
    /// How long to wait.
    pub patience: Patience,
    /// On cancel after the patch.
    pub on_cancel: OnCancel,
    /// Stop after the push.
    pub push_only: bool,
    /// Refusals that are overruled.
    pub allow: Vec<Code>,
    /// JSON lines instead of text.
    pub json: bool,
    /// The file that was read for inputs, from where slipway was started.
    pub file: Option<String>,
    /// Where the services are, if not where they always are.
    pub endpoints: Endpoints,
    /// How an image is built, where none is there.
    pub build: build::Build,
}

/// Why inputs cannot be used: the block that is told, and the places to annotate.
pub struct Refused {
    /// What is told.
    pub failure: Failure,
    /// Faults in files, for annotations.
    pub places: Vec<Fault>,
}

impl Inputs {
    /// Gives everything its meaning, or tells every fault at once.
    pub fn read(
        command: Command,
        flags: BTreeMap<&'static str, String>,
        mut faults: Vec<Fault>,
        environment: &Environment,
        folder: &Path,
        may_lack_credentials: bool,
    ) -> Result<Self, Refused> {
        let mut given = raw::collect(flags, environment, folder);
        faults.append(&mut given.faults);
        let values = given.values;
        let mut reader = Reader::new(&values, faults);
        let push_only =
            reader.word("until", &[("rollout", false), ("push", true)]).unwrap_or(false);
        // What a file that cannot be read would have given is not known to be missing.
        if !given.file_is_lost {
            reader.demand(
                command,
                if push_only { &["cluster", "namespace", "workload"] } else { &[] },
            );
        }
        let inputs = fill(command, push_only, &mut reader, folder);
        intent_faults(command, &values, &mut reader);
        // Only who may build has to get it right: a rollback in the night does not, nor does a fork's plan.
        let faults = reader.faults.len();
        let build = build::read(&mut reader, environment);
        let builds = matches!(command, Command::Ship | Command::Plan) && !may_lack_credentials;
        if !builds {
            reader.faults.truncate(faults);
        }
        let (endpoints, endpoint_failure) = endpoints::read(environment);
        let credentials = credentials::read(&mut reader, environment);
        let Some(mut inputs) = inputs.filter(|_| reader.faults.is_empty()) else {
            return Err(refuse(reader.faults, raw::on_runner(environment)));
        };
        if let Some(failure) = endpoint_failure {
            return Err(Refused { failure, places: Vec::new() });
        }
        inputs.endpoints = endpoints;
        inputs.file = given.file;
        let build::Build { file, file_in_context, .. } = inputs.build;
        inputs.build = build::Build { file, file_in_context, ..build };
        match credentials {
            Credentials::Given(identity) => inputs.identity = Some(identity),
            Credentials::None(_) if may_lack_credentials && command == Command::Plan => {}
            Credentials::None(failure) => return Err(Refused { failure, places: Vec::new() }),
        }
        Ok(inputs)
    }

    /// Whether the user overruled this refusal.
    #[must_use]
    pub fn allows(&self, code: Code) -> bool {
        self.allow.contains(&code)
    }
}

/// Reads every value, even after the first fault; none only if a needed one is absent or bad.
fn fill(
    command: Command,
    push_only: bool,
    reader: &mut Reader<'_>,
    folder: &Path,
) -> Option<Inputs> {
    let to: Option<CommitPrefix> = reader.name("to");
    let region = reader.name("aws-region");
    let (cluster, namespace, workload) =
        (reader.name("cluster"), reader.name("namespace"), reader.name("workload"));
    let container = reader.name("container");
    let target = match (cluster, namespace, workload) {
        // An index is ECR's affair alone.
        (Some(cluster), Some(namespace), Some(workload))
            if !push_only && command != Command::Index =>
        {
            Some(Target { cluster, namespace, workload, container })
        }
        _ => None,
    };
    let spelling = [("tag-and-digest", Spelling::TagAndDigest), ("digest", Spelling::Digest)];
    let on_cancel = [("keep", OnCancel::Keep), ("rollback", OnCancel::Rollback)];
    // A path that is typed begins where we are, one in a file where the file is.
    let base =
        |input| reader.folder_of(input).map_or(folder.to_owned(), |beside| folder.join(beside));
    let file = reader.text("file").map(|file| base("file").join(file));
    let base = base("context");
    // `./.` would be told back to somebody who typed nothing.
    let context = match reader.with("context", typed::folder).as_deref() {
        None | Some(".") => base,
        Some(context) => base.join(context),
    };
    let file_in_context = in_context(reader, &context);
    Some(Inputs {
        command,
        intent: to.filter(|_| command == Command::Rollback).map_or(Intent::Ship, Intent::Rollback),
        identity: None,
        expect_account: reader.name("expect-account"),
        github_token: reader.text("github-token").map(SecretString::from),
        repository: reader.with("repository", typed::repository),
        commit: reader.with("commit", typed::commit),
        context,
        image: reader.text("image").map(Into::into),
        platforms: reader.with("platform", typed::platforms).unwrap_or_default(),
        create_repository: reader.switch("create-repository"),
        target,
        spelling: reader.word("reference", &spelling).unwrap_or(Spelling::TagAndDigest),
        patience: Patience {
            timeout: reader.with("timeout", typed::some_time).unwrap_or_default(),
            bake: reader.duration("bake"),
        },
        on_cancel: reader.word("on-cancel", &on_cancel).unwrap_or(OnCancel::Keep),
        push_only,
        allow: reader.with("allow", typed::allowed).unwrap_or_default(),
        json: reader.switch("json"),
        file: None,
        endpoints: Endpoints::default(),
        build: build::Build { file, file_in_context, ..build::Build::default() },
        region: region?,
    })
}

/// The Dockerfile, if its name began in the context. Where the two begin at different places, how that
/// would be written is not said.
fn in_context(reader: &Reader<'_>, context: &Path) -> Option<(PathBuf, String)> {
    let (file, typed) = (reader.text("file")?, reader.text("context")?);
    let written = Path::new(typed).join(file).display().to_string();
    let alike = reader.folder_of("file") == reader.folder_of("context");
    alike.then(|| (context.join(file), written))
}

/// `to` with `ship` is how an old commit would be shipped by accident.
fn intent_faults(
    command: Command,
    values: &BTreeMap<&'static str, Given>,
    reader: &mut Reader<'_>,
) {
    if matches!(command, Command::Ship | Command::Plan) && values.contains_key("to") {
        reader.faults.push(Fault::new(format!(
            "`to` is given, but the command is `{}`: use `rollback`, or leave `to` empty",
            command.word()
        )));
    }
    if command == Command::Rollback && reader.text("until") == Some("push") {
        reader
            .faults
            .push(Fault::new("`until` is \"push\", but a rollback pushes nothing: leave it out"));
    }
}

fn refuse(faults: Vec<Fault>, on_runner: bool) -> Refused {
    let what = match faults.len() {
        1 => "1 input cannot be used".to_owned(),
        n => format!("{n} inputs cannot be used"),
    };
    let next = if faults.iter().any(|f| f.place.is_some()) {
        "correct them where they stand"
    } else if on_runner {
        "correct them in the step's `with:`"
    } else {
        "correct them on the command line, or in the environment"
    };
    let mut failure = Failure::new(Code::InputInvalid, what).next(next);
    failure.why = faults.iter().map(|fault| fault.said.clone()).collect();
    Refused { failure, places: faults.into_iter().filter(|fault| fault.place.is_some()).collect() }
}
