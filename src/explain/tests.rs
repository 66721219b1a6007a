//! Every code has its page, every page its form, and two pages are shown whole.

use std::collections::BTreeSet;

use super::*;
use crate::error::Ending;

fn page(code: Code) -> Page<'static> {
    Page::read(code.page()).unwrap_or_else(|| panic!("{code} is not in the form of a page"))
}

/// The exit codes that a headline names: `(exit 3 or 4)`.
fn exits_of(headline: &str) -> Vec<u8> {
    let (_, named) = headline.split_once(" (exit ").unwrap_or_default();
    let exits = named.trim_end_matches(')').split(" or ").flat_map(|part| part.split(", "));
    exits.filter_map(|exit| exit.parse().ok()).collect()
}

/// What the first line of an example may begin with, by exit code.
fn first_words(exit: u8) -> &'static [&'static str] {
    match exit {
        2 => &["nothing was read or written: ", "the answer was not written "],
        3 => &["nothing was written: "],
        4 => &["nothing was deployed: "],
        5 => &["`shop/web` was not updated to 9f2c1e4"],
        6 => &[
            "`shop/web` may run ",
            "`shop/web` was taken over: ",
            "`shop/web` was not rolled back: ",
        ],
        7 => &["`shop/web` was not watched to the end: "],
        70 => &["this is a bug in slipway"],
        _ => &[],
    }
}

const ENDINGS: [Ending; 12] = [
    Ending::Shipped,
    Ending::Unchanged,
    Ending::Superseded,
    Ending::BadInput,
    Ending::Refused,
    Ending::NotDeployed,
    Ending::RolledBack,
    Ending::Cancelled,
    Ending::Displaced,
    Ending::NotRestored,
    Ending::Unknown,
    Ending::Bug,
];

#[test]
fn every_code_has_a_page_of_the_form() {
    for code in Code::ALL {
        assert!(code.page().starts_with(&format!("# {code}\n")), "{code}: title");
        let page = page(*code);
        assert!(!page.cause().is_empty() && page.cause().len() < page.headline.len(), "{code}");
        assert!(page.facts.iter().all(|fact| fact.len() > 10), "{code}: a fact says nothing");
        assert!(!page.more.contains("```"), "{code}: code in `More` is indented, not fenced");
    }
}

#[test]
fn every_headline_names_exits_that_there_are() {
    let known: BTreeSet<u8> = ENDINGS.iter().map(|ending| ending.exit()).collect();
    for code in Code::ALL {
        let exits = exits_of(page(*code).headline);
        assert!(!exits.is_empty(), "{code}: no exit");
        assert!(exits.iter().all(|exit| known.contains(exit)), "{code}: {exits:?}");
    }
}

#[test]
fn every_example_is_a_block_as_users_see_it() {
    for code in Code::ALL {
        let page = page(*code);
        let opening = |severity: &str| format!("{severity}[{code}]: ");
        let Some(said) = page.example.strip_prefix(&opening("error")) else {
            let quiet = ["warning", "notice"].iter().any(|s| page.example.starts_with(&opening(s)));
            assert!(quiet && exits_of(page.headline) == [0], "{code}: opening line");
            assert!(page.example.contains("\n  now:  "), "{code}: now");
            continue;
        };
        for label in ["\n  why:  ", "\n  now:  ", "\n  next: "] {
            assert_eq!(page.example.matches(label).count(), 1, "{code}: {label}");
        }
        let exits = exits_of(page.headline);
        let begins = |exit: &u8| first_words(*exit).iter().any(|words| said.starts_with(words));
        assert!(exits.iter().any(begins), "{code}: its first words are not those of {exits:?}");
    }
}

