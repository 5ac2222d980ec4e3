# ---------------------------------------------------------------- telling

# event KIND [KEY VALUE]...: a line of JSON, with --json. The value of a key that ends in `#` is JSON already.
event() {
  local line
  if [[ -z $json ]]; then
    return 0
  fi
  line="{\"event\":$(json_string "$1")"
  shift
  while (($#)); do
    if [[ $1 == *'#' ]]; then
      line+=",$(json_string "${1%#}"):$2"
    else
      line+=",$(json_string "$1"):$(json_string "$2")"
    fi
    shift 2
  done
  printf '%s}\n' "$line"
}

# line TEXT: for people.
line() {
  if [[ -z $json ]]; then
    printf '%s\n' "$1"
  fi
}

# complain LEVEL TEXT: on standard error, or as an event.
complain() {
  if [[ -n $json ]]; then
    event "$1" text "$2" step "$step"
  else
    printf 'apply.sh: %s\n' "$2" >&2 || true
  fi
}
fail() {
  reported=1
  complain failed "$1"
  exit 1
}
decline() {
  reported=1
  complain refused "$1"
  exit 3
}
misuse() {
  reported=1
  complain usage "$1 (see --help)"
  exit 2
}

# The words of others, for a message: one line of what can be seen, and not much of it.
seen() {
  local text
  text=$(tail -c 4096 -- "$1" 2>/dev/null | tr -c '[:print:]\n' '?' | grep -v '^[[:space:]]*$' | tail -n 3 | paste -sd ' ')
  printf '%s' "${text:0:400}"
}

# ---------------------------------------------------------------- one run

root=${MOXC_ROOT:-}
pve=
state=
runs=
run=
work=
tree=
left=
as_it_is=()
images=()
image_names=' '
restart_names=' '
confirms=()
only=
skip=
restarts=
download=
await=
planned=
undoing=
undo_run=
listing=
network_timeout=120
# Of what a command says the log keeps so much of its beginning.
show_most=262144
step=
step_title=
skipping=
looking=
# Whether the run has its folder, so that there is a way back.
begun=
changes=0
problems=0
reported=
done_steps=()
wanted_names=()
# Lists of a path, a tab and what is known of it, a line each; the first counts.
left_sums=$'\n'
expected_sums=$'\n'
noted=' '
records=()

parse() {
  while (($#)); do
    case $1 in
      --json) json=1 ;;
      --dry-run) dry_run=1 ;;
      --yes) yes=1 ;;
      --download) download=1 ;;
      --await) await=1 ;;
      --list) listing=1 ;;
      --undo)
        undoing=1
        if [[ -n ${2:-} && $2 != -* ]]; then
          undo_run=$2
          shift
        fi
        ;;
      --root | --confirm | --only | --skip | --restart | --as-it-is | --image | --network-timeout)
        if [[ -z ${2:-} ]]; then
          misuse "$1 takes a value"
        fi
        case $1 in
          --root) root=${2%/} ;;
          --confirm) confirms+=("$2") ;;
          --only) only+=,$2, ;;
          --skip) skip+=,$2, ;;
          --restart) restarts+=,$2, ;;
          --as-it-is) as_it_is+=("$2") ;;
          --image)
            if ! [[ $2 =~ ^[A-Za-z0-9][A-Za-z0-9.-]*(/[a-z]+[0-9]+)?=/[A-Za-z0-9/._+-]+$ ]]; then
              misuse '--image takes GUEST=FILE: a path from / on, of letters, digits and ._+-'
            fi
            images+=("$2")
            ;;
          --network-timeout)
            if ! gate number network_timeout "$2" || ((network_timeout < 20)); then
              misuse '--network-timeout takes a number of seconds, at least 20'
            fi
            ;;
        esac
        shift
        ;;
      --help | -h)
        usage
        exit 0
        ;;
      *) misuse "unknown option $1" ;;
    esac
    shift
  done
  if [[ -n $root && ! -d $root ]]; then
    misuse "there is no folder $root"
  fi
  if [[ -n $root ]]; then
    root=$(cd -- "$root" && pwd) || misuse "the folder $root cannot be entered"
    # Its own locks, too: create.sh takes one.
    export MOXC_LOCK_DIR=$root/var/lib/moxc/locks
  fi
  pve=$root/etc/pve
  state=$root/var/lib/moxc
  runs=$state/runs
}

