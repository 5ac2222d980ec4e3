# zfs-trim: tells flash which blocks are free.

usage() {
  cat <<'END'
usage: zfs-trim [--wait] POOL...

Starts a trim of each pool. A pool that trims already is left at it, and so is one without a disk that can be trimmed.

  --wait            waits for the end
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
    failed "the pool $pool is $health: it cannot be trimmed" pool "$pool" health "$health"
  elif attempt zpool trim -- "$pool"; then
    count 'trims started'
    started+=("$pool")
  elif [[ $said == *'currently trimming'* ]]; then
    say "$pool: a trim is running already" pool "$pool"
    count 'running already'
    started+=("$pool")
  elif [[ $said == *'support trim'* ]]; then
    say "$pool: no disk of it can be trimmed" pool "$pool"
    count 'cannot be trimmed'
  else
    failed "$pool: $reason" pool "$pool"
  fi
done

if [[ -n $wait_for_end && -z $dry_run ]]; then
  unlock
  for pool in "${started[@]}"; do
    show zpool wait -t trim -- "$pool"
    say "$pool: trimmed" pool "$pool"
  done
fi
