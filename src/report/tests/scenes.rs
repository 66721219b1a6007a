//! The events of the storyboard's scenes.

use super::*;
use crate::names::ImageRef;

pub(super) const COMMIT: &str = "9f2c1e4000000000000000000000000000000000";
pub(super) const BEFORE: &str = "3f2a91c000000000000000000000000000000000";

pub(super) fn seconds(seconds: f64) -> Duration {
    Duration::from_secs_f64(seconds)
}

pub(super) fn digest() -> Digest {
    format!("sha256:e04d11b27a90{}", "0".repeat(52)).parse().unwrap()
}

fn image() -> ImageRef {
    format!("123456789012.dkr.ecr.us-east-1.amazonaws.com/web:{COMMIT}@{}", digest())
        .parse()
        .unwrap()
}

pub(super) fn started() -> Event {
    let some = |text: &str| Some(text.to_owned());
    Event::Started(Started {
        version: "1.0.0".into(),
        command: "ship".into(),
        commit: some("9f2c1e4"),
        note: None,
        target: some("shop/web"),
        cluster: some("prod"),
    })
}

pub(super) fn plan() -> Event {
    let rows = [
        ("who", "role ship by OIDC, account 123456789012 as expected"),
        ("image", "web:9f2c1e4 is not in ECR: build ./Dockerfile"),
        ("platform", "linux/amd64: both nodes its pods can land on"),
        ("change", "container `app`: 3f2a91c -> 9f2c1e4, and slipway's own annotations"),
        ("restore", "3f2a91c sha256:7d1e04c2b918: 3/3 ready now, in ECR"),
        ("watch", "10m at most, then 30s without a restart"),
    ];
    Event::Planned { rows: rows.map(|(l, t)| (l.into(), t.into())).into() }
}

pub(super) fn step(step: Step, took: f64, text: &str) -> Event {
    Event::StepDone { step, took: seconds(took), text: text.into() }
}

pub(super) fn rollout(at: f64, new: u32, old: u32, draining: u32, note: Option<&str>) -> Event {
    let progress = Progress {
        new_ready: new,
        old_ready: old,
        draining,
        wanted: 3,
        note: note.map(Into::into),
        baking_since: (new == 3).then(|| seconds(32.4)),
    };
    Event::Rollout { at: seconds(at), progress }
}

pub(super) fn opened(title: &str) -> Event {
    Event::Opened { source: Source::Build, title: title.into() }
}

pub(super) fn lines(lines: &[&str]) -> Event {
    let lines = lines.iter().map(|&line| line.into()).collect();
    Event::Lines { source: Source::Build, lines, left_out: 0 }
}

/// Everything up to the patch.
fn before_the_rollout() -> Vec<(&'static str, Event)> {
    [
        started(),
        Event::Surveyed { took: seconds(0.6), reads: 14 },
        plan(),
        opened("./Dockerfile for linux/amd64"),
        lines(&["#5 [2/3] COPY build/libs/app.jar app.jar"]),
        Event::Closed { source: Source::Build },
        step(Step::Build, 41.2, "linux/amd64, 182 MB"),
        step(Step::Push, 3.9, "sha256:e04d11b27a90, 2 layers new (61 MB), 5 reused"),
        step(Step::Clear, 0.2, "unchanged since the plan, dry run accepted"),
        step(Step::Deploy, 0.1, "generation 41 -> 42"),
        Event::Deployed(Deployed {
            image: format!("web:{COMMIT}@{}", digest()),
            cluster: "prod".into(),
            platforms: vec!["linux/amd64".parse().unwrap()],
            commit: "9f2c1e4".into(),
            before: Some("3f2a91c".into()),
            returnable: true,
            revisions: Some((17, 18)),
        }),
    ]
    .map(|event| ("", event))
    .into()
}

pub(super) fn outcome(
    ending: Ending,
    line: Option<&str>,
    told: Option<Told>,
    serving: &str,
) -> Event {
    Event::Outcome(Box::new(Outcome {
        ending,
        line: line.map(Into::into),
        told,
        serving: Some(serving.into()),
        image: Some(image()),
        platforms: vec!["linux/amd64".parse().unwrap()],
        plan: None,
        services: BTreeMap::new(),
    }))
}

/// Scene 3 of the storyboard, with ticks between the changes as the watch says them.
pub(super) fn good_ship() -> Vec<(&'static str, Event)> {
    let mut events = before_the_rollout();
    let starts = Some("x2kqp starts on ip-10-0-1-12");
    let rest = [
        rollout(0.4, 0, 3, 0, starts),
        rollout(5.0, 0, 3, 0, starts),
        rollout(11.2, 1, 2, 1, None),
        rollout(21.7, 2, 1, 1, None),
        rollout(32.4, 3, 0, 1, None),
        rollout(40.0, 3, 0, 1, None),
        Event::Baked {
            at: seconds(62.4),
            bake: seconds(30.0),
            restarts: 0,
            pods: 3,
            unseen: 0,
            wanted: 3,
            digest: digest(),
        },
        outcome(Ending::Shipped, Some("shipped 9f2c1e4 to shop/web in 1m 48s"), None, COMMIT),
    ];
    events.extend(rest.map(|event| ("", event)));
    events
}

pub(super) fn crash() -> Told {
    Told {
        severity: Severity::Error,
        code: Code::CrashExit,
        what: "`shop/web` was not updated to 9f2c1e4: container `app` exits with code 1".into(),
        why: vec!["its last line: \"DB_HOST is not set\"; 1/1 new pods, 2 exits".into()],
        now: Some("rolled back: 3f2a91c serves, 3/3 ready, digest checked".into()),
        next: vec![
            "check Secret `web-env` (its environment, not restored by a rollback), push a fix;"
                .into(),
            "9f2c1e4 ships again only with `allow: SW-IMAGE-WITHDRAWN`".into(),
        ],
    }
}

/// Scene 5 (b): a program that stops.
pub(super) fn crashing_ship() -> Vec<(&'static str, Event)> {
    let mut events = before_the_rollout();
    let rest = [
        rollout(0.4, 0, 3, 0, Some("x2kqp starts on ip-10-0-1-12")),
        Event::Watched {
            at: seconds(13.6),
            text: "x2kqp exited 1, twice: no new pod can become ready".into(),
        },
        Event::Foreign {
            source: Source::Evidence,
            title: "web-6c9f7d5b8-x2kqp, previous container, last lines".into(),
            lines: vec!["DB_HOST is not set".into()],
            left_out: 0,
        },
        Event::Told(crash()),
        outcome(Ending::RolledBack, None, Some(crash()), BEFORE),
    ];
    events.extend(rest.map(|event| ("", event)));
    events
}
