# ---------------------------------------------------------------- the way back of a run

# write_undo FILE: a script of its own, which takes back what this run did. It needs nothing but its folder.
write_undo() {
  {
    printf '#!/bin/bash\n# Takes back the run %s: undo.sh [--dry-run] [--yes] [--json]\n{\n' "${run##*/}"
    printf 'set -Eeuo pipefail\nexport LC_ALL=C\numask 022\n'
    printf 'program=undo.sh dry_run= yes= json= confirmed= changes=0 lock_fd=9\n'
    printf 'root=%q pve=%q state=%q runs=%q host=%q\n' "$root" "$pve" "$state" "$runs" "$host"
    printf 'editor_text=%q\n' "$editor_text"
    declare -p gate_perl gate_run gate_prove hear_seconds hear_most show_most list_most message_most
    printf '%s\n' 'planned= work= run= tree= left= as_it_is=() confirms=() only= skip= restarts= download= await= undoing=1 listing=' \
      "undo_run=${run##*/} fresh= network_timeout=120 step= step_title= skipping= looking= begun= problems=0 reported= in_network=" \
      'step_names= step_group= step_changes=0 step_began=0 done_steps=() wanted_names=() records=() renames=()' \
      "left_sums=\$'\n' expected_sums=\$'\n' noted=' ' undone_paths=\$'\n' as_left=\$'\n' is_known= armed=0 staying=()" \
      'notes=() notes_at=() notes_long=() network_paths=() feed= file_most= at_work='
    declare -f
    printf '%s\n' 'usage() { printf "usage: undo.sh [--dry-run] [--yes] [--json]\n"; }' \
      'editor_program() { printf %s "$editor_text"; }' \
      'main "$@" --undo '"${run##*/}" 'exit' '}'
  } >"$1" || fail "cannot write $run: nothing was done"
}

list_runs() {
  local name about
  while IFS= read -r name; do
    about=
    if [[ -e $runs/$name/undone ]]; then
      about=' (taken back)'
    fi
    line "$name$about"
    event run run "$name" undone# "$([[ -n $about ]] && printf true || printf false)"
  done < <(run_names)
}

