# vzdump-backup: backs guests up by hand, one after the other, and checks whether each backup is good.
#
# What runs at set times are jobs of Proxmox VE's own scheduler. This is for the backup before a change.
#
# The calls are those of Proxmox VE 8.1 to 9.2: `vzdump`, `pvesm prune-backups`, and the API by `pvesh`.

usage() {
  cat <<'END'
usage: vzdump-backup [OPTION]... GUEST...

Backs up each GUEST (a number, a name, or `all` of this host) and goes on where one fails. A backup that was made is read
whole, and only then older ones are removed, where that is asked for.

  --storage NAME    where to; else the one of /etc/vzdump.conf
  --mode MODE       snapshot, suspend or stop
  --compress WORD   zstd, gzip, lzo or 0
  --notes TEXT      the notes of the backups; {{guestname}} and {{vmid}} are filled in
  --protected       no rule removes these backups, until that is lifted
  --keep RULE=N     afterwards, of each guest's backups in this storage, only the newest of each of so many last, hourly,
                    daily, weekly, monthly, yearly; protected ones stay, and do not count. May be given again
  --exclude GUEST   not this one; may be given again
  --removable       where the storage is away there is nothing to do, and that is no failure
  --no-verify       does not read the backups
END
}

storage='' mode='' compress='' notes='{{guestname}}' protected='' removable='' no_verify=''
keep=()
excluded=()
option() {
  local one
  case $1 in
    --storage) typed storage store ;;
    --mode) one_of mode snapshot suspend stop ;;
    --compress) one_of compress zstd gzip lzo 0 ;;
    --notes) value notes ;;
    --protected) protected=1 ;;
    --keep)
      value one
      if [[ ! $one =~ ^(last|hourly|daily|weekly|monthly|yearly)=[1-9][0-9]{0,8}$ ]]; then
        wrong_usage "--keep takes a rule such as daily=7, not $one"
      fi
      keep+=("--keep-${one%%=*}" "${one#*=}")
      ;;
    --exclude)
      value one
      excluded+=("$one")
      ;;
    --removable) removable=1 ;;
    --no-verify) no_verify=1 ;;
    *) return 1 ;;
  esac
}
begin "$@"
if ((${#operands[@]} == 0)); then
  wrong_usage 'no guest is named'
fi
need awk perl pvesh pvesm sed sort tail vzdump

if [[ -z $storage ]]; then
  configured=$(sed -n 's/^storage:[[:space:]]*//p' "${MOXC_VZDUMP_CONF:-/etc/vzdump.conf}" 2>/dev/null | tail -n 1) || configured=
  if ! gate store storage "$configured"; then
    wrong_usage 'no --storage, and /etc/vzdump.conf names none'
  fi
fi
lock

read_stores
case ${store_state[$storage]:-absent} in
  ok) ;;
  absent) refuse "there is no storage $storage" storage "$storage" ;;
  *)
    if [[ -n $removable ]]; then
      say "storage $storage is away: nothing to do" storage "$storage"
      exit 0
    fi
    die "storage $storage is ${store_state[$storage]}" storage "$storage"
    ;;
esac
if [[ ,${store_content[$storage]}, != *,backup,* ]]; then
  refuse "storage $storage is not for backups" storage "$storage"
fi
read_guests
guest_numbers

# numbers_of WORD: the guests of this host that a word means, one a line.
numbers_of() {
  local vmid number any=
  for number in "${numbers[@]}"; do
    must vmid vmid "$number" 'the number of a guest'
    if [[ ${guest_node[$vmid]:-$node} != "$node" ]]; then
      continue
    fi
    if [[ $1 == all || $1 == "$vmid" || $1 == "${guest_name[$vmid]}" ]]; then
      printf '%s\n' "$vmid"
      any=1
    fi
  done
  [[ -n $any || $1 == all ]]
}

left_out=()
for word in "${excluded[@]}"; do
  found_here=$(numbers_of "$word") || refuse "there is no guest $word here to leave out"
  while take_every 'a guest' vmid:vmid; do
    left_out+=("$vmid")
  done <<<"$found_here"
done
wanted=()
for word in "${operands[@]}"; do
  if ! found_here=$(numbers_of "$word"); then
    failed "there is no guest $word on this host" guest "$word"
    continue
  fi
  while take_every 'a guest' vmid:vmid; do
    if ! is_in "$vmid" "${left_out[@]}" "${wanted[@]}"; then
      wanted+=("$vmid")
    fi
  done <<<"$found_here"
done

