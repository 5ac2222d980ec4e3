# ---------------------------------------------------------------- files of the system

# A change that wants something done afterwards is noted on disk before the file is replaced, so that a run that is cut off
# does not forget it.
declare -A noted=()
is_pending() { [[ -n ${noted[$1]:-} || -e $state/pending-$1 ]]; }
pending() {
  noted[$1]=1
  if [[ -z $dry_run ]]; then
    mkdir -p "$state"
    : >"$state/pending-$1"
  fi
}
settled() {
  unset "noted[$1]"
  if [[ -z $dry_run ]]; then
    rm -f "$state/pending-$1"
  fi
}

# note_change PATH: what a change of the file asks for.
note_change() {
  case $1 in
    /etc/network/interfaces) pending network ;;
    /etc/modprobe.d/* | /etc/modules-load.d/* | /etc/initramfs-tools/* | /etc/udev/rules.d/*) pending boot ;;
    /etc/systemd/network/*.link | /etc/kernel/cmdline | /etc/default/grub.d/*) pending boot ;;
    /etc/systemd/system/*) pending units ;;
    /etc/sysctl.d/*) pending sysctl ;;
  esac
}

# keep_old PATH: a copy of what is replaced.
keep_old() {
  mkdir -p "$backup$(dirname "$1")"
  cp -p --no-preserve=ownership "$root$1" "$backup$1" 2>/dev/null || cp "$root$1" "$backup$1"
}

# replace_file SOURCE PATH MODE: in one go, so that nobody reads half a file.
replace_file() {
  local target=$root$2
  mkdir -p "$(dirname "$target")"
  if [[ -e $target ]]; then
    keep_old "$2"
  fi
  cp "$1" "$target.moxc-new"
  chmod "$3" "$target.moxc-new"
  mv -f "$target.moxc-new" "$target"
}

# install_file SOURCE PATH MODE: where the host has another file there, or none.
install_file() {
  local target=$root$2
  if [[ -L $target ]]; then
    die "$target is a symbolic link: something else looks after it"
  fi
  if [[ -f $target ]] && cmp -s "$1" "$target"; then
    if [[ $(stat -c %a "$target") != "$3" ]]; then
      run chmod "$3" "$target"
    fi
  else
    note_change "$2"
    if [[ -n $dry_run && -e $target ]]; then
      diff -u --label "$2 (now)" --label "$2 (then)" "$target" "$1" || true
    fi
    run replace_file "$1" "$2" "$3"
  fi
}

# tree_files: the paths of the system's files in the tree, /etc/pve aside.
tree_files() {
  local folder
  for folder in etc usr var; do
    if [[ -d $tree/$folder ]]; then
      (cd "$tree" && find "$folder" -path etc/pve -prune -o -type f ! -name '.*' ! -name '*~' -printf '/%p\n')
    fi
  done | sort
}

install_tree() {
  local path
  while IFS= read -r path; do
    case $path in
      # The network comes last.
      /etc/network/* | /etc/resolv.conf) continue ;;
      /etc/kernel/cmdline) check_root_of_cmdline ;;
    esac
    install_file "$tree$path" "$path" "$(stat -c %a "$tree$path" | sed 's/^6[0-7]4$/644/; s/^7[0-7]5$/755/')"
    remember "$path"
  done < <(tree_files)
}

# A host that is told the wrong root does not start.
check_root_of_cmdline() {
  local here wanted
  if [[ -e $root/etc/kernel/cmdline ]]; then
    here=$(tr ' ' '\n' <"$root/etc/kernel/cmdline" | grep '^root=' || true)
    wanted=$(tr ' ' '\n' <"$tree/etc/kernel/cmdline" | grep '^root=' || true)
    if [[ $here != "$wanted" ]]; then
      die "this host starts from ${here#root=}, and the tree says ${wanted#root=}: /etc/kernel/cmdline is left alone"
    fi
  fi
}

# What was installed, so that a file that is no longer in the tree can go with it.
remember() {
  if [[ -z $dry_run ]]; then
    mkdir -p "$state"
    if [[ -e $state/installed ]]; then
      # By the environment: awk would read \x2d in an argument.
      path=$1 awk 'substr($0, 67) != ENVIRON["path"]' "$state/installed" >"$state/installed.new"
    else
      : >"$state/installed.new"
    fi
    printf '%s  %s\n' "$(sha256sum <"$tree$1" | cut -c 1-64)" "$1" >>"$state/installed.new"
    sort -k 2 -o "$state/installed.new" "$state/installed.new"
    mv -f "$state/installed.new" "$state/installed"
  fi
}

forget() {
  path=$1 awk 'substr($0, 67) != ENVIRON["path"]' "$state/installed" >"$state/installed.new"
  mv -f "$state/installed.new" "$state/installed"
}

# remove_stale_files: what an earlier tree brought and this one does not, where nobody has changed it since.
remove_stale_files() {
  local sum path now
  if [[ ! -e $state/installed ]]; then
    return 0
  fi
  now=$(tree_files)
  while read -r sum path; do
    if grep -Fxq -e "$path" <<<"$now"; then
      continue
    fi
    if [[ ! -e $root$path ]]; then
      :
    elif [[ $(sha256sum <"$root$path" | cut -c 1-64) != "$sum" ]]; then
      warn "$root$path is no longer in the tree, but somebody has changed it: left alone"
      continue
    else
      note_change "$path"
      if [[ -n $live ]]; then
        retire_unit "$path"
      fi
      run remove_file "$path"
    fi
    if [[ -z $dry_run ]]; then
      forget "$path"
    fi
  done < <(cat "$state/installed")
}

# retire_unit PATH: a unit that goes no longer starts, and no longer runs. A template is none itself, and a job that is at it
# is not cut off.
retire_unit() {
  local unit=${1##*/}
  case $1 in
    *@.*) ;;
    /etc/systemd/system/*/*) ;;
    /etc/systemd/system/*.service)
      if grep -q '^Type=oneshot' "$root$1"; then
        run systemctl disable -- "$unit"
      else
        run systemctl disable --now -- "$unit"
      fi
      ;;
    /etc/systemd/system/*) run systemctl disable --now -- "$unit" ;;
  esac
}

remove_file() {
  keep_old "$1"
  rm -f "$root$1"
}

# hosts_line ADDRESS FQDN NAME: pve-cluster wants the node's name to stand for its address. The rest of the file is the
# user's.
hosts_line() {
  local file=$root/etc/hosts new
  new=$(
    if [[ -e $file ]]; then
      awk -v fqdn="$2" -v name="$3" -v line="$1 $2 $3" '
        { text = $0; sub(/#.*/, "", text); count = split(text, word, /[ \t]+/); mine = 0
          for (i = 2; i <= count; i++) if (word[i] == fqdn || word[i] == name) mine = 1 }
        mine && !written { print line; written = 1; next }
        mine { next }
        { print }
        END { if (!written) print line }' "$file"
    else
      printf '%s\n' '127.0.0.1 localhost.localdomain localhost' "$1 $2 $3"
    fi
  )
  if [[ ! -e $file || $new != "$(cat "$file")" ]]; then
    run write_hosts "$new"
  fi
}

