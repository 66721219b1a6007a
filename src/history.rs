//! `status` and `history`: what serves, what a rollback would restore, what was shipped. Reads only.

use serde::Serialize;

use crate::cluster;
use crate::error::Unseen;
use crate::names::{Digest, Platform, Repository};
use crate::pipeline::journey::{Halt, Journey, Now};
use crate::record::{Entry, Fate};
use crate::report::{Event, Outcome, figures};
use crate::restore::short_commit;
use crate::survey::place::Place;
use crate::survey::platforms::list;
use crate::survey::{self, Facts};

/// One rollout of the history, with what holds now.
#[derive(Clone, Debug, Serialize)]
struct Row {
    commit: String,
    revision: Option<String>,
    shipped: String,
    run: String,
    digest: Digest,
    in_ecr: Option<bool>,
    ended: String,
}

/// What `status` says.
#[derive(Clone, Debug, Serialize)]
struct Status {
    target: String,
    cluster: String,
    serves: String,
    commit: Option<String>,
    digest: Option<Digest>,
    platforms: Vec<Platform>,
    ready: u32,
    wanted: u32,
    /// Absent where pods may not be listed.
    restarts: Option<u32>,
    shipped: Option<Row>,
    restore: Option<Row>,
}

/// Answers `status`.
pub async fn status(journey: &Journey<'_>) -> Outcome {
    answered(journey, |facts, place, rows| {
        let serving = place.serving();
        let (label, digest) = (serving.label(), serving.digest);
        let current = rows.iter().find(|row| Some(&row.digest) == digest.as_ref()).cloned();
        let status = Status {
            target: place.live.path(),
            cluster: journey
                .inputs
                .target
                .as_ref()
                .map(|t| t.cluster.to_string())
                .unwrap_or_default(),
            serves: label,
            commit: serving.commit,
            platforms: facts.serving_platforms(),
            digest,
            ready: place.health.ready,
            wanted: place.health.wanted,
            restarts: place.sees_pods.then_some(place.health.restarts),
            restore: rows.iter().find(|row| row.ended.ends_with("restore point")).cloned(),
            shipped: current,
        };
        (status_lines(&status, place), serde_json::to_value(&status).unwrap_or_default())
    })
    .await
}

/// Answers `history`.
pub async fn history(journey: &Journey<'_>) -> Outcome {
    answered(journey, |_, place, rows| {
        let mut lines = vec!["commit   rev  shipped (UTC)     ECR  ended".to_owned()];
        if rows.is_empty() {
            lines = vec![format!("slipway shipped nothing to {} yet", place.live.path())];
        }
        lines.extend(rows.iter().map(history_line));
        (lines, serde_json::to_value(rows).unwrap_or_default())
    })
    .await
}

/// Reads, answers, and says what could not be seen.
async fn answered(
    journey: &Journey<'_>,
    answer: impl FnOnce(&Facts, &Place, &[Row]) -> (Vec<String>, serde_json::Value),
) -> Outcome {
    match look(journey).await {
        Err(halt) => journey.halted(*halt),
        Ok((facts, rows)) => {
            let Some(place) = &facts.place else {
                return crate::pipeline::journey::outcome(crate::error::Ending::Bug);
            };
            let (lines, value) = answer(&facts, place, &rows);
            let command = journey.inputs.command.word().to_owned();
            journey.report.say(Event::Answered { command, lines, answer: value });
            let serving = place.serving().commit;
            Outcome {
                serving,
                ..crate::pipeline::journey::outcome(crate::error::Ending::Unchanged)
            }
        }
    }
}

async fn look(journey: &Journey<'_>) -> Result<(Facts, Vec<Row>), Box<Halt>> {
    let aws = journey.aws().map_err(Halt::before_reads)?;
    let looking =
        survey::look(journey.inputs, survey::Checked::default(), aws, journey.github.as_ref());
    let looked = journey.cancel.unless(looking).await.map_err(crate::pipeline::cancelled)?;
    let (facts, remotes) = looked.map_err(|failure| Halt::unseen(journey.inputs, failure))?;
    // Else another container's image would be told as the named one's.
    if let Some(place) = &facts.place
        && let Some(name) = &place.named
        && let Err(failure) = cluster::named(&place.live, name)
    {
        return Err(Halt::refused(vec![failure], &Now::of(&facts)));
    }
    let mut present = None;
    if let (Some(place), Some((repository, _))) = (&facts.place, &facts.repository) {
        present = present_of(place, repository, &remotes.aws)
            .await
            .inspect_err(|unseen| journey.report.say(Event::NotSeen(unseen.clone())))
            .ok();
    }
    let rows =
        facts.place.as_ref().map(|place| rows(place, present.as_deref())).unwrap_or_default();
    Ok((facts, rows))
}