# undo: everything that the run noted, the last first. What somebody changed since is not overwritten: it is told, and then
# nothing is done.
undo() {
  local name at pass before start long
  if [[ -n $undo_run ]]; then
    if [[ ! $undo_run =~ ^[0-9]{8}T[0-9]{6}Z(-[0-9]{1,2})?$ || ! -d $runs/$undo_run ]]; then
      decline "there is no run $undo_run; --list shows those that are there"
    fi
    run=$runs/$undo_run
  else
    while IFS= read -r name; do
      if [[ ! -e $runs/$name/undone ]]; then
        run=$runs/$name
        break
      fi
    done < <(run_names)
    if [[ -z $run ]]; then
      decline 'there is no run to take back'
    fi
  fi
  if [[ -e $run/undone ]]; then
    line "${run##*/} is taken back already"
    event end changes# 0
    return 0
  fi
  step=undo
  step_title="undo of ${run##*/}"
  looking=1
  # What it left is known, and what this one found is known no longer.
  while IFS= read -r name; do
    if [[ -s $runs/$name/undo && ! -e $runs/$name/undone && $name != "${run##*/}" && $name > ${run##*/} ]]; then
      problem "the run $name came later: take it back first (--undo $name)"
    fi
  done < <(run_names)
  if [[ -z $dry_run && $problems == 0 && -s $state/network-unconfirmed ]]; then
    go_back_first
  fi
  read_notes
  for pass in look act; do
    looking=
    if [[ $pass == look ]]; then
      looking=1
    fi
    network_paths=()
    undone_paths=$'\n'
    staying=()
    changes=0
    for ((at = ${#notes_at[@]} - 1; at >= 0; at--)); do
      must number start "${notes_at[at]}" 'a note'
      must number long "${notes_long[at]}" 'a note'
      undo_note "${notes[@]:start:long}"
    done
    undo_after
    if [[ $pass == act ]]; then
      # The guard of the network had its unit in one of them.
      for ((at = ${#notes_at[@]} - 1; at >= 0; at--)); do
        must number start "${notes_at[at]}" 'a note'
        if [[ ${notes[start]} == folder ]]; then
          undo_folder "${notes[start + 1]}"
        fi
      done
      break
    fi
    before=$changes
    if [[ $problems != 0 ]]; then
      decline "refused, and nothing was done: $problems of what is above has to be settled first"
    fi
    if [[ -n $dry_run ]]; then
      line "$changes changes, none made (--dry-run)"
      event end changes# "$changes"
      return 0
    fi
    if ((changes)); then
      agree
    fi
  done
  if [[ -e $state/applied.json ]]; then
    editor left "$state/applied.json" "$work/known" 2>"$work/error" || fail "$(seen "$work/error")"
  fi
  if [[ -e $run/applied.json ]]; then
    { cp -p -- "$run/applied.json" "$state/applied.json.new" && mv -f -- "$state/applied.json.new" "$state/applied.json"; } ||
      fail "cannot write $state/applied.json: the run is taken back, and not noted so"
  else
    rm -f -- "$state/applied.json"
  fi
  keep_staying
  if [[ -e $run/properties ]]; then
    { cp -p -- "$run/properties" "$state/properties.new" && mv -f -- "$state/properties.new" "$state/properties"; } ||
      fail "cannot write $state/properties: the run is taken back, and not noted so"
  else
    rm -f -- "$state/properties"
  fi
  : >"$run/undone" || fail "cannot write $run"
  rm -f -- "$state/unfinished"
  line "${run##*/} is taken back: $before changes"
  event end undone "${run##*/}" changes# "$before"
}

# read_notes: what `undoable` wrote.
notes=() notes_at=() notes_long=()
read_notes() {
  local word long start
  notes=() notes_at=() notes_long=()
  while IFS= read -r -d '' word; do
    gate number long "$word" || fail "$run/undo cannot be read"
    start=${#notes[@]}
    while ((long > 0)) && IFS= read -r -d '' word; do
      notes+=("$word")
      long=$((long - 1))
    done
    if ((long > 0)); then
      break
    fi
    notes_at+=("$start")
    notes_long+=("$((${#notes[@]} - start))")
  done <"$run/undo"
}

# undo_note WORD...
undo_note() {
  case ${1:-} in
    file) undo_file "${@:2}" ;;
    folder) undo_folder "$2" ;;
    config) undo_config "$2" ;;
    raw) undo_raw "$2" ;;
    property) undo_property "${@:2}" ;;
    enable | disable | start | stop) undo_unit "$@" ;;
    run) undo_command "${@:2}" ;;
    stays)
      if [[ $2 =~ ^guest\ ([1-9][0-9]{2,8})$ ]]; then
        undo_making "${BASH_REMATCH[1]}"
      elif [[ -n $looking ]]; then
        complain stays "$2 stays"
      fi
      ;;
    making | made) undo_made "$@" ;;
    volume) undo_volume "$2" "$3" ;;
    size) undo_size "$2" "$3" ;;
    network) ;;
    *) problem "the note \`${1:-}\` is not known: this undo.sh is of another moxc" ;;
  esac
}

# undo_made making|made WHAT: what a run has begun to make, and what it has made, which is noted later and so read first.
undo_made() {
  if [[ $1 == made ]]; then
    made_notes+=$2$'\n'
    [[ -z $looking ]] || complain stays "$2 stays"
  elif [[ -n $looking && $made_notes != *$'\n'"$2"$'\n'* ]]; then
    complain stays "$2 may be there: the run ended before that was done"
  fi
}
made_notes=$'\n'

# undo_making VMID: a guest that the run made stays, and is known as ours in later runs, too.
undo_making() {
  local path
  for path in "etc/pve/qemu-server/$1.conf" "etc/pve/lxc/$1.conf"; do
    if [[ ! -e $root/$path ]]; then
      continue
    fi
    if [[ -n $looking ]]; then
      complain stays "guest $1 stays"
    else
      staying+=("$path")
    fi
  done
}
staying=()

# keep_staying: what is known of them is kept beside what the run found; of one that was cut off amid its making nothing is.
keep_staying() {
  local path sum
  for path in "${staying[@]}"; do
    sum=
    if [[ -e $work/known/.sums ]]; then
      sum=$(awk -v path="$path" 'substr($0, 67) == path { print $1 }' "$work/known/.sums")
    fi
    if [[ -n $sum && -e $work/known/$path ]]; then
      records+=("$path" "$sum" "$work/known/$path")
    else
      mark "$path" "$(name_in "$root/$path")"
    fi
  done
  keep_records
}

