//! The table of inputs: the one source of flags, `INPUT_*`, environment, `slipway.yml`, help,
//! completions, the inputs of `action.yml` and the reference in `docs/inputs.md`.

mod command;

pub use command::{Command, Group};

use crate::names::nearest;

/// Which ways in an input has besides `INPUT_*`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ways {
    /// A flag, the environment and `slipway.yml`.
    All,
    /// A flag and the environment: it makes no sense in a file.
    NotFile,
    /// A flag without a value, and the environment.
    Switch,
    /// The environment only: a flag would show it in the process list, a file would keep it.
    Secret,
    /// `INPUT_COMMAND` only: on the command line it is the first word.
    Action,
}

/// One input.
#[derive(Debug)]
pub struct Input {
    /// Kebab-case, the same everywhere.
    pub name: &'static str,
    /// Its row in the help.
    pub group: Group,
    /// Its ways in.
    pub ways: Ways,
    /// What the help says after the flag.
    pub hint: &'static str,
    /// One line for `action.yml` and the reference.
    pub about: &'static str,
    /// The value when it is absent, as it would be typed.
    pub default: Option<&'static str>,
    /// Further environment variables that give it, after `SLIPWAY_NAME`.
    pub environment: &'static [&'static str],
    /// Commands that cannot do without it.
    pub needed_by: &'static [Command],
}

impl Input {
    /// `SLIPWAY_NAME`.
    #[must_use]
    pub fn own_variable(&self) -> String {
        format!("SLIPWAY_{}", self.name.to_ascii_uppercase().replace('-', "_"))
    }

    /// `INPUT_NAME`, as the runner spells it: hyphens stay.
    #[must_use]
    pub fn action_variable(&self) -> String {
        format!("INPUT_{}", self.name.to_ascii_uppercase())
    }

    /// Whether there is a `--name`.
    #[must_use]
    pub fn has_flag(&self) -> bool {
        matches!(self.ways, Ways::All | Ways::NotFile | Ways::Switch)
    }
}

const LOOKING: &[Command] =
    &[Command::Ship, Command::Plan, Command::Rollback, Command::Status, Command::History];
const AWS: &[Command] = &[
    Command::Ship,
    Command::Plan,
    Command::Rollback,
    Command::Status,
    Command::History,
    Command::Index,
];
const ECR: &[Command] = &[Command::Ship, Command::Plan, Command::Rollback, Command::Index];

const fn input(name: &'static str, group: Group, ways: Ways, about: &'static str) -> Input {
    Input { name, group, ways, hint: "", about, default: None, environment: &[], needed_by: &[] }
}

