# ---------------------------------------------------------------- guests, storages, backups
#
# What Proxmox VE says of them: JSON by pvesh, never columns. Each word of it passes the gate.

know_node
# Other places are for trials.
pve_dir=${MOXC_PVE_DIR:-/etc/pve}
state_dir=${MOXC_STATE_DIR:-/var/lib/moxc}

# api PATH [OPTION VALUE]...: what Proxmox VE answers, as JSON.
api() {
  if ! hear_list pvesh get "$@" --output-format json; then
    lines_of "$heard_err"$'\n' >&2
    return 1
  fi
  printf '%s' "$heard"
}

# read_guests: every guest of the cluster.
declare -A guest_kind=() guest_name=() guest_node=() guest_status=() guest_is_template=()
read_guests() {
  local text vmid kind name on status template
  guest_kind=() guest_name=() guest_node=() guest_status=() guest_is_template=()
  text=$(api /cluster/resources --type vm |
    rows 'row(@$_{qw(vmid type name node status template)}) for sort { $a->{vmid} <=> $b->{vmid} } @$d') ||
    die 'Proxmox VE does not tell its guests: are pve-cluster and pvedaemon running?'
  # A number that seems free and is not would be the end of a guest.
  while take_every 'a guest' vmid:vmid kind:name name:text on:name? status:name? template:flag; do
    guest_kind[$vmid]=$kind guest_name[$vmid]=$name guest_node[$vmid]=$on
    guest_status[$vmid]=$status guest_is_template[$vmid]=$template
  done <<<"$text"
}

# guest_numbers: those of all guests, in order, in `numbers`.
numbers=()
guest_numbers() {
  local text vmid
  numbers=()
  text=$(printf '%s\n' "${!guest_kind[@]}" | sort -n) || die 'the numbers of the guests cannot be sorted'
  while take_every 'a guest' vmid:vmid; do
    numbers+=("$vmid")
  done <<<"$text"
}

# tool_of KIND: the program for a kind of guest as the API calls it.
tool_of() {
  case $1 in
    lxc) printf pct ;;
    *) printf qm ;;
  esac
}

# read_state VMID: whether it runs, and what holds it.
state_status='' state_lock=
read_state() {
  local text vmid
  must vmid vmid "$1" 'the number of a guest'
  text=$(api "/nodes/$node/${guest_kind[$vmid]}/$vmid/status/current" | rows 'row(@$d{qw(status lock)})') ||
    die "guest $vmid: Proxmox VE does not tell its state"
  state_status='' state_lock=
  take_every "the state of guest $vmid" state_status:name state_lock:name? <<<"$text" ||
    die "guest $vmid: Proxmox VE does not tell its state"
}

# check_idle VMID: no task of Proxmox VE is at it.
check_idle() {
  local text task
  text=$(api "/nodes/$node/tasks" --source active --vmid "$1" | rows 'row($_->{type}) for @$d') ||
    die "guest $1: Proxmox VE does not tell its tasks"
  if take_every 'a task' task:text <<<"$text"; then
    later "guest $1: a task of Proxmox VE is at it ($task): nothing was done"
  fi
}

# ---------------------------------------------------------------- configurations

# What a guest's configuration says: read_config fills these.
declare -A config=()
config_keys=()
config_raw=()

take_config() {
  local text=$1 key value
  config=() config_keys=() config_raw=()
  while take_every 'an option of a guest' key:key value:line?; do
    case $key in
      digest) ;;
      lxc.*) config_raw+=("$key: $value") ;;
      *)
        if [[ -z ${config[$key]+set} ]]; then
          config_keys+=("$key")
        fi
        config[$key]=$value
        ;;
    esac
  done <<<"$text"
}

