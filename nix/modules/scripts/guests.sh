# ---------------------------------------------------------------- guests, storages, backups
#
# What Proxmox VE says of them: JSON by pvesh, never columns.

node=$(uname -n)
node=${node%%.*}
# Other places are for trials.
pve_dir=${MOXC_PVE_DIR:-/etc/pve}
state_dir=${MOXC_STATE_DIR:-/var/lib/moxc}

# api PATH [OPTION VALUE]...: what Proxmox VE answers, as JSON.
api() { pvesh get "$@" --output-format json; }

# read_guests: every guest of the cluster.
declare -A guest_kind=() guest_name=() guest_node=() guest_status=() guest_is_template=()
read_guests() {
  local text vmid kind name on status template
  guest_kind=() guest_name=() guest_node=() guest_status=() guest_is_template=()
  text=$(api /cluster/resources --type vm |
    rows 'row(@$_{qw(vmid type name node status template)}) for sort { $a->{vmid} <=> $b->{vmid} } @$d') ||
    die 'Proxmox VE does not tell its guests: are pve-cluster and pvedaemon running?'
  while IFS=$'\x1f' read -r vmid kind name on status template; do
    if [[ -n $vmid ]]; then
      guest_kind[$vmid]=$kind guest_name[$vmid]=$name guest_node[$vmid]=$on
      guest_status[$vmid]=$status guest_is_template[$vmid]=$template
    fi
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
  local text
  text=$(api "/nodes/$node/${guest_kind[$1]}/$1/status/current" | rows 'row(@$d{qw(status lock)})') ||
    die "guest $1: Proxmox VE does not tell its state"
  IFS=$'\x1f' read -r state_status state_lock <<<"$text"
}

# check_idle VMID: no task of Proxmox VE is at it.
check_idle() {
  local text
  text=$(api "/nodes/$node/tasks" --source active --vmid "$1" | rows 'row(@$_{qw(type upid)}) for @$d') ||
    die "guest $1: Proxmox VE does not tell its tasks"
  if [[ -n $text ]]; then
    later "guest $1: a task of Proxmox VE is at it (${text%%$'\x1f'*}): nothing was done"
  fi
}

# What a guest's configuration says: read_config fills these.
declare -A config=()
config_keys=()
config_raw=()

take_config() {
  local text=$1 key value
  config=() config_keys=() config_raw=()
  while IFS=$'\x1f' read -r key value; do
    case $key in
      '' | digest) ;;
      lxc.*) config_raw+=("$key: $value") ;;
      *)
        config[$key]=$value
        config_keys+=("$key")
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

# config_text FILE: the first section of a guest's file, one `key, value` a line; its notes decoded as one line.
config_text() {
  perl -e '
    my $notes = "";
    while (my $line = <STDIN>) {
      chomp $line;
      last if $line =~ /^\[/;
      if ($line =~ /^#(?:qmdump#|vzdump#)/) { next }
      elsif ($line =~ /^#(.*)/) { my $text = $1; $text =~ s/%([0-9A-Fa-f]{2})/chr(hex($1))/ge; $notes .= "$text " }
      elsif ($line =~ /^([A-Za-z][A-Za-z0-9_.-]*):\s*(.*?)\s*$/) { print "$1\x1f$2\n" }
    }
    $notes =~ s/[\x00-\x1f]/ /g;
    print "description\x1f$notes\n" if $notes =~ /\S/;' <"$1"
}

# is_volume KEY VALUE: whether the value names a volume of a storage that belongs to the guest.
is_volume() {
  [[ $1 =~ ^(scsi|virtio|sata|ide|mp)[0-9]+$|^(efidisk0|tpmstate0|rootfs)$ &&
    $2 =~ ^[A-Za-z][A-Za-z0-9._-]*: && ,$2, != *,media=cdrom,* ]]
}

# option_of VALUE NAME: the value of NAME= in a property string.
option_of() {
  local part
  local IFS=,
  for part in $1; do
    if [[ $part == "$2="* ]]; then
      printf '%s' "${part#*=}"
      return 0
    fi
  done
}

# without VALUE NAME...: a property string without these options.
without() {
  local value=$1 part name text='' skip
  shift
  local IFS=,
  for part in $value; do
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

# bytes_of SIZE: 1536M, 32G
bytes_of() {
  case $1 in
    *K) printf '%s' $((${1%K} << 10)) ;;
    *M) printf '%s' $((${1%M} << 20)) ;;
    *G) printf '%s' $((${1%G} << 30)) ;;
    *T) printf '%s' $((${1%T} << 40)) ;;
    '' | *[!0-9]*) printf 0 ;;
    *) printf '%s' "$1" ;;
  esac
}

