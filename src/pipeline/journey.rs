//! One run's companions and its outcomes: who hears of it, how it is cancelled, and the first and
//! last words of every way it can end before a write.

use std::collections::BTreeMap;
use std::time::Instant;

use crate::aws::{Aws, Endpoints, RunName};
use crate::cancel::Cancel;
use crate::error::{Code, Ending, Failure, Severity, Told};
use crate::github::api::Github;
use crate::github::context::Context;
use crate::inputs::table::Command;
use crate::inputs::{Inputs, Intent};
use crate::names::{Commit, ImageRef};
use crate::plan::{Plan, Run, image};
use crate::publish::Published;
use crate::record::Fate;
use crate::report::{Event, Outcome, Reporter, Started, figures};
use crate::survey::{self, Facts, place::Place};

/// What a run has from its beginning to its end.
pub struct Journey<'a> {
    /// What it was given.
    pub inputs: &'a Inputs,
    /// What GitHub says about it; absent off a runner.
    pub context: Option<&'a Context>,
    /// Who it is.
    pub run: Run,
    /// GitHub's API; absent where nothing says which repository, or by hand without a token.
    pub github: Option<Github>,
    /// Who hears of it.
    pub report: &'a Reporter,
    /// The ear for signals.
    pub cancel: &'a Cancel,
    /// Masks a secret the moment it is born.
    pub secrets: std::sync::Arc<dyn Fn(&str) + Send + Sync>,
    /// When it began.
    pub begun: Instant,
}

/// Why a run stops before it wrote to the cluster, and the first words of that.
pub struct Halt {
    ending: Ending,
    failures: Vec<Failure>,
    now: String,
    serving: Option<String>,
    /// It speaks against a plan that could be made.
    planned: bool,
}

/// What serves, as it was last read.
pub struct Now {
    said: String,
    commit: Option<String>,
}

impl Now {
    /// Nobody looked: it is of no account.
    #[must_use]
    pub fn unlooked() -> Self {
        Self::unseen("not looked at")
    }

    /// Nothing is known of it.
    fn unseen(said: &str) -> Self {
        Self { said: said.into(), commit: None }
    }

    /// From the survey.
    #[must_use]
    pub fn of(facts: &Facts) -> Self {
        facts.place.as_ref().map_or_else(|| Self::unseen("not looked at"), Self::at)
    }

    /// From the workload: the label of what its ready pods run, and how many are ready.
    #[must_use]
    pub fn at(place: &Place) -> Self {
        let (health, serving) = (&place.health, place.serving());
        let label = serving.label();
        // Without a look at the pods nothing proves that they run what is set.
        let verb = if health.ready == 0 || !place.sees_pods { "is set" } else { "serves" };
        Self {
            said: format!("{label} {verb}, {}/{} ready", health.ready, health.wanted),
            commit: serving.commit,
        }
    }
}

impl Halt {
    fn of(ending: Ending, failures: Vec<Failure>, now: &Now) -> Box<Self> {
        let (now, serving) = (now.said.clone(), now.commit.clone());
        Box::new(Self { ending, failures, now, serving, planned: false })
    }

    /// Stopped before anything was read.
    #[must_use]
    pub fn before_reads(failure: Failure) -> Box<Self> {
        Self::of(Ending::Refused, vec![failure], &Now::unseen("not looked at"))
    }

    /// A read failed that everything else depends on.
    #[must_use]
    pub fn unseen(inputs: &Inputs, failure: Failure) -> Box<Self> {
        // What is wrong here on this machine says nothing about whether the cluster can be seen.
        let here =
            matches!(failure.code, Code::ImageMissing | Code::ImageInvalid | Code::WorkloadKind);
        // With `until: push` nobody looks, whatever else could not be read.
        let now = match &inputs.target {
            Some(_) if !here => "not visible",
            _ => "not looked at",
        };
        Self::of(Ending::Refused, vec![failure], &Now::unseen(now))
    }

    /// Refused by the plan, for all of these reasons.
    #[must_use]
    pub fn refused(failures: Vec<Failure>, now: &Now) -> Box<Self> {
        let mut halt = Self::of(Ending::Refused, failures, now);
        halt.planned = true;
        halt
    }

    /// The push failed.
    #[must_use]
    pub fn not_deployed(failure: Failure, now: &Now) -> Box<Self> {
        Self::of(Ending::NotDeployed, vec![failure], now)
    }

    /// What was made and pushed may not be rolled out, for all of these reasons.
    #[must_use]
    pub fn all_not_deployed(failures: Vec<Failure>, now: &Now) -> Box<Self> {
        Self::of(Ending::NotDeployed, failures, now)
    }

