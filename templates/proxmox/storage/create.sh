#!/bin/bash
# <@ header|safe @>
#
# Makes the pools and datasets of the host. What is there already stays: a second run changes nothing. A disk that holds
# anything is never touched; every disk is looked at before the first pool is made.
<% include "gate.sh" %>

<% include "tool.sh" %>

usage() {
  cat <<'END'
usage: create.sh [--dry-run] [--yes]

Makes the ZFS pools and datasets that are missing, and sets the properties that differ.

  --dry-run   shows what would be done, and changes nothing
  --yes       asks nothing before a pool is made
  --help      shows this

No step destroys data, so there is nothing to confirm by name: a disk that holds partitions, a file system, a RAID
or ZFS label is refused. Empty it yourself if nothing on it is needed.
END
}

while (($#)); do
  case $1 in
    --dry-run) dry_run=1 ;;
    --yes) yes=1 ;;
    --help | -h) usage; exit 0 ;;
    *) usage >&2; exit 2 ;;
  esac
  shift
done

need awk lsblk readlink wipefs zfs zpool
trap 'warn "stopped: the last command above failed"' ERR

pools=$(zpool list -H -o name)
datasets=$(zfs list -H -o name -t filesystem,volume)
made_pools=
problems=()
declare -A claimed=()

has_line() { grep -Fxq -e "$2" <<<"$1"; }
pool_exists() { has_line "$pools" "$1"; }
made_now() { has_line "$made_pools" "$1"; }

# in_pool POOL DISK: whether the disk, or a partition of it, belongs to the pool.
in_pool() {
  local real member parent
  real=$(readlink -f -- "$2")
  while read -r member; do
    if [[ $member == "$real" ]]; then
      return 0
    fi
    parent=$(lsblk -nro PKNAME "$member" 2>/dev/null | sed -n 1p || true)
    if [[ -n $parent && /dev/$parent == "$real" ]]; then
      return 0
    fi
  done < <(zpool status -P -L "$1" | awk '$1 ~ "^/" { print $1 }')
  return 1
}

# guard USE DISK...: notes a problem for every disk that is not there, not blank, or asked for twice.
guard() {
  local use=$1 disk real parts signatures
  shift
  for disk; do
    if ! lsblk -dnro NAME "$disk" >/dev/null 2>&1; then
      problems+=("$use: there is no disk $disk")
      continue
    fi
    real=$(readlink -f -- "$disk")
    if [[ -n ${claimed[$real]:-} ]]; then
      problems+=("$use: $disk is the disk that ${claimed[$real]} takes")
      continue
    fi
    claimed[$real]=$use
    parts=$(lsblk -nro NAME "$disk" | tail -n +2 | paste -sd ' ')
    if [[ -n $parts ]]; then
      problems+=("$use: $disk has partitions or is in use: $parts")
      continue
    fi
    signatures=$(wipefs --no-act --noheadings --output TYPE "$disk" | sort -u | paste -sd ' ')
    if [[ -n $signatures ]]; then
      problems+=("$use: $disk holds $signatures")
    fi
  done
}

# check_pool POOL by-installer|by-us DISK...
check_pool() {
  local pool=$1 maker=$2 disk
  shift 2
  if ! pool_exists "$pool"; then
    if [[ $maker == by-installer ]]; then
      problems+=("pool $pool: it is the installer's to make, and it is not there")
    else
      guard "pool $pool" "$@"
    fi
    return 0
  fi
  for disk; do
    if ! in_pool "$pool" "$disk"; then
      warn "pool $pool is there without $disk: left alone (zpool replace, zpool attach)"
    fi
  done
}

# state_of_vdev POOL DISK...: all, none or some of the disks belong to the pool.
state_of_vdev() {
  local pool=$1 disk here=0
  shift
  if pool_exists "$pool"; then
    for disk; do
      if in_pool "$pool" "$disk"; then
        here=$((here + 1))
      fi
    done
  fi
  if ((here == 0)); then
    echo none
  elif ((here == $#)); then
    echo all
  else
    echo some
  fi
}

# check_vdev POOL ROLE DISK...
check_vdev() {
  local pool=$1 role=$2
  shift 2
  case $(state_of_vdev "$pool" "$@") in
    none) guard "$role of pool $pool" "$@" ;;
    some) warn "pool $pool has some disks of its $role vdev and not others: left alone" ;;
  esac
}

