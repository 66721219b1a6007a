//! A cache that cannot be written, and words that are long.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use insta::assert_snapshot;

use super::causes::case;
use super::login;
use crate::docker::{Cache, Login, Order};

const WHERE: &str = "999999999999.dkr.ecr.eu-west-1.amazonaws.com/cache:web";

fn cached(order: &mut Order, reference: &str) {
    let attributes = BTreeMap::from([("ref".into(), reference.into())]);
    order.cache_to.push(Cache { kind: "registry".into(), attributes });
}

fn reads(words: &str, change: impl FnOnce(&mut Order)) -> String {
    let case = case("exporting cache to registry");
    case.order(|order| {
        cached(order, WHERE);
        change(order);
    })
    .reads(words)
}

fn ours() -> Login {
    Login { is_ours: true, ..login("999999999999.dkr.ecr.eu-west-1.amazonaws.com") }
}

#[test]
fn a_cache_that_cannot_be_written_is_told_as_one() {
    let url = "https://999999999999.dkr.ecr.eu-west-1.amazonaws.com/v2/cache";
    let denied = format!(
        "error writing layer blob: unexpected status from HEAD request to {url}/blobs/sha256:5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef: 403 Forbidden"
    );
    assert_snapshot!(reads(&denied, |order| order.logins = vec![ours()]), @r#"
    [SW-BUILD-ENGINE]: the cache at `999999999999.dkr.ecr.eu-west-1.amazonaws.com/cache:web` cannot be written
      why: this run's own login may not write there, or there is no such repository
      why: the builder: "...from HEAD request to https://999999999999.dkr.ecr.eu-west-1.amazonaws.com/v2/cache/blobs/sha256:5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef: 403 Forbidden"
      next: let the run's role or user push to that repository
      next: or let the build go on without it: `cache-to: type=registry,ref=999999999999.dkr.ecr.eu-west-1.amazonaws.com/cache:web,ignore-error=true`
    "#);
    let mut all = String::new();
    for (words, logins) in [
        (denied.clone(), vec![login("999999999999.dkr.ecr.eu-west-1.amazonaws.com")]),
        (denied, Vec::new()),
        (format!("error writing layer blob: unexpected status from POST request to {url}/blobs/uploads/: 404 Not Found"), vec![ours()]),
        ("error writing manifest blob: failed to push: tag invalid: the image tag 'web' already exists in the 'cache' repository and cannot be overwritten because the tag is immutable.".into(), vec![ours()]),
        (format!("failed to do request: Head \"{url}/blobs/sha256:5f\": dial tcp 192.0.2.7:443: connect: connection refused"), vec![ours()]),
        (format!("error writing layer blob: unexpected status from PUT request to {url}/blobs/uploads/1: 429 Too Many Requests"), vec![ours()]),
        ("invalid cache export".into(), vec![ours()]),
    ] {
        writeln!(all, "{}", reads(&words, |order| order.logins = logins)).unwrap();
    }
    assert_snapshot!(all, @r#"
    [SW-BUILD-ENGINE]: the cache at `999999999999.dkr.ecr.eu-west-1.amazonaws.com/cache:web` cannot be written
      why: the login for 999999999999.dkr.ecr.eu-west-1.amazonaws.com in `base-logins` may not write there
      why: the builder: "...from HEAD request to https://999999999999.dkr.ecr.eu-west-1.amazonaws.com/v2/cache/blobs/sha256:5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef: 403 Forbidden"
      next: give a login for 999999999999.dkr.ecr.eu-west-1.amazonaws.com in `base-logins` that may push there
      next: or let the build go on without it: `cache-to: type=registry,ref=999999999999.dkr.ecr.eu-west-1.amazonaws.com/cache:web,ignore-error=true`
    [SW-BUILD-ENGINE]: the cache at `999999999999.dkr.ecr.eu-west-1.amazonaws.com/cache:web` cannot be written
      why: 999999999999.dkr.ecr.eu-west-1.amazonaws.com asks for a login to write there
      why: the builder: "...from HEAD request to https://999999999999.dkr.ecr.eu-west-1.amazonaws.com/v2/cache/blobs/sha256:5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef: 403 Forbidden"
      next: add a login for 999999999999.dkr.ecr.eu-west-1.amazonaws.com that may push there to the input `base-logins`
      next: or let the build go on without it: `cache-to: type=registry,ref=999999999999.dkr.ecr.eu-west-1.amazonaws.com/cache:web,ignore-error=true`
    [SW-BUILD-ENGINE]: the cache at `999999999999.dkr.ecr.eu-west-1.amazonaws.com/cache:web` cannot be written
      why: 999999999999.dkr.ecr.eu-west-1.amazonaws.com has no such repository
      why: the builder: "error writing layer blob: unexpected status from POST request to https://999999999999.dkr.ecr.eu-west-1.amazonaws.com/v2/cache/blobs/uploads/: 404 Not Found"
      next: make that repository, with mutable tags
      next: or let the build go on without it: `cache-to: type=registry,ref=999999999999.dkr.ecr.eu-west-1.amazonaws.com/cache:web,ignore-error=true`
    [SW-BUILD-ENGINE]: the cache at `999999999999.dkr.ecr.eu-west-1.amazonaws.com/cache:web` cannot be written
      why: its tag is there, and cannot be written anew
      why: the builder: "error writing manifest blob: failed to push: tag invalid: the image tag 'web' already exists in the 'cache' repository and cannot be overwritten because the tag is immutable."
      next: give the cache a repository with mutable tags
      next: or let the build go on without it: `cache-to: type=registry,ref=999999999999.dkr.ecr.eu-west-1.amazonaws.com/cache:web,ignore-error=true`
    [SW-BUILD-ENGINE]: the cache at `999999999999.dkr.ecr.eu-west-1.amazonaws.com/cache:web` cannot be written
      why: the engine did not reach 999999999999.dkr.ecr.eu-west-1.amazonaws.com
      why: the builder: "failed to do request: Head "https://999999999999.dkr.ecr.eu-west-1.amazonaws.com/v2/cache/blobs/sha256:5f": dial tcp 192.0.2.7:443: connect: connection refused"
      next: let the engine's machine reach 999999999999.dkr.ecr.eu-west-1.amazonaws.com, or name another registry in `cache-to`
      next: or let the build go on without it: `cache-to: type=registry,ref=999999999999.dkr.ecr.eu-west-1.amazonaws.com/cache:web,ignore-error=true`
    [SW-BUILD-ENGINE]: the cache at `999999999999.dkr.ecr.eu-west-1.amazonaws.com/cache:web` cannot be written
      why: 999999999999.dkr.ecr.eu-west-1.amazonaws.com takes no more for now
      why: the builder: "error writing layer blob: unexpected status from PUT request to https://999999999999.dkr.ecr.eu-west-1.amazonaws.com/v2/cache/blobs/uploads/1: 429 Too Many Requests"
      next: run it again later
      next: or let the build go on without it: `cache-to: type=registry,ref=999999999999.dkr.ecr.eu-west-1.amazonaws.com/cache:web,ignore-error=true`
    [SW-BUILD-ENGINE]: the cache at `999999999999.dkr.ecr.eu-west-1.amazonaws.com/cache:web` cannot be written
      why: the builder: "invalid cache export"
      next: act on the builder's words
      next: or let the build go on without it: `cache-to: type=registry,ref=999999999999.dkr.ecr.eu-west-1.amazonaws.com/cache:web,ignore-error=true`
    "#);
}

#[test]
fn the_one_of_several_caches_is_named_that_the_words_are_about() {
    let other = |order: &mut Order| cached(order, "ghcr.io/acme/cache:web");
    assert_snapshot!(reads("error writing layer blob: failed to copy: unexpected status from PUT request to https://ghcr.io/v2/acme/cache/blobs/uploads/1: 502 Bad Gateway", other), @r#"
    [SW-BUILD-ENGINE]: the cache at `ghcr.io/acme/cache:web` cannot be written
      why: ghcr.io is out of order
      why: the builder: "error writing layer blob: failed to copy: unexpected status from PUT request to https://ghcr.io/v2/acme/cache/blobs/uploads/1: 502 Bad Gateway"
      next: run it again when it is well
      next: or let the build go on without it: `cache-to: type=registry,ref=ghcr.io/acme/cache:web,ignore-error=true`
    "#);
    assert_snapshot!(reads("error writing layer blob: canceled", other), @r#"
    [SW-BUILD-ENGINE]: the cache of `cache-to` cannot be written
      why: the builder: "error writing layer blob: canceled"
      next: act on the builder's words, or add `ignore-error=true` to `cache-to`
    "#);
}

#[test]
fn words_of_no_known_kind_are_quoted_from_their_end() {
    let chain = "failed to copy: ".repeat(20);
    assert_snapshot!(case("exporting to image").reads(&format!("{chain}the cause of it")), @r#"
    [SW-BUILD-STEP]: step `exporting to image` failed
      why: the builder: "...failed to copy: failed to copy: failed to copy: failed to copy: failed to copy: failed to copy: failed to copy: failed to copy: failed to copy: failed to copy: the cause of it"
      next: act on the builder's words; the lines before them are in the log of this step
    "#);
}
