//! The plan as people read it: a few rows of label and text. Pure.

use crate::aws::{Caller, How};
use crate::checkout::LOOKED_AT;
use crate::error::one_line;
use crate::inputs::Inputs;
use crate::report::figures;
use crate::restore::RestorePoint;
use crate::survey::Facts;
use crate::survey::platforms::list;

use super::image::Wanted;
use super::{ImageChange, Origin, WorkloadPlan, workload};

type Row = (String, String);

/// So many files of a changed tree are named.
const TOLD: usize = 3;

/// Every row that is known.
pub fn rows(
    inputs: &Inputs,
    facts: &Facts,
    wanted: Option<&Wanted>,
    workload: Option<&WorkloadPlan>,
    change: Option<&ImageChange>,
) -> Vec<Row> {
    let mut rows = vec![row("who", who(inputs, &facts.caller))];
    rows.extend(inputs.file.as_ref().map(|file| row("inputs", format!("also from `{file}`"))));
    rows.extend(tree(facts));
    rows.extend(wanted.map(|wanted| row("image", image(wanted))));
    if let Some(needs) = workload.and_then(|workload| workload.needs.as_ref()) {
        let mut text = format!("{}: {}", list(&needs.platforms), needs.because);
        if !inputs.platforms.is_empty() && inputs.platforms != needs.platforms {
            text.push_str(&format!(
                "; `platform`, {}, does not overrule that",
                list(&inputs.platforms)
            ));
        }
        rows.push(row("platform", text));
    }
    if let (Some(wanted), Some(change)) = (wanted, change) {
        rows.push(row("change", changed(wanted, change)));
    }
    if let Some(workload) = workload {
        rows.push(row(
            "restore",
            workload
                .restore
                .as_ref()
                .map_or_else(|| "nothing: no revision is healthy".into(), restored),
        ));
    }
    if let Some(place) = &facts.place {
        rows.extend(workload::strategy(&place.live).map(|said| row("strategy", said.into())));
    }
    match (inputs.push_only, workload) {
        (true, _) => rows.push(row("until", until(inputs, facts))),
        (false, Some(_)) => rows.push(row("watch", watch(inputs))),
        (false, None) => {}
    }
    rows
}

fn row(label: &str, text: String) -> Row {
    (label.into(), text)
}

/// Who this run is to AWS, and how.
#[must_use]
pub fn who(inputs: &Inputs, caller: &Caller) -> String {
    let how = match &caller.how {
        How::Oidc => "by OIDC",
        How::AccessKey => "by access key",
        How::SessionKeys => "by temporary keys",
        How::Role(_) => "by AssumeRole",
    };
    let expected = if inputs.expect_account.is_some() { " as expected" } else { "" };
    format!("{} {how}, account {}{expected}", caller.who.replace('`', ""), caller.account)
}

/// Where the run ends, and what has to follow where the tag is that of one platform.
fn until(inputs: &Inputs, facts: &Facts) -> String {
    match (&facts.commit, &inputs.platforms[..]) {
        (Some(commit), [only]) => {
            let short = commit.short();
            format!("the push of {only}: `index` puts it under {short}, nothing is rolled out")
        }
        _ => "the push: no rollout".into(),
    }
}

/// What makes an image one of a changed tree.
fn tree(facts: &Facts) -> Option<Row> {
    let commit = facts.commit.as_ref().filter(|commit| commit.dirty)?;
    let named: Vec<_> = facts
        .differs
        .iter()
        .take(TOLD)
        .map(|file| {
            let new = if file.is_new { " is new" } else { "" };
            format!("`{}`{new}", one_line(&file.path, 80))
        })
        .collect();
    let more = match facts.differs.len().saturating_sub(TOLD) {
        0 => String::new(),
        more if facts.differs.len() >= LOOKED_AT => format!(" and at least {more} more"),
        more => format!(" and {more} more"),
    };
    Some(row("tree", format!("differs from {}: {}{more}", commit.sha.short(), named.join(", "))))
}

fn image(wanted: &Wanted) -> String {
    let name = wanted.short();
    let create = if wanted.create { "create the repository, " } else { "" };
    match &wanted.origin {
        Origin::Reuse(digest) => format!("{name} is in ECR: {}", digest.short()),
        Origin::Take { shown, digest, size, .. } => {
            format!(
                "{name} is not in ECR: {create}push `{shown}`, {}, {}",
                digest.short(),
                figures::size(*size)
            )
        }
        Origin::Copy { shown, digest } => {
            format!("{name} is not in ECR: {create}copy `{shown}`, {}", digest.short())
        }
        Origin::Engine { shown, size, .. } => {
            format!(
                "{name} is not in ECR: {create}push `{shown}` of the engine, {}",
                figures::size(*size)
            )
        }
        Origin::Build(building) => {
            let target = building.target.as_ref();
            let target = target.map_or_else(String::new, |target| format!(", stage `{target}`"));
            format!("{name} is not in ECR: {create}build {}{target}", building.file)
        }
    }
}

fn changed(wanted: &Wanted, change: &ImageChange) -> String {
    let names: Vec<_> = change.containers.keys().map(|name| format!("`{name}`")).collect();
    let containers = if names.len() == 1 { "container" } else { "containers" };
    if change.unchanged {
        let short = wanted.commit.short();
        return match change.renames {
            true => format!("{}; only slipway's own annotations", unchanged(&names, "this image")),
            false => unchanged(&names, &short),
        };
    }
    format!(
        "{containers} {}: {} -> {}, and slipway's own annotations",
        names.join(", "),
        change.from_label,
        wanted.commit.short()
    )
}

fn unchanged(names: &[String], commit: &str) -> String {
    match names {
        [one] => format!("none: container {one} already runs {commit}"),
        many => format!("none: containers {} already run {commit}", many.join(", ")),
    }
}

fn restored(point: &RestorePoint) -> String {
    let digest = point.digest().map_or_else(String::new, |digest| format!(" {}", digest.short()));
    let ecr = match point.in_ecr {
        Some(true) => ", in ECR",
        Some(false) => ", no longer in ECR: its pods cannot move to another node",
        None => "",
    };
    let digest = if point.label == digest.trim() { String::new() } else { digest };
    format!("{}{digest}: {}/{} ready now{ecr}", point.label, point.ready, point.wanted)
}

fn watch(inputs: &Inputs) -> String {
    let patience = inputs.patience;
    let most = figures::setting(patience.timeout);
    if patience.bake.is_zero() {
        return format!("{most} at most");
    }
    format!("{most} at most, then {} without a restart", figures::setting(patience.bake))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_container_runs_and_several_run() {
        let names = ["`app`".to_owned(), "`worker`".to_owned()];
        assert_eq!(unchanged(&names[..1], "9f2c1e4"), "none: container `app` already runs 9f2c1e4");
        assert_eq!(
            unchanged(&names, "9f2c1e4"),
            "none: containers `app`, `worker` already run 9f2c1e4"
        );
    }
}
