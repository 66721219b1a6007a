# A user's repository with the checkout's action in it, its workflow run under act, and one line a check.
# Sourced by `.ci/act` and `testbed/act`, which set: root, the checkout; work, a folder of their own;
# options, what else act is given.
# shellcheck shell=bash disable=SC2154  # those three are set where it is sourced
. "$root/.ci/checks.sh"
repo=$work/repo

# The runner's image: busybox alone. act keeps it alive with `tail` and copies files with `tar`.
make_runner() {
  local applet
  mkdir -p "$work/runner/bin" "$work/runner/tmp"
  cp /bin/busybox "$work/runner/bin/"
  for applet in $(/bin/busybox --list); do
    [ "$applet" = busybox ] || ln -s busybox "$work/runner/bin/$applet"
  done
  tar -C "$work/runner" -c . | docker import --change 'ENV PATH=/bin' - slipway/runner >/dev/null
}

# The repository, with the action in it as `uses: ./` wants it; images are added by who knows them.
make_repository() {
  mkdir -p "$repo/.github/workflows" "$repo/dist"
  cp "$root"/{action.yml,Dockerfile,.dockerignore} "$repo/"
  cp "$root"/dist/{slipway-linux-amd64,ca-certificates.crt} "$repo/dist/"
  cp "$root/.ci/act-workflow.yml" "$repo/.github/workflows/ship.yml"
  echo /dist >"$repo/.gitignore"
  git -C "$repo" init -q -b main
  git -C "$repo" remote add origin https://github.com/acme/shop.git
}

# commit WORDS: what is there now; its name is printed.
commit() {
  git -C "$repo" add -A
  git -C "$repo" -c user.name=ci -c user.email=ci@example.com commit -q --allow-empty -m "$1"
  git -C "$repo" rev-parse HEAD
}

# run NAME EVENT [OPTION OF ACT…]: the workflow's words go to $log, act's exit to $status. Where `daemon` is set,
# the containers of the job get that engine's socket, as they do on GitHub.
run() {
  local name=$1; shift
  log=$work/$name.log status=0
  (cd "$repo" && HOME=$work XDG_CACHE_HOME=$work/cache exec act "$@" "${options[@]}" \
    -P ubuntu-latest=slipway/runner --pull=false --network host --container-daemon-socket "${daemon:--}" \
    --use-gitignore=false --rm) >"$log" 2>&1 || status=$?
}