# make_pool POOL ARGUMENT...: zpool create, where the pool is missing.
make_pool() {
  local pool=$1
  if pool_exists "$pool"; then
    return 0
  fi
  shift
  ask "Make the pool $pool?"
  if [[ -z $dry_run ]]; then
    udevadm settle || true
  fi
  run zpool create "$@"
  pools+=$'\n'$pool
  made_pools+=$'\n'$pool
  datasets+=$'\n'$pool
}

# add_vdev POOL ROLE COUNT DISK... WORD...: zpool add, where none of the COUNT disks belongs to the pool.
add_vdev() {
  local pool=$1 role=$2 count=$3
  shift 3
  if made_now "$pool"; then
    return 0
  fi
  if [[ $(state_of_vdev "$pool" "${@:1:count}") == none ]]; then
    ask "Add a $role vdev to the pool $pool? A special vdev cannot always be taken out again."
    run zpool add "$pool" "${@:count+1}"
  fi
}

# pool_property POOL NAME VALUE
pool_property() {
  if ! made_now "$1" && [[ $(zpool get -H -o value "$2" "$1") != "$3" ]]; then
    run zpool set "$2=$3" "$1"
  fi
}

# property DATASET NAME VALUE
property() {
  if [[ $(zfs get -Hp -o value "$2" "$1") != "$3" ]]; then
    run zfs set "$2=$3" "$1"
  fi
}

# root_property POOL NAME VALUE: of the dataset that the pool itself is.
root_property() {
  if ! made_now "$1"; then
    property "$@"
  fi
}

# make_dataset DATASET NAME=VALUE...: what is missing is made, what differs is set.
make_dataset() {
  local dataset=$1 setting options=()
  shift
  if has_line "$datasets" "$dataset"; then
    for setting; do
      property "$dataset" "${setting%%=*}" "${setting#*=}"
    done
    return 0
  fi
  for setting; do
    # ZFS mounts over a folder that is not empty, and what was in it seems lost.
    if [[ $setting == mountpoint=/* && -d ${setting#*=} && -n $(ls -A -- "${setting#*=}") ]]; then
      die "dataset $dataset: the folder ${setting#*=} is not empty"
    fi
    options+=(-o "$setting")
  done
  run zfs create -p "${options[@]}" "$dataset"
  datasets+=$'\n'$dataset
}

# ---------------------------------------------------------------- first look

<% for pool in pools -%>
check_pool <@ pool.name @> <% if pool.boot %>by-installer<% else %>by-us<% endif %>
<%- for disk in pool.disks %> \
  <@ disk @>
<%- endfor %>
<% for vdev in pool.further -%>
check_vdev <@ pool.name @> <@ vdev.role @>
<%- for disk in vdev.disks %> \
  <@ disk @>
<%- endfor %>
<% endfor -%>
<% endfor -%>
if ((${#problems[@]})); then
  for problem in "${problems[@]}"; do
    warn "$problem"
  done
  die 'nothing was changed. If nothing on a disk is needed, empty it yourself: wipefs --all DISK; zpool labelclear DISK'
fi

# ---------------------------------------------------------------- then make

<% for pool in pools -%>
<% if pool.boot -%>
<% else -%>
<% if pool.unlike != "" -%>
# -f is for <@ pool.unlike|safe @>: every disk has been looked at above.
<% endif -%>
make_pool <@ pool.name @> \
<%- if pool.unlike != "" %>
  -f \
<%- endif %>
  -o ashift=<@ pool.ashift @> -o autotrim=<@ pool.autotrim @> -O compression=<@ pool.compression @> <@ pool.name @>
<%- for word in pool.vdevs %> \
  <@ word @>
<%- endfor %>
<%- for vdev in pool.further %>
<%- for word in vdev.words %> \
  <@ word @>
<%- endfor %>
<%- endfor %>
<% endif -%>
<% for vdev in pool.further -%>
add_vdev <@ pool.name @> <@ vdev.role @> <@ vdev.count @>
<%- for disk in vdev.disks %> \
  <@ disk @>
<%- endfor %>
<%- for word in vdev.words %> \
  <@ word @>
<%- endfor %>
<% endfor -%>
pool_property <@ pool.name @> autotrim <@ pool.autotrim @>
root_property <@ pool.name @> compression <@ pool.compression @>
<% endfor -%>
<% for dataset in datasets -%>
make_dataset <@ dataset.name @>
<%- for property in dataset.properties %> \
  <@ property.key @>=<@ property.value @>
<%- endfor %>
<% endfor %>
if ((changes == 0)); then
  say 'pools and datasets: nothing to change'
elif [[ -n $dry_run ]]; then
  say "pools and datasets: $changes changes, none made (--dry-run)"
else
  say "pools and datasets: $changes changes made"
fi
