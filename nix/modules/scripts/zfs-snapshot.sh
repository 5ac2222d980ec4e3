# zfs-snapshot: takes snapshots of datasets, and prunes those that it took before.
#
# A snapshot is called after the schedule and the time in UTC, so that names sort and no change of the clocks makes two of
# one name or an hour without. What is pruned bears the same name and such a time to the letter: nobody else's snapshot
# does.

usage() {
  cat <<'END'
usage: zfs-snapshot --name NAME [OPTIONS] DATASET...

Takes a snapshot DATASET@NAME-<time in UTC> of each dataset, then destroys those of the same NAME that no rule keeps.
Without a rule nothing is destroyed. Never destroyed: the newest one of a dataset, one that is held or that a clone hangs
on, and whatever another program or a person has made.

  --name NAME       what the snapshots are called, and which ones are pruned
  --keep RULE=N     last, hourly, daily, weekly, monthly or yearly: the newest of each of so many; may be given again
  --recursive       also of what lies below each dataset
  --prune-only      takes no snapshot
END
}

name=
recursive=
prune_only=
rules=()
option() {
  local rule
  case $1 in
    --name) value name ;;
    --keep)
      value rule
      if [[ ! $rule =~ ^(last|hourly|daily|weekly|monthly|yearly)=(0|[1-9][0-9]{0,8})$ ]]; then
        wrong_usage "--keep takes a rule such as daily=7, not $rule"
      fi
      rules+=("$rule")
      ;;
    --recursive) recursive=1 ;;
    --prune-only) prune_only=1 ;;
    *) return 1 ;;
  esac
}

begin "$@"
if [[ ! $name =~ ^[A-Za-z0-9][A-Za-z0-9_.:-]*$ ]]; then
  wrong_usage '--name is missing or no name'
fi
if ((${#operands[@]} == 0)); then
  wrong_usage 'no dataset is named'
fi
need zfs zpool
lock

own="^${name//./[.]}-[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{6}Z\$"

# clock: puts the time into $seconds, and the name of a snapshot of now into $stamp.
clock() {
  if ! hear date +%s || ! gate seconds seconds "$heard"; then
    die 'nobody tells the time'
  fi
  TZ=UTC0 printf -v stamp "$name-%(%Y-%m-%dT%H%M%SZ)T" "$seconds"
}
clock

# A pool that has stopped makes every command hang that asks for it.
declare -A pool_is=()
usable() {
  local pool
  if ! gate name pool "${1%%/*}"; then
    failed "$1 is no dataset"
    return 1
  fi
  if [[ -z ${pool_is[$pool]+set} ]]; then
    hear zpool list -H -o health -- "$pool" || heard=missing
    gate name heard "$heard" || heard=unknown
    pool_is[$pool]=$heard
    case ${pool_is[$pool]} in
      ONLINE | DEGRADED) ;;
      missing) failed "there is no pool $pool" pool "$pool" ;;
      *) failed "the pool $pool is ${pool_is[$pool]}: nothing is done with it" pool "$pool" health "${pool_is[$pool]}" ;;
    esac
  fi
  [[ ${pool_is[$pool]} == ONLINE || ${pool_is[$pool]} == DEGRADED ]]
}

# below DATASET: fills `datasets` with it, and with what lies below where that is asked for.
below() {
  local below
  datasets=()
  if [[ -z $recursive ]]; then
    datasets=("$1")
  elif hear_list zfs list -H -o name -r -t filesystem,volume -- "$1"; then
    while take "a dataset below $1" below:dataset; do
      datasets+=("$below")
    done <<<"$heard"
  else
    failed "$1: $(last_line "$heard_err")" dataset "$1"
  fi
}

# take_snapshot DATASET [-r]: one snapshot, of this moment; the reason for a failure is left in $said. A name that is taken means a
# second run within a second.
take_snapshot() {
  local tries
  for tries in 1 2 3; do
    if attempt zfs snapshot "${@:2}" -- "$1@$stamp"; then
      return 0
    fi
    if [[ $said != *'already exists'* ]]; then
      return 1
    fi
    sleep 1
    clock
  done
  return 1
}

# not_taken DATASET: tells why, or puts it off until something is pruned.
no_room=()
not_taken() {
  if [[ $said == *'out of space'* ]]; then
    no_room+=("$1")
    warn "$1: no room for a snapshot" dataset "$1"
  else
    failed "$1: no snapshot: $reason" dataset "$1"
  fi
}

snapshot() {
  local dataset
  if [[ -z $recursive ]]; then
    if take_snapshot "$1"; then
      count 'snapshots taken'
    else
      not_taken "$1"
    fi
    return 0
  fi
  if take_snapshot "$1" -r; then
    count 'snapshots taken' "${#datasets[@]}"
    return 0
  fi
  # All or none: one volume that is out of room would keep every other dataset without a snapshot.
  warn "$1: not all at once: ${said%%$'\n'*}" dataset "$1"
  for dataset in "${datasets[@]}"; do
    if take_snapshot "$dataset"; then
      count 'snapshots taken'
    else
      not_taken "$dataset"
    fi
  done
}

