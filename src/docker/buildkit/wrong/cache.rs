//! A cache that the builder cannot write where `cache-to` says.

use super::super::super::told;
use super::base::{self, Answer};
use super::{Ended, Said};
use crate::error::{Code, Failure};

/// What builders call the writing of a cache, whatever they write it to.
const WRITING: &str = "exporting cache";

impl Ended<'_> {
    /// All was built, and its cache does not get where it should be kept.
    pub(super) fn of_cache(&self, said: &Said<'_>) -> Option<Failure> {
        said.step.filter(|step| step.name.starts_with(WRITING))?;
        let words = said.words.as_str();
        let builder = format!("the builder: {}", told::end_of(words));
        let Some(reference) = self.kept_at(words) else {
            let failure =
                Failure::new(Code::BuildEngine, "the cache of `cache-to` cannot be written");
            return Some(
                failure
                    .why(builder)
                    .next("act on the builder's words, or add `ignore-error=true` to `cache-to`"),
            );
        };
        let (why, next) = self.unwritten(words, reference);
        let what = format!("the cache at `{reference}` cannot be written");
        let failure = Failure::new(Code::BuildEngine, what);
        let failure = why.into_iter().fold(failure, Failure::why).why(builder);
        Some(failure.next(next).next(format!(
            "or let the build go on without it: `cache-to: type=registry,ref={reference},ignore-error=true`"
        )))
    }

    /// The reference of `cache-to` that the words are about.
    fn kept_at(&self, words: &str) -> Option<&str> {
        let caches = self.order.cache_to.iter();
        let all: Vec<&str> =
            caches.filter_map(|cache| cache.attributes.get("ref")).map(String::as_str).collect();
        match all.as_slice() {
            [only] => Some(only),
            // Words name it by the address that was asked.
            several => several.iter().copied().find(|reference| {
                words.contains(&format!("/{}/", base::path(reference)))
                    && words.contains(base::host(reference))
            }),
        }
    }

    /// Why the host does not take it, if its answer says so, and what to do.
    fn unwritten(&self, words: &str, reference: &str) -> (Option<String>, String) {
        let host = base::host(reference);
        let low = words.to_ascii_lowercase();
        if low.contains("immutable") || low.contains("tag invalid") {
            let why = "its tag is there, and cannot be written anew";
            return (Some(why.into()), "give the cache a repository with mutable tags".into());
        }
        match base::answer(words, reference) {
            Some(Answer::Denied | Answer::Login) => self.not_let(host),
            Some(Answer::Absent) => (
                Some(format!("{host} has no such repository")),
                "make that repository, with mutable tags".into(),
            ),
            Some(Answer::TooMany) => {
                (Some(format!("{host} takes no more for now")), "run it again later".into())
            }
            // The same of whatever is asked of a host.
            Some(
                Answer::OutOfOrder | Answer::Plaintext | Answer::Untrusted | Answer::Unreached,
            ) => {
                let asked =
                    base::Asked { image: reference, host, place: "`cache-to`", platform: None };
                let (why, next) = base::cause(self.order, words, &asked);
                (Some(why), next)
            }
            _ => (None, "act on the builder's words".into()),
        }
    }

    /// Whose login it was that may not write.
    fn not_let(&self, host: &str) -> (Option<String>, String) {
        let (why, next) = match base::login(self.order, host) {
            Some(login) if login.is_ours => (
                "this run's own login may not write there, or there is no such repository".into(),
                "let the run's role or user push to that repository".into(),
            ),
            Some(_) => (
                format!("the login for {host} in `base-logins` may not write there"),
                format!("give a login for {host} in `base-logins` that may push there"),
            ),
            None => (
                format!("{host} asks for a login to write there"),
                format!("add a login for {host} that may push there to the input `base-logins`"),
            ),
        };
        (Some(why), next)
    }
}
