//! Where a step stands in the Dockerfile: what engine 28 tells of it, and what is found for 20.10, which tells nothing.

use insta::assert_snapshot;

use super::causes::case;
use crate::docker::buildkit::detail::find;

const FAILED: &str =
    "process \"/bin/sh -c echo hi &&   false\" did not complete successfully: exit code: 1";

#[test]
fn an_instruction_that_goes_on_over_lines_is_quoted_whole() {
    // Of what stands on the lines 2 and 3 the engine tells the line 2.
    assert_snapshot!(case("[1/2] COPY pom.xml /src/").lines(2, 2).reads(FAILED), @r#"
    [SW-BUILD-STEP]: step 1/2 of `Dockerfile` exits with code 1
      why: `Dockerfile` line 2: "COPY pom.xml /src/"
      why: it wrote nothing
      next: correct line 2 of `Dockerfile`, or what it runs
    "#);
}

#[test]
fn an_instruction_is_found_by_what_an_old_builder_calls_it() {
    let file = "FROM scratch AS base\nARG A=1 B\nRUN echo $A && \\\n  # why\n  false\n\nRUN --mount=type=cache,target=/c ${B:-make} all\nCOPY a$A.txt \\\n  /x\nRUN <<end\nRUN echo 2 && false\nend\nRUN twice\nRUN twice\nRUN echo \\$5\n";
    let at = |told: &str| match find(file, told) {
        Some(place) => format!("{} {}\n", place.line, place.text),
        None => "not told\n".into(),
    };
    let all: String = [
        "RUN echo 1 &&   false",
        "RUN echo $A &&   false",
        "RUN echo 1 && true",
        "RUN --mount=type=cache,target=/c gmake -j 2 all",
        "COPY a1.txt   /x",
        "copy a1.txt /x",
        "RUN echo 2 && false",
        "RUN twice",
        "RUN echo \\$5",
    ]
    .map(at)
    .concat();
    assert_snapshot!(all, @r#"
    3 RUN echo $A && false
    3 RUN echo $A && false
    not told
    7 RUN --mount=type=cache,target=/c ${B:-make} all
    8 COPY a$A.txt /x
    8 COPY a$A.txt /x
    3 RUN echo $A && false
    not told
    15 RUN echo \$5
    "#);
}