    /// Refused by clearance: ECR may have been written to by then.
    #[must_use]
    pub fn at_the_gate(failure: Failure, wrote: bool, now: &Now) -> Box<Self> {
        let ending = if wrote { Ending::NotDeployed } else { Ending::Refused };
        Self::of(ending, vec![failure], now)
    }

    /// What stopped it, in one clause.
    #[must_use]
    pub fn what(&self) -> &str {
        self.failures.first().map_or("", |failure| &failure.what)
    }

    /// Its failure, where the workload still has the plan's image and nobody asked to stop: then it
    /// halts nothing.
    ///
    /// # Errors
    /// Itself, otherwise.
    pub fn unless_it_serves(
        mut self: Box<Self>,
        plan: &Plan,
        place: &Place,
    ) -> Result<Failure, Box<Self>> {
        let digest = plan.image().and_then(|image| image.origin.digest());
        let set = |name: &String| {
            let container = place.live.container(name);
            digest.is_some()
                && container.and_then(|c| crate::restore::pinned(&c.image)).as_ref() == digest
        };
        let serves = plan.change().is_some_and(|change| change.containers.keys().all(set));
        let stops = |failure: &Failure| matches!(failure.code, Code::RunCancelled | Code::RunBug);
        if !serves || self.failures.iter().any(stops) {
            return Err(self);
        }
        self.failures.pop().ok_or(self)
    }
}

/// The first words of a block, which say what was not done.
#[must_use]
pub fn first_words(ending: Ending) -> &'static str {
    match ending {
        Ending::BadInput => "nothing was read or written",
        Ending::NotDeployed => "nothing was deployed",
        _ => "nothing was written",
    }
}

/// A block for a run that ends before a write, with the words that say what was not done.
#[must_use]
pub fn told(first: &str, failure: Failure, now: &str) -> Told {
    let Failure { code, what, why, next } = failure;
    let what = format!("{first}: {what}");
    Told { severity: Severity::Error, code, what, why, now: Some(now.to_owned()), next }
}