# gib_of SIZE: what pct takes for a new volume.
gib_of() { awk -v bytes="$(bytes_of "$1")" 'BEGIN { text = sprintf("%.10f", bytes / 1073741824); sub(/0+$/, "", text); sub(/\.$/, "", text); print text }'; }

# shown_size BYTES, shown_time SECONDS: for people.
shown_size() { awk -v bytes="${1:-0}" 'BEGIN { split("B KiB MiB GiB TiB", unit); for (i = 1; bytes >= 1024 && i < 5; i++) bytes /= 1024; printf(i == 1 ? "%d %s" : "%.1f %s", bytes, unit[i]) }'; }
shown_time() { date -d "@$1" '+%Y-%m-%d %H:%M:%S %Z'; }

# read_stores: the state of every storage on this node: ok, disabled, offline; one that is not there has none.
declare -A store_state=() store_type=() store_content=() store_avail=()
read_stores() {
  local text name type content enabled active avail
  store_state=() store_type=() store_content=() store_avail=()
  text=$(api "/nodes/$node/storage" | rows 'row(@$_{qw(storage type content enabled active avail)}) for @$d') ||
    die 'Proxmox VE does not tell its storages'
  while IFS=$'\x1f' read -r name type content enabled active avail; do
    if [[ -z $name ]]; then
      continue
    fi
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
# find_backups KIND VMID STORAGE...: asks those that are there. A backup that is still being written is none.
find_backups() {
  local kind=$1 vmid=$2 store text all='' rank=100 volid time size note about
  backup_volid=() backup_time=() backup_size=() backup_store=() backup_note=() backup_about=()
  shift 2
  for store; do
    rank=$((rank + 1))
    if [[ ${store_state[$store]:-absent} != ok ]]; then
      continue
    fi
    if ! text=$(api "/nodes/$node/storage/$store/content" --content backup --vmid "$vmid" | rows '
      for (@$d) {
        my $format = $_->{format} // "";
        my $kind = $_->{subtype} // ($format =~ /^(?:pbs-ct|tar|tgz)/ ? "lxc" : "qemu");
        next if $kind ne "'"$kind"'" || ($_->{vmid} // '"$vmid"') != '"$vmid"';
        next if $format =~ /^pbs-/ && ($_->{size} // 0) <= 1;
        my @about;
        push @about, "protected" if $_->{protected};
        push @about, "encrypted" if $_->{encrypted};
        push @about, "verification " . $_->{verification}{state} if $_->{verification} && $_->{verification}{state};
        row($_->{ctime} // 0, '"$rank"', $_->{volid}, $_->{size} // 0, "'"$store"'", join(", ", @about), $_->{notes});
      }'); then
      failed "storage $store: its backups cannot be listed" storage "$store"
      continue
    fi
    if [[ -n $text ]]; then
      all+=$text$'\n'
    fi
  done
  if [[ -z $all ]]; then
    return 0
  fi
  while IFS=$'\x1f' read -r time rank volid size store about note; do
    backup_volid+=("$volid") backup_time+=("$time") backup_size+=("$size") backup_store+=("$store")
    backup_about+=("$about") backup_note+=("$note")
  done < <(printf '%s' "$all" | sort -t $'\x1f' -k 1,1nr -k 2,2n -k 3,3r)
}

# newest_backup: the place in the list of the newest that no check of its store has found broken.
newest_backup() {
  local at
  for at in "${!backup_volid[@]}"; do
    if [[ ${backup_about[at]} != *'verification failed'* ]]; then
      printf '%s' "$at"
      return 0
    fi
  done
  return 1
}

# What a backup says of its guest: read_backup fills `config`, and the drives whose data it holds.
backup_drives=()
# read_backup KIND VOLID: fails where the backup cannot be opened.
read_backup() {
  local raw key value drive
  backup_drives=()
  raw=$(pvesm extractconfig "$2") || return 1
  take_config "$(config_text /dev/stdin <<<"$raw")"
  if [[ $1 == lxc ]]; then
    for key in "${config_keys[@]}"; do
      value=${config[$key]}
      if is_volume "$key" "$value" && { [[ $key == rootfs || $(option_of "$value" backup) == 1 ]]; }; then
        backup_drives+=("$key")
      fi
    done
  else
    while IFS=: read -r _ drive _; do
      backup_drives+=("$drive")
    done < <(grep '^#qmdump#map:' <<<"$raw" || true)
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
  local path
  if [[ ${store_type[${1%%:*}]:-} == pbs ]]; then
    return 0
  fi
  path=$(pvesm path "$1") || return 1
  case $path in
    *.zst) run zstd --test --quiet -- "$path" ;;
    *.gz | *.tgz) run gzip --test -- "$path" ;;
    *.lzo) run lzop --test --quiet -- "$path" ;;
    *.vma) run vma verify "$path" ;;
    *) run read_tar "$path" ;;
  esac
}
read_tar() { tar --list --file "$1" >/dev/null; }

