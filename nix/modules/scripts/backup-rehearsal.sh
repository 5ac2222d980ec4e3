# backup-rehearsal: restores the newest backup of a guest to a spare number, sees whether it starts, and removes it.
#
# The guest itself is never touched. The copy has no network, no device, no folder and no hook script of the host, and does
# not start by itself. It bears a tag and a note; what bears them, or stands in the journal of a run that was cut off, is
# removed by the next run, and nothing else ever is.
#
# The calls are those of Proxmox VE 8.1 to 9.2: `qm create --archive`, `pct restore`, `qm guest cmd`, `pct exec`, and the
# API by `pvesh`.

usage() {
  cat <<'END'
usage: backup-rehearsal --guest NUMBER [OPTION]...

  --guest NUMBER    whose backups; the guest itself need not be there
  --storage NAME    where they are searched; may be given again; else everywhere
  --backup VOLUME   this one, and not the newest
  --disks-to NAME   where the copy's disks go; else where those of the backup were
  --range A-B       the spare numbers (990000-990099)
  --memory MIB      the most that the copy gets (4096)
  --cores N         the most that the copy gets (2)
  --timeout N       how many seconds it may take to answer (600)
  --max-age DAYS    an older backup wants a look
  --removable       where every storage is away there is nothing to do, and that is no failure
END
}

