#!/bin/bash
# <@ header|safe @>
#
# Takes one guest back to how it was.
#
# The calls are those of Proxmox VE 8.1 to 9.2: `qm rollback`, `pct rollback`, `qm guest exec`, `pct exec`, and the API by
# `pvesh`; and those of OpenZFS 2.2 and later.
<% include "gate.sh" %>

<% include "tool.sh" %>

<% include "guests.sh" %>

usage() {
  cat <<'END'
usage: rollback/<@ guest @>.sh WAY [NAME] [OPTION]...

Takes the guest <@ guest @> (<@ vmid @>) back. The ways:
<%- if nixos %>

  generation [N]    the NixOS generation before the one at hand, or the one with this number. Data stays as it is.
                    The guest runs
<%- endif %>

  snapshot NAME     a snapshot of Proxmox VE: disks and settings
  zfs NAME          a snapshot of ZFS, as the schedules take them: the disks alone. NAME is what stands after the `@`

With --list, and a snapshot's way without its NAME, it shows what there is and changes nothing.

  --disk DISK       with zfs: this disk alone; may be repeated
  --destroy-newer   with snapshot, zfs: destroys the ZFS snapshots that are newer, without which ZFS does not go back.
                    Never those that Proxmox VE counts on, nor held ones
<%- if nixos %>
  --boot            with generation: from the next start of the guest on
<%- endif %>
  --start           starts the guest afterwards
  --list            shows what there is

What was written since is lost, so the guest's name has to be typed (or said by --confirm). After a failure, run it again.
END
}

guest=<@ guest @> vmid=<@ vmid @> kind=<@ kind @>
tool=$(tool_of "$kind")
# The storages of its disks as ZFS names them.
declare -A zfs_of=()
<%- for storage in storages %>
zfs_of[<@ storage.name @>]=<@ storage.zfs @>
<%- endfor %>

list='' destroy_newer='' start=''
wanted_disks=()
<%- if nixos %>
at_boot=
<%- endif %>
option() {
  local one
  case $1 in
    --list) list=1 ;;
    --destroy-newer) destroy_newer=1 ;;
    --start) start=1 ;;
<%- if nixos %>
    --boot) at_boot=1 ;;
<%- endif %>
    --disk)
      value one
      wanted_disks+=("$one")
      ;;
    *) return 1 ;;
  esac
}
begin "$@"
if ((${#operands[@]} < 1 || ${#operands[@]} > 2)); then
  wrong_usage 'say which way, and to what'
fi
way=${operands[0]}
wanted=${operands[1]:-}
case $way in
<%- if nixos %>
  generation) ;;
<%- endif %>
  snapshot | zfs) ;;
  *) wrong_usage "unknown way $way" ;;
