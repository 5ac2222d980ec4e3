#!/usr/bin/env bash
# Takes snapshots of datasets and prunes those that it took before.
set -euo pipefail

usage() {
  cat <<'TEXT'
Usage: zfs-snapshot --name NAME [OPTIONS] DATASET...

Takes a snapshot `DATASET@NAME-<time in UTC>` of each dataset, then destroys those of the same NAME that no rule keeps.
Snapshots of another name, and held ones, are never touched. Without a rule nothing is destroyed.

  --name NAME     what the snapshots are called, and which ones are pruned
  --keep RULE=N   last, hourly, daily, weekly, monthly or yearly: the newest of each of so many; may be given again
  --recursive     also of what lies below each dataset
  --dry-run       tell what would be done, change nothing
  --yes           asks nothing, with or without it
  --help          print this
TEXT
}

fail() { # STATUS MESSAGE
  printf 'zfs-snapshot: %s\n' "$2" >&2
  exit "$1"
}

name='' recursive='' dry_run='' rules=() datasets=()
while (($#)); do
  case $1 in
    --name)
      (($# > 1)) || fail 2 "--name takes a name"
      name=$2
      shift
      ;;
    --keep)
      [[ ${2:-} =~ ^(last|hourly|daily|weekly|monthly|yearly)=[0-9]+$ ]] || fail 2 "--keep takes a rule such as daily=7"
      rules+=("$2")
      shift
      ;;
    --recursive) recursive=1 ;;
    --dry-run) dry_run=1 ;;
    --yes) ;;
    --help | -h) usage && exit 0 ;;
    -*) fail 2 "unknown option $1 (see --help)" ;;
    *) datasets+=("$1") ;;
  esac
  shift
done
[[ $name =~ ^[A-Za-z0-9][A-Za-z0-9_.:-]*$ ]] || fail 2 "--name is missing or no name (see --help)"
((${#datasets[@]})) || fail 2 "no dataset (see --help)"

run() {
  if [[ $dry_run ]]; then
    printf 'would run: %s\n' "$*"
  else
    "$@"
  fi
}

now=$(date -u +%Y-%m-%dT%H%M%SZ)
below=()
[[ ! $recursive ]] || below=(-r)
status=0
for dataset in "${datasets[@]}"; do
  run zfs snapshot "${below[@]}" "$dataset@$name-$now" || status=1
done

# The calendar unit that a snapshot of a rule falls into.
bucket_of() { # RULE SECONDS
  case $1 in
    last) printf '%s' "$2" ;;
    hourly) date -u -d "@$2" +%Y%m%d%H ;;
    daily) date -u -d "@$2" +%Y%m%d ;;
    weekly) date -u -d "@$2" +%G%V ;;
    monthly) date -u -d "@$2" +%Y%m ;;
    yearly) date -u -d "@$2" +%Y ;;
  esac
}

prune() { # DATASET
  local listed snapshot created holds rule kind most bucket before taken
  local -A kept=()
  local -a snapshots=()
  # Newest first. What stands in `userrefs` is the number of holds.
  listed=$(zfs list -H -p -t snapshot -d 1 -o name,creation,userrefs -S creation "$1")
  while IFS=$'\t' read -r snapshot created holds; do
    [[ $snapshot == "$1@$name-"* ]] || continue
    snapshots+=("$snapshot $created $holds")
  done <<<"$listed"
  for rule in "${rules[@]}"; do
    kind=${rule%%=*} most=${rule#*=} before='' taken=0
    for snapshot in "${snapshots[@]}"; do
      read -r snapshot created holds <<<"$snapshot"
      ((taken < most)) || break
      bucket=$(bucket_of "$kind" "$created")
      if [[ $kind == last || $bucket != "$before" ]]; then
        kept[$snapshot]=1
        before=$bucket
        taken=$((taken + 1))
      fi
    done
  done
  for snapshot in "${snapshots[@]}"; do
    read -r snapshot created holds <<<"$snapshot"
    [[ ! ${kept[$snapshot]:-} ]] || continue
    if [[ $holds != 0 ]]; then
      printf 'held: %s\n' "$snapshot"
    else
      run zfs destroy "$snapshot" || status=1
    fi
  done
}

if ((${#rules[@]} && status == 0)); then
  for dataset in "${datasets[@]}"; do
    if [[ $recursive ]]; then
      children=$(zfs list -H -r -t filesystem,volume -o name "$dataset")
      while IFS= read -r child; do prune "$child"; done <<<"$children"
    else
      prune "$dataset"
    fi
  done
fi
exit "$status"