write_hosts() {
  mkdir -p "$state"
  printf '%s\n' "$1" >"$state/hosts"
  replace_file "$state/hosts" /etc/hosts 644
  rm -f "$state/hosts"
}

# ---------------------------------------------------------------- units

# enable_units: every unit of the tree that says by whom it is wanted. A template waits for its instance.
enable_units() {
  local unit name
  for unit in "$tree"/etc/systemd/system/*; do
    name=${unit##*/}
    if [[ ! -f $unit || $name == *@.* || $name == *~ ]] || ! grep -q '^\[Install\]' "$unit"; then
      continue
    fi
    if ! systemctl is-enabled --quiet -- "$name" 2>/dev/null; then
      run systemctl enable -- "$name"
    fi
    case $name in
      *.target | *.timer | *.path | *.socket) start_unit "$name" ;;
      *.mount)
        # Without its disk, a mount only waits for it.
        if [[ -e $(sed -n 's/^What=//p' "$unit" | sed 's/%%/%/g') ]]; then
          start_unit "$name"
        fi
        ;;
    esac
  done
}

start_unit() {
  if ! systemctl is-active --quiet -- "$1"; then
    run systemctl start -- "$1"
  fi
}

# ---------------------------------------------------------------- files of Proxmox VE

# /etc/pve is Proxmox VE's own file system: it sets owners and modes itself and refuses to be told.
write_pve_file() {
  local target=$pve/$2
  mkdir -p "$(dirname "$target")"
  if [[ -e $target ]]; then
    keep_old "/etc/pve/$2"
  fi
  cat "$1" >"$target.tmp.$$"
  mv -f "$target.tmp.$$" "$target"
}