# copy_changes KIND [KEY...]: what a copy must not keep of `config`, as arguments of `qm set` or `pct set`, in `changes_of_copy`:
# it starts by nothing and nobody but a person, takes no device and no folder of the host, and its network is unplugged. Each
# KEY goes, too.
changes_of_copy=()
copy_changes() {
  local kind=$1 key value deleted=()
  shift
  changes_of_copy=()
  for key in "${config_keys[@]}"; do
    value=${config[$key]}
    if is_in "$key" "$@"; then
      deleted+=("$key")
      continue
    fi
    # An image may lie on a storage that is away.
    if [[ ,$value, == *,media=cdrom,* && $value != none,* ]]; then
      changes_of_copy+=("--$key" "none,media=cdrom")
      continue
    fi
    case $key in
      hookscript | args | startup | hostpci[0-9]* | usb[0-9]* | virtiofs[0-9]* | parallel[0-9]* | dev[0-9]*) deleted+=("$key") ;;
      serial[0-9]*)
        if [[ $value != socket ]]; then
          deleted+=("$key")
        fi
        ;;
      mp[0-9]*)
        if ! is_volume "$key" "$value"; then
          deleted+=("$key")
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
      # A screen on a card that the copy does not get is none.
      vga)
        if [[ $kind == qemu && $value == none* ]]; then
          changes_of_copy+=(--vga std)
        fi
        ;;
    esac
  done
  if ((${#deleted[@]})); then
    changes_of_copy+=(--delete "$(IFS=,; printf '%s' "${deleted[*]}")")
  fi
}

# drop_raw_lines VMID: `lxc.` lines, which give a container devices and folders of the host, and which pct cannot take
# away. Those that say whose files are whose stay.
drop_raw_lines() {
  local file=$pve_dir/lxc/$1.conf text
  text=$(awk '/^\[/ { rest = 1 } rest || !/^lxc\./ || /^lxc\.idmap:/' "$file")
  printf '%s\n' "$text" >"$file.tmp.$$"
  mv -f "$file.tmp.$$" "$file"
}

# volumes_of VMID: every volume of a number, wherever it lies.
volumes_of() {
  local store
  for store in "${!store_state[@]}"; do
    if [[ ${store_state[$store]} == ok && ${store_type[$store]} != pbs ]]; then
      api "/nodes/$node/storage/$store/content" --vmid "$1" |
        rows 'row($_->{volid}) for grep { ($_->{content} // "") =~ /^(?:images|rootdir)$/ } @$d' || return 1
    fi
  done
}

# stop_guest VMID NAME: by its own shutdown, after a yes.
stop_guest() {
  local vmid=$1 tool
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
