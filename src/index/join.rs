//! Which parts belong together, and the index of them. Pure: the same parts are the same bytes, whoever joins
//! them and when, so that joining again changes nothing.

use std::collections::BTreeMap;

use crate::error::{Code, Failure, quoted};
use crate::image::{self, Configured, Image, is_index};
use crate::names::{Commit, Platform};
use crate::plan;
use crate::recipe::{CREATED, RECIPE, REVISION};
use crate::registry::Held;
use crate::survey::platforms::list;

use super::Facts;
use super::part::{Found, Part, short};

type Labels = BTreeMap<String, String>;

/// Whether the commit's tag has the very images of these platforms, with those that are still there: their own
/// tags are of no more use then, and a lifecycle policy may take them.
pub(super) fn covers(held: &Held, platforms: &[Platform], parts: &[&Part]) -> bool {
    let mut has = held.platforms.clone();
    has.sort();
    let known = |part: &&&Part| held.configs.iter().any(|c| c.manifest == part.image.digest);
    is_index(&held.manifest.media_type)
        && has == platforms
        && parts.iter().filter(known).count() == parts.len()
}

/// What the labels of the parts say against joining them.
pub(super) fn contradictions(commit: &Commit, parts: &[&Part]) -> Vec<Failure> {
    let mut failures: Vec<_> = parts
        .iter()
        .filter_map(|part| strange(commit, &short(commit, &part.platform), &part.labels))
        .collect();
    failures.extend(unlike(commit, parts));
    failures
}

/// The same of what was joined before.
pub(super) fn contradictions_within(commit: &Commit, configs: &[Configured]) -> Vec<Failure> {
    let mut failures: Vec<_> =
        configs.iter().filter_map(|one| strange(commit, &commit.short(), &one.labels)).collect();
    failures.dedup();
    failures
}

/// An image that says it is of another commit, or of a pull request.
fn strange(commit: &Commit, tag: &str, labels: &Labels) -> Option<Failure> {
    let why = plan::image::contradictions(commit, labels);
    let failure =
        Failure::new(Code::ImageRecipe, format!("tag {tag} holds an image of another recipe"));
    let next = format!(
        "ship a new commit, or `allow: {}` if it is the right image all the same",
        Code::ImageRecipe
    );
    (!why.is_empty()).then(|| Failure { why, ..failure }.next(next))
}

/// Parts of different recipes are different programs, whatever commit they are of.
fn unlike(commit: &Commit, parts: &[&Part]) -> Option<Failure> {
    let recipe = |part: &Part| part.labels.get(RECIPE).cloned();
    let first = parts.first().and_then(|part| recipe(part));
    if parts.iter().all(|part| recipe(part) == first) {
        return None;
    }
    let what = format!("the images of {} are of different recipes", commit.short());
    let mut failure = Failure::new(Code::ImageRecipe, what);
    failure.why.extend(parts.iter().map(|part| match recipe(part) {
        Some(recipe) => format!("{}: label {RECIPE} is {}", part.platform, quoted(&recipe)),
        None => format!("{}: no label {RECIPE}", part.platform),
    }));
    Some(failure.next(format!(
        "ship a new commit, built alike in all of its jobs, or `allow: {}` if they belong together",
        Code::ImageRecipe
    )))
}

