//! Which containers of a workload an image goes into.
//!
//! Pure. An answer is never guessed: nothing or several candidates are a failure that lists them.

use crate::error::{Code, Failure};
use crate::names::{Container, ImageRef, Repository, nearest};

use super::live::{Live, LiveContainer};

/// The containers that run images of `repository` on the ECR host `registry`, or the one that is named.
///
/// Several are taken together only if they run the very same image: a migration beside its program.
/// A named container is taken whatever it runs now. Otherwise the whole name has to be ours; only if
/// no container's is, the same repository on another ECR host counts (a move to another account or
/// region), and then a bare repository name of any host does not.
pub fn container_for(
    live: &Live,
    registry: &str,
    repository: &Repository,
    named: Option<&Container>,
) -> Result<Vec<LiveContainer>, Failure> {
    if let Some(name) = named {
        let found = live.container(name.as_str()).cloned();
        return found.map(|c| vec![c]).ok_or_else(|| unknown(live, name.as_str()));
    }
    let found = of_ours(live, registry, repository);
    match found.as_slice() {
        [] => Err(nothing(live, registry, repository)),
        [first, rest @ ..] if rest.iter().all(|c| c.image == first.image) => {
            Ok(found.into_iter().cloned().collect())
        }
        several => Err(ambiguous(live, repository, several)),
    }
}

/// All that run an image of ours, by the rule of [`container_for`]: also for those who only look.
#[must_use]
pub fn of_ours<'a>(
    live: &'a Live,
    registry: &str,
    repository: &Repository,
) -> Vec<&'a LiveContainer> {
    let ours = |image: &ImageRef| image.registry.as_deref() == Some(registry);
    let moved = |image: &ImageRef| image.registry.as_deref().is_some_and(is_ecr);
    let found = running(live, repository, ours);
    if found.is_empty() { running(live, repository, moved) } else { found }
}

fn running<'a>(
    live: &'a Live,
    repository: &Repository,
    host: impl Fn(&ImageRef) -> bool,
) -> Vec<&'a LiveContainer> {
    let runs = |c: &&LiveContainer| {
        c.image
            .parse::<ImageRef>()
            .is_ok_and(|image| image.repository == repository.as_str() && host(&image))
    };
    live.containers.iter().filter(runs).collect()
}

/// `123456789012.dkr.ecr.eu-west-1.amazonaws.com`, its FIPS, China and dual-stack forms.
fn is_ecr(host: &str) -> bool {
    let account = host.split(['.', '-']).next().unwrap_or_default();
    let aws = [".amazonaws.com", ".amazonaws.com.cn", ".on.aws", ".on.amazonwebservices.com.cn"];
    account.len() == 12
        && account.bytes().all(|b| b.is_ascii_digit())
        && (host.contains(".dkr.ecr") || host.contains(".dkr-ecr"))
        && aws.iter().any(|end| host.ends_with(end))
}

/// No container of that name, for those who only look at it.
///
/// # Errors
/// There is none: those that are there, and which was probably meant.
pub fn named<'a>(live: &'a Live, name: &Container) -> Result<&'a LiveContainer, Failure> {
    live.container(name.as_str()).ok_or_else(|| unknown(live, name.as_str()))
}

/// No container of that name.
pub(super) fn unknown(live: &Live, name: &str) -> Failure {
    let failure = Failure::new(
        Code::WorkloadContainer,
        format!("`{}` has no container `{name}`", live.path()),
    );
    let failure = listed(live, failure);
    let main: Vec<_> = live.containers.iter().filter(|c| !c.init).collect();
    let near = nearest(name, live.containers.iter().map(|c| c.name.as_str()));
    match (near, main.as_slice()) {
        (Some(near), _) => failure.next(format!("set `container: {near}`")),
        (None, [only]) => failure.next(format!("set `container: {}`", only.name)),
        _ => failure.next("set `container` to one of these"),
    }
}

fn nothing(live: &Live, registry: &str, repository: &Repository) -> Failure {
    // A repository that is yet to be made has no host.
    let host = if registry.is_empty() { String::new() } else { format!("{registry}/") };
    let what = format!("no container of `{}` runs an image of `{host}{repository}`", live.path());
    let failure = listed(live, Failure::new(Code::WorkloadContainer, what));
    let mains: Vec<_> = live.containers.iter().filter(|c| !c.init).collect();
    match mains.as_slice() {
        [only] => {
            failure.next(format!("`container: {}`, if its image is to be replaced", only.name))
        }
        _ => failure.next("`container: NAME` with the one whose image is to be replaced"),
    }
}