esac
if ((${#wanted_disks[@]})) && [[ $way != zfs ]]; then
  wrong_usage '--disk goes with zfs'
fi
need awk date perl pvesh sort "$tool"

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
<%- if nixos %>

# ---------------------------------------------------------------- generations

# in_guest WORD...: runs a command in the guest and prints what it says; its status is the command's.
<%- if container %>
in_guest() { pct exec "$vmid" -- "$@" </dev/null; }
<%- else %>
in_guest() {
  local text
  text=$(qm guest exec "$vmid" --timeout 60 -- "$@" </dev/null) || return 125
  rows '
    exit 124 if !$d->{exited};
    for ([STDERR, $d->{"err-data"}], [STDOUT, $d->{"out-data"}]) {
      my ($to, $text) = @$_; $text //= ""; utf8::encode($text); print {$to} $text;
    }
    exit($d->{exitcode} // 1);' <<<"$text"
}
<%- endif %>

generations=()
declare -A generation_about=()
current_generation=
# shellcheck disable=SC2016 # the variables are the guest's
read_generations() {
  local text number about
  read_state "$vmid"
  if [[ $state_status != running ]]; then
    refuse "$guest ($vmid) is $state_status: start it, or choose an older generation in its boot menu"
  fi
<%- if container %>
<%- else %>
  if ! qm guest cmd "$vmid" ping >/dev/null; then
    refuse "the guest agent of $guest ($vmid) does not answer: choose an older generation in its boot menu, or take a snapshot"
  fi
<%- endif %>
  text=$(in_guest /bin/sh -c '
    PATH=/run/current-system/sw/bin
    cd /nix/var/nix/profiles || exit 1
    now=$(readlink system)
    now=${now#system-}
    echo "now ${now%-link}"
    for link in system-*-link; do
      number=${link#system-}
      echo "${number%-link} $(date -d "@$(stat -c %Y "$link")" "+%Y-%m-%d %H:%M") $(readlink "$link")"
    done') || die "$guest ($vmid) does not tell its generations"
  while read -r number about; do
    case $number in
      now) current_generation=$about ;;
      '' | *[!0-9]*) ;;
      *)
        generations+=("$number")
        generation_about[$number]=$about
        ;;
    esac
  done < <(printf '%s\n' "$text" | sort -n)
  if [[ -z $current_generation || ${#generations[@]} == 0 ]]; then
    die "$guest ($vmid) has no generations of NixOS"
  fi
}

way_generation() {
  local number action=switch
  read_generations
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
  if [[ -z $wanted ]]; then
    for number in "${generations[@]}"; do
      if ((number < current_generation)); then
        wanted=$number
      fi
    done
    if [[ -z $wanted ]]; then
      refuse "$guest ($vmid) has no generation before $current_generation"
    fi
  elif [[ -z ${generation_about[$wanted]:-} ]]; then
    refuse "$guest ($vmid) has no generation $wanted: --list shows them"
  fi
  if [[ $wanted == "$current_generation" ]]; then
    say "$guest is at generation $wanted already: it is activated again"
  fi
  if [[ -n $at_boot ]]; then
    action=boot
  fi
  check_free
  confirm "$guest" "This takes $guest ($vmid) from generation $current_generation to $wanted (${generation_about[$wanted]})"
  run switch_generation "$wanted" "$action" || die "$guest ($vmid) is not at generation $wanted: 'journalctl -u moxc-rollback' in it tells why"
  if [[ -z $dry_run ]]; then
    say "$guest is at generation $wanted$([[ -z $at_boot ]] || printf ' from its next start on')" generation# "$wanted"
  fi
}

# switch_generation NUMBER switch|boot: in a unit of its own, since the way into the guest may be restarted by it.
# shellcheck disable=SC2016 # the variables are the guest's
switch_generation() {
  local state waited=0
  in_guest /run/current-system/sw/bin/systemctl reset-failed moxc-rollback.service 2>/dev/null || true
  in_guest /run/current-system/sw/bin/systemd-run --no-block --quiet --unit=moxc-rollback --property=Type=oneshot \
    /bin/sh -c '
      PATH=/run/current-system/sw/bin
      nix-env --profile /nix/var/nix/profiles/system --switch-generation "$1" &&
        exec /nix/var/nix/profiles/system/bin/switch-to-configuration "$2"' sh "$1" "$2" || return 1
  while ((waited < generation_timeout)); do
    sleep "$poll"
    waited=$((waited + (poll > 0 ? poll : 1)))
    state=$(in_guest /run/current-system/sw/bin/systemctl is-active moxc-rollback.service 2>/dev/null) || true
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
  [[ $(in_guest /bin/sh -c 'PATH=/run/current-system/sw/bin; readlink /nix/var/nix/profiles/system') == "system-$1-link" ]]
}
generation_timeout=600
poll=${MOXC_POLL:-2}
<%- endif %>

# ---------------------------------------------------------------- snapshots

# Snapshots of Proxmox VE, in the order of their times.
snapshots=()
declare -A snapshot_time=() snapshot_about=() snapshot_has_memory=()
read_snapshots() {
  local text name time memory about
  text=$(api "/nodes/$node/$kind/$vmid/snapshot" | rows '
    row(@$_{qw(name snaptime vmstate description)}) for sort { ($a->{snaptime} // 0) <=> ($b->{snaptime} // 0) } grep { $_->{name} ne "current" } @$d') ||
    die "the snapshots of $guest ($vmid) cannot be listed"
  while IFS=$'\x1f' read -r name time memory about; do
    if [[ -n $name ]]; then
      snapshots+=("$name")
      snapshot_time[$name]=$time snapshot_has_memory[$name]=$memory snapshot_about[$name]=$about
    fi
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
    store=${value%%:*}
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

# zfs_snapshots DATASET: name, time, holds and clones of each, the oldest first.
zfs_snapshots() {
  zfs list -H -p -t snapshot -d 1 -o name,creation,userrefs,clones -s creation "$1"
}

# newer_snapshots DATASET NAME: those after it, one a line; fails where it is not there.
newer_snapshots() {
  local text
  text=$(zfs_snapshots "$1") || return 2
  awk -F '\t' -v name="$1@$2" 'found { print $1 "\t" $3 "\t" $4 } $1 == name { found = 1 } END { exit !found }' <<<"$text"
}

# check_newer DISK NAME: what stands in the way of going back. Fills `newer`.
newer=()
check_newer() {
  local dataset=${disk_zfs[$1]} text snapshot holds clones status=0
  text=$(newer_snapshots "$dataset" "$2") || status=$?
  if ((status == 1)); then
    refuse "$1 ($dataset) has no snapshot $2$([[ $way != zfs ]] || printf ': --disk takes back other disks alone')"
  elif ((status)); then
    die "the snapshots of $dataset cannot be listed"
  fi
  while IFS=$'\t' read -r snapshot holds clones; do
    if [[ -z $snapshot ]]; then
      continue
    fi
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
<%- if has_no_memory_state %>

# Neither virtio-fs nor a device of the host can be frozen with a guest, so there is never a state of its memory.
tell_memory() {
  say "$guest has devices or folders of the host, so no snapshot holds its memory: it starts as after a power cut."
  say 'Files in folders of the host stay as they are now.'
}
<%- endif %>

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
  if ! is_in "$wanted" "${snapshots[@]}"; then
    refuse "$guest ($vmid) has no snapshot $wanted: --list shows them"
  fi
  check_free
  need zfs
  read_disks
  for disk in "${disks[@]}"; do
    check_newer "$disk" "$wanted"
  done
  accept_newer
<%- if has_no_memory_state %>
  tell_memory
<%- endif %>
  confirm "$guest" "This takes $guest ($vmid) back to $wanted of $(shown_time "${snapshot_time[$wanted]:-0}"): what was written since is lost"
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
  local disk text name time holds
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
      while IFS=$'\t' read -r name time holds; do
        if [[ -n $name ]]; then
          name=${name#*@}
          count[$name]=$((${count[$name]:-0} + 1)) at[$name]=$time
        fi
      done <<<"$text"
    done
    for name in "${!at[@]}"; do printf '%s\t%s\n' "${at[$name]}" "$name"; done | sort -n | while IFS=$'\t' read -r time name; do
      if ((count[$name] == ${#disks[@]})); then
        say "  $(shown_time "$time")  $name" snapshot "$name"
      else
        say "  $(shown_time "$time")  $name  (${count[$name]} of ${#disks[@]} disks)" snapshot "$name"
      fi
    done
    if ((${#at[@]} == 0)); then
      say "the disks of $guest ($vmid) have no snapshot"
    fi
    return 0
  fi
  check_free
  for disk in "${disks[@]}"; do
    check_newer "$disk" "$wanted"
  done
  accept_newer
<%- if has_no_memory_state %>
  tell_memory
<%- endif %>
  say "disks: $(for disk in "${disks[@]}"; do printf '%s (%s) ' "$disk" "${disk_zfs[$disk]}"; done)"
  confirm "$guest" "This takes the disks of $guest ($vmid) back to $wanted: what was written since is lost"
  stop_guest "$vmid" "$guest"
  local done_disks=() options=()
  if [[ -n $destroy_newer ]]; then
    options+=(-r)
  fi
  for disk in "${disks[@]}"; do
    if ! run zfs rollback "${options[@]}" "${disk_zfs[$disk]}@$wanted"<% if container %> || ! forget_mounted "${disk_zfs[$disk]}"<% endif %>; then
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

<%- if container %>
# forget_mounted DATASET: a mounted one would go on showing what the kernel remembers of it. Proxmox VE mounts it again.
forget_mounted() {
  if [[ $(zfs get -H -o value mounted "$1") == yes ]]; then
    run zfs unmount "$1"
  fi
}

<%- endif %>
# ---------------------------------------------------------------- one after the other

if [[ -z $list && -n $wanted ]]; then
  lock "restore-$vmid"
fi
check_guest
case $way in
<%- if nixos %>
  generation) way_generation ;;
<%- endif %>
  snapshot) way_snapshot ;;
  zfs) way_zfs ;;
esac
if [[ -n $start && -z $list && -n $wanted ]]; then
  read_state "$vmid"
  if [[ $state_status == stopped || -n $dry_run ]]; then
    run "$tool" start "$vmid"
  fi
fi
