//! The pages of the scenes, view by view.

use super::scenes::*;
use super::*;

#[test]
fn a_good_ship_reads_as_in_the_storyboard() {
    let page = page(LOG, good_ship());
    insta::assert_snapshot!(as_read(&page.stderr), @r"
slipway 1.0.0: ship 9f2c1e4 to shop/web in prod
survey   0.6 s  14 reads, nothing written
plan
  who       role ship by OIDC, account 123456789012 as expected
  image     web:9f2c1e4 is not in ECR: build ./Dockerfile
  platform  linux/amd64: both nodes its pods can land on
  change    container `app`: 3f2a91c -> 9f2c1e4, and slipway's own annotations
  restore   3f2a91c sha256:7d1e04c2b918: 3/3 ready now, in ECR
  watch     10m at most, then 30s without a restart
::group::build: ./Dockerfile for linux/amd64
| #5 [2/3] COPY build/libs/app.jar app.jar
::endgroup::
build    41.2 s  linux/amd64, 182 MB
push     3.9 s  sha256:e04d11b27a90, 2 layers new (61 MB), 5 reused
clear    0.2 s  unchanged since the plan, dry run accepted
deploy   0.1 s  generation 41 -> 42
watch
  +0.4s   0/3 new, 3 old ready; x2kqp starts on ip-10-0-1-12
  +11.2s  1/3 new, 2 old ready
  +21.7s  2/3 new, 1 old ready
  +32.4s  3/3 new, 1 old draining
  +62.4s  baked 30s: 0 restarts, 3/3 pods run sha256:e04d11b27a90
outputs  outcome=shipped tag=9f2c1e4... digest=sha256:e04d11b27a90...
shipped 9f2c1e4 to shop/web in 1m 48s
");
    assert_eq!(commands(&page.stderr), ["::notice title=shipped::9f2c1e4 to shop/web in 1m 48s"]);
    assert_eq!(page.stdout, "");
}

#[test]
fn pods_whose_digest_nobody_saw_are_not_told_to_run_it() {
    let told = |seen: usize, hidden: usize| {
        let mut events = good_ship();
        for (_, event) in &mut events {
            if let Event::Baked { pods, unseen, .. } = event {
                (*pods, *unseen) = (seen, hidden);
            }
        }
        let page = page(LOG, events).stderr;
        page.lines().find(|line| line.contains("baked")).map(str::to_owned)
    };
    let line = |end: &str| Some(format!("  +62.4s  baked 30s: 0 restarts, {end}"));
    let one = line("2/3 pods run sha256:e04d11b27a90, 1 does not say what it runs");
    assert_eq!(told(2, 1), one);
    let all = line("0/3 pods run sha256:e04d11b27a90, 3 do not say what they run");
    assert_eq!(told(0, 3), all);
}

#[test]
fn the_summary_of_a_good_ship_reads_as_in_the_storyboard() {
    insta::assert_snapshot!(page(LOG, good_ship()).summary, @r"
### shipped `9f2c1e4` to `shop/web` in 1m 48s
| | |
|---|---|
| image | `web:9f2c1e4000000000000000000000000000000000@sha256:e04d11b27a900000000000000000000000000000000000000000000000000000` |
| cluster | prod, linux/amd64, revision 17 -> 18 |
| back | `slipway rollback --to 3f2a91c` |
```mermaid
gantt
  dateFormat HH:mm:ss
  axisFormat %M:%S
  survey 0.6 s : 00:00:00, 0.6s
  build 41.2 s : 41.2s
  push 3.9 s : 3.9s
  rollout 32.7 s : 32.7s
  bake 30 s : 30s
```
| ready | +0.4s | +11.2s | +21.7s | +32.4s |
|---|---|---|---|---|
| 18 `9f2c1e4` | 0 | 1 | 2 | 3 |
| 17 `3f2a91c` | 3 | 2 | 1 | 0 |
");
}

#[test]
fn a_crashing_ship_reads_as_in_the_storyboard() {
    let page = page(LOG, crashing_ship());
    let read = as_read(&page.stderr);
    let (_, end) = read.split_once("watch\n").unwrap();
    insta::assert_snapshot!(end, @r#"
  +0.4s   0/3 new, 3 old ready; x2kqp starts on ip-10-0-1-12
  +13.6s  x2kqp exited 1, twice: no new pod can become ready
::group::evidence: web-6c9f7d5b8-x2kqp, previous container, last lines
| DB_HOST is not set
::endgroup::
error[SW-CRASH-EXIT]: `shop/web` was not updated to 9f2c1e4: container `app` exits with code 1
  why:  its last line: "DB_HOST is not set"; 1/1 new pods, 2 exits
  now:  rolled back: 3f2a91c serves, 3/3 ready, digest checked
  next: check Secret `web-env` (its environment, not restored by a rollback), push a fix;
        9f2c1e4 ships again only with `allow: SW-IMAGE-WITHDRAWN`
"#);
    assert_eq!(
        commands(&page.stderr),
        ["::error title=SW-CRASH-EXIT::`shop/web` was not updated to 9f2c1e4: container `app` \
          exits with code 1; rolled back: 3f2a91c serves, 3/3 ready, digest checked"]
    );
}

#[test]
fn a_crash_is_in_the_summary_with_its_four_lines_and_its_evidence() {
    let summary = page(LOG, crashing_ship()).summary;
    insta::assert_snapshot!(summary, @r#"
### `shop/web` was not updated to 9f2c1e4: container `app` exits with code 1
| | |
|---|---|
| image | `web:9f2c1e4000000000000000000000000000000000@sha256:e04d11b27a900000000000000000000000000000000000000000000000000000` |
| cluster | prod, linux/amd64, revision 17 -> 18 |

<pre>error[SW-CRASH-EXIT]: `shop/web` was not updated to 9f2c1e4: container `app` exits with code 1
  why:  its last line: "DB_HOST is not set"; 1/1 new pods, 2 exits
  now:  rolled back: 3f2a91c serves, 3/3 ready, digest checked
  next: check Secret `web-env` (its environment, not restored by a rollback), push a fix;
        9f2c1e4 ships again only with `allow: SW-IMAGE-WITHDRAWN`</pre>
```mermaid
gantt
  dateFormat HH:mm:ss
  axisFormat %M:%S
  survey 0.6 s : 00:00:00, 0.6s
  build 41.2 s : 41.2s
  push 3.9 s : 3.9s
  rollout 13.9 s : 13.9s
```
| ready | +0.4s |
|---|---|
| 18 `9f2c1e4` | 0 |
| 17 `3f2a91c` | 3 |

<details open><summary>evidence: web-6c9f7d5b8-x2kqp, previous container, last lines</summary>
<pre>| DB_HOST is not set</pre>
</details>
"#);
}

#[test]
fn outputs_are_whole_and_the_evidence_is_a_file() {
    let good = page(LOG, good_ship()).outputs;
    let image = output(&good, "image");
    assert_eq!(
        image,
        format!("123456789012.dkr.ecr.us-east-1.amazonaws.com/web:{COMMIT}@{}", digest())
    );
    let values =
        ["outcome", "code", "serving", "evidence", "services", "repository", "tag", "platforms"]
            .map(|name| output(&good, name));
    assert_eq!(values, ["shipped", "", COMMIT, "", "", "web", COMMIT, "linux/amd64"]);

    let bad = page(LOG, crashing_ship());
    assert_eq!(output(&bad.outputs, "outcome"), "rolled-back");
    assert_eq!(output(&bad.outputs, "code"), "SW-CRASH-EXIT");
    assert_eq!(output(&bad.outputs, "serving"), BEFORE);
    let name = output(&bad.outputs, "evidence");
    assert!(name.starts_with("slipway-evidence-") && name.ends_with(".txt"), "{name}");
    let lines: Vec<_> = bad.evidence.lines().take(3).collect();
    assert_eq!(
        lines[..2],
        ["evidence: web-6c9f7d5b8-x2kqp, previous container, last lines", "| DB_HOST is not set"]
    );
    assert!(lines[2].starts_with("error[SW-CRASH-EXIT]: "), "{}", lines[2]);
}

#[test]
fn off_a_runner_there_are_no_commands() {
    let page = page(PIPE, crashing_ship());
    let (_, end) = page.stderr.split_once("no new pod can become ready\n").unwrap();
    let lines: Vec<_> = end.lines().take(2).collect();
    assert_eq!(
        lines,
        ["evidence: web-6c9f7d5b8-x2kqp, previous container, last lines", "| DB_HOST is not set"]
    );
    assert!(!page.stderr.contains("::"), "{}", page.stderr);
    assert_eq!((page.outputs, page.summary, page.evidence), Default::default());
}

#[test]
fn json_says_each_change_once_and_the_outcome_last() {
    let page = page(Seat { json: true, ..PIPE }, good_ship());
    let rollouts: Vec<_> =
        page.stdout.lines().filter(|l| l.contains(r#""event":"rollout""#)).collect();
    assert_eq!(rollouts.len(), 4);
    insta::assert_snapshot!(rollouts[2], @r#"{"v":1,"at":"2026-11-21T08:42:03.214Z","event":"rollout","since_patch":21.7,"new_ready":2,"old_ready":1,"wanted":3,"draining":1,"baking":false}"#);
    insta::assert_snapshot!(page.stdout.lines().last().unwrap(), @r#"{"v":1,"at":"2026-11-21T08:42:03.214Z","event":"outcome","exit":0,"outcome":"shipped","code":null,"what":"shipped 9f2c1e4 to shop/web in 1m 48s","why":[],"now":null,"next":[],"serving":"9f2c1e4000000000000000000000000000000000","image":"123456789012.dkr.ecr.us-east-1.amazonaws.com/web:9f2c1e4000000000000000000000000000000000@sha256:e04d11b27a900000000000000000000000000000000000000000000000000000","platforms":["linux/amd64"]}"#);
}

#[test]
fn json_of_one_of_several_services_names_it() {
    let page = page(Seat { json: true, ..PIPE }, vec![("cart", rollout(21.7, 2, 1, 0, None))]);
    assert!(
        page.stdout.starts_with(r#"{"v":1,"at":"2026-11-21T08:42:03.214Z","event":"rollout","service":"cart","since_patch":21.7,"new_ready":2,"#),
        "{}",
        page.stdout
    );
}

#[test]
fn a_rollout_that_stands_is_said_again_after_thirty_seconds() {
    let stands = [0.4, 10.4, 20.4, 30.5, 40.0].map(|at| ("", rollout(at, 0, 3, 0, None)));
    insta::assert_snapshot!(page(LOG, stands.into()).stderr, @r"
watch
  +0.4s   0/3 new, 3 old ready
  +30.5s  0/3 new, 3 old ready
");
}

#[test]
fn services_side_by_side_are_named_in_their_lines() {
    let events = vec![
        ("cart", step(Step::Deploy, 0.1, "generation 4 -> 5")),
        ("cart", rollout(0.4, 0, 3, 0, None)),
        ("user", rollout(0.5, 1, 2, 0, None)),
        ("cart", rollout(0.6, 0, 3, 0, None)),
    ];
    insta::assert_snapshot!(page(LOG, events).stderr, @r"
deploy   0.1 s  cart: generation 4 -> 5
watch
  +0.4s   cart: 0/3 new, 3 old ready
  +0.5s   user: 1/3 new, 2 old ready
");
}

#[test]
fn the_plan_is_data_when_it_was_asked_for() {
    let Event::Started(mut asked) = started() else { panic!("the first event") };
    asked.command = "plan".into();
    asked.note = Some("merge of pull request 42".into());
    let page = page(PIPE, vec![("", Event::Started(asked)), ("", plan())]);
    assert_eq!(
        page.stderr,
        "slipway 1.0.0: plan 9f2c1e4 (merge of pull request 42) for shop/web in prod\n"
    );
    assert!(page.stdout.starts_with("plan\n  who       role ship by OIDC"), "{}", page.stdout);
}

#[test]
fn small_events_have_their_line() {
    let unseen = |what: &str, because: &str| Unseen { what: what.into(), because: because.into() };
    let events = vec![
        ("", Event::NotSeen(unseen("nodes", "may not list"))),
        (
            "",
            Event::Overridden {
                name: "AWS_ENDPOINT_URL".into(),
                value: "http://me:pass@127.0.0.1:4566/x?token=1".into(),
            },
        ),
    ];
    assert_eq!(
        page(LOG, events).stderr,
        "not seen: nodes (may not list)\noverride AWS_ENDPOINT_URL: http://127.0.0.1:4566/x\n"
    );
    let checked = |result, subject: &str, text: &str| {
        ("", Event::Checked { result, subject: subject.into(), text: text.into() })
    };
    let events = vec![
        checked(Check::Ok, "identity", "user eks-manager, account 123456789012"),
        checked(Check::Warn, "lifecycle", "rule 1 keeps 10 images"),
    ];
    assert_eq!(
        page(PIPE, events).stdout,
        "ok    identity   user eks-manager, account 123456789012\nwarn  lifecycle  rule 1 keeps 10 images\n"
    );
}

#[test]
fn a_terminal_redraws_one_line_and_keeps_the_last() {
    let look = Look::Terminal { columns: 40, colour: true };
    let note = Some("a note that is far too long for this terminal");
    let events = vec![
        ("", rollout(0.4, 0, 3, 0, note)),
        ("", rollout(11.2, 1, 2, 0, None)),
        ("", Event::Told(crash())),
    ];
    let text = page(Seat { look, ..PIPE }, events).stderr.replace('\u{1b}', "ESC");
    let lines: Vec<_> = text.lines().take(5).collect();
    assert_eq!(
        lines,
        [
            "watch",
            "  +0.4s   0/3 new, 3 old ready; a no...",
            "ESC[1AESC[2K  +11.2s  1/3 new, 2 old ready",
            "ESC[1AESC[2K  +11.2s  1/3 new, 2 old ready",
            "ESC[31merrorESC[0m[SW-CRASH-EXIT]: `shop/web` was not updated to 9f2c1e4: container `app` exits with code 1",
        ]
    );
}

#[test]
fn without_colour_a_terminal_shows_the_same_words() {
    let look = Look::Terminal { columns: 100, colour: false };
    let text = page(Seat { look, ..PIPE }, crashing_ship()).stderr;
    assert!(text.contains("\nerror[SW-CRASH-EXIT]: `shop/web` was not updated"), "{text}");
    assert!(!text.contains("\u{1b}[3"), "{text}");
}

#[test]
fn a_warning_about_a_file_is_put_beside_its_line() {
    let told =
        Told { severity: Severity::Warning, now: None, why: vec![], next: vec![], ..crash() };
    let placed = Event::Placed { told, file: "slipway.yml".into(), line: 4, column: 7 };
    let page = page(LOG, vec![("", placed)]);
    assert_eq!(
        commands(&page.stderr),
        [
            "::warning file=slipway.yml,line=4,col=7,title=SW-CRASH-EXIT::`shop/web` was not updated \
          to 9f2c1e4: container `app` exits with code 1"
        ]
    );
}

#[test]
fn several_services_have_a_part_each_in_the_summary() {
    let Event::Outcome(mut end) =
        outcome(Ending::RolledBack, Some("rolled back 1 of 2"), None, BEFORE)
    else {
        panic!("an outcome")
    };
    for (name, ending, code) in
        [("cart", Ending::RolledBack, Some(Code::CrashExit)), ("user", Ending::Shipped, None)]
    {
        let service = ServiceOutcome { outcome: ending, code, serving: None, image: None };
        end.services.insert(name.into(), service);
    }
    let events = vec![
        ("user", step(Step::Push, 3.9, "1 layer new")),
        ("user", rollout(32.4, 3, 0, 0, None)),
        ("cart", Event::Told(crash())),
        ("", Event::Outcome(end)),
    ];
    let page = page(LOG, events);
    insta::assert_snapshot!(page.summary, @r#"
### rolled back 1 of 2
#### cart

<pre>error[SW-CRASH-EXIT]: `shop/web` was not updated to 9f2c1e4: container `app` exits with code 1
  why:  its last line: "DB_HOST is not set"; 1/1 new pods, 2 exits
  now:  rolled back: 3f2a91c serves, 3/3 ready, digest checked
  next: check Secret `web-env` (its environment, not restored by a rollback), push a fix;
        9f2c1e4 ships again only with `allow: SW-IMAGE-WITHDRAWN`</pre>
#### user
```mermaid
gantt
  dateFormat HH:mm:ss
  axisFormat %M:%S
  push 3.9 s : 00:00:00, 3.9s
  rollout 32.4 s : 32.4s
```
"#);
    assert_eq!(
        output(&page.outputs, "services"),
        r#"{"cart":{"outcome":"rolled-back","code":"SW-CRASH-EXIT"},"user":{"outcome":"shipped"}}"#
    );
}

#[test]
fn a_reporter_is_shared_between_tasks() {
    fn shared<T: Send + Sync>(_: &T) {}
    let settings = Settings {
        look: Look::Lines,
        colour_data: false,
        json: false,
        runner: Runner::default(),
        clock,
    };
    let talk = Sink::default();
    let reporter = Reporter::new(settings, Box::new(io::sink()), Box::new(talk.clone()));
    shared(&reporter);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| (0..50).for_each(|_| reporter.say(Event::Told(crash()))));
        }
    });
    let whole = page(PIPE, vec![("", Event::Told(crash()))]).stderr;
    assert_eq!(talk.text(), whole.repeat(200), "no block is torn");
}

#[test]
fn blocks_keep_the_form_of_the_storyboard() {
    let told = |severity, code, what: &str, why: &[&str], now: &str, next: &[&str]| {
        let all = |lines: &[&str]| lines.iter().map(|l| (*l).to_owned()).collect();
        let now = Some(now.to_owned());
        Event::Told(Told { severity, code, what: what.into(), why: all(why), now, next: all(next) })
    };
    let pull = told(
        Severity::Error,
        Code::Pull403,
        "`shop/web` was not updated to 9f2c1e4: the nodes may not pull from ECR `web`",
        &[
            "kubelet on ip-10-0-1-12, for 60s: \"...403 Forbidden\"; one account for image and cluster",
        ],
        "rolled back: nginx:1.24.0 serves, 3/3 ready",
        &[
            "aws iam attach-role-policy --role-name eks-node \\",
            "  --policy-arn arn:aws:iam::aws:policy/AmazonEC2ContainerRegistryPullOnly",
        ],
    );
    let superseded = told(
        Severity::Notice,
        Code::RunSuperseded,
        "9f2c1e4 was superseded: run 4713 set c77d0be, which is newer, 41s after this patch",
        &[],
        "c77d0be rolls out under run 4713; nothing was rolled back",
        &[],
    );
    insta::assert_snapshot!(page(PIPE, vec![("", pull), ("", superseded)]).stderr, @r#"
error[SW-PULL-403]: `shop/web` was not updated to 9f2c1e4: the nodes may not pull from ECR `web`
  why:  kubelet on ip-10-0-1-12, for 60s: "...403 Forbidden"; one account for image and cluster
  now:  rolled back: nginx:1.24.0 serves, 3/3 ready
  next: aws iam attach-role-policy --role-name eks-node \
          --policy-arn arn:aws:iam::aws:policy/AmazonEC2ContainerRegistryPullOnly
notice[SW-RUN-SUPERSEDED]: 9f2c1e4 was superseded: run 4713 set c77d0be, which is newer, 41s after this patch
  now:  c77d0be rolls out under run 4713; nothing was rolled back
"#);
}
