#!/bin/bash
# <@ header|safe @>
#
# Brings one guest back from a backup.
#
# The calls are those of Proxmox VE 8.1 to 9.2: `qmrestore`, `qm create --archive` and `pct restore` with their options,
# `qm disk move`, and the API by `pvesh`.
<% include "gate.sh" %>

<% include "tool.sh" %>

<% include "guests.sh" %>

usage() {
  cat <<'END'
usage: restore/<@ guest @>.sh [OPTION]...

Brings the guest <@ guest @> (<@ vmid @>) back from a backup: the newest one of all the storages of the spec, or the one that is
named. Of two of one second, the one in the storage that the spec names first.

  --list            shows the storages and the backups, and changes nothing
  --backup VOLUME   takes this backup, as --list shows it
  --storage NAME    takes the newest one of this storage
  --vmid N          restores to this number instead, beside the guest; `new` takes the next free one. Such a copy gets new
                    MAC addresses, an unplugged network, no device and no folder of the host, and does not start by itself
  --disks-to NAME   puts every disk into this storage, and not where the spec says
  --discard DISK    gives up a mount of a container that no backup holds, and that the restore would empty; may be repeated
  --no-verify       does not read the whole backup before the guest is overwritten
  --start           starts the guest afterwards

A guest that is there is overwritten only after its name was typed (or said by --confirm), and only while it is stopped.
After a failure, run it again.
END
}

guest=<@ guest @> own_vmid=<@ vmid @> kind=<@ kind @>
tool=$(tool_of "$kind")
# The storages that may hold a backup, in the order of the spec: what each is, and whether it may be away.
stores=(<% for store in stores %><% if loop.first %><% else %> <% endif %><@ store.name @><% endfor %>)
declare -A what_of=() is_removable=()
<%- for store in stores %>
what_of[<@ store.name @>]=<@ store.what @> is_removable[<@ store.name @>]=<% if store.removable %>1<% endif %>
<%- endfor %>
# Where each disk belongs.
declare -A storage_of=()
<%- for volume in volumes %>
storage_of[<@ volume.key @>]=<@ volume.storage @>
<%- endfor %>
first_storage=<@ first_storage @>
# The numbers of the spec's guests, as ranges: no copy takes one of them, even where that guest is not there.
taken=(<% for range in taken %><% if loop.first %><% else %> <% endif %><@ range @><% endfor %>)

list='' wanted_backup='' wanted_storage='' wanted_vmid='' disks_to='' no_verify='' start=''
discarded=()
option() {
  local one
  case $1 in
    --list) list=1 ;;
    --backup) value wanted_backup ;;
    --storage) value wanted_storage ;;
    --vmid) value wanted_vmid ;;
    --disks-to) value disks_to ;;
    --discard)
      value one
      discarded+=("$one")
      ;;
    --no-verify) no_verify=1 ;;
    --start) start=1 ;;
    *) return 1 ;;
  esac
}
begin "$@"
if ((${#operands[@]})); then
  wrong_usage "unknown word ${operands[0]}"
fi
if [[ -n $wanted_backup && -n $wanted_storage ]]; then
  wrong_usage '--backup names its storage already'
fi
if [[ -n $wanted_vmid && ! $wanted_vmid =~ ^(new|[1-9][0-9]{2,8})$ ]]; then
  wrong_usage "--vmid takes a number from 100 to 999999999, or new, and not $wanted_vmid"
fi
need awk date perl pvesh pvesm sort "$tool"

# What was done, for whoever has to go on after a failure.
done_steps=()
step='' begun=''
tell_steps() {
  if [[ -n $step ]]; then
    if [[ -n $begun ]]; then
      count 'guests left half restored'
    fi
    tell warning "stopped at: $step${done_steps[*]:+; done before: $(printf '%s; ' "${done_steps[@]}")}"
  fi
}
at_exit tell_steps
next_step() {
  if [[ -n $step ]]; then
    done_steps+=("$step")
  fi
  step=$1
}

# ---------------------------------------------------------------- which backup

# store_problem NAME: why nothing can be read from a storage.
store_problem() {
  case ${store_state[$1]:-absent} in
    ok) ;;
    disabled) printf 'is switched off in Proxmox VE' ;;
    offline)
      if [[ -n ${is_removable[$1]:-} ]]; then
        printf 'is away: plug its disk in'
      else
        printf 'cannot be reached'
      fi
      ;;
    absent) printf 'is not known to this host: apply.sh of the tree makes it known' ;;
  esac
}

