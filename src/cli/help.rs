//! Help, made from the table of inputs: nothing is listed twice, and nothing that does not work.

use crate::inputs::table::{Command, Group, INPUTS, Input, Ways};

const WIDEST: usize = 100;

/// The help of one command, or of all.
#[must_use]
pub fn text(command: Option<Command>) -> String {
    match command {
        None => overview(),
        Some(command) if command.takes_inputs() => inputs(command),
        Some(command) => {
            format!("usage: slipway {}\n\n{}\n", usage(command), more(command))
        }
    }
}

/// What the list of commands has no room for.
fn more(command: Command) -> &'static str {
    match command {
        Command::Completions => {
            "bash  source <(slipway completions bash)\nzsh   slipway completions zsh > \"${fpath[1]}/_slipway\"\nfish  slipway completions fish > ~/.config/fish/completions/slipway.fish"
        }
        Command::Sandbox => {
            "the demo's AWS, cluster and GitHub on 127.0.0.1, kept running until Ctrl-C: prints what\nanother shell needs, and lines to try there; without PORT a free one is taken"
        }
        other => other.about(),
    }
}

fn usage(command: Command) -> &'static str {
    match command {
        Command::Explain => "explain CODE   (or `exit`; without a code, all of them)",
        Command::Completions => "completions bash|zsh|fish",
        Command::Sandbox => "sandbox [PORT]",
        other => other.word(),
    }
}

fn offered(command: Command) -> bool {
    cfg!(feature = "sandbox") || !matches!(command, Command::Demo | Command::Sandbox)
}

/// Commands that the overview only names.
fn is_beside(command: Command) -> bool {
    matches!(command, Command::Index | Command::Sandbox | Command::Completions)
}

fn overview() -> String {
    let version = env!("CARGO_PKG_VERSION");
    let mut text = format!(
        "slipway {version}: from a commit to running pods on EKS, explained and undone when it fails\n\n"
    );
    let main = Command::ALL.iter().filter(|c| offered(**c) && !is_beside(**c));
    for command in main {
        text.push_str(&format!("  {:<8}  {}\n", command.word(), command.about()));
    }
    let also = Command::ALL.iter().filter(|c| offered(**c) && is_beside(**c));
    let also: Vec<_> = also
        .map(|c| match c {
            Command::Index => "index (join a commit's platforms)",
            Command::Sandbox => "sandbox (the demo, kept running)",
            _ => "completions",
        })
        .collect();
    text.push_str(&format!("\nalso: {}\n", also.join(", ")));
    let first = if cfg!(feature = "sandbox") { "first: slipway demo   " } else { "" };
    text.push_str(&format!("{first}inputs: slipway ship -h   exit codes: slipway explain exit\n"));
    text
}

fn inputs(command: Command) -> String {
    let mut text = format!(
        "usage: slipway {} [--INPUT VALUE]...  flag, else action input, environment, slipway.yml; empty = absent\n",
        command.word()
    );
    for group in Group::ALL {
        let items: Vec<_> = INPUTS
            .iter()
            .filter(|i| i.group == *group && i.has_flag() && fits(i, command))
            .map(item)
            .collect();
        if items.is_empty() {
            continue;
        }
        text.push_str(&row(group.word(), &items));
        if *group == Group::Who {
            let secret: Vec<_> = INPUTS
                .iter()
                .filter(|i| i.ways == Ways::Secret)
                .map(|i| i.name.to_owned())
                .collect();
            text.push_str(&row("", &[format!("no flags: {}", secret.join(" "))]));
        }
    }
    text
}

/// `to` is what a rollback is about, and what a ship refuses.
fn fits(input: &Input, command: Command) -> bool {
    match input.name {
        "to" => command == Command::Rollback,
        "image" | "create-repository" | "until" => {
            matches!(command, Command::Ship | Command::Plan)
        }
        "commit" | "context" => matches!(command, Command::Ship | Command::Plan | Command::Index),
        "platform" => command != Command::Status && command != Command::History,
        _ if input.group == Group::Build => matches!(command, Command::Ship | Command::Plan),
        _ if command == Command::Index => !matches!(input.group, Group::Where | Group::Watch),
        "reference" | "timeout" | "bake" | "on-cancel" | "allow" => {
            matches!(command, Command::Ship | Command::Plan | Command::Rollback)
        }
        _ => true,
    }
}

fn item(input: &Input) -> String {
    if input.hint.is_empty() {
        format!("--{}", input.name)
    } else {
        format!("--{} {}", input.name, input.hint)
    }
}

