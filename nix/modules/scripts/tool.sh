# What every script of moxc shares. The gate and it stand in front of each of them, so that each is one file that needs no
# other.
#
# Exit status of every tool:
#   0  done, or nothing to do
#   1  failed, at least in part: what could be done was done, and the rest is told
#   2  wrong usage: nothing was done
#   3  a person has to decide or to mend: refused, not confirmed, or in a state that no tool can leave by itself
#   4  busy: another run or another program is at it: later is better
#   5  done, and found something that a person should look at
# and 128 + the number of the signal where one ended it.
#
# A tool defines `usage` (its own part of --help) and `option NAME` (its own options; `value VAR` takes an option's value;
# fails where it does not know the option), then calls `begin "$@"`, which leaves the rest of its words in `operands`.
# From there on it changes things by `run`, tells by `say`, `warn`, `failed`, `busy` and `found`, and adds to the closing
# summary by `count`. Falling off its end is its success: the summary, and the worst status of what was told, come by
# themselves. A script with words of its own for all this (apply.sh, create.sh) takes the functions and leaves out `begin`.
#
# shellcheck shell=bash
set -Eeuo pipefail
export LC_ALL=C
umask 022

program=${0##*/}
dry_run=
yes=
json=
confirmed=
changes=0
operands=()

# ---------------------------------------------------------------- telling

# A message holds what came from outside: no more of it than this, and nothing that a terminal would obey.
message_most=16384

# log LEVEL MESSAGE [KEY VALUE]...: one object of the JSON log. The value of a key that ends in `#` is JSON already.
log() {
  local line stamp
  TZ=UTC0 printf -v stamp '%(%Y-%m-%dT%H:%M:%SZ)T' -1
  line="{\"time\":\"$stamp\",\"tool\":$(json_string "$program"),\"level\":\"$1\",\"message\":$(json_string "$2")"
  shift 2
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

# say MESSAGE [KEY VALUE]...: the keys are for the JSON log alone.
say() {
  if [[ -n $json ]]; then
    log info "$@"
  else
    printf '%s\n' "$(text_of "$1" "$message_most")"
  fi
}

# tell LEVEL MESSAGE [KEY VALUE]...: what went wrong or may.
tell() {
  if [[ -n $json ]]; then
    log "$@"
  else
    printf '%s: %s\n' "$program" "$(text_of "$2" "$message_most")" >&2
  fi
}
warn() { tell warning "$@"; }

# The worst that was told so far; a status of the table above.
worst=0
worse() {
  local order='3 1 4 5 0'
  if [[ ${order%%"$1"*} < ${order%%"$worst"*} ]]; then
    must status worst "$1" 'a status'
  fi
}

# What did not work, was left out since something else is at it, or wants a look: told at once and again in the summary,
# with the run going on.
told=()
failed() {
  tell error "$@"
  told+=("$1")
  worse 1
}
busy() {
  tell warning "$@"
  told+=("$1")
  worse 4
}
found() {
  tell warning "$@"
  told+=("$1")
  worse 5
}

# The run ends here.
die() {
  tell error "$@"
  exit 1
}
refuse() {
  tell error "$@"
  exit 3
}
later() {
  tell warning "$@"
  exit 4
}
wrong_usage() {
  tell error "$1 (see --help)"
  exit 2
}

# count WHAT [NUMBER]: something of the closing summary.
counted=()
count_of=()
count() {
  local more so_far place
  must number more "${2:-1}" 'a count'
  for ((place = 0; place < ${#counted[@]}; place++)); do
    if [[ ${counted[place]} == "$1" ]]; then
      break
    fi
  done
  must number so_far "${count_of[place]:-0}" 'a count'
  counted[place]=$1
  count_of[place]=$((so_far + more))
}

# ---------------------------------------------------------------- doing

# shown WORD...: a command line to read, and to copy.
shown() {
  local word line=''
  for word; do
    if [[ $word =~ ^[A-Za-z0-9_./:@%+,=-]+$ ]]; then
      line+=" $word"
    else
      line+=" ${word@Q}"
    fi
  done
  text_of "${line# }" "$message_most"
}

# announce COMMAND...: shows a command that is about to run, or would.
announce() {
  local words='' word trial=false
  changes=$((changes + 1))
  if [[ -z $json ]]; then
    printf '  %s\n' "$(shown "$@")"
    return 0
  fi
  if [[ -n $dry_run ]]; then
    trial=true
  fi
  for word; do words+=,$(json_string "$word"); done
  log run "$(shown "$@")" command# "[${words#,}]" dry_run# "$trial"
}

# run COMMAND...: runs what changes something, and shows it; with --dry-run shows it only. What the command writes becomes
# lines of the JSON log, so there a function that is run sets no variables for its caller.
run() {
  local line doing=show
  announce "$@"
  if [[ -n $dry_run ]]; then
    return 0
  fi
  # A function asks and shows by itself.
  if declare -F -- "$1" >/dev/null; then
    doing=
  fi
  if [[ -z $json ]]; then
    $doing "$@"
    return
  fi
  { $doing "$@" 2>&1; } | while IFS= read -r line || [[ -n $line ]]; do
    log output "$line" command "$1"
  done
}

# attempt COMMAND...: as `run`, for a tool that answers to what the command says: that is in $said, and in $reason its last
# line, both cleaned. It may take its time.
said=
reason=
attempt() {
  local done_well=1
  announce "$@"
  said='' reason=''
  if [[ -n $dry_run ]]; then
    return 0
  fi
  gate_hear "$(time_of "$@")" "$hear_most" "$@" || done_well=
  said=$(lines_of "$heard"$'\n'"$heard_err")
  reason=$(last_line "$said")
  [[ -n $done_well ]]
}

# ask QUESTION: goes on after a yes; --yes says it beforehand, --dry-run has nothing to ask.
ask() {
  local answer=
  if [[ -n $yes || -n $dry_run ]]; then
    return 0
  fi
  if ! { : </dev/tty; } 2>/dev/null; then
    refuse "$1 There is nobody to ask: say --yes"
  fi
  printf '%s [y/N] ' "$(text_of "$1" "$message_most")" >/dev/tty
  read -r answer </dev/tty || true
  case $answer in
    y | Y | yes) ;;
    *) refuse 'stopped: the answer was no' ;;
  esac
}

# confirm NAME WHAT: before data is destroyed, its name has to be typed, or said by --confirm. --yes is not enough.
confirm() {
  local answer=
  if [[ -n $dry_run || $confirmed == "$1" ]]; then
    return 0
  fi
  if [[ -n $confirmed ]]; then
    refuse "$2: --confirm says $confirmed and not $1"
  fi
  if ! { : </dev/tty; } 2>/dev/null; then
    refuse "$2: there is nobody to ask, so it wants --confirm $(shown "$1")"
  fi
  printf '%s. Type %s to go on: ' "$(text_of "$2" "$message_most")" "$(text_of "$1")" >/dev/tty
  read -r answer </dev/tty || true
  if [[ $answer != "$1" ]]; then
    refuse 'stopped: that was another name'
  fi
}

# know_node: this machine's name in Proxmox VE, which is its own up to the first dot, in $node.
know_node() {
  gate_hear "$hear_seconds" 1024 uname -n || die "the name of this machine is not told: $(last_line "$heard_err")"
  must name node "${heard%%.*}" 'the name of this machine'
}

need() {
  local command
  for command; do
    command -v "$command" >/dev/null || die "the command $command is not there"
  done
}

# grub_reads POOL: whether GRUB itself reads the pool that the host runs from. It does where no tool copies the kernels to a
# partition of the firmware's (proxmox-boot-tool), and it knows nothing of zstd: once a block is written so, nothing starts.
grub_reads() {
  [[ ! -s $root/etc/kernel/proxmox-boot-uuids ]] && hear findmnt --noheadings --output SOURCE / && [[ ${heard%%/*} == "$1" ]]
}

# ---------------------------------------------------------------- one run

# Where the files of the system lie; another place is for trials.
root=${MOXC_ROOT:-}
# Where locks are; another place is for trials.
lock_dir=${MOXC_LOCK_DIR:-/run/lock/moxc}
lock_timeout=600
# lock [NAME]: only one run of a tool, or of what shares NAME, at a time. The kernel lets go when the run ends, however
# it ends. A trial changes nothing and waits for nobody.
lock() {
  local file=$lock_dir/${1:-$program}.lock
  if [[ -n $dry_run ]]; then
    return 0
  fi
  need flock
  mkdir -p -- "$lock_dir" 2>/dev/null || die "cannot write $file: only root can do this"
  # Anybody may make a folder in Debian's /run/lock, with links in it to what root would then write.
  if [[ -L $lock_dir || ! -O $lock_dir ]]; then
    die "$lock_dir is somebody else's: remove it"
  fi
  { exec {lock_fd}>>"$file"; } 2>/dev/null || die "cannot write $file: only root can do this"
  if flock --nonblock "$lock_fd"; then
    return 0
  fi
  say "another run holds $file: waiting, at most $lock_timeout seconds"
  if ! flock --timeout "$lock_timeout" "$lock_fd"; then
    later 'another run is still at it: nothing was done'
  fi
}

# unlock: lets others in before the end.
unlock() {
  if [[ $lock_fd != 9 ]]; then
    exec {lock_fd}>&-
    lock_fd=9
  fi
}

# at_exit FUNCTION: runs when the tool ends, however it ends; the last one named comes first.
cleanups=()
at_exit() { cleanups=("$1" "${cleanups[@]}"); }

shared_options() {
  cat <<'END'

Every tool of moxc takes:
  --dry-run         shows what would be done, and changes nothing
  --yes             asks nothing
  --confirm NAME    the name that has to be typed before data is destroyed
  --json            one JSON object a line instead of text
  --lock-timeout N  how many seconds to wait for another run (600)
  --help            shows this

Exit status: 0 done or nothing to do; 1 failed, at least in part; 2 wrong usage; 3 a person has to decide or to mend;
4 busy, try later; 5 done, and found something that a person should look at.
END
}

words=()
at=0
inline=
has_inline=

# value VAR: the value of the option at hand.
value() {
  if [[ -n $has_inline ]]; then
    has_inline=
    printf -v "$1" '%s' "$inline"
    return 0
  fi
  if ((at + 1 >= ${#words[@]})); then
    wrong_usage "${words[at]} takes a value"
  fi
  at=$((at + 1))
  printf -v "$1" '%s' "${words[at]}"
}

# number VAR: a value that is a whole number.
number() {
  local name=${words[at]%%=*} number_read
  value number_read
  if [[ ! $number_read =~ ^(0|[1-9][0-9]{0,8})$ ]]; then
    wrong_usage "$name takes a whole number, not $number_read"
  fi
  printf -v "$1" '%s' "$number_read"
}

# typed VAR KIND: a value of a kind of the gate.
typed() {
  local name=${words[at]%%=*} typed_read
  value typed_read
  if ! gated "$2" "$typed_read"; then
    wrong_usage "$name takes a $2, not $typed_read"
  fi
  printf -v "$1" '%s' "$typed_read"
}

# one_of VAR WORD...: a value that is one of these words.
one_of() {
  local variable=$1 name=${words[at]%%=*} word_read word
  shift
  value word_read
  for word; do
    if [[ $word_read == "$word" ]]; then
      printf -v "$variable" '%s' "$word"
      return 0
    fi
  done
  wrong_usage "$name takes one of $*, not $word_read"
}

begin() {
  local word
  words=("$@")
  # Before anything can go wrong, so that what goes wrong is told as asked for.
  for word; do
    case $word in
      --) break ;;
      --json) json=1 ;;
    esac
  done
  for ((at = 0; at < ${#words[@]}; at++)); do
    word=${words[at]}
    has_inline=
    if [[ $word == --?*=* ]]; then
      inline=${word#*=} has_inline=1 word=${word%%=*}
    fi
    case $word in
      --dry-run) dry_run=1 ;;
      --yes) yes=1 ;;
      --confirm) value confirmed ;;
      --json) ;;
      --lock-timeout) number lock_timeout ;;
      --help | -h)
        usage
        shared_options
        exit 0
        ;;
      --)
        operands+=("${words[@]:at+1}")
        break
        ;;
      -?*) option "$word" || wrong_usage "unknown option $word" ;;
      *) operands+=("$word") ;;
    esac
    if [[ -n $has_inline ]]; then
      wrong_usage "$word takes no value"
    fi
  done
  trap 'stopped_by=$BASH_COMMAND' ERR
  trap closing EXIT
  trap 'exit 129' HUP
  trap 'exit 130' INT
  trap 'exit 143' TERM
}

# The closing summary.
stopped_by=
closing() {
  local status=$? cleanup what place list='' counts='' problems='' trial=false
  trap - ERR
  trap '' HUP INT TERM
  set +e
  for cleanup in "${cleanups[@]}"; do "$cleanup"; done
  if ((status == 0)); then
    status=$worst
  elif ((status < 129)) && [[ -n $stopped_by ]] || ((status > 143)); then
    # Whatever a command's own status was, it is not one of ours.
    tell error "stopped by: $stopped_by"
    status=1
  fi
  for ((place = 0; place < ${#counted[@]}; place++)); do
    list+=", ${counted[place]}: ${count_of[place]}"
    counts+=,$(json_string "${counted[place]}"):${count_of[place]}
  done
  for what in "${told[@]}"; do problems+=,$(json_string "$what"); done
  what=${list#, }
  if [[ -z $what ]]; then
    if ((changes)) && ((status == 0 || status == 5)); then
      what="changes: $changes"
    elif ((changes)) && [[ -z $dry_run ]]; then
      what="not finished, commands run: $changes"
    elif ((status > 128)); then
      what='nothing was finished'
    elif ((status)); then
      what='nothing was done'
    else
      what='nothing to do'
    fi
  fi
  if [[ -n $dry_run ]]; then
    what+=' (--dry-run: nothing was changed)' trial=true
  fi
  case $status in
    0) what="done: $what" ;;
    1) what="failed: $what" ;;
    2) what='wrong usage: nothing was done' ;;
    3) what="needs a person: $what" ;;
    4) what="busy: $what" ;;
    5) what="done, and wants a look: $what" ;;
    *) what="ended by a signal: $what" ;;
  esac
  if [[ -n $json ]]; then
    log summary "$what" status# "$status" dry_run# "$trial" counts# "{${counts#,}}" problems# "[${problems#,}]"
  elif ((status)); then
    printf '%s: %s\n' "$program" "$what" >&2
  else
    printf '%s\n' "$what"
  fi
  exit "$status"
}
