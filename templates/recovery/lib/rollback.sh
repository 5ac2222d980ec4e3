#!/bin/bash
# <@ header|safe @>
#
# Takes a guest back to how it was: what all the scripts `rollback/GUEST.sh` do. Each says which guest it is, reads this,
# and calls `roll_back_guest`.
#
# The calls are those of Proxmox VE 8.1 to 9.2: `qm rollback`, `pct rollback`, `qm guest exec`, `pct exec`, and the API by
# `pvesh`; and those of OpenZFS 2.2 and later.
#
# It is one group, so that a file that was cut does nothing but fail. What `gate` and `take` make shellcheck does not
# see (SC2154), nor what the scripts take of the libraries.
#
# shellcheck disable=SC2016,SC2034,SC2119,SC2120,SC2154,SC2317,SC2329
{
<% include "gate.sh" %>

<% include "tool.sh" %>

<% include "guests.sh" %>

usage() {
  cat <<END
usage: rollback/$guest.sh WAY [NAME] [OPTION]...

Takes the guest $guest ($vmid) back. The ways:
END
  if [[ -n $nixos ]]; then
    cat <<'END'

  generation [N]    the NixOS generation before the one at hand, or the one with this number. Data stays as it is.
                    The guest runs
END
  fi
  cat <<'END'

  snapshot NAME     a snapshot of Proxmox VE: disks and settings
  zfs NAME          a snapshot of ZFS, as the schedules take them: the disks alone. NAME is what stands after the `@`

With --list, and a snapshot's way without its NAME, it shows what there is and changes nothing.

  --disk DISK       with zfs: this disk alone; may be repeated
  --destroy-newer   with snapshot, zfs: destroys the ZFS snapshots that are newer, without which ZFS does not go back.
                    Never those that Proxmox VE counts on, nor held ones
END
  if [[ -n $nixos ]]; then
    cat <<'END'
  --boot            with generation: from the next start of the guest on
END
  fi
  cat <<'END'
  --start           starts the guest afterwards
  --list            shows what there is
  --as-it-is FILE   takes this file of the tree although it was changed by hand; may be repeated

What was written since is lost, so the guest's name has to be typed (or said by --confirm). After a failure, run it again.
END
}

tool=$(tool_of "$kind")
# The storages of disks as ZFS names them.
declare -A zfs_of=()
<%- for storage in storages %>
zfs_of[<@ storage.name @>]=<@ storage.zfs @>
<%- endfor %>

list='' destroy_newer='' start='' at_boot=''
wanted_disks=()
option() {
  local one file
  case $1 in
    --list) list=1 ;;
    --destroy-newer) destroy_newer=1 ;;
    --start) start=1 ;;
    --boot)
      [[ -n $nixos ]] || return 1
      at_boot=1
      ;;
    --disk)
      typed one key
      wanted_disks+=("$one")
      ;;
    --as-it-is)
      value file
      as_it_is+=("$file")
      ;;
    *) return 1 ;;
  esac
}

# check_guest: it is there, it is the one that is meant, and nothing is at it.
check_guest() {
  local name
  read_guests
  if [[ ${guest_kind[$vmid]:-} != "$kind" ]]; then
    refuse "there is no guest $guest ($vmid) on this host"
  fi
  if [[ ${guest_node[$vmid]:-$node} != "$node" ]]; then
    refuse "$guest ($vmid) is on ${guest_node[$vmid]}: take it back there"
  fi
  read_config "$kind" "$vmid"
  name=${config[name]:-${config[hostname]:-}}
  if [[ $name != "$guest" ]]; then
    refuse "the guest $vmid is called ${name:-nothing}, and not $guest: it is left alone"
  fi
}

check_free() {
  check_idle "$vmid"
  read_state "$vmid"
  if [[ -n $state_lock ]]; then
    later "$guest ($vmid) is locked ($state_lock): wait for what is at it, or lift the lock by '$tool unlock $vmid'"
  fi
}

# ---------------------------------------------------------------- generations