/// Every input, in the order of the help.
pub const INPUTS: &[Input] = &[
    Input {
        default: Some("ship"),
        ..input(
            "command",
            Group::Run,
            Ways::Action,
            "The sub-command: ship, plan, rollback, status, history or index.",
        )
    },
    Input {
        environment: &["AWS_ACCESS_KEY_ID"],
        ..input(
            "aws-access-key-id",
            Group::Who,
            Ways::Secret,
            "Access key of an IAM user, from a repository secret; or `role-to-assume` and no stored key.",
        )
    },
    Input {
        environment: &["AWS_SECRET_ACCESS_KEY"],
        ..input(
            "aws-secret-access-key",
            Group::Who,
            Ways::Secret,
            "The secret half of the access key.",
        )
    },
    Input {
        environment: &["AWS_SESSION_TOKEN"],
        ..input(
            "aws-session-token",
            Group::Who,
            Ways::Secret,
            "The session token, with temporary keys only.",
        )
    },
    Input {
        environment: &["GITHUB_TOKEN", "GH_TOKEN"],
        ..input(
            "github-token",
            Group::Who,
            Ways::Secret,
            "Reads which commit is newer, and sets a commit status where it may. Optional.",
        )
    },
    Input {
        hint: "(OIDC)",
        ..input(
            "role-to-assume",
            Group::Who,
            Ways::All,
            "ARN of the IAM role to assume: by OIDC without keys, by AssumeRole with them.",
        )
    },
    Input {
        environment: &["AWS_REGION", "AWS_DEFAULT_REGION"],
        needed_by: AWS,
        ..input(
            "aws-region",
            Group::Who,
            Ways::All,
            "Region of the ECR repository and the EKS cluster.",
        )
    },
    Input {
        ..input(
            "expect-account",
            Group::Who,
            Ways::All,
            "Account id that the credentials must belong to; anything else is refused.",
        )
    },
    Input {
        hint: "(tag: the commit)",
        needed_by: ECR,
        ..input(
            "repository",
            Group::Image,
            Ways::All,
            "Name of the ECR repository, without the registry's host.",
        )
    },
    Input {
        ..input(
            "commit",
            Group::Image,
            Ways::NotFile,
            "The commit to ship, where it is not the one checked out in `context`.",
        )
    },
    Input {
        hint: "[.]",
        default: Some("."),
        ..input(
            "context",
            Group::Image,
            Ways::All,
            "Folder that the image is built from; the commit that is checked out there is shipped.",
        )
    },
    Input {
        hint: "(OCI layout, docker-archive, engine image, ECR reference: build nothing)",
        ..input(
            "image",
            Group::Image,
            Ways::NotFile,
            "The image to ship, in place of a build: the path of an OCI layout folder or a docker-archive, the name of an image in the Docker Engine, or a reference in ECR.",
        )
    },
    Input {
        hint: "(no default: read from pod constraints, nodes, node groups, live image)",
        ..input(
            "platform",
            Group::Image,
            Ways::All,
            "Platforms the image must have, such as linux/arm64, where the cluster's nodes cannot be read.",
        )
    },
    Input {
        ..input(
            "create-repository",
            Group::Image,
            Ways::Switch,
            "Create the ECR repository where it is missing: immutable tags, scan on push.",
        )
    },
    Input {
        hint: "[Dockerfile]",
        ..input(
            "file",
            Group::Build,
            Ways::All,
            "The Dockerfile, where it is not the one in `context`; like `context`, a path from where slipway starts.",
        )
    },
    Input {
        hint: "STAGE",
        ..input("target", Group::Build, Ways::All, "The stage of the Dockerfile to stop at.")
    },
    Input {
        hint: "NAME=VALUE",
        ..input(
            "build-args",
            Group::Build,
            Ways::All,
            "Build arguments, NAME=VALUE, one a line; NAME alone takes the environment's value.",
        )
    },
    Input {
        hint: "ID=VARIABLE",
        ..input(
            "build-secrets",
            Group::Build,
            Ways::All,
            "Secrets that steps may mount, ID=VARIABLE, one a line: the value is that of the environment variable.",
        )
    },
    Input {
        hint: "NAME=VALUE",
        ..input(
            "labels",
            Group::Build,
            Ways::All,
            "Labels of the image, NAME=VALUE, one a line, beside those that slipway sets.",
        )
    },
    Input {
        hint: "REF",
        ..input(
            "cache-from",
            Group::Build,
            Ways::All,
            "Where steps of earlier builds may be found: references in a registry, one a line, or in BuildKit's form type=registry,ref=...",
        )
    },
    Input {
        hint: "REF",
        ..input(
            "cache-to",
            Group::Build,
            Ways::All,
            "Where the steps of this build are kept: references in a registry, or inline; what the engine cannot do is refused.",
        )
    },
    Input {
        ..input(
            "base-logins",
            Group::Build,
            Ways::Secret,
            "Logins for registries of base images, HOST USER PASSWORD, one a line. The repository's own registry needs none.",
        )
    },
    Input { ..input("no-cache", Group::Build, Ways::Switch, "Run every step again.") },
    Input {
        ..input(
            "pull",
            Group::Build,
            Ways::Switch,
            "Ask for base images again, even if the engine has them.",
        )
    },
    Input {
        ..input(
            "forbid-secrets",
            Group::Build,
            Ways::Switch,
            "Refuse to build, or to take out of the engine, what seems to hold a secret, instead of warning of it.",
        )
    },
    Input {
        needed_by: LOOKING,
        ..input("cluster", Group::Where, Ways::All, "Name of the EKS cluster.")
    },
    Input {
        needed_by: LOOKING,
        ..input("namespace", Group::Where, Ways::All, "Namespace of the workload.")
    },
    Input {
        hint: "KIND/NAME",
        needed_by: LOOKING,
        ..input("workload", Group::Where, Ways::All, "The workload, for example deployment/web.")
    },
    Input {
        ..input(
            "container",
            Group::Where,
            Ways::All,
            "The container to update, where more than one runs an image of the repository.",
        )
    },
    Input {
        hint: "[tag-and-digest]",
        default: Some("tag-and-digest"),
        ..input(
            "reference",
            Group::Where,
            Ways::All,
            "What the workload gets: tag-and-digest, or digest for tools that reject both.",
        )
    },
    Input {
        hint: "[10m]",
        default: Some("10m"),
        ..input(
            "timeout",
            Group::Watch,
            Ways::All,
            "How long the rollout may take, from the patch on.",
        )
    },
    Input {
        hint: "[30s] without a restart",
        default: Some("30s"),
        ..input(
            "bake",
            Group::Watch,
            Ways::All,
            "How long all pods must then run without a restart.",
        )
    },
    Input {
        hint: "rollback",
        default: Some("keep"),
        ..input(
            "on-cancel",
            Group::Watch,
            Ways::All,
            "What a cancelled run does after the patch: keep (leave the rollout going) or rollback.",
        )
    },
    Input {
        hint: "COMMIT",
        needed_by: &[Command::Rollback],
        ..input("to", Group::Run, Ways::NotFile, "The commit that `rollback` puts back.")
    },
    Input {
        hint: "push (no rollout)",
        default: Some("rollout"),
        ..input(
            "until",
            Group::Run,
            Ways::NotFile,
            "Where to stop: rollout, or push for the image alone.",
        )
    },
    Input {
        hint: "CODE (overrule that refusal)",
        ..input(
            "allow",
            Group::Run,
            Ways::NotFile,
            "Codes of refusals to overrule, separated by spaces or commas.",
        )
    },
    Input {
        ..input(
            "json",
            Group::Run,
            Ways::Switch,
            "One JSON object a line to standard output; the text goes to standard error.",
        )
    },
    Input {
        hint: "[slipway.yml]",
        default: Some("slipway.yml"),
        ..input(
            "config",
            Group::Run,
            Ways::NotFile,
            "File that gives inputs which nothing else gives; looked for here and above, in the same repository.",
        )
    },
];