# read_config KIND VMID: as it is now; changes that wait for a restart are left out.
read_config() {
  local text
  text=$(api "/nodes/$node/$1/$2/config" --current 1 | rows '
    for my $key (sort keys %$d) {
      if ($key eq "lxc") { row(@$_) for @{$d->{lxc}} } else { row($key, $d->{$key}) }
    }') || die "guest $2: its configuration cannot be read"
  take_config "$text"
}

# config_rows [drives]: reads a guest's file, or the configuration in a backup, from standard input: of its first section one
# row an option, its notes decoded as one line; or with `drives` those whose data a backup of a machine holds. This is the
# one parser of such files.
config_rows() {
  perl -e "$gate_perl"'
    my $drives = ($ARGV[0] // "") eq "drives";
    my ($notes, $text) = ("", "");
    read(STDIN, my $all, 1048577);
    if (length $all > 1048576) { print STDERR "the configuration is too large\n"; exit 1 }
    for my $line (split /\n/, $all) {
      last if $line =~ /^\[/;
      if ($line =~ /^#qmdump#map:([^:]*):/) { $text .= clean($1) . "\n" if $drives }
      elsif ($drives || $line =~ /^#(?:qmdump#|vzdump#)/) { next }
      elsif ($line =~ /^#(.*)/) { my $part = $1; $part =~ s/%([0-9A-Fa-f]{2})/chr(hex($1))/ge; $notes .= "$part " }
      elsif ($line =~ /^([A-Za-z][A-Za-z0-9_.-]*):\s*(.*?)\s*$/) { $text .= "$1\x1f" . clean($2) . "\n" }
    }
    $notes = clean($notes);
    $text .= "description\x1f$notes\n" if $notes =~ /\S/;
    print $text;' "$@"
}

# is_drive KEY: whether the option is a drive or a mount, whatever stands behind it.
is_drive() { [[ $1 =~ ^(scsi|virtio|sata|ide|mp|unused)[0-9]+$|^(efidisk0|tpmstate0|rootfs)$ ]]; }

# is_volume KEY VALUE: whether the value names a volume of a storage that belongs to the guest.
is_volume() {
  is_drive "$1" && [[ $1 != unused* && ,$2, != *,media=cdrom,* ]] && gated volume "${2%%,*}"
}

# option_of VALUE NAME: the value of NAME= in a property string.
option_of() {
  local part parts
  IFS=, read -r -a parts <<<"$1"
  for part in "${parts[@]}"; do
    if [[ $part == "$2="* ]]; then
      printf '%s' "${part#*=}"
      return 0
    fi
  done
}

# size_of VALUE: how large a volume may grow, in $volume_bytes; 0 where that is not said.
volume_bytes=0
size_of() {
  local size
  size=$(option_of "$1" size)
  must size volume_bytes "${size:-0}" "the size of ${1%%,*}"
}

# without VALUE NAME...: a property string without these options.
without() {
  local parts part name text='' skip
  IFS=, read -r -a parts <<<"$1"
  shift
  for part in "${parts[@]}"; do
    skip=
    for name; do
      if [[ $part == "$name="* ]]; then
        skip=1
      fi
    done
    if [[ -z $skip ]]; then
      text+=,$part
    fi
  done
  printf '%s' "${text#,}"
}

# gib_of BYTES: what pct takes for a new volume.
gib_of() { awk -v bytes="$1" 'BEGIN { text = sprintf("%.10f", bytes / 1073741824); sub(/0+$/, "", text); sub(/\.$/, "", text); print text }'; }

# shown_size BYTES, shown_time SECONDS: for people.
shown_size() { awk -v bytes="${1:-0}" 'BEGIN { split("B KiB MiB GiB TiB", unit); for (i = 1; bytes >= 1024 && i < 5; i++) bytes /= 1024; printf(i == 1 ? "%d %s" : "%.1f %s", bytes, unit[i]) }'; }
shown_time() { printf '%(%Y-%m-%d %H:%M:%S %Z)T' "$1"; }

# ---------------------------------------------------------------- storages and backups

# read_stores: the state of every storage on this node: ok, disabled, offline; one that is not there has none.
declare -A store_state=() store_type=() store_content=() store_avail=()
store_names=()
read_stores() {
  local text name type content enabled active avail
  store_state=() store_type=() store_content=() store_avail=() store_names=()
  text=$(api "/nodes/$node/storage" | rows 'row(@$_{qw(storage type content enabled active avail)}) for sort { $a->{storage} cmp $b->{storage} } @$d') ||
    die 'Proxmox VE does not tell its storages'
  while take 'a storage' name:store type:name content:text? enabled:flag? active:flag avail:bytes?; do
    store_names+=("$name")
    store_type[$name]=$type store_content[$name]=$content store_avail[$name]=${avail:-0}
    if [[ $enabled == 0 ]]; then
      store_state[$name]=disabled
    elif [[ $active != 1 ]]; then
      store_state[$name]=offline
    else
      store_state[$name]=ok
    fi
  done <<<"$text"
}

# Backups, the newest first; of one second, in the order of the storages that were asked.
backup_volid=() backup_time=() backup_size=() backup_store=() backup_note=() backup_about=()
# Storages whose backups were not told, or not all of them. Of those that are known then, none is the newest, none the only
# one, none of no use.
unlisted=()
# find_backups KIND VMID STORAGE...: asks those that are there. A backup that is still being written is none.
find_backups() {
  local kind=$1 vmid=$2 one store text all='' rank=100 volid seconds bytes note about refused
  backup_volid=() backup_time=() backup_size=() backup_store=() backup_note=() backup_about=() unlisted=()
  shift 2
  for one; do
    must store store "$one" 'a storage'
    rank=$((rank + 1))
    if [[ ${store_state[$store]:-absent} != ok ]]; then
      continue
    fi
    if ! text=$(api "/nodes/$node/storage/$store/content" --content backup --vmid "$vmid" | rows '
      my ($wanted, $vmid, $store, $rank) = @ARGV;
      for (@$d) {
        my $format = $_->{format} // "";
        my $kind = $_->{subtype} // ($format =~ /^(?:pbs-ct|tar|tgz)/ ? "lxc" : "qemu");
        next if $kind ne $wanted || ($_->{vmid} // $vmid) ne $vmid;
        next if $format =~ /^pbs-/ && ($_->{size} // 0) =~ /^[01]?\z/;
        my @about;
        push @about, "protected" if $_->{protected};
        push @about, "encrypted" if $_->{encrypted};
        push @about, "verification " . $_->{verification}{state} if $_->{verification} && $_->{verification}{state};
        row($_->{ctime} // 0, $rank, $_->{volid}, $_->{size} // 0, $store, join(", ", @about), $_->{notes});
      }' "$kind" "$vmid" "$store" "$rank"); then
      failed "storage $store: its backups cannot be listed" storage "$store"
      unlisted+=("storage $store")
      continue
    fi
    if [[ -n $text ]]; then
      all+=$text$'\n'
    fi
  done
  if [[ -z $all ]]; then
    return 0
  fi
  all=$(printf '%s' "$all" | sort -t $'\x1f' -k 1,1nr -k 2,2n -k 3,3r) || die 'the backups cannot be sorted'
  refused=$rows_refused
  while take "a backup of $vmid" seconds:seconds rank:number volid:volume bytes:bytes store:store about:text? note:text?; do
    backup_volid+=("$volid") backup_time+=("$seconds") backup_size+=("$bytes") backup_store+=("$store")
    backup_about+=("$about") backup_note+=("$note")
  done <<<"$all"
  if [[ $rows_refused != "$refused" ]]; then
    unlisted+=('a backup was passed over')
  fi
}

# newest_backup: the place in the list of the newest that no check of its store has found broken.
newest_backup() {
  local place
  for ((place = 0; place < ${#backup_volid[@]}; place++)); do
    if [[ ${backup_about[place]} != *'verification failed'* ]]; then
      printf '%s' "$place"
      return 0
    fi
  done
  return 1
}

# What a backup says of its guest: read_backup fills `config`, and the drives whose data it holds.
backup_drives=()
# read_backup KIND VOLID: fails where the backup cannot be opened.
read_backup() {
  local text drives key value drive
  backup_drives=()
  # The configuration lies at the front, but a tape of a container is long where it does not.
  if ! hear_for 600 pvesm extractconfig "$2"; then
    warn "$2: $(last_line "$heard_err")"
    return 1
  fi
  text=$(config_rows <<<"$heard") && drives=$(config_rows drives <<<"$heard") || return 1
  take_config "$text"
  if [[ $1 == lxc ]]; then
    for key in "${config_keys[@]}"; do
      value=${config[$key]}
      if is_volume "$key" "$value" && { [[ $key == rootfs || $(option_of "$value" backup) == 1 ]]; }; then
        backup_drives+=("$key")
      fi
    done
  else
    while take_every "a drive of $2" drive:key; do
      if [[ -n ${config[$drive]:-} ]]; then
        backup_drives+=("$drive")
      fi
    done <<<"$drives"
  fi
}

# is_in WORD WORD...: whether the first is one of the others.
is_in() {
  local word wanted=$1
  shift
  for word; do
    if [[ $word == "$wanted" ]]; then
      return 0
    fi
  done
  return 1
}

# verify_archive VOLID: reads the whole archive where it is a file; a backup server checks its own.
verify_archive() {
  local path store
  must store store "${1%%:*}" 'the storage of the backup'
  if [[ ${store_type[$store]:-} == pbs ]]; then
    return 0
  fi
  if ! hear pvesm path "$1" || ! gate path path "$heard"; then
    warn "$1: its file is not known${heard_err:+: $(last_line "$heard_err")}"
    return 1
  fi
  case $path in
    *.zst) run zstd --test --quiet -- "$path" ;;
    *.gz | *.tgz) run gzip --test -- "$path" ;;
    *.lzo) run lzop --test --quiet -- "$path" ;;
    *.vma) run vma verify "$path" ;;
    *) run read_tar "$path" ;;
  esac
}
read_tar() { show tar --list --file "$1" >/dev/null; }

# read_privilege VMID: how a copy of the container is made, as arguments of `pct restore`, in `copy_privilege`: with the root of
# the host only where the container that is there has it. What the backup says of that counts for nothing.
copy_privilege=()
read_privilege() {
  local vmid
  must vmid vmid "$1" 'the number of a guest'
  copy_privilege=(--unprivileged 1)
  if [[ ${guest_kind[$vmid]:-} == lxc && ${guest_node[$vmid]:-$node} == "$node" ]]; then
    read_config lxc "$vmid"
    if [[ ${config[unprivileged]:-0} != 1 ]]; then
      copy_privilege=()
    fi
  fi
}

# own_volumes VMID: the volumes of a copy, in `volumes`; in a trial those that would come out of the backup.
own_volumes() {
  local drive key
  if [[ -z $dry_run ]]; then
    volumes_of "$1" || die "the volumes of $1 cannot be listed, so nobody knows which of its disks are its own"
    return 0
  fi
  volumes=()
  for drive in "${backup_drives[@]}"; do
    must key key "$drive" 'a drive'
    volumes+=("${config[$key]%%,*}")
  done
}

# copy_changes KIND VMID [KEY...]: what a copy must not keep of `config`, as arguments of `qm set` or `pct set`, in
# `changes_of_copy`: it starts by nothing and nobody but a person, takes no device, no folder and no volume of the host or of
# another guest, and its network is unplugged. Each KEY goes, too. Proxmox VE takes over a drive that the archive does not
# hold as the backup names it: a disk of the host, a volume of another guest.
changes_of_copy=()
copy_changes() {
  local kind=$1 vmid=$2 key value harmless deleted=()
  shift 2
  changes_of_copy=()
  own_volumes "$vmid"
  for key in "${config_keys[@]}"; do
    value=${config[$key]}
    if is_in "$key" "$@"; then
      deleted+=("$key")
      continue
    fi
    # An image may lie on a storage that is away.
    if is_drive "$key" && [[ ,$value, == *,media=cdrom,* ]]; then
      if [[ $value != none,* ]]; then
        changes_of_copy+=("--$key" "none,media=cdrom")
      fi
      continue
    fi
    if is_drive "$key" && [[ $key != rootfs ]] && ! is_in "${value%%,*}" "${volumes[@]}"; then
      deleted+=("$key")
      continue
    fi
    case $key in
      hookscript | args | startup | cicustom | ivshmem | rng0 | hostpci[0-9]* | usb[0-9]* | virtiofs[0-9]* | parallel[0-9]* | dev[0-9]*) deleted+=("$key") ;;
      serial[0-9]*)
        if [[ $value != socket ]]; then
          deleted+=("$key")
        fi
        ;;
      features)
        harmless=$(without "$value" mount mknod force_rw_sys)
        if [[ -z $harmless ]]; then
          deleted+=("$key")
        elif [[ $harmless != "$value" ]]; then
          changes_of_copy+=(--features "$harmless")
        fi
        ;;
      onboot | protection)
        if [[ $value != 0 ]]; then
          changes_of_copy+=("--$key" 0)
        fi
        ;;
      net[0-9]*)
        if [[ ,$value, != *,link_down=1,* ]]; then
          changes_of_copy+=("--$key" "$(without "$value" link_down),link_down=1")
        fi
        ;;
      # A screen on a card that the copy does not get is none, and one that is drawn by the host's card is a device of it.
      vga)
        if [[ $kind == qemu && ( $value == none* || $value == *virtio-gl* ) ]]; then
          changes_of_copy+=(--vga std)
        fi
        ;;
    esac
  done
  if ((${#deleted[@]})); then
    changes_of_copy+=(--delete "$(IFS=,; printf '%s' "${deleted[*]}")")
  fi
}

# check_harmless KIND VMID: the copy as Proxmox VE has it now takes nothing of the host and of other guests; else the run ends.
check_harmless() {
  local kind=$1 vmid=$2 key value
  read_config "$kind" "$vmid"
  own_volumes "$vmid"
  for key in "${config_keys[@]}"; do
    value=${config[$key]}
    case $key in
      hookscript | args | cicustom | ivshmem | rng0 | hostpci[0-9]* | usb[0-9]* | virtiofs[0-9]* | parallel[0-9]* | dev[0-9]*) die "the copy still has $key: it is not started" ;;
      serial[0-9]*) [[ $value == socket ]] || die "the copy still has the device of $key: it is not started" ;;
      net[0-9]*) [[ ,$value, == *,link_down=1,* ]] || die "the copy is still on the network ($key): it is not started" ;;
    esac
    if is_drive "$key" && [[ $value != none,media=cdrom ]] && ! is_in "${value%%,*}" "${volumes[@]}"; then
      die "$key of the copy is no volume of its own: it is not started"
    fi
  done
  for value in "${config_raw[@]}"; do
    [[ $value == lxc.idmap:* ]] || die "the copy still has ${value%%:*}: it is not started"
    # From the root of the host no user of a copy is made.
    [[ $value =~ ^lxc\.idmap:\ *[ug]\ +[0-9]+\ +[1-9][0-9]*\ +[0-9]+$ ]] || die "the copy would be the root of the host ($value): it is not started"
  done
  if [[ $kind == lxc && ${config[unprivileged]:-0} != 1 ]] && ((${#copy_privilege[@]})); then
    die 'the copy is privileged, and the guest that is there is not: it is not started'
  fi
}

# drop_raw_lines VMID: `lxc.` lines, which give a container devices and folders of the host, and which pct cannot take
# away. Those that say whose files are whose stay.
drop_raw_lines() {
  local file=$pve_dir/lxc/$1.conf text new
  text=$(awk '/^\[/ { rest = 1 } rest || !/^lxc\./ || /^lxc\.idmap:/' "$file") || return 1
  # In the folder itself, which is not anybody's: a file of Proxmox VE is replaced whole.
  new=$(mktemp -- "$file.tmp.XXXXXXXX") || return 1
  if ! printf '%s\n' "$text" >"$new" || ! mv -f -- "$new" "$file"; then
    rm -f -- "$new"
    return 1
  fi
}

# volumes_of VMID: every volume of a number, wherever it lies, in `volumes`; fails where not all are known.
volumes=()
volumes_of() {
  local store text volume
  volumes=()
  for store in "${store_names[@]}"; do
    if [[ ${store_state[$store]} != ok || ${store_type[$store]} == pbs ]]; then
      continue
    fi
    text=$(api "/nodes/$node/storage/$store/content" --vmid "$1" |
      rows 'row($_->{volid}) for grep { ($_->{content} // "") =~ /^(?:images|rootdir)$/ } @$d') || return 1
    while take_every "a volume of $1" volume:volume; do
      volumes+=("$volume")
    done <<<"$text"
  done
}

# stop_guest VMID NAME: by its own shutdown, after a yes.
stop_guest() {
  local vmid tool
  must vmid vmid "$1" 'the number of a guest'
  tool=$(tool_of "${guest_kind[$vmid]}")
  read_state "$vmid"
  if [[ $state_status == stopped ]]; then
    return 0
  fi
  ask "$2 ($vmid) is $state_status. Shut it down?"
  run "$tool" shutdown "$vmid" --timeout "$stop_timeout" || true
  if [[ -n $dry_run ]]; then
    return 0
  fi
  read_state "$vmid"
  if [[ $state_status != stopped ]]; then
    refuse "$2 ($vmid) has not shut down in $stop_timeout seconds: stop it by '$tool stop $vmid', and run this again"
  fi
}
stop_timeout=180
