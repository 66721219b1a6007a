//! What slipway writes about itself on a workload: metadata annotations, never the template's.
//!
//! Pure: annotations in, annotations out. A value that somebody mangled is read as absent, so that
//! a typo in an annotation can never stop a deploy; it is believed only where the live image proves it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::error::Code;
use crate::names::{CommitPrefix, Digest};

/// The prefix of every annotation that is ours.
pub const PREFIX: &str = "slipway.dev/";

/// What stands in place of a code where a person took a commit back.
pub const BY_HAND: &str = "by hand";

/// How many rollouts the history keeps.
const KEPT: usize = 12;

/// Annotations, as the API has them.
pub type Annotations = BTreeMap<String, String>;

/// Which run did something, and how it compares with other runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mark {
    /// Unlike every other run's: `4711.1` (run and attempt), or a name made up by a CLI run.
    pub run: String,
    /// The run's number in its workflow.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub number: Option<u64>,
    /// The workflow's file.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub workflow: Option<String>,
    /// The branch or tag.
    #[serde(rename = "ref", skip_serializing_if = "Option::is_none", default)]
    pub reference: Option<String>,
    /// When, in UTC.
    pub at: String,
}

impl Mark {
    /// `run 4711`, or the name of a CLI run.
    #[must_use]
    pub fn shown(&self) -> String {
        let id = self.run.split('.').next().unwrap_or(&self.run);
        if id.bytes().all(|b| b.is_ascii_digit()) { format!("run {id}") } else { self.run.clone() }
    }
}

/// The newest commit that slipway ever attempted here, and the run that did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Newest {
    /// The commit, whole.
    pub commit: String,
    /// The newest commit before it, where it was proven to come after that one.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub ahead_of: Option<String>,
    /// The run.
    #[serde(flatten)]
    pub mark: Mark,
}

/// What becomes of the high-water mark.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum HighWater {
    /// It stays.
    Stays,
    /// It moves to our commit, which is proven to come after it.
    Proven,
    /// It moves to our commit, though nothing proves an order.
    Unproven,
}

/// How a rollout ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fate {
    /// Not known to have ended.
    Rolling,
    /// It was ready and baked.
    Healthy,
    /// It failed with this code for a reason of its own, or a person took it back: it ships again
    /// only on purpose.
    Withdrawn(String),
    /// It failed with this code for a reason around it: it may ship again as it is.
    Failed(String),
    /// Its run was cancelled.
    Unwatched,
}

/// One rollout of the history.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// The commit, whole, with `-dirty` where the tree differed.
    pub commit: String,
    /// What was set.
    pub digest: Digest,
    /// How it ended.
    pub fate: Fate,
    /// The Deployment's revision, once it is known.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub revision: Option<String>,
    /// The run.
    #[serde(flatten)]
    pub mark: Mark,
}

/// Everything slipway wrote on one workload.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Record {
    /// The commit whose image slipway set last.
    pub commit: Option<String>,
    /// The digest it set.
    pub digest: Option<Digest>,
    /// The run that did.
    pub run: Option<String>,
    /// The high-water mark.
    pub newest: Option<Newest>,
    /// Newest first.
    pub history: Vec<Entry>,
}

impl Record {
    /// Reads what is there.
    #[must_use]
    pub fn read(annotations: &Annotations) -> Self {
        let text = |name: &str| annotations.get(&format!("{PREFIX}{name}"));
        Self {
            commit: text("commit").cloned(),
            digest: text("digest").and_then(|d| d.parse().ok()),
            run: text("run").cloned(),
            newest: text("newest").and_then(|json| serde_json::from_str(json).ok()),
            history: text("history")
                .and_then(|json| serde_json::from_str(json).ok())
                .unwrap_or_default(),
        }
    }

    /// The commit of the high-water mark.
    #[must_use]
    pub fn newest_commit(&self) -> Option<&str> {
        self.newest.as_ref().map(|newest| newest.commit.as_str())
    }

    /// Whether the workload still runs what this record says: else somebody else changed it since,
    /// and the record proves nothing about what is live.
    #[must_use]
    pub fn describes(&self, live: Option<&Digest>) -> bool {
        self.digest.is_some() && self.digest.as_ref() == live
    }

    /// The commit that slipway set this digest for, if it ever did.
    #[must_use]
    pub fn commit_of(&self, digest: &Digest) -> Option<&str> {
        let current = self.commit.as_deref().filter(|_| self.digest.as_ref() == Some(digest));
        current.or_else(|| {
            self.history.iter().find(|e| e.digest == *digest).map(|e| e.commit.as_str())
        })
    }