impl Journey<'_> {
    /// The commit to ship, and how the tree differs from it.
    ///
    /// # Errors
    /// What `survey::commit` refuses.
    pub async fn commit(&self) -> Result<survey::Checked, Box<Failure>> {
        match self.inputs.intent {
            Intent::Ship => survey::commit(self.inputs, self.context).await.map_err(Box::new),
            Intent::Rollback(_) => Ok(survey::Checked::default()),
        }
    }

    /// AWS, as the identity of the inputs.
    ///
    /// # Errors
    /// No identity, or roots that cannot be read.
    pub fn aws(&self) -> Result<Aws, Failure> {
        let identity = self
            .inputs
            .identity
            .clone()
            .ok_or_else(|| Failure::new(Code::InputMissing, "no AWS credentials"))?;
        let endpoints = &self.inputs.endpoints;
        let endpoints = Endpoints {
            sts: endpoints.sts.clone(),
            ecr: endpoints.ecr.clone(),
            eks: endpoints.eks.clone(),
        };
        let secrets = self.secrets.clone();
        Aws::new(
            identity,
            self.inputs.region.clone(),
            endpoints,
            RunName::new(&self.run.mark.run),
            move |secret| secrets(secret),
        )
    }

    /// The first line.
    pub fn start(&self, commit: Option<&Commit>) {
        let to = match &self.inputs.intent {
            Intent::Ship => commit.map(Commit::short),
            Intent::Rollback(to) => Some(to.as_str().to_owned()),
        };
        let merge = self.context.and_then(|context| context.event.pull_request);
        self.report.say(Event::Started(Started {
            version: env!("CARGO_PKG_VERSION").into(),
            command: self.inputs.command.word().into(),
            commit: to,
            note: merge.map(|number| format!("merge of pull request {number}")),
            target: self.inputs.target.as_ref().map(crate::plan::path),
            cluster: self.inputs.target.as_ref().map(|target| target.cluster.to_string()),
        }));
        for (name, value) in &self.inputs.endpoints.overrides {
            self.report.say(Event::Overridden { name: name.clone(), value: value.clone() });
        }
    }

    /// A warning or a notice of the plan.
    pub fn warn(&self, failure: Failure, notice: bool) {
        let severity = if notice { Severity::Notice } else { Severity::Warning };
        let Failure { code, what, why, next } = failure;
        self.report.say(Event::Told(Told { severity, code, what, why, now: None, next }));
    }

    /// Tells every block of a halt; the first decides the outcome.
    #[must_use]
    pub fn halted(&self, halt: Halt) -> Outcome {
        let Halt { ending, failures, now, serving, planned } = halt;
        let is_bug = failures.iter().any(|failure| failure.code == Code::RunBug);
        let ending = if is_bug { Ending::Bug } else { ending };
        let first = match self.inputs.command {
            Command::Plan if planned => "nothing would be written",
            _ => first_words(ending),
        };
        let mut blocks: Vec<_> =
            failures.into_iter().map(|failure| told(first, failure, &now)).collect();
        // One `now` for all of them would be said again and again: the last block has it.
        let last = blocks.len().saturating_sub(1);
        blocks.iter_mut().take(last).for_each(|block| block.now = None);
        blocks.iter().for_each(|block| self.report.say(Event::Told(block.clone())));
        let mut told = blocks.into_iter().next();
        if let Some(told) = &mut told {
            told.now = Some(now);
        }
        Outcome { told, serving, ..outcome(ending) }
    }

    /// The plan's image, as it is named in the workload and in the outputs.
    #[must_use]
    pub fn reference(&self, plan: &Plan, uri: Option<&ImageRef>) -> Option<ImageRef> {
        let planned = plan.image()?;
        let digest = planned.origin.digest()?;
        Some(image::reference(uri?, &planned.tag, digest, self.inputs.spelling))
    }

    /// A plan that nothing speaks against.
    #[must_use]
    pub fn planned(&self, plan: &Plan, facts: &Facts) -> Outcome {
        Outcome {
            plan: serde_json::to_value(plan).ok(),
            image: self.reference(plan, facts.uri.as_ref()),
            serving: Now::of(facts).commit,
            ..outcome(Ending::Unchanged)
        }
    }

    /// It already serves.
    #[must_use]
    pub fn unchanged(&self, plan: &Plan, facts: &Facts) -> Outcome {
        let ready = facts.place.as_ref().map_or_else(String::new, |place| {
            format!(", {}/{} ready", place.health.ready, place.health.wanted)
        });
        let target = self.inputs.target.as_ref().map(crate::plan::path).unwrap_or_default();
        Outcome {
            line: Some(format!(
                "unchanged: {} already serves in {target}{ready}{}",
                plan.short(),
                bake_of_another(facts, &self.run)
            )),
            serving: Some(plan.commit.tag().to_string()),
            image: self.reference(plan, facts.uri.as_ref()),
            platforms: plan.image().map(|image| image.has.clone()).unwrap_or_default(),
            ..outcome(Ending::Unchanged)
        }
    }

    /// `until: push`.
    #[must_use]
    pub fn pushed(&self, plan: &Plan, published: &Published) -> Outcome {
        let name = plan.image().map_or_else(String::new, |planned| {
            format!("{}:{}", planned.repository, image::short_tag(&planned.tag, &plan.commit))
        });
        let verb = if published.wrote { "pushed" } else { "unchanged: ECR already has" };
        let ending = if published.wrote { Ending::Shipped } else { Ending::Unchanged };
        Outcome {
            line: Some(format!(
                "{verb} {name} in {}, no rollout was asked for",
                figures::took(self.begun.elapsed())
            )),
            image: self.reference(plan, published.uri()),
            platforms: plan.image().map(|image| image.has.clone()).unwrap_or_default(),
            ..outcome(ending)
        }
    }
}

/// Whose bake of the image that serves is not known to be over. It is said and not waited for: that
/// run, which has the restore point, watches it; a second watch would only take it away from there.
fn bake_of_another(facts: &Facts, run: &Run) -> String {
    let Some(place) = &facts.place else { return String::new() };
    let digest = place.serving().digest;
    let entry = place.record.history.iter().find(|entry| Some(&entry.digest) == digest.as_ref());
    let Some(entry) = entry.filter(|entry| entry.mark.run != run.mark.run) else {
        return String::new();
    };
    let who = entry.mark.shown();
    match entry.fate {
        Fate::Rolling => format!("; {who} has not said yet that its bake is over"),
        Fate::Unwatched => format!("; {who} was cancelled before its bake was over"),
        Fate::Healthy | Fate::Withdrawn(_) | Fate::Failed(_) => String::new(),
    }
}

/// An outcome with nothing but its ending.
#[must_use]
pub fn outcome(ending: Ending) -> Outcome {
    Outcome {
        ending,
        line: None,
        told: None,
        serving: None,
        image: None,
        platforms: Vec::new(),
        plan: None,
        services: BTreeMap::new(),
    }
}

/// The outcome of a block that is told at once.
#[must_use]
pub fn told_outcome(ending: Ending, failure: Failure, now: &str, report: &Reporter) -> Outcome {
    let told = told(first_words(ending), failure, now);
    report.say(Event::Told(told.clone()));
    Outcome { told: Some(told), ..outcome(ending) }
}
