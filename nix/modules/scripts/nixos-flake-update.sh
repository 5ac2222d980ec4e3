#!/usr/bin/env bash
# Updates a NixOS machine from its flake, and goes back where the new system is not healthy.
#
# The new system is built, then tried without being made the one that boots, then looked at. A machine that hangs or
# loses power until then boots what it booted before.
set -euo pipefail

usage() {
  cat <<'TEXT'
Usage: nixos-flake-update [OPTIONS]

Updates the inputs of a flake, builds this machine from it, switches to the new system and looks whether it is healthy.
Where a step fails, the lock file and the running system are put back as they were.

  --flake REF           the flake (/etc/nixos)
  --attribute NAME      the name in its nixosConfigurations (the host name)
  --keep-inputs         follow the flake's own lock file, do not update its inputs
  --health UNIT         a unit that must be active afterwards; may be given several times
  --health-timeout N    how many seconds the units have for that (120)
  --no-rollback         leave an unhealthy system running
  --reboot WHEN         never (the default), or if-needed: restart where the kernel is another one
  --state FOLDER        where copies and the last good lock file are kept (/var/lib/moxc/nixos-flake-update)
  --root DIR            look for the running system below DIR, for trials
  --json                log one JSON object a line
  --dry-run             tell the steps, change nothing
  --yes                 do not ask
  --help                print this

Exit status: 0 updated or nothing to do; 1 failed, with the system from before running; 2 wrong usage;
3 failed, and what ran before could not be brought back.
TEXT
}

flake=/etc/nixos attribute='' update_inputs=1 health=() health_timeout=120 rollback=1 reboot=never
state=/var/lib/moxc/nixos-flake-update root='' json='' dry_run='' yes=''

log() { # LEVEL MESSAGE
  if [[ $json ]]; then
    jq -cn --arg level "$1" --arg message "$2" '{$level, $message}'
  elif [[ $1 == error ]]; then
    printf 'nixos-flake-update: %s\n' "$2" >&2
  else
    printf 'nixos-flake-update: %s\n' "$2"
  fi
}

die() { # STATUS MESSAGE
  log error "$2"
  exit "$1"
}

needs_value() { # OPTION COUNT
  (($2 > 1)) || die 2 "$1 takes a value (see --help)"
}

while (($#)); do
  case $1 in
    --flake)
      needs_value "$1" $#
      flake=$2
      shift
      ;;
    --attribute)
      needs_value "$1" $#
      attribute=$2
      shift
      ;;
    --keep-inputs) update_inputs='' ;;
    --health)
      needs_value "$1" $#
      health+=("$2")
      shift
      ;;
    --health-timeout)
      needs_value "$1" $#
      health_timeout=$2
      shift
      ;;
    --no-rollback) rollback='' ;;
    --reboot)
      needs_value "$1" $#
      reboot=$2
      shift
      ;;
    --state)
      needs_value "$1" $#
      state=$2
      shift
      ;;
    --root)
      needs_value "$1" $#
      root=$2
      shift
      ;;
    --json) json=1 ;;
    --dry-run) dry_run=1 ;;
    --yes) yes=1 ;;
    --help | -h) usage && exit 0 ;;
    *) die 2 "unknown argument $1 (see --help)" ;;
  esac
  shift
done
[[ $reboot == never || $reboot == if-needed ]] || die 2 "--reboot is never or if-needed, not $reboot"
[[ $health_timeout =~ ^[0-9]+$ ]] || die 2 "--health-timeout is a number of seconds, not $health_timeout"
: "${attribute:=$(uname -n)}"

nix() { command nix --extra-experimental-features 'nix-command flakes' "$@"; }

