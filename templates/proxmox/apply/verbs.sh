# ---------------------------------------------------------------- what steps are made of

# Each verb looks first, and says what it would do; then, in the second round, looks again, notes how to take it back, and
# does it. What is so already is done.

# A change that wants something done afterwards is noted on disk before the file is replaced, so that a run that is cut off
# does not forget it.
is_pending() { [[ $noted == *" $1 "* || -e $state/pending-$1 ]]; }
pending() {
  noted+="$1 "
  if [[ -z $looking ]]; then
    : >"$state/pending-$1" || fail "cannot write below $state"
  fi
}
settled() {
  noted=${noted/ $1 / }
  rm -f -- "$state/pending-$1"
}

# note_change PATH: what a change of the file asks for.
note_change() {
  case $1 in
    etc/modprobe.d/* | etc/modules-load.d/* | etc/initramfs-tools/* | etc/udev/rules.d/*) pending boot ;;
    etc/systemd/network/*.link | etc/kernel/cmdline | etc/default/grub.d/* | etc/default/grub) pending boot ;;
    etc/systemd/system/*) pending units ;;
    etc/sysctl.d/*) pending sysctl ;;
  esac
}

# keep PATH AFTER: what is there now, before it is replaced by what has the hash AFTER (`-`: by nothing).
keep() {
  local saved=$run/saved/$1 folder missing=()
  if [[ ! -e $run/saved/$1 && ! -e $run/saved/$1.absent ]]; then
    (umask 077 && mkdir -p -- "$(dirname -- "$saved")") || fail "cannot write $run"
    if [[ -e $root/$1 ]]; then
      cp -p -- "$root/$1" "$saved.new" 2>/dev/null || cp -- "$root/$1" "$saved.new" || fail "$step_title: cannot keep a copy of $root/$1: nothing was changed"
      mv -- "$saved.new" "$saved"
    else
      folder=$(dirname -- "$1")
      while [[ $folder != . && ! -d $root/$folder ]]; do
        missing=("$folder" "${missing[@]}")
        folder=$(dirname -- "$folder")
      done
      for folder in "${missing[@]}"; do
        undoable folder "$folder"
      done
      : >"$saved.absent" || fail "cannot write $run"
    fi
  fi
  undoable file "$1" "$2"
}

# place SOURCE PATH MODE: in one go, so that nobody reads half a file. /etc/pve is Proxmox VE's own file system: it sets
# owners and modes itself and refuses to be told.
place() {
  local target=$root/$2 new=$root/$2.moxc-new
  case $2 in
    # Proxmox VE takes any other name in a folder of guests for a guest.
    etc/pve/*) new= ;;
  esac
  mkdir -p -- "$(dirname -- "$target")" 2>"$work/error" || fail "$step_title: $(seen "$work/error")"
  if [[ -z $new ]]; then
    new=$(mktemp -- "$target.tmp.XXXXXXXX" 2>"$work/error") || fail "$step_title: cannot write $target, which is as it was: $(seen "$work/error")"
  fi
  if ! cat -- "$1" 2>"$work/error" >"$new"; then
    rm -f -- "$new"
    fail "$step_title: cannot write $target, which is as it was: $(seen "$work/error")"
  fi
  case $2 in
    etc/pve/*) ;;
    *) chmod -- "$3" "$new" ;;
  esac
  if ! mv -f -- "$new" "$target" 2>"$work/error"; then
    rm -f -- "$new"
    fail "$step_title: cannot write $target, which is as it was: $(seen "$work/error")"
  fi
}

# differences PATH NEW: for people, where there is text on both sides.
differences() {
  if [[ -z $looking || -n $json || -z $dry_run ]]; then
    return 0
  fi
  local old=$root/$1
  if [[ ! -e $old ]]; then
    old=/dev/null
  fi
  diff -u --label "/$1 (now)" --label "/$1 (then)" "$old" "$2" | tr -c '[:print:]\n\t' '?' || true
}

# is_expected BASE...: whether what is at $path, with the hash $now, is expected. `any`; `absent`; `left`: by an earlier
# run; `stranger`: by none; a SHA-1.
is_expected() {
  local base
  for base; do
    case $base in
      any) return 0 ;;
      absent) if [[ -z $now ]]; then return 0; fi ;;
      left)
        known "$left_sums" "$path"
        if [[ -n $now && $is_known == "$now" ]]; then return 0; fi
        ;;
      stranger)
        known "$left_sums" "$path"
        if [[ -z $is_known ]]; then return 0; fi
        ;;
      *) if [[ -n $now && $(sha1_of "$root/$path") == "$base" ]]; then return 0; fi ;;
    esac
  done
  return 1
}

# put PATH MODE BASE...: a file that is all ours.
put() {
  local path=$1 mode=$2 now='' wanted
  shift 2
  wanted_names+=("$path")
  if [[ -n $skipping ]]; then
    return 0
  fi
  if [[ -L $root/$path ]]; then
    problem "$root/$path is a symbolic link: something else looks after it"
    return 0
  fi
  wanted=$(sha256_of "$tree/$path") || fail "$step_title: $path is not in this tree"
  if [[ -e $root/$path ]]; then
    now=$(sha256_of "$root/$path") || fail "$step_title: $root/$path cannot be read"
  fi
  if [[ $now == "$wanted" ]]; then
    if [[ $path != etc/pve/* && $(stat -c %a -- "$root/$path") != "${mode#0}" ]] && intend "the mode of /$path becomes $mode"; then
      keep "$path" "$wanted"
      doing chmod -- "$mode" "$root/$path"
    fi
    put_is_known
    return 0
  fi
  if ! is_expected "$@"; then
    known "$left_sums" "$path"
    if [[ $is_known == "$wanted" ]]; then
      if [[ -n $looking ]]; then
        complain kept "$step_title: /$path was changed by hand and stays as it is"
      fi
    elif [[ -n $now ]]; then
      problem "/$path is not as expected: somebody else made or changed it"
      differences "$path" "$tree/$path"
    else
      problem "/$path is not there, and should be"
    fi
    return 0
  fi
  intend "/$path $([[ -n $now ]] && printf changes || printf 'is new')" || {
    note_change "$path"
    differences "$path" "$tree/$path"
    return 0
  }
  keep "$path" "$wanted"
  note_change "$path"
  place "$tree/$path" "$path" "$mode"
  put_is_known
}

# put_is_known: with its text where it is small, so that a later plan tells whose change a change is.
put_is_known() {
  case $path in
    etc/*) applied "$path" text ;;
    *) applied "$path" ;;
  esac
}

# edit GRAMMAR PATH POLICY ITEMS: single items of a file that others write, too, as a plan found them.
edit() {
  local path=$2
  wanted_names+=("$path")
  if [[ -n $skipping ]]; then
    return 0
  fi
  editor edit "$1" "$root/$path" "items:$tree/$4" "$tree/$path" "$left/$path" "$3" "$root" >"$work/merged" 3>"$work/told" 2>"$work/error" ||
    fail "$step_title: $(seen "$work/error")"
  edited
}

# merge GRAMMAR PATH POLICY: the same where no plan was made: a fresh installation, and the next trees on it.
merge() {
  local grammar=$1 path=$2 policy=$3
  wanted_names+=("$path")
  if [[ -n $skipping ]]; then
    return 0
  fi
  known "$left_sums" "$path"
  if [[ $policy == new && -e $root/$path && -z $is_known ]]; then
    if [[ -n $looking ]]; then
      complain kept "$step_title: /$path is somebody else's and stays as it is"
    fi
    return 0
  fi
  editor "$grammar" "$root/$path" "$tree/$path" "$left/$path" "$policy" "$root" "$tree/.own/$path" >"$work/merged" 3>"$work/told" 2>"$work/error" ||
    fail "$step_title: $(seen "$work/error")"
  edited
}

# edited: the text of `merge` and `edit`, and what was told of it.
edited() {
  local new=$work/merged
  : >>"$work/told"
  tell_notes "$work/told" "$step_title" || return 0
  if ! { [[ -e $root/$path ]] && cmp -s -- "$new" "$root/$path" || [[ ! -e $root/$path && ! -s $new ]]; }; then
    replace "$path" "$new" 644
  fi
  if [[ -e $tree/$path ]]; then
    applied "$path" text
  elif [[ -e $left/$path ]]; then
    forgotten "$path"
  fi
}

# replace PATH NEW MODE
replace() {
  is_as_planned "$1" || return 0
  intend "/$1 changes" || {
    note_change "$1"
    differences "$1" "$2"
    return 0
  }
  keep "$1" "$(sha256_of "$2")"
  note_change "$1"
  place "$2" "$1" "$3"
}

# stays PATH [TEXT]: a file that means what is wanted and stays as it is: noted as what was wanted.
stays() {
  wanted_names+=("$1")
  local text=${2:+$tree/$1}
  if [[ -n $text && -e $tree/.own/$1 ]]; then
    text=$tree/.own/$1
  fi
  if [[ -z $skipping && -e $root/$1 ]]; then
    records+=("$1" "$(sha256_of "$root/$1")" "$text")
  fi
}

# hosts_line LINE OWN: OWN are all addresses of the host, a blank between them.
hosts_line() {
  if [[ -n $skipping ]]; then
    return 0
  fi
  editor hosts "$root/etc/hosts" "$1" "$2" >"$work/merged" 2>"$work/error" || fail "$step_title: /etc/hosts: $(seen "$work/error")"
  if ! cmp -s -- "$work/merged" "$root/etc/hosts"; then
    replace etc/hosts "$work/merged" 644
  fi
}

# planned_for PATH HASH...: this was planned on a host with these files, by SHA-1, as Proxmox VE knows them; `-` is absent,
# `=` was not looked at. One that
# differs by now, and would be changed, is refused: nobody has seen what would become of it.
planned_for() {
  planned=1
  while (($#)); do
    expected_sums+=$1$'\t'$2$'\n'
    shift 2
  done
}

# is_as_planned PATH
is_as_planned() {
  local expected now=-
  known "$expected_sums" "$1"
  expected=${is_known:-=}
  if [[ -z $looking || $expected == = ]]; then
    return 0
  fi
  if [[ -e $root/$1 ]]; then
    now=$(sha1_of "$root/$1")
  fi
  if [[ $now == "$expected" ]]; then
    return 0
  fi
  problem "/$1 is not what it was when this was planned: plan anew"
  return 1
}

# want PATH...: all that is wanted, so that the rest of what earlier runs brought goes.
want() { wanted_names+=("$@"); }

# drop_stale: what an earlier run brought and nobody wants any more, where nobody has changed it since. What
# others write, too, is wanted always, and goes item by item.
drop_stale() {
  local path now before wanted=$'\n' one
  if [[ -n $skipping ]]; then
    return 0
  fi
  for one in "${wanted_names[@]}"; do
    wanted+=$one$'\n'
  done
  while IFS=$'\t' read -r path before; do
    if [[ -z $path || -z $before ]]; then
      continue
    fi
    case $path in
      etc/pve/qemu-server/* | etc/pve/lxc/*)
        if [[ $wanted != *$'\n'"$path"$'\n'* && -n $looking && -e $root/$path ]]; then
          complain kept "the guest ${path##*/} is no longer in the spec, and stays"
        fi
        continue
        ;;
      unit:*)
        if [[ $wanted != *$'\n'"$path"$'\n'* ]]; then
          forgotten "$path"
        fi
        continue
        ;;
      # Proxmox VE would cut its guests off without asking.
      etc/network/interfaces) continue ;;
    esac
    if [[ $wanted == *$'\n'"$path"$'\n'* ]]; then
      continue
    fi
    if [[ ! -e $root/$path ]]; then
      forgotten "$path"
      continue
    fi
    now=$(sha256_of "$root/$path")
    if [[ $now != "$before" ]]; then
      if [[ -n $looking ]]; then
        complain kept "/$path is no longer wanted, but somebody has changed it: it stays"
      fi
      continue
    fi
    if ! intend "/$path goes"; then
      note_change "$path"
      continue
    fi
    # The last note is undone first: the file is back before its unit is enabled, and that before it is started.
    retire_unit "$path" noted
    keep "$path" -
    note_change "$path"
    retire_unit "$path"
    rm -f -- "$root/$path" || fail "$step_title: cannot remove $root/$path"
    forgotten "$path"
  done <<<"$left_sums"
}