# needed_bytes VMID: what a backup will take, as far as that can be known: a tenth more than the last one in this storage,
# or, for the first one, what the disks hold, half of it where it is compressed. In $needed; fails where nobody tells it.
needed_bytes() {
  local vmid=$1 store used text total=0
  needed=0
  if ((${#backup_size[@]})); then
    must bytes needed "${backup_size[0]}" 'the size of a backup'
    needed=$((needed + needed / 10))
    return 0
  fi
  for store in "${store_names[@]}"; do
    if [[ ${store_state[$store]} != ok || ,${store_content[$store]}, != *,images,* && ,${store_content[$store]}, != *,rootdir,* ]]; then
      continue
    fi
    text=$(api "/nodes/$node/storage/$store/content" --vmid "$vmid" |
      rows 'row($_->{used} // $_->{size} // 0) for grep { ($_->{content} // "") =~ /^(?:images|rootdir)$/ } @$d') || return 1
    while take "a volume of $vmid in $store" used:bytes; do
      total=$((total + used))
    done <<<"$text"
  done
  if [[ $compress != 0 ]]; then
    total=$((total / 2))
  fi
  needed=$total
}
needed=0

# back_up VMID
back_up() {
  local vmid name kind before place new='' size=0 last_size available sound=1
  must vmid vmid "$1" 'the number of a guest'
  name=${guest_name[$vmid]} kind=${guest_kind[$vmid]}
  local arguments=("$vmid" --storage "$storage" --notes-template "$notes" --remove 0 --lockwait $((lock_timeout / 60)))
  read_state "$vmid"
  if [[ -n $state_lock ]]; then
    busy "$name ($vmid) is locked ($state_lock)" vmid# "$vmid"
    return 0
  fi
  find_backups "$kind" "$vmid" "$storage"
  if ((${#unlisted[@]})); then
    # Nobody could tell the new one from those before, nor what may go.
    failed "$name ($vmid): not backed up, since storage $storage does not tell the backups that are there" vmid# "$vmid"
    return 0
  fi
  before=("${backup_volid[@]}")
  must bytes last_size "${backup_size[0]:-0}" 'the size of a backup'
  if ! needed_bytes "$vmid"; then
    failed "$name ($vmid): not backed up, since nobody tells how large its disks are" vmid# "$vmid"
    return 0
  fi
  must bytes available "${store_avail[$storage]:-0}" "the room in $storage"
  # A backup server stores what is new alone, and nobody knows before how much that is.
  if [[ ${store_type[$storage]} != pbs ]] && ((available < needed)); then
    failed "$name ($vmid): storage $storage has $(shown_size "$available") free, and the backup needs about $(shown_size "$needed")" vmid# "$vmid"
    return 0
  fi
  if [[ -n $mode ]]; then
    arguments+=(--mode "$mode")
  fi
  if [[ -n $compress ]]; then
    arguments+=(--compress "$compress")
  fi
  if [[ -n $protected ]]; then
    arguments+=(--protected 1)
  fi
  say "$name ($vmid)" vmid# "$vmid"
  if ! run vzdump "${arguments[@]}"; then
    failed "$name ($vmid): the backup failed" vmid# "$vmid"
    return 0
  fi
  if [[ -n $dry_run ]]; then
    count 'backups made'
    return 0
  fi
  find_backups "$kind" "$vmid" "$storage"
  if ((${#unlisted[@]})); then
    failed "$name ($vmid): vzdump says that all is well, but storage $storage does not tell its backups; older ones are left as they are" vmid# "$vmid"
    return 0
  fi
  for ((place = 0; place < ${#backup_volid[@]}; place++)); do
    if [[ -z $new ]] && ! is_in "${backup_volid[place]}" "${before[@]}"; then
      new=${backup_volid[place]}
      must bytes size "${backup_size[place]}" "the size of $new"
    fi
  done
  if [[ -z $new ]]; then
    failed "$name ($vmid): vzdump says that all is well, and there is no new backup" vmid# "$vmid"
    return 0
  fi
  if [[ -z $no_verify ]]; then
    if ! read_backup "$kind" "$new" || ! verify_archive "$new"; then
      failed "$name ($vmid): $new is damaged; older ones are left as they are" vmid# "$vmid" volume "$new"
      return 0
    fi
    if ((${#backup_drives[@]} == 0)); then
      found "$name ($vmid): $new holds no disk; older ones are left as they are" vmid# "$vmid" volume "$new"
      sound=
    fi
  fi
  if ((size * 10 < last_size)); then
    found "$name ($vmid): $new has $(shown_size "$size"), less than a tenth of the one before ($(shown_size "$last_size")); older ones are left as they are" vmid# "$vmid" volume "$new"
    return 0
  fi
  count 'backups made'
  say "  $new, $(shown_size "$size")" vmid# "$vmid" volume "$new" size# "$size"
  if [[ -n $sound ]] && ((${#keep[@]})) && ! run pvesm prune-backups "$storage" --vmid "$vmid" --type "$kind" "${keep[@]}"; then
    failed "$name ($vmid): older backups could not be removed" vmid# "$vmid"
  fi
}

for vmid in "${wanted[@]}"; do
  back_up "$vmid"
  if [[ -z $dry_run ]]; then
    # The next one has what this one left.
    read_stores
    if [[ ${store_state[$storage]:-absent} != ok ]]; then
      die "storage $storage is gone: the rest was not tried" storage "$storage"
    fi
  fi
done
