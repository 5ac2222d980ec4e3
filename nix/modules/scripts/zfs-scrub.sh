# zfs-scrub: has pools read every block and mend what is wrong.

usage() {
  cat <<'END'
usage: zfs-scrub [--wait] POOL...

Starts a scrub of each pool; one that was paused goes on. A pool that scrubs already is left at it, one that resilvers is
busy: it reads its blocks anyway.

  --wait            waits for the end, and looks at what was found
END
}

wait_for_end=
option() {
  case $1 in
    --wait) wait_for_end=1 ;;
    *) return 1 ;;
  esac
}

begin "$@"
if ((${#operands[@]} == 0)); then
  wrong_usage 'no pool is named'
fi
need zpool
lock

started=()
for pool in "${operands[@]}"; do
  if ! hear zpool list -H -o health -- "$pool"; then
    failed "there is no pool $pool, or it does not answer: $(last_line "$heard_err")" pool "$pool"
  elif ! gate name health "$heard"; then
    failed "the pool $pool does not say how it is" pool "$pool"
  elif [[ $health != ONLINE && $health != DEGRADED ]]; then
    failed "the pool $pool is $health: it cannot be scrubbed" pool "$pool" health "$health"
  elif attempt zpool scrub -- "$pool"; then
    count 'scrubs started'
    started+=("$pool")
  elif [[ $said == *'currently scrubbing'* ]]; then
    say "$pool: a scrub is running already" pool "$pool"
    count 'running already'
    started+=("$pool")
  elif [[ $said == *resilver* ]]; then
    busy "$pool: it resilvers" pool "$pool"
  else
    failed "$pool: $reason" pool "$pool"
  fi
done

if [[ -z $wait_for_end || -n $dry_run ]]; then
  exit 0
fi
# The pool is at it now, whoever else asks.
unlock
waiting=
still_running() {
  if [[ -n $waiting ]]; then
    warn "nobody waits any longer, and $waiting scrubs on" pool "$waiting"
  fi
}
at_exit still_running
for waiting in "${started[@]}"; do
  show zpool wait -t scrub -- "$waiting"
  # `zpool status` says by no status that something was found.
  if ! hear zpool status -x -- "$waiting"; then
    failed "$waiting: nobody tells what the scrub has found: $(last_line "$heard_err")" pool "$waiting"
    continue
  fi
  health=$heard
  if [[ $health == *"pool '$waiting' is healthy"* ]]; then
    say "$waiting: nothing was wrong" pool "$waiting"
    count 'without a fault'
  else
    health=$(sed -n 's/^ *\(state\|status\|scan\|errors\): /\1: /; T; s/\.  .*/./; p' <<<"$health")
    found "$waiting: ${health//$'\n'/; }" pool "$waiting"
  fi
done
waiting=