fn ambiguous(live: &Live, repository: &Repository, several: &[&LiveContainer]) -> Failure {
    let what = format!(
        "{} containers of `{}` run different images of `{repository}`",
        several.len(),
        live.path()
    );
    let failure = listed(live, Failure::new(Code::WorkloadContainer, what));
    let first =
        several.iter().find(|c| !c.init).or(several.first()).map_or("NAME", |c| c.name.as_str());
    failure.next(format!("`container: {first}`, or another of them"))
}

fn listed(live: &Live, failure: Failure) -> Failure {
    live.containers.iter().fold(failure, |failure, container| {
        let init = match (container.init, container.sidecar) {
            (true, true) => " (sidecar)",
            (true, false) => " (init)",
            _ => "",
        };
        failure.why(format!("`{}`{init} runs {}", container.name, container.image))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::live::tests::{live, live_of};
    use insta::assert_snapshot;

    const HOST: &str = "123456789012.dkr.ecr.eu-west-1.amazonaws.com";

    fn running_images(images: &[&str]) -> Live {
        live_of(|d| {
            let spec = d.spec.as_mut().unwrap().template.spec.as_mut().unwrap();
            spec.init_containers = None;
            let template = spec.containers[0].clone();
            spec.containers = (0..images.len())
                .map(|i| {
                    let mut c = template.clone();
                    (c.name, c.image) = (format!("c{i}"), Some(images[i].into()));
                    c
                })
                .collect();
        })
    }

    fn told(failure: &Failure) -> String {
        format!(
            "{}\n  why:  {}\n  next: {}",
            failure.what,
            failure.why.join("\n        "),
            failure.next.join("\n")
        )
    }

    #[test]
    fn the_container_is_found_by_the_repository_it_runs() {
        let rows: &[(&[&str], Option<&str>)] = &[
            (&["envoy:1", "123456789012.dkr.ecr.eu-west-1.amazonaws.com/web:old"], Some("c1")),
            (
                &[
                    "210987654321.dkr.ecr.us-east-1.amazonaws.com/web@sha256:bad",
                    "210987654321.dkr.ecr.us-east-1.amazonaws.com/web:1",
                ],
                Some("c1"),
            ),
            (
                &[
                    "210987654321.dkr.ecr.us-east-1.amazonaws.com/web:1",
                    "123456789012.dkr.ecr.eu-west-1.amazonaws.com/web:2",
                ],
                Some("c1"),
            ),
            (&["210987654321.dkr-ecr.us-east-1.on.aws/web:1"], Some("c0")),
            (&["ghcr.io/web:1"], None),
            (&["web:1"], None),
            (&["123456789012.dkr.ecr.eu-west-1.amazonaws.com/team/web:1"], None),
        ];
        for (images, expected) in rows {
            let found = container_for(&running_images(images), HOST, &"web".parse().unwrap(), None);
            assert_eq!(found.ok().map(|c| c[0].name.clone()).as_deref(), *expected, "{images:?}");
        }
    }

    #[test]
    fn a_named_container_is_taken_whatever_it_runs() {
        let named = "migrate".parse().unwrap();
        let found = container_for(&live(), HOST, &"other".parse().unwrap(), Some(&named)).unwrap();
        assert!(found.len() == 1 && found[0].init);
    }

    #[test]
    fn a_migration_and_its_program_are_taken_together_while_they_run_the_same_image() {
        let image = format!("{HOST}/web:1");
        let live = running_images(&[&image, "envoy:1", &image]);
        let found = container_for(&live, HOST, &"web".parse().unwrap(), None).unwrap();
        assert_eq!(found.iter().map(|c| c.name.as_str()).collect::<Vec<_>>(), ["c0", "c2"]);
    }

    #[test]
    fn several_candidates_are_listed_and_none_is_chosen() {
        let images = [format!("{HOST}/web:1"), format!("{HOST}/web:2")];
        let refused = container_for(
            &running_images(&[&images[0], &images[1]]),
            HOST,
            &"web".parse().unwrap(),
            None,
        );
        assert_snapshot!(told(&refused.unwrap_err()), @"
        2 containers of `shop/web` run different images of `web`
          why:  `c0` runs 123456789012.dkr.ecr.eu-west-1.amazonaws.com/web:1
                `c1` runs 123456789012.dkr.ecr.eu-west-1.amazonaws.com/web:2
          next: `container: c0`, or another of them
        ");
    }

    #[test]
    fn no_candidate_says_what_each_container_runs() {
        let refused = container_for(&live(), HOST, &"order".parse().unwrap(), None);
        assert_snapshot!(told(&refused.unwrap_err()), @"
        no container of `shop/web` runs an image of `123456789012.dkr.ecr.eu-west-1.amazonaws.com/order`
          why:  `migrate` (init) runs ecr/web:old
                `proxy` (sidecar) runs envoy:1
                `app` runs ecr/web:old
          next: `container: app`, if its image is to be replaced
        ");
    }
}