# undo_volume PATH KEY, undo_size PATH KEY: what came of a command that made a volume, or a larger one.
undo_volume() {
  if [[ -n $looking && -e $root/$1 && -n $(option_in "$root/$1" "$2") && -z $(option_in "$run/saved/$1" "$2") ]]; then
    complain stays "guest $(basename -- "$1" .conf): the new volume of $2 stays"
  fi
}
undo_size() {
  local size=',size=([^,]*)' now was=
  if [[ -z $looking || ! -e $root/$1 || ! -e $run/saved/$1 ]]; then
    return 0
  fi
  now=$(option_in "$root/$1" "$2")
  if ! [[ $now =~ $size ]]; then
    return 0
  fi
  now=${BASH_REMATCH[1]}
  if [[ $(option_in "$run/saved/$1" "$2") =~ $size ]]; then
    was=${BASH_REMATCH[1]}
  fi
  if [[ $now != "$was" ]]; then
    complain stays "guest $(basename -- "$1" .conf): the size of $2 stays"
  fi
}

# option_in FILE KEY: an option of a guest that is in force.
option_in() { sed -n -e '/^\[/q' -e "s/^$2: //p" -- "$1" 2>/dev/null | head -c 4096; }

# undo_file PATH AFTER
undo_file() {
  local path=$1 after=$2 saved=$run/saved/$1 now=- was=-
  if [[ -e $root/$path ]]; then
    now=$(sha256_of "$root/$path")
  fi
  if [[ -e $saved ]]; then
    was=$(sha256_of "$saved")
  fi
  case $path in
    # Those are switched together, under guard, as they were before.
    etc/network/interfaces | etc/systemd/network/*.link)
      if [[ $now != "$was" ]]; then
        if [[ $now != "$after" ]]; then
          problem "/$path was changed since"
        fi
        network_paths+=("$path")
      fi
      return 0
      ;;
  esac
  if [[ $now == "$was" ]]; then
    if [[ $was != - && $path != etc/pve/* && $(stat -c %a -- "$saved") != "$(stat -c %a -- "$root/$path")" ]] && intend "the mode of /$path comes back"; then
      doing chmod --reference="$saved" -- "$root/$path"
    fi
    return 0
  fi
  # A file that a run changed twice: only its last state is told apart, and that comes first here.
  if [[ $now != "$after" && $undone_paths != *$'\n'"$path"$'\n'* ]]; then
    problem "/$path was changed since"
    return 0
  fi
  undone_paths+=$path$'\n'
  note_change "$path"
  intend "/$path comes back" || return 0
  if [[ $was == - ]]; then
    retire_unit_back "$path"
    rm -f -- "$root/$path" || fail "cannot remove $root/$path"
  else
    place "$saved" "$path" "$(stat -c %a -- "$saved")"
    touch -r "$saved" -- "$root/$path" 2>/dev/null || true
  fi
}
undone_paths=$'\n'

# A unit that came goes again.
retire_unit_back() {
  case $1 in
    etc/systemd/system/*@.* | etc/systemd/system/*/*) ;;
    etc/systemd/system/*)
      if is_unit enabled "${1##*/}"; then
        doing systemctl disable -- "${1##*/}"
      fi
      ;;
  esac
}

undo_folder() {
  if [[ -d $root/$1 && -z $(ls -A -- "$root/$1" 2>/dev/null) ]] && [[ -z $looking ]]; then
    rmdir -- "$root/$1" || true
  fi
}

# undo_command WORD...: options of a guest are set back where they are as the run left them.
undo_command() {
  local path='' word keys=()
  case "$1 $2" in
    'qm set') path=etc/pve/qemu-server/$3.conf ;;
    'pct set') path=etc/pve/lxc/$3.conf ;;
  esac
  if [[ -n $path ]]; then
    if [[ ! -e $root/$path ]]; then
      if [[ -n $looking ]]; then
        complain stays "guest $3 is gone, and stays so"
      fi
      return 0
    fi
    editor changed "$root/$path" "$run/after/$path" "${@:4}" >"$work/fields" 2>"$work/error" || fail "$step_title: $(seen "$work/error")"
    while IFS= read -r -d '' word; do
      keys+=("$word")
    done <"$work/fields"
    if [[ ${keys[0]:-} == back ]]; then
      return 0
    fi
    if [[ -n $looking ]]; then
      for word in "${keys[@]}"; do
        problem "$word of guest $3 was changed since"
      done
    fi
  fi
  if intend "$(shown "$@")"; then
    doing "$@"
  fi
}

