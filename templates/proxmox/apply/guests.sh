# ---------------------------------------------------------------- guests

# is_ours PATH: whether an earlier run made this guest, or took it over.
is_ours() {
  known "$left_sums" "$1"
  [[ -n $is_known ]] || is_marked "$1"
}

# is_marked PATH: whether a run made this guest and could not note it. Somebody else's of the same number has another name; one
# that was cut off amid its making may have none yet, and is locked.
is_marked() {
  local mark=$state/making/${1##*/} here
  [[ -s $mark && -e $root/$1 ]] || return 1
  here=$(name_in "$root/$1")
  [[ $here == "$(head -c 64 -- "$mark")" || -z $here && -n $(option_in "$root/$1" lock) ]]
}

# name_in FILE: the name of a guest.
name_in() { sed -n -e '/^\[/q' -e 's/^\(name\|hostname\): //p' -- "$1" | head -c 64 | tr -cd 'A-Za-z0-9.-'; }

# guest KIND VMID NAME SHA256 [WORD WHAT]... -- COMMAND...: a guest, made by the command where it is missing, changed where it
# differs from its file, whose hash that is. The words: `placed 1`, its file alone makes it, and the command adds to it;
# `volume KEY=ARGUMENT`, what allocates a volume; `import KEY`, a disk that an image fills; `built KEY`, one that --image can
# fill; `password SECRET`; `keys TEXT`.
guest() {
  local tool=$1 vmid=$2 name=$3 sum=$4 folder path other placed='' secret='' keys='' imported=() words=()
  local allocated=() built=() filled=()
  shift 4
  while (($#)); do
    case $1 in
      --)
        shift
        words=("$@")
        break
        ;;
      placed) placed=1 ;;
      volume) allocated+=("$2") ;;
      import) imported+=("$2") ;;
      built) built+=("$2") ;;
      password) secret=$2 ;;
      keys) keys=$2 ;;
    esac
    shift 2
  done
  folder=$([[ $tool == pct ]] && printf lxc || printf qemu-server)
  path=etc/pve/$folder/$vmid.conf
  wanted_names+=("$path")
  images_of "$name" "$vmid" "${built[@]}"
  if [[ -n $skipping ]]; then
    return 0
  fi
  if [[ -e $root/$path ]]; then
    if ((${#filled[@]})) && [[ -n $looking ]]; then
      complain note "$step_title: it is there, and its image is not used"
    fi
    if ! is_ours "$path"; then
      foreign_guest "$tool" "$vmid" "$name"
      return 0
    fi
    options "$tool" "$vmid" "$path" "$tree/$path"
    return 0
  fi
  for other in "$pve"/nodes/*/qemu-server/"$vmid".conf "$pve"/nodes/*/lxc/"$vmid".conf "$pve/qemu-server/$vmid.conf" "$pve/lxc/$vmid.conf"; do
    if [[ -e $other ]]; then
      problem "the number $vmid is taken: $other"
      return 0
    fi
  done
  if [[ $(sha256_of "$tree/$path") != "$sum" ]]; then
    problem "$path was edited by hand, and what makes the guest does not follow from it: change the spec, and build anew"
    return 0
  fi
  make_guest
}

# foreign_guest KIND VMID NAME
foreign_guest() {
  local file=$pve/qemu-server/$2.conf here
  if [[ $1 == pct ]]; then
    file=$pve/lxc/$2.conf
  fi
  here=$(name_in "$file")
  problem "guest $2 ($here) was not made by moxc, and the spec's $2 is $3: it is left alone. Where moxc is, \`--adopt $2\` takes it over; else give the spec's guest another number"
}

# make_guest: the guest of `guest`.
make_guest() {
  local at key=''
  if [[ -n $secret ]] && ! secret_ready "$secret" "the password of guest $vmid"; then
    return 0
  fi
  fill_disks || return 0
  for ((at = 1; at < ${#words[@]}; at++)); do
    device_there "$tool" "$vmid" "${words[at - 1]#--}" "${words[at]}"
  done
  # Files of this host, which may lie below another root.
  for ((at = 0; at < ${#words[@]}; at++)); do
    case ${words[at]} in
      --*) key=${words[at]#--} ;;
      "/var/lib/moxc/keys-$vmid") words[at]=$state/keys-$vmid ;;
      *,import-from=/*)
        if [[ " ${imported[*]} " == *" $key "* ]]; then
          words[at]=${words[at]/,import-from=\//,import-from=$root/}
        fi
        ;;
    esac
  done
  if [[ -n $placed ]]; then
    place_guest
    return 0
  fi
  intend "guest $vmid is made" || {
    if [[ -n $dry_run ]]; then
      line "  $(shown "${words[@]}")"
    fi
    return 0
  }
  mark_making "$vmid" "$path"
  if [[ -n $secret ]]; then
    feed=$work/feed
    # Without a value the program reads it from standard input, twice (PVE::PTY, get_confirmed_password).
    (
      umask 077
      secret_text "$root/etc/moxc/secrets/$secret" ''
      secret_text "$root/etc/moxc/secrets/$secret" ''
    ) >"$feed" || fail "$step_title: there is no room for temporary files"
  fi
  if [[ -n $keys ]]; then
    printf '%s\n' "$keys" >"$state/keys-$vmid" || fail "cannot write $state/keys-$vmid: nothing was made"
  fi
  doing "${words[@]}"
  feed=
  rm -f -- "$work/feed" "$state/keys-$vmid"
  if [[ $tool == pct ]]; then
    raw "$path" env "$(raw_of "$tree/$path" env)" lxc "$(raw_of "$tree/$path" lxc)"
  fi
  if ((${#imported[@]})); then
    grow_imported "$tool" "$vmid" "$path" "${imported[@]}"
  fi
  note_guest "$path"
}

# images_of NAME VMID KEY...: what --image names for these disks goes to `filled`, as KEY=FILE. The first needs no word.
images_of() {
  local name=$1 vmid=$2 first=1 key one word
  shift 2
  for key; do
    for one in "${images[@]}"; do
      word=${one%%=*}
      if [[ $word == "$name/$key" || $word == "$vmid/$key" || -n $first && ($word == "$name" || $word == "$vmid") ]]; then
        filled+=("$key=${one#*=}")
        image_names+="$word "
      fi
    done
    first=
  done
}

# image_ready FILE ENDING...: whether an image of --image is there, and of a kind that can be used. What comes by the very run
# need not be there for a look.
image_ready() {
  local file=$1 ending
  shift
  for ending; do
    if [[ $file == *"$ending" ]]; then
      if [[ -f $root$file || -n $dry_run && $file == /var/lib/moxc/images/* ]]; then
        return 0
      fi
      problem "the image $file is not there"
      return 1
    fi
  done
  problem "the image $file does not end in one of: $*"
  return 1
}

# fill_disks: of `make_guest`: its disks are made of what --image names.
fill_disks() {
  local one key file at
  for one in "${filled[@]}"; do
    key=${one%%=*}
    file=${one#*=}
    image_ready "$file" .qcow2 .raw .vmdk || return 1
    for ((at = 0; at < ${#words[@]}; at++)); do
      if [[ ${words[at]} == "--$key" && ${words[at + 1]} =~ ^([^:,]+):[0-9.]+(,.*)?$ ]]; then
        words[at + 1]=${BASH_REMATCH[1]}:0,import-from=$file${BASH_REMATCH[2]}
        imported+=("$key")
      fi
    done
  done
  if ((${#built[@]} && !${#filled[@]})) && [[ -n $looking ]]; then
    complain note "$step_title: its disk ${built[0]} is made empty: \`nix build .#$name-image\` in its flake builds what fills it, and --image $name=FILE brings it"
  fi
}

# mark_making VMID PATH: on disk first: a guest that this run made and could not note is its own all the same.
mark_making() {
  mark "$2" "$(name_in "$tree/$2")"
  undoable stays "guest $1"
}

# mark PATH NAME
mark() {
  { mkdir -p -- "$state/making" && printf '%s' "$2" >"$state/making/${1##*/}"; } || fail "cannot write below $state"
}

# place_guest: the container of `guest`, whose file system is there: what `pct create` unpacks would go over it. So its file is
# written, and volumes that are not there yet are added to it.
place_guest() {
  local key without=()
  intend "guest $vmid is made of its volumes, which are there" || return 0
  for key in "${allocated[@]}"; do
    without+=(-e "/^${key%%=*}: /d")
  done
  sed -e '' "${without[@]}" -- "$tree/$path" >"$work/placed" || fail "$step_title: there is no room for temporary files"
  mark_making "$vmid" "$path"
  place "$work/placed" "$path" 640
  if ((${#words[@]})); then
    doing "${words[@]}"
  fi
  note_guest "$path"
}

# grow_imported KIND VMID PATH KEY...: a disk that an image fills has the image's size at first.
grow_imported() {
  local tool=$1 vmid=$2 path=$3 words=()
  shift 3
  editor smaller "$root/$path" "$tree/$path" "$@" >"$work/fields" 3>"$work/told" 2>"$work/error" || fail "$step_title: $(seen "$work/error")"
  tell_notes "$work/told" "$step_title" || true
  mapfile -d '' -t words <"$work/fields"
  set -- "${words[@]}"
  while (($#)); do
    resize_disk "$tool" "$vmid" "$1" "$2"
    shift 2
  done
}

# resize_disk KIND VMID KEY SIZE
resize_disk() {
  resize_words "$@"
  doing "${is_resize[@]}"
}
is_resize=()
resize_words() {
  if [[ $1 == qm ]]; then
    is_resize=(qm disk resize "$2" "$3" "$4")
  else
    is_resize=(pct resize "$2" "$3" "$4")
  fi
}

# key_file NAME TEXT: qm and pct take keys from a file; its name is in is_key_file.
is_key_file=
key_file() {
  local folder=$work number=0
  if [[ -n $run && -z $looking ]]; then
    folder=$run
  fi
  while [[ -e $folder/keys-$1-$number ]] && ! printf '%s\n' "$2" | cmp -s - "$folder/keys-$1-$number"; do
    number=$((number + 1))
  done
  is_key_file=$folder/keys-$1-$number
  printf '%s\n' "$2" >"$is_key_file" || fail "cannot write $is_key_file"
}

# noted PATH: a guest is remembered for later runs, with the names that its volumes have got.
noted() {
  local text=$tree/$1
  if [[ -e $tree/.own/$1 ]]; then
    text=$tree/.own/$1
  fi
  mkdir -p -- "$work/noted/${1%/*}" || fail "$step_title: there is no room for temporary files"
  editor noted "$root/$1" "$text" "$left/$1" >"$work/noted/$1" 2>"$work/error" || fail "$step_title: $(seen "$work/error")"
  applied "$1" text
}

note_guest() {
  noted "$1"
  keep_records
}

# as_argument KIND KEY VALUE: what the program is told for the value, in is_argument.
is_argument=
as_argument() {
  is_argument=$3
  if [[ $1 == qm && $2 == sshkeys ]]; then
    key_file ci "$(printf '%b' "${3//%/\\x}")"
    is_argument=$is_key_file
  fi
}

# allocation KEY VALUE: what makes qm or pct allocate the volume of an option, of the `allocated` of `guest`; in is_allocation.
is_allocation=
allocation() {
  local one
  is_allocation=$2
  for one in "${allocated[@]}"; do
    if [[ ${one%%=*} == "$1" ]]; then
      is_allocation=${one#*=}
    fi
  done
}

# options KIND VMID PATH WANT: of `guest` or `change_guest`: the options that differ, in one command, and how to set them back.
options() {
  local tool=$1 vmid=$2 path=$3 want=$4 word fields=() arguments=() back=() deleted='' added='' raw=() stays='' at=0 grown=() made=() boot=''
  editor guest "$tool" "$root/$path" "$want" "$left/$path" >"$work/fields" 3>"$work/told" 2>"$work/error" ||
    fail "$step_title: $(seen "$work/error")"
  tell_notes "$work/told" "$step_title" || return 0
  while IFS= read -r -d '' word; do
    fields+=("$word")
  done <"$work/fields"
  while ((at < ${#fields[@]})); do
    local key=${fields[at + 1]} value=${fields[at + 2]}
    if [[ $key == lxc || $key == env ]]; then
      raw_field "${fields[@]:at:4}"
      at=$((at + 3))
      if [[ ${fields[at - 3]} == set ]]; then
        at=$((at + 1))
      fi
      continue
    fi
    case ${fields[at]} in
      set)
        as_argument "$tool" "$key" "${fields[at + 3]}"
        arguments+=("--$key" "$is_argument")
        device_there "$tool" "$vmid" "$key" "${fields[at + 3]}"
        as_argument "$tool" "$key" "$value"
        back+=("--$key" "$is_argument")
        at=$((at + 4))
        ;;
      add)
        allocation "$key" "$value"
        as_argument "$tool" "$key" "$is_allocation"
        arguments+=("--$key" "$is_argument")
        device_there "$tool" "$vmid" "$key" "$value"
        added+=,$key
        at=$((at + 3))
        ;;
      delete)
        deleted+=,$key
        as_argument "$tool" "$key" "$value"
        back+=("--$key" "$is_argument")
        at=$((at + 3))
        ;;
      volume)
        allocation "$key" "$value"
        arguments+=("--$key" "$is_allocation")
        stays+=" the new volume of $key;"
        made+=("$key")
        at=$((at + 3))
        ;;
      grow)
        grown+=("$key" "$value")
        stays+=" the size of $key, which was ${fields[at + 3]};"
        at=$((at + 4))
        ;;
    esac
  done
  if [[ -n $deleted ]]; then
    arguments+=(--delete "${deleted#,}")
  fi
  if [[ -n $added ]]; then
    back+=(--delete "${added#,}")
  fi
  if [[ -n $stays && -n $looking ]]; then
    complain note "$step_title: stays when this run is undone:${stays%;}"
  fi
  # Items say themselves what they expect.
  if [[ $want != items:* ]] && { ((${#arguments[@]} + ${#grown[@]})) || ((${#raw[@]})); }; then
    is_as_planned "$path" || return 0
  fi
  if ((${#arguments[@]})) && intend "$(shown "$tool" set "$vmid" "${arguments[@]}")"; then
    keep_guest "$path" "$stays"
    for word in "${made[@]}"; do
      undoable volume "$path" "$word"
    done
    if ((${#back[@]})); then
      undoable run "$tool" set "$vmid" "${back[@]}"
    fi
    [[ $tool != qm ]] || boot=$(boot_of "$root/$path")
    guest_unsettled "$path"
    doing "$tool" set "$vmid" "${arguments[@]}"
    guest_settled "$path"
    if [[ $tool == qm && " ${arguments[*]} " != *' --boot '* && -n $boot && $(boot_of "$root/$path") != "$boot" ]]; then
      # Proxmox VE puts a new CD drive last into the boot order (update_vm_api of PVE::API2::Qemu).
      guest_unsettled "$path"
      doing qm set "$vmid" --boot "$boot"
      guest_settled "$path"
    fi
  fi
  set -- "${grown[@]}"
  while (($#)); do
    resize_words "$tool" "$vmid" "$1" "$2"
    if intend "$(shown "${is_resize[@]}")"; then
      keep_guest "$path" "$stays"
      undoable size "$path" "$1"
      guest_unsettled "$path"
      doing "${is_resize[@]}"
      guest_settled "$path"
    fi
    shift 2
  done
  if ((${#raw[@]})) && intend "guest $vmid: its raw lines change"; then
    keep_guest "$path" "$stays"
    undoable raw "$path"
    guest_unsettled "$path"
    raw "$path" "${raw[@]}"
    guest_settled "$path"
  fi
  if [[ -e $tree/$path ]]; then
    noted "$path"
  fi
}

# device_there KIND VMID KEY VALUE: pct takes no device that is not there (get_device_mode_and_rdev of PVE::LXC::Tools), makes no
# container without the folders that it shares (__mountpoint_mount of PVE::LXC), and a machine does not start without its devices.
# What a volume is seen by is made with the volume, and a folder may come with a storage of this very run.
device_there() {
  local device place here=$root/sys/bus/pci/devices
  if [[ -z $looking ]]; then
    return 0
  fi
  if [[ $1 == pct && $3 =~ ^dev[0-9]+$ && $4 =~ (^|,)(path=)?(/dev/[^,]+) ]]; then
    device=${BASH_REMATCH[3]}
    if [[ $device != /dev/zvol/* && ! -e $root$device ]]; then
      problem "guest $2 is given $device ($3), which is not there: attach the device or load its driver, or leave the guest out (--skip $step)"
    fi
  elif [[ $1 == pct && $3 =~ ^mp[0-9]+$ && $4 =~ ^(.*,)?(volume=)?(/[^,]*) ]]; then
    device=${BASH_REMATCH[3]}
    if [[ $device != /dev/* && ! -d $root$device ]]; then
      complain note "$step_title: $3 is the folder $device, which is not there now: without it the guest is not made, and does not start"
    fi
  elif [[ $1 == qm && $3 =~ ^hostpci[0-9]+$ && $4 =~ (^|,)(host=)?([0-9A-Fa-f:.\;]+)(,|$) && -d $here ]]; then
    for device in ${BASH_REMATCH[3]//;/ }; do
      place=${device,,}
      [[ $place == *:*:* ]] || place=0000:$place
      if [[ ! -e $here/$place && ! -e $here/$place.0 ]]; then
        complain note "$step_title: $3 is the device $device, which is not there now: without it the guest does not start"
      fi
    done
  fi
}

# boot_of FILE: the boot order of a virtual machine, the one that waits for a restart first.
boot_of() { awk '/^\[/ && $0 != "[PENDING]" { exit } sub(/^boot: /, "") { boot = $0 } END { print boot }' "$1"; }

# keep_guest PATH STAYS: its configuration, which comes back byte for byte where no volume was made or grown.
keep_guest() {
  if [[ ! -e $run/saved/$1 ]]; then
    (umask 077 && mkdir -p -- "$(dirname -- "$run/saved/$1")") || fail "cannot write $run"
    { cp -- "$root/$1" "$run/saved/$1.new" && mv -- "$run/saved/$1.new" "$run/saved/$1"; } || fail "cannot keep a copy of $root/$1: nothing was changed"
    if [[ -z $2 ]]; then
      undoable config "$1"
    fi
  fi
}

# guest_unsettled PATH, guest_settled PATH: before and behind a command that changes a guest, of which the run keeps how it leaves
# it: so its undo knows what somebody changed since.
guest_unsettled() { rm -f -- "$run/after/$1"; }
guest_settled() {
  (umask 077 && mkdir -p -- "$(dirname -- "$run/after/$1")" && cp -- "$root/$1" "$run/after/$1" 2>/dev/null) || guest_unsettled "$1"
}

# raw_of FILE KEY: its `lxc.` lines, which pct itself cannot set, or the values of its variables, which are such lines, too.
raw_of() {
  if [[ $2 == env ]]; then
    sed -n -e '/^\[/q' -e 's/^lxc\.environment\.runtime: //p' -- "$1"
  else
    sed -n -e '/^\[/q' -e '/^lxc\.environment\.runtime:/d' -e '/^lxc\./p' -- "$1"
  fi
}

# raw_field WORD KEY VALUE [NEW]: a field of the editor about raw lines: how they will be goes to `raw`.
raw_field() {
  case $1 in
    set) raw+=("$2" "$4") ;;
    add) raw+=("$2" "$3") ;;
    delete) raw+=("$2" '') ;;
  esac
}

# raw PATH KEY TEXT...: a guest's raw lines become these.
raw() {
  editor raw "$root/$1" "${@:2}" >"$work/merged" 2>"$work/error" || fail "$step_title: $(seen "$work/error")"
  if ! cmp -s -- "$work/merged" "$root/$1"; then
    place "$work/merged" "$1" 640
  fi
}

# adopt KIND VMID: takes over a guest that somebody else made. From now on it is changed as others are.
adopt() {
  local path=etc/pve/qemu-server/$2.conf
  if [[ $1 == pct ]]; then
    path=etc/pve/lxc/$2.conf
  fi
  if [[ -z $skipping && -e $root/$path ]] && ! is_ours "$path"; then
    left_sums=$'\n'$path$'\t'adopted$left_sums
    if [[ -n $looking ]]; then
      line "$step_title: guest $2 is taken over"
    fi
  fi
}

# change_guest KIND VMID ITEMS: single options of a guest, each with what it is expected to be.
change_guest() {
  local path=etc/pve/qemu-server/$2.conf
  if [[ $1 == pct ]]; then
    path=etc/pve/lxc/$2.conf
  fi
  wanted_names+=("$path")
  if [[ -n $skipping ]]; then
    return 0
  fi
  if [[ ! -e $root/$path ]]; then
    problem "guest $2 is gone"
    return 0
  fi
  local allocated=()
  options "$1" "$2" "$path" "items:$tree/$3"
}

# of_disk PATH KEY: the size of a disk of a guest's file, in is_size, and its storage, in is_store.
is_size=
is_store=
of_disk() {
  local line
  line=$(sed -n -e '/^\[/q' -e "s/^$2: //p" -- "$root/$1" | head -c 4096)
  is_store=${line%%:*}
  is_size=
  if [[ $line =~ ,size=([0-9.]+[KMGT]?)(,|$) ]]; then
    is_size=${BASH_REMATCH[1]}
  fi
}

# grow_disk KIND VMID KEY SIZE
grow_disk() {
  local path=etc/pve/qemu-server/$2.conf
  if [[ $1 == pct ]]; then
    path=etc/pve/lxc/$2.conf
  fi
  if [[ -n $skipping || ! -e $root/$path ]]; then
    return 0
  fi
  of_disk "$path" "$3"
  if [[ $is_size == "$4" ]]; then
    return 0
  fi
  if [[ -n $looking ]]; then
    complain note "$step_title: stays when this run is undone: the size of $3, which was ${is_size:-another}"
  fi
  resize_words "$@"
  intend "$(shown "${is_resize[@]}")" || return 0
  keep_guest "$path" "the size of $3"
  undoable size "$path" "$3"
  guest_unsettled "$path"
  doing "${is_resize[@]}"
  guest_settled "$path"
}

# move_disk KIND VMID KEY FROM TO: from one storage to the other.
move_disk() {
  local path=etc/pve/qemu-server/$2.conf move=(qm disk move)
  if [[ $1 == pct ]]; then
    path=etc/pve/lxc/$2.conf move=(pct move-volume)
  fi
  if [[ -n $skipping || ! -e $root/$path ]]; then
    return 0
  fi
  of_disk "$path" "$3"
  if [[ $is_store == "$5" ]]; then
    return 0
  fi
  if [[ $is_store != "$4" ]]; then
    problem "the disk $3 lies on $is_store by now, and was on $4"
    return 0
  fi
  intend "$(shown "${move[@]}" "$2" "$3" "$5" --delete 1)" || return 0
  keep_guest "$path" "the place of $3"
  undoable run "${move[@]}" "$2" "$3" "$4" --delete 1
  guest_unsettled "$path"
  doing "${move[@]}" "$2" "$3" "$5" --delete 1
  guest_settled "$path"
}

# waits VMID NAME OPTIONS: what is in force only after a restart, which nobody asked for.
waits() {
  if [[ -z $looking || -n $skipping || $restarts == *,"$1",* || $restarts == *,"$2",* ]]; then
    return 0
  fi
  complain note "$step_title: in force when the guest is restarted (--restart $1): $3"
}

# image VOLUME VMID [NAME]: what a guest is made from is there before the first guest is made; a template of Proxmox VE's own
# list is fetched where asked. With a NAME the flake of that guest builds it, and --image brings it.
image() {
  local volume=$1 vmid=$2 store=${1%%:*} path='' why='' filled=()
  if [[ -n ${3:-} ]]; then
    images_of "$3" "$vmid" rootfs
  fi
  if [[ -n $skipping ]]; then
    return 0
  fi
  if is_made "$vmid"; then
    if ((${#filled[@]})) && [[ -n $looking ]]; then
      complain note "guest $vmid is there, and its image is not used"
    fi
    return 0
  fi
  if ! hear pvesm path "$volume"; then
    why=$(last_line "$heard_err")
  elif ! gate path path "$heard"; then
    why="$(text_of "$heard" 60) is no path"
  fi
  if [[ $path == /* && -e $root$path ]]; then
    if ((${#filled[@]})) && [[ -n $looking ]]; then
      complain note "$step_title: $volume is there, and stays as it is"
    fi
    return 0
  fi
  if ((${#filled[@]})); then
    bring_template "${filled[0]#*=}"
    return 0
  fi
  if [[ -n ${3:-} && -z $download && $path == /* ]]; then
    problem "guest $vmid needs the template $volume, which is not there: \`nix build .#$3-image\` in its flake builds it, and --image $3=FILE brings it"
    return 0
  fi
  if [[ -n $download && $volume == *:vztmpl/* ]]; then
    if intend "$(shown pveam download "$store" "${volume#*:vztmpl/}")"; then
      undoable making "the template $volume"
      doing pveam download "$store" "${volume#*:vztmpl/}"
      undoable made "the template $volume"
    fi
    return 0
  fi
  # A storage that this very run makes holds nothing yet.
  if [[ -n $looking && $path != /* ]]; then
    line "$step_title: guest $vmid needs $volume, and its storage does not say yet where that is: $why"
    return 0
  fi
  if [[ -n $why ]]; then
    problem "guest $vmid needs $volume, and \`pvesm path\` does not say where that is: $why"
  elif [[ $volume == *:vztmpl/* ]]; then
    problem "guest $vmid needs the template $volume, which is not there: put it there, or say --download for one of \`pveam available\`"
  else
    problem "guest $vmid needs the image $volume, which is not there: put it there"
  fi
}

# bring_template FILE: the template of `image`, under another name until it is whole.
bring_template() {
  image_ready "$1" ".tar${volume##*.tar}" || return 0
  intend "$volume is made of ${1##*/}" || return 0
  if [[ $path != /* ]]; then
    fail "$step_title: the storage $store does not say where $volume belongs"
  fi
  undoable making "the template $volume"
  doing mkdir -p -- "$(dirname -- "$root$path")"
  doing install -m 644 -- "$root$1" "$root$path.part"
  doing mv -f -- "$root$path.part" "$root$path"
  undoable made "the template $volume"
}

# is_made VMID: whether the guest is there, so that nothing is needed to make it.
is_made() { [[ -e $pve/qemu-server/$1.conf || -e $pve/lxc/$1.conf ]]; }

# volume VOLUME VMID: a volume that a guest is made with, and that is there already.
volume() {
  if [[ -n $skipping || -z $looking ]] || is_made "$2"; then
    return 0
  fi
  # The storage may be one that this very run makes.
  if ! hear_list pvesm list "${1%%:*}" --vmid "$2"; then
    line "$step_title: guest $2 needs $1, and its storage does not list its volumes yet: $(last_line "$heard_err")"
  elif ! awk -v volume="$1" '$1 == volume { found = 1 } END { exit !found }' <<<"$heard"; then
    problem "guest $2 needs the volume $1, which is not there"
  fi
}

# fetch FILE FROM SHA256 PACKED VMID: an image that fills a disk. It is looked for, fetched, proved and unpacked before the first
# guest is made, and taken away when the run is done.
fetch() {
  local from=$2 sum=$3 packed=$4 vmid=$5 file part
  file=$root$1
  if [[ -n $skipping || $1 == /var/lib/moxc/images/* && -e $file ]] || is_made "$vmid"; then
    return 0
  fi
  if [[ $from == /* ]]; then
    part=$root$from
    if [[ ! -f $part ]]; then
      problem "guest $vmid needs the image $from, which is not there: put it there"
      return 0
    fi
    if [[ -n $looking ]] && ! is_image "$part" "$sum"; then
      problem "the image $from of guest $vmid has another SHA-256 sum than the spec says: $(sha256_of "$part")"
      return 0
    fi
    if [[ -z $packed ]]; then
      return 0
    fi
  else
    part=$file.part
    if [[ $from == http:* && -z $sum ]]; then
      problem "the image $from of guest $vmid would come over a connection that anybody can change: say its sha256, or fetch it by https"
      return 0
    fi
  fi
  intend "the image of guest $vmid is ready: $from" || return 0
  mkdir -p -- "$state/images" || fail "cannot write below $state"
  if [[ $from != /* ]]; then
    file_most=$(room_for "$part")
    doing wget --no-verbose --tries=3 --timeout=60 --max-redirect=5 -O "$part" -- "$from"
    file_most=
    if ! is_image "$part" "$sum"; then
      rm -f -- "$part"
      fail "$step_title: $from is not what the spec says: its SHA-256 sum is another than $sum"
    fi
  fi
  if [[ -n $packed ]]; then
    file_most=$(room_for "$file")
    # shellcheck disable=SC2016 # the inner shell's own
    doing bash -c 'exec "$0" -dc -- "$1" >"$2"' "$packed" "$part" "$file.new"
    file_most=
    mv -f -- "$file.new" "$file"
  else
    mv -f -- "$part" "$file"
  fi
  if [[ $from != /* ]]; then
    rm -f -- "$part"
  fi
}

# room_for FILE: how many KiB an image may have: the room that is there but for a GiB, and no more than 256 GiB.
room_for() {
  local room most=268435456
  gate number room "$(timeout -k 5 20 df --output=avail -k -- "$(dirname -- "$1")" 2>/dev/null </dev/null | sed -n 2p | tr -d ' ' | head -c 64)" || room=$most
  if ((room - 1048576 < most)); then
    most=$((room > 1048576 ? room - 1048576 : 0))
  fi
  printf '%s' "$most"
}

is_image() { [[ -z $2 || $(sha256_of "$1") == "$2" ]]; }

# restart_guest KIND VMID NAME: where --restart names it and it runs. From inside a guest, a restart changes nothing.
restart_guest() {
  if [[ -n $looking ]]; then
    restart_names+="$2 $3 "
  fi
  if [[ -n $skipping || $restarts != *,"$2",* && $restarts != *,"$3",* ]]; then
    return 0
  fi
  # One that is about to be made does not run.
  if [[ $1 == qm && ! -e $pve/qemu-server/$2.conf || $1 == pct && ! -e $pve/lxc/$2.conf ]]; then
    return 0
  fi
  hear "$1" status "$2" || fail "$step_title: whether guest $2 runs is not told, and it was not restarted: $(last_line "$heard_err")"
  if [[ $heard != 'status: running' ]]; then
    return 0
  fi
  intend "guest $2 ($3) is restarted" || return 0
  undoable stays "the restart of guest $2"
  doing "$1" reboot "$2" --timeout 180
}