    /// The commits that were shipped and begin so, each with the image that it had last.
    #[must_use]
    pub fn shipped(&self, as_typed: &CommitPrefix) -> BTreeMap<&str, &Digest> {
        let newest_last = self.history.iter().rev();
        let matching = newest_last.filter(|entry| as_typed.matches(&entry.commit));
        matching.map(|entry| (entry.commit.as_str(), &entry.digest)).collect()
    }

    /// The code with which this image was taken back, unless a later attempt of it did better.
    #[must_use]
    pub fn withdrawn(&self, commit: &str, digest: Option<&Digest>) -> Option<&str> {
        self.taken_back(commit, digest).map(|(code, _)| code)
    }

    /// The same, with the commit that it happened to: another one may have the same image.
    #[must_use]
    pub fn taken_back(&self, commit: &str, digest: Option<&Digest>) -> Option<(&str, &str)> {
        let same = |entry: &&Entry| entry.commit == commit || Some(&entry.digest) == digest;
        let entry = self.history.iter().find(same)?;
        match &entry.fate {
            Fate::Withdrawn(code) => Some((code, &entry.commit)),
            Fate::Rolling | Fate::Healthy | Fate::Failed(_) | Fate::Unwatched => None,
        }
    }

    /// The annotations of the patch that sets an image.
    #[must_use]
    pub fn setting(
        &self,
        commit: &str,
        digest: &Digest,
        mark: &Mark,
        water: HighWater,
    ) -> Annotations {
        let entry = Entry {
            commit: commit.into(),
            digest: digest.clone(),
            fate: Fate::Rolling,
            revision: None,
            mark: mark.clone(),
        };
        self.with(entry, water)
    }

    /// The annotations that give an image which serves already its new commit: it is what it was
    /// under the old one, and a run that still watches it goes on.
    #[must_use]
    pub fn naming(
        &self,
        commit: &str,
        digest: &Digest,
        revision: Option<&str>,
        mark: &Mark,
        water: HighWater,
    ) -> Annotations {
        let before = self.history.iter().find(|entry| entry.digest == *digest);
        let fate = before.map_or(Fate::Rolling, |entry| entry.fate.clone());
        let watched = before.is_some_and(|entry| {
            entry.fate == Fate::Rolling && self.run.as_ref() == Some(&entry.mark.run)
        });
        let entry = Entry {
            commit: commit.into(),
            digest: digest.clone(),
            fate,
            revision: revision.map(Into::into),
            mark: mark.clone(),
        };
        let mut set = self.with(entry, water);
        if watched {
            set.remove(&format!("{PREFIX}run"));
        }
        set
    }

    /// Whether it says that this commit has this image.
    #[must_use]
    pub fn says(&self, commit: &str, digest: &Digest) -> bool {
        self.commit.as_deref() == Some(commit) && self.describes(Some(digest))
    }

    /// The annotations with one rollout more.
    fn with(&self, entry: Entry, water: HighWater) -> Annotations {
        let Entry { commit, digest, mark, .. } = entry.clone();
        let mut history = self.history.clone();
        // A run that had to write twice, its first answer lost, is one rollout.
        history.retain(|entry| entry.mark.run != mark.run);
        history.insert(0, entry);
        let mut set = write(&history);
        set.insert(format!("{PREFIX}commit"), commit.clone());
        set.insert(format!("{PREFIX}digest"), digest.to_string());
        set.insert(format!("{PREFIX}run"), mark.run.clone());
        if water != HighWater::Stays || self.newest.is_none() {
            let before = self.newest.as_ref().filter(|_| water == HighWater::Proven);
            let ahead_of = before.map(|newest| newest.commit.clone());
            insert_json(&mut set, "newest", &Newest { commit, ahead_of, mark });
        }
        set
    }