#[test]
fn pages_keep_to_the_voice() {
    let unwanted = ["please", "oops", "successfully", "failed to ", "error:"];
    for code in Code::ALL {
        let page = page(*code);
        let said = [&[page.headline][..], &page.facts].concat().join("\n");
        // What stands in quotes is others' words.
        let own: String = said.split('"').step_by(2).collect();
        for word in unwanted {
            assert!(!own.to_lowercase().contains(word), "{code}: {word}");
        }
        for line in said.lines() {
            let first = line.split_whitespace().next().unwrap_or_default();
            // The names of others keep their capitals: ECR, GitHub, FailedMount.
            let is_name = first.chars().skip(1).any(|c| c.is_uppercase());
            let begins_low = first.starts_with(|c: char| !c.is_uppercase());
            assert!(begins_low || is_name || KNOWN_NAMES.contains(&first), "{code}: {line}");
            assert!(!line.ends_with('.'), "{code}: a full stop: {line}");
        }
    }
}

const KNOWN_NAMES: [&str; 4] = ["HEAD", "Argo", "Flux", "Helm"];

#[test]
fn pages_are_short_and_narrow() {
    for code in Code::ALL {
        let words = code.page().split_whitespace().count();
        assert!((60..=220).contains(&words), "{code}: {words} words");
        let printed = explain(code.as_str()).unwrap_or_default();
        for line in
            printed.lines().filter(|line| !line.trim_start().contains(&format!("[{code}]: ")))
        {
            assert!(line.chars().count() <= 100, "{code}: {line}");
        }
    }
}

#[test]
fn there_is_no_page_without_a_code() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/codes");
    let pages: BTreeSet<String> = std::fs::read_dir(folder)
        .unwrap()
        .filter_map(|entry| entry.unwrap().file_name().into_string().ok())
        .collect();
    let wanted: BTreeSet<String> =
        Code::ALL.iter().map(|code| format!("{code}.md")).chain(["exit.md".to_owned()]).collect();
    assert_eq!(pages, wanted);
}

#[test]
fn codes_that_pages_mention_exist() {
    for code in Code::ALL {
        let words = code.page().split(|c: char| !c.is_ascii_alphanumeric() && c != '-');
        for word in words.filter(|word| word.starts_with("SW-")) {
            assert!(Code::find(word).is_some(), "{code} mentions {word}");
        }
    }
}

#[test]
fn only_what_can_be_overruled_is_said_to_be() {
    for code in Code::ALL {
        let said = code.page().contains(&format!("`allow: {code}`"));
        let can = crate::inputs::typed::OVERRULABLE.contains(code);
        assert_eq!(said, can, "{code}");
    }
}

#[test]
fn a_topic_is_found_however_it_is_typed() {
    let whole = explain("SW-PULL-403");
    assert!(whole.as_ref().is_ok_and(|page| page.starts_with("SW-PULL-403: ")));
    for typed in ["sw-pull-403", "pull-403", "PULL 403", " pull_403 "] {
        assert_eq!(explain(typed), whole, "{typed}");
    }
}