main() {
  program=apply.sh
  parse "$@"
  trap ended EXIT
  work=$(mktemp -d) || fail 'there is no room for temporary files'
  editor_text=$(editor_program)
  if [[ -n $listing ]]; then
    list_runs
    event end
    exit 0
  fi
  if [[ -z $root && $(id -u) != 0 ]]; then
    fail 'only root can do this'
  fi
  for command in perl flock sha256sum timeout; do
    command -v "$command" >/dev/null || fail "the command $command is not there"
  done
  if [[ -z $dry_run ]]; then
    # Only root may see what is kept: there are passwords of storages in it.
    (umask 077 && mkdir -p -- "$runs") || fail "cannot write below $state"
    one_at_a_time
  fi
  if [[ -n $undoing ]]; then
    undo
    exit 0
  fi
  prepare
  look
  if ((changes == 0)); then
    if [[ -z $dry_run ]]; then
      keep_records
      note_pools
      rm -f -- "$state/unfinished"
    fi
    line 'nothing to change'
    event end changes# 0
    exit 0
  fi
  if [[ -n $dry_run ]]; then
    line "$changes changes, none made (--dry-run)"
    event end changes# "$changes"
    exit 0
  fi
  agree
  perform
  line "$changes changes made; to take them back: $(undo_words)"
  event end changes# "$changes" run "${run##*/}"
}

one_at_a_time() {
  exec {lock_fd}>>"$state/lock" || fail "cannot write $state/lock"
  if ! flock --timeout 20 "$lock_fd"; then
    decline 'another run is at it: nothing was done'
  fi
}

editor() { MOXC_PLANNED=$planned perl -e "$editor_text" -- "$@"; }

# prepare: the wanted files, proved, and what earlier runs left, in a folder of our own.
prepare() {
  local here
  # As the files stand in a tree: its scripts look for what is beside them.
  tree=$work/proved/proxmox
  left=$work/left
  mkdir -p -- "$tree" "$left"
  if [[ -n $fresh ]]; then
    here=$(cd -- "$(dirname -- "${BASH_SOURCE[0]:-.}")" && pwd)
    reported=1
    prove_tree "${here%/*}" "$work/proved" proxmox/
    reported=
  else
    bring_files
  fi
  if [[ -e $state/applied.json ]]; then
    editor left "$state/applied.json" "$left" 2>"$work/error" || fail "$(seen "$work/error")"
    local sum path
    while read -r sum path; do
      left_sums+=$path$'\t'$sum$'\n'
    done <"$left/.sums"
  fi
  # An earlier run that was cut off amid the network: it goes back first, and not in the middle of this one.
  if [[ -z $dry_run && -s $state/network-unconfirmed ]]; then
    complain note 'an earlier run left a network that nobody confirmed: it goes back first'
    go_back_first
  elif [[ -z $dry_run && -e $root/etc/systemd/system/moxc-network-back.service ]]; then
    # It was confirmed, and the run was cut off before its guard was taken away.
    drop_guard
  fi
}