install_pve_file() {
  if [[ ! -e $pve/$1 ]] || ! cmp -s "$tree/etc/pve/$1" "$pve/$1"; then
    run write_pve_file "$tree/etc/pve/$1" "$1"
  fi
}

# merge_sections FILE keep|drop: puts the tree's sections into a file of sections. Those that the tree does not have stay;
# with `drop`, one that an earlier run put there goes. Lines are compared as a set, lists of words too: Proxmox VE writes
# them in an order of its own.
merge_sections() {
  local file=$1 dropping=$2 own=$tree/etc/pve/$1 here=$pve/$1 known=$state/sections/$1 merged
  if [[ ! -e $own && ! -e $known ]]; then
    return 0
  fi
  merged=$(mktemp)
  if [[ $file = mapping/pci.cfg && -e $own ]]; then
    complete_mappings "$own" >"$merged.own"
    own=$merged.own
  fi
  awk -v dropping="$dropping" '
    function id(header) { sub(/^[^:]*:[ \t]*/, "", header); sub(/[ \t]+$/, "", header); return header }
    function sorted(list, separator,   part, count, i, j, swap, text) {
      count = split(list, part, separator)
      for (i = 2; i <= count; i++) for (j = i; j > 1 && part[j] < part[j - 1]; j--) {
        swap = part[j]; part[j] = part[j - 1]; part[j - 1] = swap
      }
      for (i = 1; i <= count; i++) text = text part[i] separator
      return text
    }
    function canonical(block,   line, count, i, text) {
      count = split(block, line, "\n")
      text = line[1]; sub(/[ \t]+/, " ", text)
      block = ""
      for (i = 2; i <= count; i++) {
        sub(/^[ \t]+/, "", line[i]); sub(/[ \t]+$/, "", line[i])
        if (line[i] ~ /^(content|nodes|map)[ \t]/) line[i] = sorted(line[i], line[i] ~ /^map/ ? "," : "[, ]")
        if (line[i] != "") block = block line[i] "\n"
      }
      return text "\n" sorted(block, "\n")
    }
    function finish() {
      if (block == "") return
      if (source == "own") { own[key] = block; own_order[++own_count] = key }
      else if (source == "known") known[key] = 1
      else { here[key] = block; here_order[++here_count] = key }
      block = ""
    }
    FNR == 1 { finish(); source = ARGV_name[++files] }
    BEGIN { ARGV_name[1] = "own"; ARGV_name[2] = "known"; ARGV_name[3] = "here" }
    /^[ \t]*$/ { finish(); next }
    /^#/ { next }
    /^[^ \t]/ { finish(); key = id($0); block = $0; next }
    block != "" { block = block "\n" $0 }
    END {
      finish()
      for (i = 1; i <= here_count; i++) {
        key = here_order[i]
        if (key in own) { print (canonical(own[key]) == canonical(here[key]) ? here[key] : own[key]) "\n"; done[key] = 1 }
        else if (!(dropping == "drop" && key in known)) print here[key] "\n"
      }
      for (i = 1; i <= own_count; i++) if (!(own_order[i] in done)) print own[own_order[i]] "\n"
    }' <(sections "$own") <(sections "$known") <(sections "$here") >"$merged"
  if [[ ! -e $here && -s $merged ]] || { [[ -e $here ]] && ! cmp -s <(sections "$here" | grep -v '^#') <(sections "$merged"); }; then
    if [[ -n $dry_run && -e $here ]]; then
      diff -u --label "/etc/pve/$file (now)" --label "/etc/pve/$file (then)" "$here" "$merged" || true
    fi
    run write_pve_file "$merged" "$file"
  fi
  rm -f "$merged"
  if [[ -z $dry_run ]]; then
    mkdir -p "$(dirname "$known")"
    sections "$own" >"$known"
  fi
  rm -f "$merged.own"
}