# undo_config PATH: a guest's configuration, byte for byte, where nobody has changed it since: its options are back by commands
# already.
as_left=$'\n'
undo_config() {
  if [[ ! -e $run/saved/$1 || ! -e $root/$1 ]]; then
    return 0
  fi
  if [[ -n $looking ]]; then
    if cmp -s -- "$run/after/$1" "$root/$1"; then
      as_left+=$1$'\n'
    fi
    return 0
  fi
  if cmp -s -- "$run/saved/$1" "$root/$1"; then
    return 0
  fi
  if [[ $as_left == *$'\n'"$1"$'\n'* || $(editor same "$root/$1" "$run/saved/$1" 2>/dev/null) == same ]]; then
    place "$run/saved/$1" "$1" 640
  fi
}

# undo_raw PATH: the raw lines of a container, which no command sets, where they are as the run left them.
undo_raw() {
  local fields=() raw=() word at=0 after=$run/after/$1
  if [[ ! -e $run/saved/$1 || ! -e $root/$1 ]]; then
    return 0
  fi
  if [[ ! -e $after ]]; then
    after=$root/$1
  fi
  editor back "$root/$1" "$run/saved/$1" "$after" >"$work/fields" 3>"$work/told" 2>"$work/error" || fail "$step_title: $(seen "$work/error")"
  tell_notes "$work/told" "raw lines of /$1" || true
  while IFS= read -r -d '' word; do
    fields+=("$word")
  done <"$work/fields"
  while ((at < ${#fields[@]})); do
    raw_field "${fields[@]:at:4}"
    at=$((at + 3))
    if [[ ${fields[at - 3]} == set ]]; then
      at=$((at + 1))
    fi
  done
  if ((${#raw[@]})) && intend "the raw lines of /$1 come back"; then
    raw "$1" "${raw[@]}"
  fi
}

# undo_property PROGRAM DATASET NAME VALUE SOURCE [AFTER]: AFTER is what the run set, where it is known.
undo_property() {
  local now
  now=$(timeout -k 5 60 "$1" get -Hp -o value "$3" "$2" 2>/dev/null </dev/null | head -c 4096) || now=
  if [[ $now == "$4" ]]; then
    return 0
  fi
  if [[ -n $looking && -n ${6:-} && $now != "$6" ]]; then
    problem "$3 of $2 was changed since: it is \`$now\`"
    return 0
  fi
  if [[ $1 == zfs && $5 != local && $5 != received ]]; then
    if intend "$(shown zfs inherit "$3" "$2")"; then
      doing zfs inherit "$3" "$2"
    fi
  elif intend "$(shown "$1" set "$3=$4" "$2")"; then
    doing "$1" set "$3=$4" "$2"
  fi
}

# undo_unit enable|disable|start|stop UNIT: to be done now.
undo_unit() {
  local on=1
  case $1 in
    enable) if is_unit enabled "$2"; then return 0; fi ;;
    disable) if ! is_unit enabled "$2"; then return 0; fi ;;
    start) if is_unit active "$2"; then return 0; fi ;;
    stop) if ! is_unit active "$2"; then return 0; fi ;;
  esac
  if intend "$(shown systemctl "$1" "$2")"; then
    doing systemctl "$1" -- "$2"
  fi
}

# undo_after: what the files that came back ask for; the network last, under guard again.
undo_after() {
  local first=$run path mac old new
  local -a gateways=() addresses=()
  reload
  boot
  if ((${#network_paths[@]} == 0)); then
    return 0
  fi
  if ! intend "the network goes back (${network_paths[*]}), guarded"; then
    return 0
  fi
  renames=()
  if [[ -s $run/network/names ]]; then
    while read -r mac old new; do
      if [[ $(card_of "$mac") == "$new" ]]; then
        renames+=("$mac $new $old")
      fi
    done <"$run/network/names"
  fi
  # The guard keeps what is there now, in a run of its own.
  begin_undo_run
  switch_network "$first/saved" "${network_paths[@]}"
  run=$first
}

begin_undo_run() {
  run=$run/undo-network
  rm -rf -- "$run"
  (umask 077 && mkdir -p -- "$run/saved" && : >"$run/journal" && : >"$run/undo" && : >"$run/output") || fail "cannot write $run"
}