# bucket RULE SECONDS: puts the part of the calendar that the time lies in into $part, in UTC.
bucket() {
  local taken
  must seconds taken "$2" 'the time of a snapshot'
  case $1 in
    last) part=$taken.$((++serial)) ;;
    hourly) part=$((taken / 3600)) ;;
    daily) part=$((taken / 86400)) ;;
    # The first of January 1970 was a Thursday; a week begins on Monday.
    weekly) part=$(((taken / 86400 + 3) / 7)) ;;
    monthly) TZ=UTC0 printf -v part '%(%Y%m)T' "$taken" ;;
    yearly) TZ=UTC0 printf -v part '%(%Y)T' "$taken" ;;
  esac
}
serial=0

# prune DATASET: destroys what no rule keeps, oldest first.
prune() {
  local dataset=$1 full created holds clones rule most before kept part i refused=$rows_refused
  local names=() times=() held=() keeps=()
  if ! hear_list zfs list -H -p -t snapshot -d 1 -o name,creation,userrefs,clones -s createtxg -- "$dataset"; then
    failed "$dataset: $(last_line "$heard_err")" dataset "$dataset"
    return 0
  fi
  while take "a snapshot of $dataset" full:dataset created:seconds holds:name? clones:text?; do
    if [[ $full != "$dataset@"* ]]; then
      continue
    fi
    beside "$dataset" "${full#*@}" "$created"
    if [[ ! ${full#*@} =~ $own ]]; then
      continue
    fi
    names+=("$full")
    times+=("$created")
    if [[ $holds != 0 && $holds != - ]]; then
      held+=('held')
    elif [[ -n $clones && $clones != - ]]; then
      held+=("the origin of $clones")
    else
      held+=('')
    fi
  done <<<"${heard//$'\t'/$'\x1f'}"
  if [[ $rows_refused != "$refused" ]]; then
    # The newest may be among those that were passed over.
    failed "$dataset: nothing is destroyed, since not all of its snapshots are known" dataset "$dataset"
    return 0
  fi
  if [[ -n $dry_run && -z $prune_only ]]; then
    # The one that would have been taken.
    names+=("$dataset@$stamp") times+=("$seconds") held+=('')
  fi
  for ((i = ${#names[@]} - 1; i >= 0; i--)); do keeps[i]=; done
  for rule in "${rules[@]}"; do
    before='' kept=0
    must number most "${rule#*=}" 'a rule'
    for ((i = ${#names[@]} - 1; i >= 0 && kept < most; i--)); do
      bucket "${rule%%=*}" "${times[i]}"
      if [[ $part != "$before" ]]; then
        keeps[i]=1 before=$part kept=$((kept + 1))
      fi
    done
  done
  # The newest is the one that somebody goes back to first; it is the last of the list.
  for ((i = 0; i < ${#names[@]} - 1; i++)); do
    if [[ -n ${keeps[i]} ]]; then
      continue
    fi
    if [[ -n ${held[i]} ]]; then
      say "left: ${names[i]} is ${held[i]}" snapshot "${names[i]}"
      count 'left since in use'
    elif attempt zfs destroy -- "${names[i]}"; then
      count 'destroyed'
    elif [[ $said == *'is busy'* || $said == *'being held'* || $said == *'dependent clones'* ]]; then
      warn "left: $reason" snapshot "${names[i]}"
      count 'left since in use'
    elif [[ $said == *'could not find any snapshots'* || $said == *'does not exist'* ]]; then
      say "gone already: ${names[i]}" snapshot "${names[i]}"
    else
      failed "${names[i]}: not destroyed: $reason" snapshot "${names[i]}"
    fi
  done
}

# beside DATASET SNAPSHOT SECONDS: tells once that another program takes snapshots here, too. Each prunes its own, but
# there are twice as many as anybody wanted.
beside_told=()
is_among() {
  local one wanted=$1
  shift
  for one; do
    if [[ $one == "$wanted" ]]; then
      return 0
    fi
  done
  return 1
}
beside() {
  local other about=$1 taken
  must seconds taken "$3" 'the time of a snapshot'
  case $2 in
    autosnap_*) other=sanoid ;;
    zfs-auto-snap_*) other=zfs-auto-snapshot ;;
    *) return 0 ;;
  esac
  if ((seconds - taken < 7 * 86400)) && ! is_among "$about $other" "${beside_told[@]}"; then
    beside_told+=("$about $other")
    warn "$1: $other takes snapshots here as well: one of the two is enough" dataset "$1" other "$other"
  fi
}

for dataset in "${operands[@]}"; do
  if usable "$dataset"; then
    below "$dataset"
    if [[ -z $prune_only ]] && ((${#datasets[@]})); then
      snapshot "$dataset"
    fi
    if ((${#rules[@]})); then
      for one in "${datasets[@]}"; do prune "$one"; done
    fi
  fi
done

# What had no room may have some now.
for dataset in "${no_room[@]}"; do
  if take_snapshot "$dataset"; then
    count 'snapshots taken'
  else
    failed "$dataset: no snapshot: $reason" dataset "$dataset"
  fi
done
