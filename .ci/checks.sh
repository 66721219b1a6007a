# One line a check, with the log under it where it fails, and a count at the end. Sourced by who sets, before
# each check: log, the file that says what was done; status, the exit of what did it.
# shellcheck shell=bash disable=SC2154  # those two are set where it is sourced
passed=0 failed=0

# check WHAT COMMAND…: a line; with the log under it when the command fails.
check() {
  local what=$1; shift
  if "$@"; then
    passed=$((passed + 1)); printf 'ok    %s\n' "$what"
  else
    failed=$((failed + 1)); printf 'FAIL  %s\n' "$what"
    sed 's/^/      | /' "$log"
  fi
}

exits() { [ "$status" = "$1" ]; }
says() { grep -qF -- "$1" "$log"; }
hides() { ! grep -qF -- "$1" "$log"; }

tally() {
  printf '%s passed, %s failed\n' "$passed" "$failed"
  [ "$failed" = 0 ]
}