    /// The annotations of the patch that puts an image back after `run` failed: the failed commit is
    /// withdrawn, the high-water mark stays, so that nothing older slips in afterwards.
    #[must_use]
    pub fn restoring(
        &self,
        failed_run: &str,
        code: Code,
        commit: Option<&str>,
        digest: Option<&Digest>,
        mark: &Mark,
    ) -> Annotations {
        let fate = match code {
            // Nothing failed: it was not waited for.
            Code::RunCancelled => Fate::Unwatched,
            code if code.blames_the_image() => Fate::Withdrawn(code.to_string()),
            code => Fate::Failed(code.to_string()),
        };
        let mut history = self.with_fate(failed_run, &fate, None);
        // Going back by hand failed: what was withdrawn for it serves again, and is withdrawn no more.
        let again = |entry: &&mut Entry| {
            Some(entry.commit.as_str()) == commit && entry.fate == Fate::Withdrawn(BY_HAND.into())
        };
        history.iter_mut().filter(again).for_each(|entry| entry.fate = Fate::Healthy);
        let mut set = write(&history);
        set.insert(format!("{PREFIX}run"), format!("{}-back", mark.run));
        set.insert(format!("{PREFIX}commit"), commit.unwrap_or_default().into());
        set.insert(format!("{PREFIX}digest"), digest.map_or_else(String::new, ToString::to_string));
        set
    }

    /// The annotations of the patch that goes back to an earlier commit on purpose: what serves now is
    /// withdrawn, and the high-water mark stays.
    #[must_use]
    pub fn going_back(&self, commit: &str, digest: &Digest, mark: &Mark) -> Annotations {
        let serving = self.commit.clone();
        let mut taken_back = self.clone();
        for entry in taken_back
            .history
            .iter_mut()
            .filter(|entry| Some(&entry.commit) == serving.as_ref() && entry.commit != commit)
        {
            entry.fate = Fate::Withdrawn(BY_HAND.into());
        }
        taken_back.setting(commit, digest, mark, HighWater::Stays)
    }

    /// The annotations that say how a run ended.
    #[must_use]
    pub fn ending(&self, run: &str, fate: &Fate, revision: Option<&str>) -> Annotations {
        write(&self.with_fate(run, fate, revision))
    }

    fn with_fate(&self, run: &str, fate: &Fate, revision: Option<&str>) -> Vec<Entry> {
        let mut history = self.history.clone();
        let Some(own) = history.iter().position(|entry| entry.mark.run == run) else {
            return history;
        };
        let digest = history[own].digest.clone();
        // The same image got another commit's name meanwhile: that one ends as ours does.
        let named = |entry: &Entry| entry.digest == digest && entry.fate == Fate::Rolling;
        for (n, entry) in history.iter_mut().enumerate().take(own + 1) {
            if n == own || named(entry) {
                entry.fate = fate.clone();
                entry.revision = revision.map(Into::into).or(entry.revision.take());
            }
        }
        history
    }
}

fn write(history: &[Entry]) -> Annotations {
    let mut set = Annotations::new();
    insert_json(&mut set, "history", &history[..history.len().min(KEPT)]);
    set
}