#[test]
fn a_wrong_code_names_the_nearest() {
    let told = |topic: &str| match explain(topic) {
        Ok(page) => page,
        Err(failure) => {
            format!(
                "{}: {}\n{}\n{}",
                failure.code,
                failure.what,
                failure.why.join("\n"),
                failure.next.join("\n")
            )
        }
    };
    insta::assert_snapshot!(told("SW-CRASH-EXITS"), @r"
    SW-INPUT-INVALID: `SW-CRASH-EXITS` is no code
    did you mean `SW-CRASH-EXIT`?
    slipway explain SW-CRASH-EXIT
    ");
    insta::assert_snapshot!(told("why does it not work\u{1b}[31m"), @r"
    SW-INPUT-INVALID: `why does it not work` is no code

    slipway explain   lists every code
    ");
}

#[test]
fn a_page_is_printed_whole() {
    insta::assert_snapshot!(explain("pull-403").unwrap_or_default(), @r#"
    SW-PULL-403: the nodes may not pull from the ECR repository (exit 5)
      seen   ErrImagePull with 403 from an ECR host for 60s; a new right needs a moment
      means  the node role lacks pull rights; in another account, the repository policy does
      fix    attach AmazonEC2ContainerRegistryPullOnly to the role of the node group

      example
        error[SW-PULL-403]: `shop/web` was not updated to 9f2c1e4: the nodes may not pull from ECR `web`
          why:  kubelet on ip-10-0-1-12, for 60s: "...403 Forbidden"; one account for image and cluster
          now:  rolled back: nginx:1.24.0 serves, 3/3 ready
          next: aws iam attach-role-policy --role-name eks-node \
                  --policy-arn arn:aws:iam::aws:policy/AmazonEC2ContainerRegistryPullOnly

      more
        It is the role of the nodes that pulls, not the role of this run; on Fargate it is the pod
        execution role. If the image is in another account than the cluster, the repository needs a
        policy that allows that account ecr:BatchGetImage, ecr:GetDownloadUrlForLayer and
        ecr:BatchCheckLayerAvailability:

            aws ecr get-repository-policy --repository-name web
            aws eks describe-nodegroup --cluster-name prod --nodegroup-name ng-1 \
              --query nodegroup.nodeRole

        With a KMS key of your own on the repository its key policy counts too.
    "#);
    insta::assert_snapshot!(explain("run-superseded").unwrap_or_default(), @r"
    SW-RUN-SUPERSEDED: a newer commit took over (exit 0)
      seen   during the watch another run of slipway set a newer commit, as its annotations prove
      means  two runs overlapped; the newer one is what is wanted
      fix    nothing; to avoid the overlap use a `concurrency:` group

      example
        notice[SW-RUN-SUPERSEDED]: 9f2c1e4 was superseded: run 4713 set c77d0be, which is newer, 41s after this patch
          now:  c77d0be rolls out under run 4713; nothing was rolled back

      more
        This run does not judge any more and does not roll back: the other run watches its own commit,
        and its restore point is its own. Only annotations that name a newer commit prove this;
        anything else that changes the image is SW-RUN-DISPLACED and exit 6.

            concurrency: { group: ship-web, cancel-in-progress: false }

        lets the second run wait for the first. Of several that wait GitHub keeps one and cancels the
        others.
    ");
}

#[test]
fn a_subject_lists_its_codes() {
    insta::assert_snapshot!(explain("crash").unwrap_or_default(), @r"
    SW-CRASH-EXIT         the program ends with an error
    SW-CRASH-DONE         the program ends without an error, but should stay
    SW-CRASH-MEMORY       the container needs more memory than its limit
    SW-CRASH-SIGNAL       the program is ended by a signal
    ");
}

#[test]
fn the_list_has_every_code_once() {
    let list = list();
    for code in Code::ALL {
        let lines = list.lines().filter(|line| line.starts_with(&format!("{code} "))).count();
        assert_eq!(lines, 1, "{code}");
    }
    assert!(list.lines().all(|line| line.chars().count() <= 100));
}

#[test]
fn the_exit_table_is_printed_whole() {
    insta::assert_snapshot!(explain("exit").unwrap_or_default(), @r#"
    exit  outcome       first words                   what holds then
    0     shipped       the same                      the commit serves
    0     unchanged     the same                      it served already
    0     superseded    the same                      a newer commit takes over
    2     bad-input     nothing was read or written   nothing was looked at
    3     refused       nothing was written           ECR and cluster are as before
    4     not-deployed  nothing was deployed          ECR may have more, the cluster is as before
    5     rolled-back   X was not updated to C        the last healthy image serves again
    6     unknown       X may run A or B              a person is needed
    6     displaced     X was taken over              a person is needed
    6     not-restored  X was not rolled back         a person is needed
    7     cancelled     X was not watched to the end  the rollout goes on by itself
    70    bug           this is a bug in slipway      `now` says what is known

    2 with "the answer was not written" is SW-RUN-OUTPUT: nothing was changed.
    After 3 and 4 it is safe to run again once the cause is gone. After 6 read `now` first.
    "#);
}

#[test]
fn the_exit_table_has_every_ending() {
    for ending in ENDINGS {
        let row = format!("| {} | `{}` |", ending.exit(), ending.word());
        assert!(EXITS.lines().any(|line| line.starts_with(&row)), "{row}");
    }
    let printed = exits();
    assert!(printed.lines().all(|line| line.chars().count() <= 100), "{printed}");
}
