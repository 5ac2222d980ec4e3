set -Eeuo pipefail
export LC_ALL=C
umask 022

program=${0##*/}
dry_run=
yes=
changes=0

say() { printf '%s\n' "$*"; }
warn() { printf '%s: %s\n' "$program" "$*" >&2; }
die() { warn "$@"; exit 1; }

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
  printf '%s\n' "${line# }"
}

# run COMMAND...: runs what changes something, and shows it; with --dry-run shows it only.
run() {
  changes=$((changes + 1))
  printf '  %s\n' "$(shown "$@")"
  if [[ -n $dry_run ]]; then
    return 0
  fi
  "$@"
}

# ask QUESTION: goes on after a yes; --yes says it beforehand, --dry-run has nothing to ask.
ask() {
  local answer=
  if [[ -n $yes || -n $dry_run ]]; then
    return 0
  fi
  if ! { : </dev/tty; } 2>/dev/null; then
    die "$1 There is nobody to ask: say --yes"
  fi
  printf '%s [y/N] ' "$1"
  read -r answer </dev/tty || true
  case $answer in
    y | Y | yes) ;;
    *) die 'stopped: the answer was no' ;;
  esac
}

need() {
  local command
  for command; do
    command -v "$command" >/dev/null || die "the command $command is not there"
  done
}