# bring PATH MODE TEXT
bring() {
  local file=$tree/$1
  if [[ ! -d ${file%/*} ]]; then
    mkdir -p -- "${file%/*}"
  fi
  printf '%s' "$3" >"$file"
  chmod "$2" -- "$file"
}

# look: every step says what it would do; what is in the way is told, all of it, before anything is touched.
look() {
  local word
  looking=1
  changes=0
  steps
  step=
  for word in ${only//,/ } ${skip//,/ }; do
    if [[ $step_names != *" $word "* ]]; then
      misuse "there is no step \`$word\`; the steps here are:$step_names"
    fi
  done
  for word in ${restarts//,/ }; do
    if [[ $restart_names != *" $word "* ]]; then
      misuse "there is no guest \`$word\` here that could be restarted"
    fi
  done
  for word in "${images[@]%%=*}"; do
    if [[ $image_names != *" $word "* ]]; then
      misuse "there is no NixOS guest \`$word\` here that an image is for"
    fi
  done
  if ((problems)); then
    decline "refused, and nothing was done: $problems of what is above has to be settled first"
  fi
}

agree() {
  if [[ -n $yes ]]; then
    return 0
  fi
  if ! { : </dev/tty; } 2>/dev/null; then
    decline "there is nobody to ask about these $changes changes: say --yes"
  fi
  local answer=
  printf 'Make these %s changes? [y/N] ' "$changes" >/dev/tty
  read -r answer </dev/tty || true
  case $answer in
    y | Y | yes) ;;
    *) decline 'stopped: the answer was no, and nothing was done' ;;
  esac
}

perform() {
  looking=
  begin_run
  local looked=$changes
  changes=0
  # What the look found to be so is found again; the rest is not yet so.
  records=()
  steps
  end_step
  step=
  keep_records
  rm -rf -- "${state:?}/images" "$state/unfinished"
  journal 'done'
  if ((looked && !changes)); then
    changes=$looked
  fi
}

begin_run() {
  local name number=0
  TZ=UTC0 printf -v name '%(%Y%m%dT%H%M%SZ)T' -1
  run=$runs/$name
  while ! (umask 077 && mkdir -- "$run") 2>/dev/null; do
    number=$((number + 1))
    if ((number > 99)); then
      fail "cannot make a folder below $runs"
    fi
    run=$runs/$name-$number
  done
  (umask 077 && mkdir -p -- "$run/saved" && : >"$run/journal" && : >"$run/undo" && : >"$run/output") || fail "cannot write $run: nothing was done"
  if [[ -e $state/applied.json ]]; then
    cp -p -- "$state/applied.json" "$run/applied.json" || fail "cannot write $run: nothing was done"
  fi
  if [[ -e $state/properties ]]; then
    cp -p -- "$state/properties" "$run/properties" || fail "cannot write $run: nothing was done"
  fi
  write_undo "$run/undo.sh"
  journal "begun for $host"
  # A later plan that finds nothing to change knows by it that something may be left to do.
  printf '%s\n' "${run##*/}" >"$state/unfinished" || fail "cannot write $state/unfinished: nothing was done"
  begun=1
  tidy_runs
}

# tidy_runs: the last 20 stay, and of these what is younger than half a year; the newest always.
tidy_runs() {
  local kept=0 folder now since
  printf -v now '%(%s)T' -1
  while IFS= read -r folder; do
    kept=$((kept + 1))
    gate seconds since "$(stat -c %Y -- "$runs/$folder")" || continue
    if ((kept > 20 || kept > 1 && now - since > 15552000)); then
      rm -rf -- "${runs:?}/$folder"
    fi
  done < <(run_names)
}

# run_names: newest first.
run_names() {
  local folder
  for folder in "$runs"/*/; do
    folder=${folder%/}
    folder=${folder##*/}
    if [[ $folder =~ ^[0-9]{8}T[0-9]{6}Z(-[0-9]{1,2})?$ ]]; then
      printf '%s\n' "$folder"
    fi
  done | sort -r -t- -k1,1 -k2,2nr
}

undo_words() { shown bash "$run/undo.sh"; }

# journal TEXT: what happens, before it happens. A disk that is full ends the run here, and not in the middle of a file.
journal() {
  local stamp
  TZ=UTC0 printf -v stamp '%(%Y-%m-%dT%H:%M:%SZ)T' -1
  printf '%s %s %s\n' "$stamp" "${step:--}" "$1" >>"$run/journal" || fail "cannot write $run/journal: nothing more was done"
}

# undoable WORD...: how what comes next is taken back; on disk before it is done.
# Fields that end in NUL, their number first: a note that was cut off is none.
undoable() {
  printf '%s\0' "$#" "$@" >>"$run/undo" || fail "cannot write $run/undo: nothing more was done"
}

# How a run ends that was not told otherwise.
ended() {
  local status=$?
  trap '' INT TERM HUP PIPE
  trap - EXIT ERR
  set +e
  if [[ -n $at_work ]]; then
    # It is ended with all that it has started, before anything else is done.
    kill -TERM "$at_work" 2>/dev/null
    wait "$at_work" 2>/dev/null
  fi
  if [[ $in_network == guarded ]]; then
    drop_guard
  elif [[ -n $in_network ]]; then
    local back=0
    network_back >>"$run/output" 2>&1 || back=$?
    if ((back == 1)); then
      complain failed "the files of the network that worked before could not be put back ($run/network/files): moxc-network-back.service tries it again when the host starts; what happened is in $run/output"
    else
      disarm_timer
      if ((back == 0)); then
        complain failed 'the network that worked before is back'
      else
        complain failed "the files of the network that worked before are back, but \`ifreload -a\` of them failed: what it said is in $run/output"
      fi
    fi
  fi
  if [[ -n $run && -z $begun && -z $undoing && $status != 0 ]]; then
    # Nothing was done, so there is nothing to take back.
    rm -rf -- "${run:?}"
    run=
  fi
  if [[ -z $looking && -n $run && -z $undoing && $status != 0 ]]; then
    if [[ -z $reported ]]; then
      complain failed "stopped in step ${step:--}"
    fi
    keep_records
    if ((${#done_steps[@]})); then
      complain note "done before: ${done_steps[*]}"
    fi
    complain note "mend the cause and run it again: what is done is not done twice. To take back what was done: $(undo_words)"
    journal "ended with $status"
  elif [[ $status != 0 && -z $reported ]]; then
    complain failed "stopped${step:+ in step $step}: what failed has said why; nothing was done"
  fi
  if [[ -n $work ]]; then
    rm -rf -- "$work"
  fi
  if [[ -n $run ]]; then
    rm -f -- "$state"/images/*.part "$state"/images/*.new
  fi
  case $status in
    0 | 2 | 3) exit "$status" ;;
    *) exit 1 ;;
  esac
}

# ---------------------------------------------------------------- steps

# step ID GROUP TITLE: what follows belongs to it.
step() {
  end_step
  step=$1
  step_group=$2
  step_title=$3
  skipping=
  if [[ -n $looking && $step_names != *" $2 "* ]]; then
    step_names+="$2 "
  fi
  if [[ -n $looking && $step_names != *" $1 "* ]]; then
    step_names+="$1 "
  fi
  # A restart is asked for by the guest's name.
  if [[ -n $only && $1 != restart && $only != *,"$1",* && $only != *,"$2",* || $skip == *,"$1",* || $skip == *,"$2",* ]]; then
    skipping=1
  fi
  step_changes=$changes
  printf -v step_began '%(%s)T' -1
}

end_step() {
  local now
  if [[ -z $step || -n $skipping || -n $looking ]]; then
    return 0
  fi
  keep_records
  if ((changes > step_changes)); then
    printf -v now '%(%s)T' -1
    line "  done: $step_title ($((now - step_began)) s)"
    event "done" step "$step" title "$step_title" seconds# "$((now - step_began))"
    done_steps+=("$step")
  fi
}
step_names=' '
step_group=
step_changes=0
step_began=0

# intend TEXT: a change that is about to be made, or would be.
intend() {
  changes=$((changes + 1))
  if [[ -n $looking ]]; then
    line "$step_title: $1"
    event change step "$step" title "$step_title" text "$1"
    return 1
  fi
  journal "$1"
}

# problem TEXT: what is in the way. In the look everything is gone through first.
problem() {
  if [[ -z $looking ]]; then
    fail "$step_title: $1"
  fi
  problems=$((problems + 1))
  complain refused "$step_title: $1"
}

# tell_notes FILE TITLE: what the editor told; fails where something is in the way.
tell_notes() {
  local level text status=0
  while read -r level text; do
    case $level in
      keep)
        if [[ -n $looking || -z $run ]]; then
          complain kept "${2:+$2: }$text"
        fi
        ;;
      absent)
        if [[ -n $looking ]]; then
          complain note "${2:+$2: }$text"
        fi
        ;;
      conflict)
        status=1
        if [[ -n $2 ]]; then
          problem "$text"
        else
          complain refused "$text"
        fi
        ;;
    esac
  done <"$1"
  return "$status"
}

# bounded SECONDS COMMAND...: runs it, and ends it in time with all that it has started. What it says is in $work/output and
# the run's log, the beginning and the end of it. It reads what is in the file `feed`, and writes no file above `file_most` KiB.
bounded() {
  local seconds=$1 status=0
  shift
  journal "$(shown "$@")"
  (
    if [[ -n $file_most ]]; then
      trap '' XFSZ
      ulimit -f "$file_most"
    fi
    exec perl -e "$gate_perl$gate_run" show "$seconds" "$show_most" "$@" {lock_fd}>&-
  ) >"$work/output" 2>&1 <"${feed:-/dev/null}" &
  # A signal is heeded meanwhile.
  at_work=$!
  wait "$at_work" || status=$?
  at_work=
  cat -- "$work/output" >>"$run/output" 2>/dev/null || true
  return "$status"
}
feed=
file_most=
at_work=

# doing COMMAND...: likewise, with the time of its kind, and says which command failed on what, with its own words.
doing() {
  local status=0
  bounded "$(time_of "$@")" "$@" || status=$?
  if ((status)); then
    fail "$step_title: \`$(shown "$@")\` failed ($status): $(seen "$work/output")"
  fi
}

# applied PATH [TEXT]: remembered for later runs: the file's hash, and with a second word its text.
applied() {
  local text=${2:+$tree/$1} own
  for own in "$tree/.own/$1" "$work/noted/$1"; do
    if [[ -n $text && -e $own ]]; then
      text=$own
    fi
  done
  records+=("$1" "$(sha256_of "$tree/$1")" "$text")
}
forgotten() { records+=("$1" - ''); }

keep_records() {
  local at word rows=()
  for ((at = 0; at < ${#records[@]}; at += 3)); do
    known "$left_sums" "${records[at]}"
    word=${records[at + 2]}
    if [[ ${records[at + 1]} == "${is_known:--}" ]] && { [[ -z $word ]] || cmp -s -- "$word" "$left/${records[at]}"; }; then
      continue
    fi
    rows+=("${records[@]:at:3}")
    word=${records[at + 1]}
    left_sums=$'\n'${records[at]}$'\t'${word#-}$left_sums
  done
  records=()
  if ((${#rows[@]} == 0)) || [[ -n $dry_run ]]; then
    return 0
  fi
  mkdir -p -- "$state"
  if editor record "$state/applied.json" "$host" "${rows[@]}" >"$state/applied.json.new" 2>"$work/error"; then
    mv -f -- "$state/applied.json.new" "$state/applied.json"
    for ((at = 0; at < ${#rows[@]}; at += 3)); do
      case ${rows[at]} in
        etc/pve/qemu-server/* | etc/pve/lxc/*) rm -f -- "$state/making/${rows[at]##*/}" ;;
      esac
    done
  else
    rm -f -- "$state/applied.json.new"
    complain failed "cannot write $state/applied.json: $(seen "$work/error")"
    return 1
  fi
}

# known LIST PATH: what the list says of the path, in is_known; nothing where it does not know it.
is_known=
known() {
  local before=${1%%$'\n'"$2"$'\t'*} rest
  is_known=
  if [[ ${#before} != "${#1}" ]]; then
    rest=${1:${#before}+${#2}+2}
    is_known=${rest%%$'\n'*}
  fi
}

sha256_of() {
  local sum
  sum=$(sha256sum -- "$1" 2>/dev/null) || return 1
  sum=${sum#\\}
  printf '%s' "${sum%% *}"
}

# The hash that Proxmox VE itself knows a file by.
sha1_of() {
  local sum
  sum=$(sha1sum -- "$1" 2>/dev/null) || return 1
  sum=${sum#\\}
  printf '%s' "${sum%% *}"
}
