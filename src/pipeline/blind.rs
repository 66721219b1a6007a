//! The plan of a fork's pull request: it gets no secrets, so nothing of AWS or the cluster is seen,
//! and the rest is said. Never a refusal: a fork cannot mend it.

use super::journey::{self, Journey};
use crate::error::{Ending, Unseen};
use crate::image;
use crate::report::{Event, Outcome, figures};
use crate::survey::platforms::list;

/// Plans what can be planned without credentials.
pub async fn plan(journey: &Journey<'_>) -> Outcome {
    let (commit, unseen) = journey.commit().await.unwrap_or_default();
    journey.start(commit.as_ref());
    unseen.into_iter().for_each(|unseen| journey.report.say(Event::NotSeen(unseen)));
    journey.report.say(Event::NotSeen(Unseen::new("AWS, cluster", "no secrets")));
    let mut rows = Vec::new();
    let mut row = |label: &str, text: String| rows.push((label.to_owned(), text));
    if let Some(commit) = &commit {
        row("commit", commit.short());
    }
    if let Some(path) = &journey.inputs.image {
        match image::open(path).await {
            Ok(image) => {
                let size = figures::size(image.size());
                row(
                    "image",
                    format!(
                        "`{path}` is {}, {size}, {}",
                        image.root.digest.short(),
                        list(&image.platforms)
                    ),
                );
            }
            Err(failure) => row("image", format!("{}: {}", failure.code, failure.what)),
        }
    }
    if let Some(target) = &journey.inputs.target {
        row(
            "change",
            format!(
                "{} in {}, as far as can be said here",
                crate::plan::path(target),
                target.cluster
            ),
        );
    }
    journey.report.say(Event::Planned { rows });
    journey::outcome(Ending::Unchanged)
}