async fn present_of(
    place: &Place,
    repository: &Repository,
    aws: &crate::aws::Aws,
) -> Result<Vec<Digest>, Unseen> {
    let mut digests: Vec<_> =
        place.record.history.iter().map(|entry| entry.digest.clone()).collect();
    digests.sort();
    digests.dedup();
    if digests.is_empty() { Ok(digests) } else { aws.present(repository, &digests).await }
}

/// The history as it holds now: the entry whose image is live serves; the newest healthy one behind
/// it is what a rollback by hand would go back to.
fn rows(place: &Place, present: Option<&[Digest]>) -> Vec<Row> {
    let live = place.serving().digest;
    let mut serving = None;
    let mut restore = None;
    let mut rows = Vec::new();
    for (n, entry) in place.record.history.iter().enumerate() {
        let ended = if serving.is_none() && Some(&entry.digest) == live.as_ref() {
            serving = Some(n);
            "serves".to_owned()
        } else if restore.is_none()
            && serving.is_some()
            && entry.fate == Fate::Healthy
            && Some(&entry.digest) != live.as_ref()
        {
            restore = Some(n);
            "healthy, restore point".to_owned()
        } else {
            fate(entry)
        };
        rows.push(row(entry, ended, present));
    }
    rows
}

fn fate(entry: &Entry) -> String {
    match &entry.fate {
        Fate::Rolling => "not known".into(),
        Fate::Healthy => "healthy".into(),
        Fate::Withdrawn(code) => format!("withdrawn, {code}"),
        Fate::Failed(code) => format!("failed, {code}"),
        Fate::Unwatched => "cancelled".into(),
    }
}

fn row(entry: &Entry, ended: String, present: Option<&[Digest]>) -> Row {
    Row {
        commit: entry.commit.clone(),
        revision: entry.revision.clone(),
        shipped: entry.mark.at.clone(),
        run: entry.mark.shown(),
        digest: entry.digest.clone(),
        in_ecr: present.map(|present| present.contains(&entry.digest)),
        ended,
    }
}

fn when(at: &str) -> String {
    at.parse()
        .map_or_else(|_| at.to_owned(), |at| figures::utc(at).trim_end_matches(" UTC").to_owned())
}

fn history_line(row: &Row) -> String {
    let ecr = match row.in_ecr {
        Some(true) => "yes",
        Some(false) => "no",
        None => "?",
    };
    let revision = row.revision.as_deref().unwrap_or("-");
    format!(
        "{:<7}  {revision:<3}  {:<16}  {ecr:<3}  {}",
        short_commit(&row.commit),
        when(&row.shipped),
        row.ended
    )
}

fn status_lines(status: &Status, place: &Place) -> Vec<String> {
    let mut lines = vec![format!("{} in {}", status.target, status.cluster)];
    let digest = status.digest.as_ref().map_or("", Digest::short);
    let platforms = if status.platforms.is_empty() {
        String::new()
    } else {
        format!("  {}", list(&status.platforms))
    };
    let counted = |restarts: u32| figures::count(restarts as usize, "restart");
    let restarts = status.restarts.map_or_else(|| "restarts not seen".to_owned(), counted);
    lines.push(format!(
        "  serves   {}  {digest}{platforms}  {}/{} ready, {restarts}",
        status.serves, status.ready, status.wanted
    ));
    match &status.shipped {
        Some(row) => lines.push(format!("  shipped  {} UTC by {}", when(&row.shipped), row.run)),
        None => lines.push("  shipped  not by slipway".into()),
    }
    if let Some(rolling) = &place.health.rolling {
        lines.push(format!("  rolling  {rolling}"));
    }
    lines.push(match &status.restore {
        Some(row) => {
            let ecr = match row.in_ecr {
                Some(true) => "in ECR",
                Some(false) => "no longer in ECR",
                None => "ECR not seen",
            };
            format!("  restore  {}  {ecr}", short_commit(&row.commit))
        }
        None => "  restore  nothing: no earlier healthy commit is known".into(),
    });
    lines
}