look() {
  local store problem reachable=0
  read_stores
  read_guests
  if [[ -n $wanted_storage ]]; then
    problem=$(store_problem "$wanted_storage")
    if [[ -n $problem ]]; then
      refuse "storage $wanted_storage $problem"
    fi
    stores=("$wanted_storage")
  elif [[ -n $wanted_backup ]]; then
    store=${wanted_backup%%:*}
    problem=$(store_problem "$store")
    if [[ -n $problem ]]; then
      refuse "storage $store $problem"
    fi
    stores=("$store")
  fi
  for store in "${stores[@]}"; do
    problem=$(store_problem "$store")
    if [[ -z $problem ]]; then
      reachable=$((reachable + 1))
    elif [[ -n ${is_removable[$store]:-} ]]; then
      say "storage $store (${what_of[$store]:-}) $problem" storage "$store"
    else
      warn "storage $store (${what_of[$store]:-}) $problem" storage "$store"
    fi
  done
  if ((reachable == 0)); then
    refuse "no storage with backups of $guest can be read"
  fi
  find_backups "$kind" "$own_vmid" "${stores[@]}"
}

show_list() {
  local at
  for at in "${!backup_volid[@]}"; do
    say "  $(shown_time "${backup_time[at]}")  $(shown_size "${backup_size[at]}")  ${backup_volid[at]}${backup_about[at]:+  (${backup_about[at]})}${backup_note[at]:+  ${backup_note[at]}}" \
      volume "${backup_volid[at]}" time# "${backup_time[at]}" size# "${backup_size[at]}" about "${backup_about[at]}"
  done
  if ((${#backup_volid[@]} == 0)); then
    say "no backup of $guest ($own_vmid)"
  fi
}

chosen=
choose() {
  local at
  if [[ -n $wanted_backup ]]; then
    for at in "${!backup_volid[@]}"; do
      if [[ ${backup_volid[at]} == "$wanted_backup" ]]; then
        chosen=$at
      fi
    done
    if [[ -z $chosen ]]; then
      refuse "$wanted_backup is no backup of $guest ($own_vmid): --list shows them"
    fi
  else
    chosen=$(newest_backup) || refuse "there is no backup of $guest ($own_vmid) in: ${stores[*]}"
    if ((chosen > 0)); then
      warn "${backup_volid[0]} is newer, but its store has found it damaged: it is passed over"
    fi
  fi
  volid=${backup_volid[chosen]}
}

# What the backup says of its guest.
declare -A saved=()
saved_keys=()
drives=()
open_backup() {
  local key hint='' name
  if [[ ${backup_about[chosen]} == *encrypted* && ! -e $pve_dir/priv/storage/${volid%%:*}.enc ]]; then
    hint=": it is encrypted, and its key is not at $pve_dir/priv/storage/${volid%%:*}.enc"
  fi
  read_backup "$kind" "$volid" || die "$volid cannot be opened$hint"
  saved_keys=("${config_keys[@]}")
  for key in "${config_keys[@]}"; do
    saved[$key]=${config[$key]}
  done
  drives=("${backup_drives[@]}")
  if ((${#drives[@]} == 0)); then
    refuse "$volid holds no disk: nothing can come back from it"
  fi
  name=${saved[name]:-${saved[hostname]:-}}
  if [[ $name != "$guest" ]]; then
    warn "the guest of this backup is called ${name:-nothing}, and not $guest"
  fi
}

# ---------------------------------------------------------------- where to

# is_taken NUMBER: whether a guest of the spec has it.
is_taken() {
  local range
  for range in "${taken[@]}"; do
    if (($1 >= ${range%-*} && $1 <= ${range#*-})); then
      return 0
    fi
  done
  return 1
}

# next_free: the lowest number that neither a guest nor the spec nor a volume has.
next_free() {
  local number=100 volumes
  while [[ -n ${guest_kind[$number]:-} ]] || is_taken "$number" || { volumes=$(volumes_of "$number") && [[ -n $volumes ]]; }; do
    number=$((number + 1))
  done
  printf '%s' "$number"
}

is_copy='' exists='' resumed=''
kept=()
choose_place() {
  local volumes
  vmid=$own_vmid
  case $wanted_vmid in
    '') ;;
    new) vmid=$(next_free) ;;
    *) vmid=$wanted_vmid ;;
  esac
  journal=$state_dir/restore/$vmid
  if [[ -e $journal ]]; then
    if [[ $(sed -n 1p "$journal") != "$guest" ]]; then
      refuse "an unfinished restore of $(sed -n 1p "$journal") has the number $vmid: finish that one first"
    fi
    resumed=1
    warn "an earlier restore to $vmid was not finished: it begins anew"
  fi
  if [[ $vmid != "$own_vmid" ]]; then
    is_copy=1
    if is_taken "$vmid"; then
      refuse "$vmid is the number of another guest of the spec"
    fi
  fi
  if [[ -n ${guest_kind[$vmid]:-} ]]; then
    exists=1
    look_at_guest
  else
    volumes=$(volumes_of "$vmid") || die "the volumes of $vmid cannot be listed"
    if [[ -n $volumes ]]; then
      if [[ -n $is_copy ]]; then
        refuse "volumes without a guest have the number $vmid: take another, or remove them"
      fi
      warn "volumes without a guest have the number $vmid; they stay as they are: ${volumes//$'\n'/ }"
    fi
  fi
}

# look_at_guest: whether the guest that is there may be overwritten.
look_at_guest() {
  local name key value
  if [[ -n $is_copy && -z $resumed ]]; then
    refuse "there is a guest $vmid already (${guest_name[$vmid]:-without a name}): a copy takes a free number"
  fi
  if [[ ${guest_kind[$vmid]} != "$kind" ]]; then
    refuse "the guest $vmid that is there is of another kind (${guest_kind[$vmid]}), so it is not $guest"
  fi
  if [[ ${guest_node[$vmid]:-$node} != "$node" ]]; then
    refuse "$guest ($vmid) is on ${guest_node[$vmid]}: restore it there"
  fi
  if [[ ${guest_is_template[$vmid]:-} == 1 ]]; then
    refuse "$guest ($vmid) is a template"
  fi
  read_config "$kind" "$vmid"
  name=${config[name]:-${config[hostname]:-}}
  if [[ $name != "$guest" && -z $resumed ]]; then
    refuse "the guest $vmid that is there is called ${name:-nothing}, and not $guest: it is left alone"
  fi
  if [[ ${config[protection]:-0} == 1 ]]; then
    refuse "$guest ($vmid) is protected: '$tool set $vmid --protection 0' lifts that"
  fi
  check_idle "$vmid"
  read_state "$vmid"
  if [[ -n $state_lock && ! ( -n $resumed && $state_lock == create ) ]]; then
    later "$guest ($vmid) is locked ($state_lock): wait for what is at it, or lift the lock by '$tool unlock $vmid'"
  fi
  for key in "${config_keys[@]}"; do
    value=${config[$key]}
    if ! is_volume "$key" "$value" || is_in "$key" "${drives[@]}"; then
      continue
    fi
<%- if container %>
    # pct destroys every volume of the container before it unpacks the backup.
    if ! is_in "$key" "${discarded[@]}"; then
      refuse "$key (${value%%,*}) is in no backup, and a restore over the container would empty it: restore beside it (--vmid new) and move the mount over, or give it up by --discard $key"
    fi
<%- else %>
    kept+=("$key")
<%- endif %>
  done
}

declare -A target=()
default_target='' moves=()
# choose_storages: where each disk goes, and how Proxmox VE is told.
choose_storages() {
  local drive store problem same=1 as_before=1
  declare -A total=()
  default_target=
  for drive in "${drives[@]}"; do
    store=${disks_to:-${storage_of[$drive]:-$first_storage}}
    target[$drive]=$store
    problem=$(store_problem "$store")
    if [[ -n $problem ]]; then
      refuse "storage $store, where $drive belongs, $problem"
    fi
    default_target=${default_target:-$store}
    if [[ $store != "$default_target" ]]; then
      same=
    fi
    if [[ ${saved[$drive]:-} != "$store":* ]]; then
      as_before=
    fi
    total[$store]=$((${total[$store]:-0} + $(bytes_of "$(option_of "${saved[$drive]:-}" size)")))
  done
  if [[ -z $same ]]; then
<%- if container %>
    default_target=
<%- else %>
    # qmrestore takes one storage for all disks, or puts each where it was.
    if [[ -n $as_before ]]; then
      default_target=
    else
      for drive in "${drives[@]}"; do
        if [[ ${target[$drive]} != "$default_target" ]]; then
          moves+=("$drive")
        fi
      done
    fi
<%- endif %>
  fi
  for store in "${!total[@]}"; do
    if [[ -z $exists && ${store_type[${volid%%:*}]} != pbs && ${#total[@]} == 1 ]] && ((store_avail[$store] < backup_size[chosen])); then
      refuse "storage $store is too full: $(shown_size "${store_avail[$store]}") are free, and the backup alone has $(shown_size "${backup_size[chosen]}")"
    fi
    if ((store_avail[$store] < total[$store])); then
      warn "storage $store has $(shown_size "${store_avail[$store]}") free, and the disks may grow to $(shown_size "${total[$store]}")"
    fi
  done
}

show_plan() {
  local drive key
  say "$guest ($own_vmid) from $volid"
  say "  of $(shown_time "${backup_time[chosen]}"), $(shown_size "${backup_size[chosen]}")${backup_about[chosen]:+, ${backup_about[chosen]}}${backup_note[chosen]:+: ${backup_note[chosen]}}"
  if [[ -n $exists ]]; then
    say "  over the guest $vmid that is there: its disks and their snapshots are replaced"
  elif [[ -n $is_copy ]]; then
    say "  as a copy with the number $vmid, without network, devices and folders of the host"
  else
    say "  as $vmid, which is not there now"
  fi
  for drive in "${drives[@]}"; do
    say "  $drive to ${target[$drive]}"
  done
  for key in "${kept[@]}"; do
    say "  $key (${config[$key]%%,*}) is not in the backup: it stays as it is"
  done
  for key in "${saved_keys[@]}"; do
    if is_volume "$key" "${saved[$key]}" && ! is_in "$key" "${drives[@]}" && ! is_in "$key" "${kept[@]}"; then
      warn "$key is not in the backup, so it does not come back"
    fi
  done
}

# ---------------------------------------------------------------- doing it

# note_restore: from here on the guest may be half, and the next run has to know.
note_restore() {
  local key
  mkdir -p "$state_dir/restore"
  chmod 700 "$state_dir/restore"
  if [[ -z $resumed ]]; then
    : >"$journal.conf"
    if [[ -n $exists ]]; then
      for key in "${config_keys[@]}"; do printf '%s\x1f%s\n' "$key" "${config[$key]}"; done >"$journal.conf"
    fi
  fi
  printf '%s\n%s\n' "$guest" "$volid" >"$journal.new"
  mv -f "$journal.new" "$journal"
}

restore() {
  local arguments=()
  if [[ -n $exists && $state_lock == create ]]; then
    run "$tool" unlock "$vmid"
  fi
  if [[ -n $default_target ]]; then
    arguments+=(--storage "$default_target")
  fi
  if [[ -n $exists ]]; then
    arguments+=(--force 1)
  fi
<%- if container %>
  local key
  if [[ -z $default_target ]]; then
    # With a place for each volume, pct wants to be told every mount.
    for key in "${saved_keys[@]}"; do
      if is_volume "$key" "${saved[$key]}"; then
        arguments+=("--$key" "${target[$key]:-${disks_to:-${storage_of[$key]:-$first_storage}}}:$(gib_of "$(option_of "${saved[$key]}" size)")$(options_after "${saved[$key]}")")
      elif [[ $key == mp[0-9]* && -z $is_copy ]]; then
        arguments+=("--$key" "${saved[$key]}")
      fi
    done
  fi
  if [[ -n $is_copy ]]; then
    arguments+=(--unique 1 --onboot 0 --hostname "$copy_name")
  fi
  run pct restore "$vmid" "$volid" "${arguments[@]}"
<%- else %>
  if [[ -n $is_copy ]]; then
    # As `qmrestore`, which cannot say that a copy does not start with the host.
    run qm create "$vmid" --archive "$volid" "${arguments[@]}" --unique 1 --onboot 0 --name "$copy_name"
  else
    run qmrestore "$volid" "$vmid" "${arguments[@]}"
  fi
<%- endif %>
}
<%- if container %>

# options_after VALUE: those of a volume, its size left out.
options_after() {
  local options
  options=$(without "$1" size)
  printf '%s' "${options#"${options%%,*}"}"
}
<%- endif %>

# settle: what Proxmox VE itself does not bring back, or brings back too much of.
settle() {
  local key
  if [[ -n $dry_run ]]; then
    config=() config_keys=("${saved_keys[@]}")
    for key in "${saved_keys[@]}"; do config[$key]=${saved[$key]}; done
  else
    read_config "$kind" "$vmid"
  fi
  if [[ -n $is_copy ]]; then
    copy_changes "$kind"
    if ((${#changes_of_copy[@]})); then
      run "$tool" set "$vmid" "${changes_of_copy[@]}"
    fi
<%- if container %>
    if ((${#config_raw[@]})); then
      run drop_raw_lines "$vmid"
    fi
<%- endif %>
    tell_leftovers
    return 0
  fi
  tell_leftovers
<%- if container %>
<%- else %>
  for key in "${moves[@]}"; do
    run qm disk move "$vmid" "$key" "${target[$key]}" --delete 1
  done
  attach_kept
<%- endif %>
}

# tell_leftovers: volumes that a run that was cut off has left behind. Nothing here tells them from a person's own.
tell_leftovers() {
  local volume key named=()
  if [[ -z $resumed || -n $dry_run ]]; then
    return 0
  fi
  for key in "${config_keys[@]}"; do
    if is_volume "$key" "${config[$key]}"; then
      named+=("${config[$key]%%,*}")
    fi
  done
  while IFS= read -r volume; do
    if [[ -n $volume ]] && ! is_in "$volume" "${named[@]}" && ! grep -Fq -e $'\x1f'"$volume," "$journal.conf"; then
      found "$volume belongs to no disk of $vmid: if the run that was cut off has left it, 'pvesm free $volume' removes it" volume "$volume"
    fi
  done < <(volumes_of "$vmid")
}
<%- if container %>
<%- else %>

# attach_kept: disks that the backup does not hold were left where they are, unused: each goes back to its place.
attach_kept() {
  local key value unused
  declare -A before=()
  if [[ -n $dry_run ]]; then
    for key in "${kept[@]}"; do say "  $key is plugged in again"; done
    return 0
  fi
  while IFS=$'\x1f' read -r key value; do
    if [[ -n $key ]]; then
      before[$key]=$value
    fi
  done <"$journal.conf"
  for key in "${!before[@]}"; do
    value=${before[$key]}
    if ! is_volume "$key" "$value" || [[ -n ${config[$key]:-} ]]; then
      continue
    fi
    for unused in "${config_keys[@]}"; do
      if [[ $unused == unused[0-9]* && ${config[$unused]%%,*} == "${value%%,*}" ]]; then
        run qm set "$vmid" "--$key" "$value"
      fi
    done
  done
}
<%- endif %>

# ---------------------------------------------------------------- is it as the tree says?

# comparable KEY VALUE: equal texts mean the same to Proxmox VE. Of a volume its storage counts, not its number.
comparable() {
  local value=$2
  case $1 in
    tags) tr -s ';, ' '\n' <<<"$value" | sort -u ;;
    description) tr -s ' ' <<<"${value% }" ;;
    *)
      if is_volume "$1" "$value"; then
        value=${value%%:*}${value#"${value%%,*}"}
      fi
      without "$value" size ms-cert | tr ',' '\n' | sort
      ;;
  esac
}

compare() {
  local file key differing=0
  declare -A wanted=()
  case $kind in
    lxc) file=$tree/proxmox/etc/pve/lxc/$own_vmid.conf ;;
    *) file=$tree/proxmox/etc/pve/qemu-server/$own_vmid.conf ;;
  esac
  if [[ ! -e $file ]]; then
    say "  not compared: $file is not there"
    return 0
  fi
  take_config "$(config_text "$file")"
  for key in "${config_keys[@]}"; do wanted[$key]=${config[$key]}; done
  read_config "$kind" "$vmid"
  for key in $(printf '%s\n' "${!wanted[@]}" "${!config[@]}" | sort -u); do
    case $key in
      meta | digest | parent | smbios1 | vmgenid | arch) continue ;;
    esac
    if [[ ! -v wanted[$key] ]]; then
      say "  $key is not in the tree; here: ${config[$key]}" key "$key"
    elif [[ ! -v config[$key] ]]; then
      say "  $key is missing here; the tree: ${wanted[$key]}" key "$key"
    elif [[ $(comparable "$key" "${wanted[$key]}") != "$(comparable "$key" "${config[$key]}")" ]]; then
      say "  $key differs: here ${config[$key]}, the tree ${wanted[$key]}" key "$key"
    else
      continue
    fi
    differing=$((differing + 1))
  done
  if ((differing)); then
    say "  $differing settings are not as the tree says: the backup is older, or they were changed by hand; apply.sh of the tree sets them"
  else
    say '  as the tree says'
  fi
}

# ---------------------------------------------------------------- one after the other

volid='' vmid='' journal=''
tree=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd)
copy_name=${guest:0:54}-restored

if [[ -z $list ]]; then
  lock "restore-$own_vmid"
fi
look
if [[ -n $list ]]; then
  show_list
  exit 0
fi
choose
open_backup
choose_place
choose_storages
show_plan
if [[ -n $exists ]]; then
  confirm "$guest" "This overwrites the guest $vmid"
else
  ask "Restore $guest to $vmid?"
fi
if [[ -n $exists ]]; then
  if [[ -z $no_verify ]]; then
    next_step 'reading the whole backup'
    verify_archive "$volid" || die "$volid is damaged: nothing was changed; take another (--list)"
  fi
  next_step "shutting $guest down"
  stop_guest "$vmid" "$guest"
fi
next_step "restoring to $vmid"
if [[ -z $dry_run ]]; then
  note_restore
  begun=1
fi
restore || die "the restore failed: the guest $vmid is not whole and was not started; the backup is as it was; mend the cause and run this again"
next_step 'putting the rest in order'
settle
if [[ -z $is_copy ]]; then
  next_step 'comparing it with the tree'
  if [[ -z $dry_run ]]; then
    compare
  fi
fi
if [[ -z $dry_run ]]; then
  rm -f "$journal" "$journal.conf"
fi
if [[ -n $start ]]; then
  next_step "starting $vmid"
  run "$tool" start "$vmid"
fi
step=
if [[ -z $dry_run ]]; then
  count 'guests restored'
  say "$guest is restored to $vmid${start:+ and started}" vmid# "$vmid" volume "$volid"
fi