# is_unit enabled|active UNIT
is_unit() { timeout -k 5 60 systemctl "is-$1" --quiet -- "$2" >/dev/null 2>&1 </dev/null; }

# retire_unit PATH [noted]: with a second word its way back is noted, else it is done: a unit that goes no longer starts, and no longer runs. A template is none itself, and a job that is at it
# is not cut off.
retire_unit() {
  local unit=${1##*/} how=--now
  case $1 in
    *@.* | etc/systemd/system/*/*) return 0 ;;
    etc/systemd/system/*.service)
      if grep -q '^Type=oneshot' "$root/$1"; then
        how=
      fi
      ;;
    etc/systemd/system/*) ;;
    *) return 0 ;;
  esac
  if is_unit enabled "$unit"; then
    if [[ -z ${2:-} ]]; then
      doing systemctl disable ${how:+"$how"} -- "$unit"
      return 0
    fi
    if [[ -n $how ]] && is_unit active "$unit"; then
      undoable start "$unit"
    fi
    undoable enable "$unit"
  elif [[ -n $how ]] && is_unit active "$unit"; then
    if [[ -n ${2:-} ]]; then
      undoable start "$unit"
    else
      doing systemctl stop -- "$unit"
    fi
  fi
}

# unit NAME start|wait [DEVICE]: a unit that says by whom it is wanted. `start` starts it, too; a mount without its DEVICE
# only waits for it. What an earlier run has switched on and somebody has switched off stays off.
unit() {
  local ours='' now
  wanted_names+=("unit:$1")
  if [[ -n $skipping ]]; then
    return 0
  fi
  known "$left_sums" "unit:$1"
  ours=$is_known
  if ! is_unit enabled "$1"; then
    if [[ -n $ours ]]; then
      leave "$1 was disabled by hand and stays so (systemctl enable --now $1)"
      return 0
    fi
    if intend "$1 is enabled"; then
      undoable disable "$1"
      doing systemctl enable -- "$1"
    fi
  fi
  if [[ $2 == start && (-z ${3:-} || -e $root$3) ]] && ! is_unit active "$1"; then
    if intend "$1 is started"; then
      undoable stop "$1"
      doing systemctl start -- "$1"
    fi
  fi
  now=$(sha256_of /dev/null)
  records+=("unit:$1" "$now" '')
}

# reload: systemd and the kernel's settings, where their files changed.
reload() {
  if [[ -n $skipping ]]; then
    return 0
  fi
  if is_pending units && intend 'systemd reads its units anew'; then
    doing systemctl daemon-reload
    settled units
  fi
  if is_pending sysctl && intend 'the settings of the kernel are set'; then
    doing sysctl --quiet --system
    settled sysctl
  fi
}

# boot: the initial RAM disk and the boot loader, where their files changed.
boot() {
  local word bounds=etc/modprobe.d/zfs.conf
  if [[ -n $skipping ]] || ! is_pending boot; then
    return 0
  fi
  intend 'the initial RAM disk is made anew; it takes effect when the host starts the next time' || return 0
  # The cache takes its bounds at once; no restart is needed for them. What stands on the host counts: an edit may have stayed.
  if [[ (-n $undoing || -e $tree/$bounds) && -e $root/$bounds && -d $root/sys/module/zfs/parameters ]]; then
    while read -r word; do
      if [[ $word =~ ^(zfs_arc_max|zfs_arc_min)=([0-9]{1,18})$ ]]; then
        printf '%s' "${BASH_REMATCH[2]}" >"$root/sys/module/zfs/parameters/${BASH_REMATCH[1]}" 2>/dev/null ||
          complain note "${BASH_REMATCH[1]} waits for the next start"
      fi
    done < <(awk '$1 == "options" && $2 == "zfs" { for (i = 3; i <= NF; i++) print $i }' "$root/$bounds")
  fi
  make_boot
  settled boot
}

make_boot() {
  doing update-initramfs -u -k all
  if [[ -s $root/etc/kernel/proxmox-boot-uuids ]]; then
    doing proxmox-boot-tool refresh
  elif command -v update-grub >/dev/null; then
    doing update-grub
  fi
}

# pools: what storage/create.sh would do, and does. What it sets on pools that are there is noted beforehand.
pools() {
  local planned one words dataset setting value source made=()
  if [[ -n $skipping ]]; then
    return 0
  fi
  # It proves itself; that it is the one that was built, or that somebody took as it is, has been looked at.
  printf '{"format":1,"files":[{"path":"proxmox/storage/create.sh","sha256":"%s"}]}\n' \
    "$(sha256_of "$tree/storage/create.sh")" >"${tree%/*}/manifest.json"
  if ! gate_hear 3600 "$list_most" bash "$tree/storage/create.sh" --dry-run --record "$state/properties"; then
    printf '%s\n' "$heard_err" >"$work/error"
    problem "storage/create.sh: $(seen "$work/error")"
    return 0
  fi
  planned=$heard
  if [[ -n $heard_err && -n $looking ]]; then
    printf '%s\n' "$heard_err" >"$work/error"
    complain note "$(seen "$work/error")"
  fi
  if [[ $planned == *'nothing to change' ]]; then
    pools_settled=1
    if [[ -z $looking ]]; then
      note_pools
    fi
    return 0
  fi
  if [[ -n $looking ]]; then
    line "$planned"
  fi
  intend 'pools and datasets change' || return 0
  while IFS= read -r one; do
    # As it is shown, with the quotes of a shell.
    mapfile -d '' -t words < <(perl -MText::ParseWords=shellwords -e 'print map { "$_\0" } grep { defined } shellwords($ARGV[0])' -- "$one")
    case "${words[0]:-} ${words[1]:-}" in
      'zfs set' | 'zpool set')
        setting=${words[2]}
        dataset=${words[3]}
        # What it was before is known, or it is told that it does not come back.
        if hear "${words[0]}" get -Hp -o value,source "${setting%%=*}" "$dataset" && [[ $heard == *$'\t'* ]]; then
          IFS=$'\t' read -r value source <<<"$heard"
          undoable property "${words[0]}" "$dataset" "${setting%%=*}" "$value" "${source:-local}" "${setting#*=}"
        else
          undoable stays "${setting%%=*} of $dataset, of which nobody says what it was"
        fi
        ;;
      'zpool create' | 'zfs create' | 'zpool add' | 'lvcreate '* | 'vgcreate '*)
        made+=("what \`${words[*]:0:40}\` makes")
        undoable making "${made[-1]}"
        ;;
    esac
  done <<<"$planned"
  gather_pool_options
  doing bash "$tree/storage/create.sh" "${pool_options[@]}"
  for one in "${made[@]}"; do
    undoable made "$one"
  done
}

# gather_pool_options: what storage/create.sh is called with, in `pool_options`.
gather_pool_options() {
  local one
  pool_options=(--yes --record "$state/properties")
  for one in "${confirms[@]}"; do
    pool_options+=(--confirm "$one")
  done
}
pool_options=()

# note_pools: it notes what is there, where nothing of it changes: from then on it is what a run left, whoever has set it, so
# that a later run sees what somebody changes.
note_pools() {
  if [[ -n $pools_settled ]]; then
    gather_pool_options
    gate_hear 3600 "$list_most" bash "$tree/storage/create.sh" "${pool_options[@]}" ||
      complain note "what stands in the pools could not be noted: $(text_of "$heard_err" 200)"
  fi
}
pools_settled=

# property PROGRAM NAME PROPERTY BEFORE AFTER: of a pool or a dataset.
property() {
  local now source
  if [[ -n $skipping ]]; then
    return 0
  fi
  if ! IFS=$'\t' read -r now source < <(timeout -k 5 60 "$1" get -Hp -o value,source "$3" "$2" 2>/dev/null </dev/null | head -c 4096); then
    problem "$3 of $2 cannot be read"
    return 0
  fi
  if [[ $now == "$5" ]]; then
    note_property "$1 $2 $3" "$5"
    return 0
  fi
  if [[ $3 == compression && $5 == zstd* ]] && grub_reads "${2%%/*}"; then
    problem "compression=$5 of $2: GRUB reads the pool by itself, and zstd it cannot read: the host would not start again. Let proxmox-boot-tool take over the start first"
    return 0
  fi
  if [[ -n $4 && $now != "$4" ]]; then
    problem "$3 of $2 is \`$now\` by now, and was \`$4\`: plan anew"
    return 0
  fi
  intend "$(shown "$1" set "$3=$5" "$2")" || return 0
  undoable property "$1" "$2" "$3" "$now" "${source:-local}" "$5"
  doing "$1" set "$3=$5" "$2"
  note_property "$1 $2 $3" "$5"
}

# note_property WHAT VALUE: what `create.sh` goes by when it is asked whether somebody has changed it since.
note_property() {
  if [[ -n $looking || ! -e $state/properties ]]; then
    return 0
  fi
  if { grep -vF -- "$1=" "$state/properties"; printf '%s\n' "$1=$2"; } >"$state/properties.new"; then
    mv -f -- "$state/properties.new" "$state/properties"
  fi
}

# secret NAME STORAGE PREFIX: where Proxmox VE keeps a storage's password. It is never shown, and no argument of anything.
secret() {
  local from=$root/etc/moxc/secrets/$1 path=etc/pve/priv/storage/$2.pw
  if [[ -n $skipping || ! -e $from && -e $root/$path ]] || ! secret_ready "$1" "the password of storage $2"; then
    return 0
  fi
  (umask 077 && secret_text "$from" "$3" >"$work/secret")
  if ! cmp -s -- "$work/secret" "$root/$path" && intend "the password of storage $2 is set"; then
    keep "$path" "$(sha256_of "$work/secret")"
    (
      umask 077
      place "$work/secret" "$path" 600
    ) || exit 1
  fi
  rm -f -- "$work/secret"
}

# secret_ready NAME WHAT: whether the secret is there, and nobody else can read it.
secret_ready() {
  local from=$root/etc/moxc/secrets/$1 mode
  if [[ ! -e $from ]]; then
    problem "$2 is missing: put it into $from (mode 600)"
    return 1
  fi
  mode=$(stat -Lc %a -- "$from")
  if [[ ${mode: -2} != 00 ]]; then
    problem "$from can be read by others: chmod 600 $from"
    return 1
  fi
  if [[ ! -s $from ]]; then
    problem "$from is empty"
    return 1
  fi
}

# secret_text FILE PREFIX: its first line.
secret_text() {
  local first=
  IFS= read -r first <"$1" || true
  printf '%s%s\n' "$2" "$first"
}

# leave TEXT: something that is told and not done.
leave() {
  if [[ -n $looking && -z $skipping ]]; then
    complain kept "$step_title: $1"
  fi
}

# in_the_way TEXT: something that is in the way.
in_the_way() {
  if [[ -z $skipping ]]; then
    problem "$1"
  fi
}

# needs_name NAME WHAT: before something is detached, its name has to be typed, or said by --confirm. --yes is not enough.
needs_name() {
  local answer='' one
  if [[ -n $skipping || -z $looking || -n $dry_run ]]; then
    return 0
  fi
  for one in "${confirms[@]}"; do
    if [[ $one == "$1" ]]; then
      return 0
    fi
  done
  if [[ -n $yes ]] || ! { : </dev/tty; } 2>/dev/null; then
    problem "$2: this wants --confirm $(shown "$1")"
    return 0
  fi
  printf '%s. Type %s to go on: ' "$2" "$1" >/dev/tty
  read -r answer </dev/tty || true
  if [[ $answer != "$1" ]]; then
    decline 'stopped: that was another name, and nothing was done'
  fi
}

# ---------------------------------------------------------------- the host

# this_host: the host and release that this was made for.
this_host() {
  local here
  if [[ -n $skipping || -z $looking ]]; then
    return 0
  fi
  here=$(timeout -k 5 20 hostname 2>"$work/error" </dev/null | head -c 4096) || fail "$step_title: \`hostname\` failed: $(seen "$work/error")"
  if [[ $here != "$host" && -z $root ]]; then
    problem "this is for $host, and this host is $here"
  fi
  if [[ -z $root && ! -d $pve/local/ ]]; then
    problem "$pve is not there: is pve-cluster running?"
  fi
  if [[ -z $root ]] || command -v pveversion >/dev/null; then
    check_release "$(timeout -k 5 60 pveversion 2>/dev/null </dev/null | head -c 200)"
  fi
  if [[ -e $pve/corosync.conf ]] && command -v pvecm >/dev/null && ! timeout -k 5 60 pvecm status 2>/dev/null </dev/null | grep -q '^Quorate:[[:space:]]*Yes'; then
    problem 'the cluster has no quorum (`pvecm status`): Proxmox VE takes no change until most of its nodes are there'
  fi
}

# check_release TEXT: of pveversion, as pve-manager/9.1.2/…
check_release() {
  local here=${1#*/}
  here=${here%%/*}
  if [[ ! $here =~ ^[0-9]{1,3}(\.[0-9]{1,3}){1,3}(~[a-z0-9.]{1,20})?$ ]]; then
    problem "pveversion does not say which Proxmox VE this is"
  elif [[ ${here%%.*} != "${release%%.*}" ]]; then
    problem "this is for Proxmox VE $release, and this host runs $here"
  elif [[ $(printf '%s\n' "$release" "$here" | sort -V | sed -n 1p) != "$release" ]]; then
    problem "this is for Proxmox VE $release, and this host runs the older $here"
  fi
}

# fresh_host GUESTS STORES INTERFACES: each a list of words. A host with anything else is not a fresh installation, and what
# becomes of it has to be planned.
fresh_host() {
  local guests=" $1 " stores=" $2 " interfaces=" $3 " file vmid name unknown=()
  if [[ -n $skipping || -z $looking ]]; then
    return 0
  fi
  for file in "$pve"/qemu-server/*.conf "$pve"/lxc/*.conf; do
    if [[ ! -e $file ]]; then
      continue
    fi
    vmid=${file##*/}
    vmid=${vmid%.conf}
    if ! is_ours "${file#"$root"/}"; then
      name=$(sed -n -e '/^\[/q' -e 's/^\(name\|hostname\): //p' -- "$file" | head -c 64 | tr -cd 'A-Za-z0-9.-')
      unknown+=("guest $vmid${name:+ ($name)}")
    fi
  done
  if [[ -e $pve/storage.cfg ]]; then
    while read -r name; do
      case $stores in
        *" $name "*) ;;
        *) unknown+=("storage $name") ;;
      esac
    done < <(sed -n 's/^[a-z0-9]\{1,20\}:[[:space:]]*\([A-Za-z0-9._-]*\)[[:space:]]*$/\1/p' -- "$pve/storage.cfg" | grep -vxE 'local|local-lvm|local-zfs')
  fi
  if [[ -e $root/etc/network/interfaces ]]; then
    if [[ -e $left/etc/network/interfaces ]]; then
      interfaces+=$(awk '$1 == "iface" { print $2 }' "$left/etc/network/interfaces" | sort -u | tr '\n' ' ')
    fi
    while read -r name; do
      case $interfaces in
        *" $name "*) ;;
        *)
          if [[ ! $name =~ ^(lo|vmbr0|nic[0-9]+|(en|eth|wl)[a-z0-9]+)$ ]]; then
            unknown+=("interface $name")
          fi
          ;;
      esac
    done < <(awk '$1 == "iface" { print $2 }' "$root/etc/network/interfaces" | sort -u)
  fi
  if [[ -e $root/etc/network/interfaces && ! -e $left/etc/network/interfaces ]]; then
    while read -r name; do
      unknown+=("the option $name in /etc/network/interfaces")
    done < <(awk 'NF && $1 !~ /^#/ { print $1 }' "$root/etc/network/interfaces" | sort -u | tr -cd 'a-zA-Z0-9._\n-' |
      grep -vxE 'auto|allow-hotplug|iface|address|netmask|gateway|source|dns-nameservers|dns-search|bridge[-_](ports|stp|fd|vlan-aware|vids)' || true)
  fi
  if ((${#unknown[@]})); then
    for name in "${unknown[@]:0:20}"; do
      complain refused "not of a fresh installation: $name"
    done
    decline "this host is in use, and this script is for a fresh installation: nothing was done. Where moxc is: \`moxc plan SPEC --live ssh://root@$host\` shows what would change, \`moxc apply\` does it"
  fi
}