# complete_mappings FILE: mappings of PCI devices, with what the spec does not say of a device taken from the device.
# Proxmox VE refuses a mapping without the subsystem and the IOMMU group of its device, and from then on holds it to them.
complete_mappings() {
  local line path device
  while IFS= read -r line; do
    if [[ $line =~ ^[[:blank:]]+map[[:blank:]].*path=([0-9a-f:.]+) ]]; then
      path=${BASH_REMATCH[1]}
      if [[ $path != *.? ]]; then
        path=$path.0
      fi
      device=$root/sys/bus/pci/devices/$path
      if [[ $line != *iommugroup=* && -e $device/iommu_group ]]; then
        line+=,iommugroup=$(basename "$(readlink "$device/iommu_group")")
      fi
      if [[ $line != *subsystem-id=* && -r $device/subsystem_vendor && -r $device/subsystem_device ]]; then
        line+=,subsystem-id=$(sed 's/^0x//' "$device/subsystem_vendor"):$(sed 's/^0x//' "$device/subsystem_device")
      fi
    fi
    printf '%s\n' "$line"
  done <"$1"
}

# sections FILE: the file, or one that says nothing; never without a line, so that awk sees that it has begun.
sections() {
  if [[ -s $1 ]]; then
    cat "$1"
  else
    printf '\n'
  fi
}

# ---------------------------------------------------------------- secrets

# check_secret NAME STORAGE
check_secret() {
  local file=$root/etc/moxc/secrets/$1 mode
  if [[ ! -e $file ]]; then
    if [[ ! -e $pve/priv/storage/$2.pw ]]; then
      die "the password of storage $2 is missing: put it into $file (mode 600)"
    fi
    return 0
  fi
  mode=$(stat -Lc %a "$file")
  if [[ ${mode: -2} != 00 ]]; then
    die "$file can be read by others: chmod 600 $file"
  fi
  if [[ ! -s $file ]]; then
    die "$file is empty"
  fi
}

# place_secret NAME STORAGE PREFIX: where Proxmox VE keeps a storage's password. It is never shown.
place_secret() {
  local from=$root/etc/moxc/secrets/$1 to=$pve/priv/storage/$2.pw
  if [[ -e $from ]] && ! cmp -s <(secret_text "$from" "$3") "$to"; then
    run write_secret "$from" "$to" "$3"
  fi
}

# secret_text FILE PREFIX: its first line.
secret_text() {
  local line=
  IFS= read -r line <"$1" || true
  printf '%s%s\n' "$2" "$line"
}

write_secret() {
  (
    umask 077
    mkdir -p "$(dirname "$2")"
    secret_text "$1" "$3" >"$2.tmp.$$"
    mv -f "$2.tmp.$$" "$2"
  )
}

# ---------------------------------------------------------------- network

install_network() {
  local path
  for path in /etc/resolv.conf /etc/network/interfaces; do
    if [[ -e $tree$path ]]; then
      if [[ $path == /etc/network/interfaces && -n $live ]]; then
        check_interfaces "$tree$path"
      fi
      install_file "$tree$path" "$path" 644
      remember "$path"
    fi
  done
}

# check_interfaces FILE: ifupdown2 reads the file and does nothing by it. It exits 0 whatever it finds, but what it does not
# understand is missing in its list.
check_interfaces() {
  local name known
  known=$(ifquery --list -a -i "$1")
  while read -r name; do
    if ! grep -Fxq -e "$name" <<<"$known"; then
      die "ifupdown2 does not understand the interface $name in $1: nothing was replaced"
    fi
  done < <(awk '$1 == "auto" { print $2 }' "$1")
}

# reload_network GATEWAYS: brings the new file up. Where an address is missing afterwards, or a gateway of GATEWAYS that
# answered before is silent, the old file comes back.
reload_network() {
  local missing='' silent='' gateway old=$backup/etc/network/interfaces
  # A connection that breaks must not take this script with it.
  trap '' HUP
  run ifreload -a
  if [[ -n $dry_run ]]; then
    return 0
  fi
  missing=$(missing_addresses)
  while read -r gateway; do
    if [[ -n $gateway ]] && ! ping -c 1 -w 20 "$gateway" >/dev/null 2>&1; then
      silent+=" $gateway"
    fi
  done <<<"$1"
  if [[ -n $missing || -n $silent ]]; then
    warn "after ifreload: missing addresses: ${missing:-none}; silent gateways:${silent:- none}"
    if [[ -e $old ]]; then
      cp "$old" "$root/etc/network/interfaces"
      ifreload -a || true
      die 'the old /etc/network/interfaces is back'
    fi
    die 'and there was no old /etc/network/interfaces to go back to'
  fi
  settled network
}
