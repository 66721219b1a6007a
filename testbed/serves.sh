# What serves in the namespace `shop`, as its visitors see it. Sourced after part.sh.
# shellcheck shell=bash disable=SC2154  # part.sh sets the registry's name

# What the cluster's administrator and a visitor see of it: the commit that the workload names, and the word
# that every pod answers. An old pod may still be on its way out.
serves() {
  local image
  image=$(admin -n shop get deployment web -o jsonpath='{.spec.template.spec.containers[0].image}')
  [[ $image == "$registry_name/web:$1"* ]] || return 1
  for _ in $(seq 50); do
    [ "$(answers)" = "$2 $2" ] && return
    sleep .2
  done
  return 1
}

answers() {
  local address words=()
  for address in $(admin -n shop get pods -l app=web -o jsonpath='{.items[*].status.podIP}'); do
    words+=("$(curl -s --max-time 1 "http://$address:8080/")")
  done
  echo "${words[*]}"
}
