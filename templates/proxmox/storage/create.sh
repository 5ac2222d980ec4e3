#!/bin/bash
# <@ header|safe @>
#
# Makes the pools, datasets and volume groups of the host. What is there already stays: a second run changes nothing. A
# disk that holds anything is never touched; every disk is looked at before the first pool or group is made.
#
# It is one group, so that a file that was cut does nothing but fail. What `gate` and `take` make shellcheck does not
# see (SC2154), nor what the scripts take of the libraries.
#
# shellcheck disable=SC2016,SC2034,SC2119,SC2120,SC2154,SC2317,SC2329
{
<% include "gate.sh" %>

<% include "tool.sh" %>

usage() {
  cat <<'END'
usage: create.sh [--dry-run] [--yes] [--record FILE] [--as-it-is FILE]...

Makes the ZFS pools and datasets, and the volume groups and thin pools of LVM that are missing, and sets the properties
of ZFS that differ.

  --dry-run   shows what would be done, and changes nothing
  --yes       asks nothing before a pool or a volume group is made
  --record FILE
              keeps there what is set: a property that somebody has changed
              since the last run stays, until the spec says another value
  --as-it-is FILE
              takes this file of the tree although it was changed by hand
  --help      shows this

No step destroys data, so there is nothing to confirm by name: a disk that holds partitions, a file system, a label of
RAID, LVM or ZFS is refused. Empty it yourself if nothing on it is needed.
END
}

record=''
while (($#)); do
  case $1 in
    --dry-run) dry_run=1 ;;
    --yes) yes=1 ;;
    --record)
      record=${2:?--record takes a file}
      shift
      ;;
    --confirm) shift ;; # what apply.sh was told of other steps
    --as-it-is)
      as_it_is+=("${2:?--as-it-is takes a file}")
      shift
      ;;
    --help | -h) usage; exit 0 ;;
    *) usage >&2; exit 2 ;;
  esac
  shift
done

need awk flock lsblk paste perl readlink sed sort wipefs zfs zpool
# Whatever a command's own status was, it is not one of ours.
trap 'warn "stopped: the last command above failed"; exit 1' ERR

tree=$(cd -- "$(dirname -- "$0")/../.." && pwd) || die 'the folder of the tree cannot be found'
prove_tree "$tree" '' proxmox/storage/create.sh
lock storage-create

# Properties as the last run left them and as this one does, a line each: `zfs rpool/data quota=1073741824`.
set_before=''
set_now=''
if [[ -n $record && -e $record ]]; then
  set_before=$(head -c 4194304 -- "$record") || die "$record cannot be read"
fi

# listed WHAT COMMAND...: the names that a program lists, one a line, in $names. A failed listing is no empty listing.
names=''
listed() {
  local what=$1 name
  shift
  hear_list "$@" || die "$what cannot be listed: $(last_line "$heard_err")"
  names=''
  while take_every "$what" name:dataset; do
    names+=$name$'\n'
  done <<<"$heard"
}
listed 'the pools' zpool list -H -o name
pools=$names
listed 'the datasets' zfs list -H -o name -t filesystem,volume
datasets=$names
made_pools=
problems=()
declare -A claimed=()

has_line() { [[ $'\n'$1$'\n' == *$'\n'"$2"$'\n'* ]]; }
pool_exists() { has_line "$pools" "$1"; }
made_now() { has_line "$made_pools" "$1"; }

# real_disk DISK: the device that a stable name leads to, in $real_name.
real_name=
real_disk() {
  hear readlink -f -- "$1" || die "$1 leads nowhere: $(last_line "$heard_err")"
  must path real_name "$heard" "what $1 leads to"
}

