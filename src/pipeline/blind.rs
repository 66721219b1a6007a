//! The plan of a fork's pull request: it gets no secrets, so nothing of AWS or the cluster is seen,
//! and the rest is said. Never a refusal: a fork cannot mend it.

use super::journey::{self, Journey};
use crate::error::{Code, Ending, Failure, Unseen};
use crate::image;
use crate::report::{Event, Outcome, figures};
use crate::survey::platforms::list;
use crate::survey::{Checked, bench};

/// Plans what can be planned without credentials.
pub async fn plan(journey: &Journey<'_>) -> Outcome {
    let Checked { commit, unseen, .. } = journey.commit().await.unwrap_or_default();
    journey.start(commit.as_ref());
    unseen.into_iter().for_each(|unseen| journey.report.say(Event::NotSeen(unseen)));
    journey.report.say(Event::NotSeen(Unseen::new("AWS, cluster", "no secrets")));
    let mut rows = Vec::new();
    let mut row = |label: &str, text: String| rows.push((label.to_owned(), text));
    if let Some(commit) = &commit {
        row("commit", commit.short());
    }
    row("image", image(journey).await);
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

/// The image that was given, or the Dockerfile; whether ECR has the commit already is not seen.
async fn image(journey: &Journey<'_>) -> String {
    let told = |failure: Failure| format!("{}: {}", failure.code, failure.what);
    let Some(path) = &journey.inputs.image else {
        return match bench::materials(journey.inputs).await {
            Ok(materials) => format!("build {}, unless ECR has it", materials.shown),
            Err(failure) => told(failure),
        };
    };
    match image::open(path).await {
        Ok(image) => {
            let (digest, size) = (image.root.digest.short(), figures::size(image.size()));
            format!("`{path}` is {digest}, {size}, {}", list(&image.platforms))
        }
        // It may be a name in the engine or in ECR.
        Err(failure) if failure.code == Code::ImageMissing => format!("`{path}` is not seen here"),
        Err(failure) => told(failure),
    }
}