/// Platforms without an image: what is there, and the two ways on.
pub(super) fn missing(facts: &Facts, platforms: &[Platform], is_usual: bool) -> Failure {
    let Facts { commit, repository, found, held, .. } = facts;
    let absent: Vec<Platform> = found.iter().filter_map(Found::absent).cloned().collect();
    let tags: Vec<_> = absent.iter().map(|platform| short(commit, platform)).collect();
    let what =
        format!("ECR `{repository}` has no image of {} for {}", commit.short(), list(&absent));
    let mut failure =
        Failure::new(Code::PlatformMissing, what).why(format!("no tag {}", tags.join(", no tag ")));
    let there: Vec<_> = found.iter().filter_map(Found::there).collect();
    failure.why.extend(there.iter().map(|part| format!("there: {}", part.row(commit))));
    failure.why.extend(held.as_ref().map(|held| {
        let digest = held.manifest.digest.short();
        format!("tag {} itself is there: {digest}, {}", commit.short(), list(&held.platforms))
    }));
    if is_usual {
        failure.why.push(format!("`platform` is empty: {} are expected", list(platforms)));
    }
    if held.is_some() {
        // Whatever the jobs push now, the tag stays what it is.
        return failure.next(AS_IT_IS);
    }
    let run = match absent.as_slice() {
        [one] => format!("run the job that pushes it, with `until: push` and `platform: {one}`"),
        all => {
            format!("run the jobs that push them, with `until: push` and `platform` {}", list(all))
        }
    };
    let only: Vec<_> = there.iter().map(|part| part.platform.to_string()).collect();
    match only.as_slice() {
        [] => failure.next(run),
        _ => failure.next(format!("{run}; or say `platform: {}` here", only.join(","))),
    }
}

/// The commit's tag holds something else.
pub(super) fn conflict(facts: &Facts, held: &Held, joined: &Image) -> Failure {
    let kind = if facts.is_immutable { "immutable tag" } else { "tag" };
    let what = format!("{kind} {} holds another image", facts.commit.short());
    Failure::new(Code::ImageConflict, what)
        .why(format!(
            "ECR has {}, {}; the index of {} is {}",
            held.manifest.digest.short(),
            list(&held.platforms),
            list(&joined.platforms),
            joined.root.digest.short()
        ))
        .next(AS_IT_IS)
}

const AS_IT_IS: &str = "leave `index` out to ship the one in ECR, or ship a new commit";

/// What a push tells of somebody who was faster, for somebody who pushes no image of their own.
pub(super) fn raced(mut failure: Failure) -> Failure {
    if failure.code == Code::ImageConflict && failure.what.starts_with("immutable") {
        failure.next = vec![AS_IT_IS.into()];
    }
    if failure.next.is_empty() {
        failure.next = vec!["run it again: it says so if a part is gone since it was read".into()];
    }
    failure
}

/// The index of these parts, ready to be pushed: nothing but itself is new.
pub(super) fn joined(commit: &Commit, parts: &[&Part]) -> Image {
    let mut parts = parts.to_vec();
    parts.sort_by_key(|part| &part.platform);
    let platforms: Vec<_> = parts.iter().map(|part| part.platform.clone()).collect();
    let mut annotations = Labels::from([(REVISION.to_owned(), commit.sha.to_string())]);
    annotations.extend(agreed(&parts).map(|created| (CREATED.to_owned(), created.to_owned())));
    let images: Vec<_> = parts.iter().map(|part| (&part.platform, &part.image)).collect();
    let about: Vec<_> = parts.iter().flat_map(|part| &part.attestations).collect();
    Image {
        shown: format!("index of {}", list(&platforms)),
        is_folder: false,
        root: image::joined(&images, &about, &annotations),
        children: Vec::new(),
        blobs: Vec::new(),
        platforms,
        configs: Vec::new(),
    }
}