# The folder of a flake that is a folder of this machine; fails for any other.
local_folder() {
  local plain=${1%%\?*}
  plain=${plain%%#*}
  case $plain in
    /*) ;;
    path:/*) plain=${plain#path:} ;;
    git+file:///*) plain=${plain#git+file://} ;;
    *) return 1 ;;
  esac
  printf '%s' "$plain"
}

# The folder inside a flake's tree that its `?dir=` names.
flake_dir() {
  if [[ $1 =~ [?\&]dir=([^\&#]+) ]]; then
    printf '%s' "${BASH_REMATCH[1]}"
  fi
}

if [[ $dry_run ]]; then
  if folder=$(local_folder "$flake"); then
    log info "would update the inputs of $folder"
  else
    log info "would fetch $flake${update_inputs:+ and update the inputs of a copy}"
  fi
  log info "would build $attribute, try it, check: ${health[*]:-nothing}, and make it the system that boots"
  [[ ! $rollback ]] || log info "would go back to $(readlink -f "$root/run/current-system") where a step fails"
  [[ $reboot == never ]] || log info "would restart where the kernel is another one"
  exit 0
fi

if [[ ! $yes ]]; then
  read -r -p "update $attribute from $flake? [y/N] " answer
  [[ $answer == [yY]* ]] || die 1 "not updated"
fi

mkdir -p -- "$state"
exec 9>"$state/running"
flock --nonblock 9 || die 1 "another update is running"

before=$(readlink -f "$root/run/current-system") || die 1 "no running system at $root/run/current-system"

# The lock file in hand: where it is, and its copy from before. The copy outlives a kill, so that the next run finds it.
lock='' saved=$state/flake.lock.before
put_lock_back() {
  [[ $lock && -e $saved ]] || return 0
  if [[ -s $saved ]]; then
    cmp --silent -- "$saved" "$lock" || cat -- "$saved" >"$lock"
  else
    rm -f -- "$lock"
  fi
  rm -f -- "$saved" "$saved.of"
  log info "put $lock back as it was"
}
if [[ -e $saved && -e $saved.of ]]; then
  lock=$(<"$saved.of")
  put_lock_back
  lock=''
fi
trap put_lock_back EXIT
trap 'exit 1' INT TERM HUP

if folder=$(local_folder "$flake"); then
  [[ -d $folder ]] || die 1 "there is no folder $folder"
  dir=$(flake_dir "$flake")
  reference=$flake
elif [[ $update_inputs ]]; then
  metadata=$(nix flake metadata --refresh --json "$flake") || die 1 "cannot fetch $flake"
  source=$(jq -er .path <<<"$metadata") || die 1 "nix does not say where $flake lies"
  dir=$(jq -r '.locked.dir // .resolved.dir // ""' <<<"$metadata")
  folder=$state/source
  rm -rf -- "$folder"
  cp -r --no-preserve=mode,ownership -- "$source" "$folder"
  reference=path:$folder${dir:+?dir=$dir}
else
  folder='' dir=''
  reference=$flake
fi

if [[ $folder && $update_inputs ]]; then
  lock=$folder${dir:+/$dir}/flake.lock
  printf '%s' "$lock" >"$saved.of"
  if [[ -e $lock ]]; then cp -- "$lock" "$saved"; else : >"$saved"; fi
  # From inside, since `nix flake update` took the flake as an argument before 2.19 and as an option since.
  (cd -- "$(dirname -- "$lock")" && nix flake update) || die 1 "cannot update the inputs of $flake"
fi

cd -- "$state"
refresh=()
[[ $folder ]] || refresh=(--refresh)
nixos-rebuild build --flake "$reference#$attribute" "${refresh[@]}" || die 1 "$attribute cannot be built"
after=$(readlink -f result)

keep_lock() {
  [[ $lock ]] || return 0
  [[ ! -e $lock ]] || cp -- "$lock" "$state/flake.lock"
  rm -f -- "$saved" "$saved.of"
}

healthy() {
  local deadline=$((SECONDS + health_timeout)) unit
  for unit in "${health[@]}"; do
    until systemctl is-active --quiet -- "$unit"; do
      if ((SECONDS >= deadline)); then
        log error "$unit is not active"
        return 1
      fi
      sleep 1
    done
  done
}

# The system from before; its own switch program knows how to get there from any other.
go_back() {
  log info "going back to $before"
  "$before/bin/switch-to-configuration" test || die 3 "cannot go back to $before"
  healthy || die 3 "$before is not healthy either"
}

if [[ $after == "$before" ]]; then
  log info "nothing new: $before"
  keep_lock
  exit 0
fi

log info "trying $after"
if ! nixos-rebuild test --flake "$reference#$attribute"; then
  log error "the new system does not start as it should"
  [[ ! $rollback ]] || go_back
  exit 1
fi
if ! healthy; then
  [[ ! $rollback ]] || go_back
  exit 1
fi
if ! nixos-rebuild switch --flake "$reference#$attribute"; then
  log error "the new system cannot be made the one that boots"
  [[ ! $rollback ]] || go_back
  exit 1
fi
keep_lock
log info "updated to $after"

# A container has no kernel of its own.
kernel_of() { readlink -f -- "$1/kernel" "$1/initrd" "$1/kernel-modules" || true; }
if [[ $reboot == if-needed && -e $root/run/booted-system/kernel ]] &&
  [[ $(kernel_of "$root/run/booted-system") != "$(kernel_of "$after")" ]]; then
  log info "restarting for the new kernel"
  systemctl reboot
fi
