//! Secrets that would leave, in the plan: warned of, or refused where `forbid-secrets` says so.

use std::collections::BTreeSet;

use crate::docker::EngineImage;
use crate::error::Failure;
use crate::image::Configured;
use crate::inputs::Inputs;
use crate::recipe::{self, Leak};
use crate::survey::source::Source;

use super::Draft;

/// What would be sent to a builder.
pub(super) fn context(inputs: &Inputs, leaks: &[Leak], draft: &mut Draft) {
    if !leaks.is_empty() {
        tell(inputs, recipe::refusal(leaks), draft);
    }
}

/// What an image that is there says to everybody who may pull it.
pub(super) fn image(inputs: &Inputs, source: &Source, draft: &mut Draft) {
    let found = match source {
        Source::Files(image) => of_configs(&image.configs),
        Source::Ecr(original) => of_configs(&original.held.configs),
        Source::Engine(given) => in_engine(&given.image),
    };
    in_image(found).into_iter().for_each(|failure| tell(inputs, failure, draft));
}

/// The same of one that an engine has.
#[must_use]
pub fn in_engine(image: &EngineImage) -> Vec<Leak> {
    let history: Vec<_> = image.history.iter().map(|made| made.by.clone()).collect();
    recipe::leaks_in_config(&image.env, &history, &image.labels)
}

fn of_configs(configs: &[Configured]) -> Vec<Leak> {
    let each =
        configs.iter().map(|one| recipe::leaks_in_config(&one.env, &one.history, &one.labels));
    each.flatten().collect()
}

/// The failure of an image that holds any. Those of several platforms say most things twice.
#[must_use]
pub fn in_image(leaks: impl IntoIterator<Item = Leak>) -> Option<Failure> {
    let leaks: Vec<_> = leaks.into_iter().collect::<BTreeSet<_>>().into_iter().collect();
    let mut failure = (!leaks.is_empty()).then(|| recipe::refusal(&leaks))?;
    failure.what = "a secret is in the image, for all who may pull it".into();
    failure.next =
        vec!["give steps what they need by `build-secrets`, and pods by a Secret".into()];
    Some(failure)
}

fn tell(inputs: &Inputs, failure: Failure, draft: &mut Draft) {
    if inputs.build.forbid_secrets {
        draft.refusals.push(failure);
    } else {
        draft.warnings.push((failure, false));
    }
}