/// The moment that all parts were made at, as they say: with SOURCE_DATE_EPOCH it is the commit's.
fn agreed<'a>(parts: &[&'a Part]) -> Option<&'a str> {
    let first = parts.first()?.created.as_deref()?;
    let is_time = first.parse::<jiff::Timestamp>().is_ok();
    let same = parts.iter().all(|part| part.created.as_deref() == Some(first));
    (is_time && same).then_some(first)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::Entry;
    use crate::names::Digest;
    use crate::recipe::EVENT;

    fn commit() -> Commit {
        let sha = "9f2c1e4000000000000000000000000000000000".parse().unwrap();
        Commit { sha, dirty: false }
    }

    fn entry(word: &str) -> Entry {
        Entry {
            media_type: "application/vnd.oci.image.manifest.v1+json".into(),
            digest: Digest::of(word.as_bytes()),
            size: 7,
            annotations: Labels::new(),
        }
    }

    fn part(platform: &str) -> Part {
        Part {
            platform: platform.parse().unwrap(),
            image: entry(platform),
            attestations: Vec::new(),
            labels: Labels::new(),
            created: None,
        }
    }

    fn labelled(platform: &str, labels: &[(&str, &str)]) -> Part {
        let labels = labels.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        Part { labels, ..part(platform) }
    }

    fn written(parts: &[&Part]) -> String {
        let joined = joined(&commit(), parts);
        assert_eq!(joined.root.digest, Digest::of(&joined.root.bytes));
        String::from_utf8(joined.root.bytes.to_vec()).unwrap()
    }

    #[test]
    fn an_index_is_the_same_bytes_in_whatever_order_its_parts_came() {
        let mut amd = part("linux/amd64");
        amd.attestations = vec![Entry {
            annotations: [(
                "vnd.docker.reference.type".to_owned(),
                "attestation-manifest".to_owned(),
            )]
            .into(),
            ..entry("provenance")
        }];
        let (arm, v7) = (part("linux/arm64/v8"), part("linux/arm/v7"));
        let first = written(&[&amd, &arm, &v7]);
        insta::assert_snapshot!(first, @r#"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"sha256:baf0239e48ff4c47ebac3ba02b5cf1506b69cd5a0c0d0c825a53ba65976fb942","size":7,"platform":{"architecture":"amd64","os":"linux"}},{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"sha256:35df9beb9b1c4fe630707bc51e4360b94b506b4e6d5372d5d0d52a385350621b","size":7,"platform":{"architecture":"arm","os":"linux","variant":"v7"}},{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"sha256:ddfa17b80e3d96ad44cd69f3a0dcb39e84143ffe057b2d3bfde0e72d8c0cf2c1","size":7,"platform":{"architecture":"arm64","os":"linux"}},{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"sha256:96d815328a42cb4ef89d5e0b7a1df6be43b484832c83a7b4596d8402c7c0b12b","size":7,"platform":{"architecture":"unknown","os":"unknown"},"annotations":{"vnd.docker.reference.type":"attestation-manifest"}}],"annotations":{"org.opencontainers.image.revision":"9f2c1e4000000000000000000000000000000000"}}"#);
        assert_eq!(written(&[&v7, &amd, &arm]), first);
    }

    #[test]
    fn a_moment_is_annotated_only_where_all_agree_on_one() {
        let at = |created: Option<&str>, platform: &str| Part {
            created: created.map(Into::into),
            ..part(platform)
        };
        let says = |one: Option<&str>, other: Option<&str>| {
            written(&[&at(one, "linux/amd64"), &at(other, "linux/arm64")]).contains(CREATED)
        };
        let moment = Some("2026-11-21T08:41:00Z");
        assert!(says(moment, moment));
        assert!(!says(moment, Some("2026-11-21T08:41:01Z")) && !says(moment, None));
        assert!(!says(None, None) && !says(Some("yesterday"), Some("yesterday")));
    }

    #[test]
    fn labels_contradict_or_say_nothing() {
        let of = |labels: &[(&str, &str)], others: &[(&str, &str)]| {
            let (one, other) = (labelled("linux/amd64", labels), labelled("linux/arm64", others));
            let failures = contradictions(&commit(), &[&one, &other]);
            failures.into_iter().map(|failure| failure.what).collect::<Vec<_>>().join("; ")
        };
        let sha = commit().sha.to_string();
        let revision = (REVISION, sha.as_str());
        assert_eq!(of(&[], &[]), "");
        assert_eq!(of(&[revision, (RECIPE, "r1")], &[(RECIPE, "r1")]), "");
        assert_eq!(of(&[(REVISION, "v1.2")], &[]), "", "no commit at all");
        let different = "the images of 9f2c1e4 are of different recipes";
        assert_eq!(of(&[(RECIPE, "r1")], &[(RECIPE, "r2")]), different);
        assert_eq!(of(&[(RECIPE, "r1")], &[]), different);
        let other = "a".repeat(40);
        assert_eq!(
            of(&[], &[(REVISION, &other)]),
            "tag 9f2c1e4-linux-arm64 holds an image of another recipe"
        );
        assert_eq!(
            of(&[(EVENT, "pull_request_target")], &[]),
            "tag 9f2c1e4-linux-amd64 holds an image of another recipe"
        );
    }
}