own='' wanted_backup='' disks_to='' range=990000-990099 memory=4096 cores=2 timeout=600 max_age='' removable=''
stores=()
option() {
  local one
  case $1 in
    --guest) number own ;;
    --storage)
      typed one store
      stores+=("$one")
      ;;
    --backup) typed wanted_backup volume ;;
    --disks-to) typed disks_to store ;;
    --range) value range ;;
    --memory) number memory ;;
    --cores) number cores ;;
    --timeout) number timeout ;;
    --max-age) number max_age ;;
    --removable) removable=1 ;;
    *) return 1 ;;
  esac
}
begin "$@"
if ((${#operands[@]})) || ! gated vmid "$own"; then
  wrong_usage 'say --guest NUMBER, and no other word'
fi
if ! gate vmid first "${range%-*}" || ! gate vmid last "${range#*-}" || ((first > last)); then
  wrong_usage "--range takes two numbers such as 990000-990099, not $range"
fi
if ((own >= first && own <= last)); then
  wrong_usage "the guest $own itself is in the range of spare numbers"
fi
need awk perl pct pvesh pvesm qm sort

mark=moxc-rehearsal
journals=$state_dir/rehearsal
gate number poll "${MOXC_POLL:-5}" || wrong_usage 'MOXC_POLL is no number'

# is_ours VMID: whether a guest is a copy of an earlier run: it says so itself by tag and by note, or a run that was cut off
# had begun it and Proxmox VE has not yet written down what it is.
is_ours() {
  local vmid
  must vmid vmid "$1" 'the number of a guest'
  read_config "${guest_kind[$vmid]}" "$vmid"
  if [[ ";${config[tags]:-};" == *";$mark;"* && ${config[description]:-} == "$mark "* ]]; then
    return 0
  fi
  [[ -e $journals/$vmid && -z ${config[name]:-}${config[hostname]:-}${config[tags]:-}${config[description]:-} ]]
}

# remove_copy VMID: takes a copy away, with its disks.
remove_copy() {
  local vmid kind volume
  must vmid vmid "$1" 'the number of a guest'
  kind=${guest_kind[$vmid]:-}
  if [[ -n $kind ]]; then
    read_state "$vmid"
    if [[ -n $state_lock ]]; then
      run "$(tool_of "$kind")" unlock "$vmid" || return 1
    fi
    if [[ ${config[protection]:-0} != 0 ]]; then
      run "$(tool_of "$kind")" set "$vmid" --protection 0 || return 1
    fi
    if [[ $state_status != stopped ]]; then
      run "$(tool_of "$kind")" stop "$vmid" || return 1
    fi
    run "$(tool_of "$kind")" destroy "$vmid" --purge 1 --destroy-unreferenced-disks 1 || return 1
  elif [[ -e $journals/$vmid ]]; then
    # The number had neither guest nor volume when the run began.
    volumes_of "$vmid" || return 1
    for volume in "${volumes[@]}"; do
      run pvesm free "$volume" || return 1
    done
  fi
  if [[ -z $dry_run ]]; then
    rm -f -- "$journals/$vmid"
  fi
}

# remove_leftovers: what earlier runs could not take away.
remove_leftovers() {
  local vmid number file
  guest_numbers
  for number in "${numbers[@]}"; do
    must vmid vmid "$number" 'the number of a guest'
    if ((vmid < first || vmid > last)) || [[ ${guest_node[$vmid]:-$node} != "$node" ]]; then
      continue
    fi
    if is_ours "$vmid"; then
      check_idle "$vmid"
      say "removing $vmid, which an earlier run has left" vmid# "$vmid"
      remove_copy "$vmid" || failed "$vmid, which an earlier run has left, cannot be removed" vmid# "$vmid"
    elif [[ -e $journals/$vmid && -z $dry_run ]]; then
      # Somebody has taken the number since.
      rm -f -- "$journals/$vmid"
    fi
  done
  for file in "$journals"/*; do
    if [[ -e $file ]] && gate vmid vmid "${file##*/}" && [[ -z ${guest_kind[$vmid]:-} ]]; then
      check_idle "$vmid"
      remove_copy "$vmid" || failed "volumes of $vmid, which an earlier run has left, cannot be removed" vmid# "$vmid"
    fi
  done
}

# spare_number: the first of the range that neither a guest nor a volume has, in `vmid`.
spare_number() {
  for ((vmid = first; vmid <= last; vmid++)); do
    if [[ -n ${guest_kind[$vmid]:-} || -e $journals/$vmid ]]; then
      continue
    fi
    volumes_of "$vmid" || die "the volumes of $vmid cannot be listed, so nobody knows whether the number is free"
    if ((${#volumes[@]} == 0)); then
      return 0
    fi
  done
  die "no number from $first to $last is free"
}

lock
read_stores
read_guests
remove_leftovers
read_guests

# ---------------------------------------------------------------- which backup

if [[ -n $wanted_backup ]]; then
  must store name "${wanted_backup%%:*}" 'the storage of the backup'
  stores=("$name")
elif ((${#stores[@]} == 0)); then
  for name in "${store_names[@]}"; do
    if [[ ,${store_content[$name]}, == *,backup,* ]]; then
      stores+=("$name")
    fi
  done
fi
reachable=0
for name in "${stores[@]}"; do
  if [[ ${store_state[$name]:-absent} == ok ]]; then
    reachable=$((reachable + 1))
  else
    say "storage $name is ${store_state[$name]:-not there}" storage "$name"
  fi
done
if ((reachable == 0)); then
  if [[ -n $removable ]]; then
    say 'every storage is away: nothing to do'
    exit 0
  fi
  die "no storage with backups of $own can be read: ${stores[*]}"
fi
kind=${guest_kind[$own]:-}
if [[ -z $kind ]]; then
  for kind in lxc qemu; do
    find_backups "$kind" "$own" "${stores[@]}"
    if ((${#backup_volid[@]} + ${#unlisted[@]})); then
      break
    fi
  done
else
  find_backups "$kind" "$own" "${stores[@]}"
fi
chosen=
if [[ -n $wanted_backup ]]; then
  for ((place = 0; place < ${#backup_volid[@]}; place++)); do
    if [[ ${backup_volid[place]} == "$wanted_backup" ]]; then
      chosen=$((place))
    fi
  done
elif ((${#unlisted[@]})); then
  die "nobody knows which backup of $own is the newest, since not all are told (${unlisted[*]}); say --storage or --backup" vmid# "$own"
else
  gate number chosen "$(newest_backup)" || true
fi
if [[ -z $chosen ]]; then
  die "there is no${wanted_backup:+ such} backup of $own in: ${stores[*]}" vmid# "$own"
fi
volid=${backup_volid[chosen]}
if ((chosen > 0)) && [[ -z $wanted_backup ]]; then
  found "${backup_volid[0]} is newer, but its store has found it damaged" volume "${backup_volid[0]}"
fi
printf -v now '%(%s)T' -1
must seconds made "${backup_time[chosen]}" "the time of $volid"
age=$(((now - made) / 86400))
if [[ -n $max_age ]] && ((age > max_age)); then
  found "the newest backup of $own is $age days old" vmid# "$own" volume "$volid"
fi
read_privilege "$own"
read_backup "$kind" "$volid" || die "$volid cannot be opened" volume "$volid"
if ((${#backup_drives[@]} == 0)); then
  die "$volid holds no disk" volume "$volid"
fi
called=${config[name]:-${config[hostname]:-$own}}
agent=${config[agent]:-0}

# ---------------------------------------------------------------- is there room?

target=''
total=0
for drive in "${backup_drives[@]}"; do
  must key key "$drive" 'a drive'
  size_of "${config[$key]:-}"
  total=$((total + volume_bytes))
  if [[ -z $target ]]; then
    must store target "${disks_to:-${config[$key]%%:*}}" 'the storage of the disks'
  fi
done
must store archive_store "${volid%%:*}" 'the storage of the backup'
must bytes archive_bytes "${backup_size[chosen]}" "the size of $volid"
must bytes available "${store_avail[$target]:-0}" "the room in $target"
if [[ ${store_state[$target]:-absent} != ok ]]; then
  die "storage $target, where the copy's disks would go, is ${store_state[$target]:-not there}: say --disks-to" storage "$target"
fi
# An archive unpacks to some three times its size at most, and never to more than the disks are large.
room=$total
if [[ ${store_type[$archive_store]} != pbs ]] && ((archive_bytes * 3 < room)); then
  room=$((archive_bytes * 3))
fi
if ((available < room + room / 10)); then
  die "storage $target has $(shown_size "$available") free, and the copy may need $(shown_size "$room")" storage "$target"
fi
memory_said=${config[memory]:-512}
memory_said=${memory_said#current=}
if gate number own_memory "${memory_said%%,*}" && ((own_memory > 0 && own_memory < memory)); then
  memory=$own_memory
fi
free_said=$(awk '$1 == "MemAvailable:" { print int($2 / 1024) }' "${MOXC_MEMINFO:-/proc/meminfo}")
must number free_memory "$free_said" 'the free memory'
if ((free_memory < memory + 512)); then
  later "the host has $free_memory MiB of memory free, and the copy needs $memory"
fi

# ---------------------------------------------------------------- the copy

# fit_copy: what the copy gets less of than the guest has.
fit_copy() {
  copy_changes "$kind" "$vmid" affinity hugepages keephugepages numa numa{0..7} vcpus watchdog balloon shares
  changes_of_copy+=(--memory "$memory")
  local own_cores
  # Without a number Proxmox VE gives as many as there are.
  if ! gate number own_cores "${config[cores]:-}" || ((own_cores > cores)); then
    changes_of_copy+=(--cores "$cores")
  fi
  if [[ $kind == qemu && ${config[sockets]:-1} != 1 ]]; then
    changes_of_copy+=(--sockets 1)
  fi
}

spare_number
began=
# take_away: the copy goes, whatever happened.
take_away() {
  if [[ -z $began ]]; then
    return 0
  fi
  # Whatever else fails now, the journal stays, and the next run tries again.
  if ! (
    trap - ERR
    read_guests
    if [[ -z ${guest_kind[$vmid]:-} ]] || is_ours "$vmid"; then
      remove_copy "$vmid"
    else
      die "$vmid does not bear the mark of a rehearsal: it is left alone"
    fi
  ); then
    failed "the copy $vmid is not removed: the next run tries again" vmid# "$vmid"
  fi
}
at_exit take_away

say "$called ($own) from $volid of $(shown_time "$made") to $vmid" vmid# "$own" copy# "$vmid" volume "$volid" age_days# "$age"
note="$mark of $called ($own) from $volid. Whoever finds this after the rehearsal may remove it."
if [[ -z $dry_run ]]; then
  mkdir -p -- "$journals"
  printf '%s\n' "$volid" >"$journals/$vmid"
  began=1
fi
printf -v started '%(%s)T' -1
guest_kind[$vmid]=$kind
if [[ $kind == lxc ]]; then
  run pct restore "$vmid" "$volid" --storage "$target" --unique 1 --onboot 0 --protection 0 "${copy_privilege[@]}" --hostname "rehearsal-$own" --tags "$mark" --description "$note" ||
    die "the restore failed" volume "$volid"
else
  run qm create "$vmid" --archive "$volid" --storage "$target" --unique 1 --onboot 0 --protection 0 --name "rehearsal-$own" --tags "$mark" --description "$note" ||
    die "the restore failed" volume "$volid"
fi
if [[ -z $dry_run ]]; then
  read_config "$kind" "$vmid"
  agent=${config[agent]:-0}
fi
fit_copy
run "$(tool_of "$kind")" set "$vmid" "${changes_of_copy[@]}" || die 'the copy cannot be made harmless: it is not started'
if [[ $kind == lxc ]] && ((${#config_raw[@]})); then
  run drop_raw_lines "$vmid"
fi
printf -v restored '%(%s)T' -1
count 'copies made'
if [[ -z $dry_run ]]; then
  check_harmless "$kind" "$vmid"
fi
run "$(tool_of "$kind")" start "$vmid" || die 'the copy does not start'
if [[ -n $dry_run ]]; then
  run "$(tool_of "$kind")" destroy "$vmid" --purge 1 --destroy-unreferenced-disks 1
  exit 0
fi

# ---------------------------------------------------------------- does it answer?

# answers: whether the copy says something by itself. A container's systemd says in `about` how it is.
about=
answers() {
  local left=$((timeout - waited + 1))
  left=$((left < hear_seconds ? left : hear_seconds))
  if [[ $kind == qemu ]]; then
    hear_for "$left" qm guest cmd "$vmid" ping
    return
  fi
  # shellcheck disable=SC2016 # the variables are the container's
  hear_for "$left" pct exec "$vmid" -- /bin/sh -c '
    PATH=$PATH:/run/current-system/sw/bin:/usr/bin:/bin
    if ! command -v systemctl >/dev/null; then echo answers; exit 0; fi
    state=$(systemctl is-system-running)
    case $state in
      running) echo "$state" ;;
      degraded) echo "$state: $(systemctl list-units --failed --plain --no-legend | while read -r unit rest; do printf "%s " "$unit"; done)" ;;
      *) exit 1 ;;
    esac' || return 1
  about=$(text_of "$heard")
}

has_agent=1
if [[ $kind == qemu && ! $agent =~ ^(1|enabled=1)(,|$) ]]; then
  has_agent=
  timeout=$((timeout < 60 ? timeout : 60))
fi
began_waiting=$SECONDS
waited=0
until [[ -n $has_agent ]] && answers; do
  read_state "$vmid"
  if [[ $state_status != running ]]; then
    die "the copy has stopped by itself ($state_status)" volume "$volid"
  fi
  if ((waited >= timeout)); then
    if [[ -z $has_agent ]]; then
      break
    fi
    die "the copy runs and has not answered in $timeout seconds" volume "$volid"
  fi
  sleep "$poll"
  # What the copy was waited for counts, too.
  waited=$((waited + (poll > 0 ? poll : 1)))
  if ((SECONDS - began_waiting > waited)); then
    waited=$((SECONDS - began_waiting))
  fi
done
if [[ -z $has_agent ]]; then
  found "the copy of $called ($own) runs, but it has no guest agent that could answer" vmid# "$own" volume "$volid"
else
  # Units that want a network have none: that is no fault of the backup.
  say "$called ($own) comes back from $volid: restored in $((restored - started)) s, answers after $waited s${about:+ ($about)}" \
    vmid# "$own" volume "$volid" restore_seconds# "$((restored - started))" answer_seconds# "$waited" state "$about"
  count 'backups rehearsed'
fi