/// Names that other tools have for it, and what is meant here: no slip of a finger leads from one to the other.
const HABITS: &[(&str, &str)] = &[
    (
        "build-contexts",
        "there is one `context`; files of another image come by `COPY --from=IMAGE`",
    ),
    ("cluster-name", "did you mean `cluster`?"),
    ("deployment", "did you mean `workload`?"),
    ("dockerfile", "did you mean `file`?"),
    ("load", "an image that is built stays in the engine, too"),
    (
        "outputs",
        "an image is pushed to `repository`; one that is built elsewhere is given as `image`",
    ),
    ("push", "an image is pushed always; `until: push` ends the run with that"),
    ("secret", "did you mean `build-secrets`?"),
    ("secret-envs", "did you mean `build-secrets`?"),
    ("secrets", "did you mean `build-secrets`?"),
    ("tag", "an image's tag is its commit"),
    ("tags", "an image's tag is its commit"),
];

/// What is meant by a name that is no input: the clause of a habit, or the nearest of these.
#[must_use]
pub fn meant<'a>(typed: &str, names: impl Iterator<Item = &'a str>) -> Option<String> {
    let habit = HABITS.iter().find(|(name, _)| *name == typed);
    let near = || nearest(typed, names).map(|near| format!("did you mean `{near}`?"));
    habit.map(|(_, clause)| (*clause).to_owned()).or_else(near)
}

/// Finds an input by its name.
#[must_use]
pub fn find(name: &str) -> Option<&'static Input> {
    INPUTS.iter().find(|input| input.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_kebab_case_and_unique() {
        let mut names: Vec<_> = INPUTS.iter().map(|i| i.name).collect();
        assert!(names.iter().all(|n| n.bytes().all(|b| b.is_ascii_lowercase() || b == b'-')));
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), INPUTS.len());
    }

    #[test]
    fn a_habit_is_no_input_and_leads_to_one() {
        for (name, clause) in HABITS {
            assert!(find(name).is_none(), "{name}");
            let meant = clause.strip_prefix("did you mean `").and_then(|m| m.strip_suffix("`?"));
            assert!(meant.is_none_or(|meant| find(meant).is_some()), "{clause}");
        }
    }

    #[test]
    fn a_secret_has_no_flag_and_stands_in_no_file() {
        for input in INPUTS.iter().filter(|i| i.ways == Ways::Secret) {
            assert!(!input.has_flag(), "{}", input.name);
        }
        let secrets: Vec<_> =
            INPUTS.iter().filter(|i| i.ways == Ways::Secret).map(|i| i.name).collect();
        assert_eq!(
            secrets,
            [
                "aws-access-key-id",
                "aws-secret-access-key",
                "aws-session-token",
                "github-token",
                "base-logins"
            ]
        );
    }
}