/// Items of a row, wrapped under each other.
fn row(label: &str, items: &[String]) -> String {
    let mut lines = vec![format!("{label:<6}")];
    for item in items {
        let last = lines.last_mut();
        match last {
            Some(line) if line.trim().is_empty() || line.trim() == label => {
                let gap = if line.ends_with("      ") || line.len() == 6 { " " } else { "  " };
                line.push_str(&format!("{gap}{item}"));
            }
            Some(line) if line.len() + 2 + item.len() <= WIDEST => {
                line.push_str(&format!("  {item}"))
            }
            _ => lines.push(format!("       {item}")),
        }
    }
    lines.iter().map(|line| format!("{}\n", line.trim_end())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn help_lists_what_there_is() {
        insta::assert_snapshot!(text(None), @"
        slipway 0.1.0: from a commit to running pods on EKS, explained and undone when it fails

          ship      build or take the image, push, roll out, watch, roll back on failure
          plan      the same, up to the first write
          rollback  put an earlier commit back
          status    what serves, what a rollback would restore
          history   what was shipped, how it ended, what ECR still has
          explain   the page of a code: slipway explain SW-PULL-403
          demo      the whole line: no account, cluster or Docker

        also: index (join a commit's platforms), sandbox (the demo, kept running), completions
        first: slipway demo   inputs: slipway ship -h   exit codes: slipway explain exit
        ");
        insta::assert_snapshot!(text(Some(Command::Ship)), @"
        usage: slipway ship [--INPUT VALUE]...  flag, else action input, environment, slipway.yml; empty = absent
        who    --role-to-assume (OIDC)  --aws-region  --expect-account
               no flags: aws-access-key-id aws-secret-access-key aws-session-token github-token base-logins
        image  --repository (tag: the commit)  --commit  --context [.]
               --image (OCI layout, docker-archive, engine image, ECR reference: build nothing)
               --platform (no default: read from pod constraints, nodes, node groups, live image)
               --create-repository
        build  --file [Dockerfile]  --target STAGE  --build-args NAME=VALUE  --build-secrets ID=VARIABLE
               --labels NAME=VALUE  --cache-from REF  --cache-to REF  --no-cache  --pull  --forbid-secrets
        where  --cluster  --namespace  --workload KIND/NAME  --container  --reference [tag-and-digest]
        watch  --timeout [10m]  --bake [30s] without a restart  --on-cancel rollback
        run    --until push (no rollout)  --allow CODE (overrule that refusal)  --json
               --config [slipway.yml]
        ");
        insta::assert_snapshot!(text(Some(Command::Rollback)), @"
        usage: slipway rollback [--INPUT VALUE]...  flag, else action input, environment, slipway.yml; empty = absent
        who    --role-to-assume (OIDC)  --aws-region  --expect-account
               no flags: aws-access-key-id aws-secret-access-key aws-session-token github-token base-logins
        image  --repository (tag: the commit)
               --platform (no default: read from pod constraints, nodes, node groups, live image)
        where  --cluster  --namespace  --workload KIND/NAME  --container  --reference [tag-and-digest]
        watch  --timeout [10m]  --bake [30s] without a restart  --on-cancel rollback
        run    --to COMMIT  --allow CODE (overrule that refusal)  --json  --config [slipway.yml]
        ");
        insta::assert_snapshot!(text(Some(Command::Status)), @"
        usage: slipway status [--INPUT VALUE]...  flag, else action input, environment, slipway.yml; empty = absent
        who    --role-to-assume (OIDC)  --aws-region  --expect-account
               no flags: aws-access-key-id aws-secret-access-key aws-session-token github-token base-logins
        image  --repository (tag: the commit)
        where  --cluster  --namespace  --workload KIND/NAME  --container
        run    --json  --config [slipway.yml]
        ");
        insta::assert_snapshot!(text(Some(Command::Sandbox)), @"
        usage: slipway sandbox [PORT]

        the demo's AWS, cluster and GitHub on 127.0.0.1, kept running until Ctrl-C: prints what
        another shell needs, and lines to try there; without PORT a free one is taken
        ");
        insta::assert_snapshot!(text(Some(Command::Completions)), @r#"
        usage: slipway completions bash|zsh|fish

        bash  source <(slipway completions bash)
        zsh   slipway completions zsh > "${fpath[1]}/_slipway"
        fish  slipway completions fish > ~/.config/fish/completions/slipway.fish
        "#);
        insta::assert_snapshot!(text(Some(Command::Explain)), @"
        usage: slipway explain CODE   (or `exit`; without a code, all of them)

        the page of a code: slipway explain SW-PULL-403
        ");
    }
}