# in_pool POOL DISK: whether the disk, or a partition of it, belongs to the pool.
in_pool() {
  local real member members parent
  real_disk "$2"
  real=$real_name
  hear_list zpool status -P -L "$1" || die "the disks of the pool $1 cannot be listed: $(last_line "$heard_err")"
  members=$(awk '$1 ~ "^/" { print $1 }' <<<"$heard") || die "the disks of the pool $1 cannot be listed"
  while take_every "a disk of the pool $1" member:path; do
    if [[ $member == "$real" ]]; then
      return 0
    fi
    # A member that is away has no parent any more; of another the parent is known, or nothing is.
    if ! hear lsblk -nro PKNAME "$member"; then
      if [[ -e $member ]]; then
        die "the disk of $member is not told: $(last_line "$heard_err")"
      fi
      heard=
    fi
    if gate name parent "${heard%%$'\n'*}" && [[ /dev/$parent == "$real" ]]; then
      return 0
    fi
  done <<<"$members"
  return 1
}

# guard USE DISK...: notes a problem for every disk that is not there, not blank, or asked for twice.
guard() {
  local use=$1 disk real parts signatures
  shift
  for disk; do
    if ! hear lsblk -dnro NAME "$disk"; then
      problems+=("$use: there is no disk $disk")
      continue
    fi
    real_disk "$disk"
    real=$real_name
    if [[ -n ${claimed[$real]:-} ]]; then
      problems+=("$use: $disk is the disk that ${claimed[$real]} takes")
      continue
    fi
    claimed[$real]=$use
    hear lsblk -nro NAME "$disk" || die "the partitions of $disk cannot be listed: $(last_line "$heard_err")"
    parts=''
    if [[ $heard == *$'\n'* ]]; then
      parts=$(text_of "${heard#*$'\n'}")
    fi
    if [[ -n $parts ]]; then
      problems+=("$use: $disk has partitions or is in use: $parts")
      continue
    fi
    hear wipefs --no-act --noheadings --output TYPE "$disk" || die "nobody tells what $disk holds: $(last_line "$heard_err")"
    signatures=$(sort -u <<<"$heard" | paste -sd ' ') || die "nobody tells what $disk holds"
    signatures=$(text_of "$signatures")
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

# state_of_vdev POOL DISK...: whether all, none or some of the disks belong to the pool, in $vdev_is.
vdev_is=''
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
  vdev_is=some
  if ((here == 0)); then
    vdev_is=none
  elif ((here == $#)); then
    vdev_is=all
  fi
}

# check_vdev POOL ROLE DISK...
check_vdev() {
  local pool=$1 role=$2
  shift 2
  state_of_vdev "$pool" "$@"
  case $vdev_is in
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
    hear_for 130 udevadm settle || warn 'udev has not settled'
  fi
  run zpool create "$@"
  pools+=$'\n'$pool
  made_pools+=$'\n'$pool
  datasets+=$'\n'$pool
}

# add_vdev POOL ROLE COUNT DISK... WORD...: zpool add, where none of the COUNT disks belongs to the pool.
add_vdev() {
  local pool=$1 role=$2 count disks
  must number count "$3" 'the number of disks'
  shift 3
  disks=("$@")
  if made_now "$pool"; then
    return 0
  fi
  state_of_vdev "$pool" "${disks[@]:0:count}"
  if [[ $vdev_is == none ]]; then
    ask "Add a $role vdev to the pool $pool? A special vdev cannot always be taken out again."
    run zpool add "$pool" "${disks[@]:count}"
  fi
}

# noted PROGRAM OBJECT NAME=VALUE: what the next run goes by.
noted() { set_now+="$1 $2 $3"$'\n'; }

# is_to_be_set PROGRAM OBJECT NAME VALUE: whether a property, which is $heard now, gets the value. One that somebody has
# changed since the last run stays, and where the spec has changed, too, somebody has to say which of the two it is.
is_to_be_set() {
  local left
  noted "$1" "$2" "$3=$4"
  if [[ $heard == "$4" ]]; then
    return 1
  fi
  if [[ $'\n'$set_before != *$'\n'"$1 $2 $3="* ]]; then
    return 0
  fi
  left=$'\n'$set_before
  left=${left##*$'\n'"$1 $2 $3="}
  left=${left%%$'\n'*}
  if [[ $left == "$4" ]]; then
    warn "$3 of $2 was $4 after the last run and is $(text_of "$heard") by now: it stays. To go back to the spec: $1 set $3=$4 $2"
    return 1
  fi
  if [[ $heard != "$left" ]]; then
    die "$3 of $2 is $(text_of "$heard") by hand, and the spec says $4 now: set one of the two, or plan it (moxc apply)"
  fi
}

# pool_property POOL NAME VALUE
pool_property() {
  if made_now "$1"; then
    noted zpool "$1" "$2=$3"
    return 0
  fi
  hear zpool get -H -o value "$2" "$1" || die "$2 of the pool $1 cannot be read: $(last_line "$heard_err")"
  if is_to_be_set zpool "$@"; then
    run zpool set "$2=$3" "$1"
  fi
}

# check_compression DATASET COMPRESSION: before anything is made: ends the run where what is compressed so would keep the
# host from starting.
check_compression() {
  if has_line "$datasets" "$1"; then
    hear zfs get -Hp -o value compression "$1" || die "compression of $1 cannot be read: $(last_line "$heard_err")"
    if [[ $heard == "$2" ]]; then
      return 0
    fi
  fi
  if [[ $2 == zstd* ]] && grub_reads "${1%%/*}"; then
    die "compression=$2 of $1: GRUB reads the pool by itself, and zstd it cannot read: the host would not start again. Let proxmox-boot-tool take over the start first (\"Switch Legacy-Boot to Proxmox Boot Tool\" in Proxmox VE's wiki), or say another compression. Nothing was changed"
  fi
}

# property DATASET NAME VALUE
property() {
  hear zfs get -Hp -o value "$2" "$1" || die "$2 of $1 cannot be read: $(last_line "$heard_err")"
  if is_to_be_set zfs "$@"; then
    run zfs set "$2=$3" "$1"
  fi
}

# root_property POOL NAME VALUE: of the dataset that the pool itself is.
root_property() {
  if made_now "$1"; then
    noted zfs "$1" "$2=$3"
  else
    property "$@"
  fi
}

# make_dataset DATASET NAME=VALUE...: what is missing is made, what differs is set. What stands behind `new:` is decided when
# the dataset is made, and never set later.
make_dataset() {
  local dataset=$1 setting options=()
  shift
  if has_line "$datasets" "$dataset"; then
    for setting; do
      if [[ $setting != new:* ]]; then
        property "$dataset" "${setting%%=*}" "${setting#*=}"
      fi
    done
    return 0
  fi
  for setting; do
    # ZFS mounts over a folder that is not empty, and what was in it seems lost.
    if [[ $setting == mountpoint=/* && -d ${setting#*=} ]]; then
      hear find "${setting#*=}" -mindepth 1 -maxdepth 1 -print -quit || die "the folder ${setting#*=} cannot be looked into"
      if [[ -n $heard ]]; then
        die "dataset $dataset: the folder ${setting#*=} is not empty"
      fi
    fi
    options+=(-o "${setting#new:}")
    if [[ $setting != new:* ]]; then
      noted zfs "$dataset" "$setting"
    fi
  done
  run zfs create -p "${options[@]}" "$dataset"
  datasets+=$'\n'$dataset
}

# know_lvm: what LVM has, a line each, in $groups and $volumes (GROUP/VOLUME); asked once.
lvm_is_known=
groups=''
volumes=''
made_groups=
know_lvm() {
  local lvm_name
  if [[ -n $lvm_is_known ]]; then
    return 0
  fi
  lvm_is_known=1
  need lvcreate lvs pvs vgcreate vgs
  hear_list vgs --noheadings -o vg_name || die "the volume groups cannot be listed: $(last_line "$heard_err")"
  groups=''
  while take_every 'the volume groups' lvm_name:word; do
    groups+=$lvm_name$'\n'
  done <<<"${heard// /}"
  hear_list lvs --noheadings --separator / -o vg_name,lv_name ||
    die "the logical volumes cannot be listed: $(last_line "$heard_err")"
  volumes=''
  while take_every 'the logical volumes' lvm_name:word; do
    volumes+=$lvm_name$'\n'
  done <<<"${heard// /}"
}

# in_group GROUP DISK: whether the disk belongs to the volume group.
in_group() {
  local real member members
  real_disk "$2"
  real=$real_name
  hear_list pvs --noheadings -o pv_name --select "vg_name=$1" ||
    die "the disks of the volume group $1 cannot be listed: $(last_line "$heard_err")"
  # A disk that is away is shown as `[unknown]`.
  members=$(awk '$1 ~ "^/" { print $1 }' <<<"$heard") || die "the disks of the volume group $1 cannot be listed"
  while take_every "a disk of the volume group $1" member:path; do
    real_disk "$member"
    if [[ $real_name == "$real" ]]; then
      return 0
    fi
  done <<<"$members"
  return 1
}

# check_group GROUP DISK...
check_group() {
  local group=$1 disk
  shift
  if ! has_line "$groups" "$group"; then
    guard "volume group $group" "$@"
    return 0
  fi
  for disk; do
    if ! in_group "$group" "$disk"; then
      warn "volume group $group is there without $disk: left alone (vgextend)"
    fi
  done
}

# make_group GROUP DISK...: where the volume group is missing.
make_group() {
  local group=$1
  if has_line "$groups" "$group"; then
    return 0
  fi
  shift
  ask "Make the volume group $group?"
  if [[ -z $dry_run ]]; then
    hear_for 130 udevadm settle || warn 'udev has not settled'
  fi
  # It gives the disks their labels itself: a run that is cut off leaves none with a label and no group.
  run vgcreate "$group" "$@"
  groups+=$'\n'$group
  made_groups+=$'\n'$group
}

# make_thin_pool GROUP POOL OPTION SIZE: where the thin pool is missing.
make_thin_pool() {
  if has_line "$volumes" "$1/$2"; then
    return 0
  fi
  if ! has_line "$made_groups" "$1"; then
    ask "Make the thin pool $2 in the volume group $1?"
  fi
  # What lies in extents that nobody has is nobody's: it is not asked for.
  run lvcreate --yes --type thin-pool "$3" "$4" -n "$2" "$1"
  volumes+=$'\n'$1/$2
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
<% for group in groups -%>
know_lvm
check_group <@ group.name @>
<%- for disk in group.disks %> \
  <@ disk @>
<%- endfor %>
<% endfor -%>
<% for pool in pools -%>
<% if pool.boot -%>
<% if pool.states_compression -%>
check_compression <@ pool.name @> <@ pool.compression @>
<% endif -%>
<% endif -%>
<% endfor -%>
<% for dataset in datasets -%>
<% for property in dataset.properties -%>
<% if property.key == "compression" -%>
check_compression <@ dataset.name @> <@ property.value @>
<% endif -%>
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
<% if pool.states_autotrim -%>
pool_property <@ pool.name @> autotrim <@ pool.autotrim @>
<% endif -%>
<% if pool.states_compression -%>
root_property <@ pool.name @> compression <@ pool.compression @>
<% endif -%>
<% endfor -%>
<% for dataset in datasets -%>
make_dataset <@ dataset.name @>
<%- for property in dataset.properties %> \
  <@ property.key @>=<@ property.value @>
<%- endfor %>
<%- for property in dataset.creation %> \
  new:<@ property.key @>=<@ property.value @>
<%- endfor %>
<% endfor -%>
<% for group in groups -%>
make_group <@ group.name @>
<%- for disk in group.disks %> \
  <@ disk @>
<%- endfor %>
<% for pool in group.thin_pools -%>
make_thin_pool <@ group.name @> <@ pool.name @>
<%- for word in pool.extent %> <@ word @>
<%- endfor %>
<% endfor -%>
<% endfor %>
if [[ -n $record && -z $dry_run && -n $set_now$set_before && $set_now != "$set_before"$'\n' ]]; then
  if ! printf '%s' "$set_now" >"$record.new" || ! mv -f -- "$record.new" "$record"; then
    warn "$record cannot be written: the next run does not see what somebody changes"
  fi
fi
if ((changes == 0)); then
  say 'storage: nothing to change'
elif [[ -n $dry_run ]]; then
  say "storage: $changes changes, none made (--dry-run)"
else
  say "storage: $changes changes made"
fi
exit
}