fn insert_json<T: Serialize + ?Sized>(set: &mut Annotations, name: &str, value: &T) {
    // These types have only string keys, so serialising them cannot go wrong.
    if let Ok(json) = serde_json::to_string(value) {
        set.insert(format!("{PREFIX}{name}"), json);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mark(run: &str) -> Mark {
        Mark {
            run: run.into(),
            number: Some(12),
            workflow: Some("ship.yml".into()),
            reference: None,
            at: "2026-11-21T08:41:00Z".into(),
        }
    }

    fn applied(mut to: Annotations, set: Annotations) -> Annotations {
        to.extend(set);
        to
    }

    #[test]
    fn a_failed_commit_is_withdrawn_and_the_high_water_mark_stays() {
        let (good, bad) = (Digest::of(b"good"), Digest::of(b"bad"));
        let one = applied(
            Annotations::new(),
            Record::default().setting("aaaaaaa1", &good, &mark("1.1"), HighWater::Proven),
        );
        let one =
            applied(one.clone(), Record::read(&one).ending("1.1", &Fate::Healthy, Some("17")));
        let two = applied(
            one.clone(),
            Record::read(&one).setting("bbbbbbb2", &bad, &mark("2.1"), HighWater::Proven),
        );
        let back = Record::read(&two).restoring(
            "2.1",
            Code::CrashExit,
            Some("aaaaaaa1"),
            Some(&good),
            &mark("2.1"),
        );
        let record = Record::read(&applied(two, back));
        assert_eq!(record.newest.as_ref().map(|n| n.commit.as_str()), Some("bbbbbbb2"));
        assert_eq!(record.withdrawn("bbbbbbb2", None), Some("SW-CRASH-EXIT"));
        assert_eq!(record.withdrawn("ccccccc3", Some(&bad)), Some("SW-CRASH-EXIT"));
        assert_eq!(record.withdrawn("aaaaaaa1", Some(&good)), None);
        assert!(
            record.describes(Some(&good))
                && !record.describes(Some(&bad))
                && !record.describes(None)
        );
        assert_eq!(record.commit_of(&bad), Some("bbbbbbb2"));
        assert_eq!(record.run.as_deref(), Some("2.1-back"));
    }

    #[test]
    fn a_way_back_that_fails_leaves_what_serves_again_as_it_was() {
        let (old, new) = (Digest::of(b"old"), Digest::of(b"new"));
        let steps = |mut notes: Annotations, runs: [(&str, &str, &Digest); 2]| {
            for (run, commit, digest) in runs {
                let water = HighWater::Proven;
                let set = Record::read(&notes).setting(commit, digest, &mark(run), water);
                notes = applied(notes, set);
            }
            notes
        };
        let notes = steps(Annotations::new(), [("1.1", "old", &old), ("2.1", "new", &new)]);
        let set = Record::read(&notes).going_back("old", &old, &mark("3.1"));
        let notes = applied(notes, set);
        assert_eq!(Record::read(&notes).withdrawn("new", None), Some("by hand"));
        let record = Record::read(&notes);
        let set = record.restoring("3.1", Code::CrashExit, Some("new"), Some(&new), &mark("3.1"));
        let record = Record::read(&applied(notes, set));
        assert_eq!(record.withdrawn("new", None), None);
        assert_eq!(record.withdrawn("old", None), Some("SW-CRASH-EXIT"));
    }

    #[test]
    fn a_new_name_for_an_image_that_is_still_watched_leaves_the_watch_and_ends_with_it() {
        let image = Digest::of(b"image");
        let set = Record::default().setting("aaaaaaa1", &image, &mark("1.1"), HighWater::Proven);
        let notes = applied(Annotations::new(), set);
        let name = |notes: &Annotations| {
            let record = Record::read(notes);
            record.naming("bbbbbbb2", &image, Some("17"), &mark("2.1"), HighWater::Proven)
        };
        let watched = applied(notes.clone(), name(&notes));
        let record = Record::read(&watched);
        assert_eq!(
            (record.run.as_deref(), record.commit.as_deref()),
            (Some("1.1"), Some("bbbbbbb2"))
        );
        assert_eq!(record.newest_commit(), Some("bbbbbbb2"));
        assert!(record.says("bbbbbbb2", &image) && !record.says("aaaaaaa1", &image));
        let ended = applied(watched.clone(), record.ending("1.1", &Fate::Healthy, Some("17")));
        let fates: Vec<_> = Record::read(&ended).history.into_iter().map(|e| e.fate).collect();
        assert_eq!(fates, [Fate::Healthy, Fate::Healthy]);
        let failed = record.restoring("1.1", Code::CrashExit, None, None, &mark("1.1"));
        let record = Record::read(&applied(watched, failed));
        assert_eq!(record.withdrawn("bbbbbbb2", None), Some("SW-CRASH-EXIT"));
        // Nobody watches any more: the new name is healthy as the old one was.
        let set = Record::read(&notes).ending("1.1", &Fate::Healthy, Some("17"));
        let healthy = applied(notes, set);
        let record = Record::read(&applied(healthy.clone(), name(&healthy)));
        assert_eq!((record.run.as_deref(), &record.history[0].fate), (Some("2.1"), &Fate::Healthy));
    }

    #[test]
    fn mangled_annotations_are_read_as_absent() {
        let broken = [
            ("slipway.dev/newest", "{"),
            ("slipway.dev/history", "[1]"),
            ("slipway.dev/digest", "x"),
        ];
        let annotations = broken.map(|(k, v)| (k.to_owned(), v.to_owned())).into();
        assert_eq!(Record::read(&annotations), Record::default());
    }

    #[test]
    fn the_history_keeps_the_newest_twelve() {
        let mut annotations = Annotations::new();
        for n in 0..20 {
            let digest = Digest::of(&[n]);
            let set = Record::read(&annotations).setting(
                &format!("commit-{n}"),
                &digest,
                &mark(&n.to_string()),
                HighWater::Proven,
            );
            annotations = applied(annotations, set);
        }
        let history = Record::read(&annotations).history;
        assert_eq!(
            (history.len(), history[0].commit.as_str(), history[11].commit.as_str()),
            (12, "commit-19", "commit-8")
        );
    }
}