# in_guest WORD...: runs a command in the guest. What it says is in $heard, one cleaned line each of its own; its status is
# the command's, or 124 and 125 where there was none.
in_guest() {
  local text ended=0 code=''
  if [[ $kind == lxc ]]; then
    hear pct exec "$vmid" -- "$@" || code=$?
    heard=$(lines_of "$heard")
    return "${code:-0}"
  fi
  hear_for $((hear_seconds + 5)) qm guest exec "$vmid" --timeout "$hear_seconds" -- "$@" || return 125
  text=$(rows 'row($d->{exited}, $d->{exitcode}); row($_) for split(/\n/, $d->{"out-data"} // "")' <<<"$heard") || return 125
  heard=''
  take 'the end of a command in the guest' ended:flag code:status? <<<"${text%%$'\n'*}" || return 125
  if [[ $text == *$'\n'* ]]; then
    heard=${text#*$'\n'}
  fi
  if ((!ended)) || [[ -z $code ]]; then
    return 124
  fi
  return "$code"
}

generations=()
declare -A generation_about=()
current_generation=
# shellcheck disable=SC2016 # the variables are the guest's
read_generations() {
  local number about here=''
  read_state "$vmid"
  if [[ $state_status != running ]]; then
    refuse "$guest ($vmid) is $state_status: start it, or choose an older generation in its boot menu"
  fi
  if [[ $kind == qemu ]] && ! hear qm guest cmd "$vmid" ping; then
    refuse "the guest agent of $guest ($vmid) does not answer: choose an older generation in its boot menu, or take a snapshot"
  fi
  in_guest /bin/sh -c '
    PATH=/run/current-system/sw/bin
    cd /nix/var/nix/profiles || exit 1
    now=$(readlink system)
    for link in system-*-link; do
      number=${link#system-}
      here=
      if [ "$link" = "$now" ]; then here=here; fi
      echo "${number%-link}|$here|$(date -d "@$(stat -c %Y "$link")" "+%Y-%m-%d %H:%M") $(readlink "$link")"
    done' || die "$guest ($vmid) does not tell its generations${heard_err:+: $(last_line "$heard_err")}"
  heard=$(sort -n <<<"$heard") || die 'the generations cannot be sorted'
  # No field of it holds the mark, and the gate refuses what does.
  heard=${heard//|/$'\x1f'}
  while take "a generation of $guest" number:number here:name? about:text; do
    generations+=("$number")
    generation_about[$number]=$about
    if [[ -n $here ]]; then
      current_generation=$((number))
    fi
  done <<<"$heard"
  if ((${#generations[@]} == 0)); then
    die "$guest ($vmid) has no generations of NixOS"
  fi
}

way_generation() {
  local number target='' action=switch
  read_generations
  if [[ -n $wanted ]] && ! gate number target "$wanted"; then
    wrong_usage "generation takes the number of a generation, not $wanted"
  fi
  if [[ -n $list ]]; then
    for number in "${generations[@]}"; do
      if [[ $number == "$current_generation" ]]; then
        say "* $number  ${generation_about[$number]}" generation# "$number"
      else
        say "  $number  ${generation_about[$number]}" generation# "$number"
      fi
    done
    return 0
  fi
  if [[ -z $target ]]; then
    if [[ -z $current_generation ]]; then
      refuse "$guest ($vmid) does not tell at which generation it is: name one (--list shows them)"
    fi
    for number in "${generations[@]}"; do
      if ((number < current_generation)); then
        target=$((number))
      fi
    done
    if [[ -z $target ]]; then
      refuse "$guest ($vmid) has no generation before $current_generation"
    fi
  elif [[ -z ${generation_about[$target]:-} ]]; then
    refuse "$guest ($vmid) has no generation $target: --list shows them"
  fi
  if [[ $target == "$current_generation" ]]; then
    say "$guest is at generation $target already: it is activated again"
  fi
  if [[ -n $at_boot ]]; then
    action=boot
  fi
  check_free
  confirm "$guest" "This takes $guest ($vmid) from generation ${current_generation:-unknown} to $target (${generation_about[$target]})"
  run switch_generation "$target" "$action" || die "$guest ($vmid) is not at generation $target: 'journalctl -u moxc-rollback' in it tells why"
  if [[ -z $dry_run ]]; then
    say "$guest is at generation $target$([[ -z $at_boot ]] || printf ' from its next start on')" generation# "$target"
  fi
}

# switch_generation NUMBER switch|boot: in a unit of its own, since the way into the guest may be restarted by it.
# shellcheck disable=SC2016 # the variables are the guest's
switch_generation() {
  local state started=$SECONDS
  in_guest /run/current-system/sw/bin/systemctl reset-failed moxc-rollback.service || true
  in_guest /run/current-system/sw/bin/systemd-run --no-block --quiet --unit=moxc-rollback --property=Type=oneshot --property=TimeoutStartSec=1h \
    /bin/sh -c '
      PATH=/run/current-system/sw/bin
      nix-env --profile /nix/var/nix/profiles/system --switch-generation "$1" &&
        exec /nix/var/nix/profiles/system/bin/switch-to-configuration "$2"' sh "$1" "$2" || return 1
  while ((SECONDS - started < generation_timeout)); do
    sleep "$poll"
    in_guest /run/current-system/sw/bin/systemctl is-active moxc-rollback.service || true
    state=$heard
    case $state in
      inactive) break ;;
      failed) return 1 ;;
      # Also while the agent is being restarted.
      *) ;;
    esac
  done
  if [[ ${state:-} != inactive ]]; then
    printf 'it takes longer than %s seconds\n' "$generation_timeout" >&2
    return 1
  fi
  in_guest /bin/sh -c 'PATH=/run/current-system/sw/bin; readlink /nix/var/nix/profiles/system' || return 1
  [[ $heard == "system-$1-link" ]]
}
gate number generation_timeout "${MOXC_PATIENCE:-600}" || die 'MOXC_PATIENCE is no number'
gate number poll "${MOXC_POLL:-2}" || die 'MOXC_POLL is no number'

# ---------------------------------------------------------------- snapshots

# Snapshots of Proxmox VE, in the order of their times.
snapshots=()
declare -A snapshot_time=() snapshot_about=() snapshot_has_memory=()
read_snapshots() {
  local text name time memory about
  text=$(api "/nodes/$node/$kind/$vmid/snapshot" | rows '
    row(@$_{qw(name snaptime vmstate description)}) for sort { ($a->{snaptime} // 0) <=> ($b->{snaptime} // 0) } grep { $_->{name} ne "current" } @$d') ||
    die "the snapshots of $guest ($vmid) cannot be listed"
  # One that is left out would not stand in the way of what Proxmox VE counts on.
  while take_every "a snapshot of $guest" name:name time:seconds? memory:flag about:text?; do
    snapshots+=("$name")
    snapshot_time[$name]=${time:-0} snapshot_has_memory[$name]=$memory snapshot_about[$name]=$about
  done <<<"$text"
}

# The disks of the guest that ZFS holds: option and data set.
disks=()
declare -A disk_zfs=()
read_disks() {
  local key value store
  for key in "${config_keys[@]}"; do
    value=${config[$key]}
    if ! is_volume "$key" "$value"; then
      continue
    fi
    must store store "${value%%:*}" "the storage of $key"
    if [[ -z ${zfs_of[$store]:-} ]]; then
      warn "$key lies in $store, which is no ZFS storage of the spec: it is left out"
      continue
    fi
    value=${value%%,*}
    disks+=("$key")
    # A linked clone's name has its base in front.
    disk_zfs[$key]=${zfs_of[$store]}/${value##*[:/]}
  done
}

# zfs_snapshots DATASET: name, time, holds and clones of each, the oldest first, as rows.
zfs_snapshots() {
  hear_list zfs list -H -p -t snapshot -d 1 -o name,creation,userrefs,clones -s creation "$1" || return 1
  printf '%s' "${heard//$'\t'/$'\x1f'}"
}

# newer_snapshots DATASET NAME: those after it, one a line; fails where it is not there.
newer_snapshots() {
  local text
  text=$(zfs_snapshots "$1") || return 2
  awk -F '\037' -v name="$1@$2" 'found { print $1 "\037" $3 "\037" $4 } $1 == name { found = 1 } END { exit !found }' <<<"$text"
}

# check_newer DISK NAME: what stands in the way of going back. Fills `newer`.
newer=()
check_newer() {
  local disk dataset text snapshot holds clones status=0
  must key disk "$1" 'a disk'
  dataset=${disk_zfs[$disk]}
  text=$(newer_snapshots "$dataset" "$2") || status=$?
  if ((status == 1)); then
    refuse "$1 ($dataset) has no snapshot $2$([[ $way != zfs ]] || printf ': --disk takes back other disks alone')"
  elif ((status)); then
    die "the snapshots of $dataset cannot be listed"
  fi
  while take_every "a snapshot of $dataset" snapshot:dataset holds:name clones:text?; do
    if is_in "${snapshot#*@}" "${snapshots[@]}" || [[ ${snapshot#*@} == __replicate_* || ${snapshot#*@} == __base__ ]]; then
      refuse "$snapshot is newer, and Proxmox VE counts on it: '$tool listsnapshot $vmid' shows it; remove it there first"
    fi
    if [[ $holds != 0 ]]; then
      refuse "$snapshot is newer, and held: 'zfs holds $snapshot' tells by whom"
    fi
    if [[ -n $clones && $clones != - ]]; then
      refuse "$snapshot is newer, and clones hang on it: $clones"
    fi
    newer+=("$snapshot")
  done <<<"$text"
}

# accept_newer: newer snapshots are destroyed only where that was said.
accept_newer() {
  local snapshot
  if ((${#newer[@]} == 0)); then
    return 0
  fi
  say "newer snapshots, which go with it:"
  for snapshot in "${newer[@]}"; do say "  $snapshot" snapshot "$snapshot"; done
  if [[ -z $destroy_newer ]]; then
    refuse 'ZFS does not go back past newer snapshots: --destroy-newer destroys them'
  fi
}

# Neither virtio-fs nor a device of the host can be frozen with a guest, so there is never a state of its memory.
tell_memory() {
  if [[ -z $has_no_memory_state ]]; then
    return 0
  fi
  say "$guest has devices or folders of the host, so no snapshot holds its memory: it starts as after a power cut."
  say 'Files in folders of the host stay as they are now.'
}

way_snapshot() {
  local name disk
  read_snapshots
  if [[ -n $list || -z $wanted ]]; then
    for name in "${snapshots[@]}"; do
      say "  $(shown_time "${snapshot_time[$name]:-0}")  $name$([[ ${snapshot_has_memory[$name]} != 1 ]] || printf '  (with memory)')  ${snapshot_about[$name]}" snapshot "$name"
    done
    if ((${#snapshots[@]} == 0)); then
      say "$guest ($vmid) has no snapshot of Proxmox VE"
    fi
    return 0
  fi
  if ! gate name name "$wanted" || ! is_in "$wanted" "${snapshots[@]}"; then
    refuse "$guest ($vmid) has no snapshot $wanted: --list shows them"
  fi
  check_free
  need zfs
  read_disks
  for disk in "${disks[@]}"; do
    check_newer "$disk" "$wanted"
  done
  accept_newer
  tell_memory
  confirm "$guest" "This takes $guest ($vmid) back to $wanted of $(shown_time "${snapshot_time[$name]:-0}"): what was written since is lost"
  stop_guest "$vmid" "$guest"
  for name in "${newer[@]}"; do
    run zfs destroy "$name" || die "$name cannot be destroyed: $guest is as it was, but stopped; mend the cause and run this again"
  done
  run "$tool" rollback "$vmid" "$wanted" || die "the rollback failed: run this again once the cause is mended"
  if [[ -z $dry_run ]]; then
    say "$guest is back at $wanted" snapshot "$wanted"
  fi
}

way_zfs() {
  local disk snapshot key text name time holds clones number
  local -A count=() at=()
  need zfs
  read_snapshots
  read_disks
  if ((${#wanted_disks[@]})); then
    for disk in "${wanted_disks[@]}"; do
      if ! is_in "$disk" "${disks[@]}"; then
        refuse "$guest ($vmid) has no disk $disk in ZFS; there are: ${disks[*]}"
      fi
    done
    disks=("${wanted_disks[@]}")
  fi
  if ((${#disks[@]} == 0)); then
    refuse "$guest ($vmid) has no disk in ZFS"
  fi
  if [[ -n $list || -z $wanted ]]; then
    for disk in "${disks[@]}"; do
      text=$(zfs_snapshots "${disk_zfs[$disk]}") || die "the snapshots of ${disk_zfs[$disk]} cannot be listed"
      while take "a snapshot of ${disk_zfs[$disk]}" snapshot:dataset time:seconds holds:name clones:text?; do
        must line name "${snapshot#*@}" 'the name of a snapshot'
        must number number "${count[$name]:-0}" 'a count'
        count[$name]=$((number + 1)) at[$name]=$time
      done <<<"$text"
    done
    text=$(for key in "${!at[@]}"; do printf '%s\x1f%s\x1f%s\n' "${at[$key]}" "${count[$key]}" "$key"; done | sort -n) ||
      die 'the snapshots cannot be sorted'
    while take 'a snapshot' time:seconds number:number name:line; do
      if ((number == ${#disks[@]})); then
        say "  $(shown_time "$time")  $name" snapshot "$name"
      else
        say "  $(shown_time "$time")  $name  ($number of ${#disks[@]} disks)" snapshot "$name"
      fi
    done <<<"$text"
    if ((${#at[@]} == 0)); then
      say "the disks of $guest ($vmid) have no snapshot"
    fi
    return 0
  fi
  if ! gated dataset "pool@$wanted"; then
    refuse "no snapshot of ZFS is called $wanted"
  fi
  check_free
  for disk in "${disks[@]}"; do
    check_newer "$disk" "$wanted"
  done
  accept_newer
  tell_memory
  say "disks: ${disks[*]}"
  confirm "$guest" "This takes the disks of $guest ($vmid) back to $wanted: what was written since is lost"
  stop_guest "$vmid" "$guest"
  local done_disks=() options=()
  if [[ -n $destroy_newer ]]; then
    options+=(-r)
  fi
  for disk in "${disks[@]}"; do
    if ! run zfs rollback "${options[@]}" "${disk_zfs[$disk]}@$wanted" || ! forget_mounted "${disk_zfs[$disk]}"; then
      die "$disk (${disk_zfs[$disk]}) is not back at $wanted${done_disks[*]:+, but ${done_disks[*]} already}: do not start $guest; mend the cause and run this again"
    fi
    done_disks+=("$disk")
    if [[ -z $dry_run ]]; then
      count 'disks taken back'
    fi
  done
  if [[ -z $dry_run ]]; then
    say "the disks of $guest are back at $wanted" snapshot "$wanted"
  fi
}

# forget_mounted DATASET: a mounted one would go on showing what the kernel remembers of it. Proxmox VE mounts it again.
forget_mounted() {
  if [[ $kind != lxc ]]; then
    return 0
  fi
  hear zfs get -H -o value mounted "$1" || return 1
  if [[ $heard == yes ]]; then
    run zfs unmount "$1"
  fi
}
# ---------------------------------------------------------------- one after the other

way='' wanted=''
# roll_back_guest WAY OPTION...
roll_back_guest() {
  local tree
  begin "$@"
  if ((${#operands[@]} < 1 || ${#operands[@]} > 2)); then
    wrong_usage 'say which way, and to what'
  fi
  way=${operands[0]}
  wanted=${operands[1]:-}
  if [[ ! $way =~ ^(snapshot|zfs)$ && ! ( $way == generation && -n $nixos ) ]]; then
    wrong_usage "unknown way $way"
  fi
  if ((${#wanted_disks[@]})) && [[ $way != zfs ]]; then
    wrong_usage '--disk goes with zfs'
  fi
  need awk perl pvesh sort "$tool"
  tree=$(cd -- "$(dirname -- "$0")/.." && pwd) || die 'the folder of the tree cannot be found'
  prove_tree "$tree" '' "rollback/$guest.sh" rollback/lib/rollback.sh
  if [[ -z $list && ( -n $wanted || $way == generation ) ]]; then
    lock "restore-$vmid"
  fi
  check_guest
  case $way in
    generation) way_generation ;;
    snapshot) way_snapshot ;;
    zfs) way_zfs ;;
  esac
  if [[ -n $start && -z $list && -n $wanted ]]; then
    read_state "$vmid"
    if [[ $state_status == stopped || -n $dry_run ]]; then
      run "$tool" start "$vmid"
    fi
  fi
}
}
