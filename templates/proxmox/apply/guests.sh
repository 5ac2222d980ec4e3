# ---------------------------------------------------------------- guests

# is_ours PATH: whether an earlier run made this guest, or took it over.
is_ours() {
  local path=$1
  known "$left_sums" "$path"
  [[ -n $is_known || -e $state/making/${path##*/} ]]
}

# guest KIND VMID NAME [OPTION VALUE]...: a guest, made where it is missing, changed where it differs. The options are for
# its creation alone, and stand in for those of its file.
guest() {
  local tool=$1 vmid=$2 name=$3 folder path other
  shift 3
  folder=$([[ $tool == pct ]] && printf lxc || printf qemu-server)
  path=etc/pve/$folder/$vmid.conf
  wanted_names+=("$path")
  if [[ -n $skipping ]]; then
    return 0
  fi
  if [[ -e $root/$path ]]; then
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
  make_guest "$tool" "$vmid" "$path" "$@"
}

# foreign_guest KIND VMID NAME
foreign_guest() {
  local file=$pve/qemu-server/$2.conf here
  if [[ $1 == pct ]]; then
    file=$pve/lxc/$2.conf
  fi
  here=$(sed -n -e '/^\[/q' -e 's/^\(name\|hostname\): //p' -- "$file" | head -c 64 | tr -cd 'A-Za-z0-9.-')
  problem "guest $2 ($here) was not made by moxc, and the spec's $2 is $3: it is left alone. Where moxc is, \`--adopt $2\` takes it over; else give the spec's guest another number"
}

make_guest() {
  local tool=$1 vmid=$2 path=$3 arguments=() word
  shift 3
  intend "guest $vmid is made" || {
    if [[ -n $dry_run ]]; then
      line "  $(shown "$tool" create "$vmid" "$@")"
    fi
    return 0
  }
  editor create "$tool" "$tree/$path" >"$work/fields" 2>"$work/error" || fail "$step_title: $(seen "$work/error")"
  while IFS= read -r -d '' word; do
    arguments+=("$word")
  done <"$work/fields"
  create_words "$tool" "$vmid" "$@"
  # On disk first: a guest that this run made and could not note is its own all the same.
  { mkdir -p -- "$state/making" && : >"$state/making/$vmid.conf"; } || fail "cannot write below $state"
  undoable stays "guest $vmid"
  doing "${words_of_create[@]}"
  if [[ $tool == pct ]]; then
    raw "$path"
  fi
  note_guest "$path"
}

# create_words KIND VMID [OPTION VALUE]...: the command, with these in place of what the file says of them.
create_words() {
  local tool=$1 vmid=$2 at key
  local over=' '
  shift 2
  words_of_create=("$tool" create "$vmid")
  if [[ $tool == pct ]]; then
    words_of_create+=("$1")
    shift
  fi
  for ((at = 1; at <= $#; at += 2)); do
    over+="${*:at:1} "
  done
  for ((at = 0; at < ${#arguments[@]}; at += 2)); do
    key=${arguments[at]}
    if [[ $over != *" $key "* ]]; then
      words_of_create+=("$key" "${arguments[at + 1]}")
    fi
  done
  words_of_create+=("$@")
}

note_guest() {
  applied "$1" text
  keep_records
  rm -f -- "$state/making/${1##*/}"
}

# options KIND VMID PATH WANT: the options that differ, in one command, and how to set them back.
options() {
  local tool=$1 vmid=$2 path=$3 want=$4 word fields=() arguments=() back=() deleted='' added='' raw='' stays='' at=0 grown=()
  editor guest "$tool" "$root/$path" "$want" "$left/$path" >"$work/fields" 3>"$work/told" 2>"$work/error" ||
    fail "$step_title: $(seen "$work/error")"
  tell_notes "$work/told" "$step_title" || return 0
  while IFS= read -r -d '' word; do
    fields+=("$word")
  done <"$work/fields"
  while ((at < ${#fields[@]})); do
    local key=${fields[at + 1]} value=${fields[at + 2]}
    if [[ $key == lxc ]]; then
      raw=1
      at=$((at + 3))
      if [[ ${fields[at - 3]} == set ]]; then
        at=$((at + 1))
      fi
      continue
    fi
    case ${fields[at]} in
      set)
        arguments+=("--$key" "${fields[at + 3]}")
        back+=("--$key" "$value")
        at=$((at + 4))
        ;;
      add)
        arguments+=("--$key" "$value")
        added+=,$key
        at=$((at + 3))
        ;;
      delete)
        deleted+=,$key
        back+=("--$key" "$value")
        at=$((at + 3))
        ;;
      volume)
        arguments+=("--$key" "$value")
        stays+=" the new volume of $key;"
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
  if ((${#arguments[@]} + ${#grown[@]})) || [[ -n $raw ]]; then
    is_as_planned "$path" || return 0
  fi
  if ((${#arguments[@]})) && intend "$(shown "$tool" set "$vmid" "${arguments[@]}")"; then
    keep_guest "$path" "$stays"
    if ((${#back[@]})); then
      undoable run "$tool" set "$vmid" "${back[@]}"
    fi
    doing "$tool" set "$vmid" "${arguments[@]}"
  fi
  set -- "${grown[@]}"
  while (($#)); do
    if intend "$(shown "$tool" resize "$vmid" "$1" "$2")"; then
      keep_guest "$path" "$stays"
      undoable stays "guest $vmid: the size of $1"
      doing "$tool" resize "$vmid" "$1" "$2"
    fi
    shift 2
  done
  if [[ -n $raw ]] && intend "guest $vmid: its raw lines change"; then
    keep_guest "$path" "$stays"
    raw "$path"
  fi
  if [[ -e $tree/$path ]]; then
    applied "$path" text
  fi
}

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

# raw PATH: `lxc.` lines, which pct itself cannot set.
raw() {
  local lines
  lines=$(sed -n -e '/^\[/q' -e '/^lxc\./p' -- "$tree/$1")
  editor raw "$root/$1" "$lines" >"$work/merged" 2>"$work/error" || fail "$step_title: $(seen "$work/error")"
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
  options "$1" "$2" "$path" "items:$tree/$3"
}

# image VOLUME VMID [TEMPLATE]: what a guest is made from is there before the first guest is made; a template of Proxmox VE's
# own list is fetched where asked.
image() {
  local volume=$1 vmid=$2 store=${1%%:*} path
  if [[ -n $skipping || -e $pve/qemu-server/$vmid.conf || -e $pve/lxc/$vmid.conf ]]; then
    return 0
  fi
  path=$(timeout 60 pvesm path "$volume" 2>/dev/null </dev/null | head -c 4096) || path=
  if [[ $path == /* && -e $root$path ]]; then
    return 0
  fi
  if [[ -n $download && $volume == *:vztmpl/* ]]; then
    if intend "$(shown pveam download "$store" "${volume#*:vztmpl/}")"; then
      undoable stays "the template $volume"
      doing pveam download "$store" "${volume#*:vztmpl/}"
    fi
    return 0
  fi
  # A storage that this very run makes holds nothing yet.
  if [[ -n $looking && $path != /* ]]; then
    line "$step_title: guest $vmid needs $volume, whose storage is not there yet"
    return 0
  fi
  if [[ $volume == *:vztmpl/* ]]; then
    problem "guest $vmid needs the template $volume, which is not there: put it there, or say --download for one of \`pveam available\`"
  else
    problem "guest $vmid needs the image $volume, which is not there: put it there"
  fi
}

# restart_guest KIND VMID NAME: where --restart names it and it runs. From inside a guest, a restart changes nothing.
restart_guest() {
  if [[ -n $skipping || $restarts != *,"$2",* && $restarts != *,"$3",* ]]; then
    return 0
  fi
  if ! timeout 60 "$1" status "$2" 2>/dev/null </dev/null | grep -q '^status: running'; then
    return 0
  fi
  intend "guest $2 ($3) is restarted" || return 0
  undoable stays "the restart of guest $2"
  doing "$1" reboot "$2" --timeout 180
}
