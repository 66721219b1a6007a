# What every part of the testbed needs: where things are, and how a program is started, awaited and
# stopped. Sourced by the scripts beside it, not run.
# shellcheck shell=bash disable=SC2034  # its variables are used where it is sourced

testbed=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# What is slow to make is kept here, and made again when it is not there.
cache=${SLIPWAY_TESTBED_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/slipway/testbed}
# What runs writes here, and nowhere else; it is short, since sockets have short names.
state=${SLIPWAY_TESTBED_STATE:-/tmp/slipway-testbed}
# The version of Kubernetes that runs.
kubernetes=${SLIPWAY_TESTBED_KUBERNETES:-1.34.2}

account=123456789012
region=ap-northeast-2
registry_name=$account.dkr.ecr.$region.amazonaws.com
# The API server has an address of its own, so that it can be on the port that EKS has.
cluster_address=127.0.0.2
cluster_name=0123456789ABCDEF0123456789ABCDEF.gr7.$region.eks.amazonaws.com

# In the order in which they come up; they go down in the other. The authenticator asks STS about every token.
parts=(authority registry face github authenticator control-plane node)
# Brought up by who needs them; the testbed takes them down with the others.
optional=(kwok engine ministack policy)

# Behind the TLS front, on loopback.
registry_port=${SLIPWAY_TESTBED_REGISTRY_PORT:-5000}
aws_port=7001
github_port=4010
ministack_port=4566
ministack_address=127.0.0.3
kwok_port=10247
policy_port=8444
engine_host=unix://$state/engine/engine.sock
engine_port=2376

sid=$cache/sid/root
bin=$cache/bin
emulation=$cache/emulation
kubernetes_bin=$cache/kubernetes-$kubernetes
PATH=$bin:$sid/usr/sbin:$sid/usr/bin:$cache/python/bin:/usr/sbin:$PATH

say() { printf 'testbed: %s\n' "$*" >&2; }

# The time at which a process started, in ticks since boot: with its id it names one process for ever. Nothing
# for one that has ended and that nobody has buried yet.
started_at() { sed 's/.*) //' "/proc/$1/stat" 2>/dev/null | awk '$1 != "Z" { print $20 }'; }

# start NAME COMMAND…: runs it in a session of its own; what it prints goes to log/NAME.log.
start() {
  local name=$1; shift
  if is_up "$name"; then return; fi
  mkdir -p "$state/log" "$state/run"
  setsid "$@" >"$state/log/$name.log" 2>&1 </dev/null &
  printf '%s %s\n' "$!" "$(started_at $!)" >"$state/run/$name.pid"
}

# Whether the process that `start` started is still that process.
is_up() {
  local pid ticks
  read -r pid ticks 2>/dev/null <"$state/run/$1.pid" || return 1
  [ -n "$ticks" ] && [ "$(started_at "$pid")" = "$ticks" ]
}

# stop NAME [SECONDS]: asks it to end, and ends it when it has not after this long.
stop() {
  local name=$1 patience=${2:-10} pid ticks
  if is_up "$name"; then
    read -r pid ticks <"$state/run/$name.pid"
    kill "$pid" 2>/dev/null || true
    for _ in $(seq $((patience * 10))); do
      is_up "$name" || break
      sleep .1
    done
    if is_up "$name"; then kill -9 "$pid" 2>/dev/null || true; fi
  fi
  rm -f "$state/run/$name.pid"
}

# wait_for NAME SECONDS COMMAND…: until the command succeeds; the part's last lines when it does not, or when
# the part has ended: what answers then is not ours.
wait_for() {
  local name=$1 seconds=$2; shift 2
  for _ in $(seq $((seconds * 10))); do
    is_up "$name" || break
    if "$@" >/dev/null 2>&1 && is_up "$name"; then return; fi
    sleep .1
  done
  if is_up "$name"; then say "$name is not there after $seconds s: $*"; else say "$name has ended"; fi
  tail -20 "$state/log/$name.log" >&2 2>/dev/null || true
  return 1
}

# unmount_below FOLDER: innermost first. One may go by itself meanwhile; what stays is told by `left`.
unmount_below() {
  local mount
  awk -v under="$1/" 'index($2, under) == 1 { print $2 }' /proc/mounts | sort -r |
    while read -r mount; do umount -l "$mount" 2>/dev/null || true; done
}

# groups STATE: control groups that this testbed's containers have left, and which nobody takes away: one of the
# engine, and one for each container that the node still had. The node's name nothing of ours but its folder.
groups() {
  local container
  compgen -G "/sys/fs/cgroup/*/${1##*/}" || true
  for container in "$1"/node/containerd/state/io.containerd.runtime.v2.task/k8s.io/*/; do
    [ -d "$container" ] || continue
    compgen -G "/sys/fs/cgroup/*/k8s.io/$(basename "$container")" || true
  done
}

# end_grouped STATE: ends what runs in the group of the engine: the step of a build goes on when its engine is killed.
end_grouped() {
  local pid
  # One of another place apart is told as 0.
  for pid in $(find /sys/fs/cgroup/*/"${1##*/}" -name cgroup.procs -exec cat {} + 2>/dev/null | sort -un); do
    if [ "$pid" != 0 ]; then kill -9 "$pid" 2>/dev/null || true; fi
  done
}

# ungroup STATE: takes those away in which no process is.
ungroup() {
  local group
  for group in $(groups "$1"); do
    find "$group" -depth -type d -exec rmdir {} \; 2>/dev/null || true
  done
  rmdir /sys/fs/cgroup/*/k8s.io 2>/dev/null || true
}

# buried STATE: waits until nothing of it is left, and says what is left after ten seconds. What was killed takes the
# kernel a moment to bury; until then its groups, mounts and folders are busy.
buried() {
  for _ in $(seq 50); do
    ungroup "$1"
    # By this folder the groups of the node are known.
    if [ -z "$(groups "$1")" ]; then rm -rf --one-file-system "$1" 2>/dev/null || true; fi
    # Not a bare `return`: in a trap that is the exit of what came before it.
    if SLIPWAY_TESTBED_STATE=$1 "$testbed/left" 2>/dev/null; then return 0; fi
    sleep .2
  done
  SLIPWAY_TESTBED_STATE=$1 "$testbed/left"
}

# The API server as its administrator.
admin() { kubectl --kubeconfig "$state/cluster/admin.kubeconfig" "$@"; }

# fill FILE [NAME=VALUE…]: the file with each @NAME@ replaced, and @STATE@ at least.
fill() {
  local file=$1 given pairs=(-e "s|@STATE@|$state|g"); shift
  for given in "$@"; do pairs+=(-e "s|@${given%%=*}@|${given#*=}|g"); done
  sed "${pairs[@]}" "$file"
}

# block FILE LANGUAGE: the first fenced block of that language in a page of the docs.
block() { awk -v fence="\`\`\`$2" '$0 == fence { inside = 1; next } inside && /^```$/ { exit } inside' "$1"; }

# The package `aws` as a program.
python_aws() { PYTHONPATH=$testbed PYTHONDONTWRITEBYTECODE=1 python -m aws "$@"; }
