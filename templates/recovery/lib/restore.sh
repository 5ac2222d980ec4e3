#!/bin/bash
# <@ header|safe @>
#
# Brings a guest back from a backup: what all the scripts `restore/GUEST.sh` do. Each says which guest it is, reads this,
# and calls `restore_guest`.
#
# The calls are those of Proxmox VE 8.1 to 9.2: `qmrestore`, `qm create --archive` and `pct restore` with their options,
# `qm disk move`, and the API by `pvesh`.
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
usage: restore/$guest.sh [OPTION]...

Brings the guest $guest ($own_vmid) back from a backup: the newest one of all the storages of the spec, or the one that is
named. Of two of one second, the one in the storage that the spec names first.

  --list            shows the storages and the backups, and changes nothing
  --backup VOLUME   takes this backup, as --list shows it
  --storage NAME    takes the newest one of this storage
  --vmid N          restores to this number instead, beside the guest; \`new\` takes the next free one. Such a copy gets new
                    MAC addresses, an unplugged network, no device and no folder of the host, and does not start by itself
  --disks-to NAME   puts every disk into this storage, and not where the spec says
  --discard DISK    gives up a mount of a container that no backup holds, and that the restore would empty; may be repeated
  --no-verify       does not read the whole backup before the guest is overwritten
  --start           starts the guest afterwards
  --as-it-is FILE   takes this file of the tree although it was changed by hand; may be repeated

A guest that is there is overwritten only after its name was typed (or said by --confirm), and only while it is stopped.
After a failure, run it again.
END
}

# The storages that may hold a backup, in the order of the spec: what each is, and whether it may be away.
stores=(<% for store in stores %><% if loop.first %><% else %> <% endif %><@ store.name @><% endfor %>)
declare -A what_of=() is_removable=()
<%- for store in stores %>
what_of[<@ store.name @>]=<@ store.what @> is_removable[<@ store.name @>]=<% if store.removable %>1<% endif %>
<%- endfor %>
# The numbers of the spec's guests, as ranges: no copy takes one of them, even where that guest is not there.
taken=(<% for range in taken %><% if loop.first %><% else %> <% endif %><@ range @><% endfor %>)

list='' wanted_backup='' wanted_storage='' wanted_vmid='' disks_to='' no_verify='' start=''
discarded=()
option() {
  local one
  case $1 in
    --list) list=1 ;;
    --backup) typed wanted_backup volume ;;
    --storage) typed wanted_storage store ;;
    --vmid) value wanted_vmid ;;
    --disks-to) typed disks_to store ;;
    --discard)
      value one
      discarded+=("$one")
      ;;
    --no-verify) no_verify=1 ;;
    --start) start=1 ;;
    --as-it-is)
      value one
      as_it_is+=("$one")
      ;;
    *) return 1 ;;
  esac
}
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
  local one
  must store one "$1" 'a storage'
  case ${store_state[$one]:-absent} in
    ok) ;;
    disabled) printf 'is switched off in Proxmox VE' ;;
    offline)
      if [[ -n ${is_removable[$one]:-} ]]; then
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
    must store store "${wanted_backup%%:*}" 'the storage of the backup'
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
  local place
  for ((place = 0; place < ${#backup_volid[@]}; place++)); do
    say "  $(shown_time "${backup_time[place]}")  $(shown_size "${backup_size[place]}")  ${backup_volid[place]}${backup_about[place]:+  (${backup_about[place]})}${backup_note[place]:+  ${backup_note[place]}}" \
      volume "${backup_volid[place]}" time# "${backup_time[place]}" size# "${backup_size[place]}" about "${backup_about[place]}"
  done
  if ((${#backup_volid[@]} == 0)); then
    say "no backup of $guest ($own_vmid)"
  fi
}

chosen=
choose() {
  local place
  if [[ -n $wanted_backup ]]; then
    for ((place = 0; place < ${#backup_volid[@]}; place++)); do
      if [[ ${backup_volid[place]} == "$wanted_backup" ]]; then
        chosen=$((place))
      fi
    done
    if [[ -z $chosen ]] && ((${#unlisted[@]})); then
      refuse "nobody knows whether $wanted_backup is a backup of $guest ($own_vmid): its storage does not tell its backups"
    fi
    if [[ -z $chosen ]]; then
      refuse "$wanted_backup is no backup of $guest ($own_vmid): --list shows them"
    fi
  else
    if ((${#unlisted[@]})); then
      refuse "nobody knows which backup of $guest ($own_vmid) is the newest, since not all are told (${unlisted[*]}); nothing was done; say which one by --storage or --backup"
    fi
    gate number chosen "$(newest_backup)" || refuse "there is no backup of $guest ($own_vmid) in: ${stores[*]}"
    if ((chosen > 0)); then
      warn "${backup_volid[0]} is newer, but its store has found it damaged: it is passed over"
    fi
  fi
  volid=${backup_volid[chosen]}
  must bytes archive_bytes "${backup_size[chosen]}" "the size of $volid"
}
archive_bytes=0

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
  local range asked from to
  must vmid asked "$1" 'the number of a guest'
  for range in "${taken[@]}"; do
    must vmid from "${range%-*}" 'a range of numbers'
    must vmid to "${range#*-}" 'a range of numbers'
    if ((asked >= from && asked <= to)); then
      return 0
    fi
  done
  return 1
}

# next_free: the lowest number that neither a guest nor the spec nor a volume has, in `vmid`.
next_free() {
  local asked=0
  for ((vmid = 100; vmid <= 999999999; vmid++)); do
    if [[ -n ${guest_kind[$vmid]:-} ]] || is_taken "$vmid"; then
      continue
    fi
    # A storage may say of every number that it has volumes of it.
    asked=$((asked + 1))
    if ((asked > 100)); then
      refuse 'volumes without a guest have the first 100 numbers that no guest has: say --vmid NUMBER'
    fi
    volumes_of "$vmid" || die "the volumes of $vmid cannot be listed, so nobody knows whether the number is free"
    if ((${#volumes[@]} == 0)); then
      return 0
    fi
  done
  die 'no number is free'
}

is_copy='' exists='' resumed=''
kept=()
choose_place() {
  local unfinished
  case $wanted_vmid in
    '') must vmid vmid "$own_vmid" 'the number of the guest' ;;
    new) next_free ;;
    *) must vmid vmid "$wanted_vmid" 'the number of the copy' ;;
  esac
  journal=$state_dir/restore/$vmid
  if [[ -e $journal ]]; then
    unfinished=$(sed -n 1p "$journal") || die "$journal cannot be read"
    if [[ $unfinished != "$guest" ]]; then
      refuse "an unfinished restore of $(text_of "$unfinished" 60) has the number $vmid: finish that one first"
    fi
    resumed=1
    warn "an earlier restore to $vmid was not finished: it begins anew"
  fi
  if [[ $vmid != "$own_vmid" ]]; then
    is_copy=1
    if is_taken "$vmid"; then
      refuse "$vmid is the number of another guest of the spec"
    fi
    read_privilege "$own_vmid"
  fi
  if [[ -n ${guest_kind[$vmid]:-} ]]; then
    exists=1
    look_at_guest
  else
    volumes_of "$vmid" || die "the volumes of $vmid cannot be listed"
    if ((${#volumes[@]})); then
      if [[ -n $is_copy ]]; then
        refuse "volumes without a guest have the number $vmid: take another, or remove them"
      fi
      warn "volumes without a guest have the number $vmid; they stay as they are: ${volumes[*]}"
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
    if [[ $kind != lxc ]]; then
      kept+=("$key")
      continue
    fi
    # pct destroys every volume of the container before it unpacks the backup.
    if ! is_in "$key" "${discarded[@]}"; then
      refuse "$key (${value%%,*}) is in no backup, and a restore over the container would empty it: restore beside it (--vmid new) and move the mount over, or give it up by --discard $key"
    fi
  done
}

declare -A target=()
default_target='' moves=()
# choose_storages: where each disk goes, and how Proxmox VE is told.
choose_storages() {
  local drive store archive_store problem same=1 as_before=1 available whole
  declare -A total=()
  default_target=
  must store archive_store "${volid%%:*}" 'the storage of the backup'
  for drive in "${drives[@]}"; do
    must store store "${disks_to:-${storage_of[$drive]:-$first_storage}}" "the storage of $drive"
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
    size_of "${saved[$drive]:-}"
    must bytes whole "${total[$store]:-0}" "the size of the disks in $store"
    total[$store]=$((whole + volume_bytes))
  done
  if [[ -z $same && $kind == lxc ]]; then
    default_target=
  elif [[ -z $same ]]; then
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
  fi
  for store in "${!total[@]}"; do
    must bytes available "${store_avail[$store]:-0}" "the room in $store"
    must bytes whole "${total[$store]}" "the size of the disks in $store"
    if [[ -z $exists && ${store_type[$archive_store]} != pbs && ${#total[@]} == 1 ]] && ((available < archive_bytes)); then
      refuse "storage $store is too full: $(shown_size "$available") are free, and the backup alone has $(shown_size "$archive_bytes")"
    fi
    if ((available < whole)); then
      warn "storage $store has $(shown_size "$available") free, and the disks may grow to $(shown_size "$whole")"
    fi
  done
}

show_plan() {
  local drive key
  say "$guest ($own_vmid) from $volid"
  say "  of $(shown_time "${backup_time[chosen]}"), $(shown_size "$archive_bytes")${backup_about[chosen]:+, ${backup_about[chosen]}}${backup_note[chosen]:+: ${backup_note[chosen]}}"
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
  if [[ $kind == lxc ]]; then
    restore_container
    return
  fi
  if [[ -n $is_copy ]]; then
    # As `qmrestore`, which cannot say that a copy does not start with the host.
    run qm create "$vmid" --archive "$volid" "${arguments[@]}" --unique 1 --onboot 0 --name "$copy_name"
  else
    run qmrestore "$volid" "$vmid" "${arguments[@]}"
  fi
}

# restore_container: with the arguments of `restore`.
restore_container() {
  local key gib options
  if [[ -z $default_target ]]; then
    # With a place for each volume, pct wants to be told every mount.
    for key in "${saved_keys[@]}"; do
      if is_volume "$key" "${saved[$key]}"; then
        size_of "${saved[$key]}"
        gib=$(gib_of "$volume_bytes") && options=$(options_after "${saved[$key]}") || return 1
        arguments+=("--$key" "${target[$key]:-${disks_to:-${storage_of[$key]:-$first_storage}}}:$gib$options")
      elif [[ $key == mp[0-9]* && -z $is_copy ]]; then
        arguments+=("--$key" "${saved[$key]}")
      fi
    done
  fi
  if [[ -n $is_copy ]]; then
    arguments+=(--unique 1 --onboot 0 --hostname "$copy_name" "${copy_privilege[@]}")
  fi
  run pct restore "$vmid" "$volid" "${arguments[@]}"
}

# options_after VALUE: those of a volume, its size left out.
options_after() {
  local options
  options=$(without "$1" size)
  printf '%s' "${options#"${options%%,*}"}"
}

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
    copy_changes "$kind" "$vmid"
    if ((${#changes_of_copy[@]})); then
      run "$tool" set "$vmid" "${changes_of_copy[@]}"
    fi
    if [[ $kind == lxc ]] && ((${#config_raw[@]})); then
      run drop_raw_lines "$vmid"
    fi
    if [[ -z $dry_run ]]; then
      check_harmless "$kind" "$vmid"
    fi
    tell_leftovers
    return 0
  fi
  tell_leftovers
  if [[ $kind == lxc ]]; then
    return 0
  fi
  for key in "${moves[@]}"; do
    run qm disk move "$vmid" "$key" "${target[$key]}" --delete 1
  done
  attach_kept
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
  volumes_of "$vmid" || failed "the volumes of $vmid cannot be listed: the run that was cut off may have left some"
  for volume in "${volumes[@]}"; do
    if ! is_in "$volume" "${named[@]}" && ! grep -Fq -e $'\x1f'"$volume," "$journal.conf"; then
      found "$volume belongs to no disk of $vmid: if the run that was cut off has left it, 'pvesm free $volume' removes it" volume "$volume"
    fi
  done
}

# attach_kept: disks that the backup does not hold were left where they are, unused: each goes back to its place.
attach_kept() {
  local key value unused
  declare -A before=()
  if [[ -n $dry_run ]]; then
    for key in "${kept[@]}"; do say "  $key is plugged in again"; done
    return 0
  fi
  while take_every "an option in $journal.conf" key:key value:line?; do
    before[$key]=$value
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

# same_option KEY VALUE VALUE
same_option() {
  local one other
  one=$(comparable "$1" "$2") || die "$1 cannot be compared"
  other=$(comparable "$1" "$3") || die "$1 cannot be compared"
  [[ $one == "$other" ]]
}

# tree_config: the guest's file in the tree.
tree_config() {
  case $kind in
    lxc) printf 'proxmox/etc/pve/lxc/%s.conf' "$own_vmid" ;;
    *) printf 'proxmox/etc/pve/qemu-server/%s.conf' "$own_vmid" ;;
  esac
}

compare() {
  local file text keys key differing=0
  declare -A wanted=()
  file=$tree/$(tree_config)
  text=$(config_rows <"$file") || die "$file cannot be read"
  take_config "$text"
  for key in "${config_keys[@]}"; do wanted[$key]=${config[$key]}; done
  read_config "$kind" "$vmid"
  keys=$(printf '%s\n' "${!wanted[@]}" "${!config[@]}" | sort -u) || die 'the options cannot be sorted'
  while take_every 'an option' key:key; do
    case $key in
      meta | digest | parent | smbios1 | vmgenid | arch) continue ;;
    esac
    if [[ -z ${wanted[$key]+set} ]]; then
      say "  $key is not in the tree; here: ${config[$key]}" key "$key"
    elif [[ -z ${config[$key]+set} ]]; then
      say "  $key is missing here; the tree: ${wanted[$key]}" key "$key"
    elif ! same_option "$key" "${wanted[$key]}" "${config[$key]}"; then
      say "  $key differs: here ${config[$key]}, the tree ${wanted[$key]}" key "$key"
    else
      continue
    fi
    differing=$((differing + 1))
  done <<<"$keys"
  if ((differing)); then
    say "  $differing settings are not as the tree says: the backup is older, or they were changed by hand; apply.sh of the tree sets them"
  else
    say '  as the tree says'
  fi
}

# ---------------------------------------------------------------- one after the other

volid='' vmid='' journal='' tree=''
copy_name=${guest:0:54}-restored
tool=$(tool_of "$kind")

# prove: the files of the tree that this is made of, and what the guest is compared with.
prove() {
  local parts=("restore/$guest.sh" restore/lib/restore.sh "$(tree_config)")
  tree=$(cd -- "$(dirname -- "$0")/.." && pwd) || die 'the folder of the tree cannot be found'
  prove_tree "$tree" '' "${parts[@]}"
}

# restore_guest OPTION...
restore_guest() {
  begin "$@"
  if ((${#operands[@]})); then
    wrong_usage "unknown word ${operands[0]}"
  fi
  if [[ -n $wanted_backup && -n $wanted_storage ]]; then
    wrong_usage '--backup names its storage already'
  fi
  if [[ -n $wanted_vmid && $wanted_vmid != new ]] && ! gated vmid "$wanted_vmid"; then
    wrong_usage "--vmid takes a number from 100 to 999999999, or new, and not $wanted_vmid"
  fi
  need awk grep perl pvesh pvesm sed sort tr "$tool"
  prove
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
}
}
