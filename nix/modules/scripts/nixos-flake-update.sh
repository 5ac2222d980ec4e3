# nixos-flake-update: updates a NixOS machine from its flake, and goes back where the new system is not healthy.
#
# The new system is built, then tried without being made the one that boots, then looked at. A machine that hangs or
# loses power until then boots what it booted before.

usage() {
  cat <<'END'
usage: nixos-flake-update [OPTIONS]

Updates the inputs of a flake, builds this machine from it, switches to the new system and looks whether it is healthy.
Where a step fails, the lock file and the running system are put back as they were.

  --flake REF           the flake (/etc/nixos)
  --attribute NAME      the name in its nixosConfigurations (the host name)
  --keep-inputs         follow the flake's own lock file, do not update its inputs
  --allow-changes       take a folder with changes that nobody has committed
  --snapshot DATASET    a ZFS dataset of which a snapshot is taken first; may be given several times
  --keep-snapshots N    how many of those snapshots stay (3)
  --health UNIT         a unit that must be active afterwards; may be given several times
  --health-timeout N    how many seconds the units have for that (120)
  --no-rollback         leave an unhealthy system running
  --reboot WHEN         never (the default), or if-needed: restart where the kernel is another one
  --after-restart       look whether a system is healthy that an update has restarted into, and nothing else
  --state FOLDER        where copies and the last good lock file are kept (/var/lib/moxc/nixos-flake-update)

Where it fails, the system from before is running (1), or that could not be brought back (3). What runs the machine's
updates calls it with --after-restart once the machine is up: where a health unit is not active then, the system from
before is made the one that boots, and the machine restarts once more. Where another system has come up than the one
that it was to restart into, that other one is made the one that boots. What has failed in this way is not tried again.
END
}

flake=/etc/nixos attribute='' update_inputs=1 allow_changes='' snapshots=() keep_snapshots=3 health=() health_timeout=120
rollback=1 reboot=never after_restart='' state=/var/lib/moxc/nixos-flake-update
option() {
  local one
  case $1 in
    --flake) value flake ;;
    --attribute) value attribute ;;
    --keep-inputs) update_inputs='' ;;
    --allow-changes) allow_changes=1 ;;
    --snapshot)
      value one
      snapshots+=("$one")
      ;;
    --keep-snapshots) number keep_snapshots ;;
    --health)
      value one
      health+=("$one")
      ;;
    --health-timeout) number health_timeout ;;
    --no-rollback) rollback='' ;;
    --reboot) one_of reboot never if-needed ;;
    --after-restart) after_restart=1 ;;
    --state) value state ;;
    *) return 1 ;;
  esac
}

begin "$@"
if ((${#operands[@]})); then
  wrong_usage "unknown argument ${operands[0]}"
fi
# What an update has restarted for: `new` or `back`, the system from before, the one that boots now, whether to go back,
# the seconds that the units have, and the units.
restarting=$state/restarting
if [[ $after_restart && ! -s $restarting ]]; then
  say 'no update has restarted this machine'
  exit 0
fi
if [[ -z $attribute ]]; then
  hear uname -n || heard=
  must name attribute "$heard" 'the name of this machine'
fi

nix() { show nix --extra-experimental-features 'nix-command flakes' "$@"; }

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

# committed FOLDER: what nobody has committed is somebody's unfinished work. The lock file is ours to change.
committed() {
  local changed
  if [[ -n $allow_changes ]] || ! git_in "$1" rev-parse --is-inside-work-tree; then
    return 0
  fi
  git_in "$1" status --porcelain --untracked-files=no -- . ':(exclude)*flake.lock' || die "git cannot read $1"
  if [[ -n $heard ]]; then
    refuse "$1 has changes that nobody has committed: commit them, or say --allow-changes"
  fi
}
# The folder is somebody's who is not root: git asks whether that is meant.
git_in() { hear_list git -c safe.directory='*' -C "$@"; }

# From inside, since `nix flake update` took the flake as an argument before 2.19 and as an option since.
update_lock() (
  cd -- "$(dirname -- "$lock")"
  nix flake update
)

# The folder inside a flake's tree that its `?dir=` names.
flake_dir() {
  if [[ $1 =~ [?\&]dir=([^\&#]+) ]]; then
    printf '%s' "${BASH_REMATCH[1]}"
  fi
}

if [[ $dry_run && $after_restart ]]; then
  mapfile -t known <"$restarting"
  say "would look at ${known[*]:5} of ${known[2]}, and go back to ${known[1]} where one of them is not active"
  exit 0
fi
if [[ -n $dry_run ]]; then
  if ((${#snapshots[@]})); then
    say "would take snapshots of ${snapshots[*]}"
  fi
  if folder=$(local_folder "$flake"); then
    say "would update the inputs of $folder"
  else
    say "would fetch $flake${update_inputs:+ and update the inputs of a copy}"
  fi
  say "would build $attribute, try it, check: ${health[*]:-nothing}, and make it the system that boots"
  if [[ -n $rollback ]]; then
    say "would go back to $(readlink -f "$root/run/current-system") where a step fails"
  fi
  if [[ $reboot == if-needed ]]; then
    say 'would restart where the kernel is another one'
  fi
  exit 0
fi

need cmp flock nix nixos-rebuild perl systemctl
if [[ -z $after_restart ]]; then
  ask "Update $attribute from $flake?"
fi
lock
mkdir -p -- "$state"

healthy() {
  local deadline=$((SECONDS + health_timeout)) unit
  for unit in "${health[@]}"; do
    until hear systemctl is-active --quiet -- "$unit"; do
      if ((SECONDS >= deadline)); then
        failed "$unit is not active" unit "$unit"
        return 1
      fi
      sleep 1
    done
  done
}
profile=$root/nix/var/nix/profiles/system
# The system that did not come up well from a restart. To try it again every night would be two restarts a night.
unfit=$state/unfit

# boots_next SYSTEM: by its own program, without the network.
boots_next() {
  if ! run nix-env --profile "$profile" --set "$1" || ! run "$1/bin/switch-to-configuration" boot; then
    refuse "cannot make $1 the system that boots"
  fi
}

# restart WAY BEFORE INTO: restarts, and leaves word for the run that looks at the system then.
restart() {
  if ! printf '%s\n' "$1" "$2" "$3" "$rollback" "$health_timeout" "${health[@]}" >"$restarting.new" ||
    ! mv -f -- "$restarting.new" "$restarting"; then
    die "cannot write $restarting: not restarted, since nobody would look at what comes up"
  fi
  if ! run systemctl reboot; then
    rm -f -- "$restarting"
    die 'this machine does not restart'
  fi
}

remember_unfit() {
  if ! printf '%s\n' "$1" >"$unfit.new" || ! mv -f -- "$unfit.new" "$unfit"; then
    tell error "cannot write $unfit: the next run tries $1 again"
  fi
}

# Once the machine is up again. It looks once, and goes back once: a machine that restarts for ever helps nobody.
look_after_restart() {
  local known way into booted
  mapfile -t known <"$restarting"
  rm -f -- "$restarting"
  way=${known[0]} before=${known[1]} into=${known[2]} rollback=${known[3]} health=("${known[@]:5}")
  gate number health_timeout "${known[4]:-}" || health_timeout=120
  booted=$(readlink -f "$root/run/booted-system") || die "no system was booted at $root/run/booted-system"
  if [[ $booted != "$into" ]]; then
    failed "this machine was to restart into $into, and $booted has come up"
    healthy || true
    # What hung once would hang at the next start, too.
    if [[ $rollback && -x $booted/bin/switch-to-configuration ]]; then
      if [[ $way == new ]]; then
        remember_unfit "$into"
      fi
      boots_next "$booted"
      say "$booted is the system that boots now"
    fi
    exit 1
  fi
  if healthy; then
    if [[ $way == new ]]; then
      rm -f -- "$unfit"
    fi
    if [[ $way == back ]]; then
      die "the system that this machine had restarted into was not healthy: it is back at $before"
    fi
    say "restarted into $into"
    exit 0
  fi
  if [[ $way == back ]]; then
    refuse "$before is not healthy either"
  fi
  if [[ -z $rollback ]]; then
    die "$into is not healthy since the restart, and stays: it is not to go back"
  fi
  if [[ ! -x $before/bin/switch-to-configuration ]]; then
    refuse "$into is not healthy since the restart, and $before is no more"
  fi
  say "going back to $before"
  remember_unfit "$into"
  boots_next "$before"
  restart back "$before" "$before"
  exit 1
}
if [[ $after_restart ]]; then
  if [[ ! -s $restarting ]]; then
    say 'another run has looked already'
    exit 0
  fi
  look_after_restart
fi

before=$(readlink -f "$root/run/current-system") || die "no running system at $root/run/current-system"
# A run that was cut off while it tried a system, or that was not to go back from one, left the one from before here.
trying=$state/before-trial
cut_off=
if [[ -s $trying ]]; then
  cut_off=1
  if [[ -x $(<"$trying")/bin/switch-to-configuration ]]; then
    before=$(<"$trying")
    say "an earlier run left a system on trial: the one from before it is $before"
  fi
fi

# The lock file in hand: where it is, and its copy from before. The copy outlives a kill, so that the next run finds it.
lock='' saved=$state/flake.lock.before
put_lock_back() {
  if [[ -z $lock || ! -e $saved ]]; then
    return 0
  fi
  if [[ -s $saved ]]; then
    # A full disk takes what stood there and nothing new: then the copy is all that there is.
    if ! cmp --silent -- "$saved" "$lock" && ! cat -- "$saved" >"$lock"; then
      tell error "cannot put $lock back as it was: its copy stays at $saved"
      return 1
    fi
  else
    rm -f -- "$lock"
  fi
  rm -f -- "$saved" "$saved.of"
  say "put $lock back as it was"
}
if [[ -e $saved && -e $saved.of ]]; then
  lock=$(<"$saved.of")
  put_lock_back || die 'the lock file of an earlier run could not be put back: make room, then run this again'
  lock=''
fi
at_exit put_lock_back

if folder=$(local_folder "$flake"); then
  if [[ ! -d $folder ]]; then
    die "there is no folder $folder"
  fi
  committed "$folder"
  dir=$(flake_dir "$flake")
  reference=$flake
elif [[ $update_inputs ]]; then
  gate_hear 3600 "$list_most" nix --extra-experimental-features 'nix-command flakes' flake metadata --refresh --json "$flake" ||
    die "cannot fetch $flake: $(last_line "$heard_err")"
  fields=$(rows 'row($d->{path}, $d->{locked}{dir} // $d->{resolved}{dir})' <<<"$heard") || die "nix does not say where $flake lies"
  take_every "what nix says of $flake" source:path dir:word? <<<"$fields" || die "nix does not say where $flake lies"
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
  if [[ -e $lock ]]; then
    cp -- "$lock" "$saved.new"
  else
    : >"$saved.new"
  fi
  mv -f -- "$saved.new" "$saved"
  run update_lock || die "cannot update the inputs of $flake"
fi

# So that what an update breaks in the data can be undone, too.
if ((${#snapshots[@]})); then
  run zfs-snapshot --yes --name before-update --keep "last=$keep_snapshots" -- "${snapshots[@]}" ||
    die 'no snapshot could be taken: not updated'
fi

cd -- "$state"
refresh=()
if [[ -z $folder ]]; then
  refresh=(--refresh)
fi
run nixos-rebuild build --flake "$reference#$attribute" "${refresh[@]}" || die "$attribute cannot be built"
after=$(readlink -f result)
if [[ -s $unfit && $(<"$unfit") == "$after" && $after != "$before" ]]; then
  die "$after has not come up well from a restart: change what is in the flake, or remove $unfit to have it tried again"
fi

keep_lock() {
  if [[ -z $lock ]]; then
    return 0
  fi
  if [[ -e $lock ]]; then
    cp -- "$lock" "$state/flake.lock"
  fi
  rm -f -- "$saved" "$saved.of"
}

# The system from before, by its own switch program and without the network: nothing has to be fetched or built for it.
go_back() {
  local how=test
  if [[ -z $rollback ]]; then
    return 0
  fi
  say "going back to $before"
  if [[ -e $profile && $(readlink -f "$profile") != "$before" ]]; then
    run nix-env --profile "$profile" --set "$before" || refuse "cannot make $before the system that boots"
    how=switch
  fi
  run "$before/bin/switch-to-configuration" "$how" || refuse "cannot go back to $before"
  healthy || refuse "$before is not healthy either"
  rm -f -- "$trying"
}

# A container has no kernel of its own.
kernel_of() { readlink -f -- "$1/kernel" "$1/initrd" "$1/kernel-modules" || true; }
# Where another kernel waits than the one that runs, since this update or an earlier one that was not to restart. What it goes
# back to is the system from before, where that has the kernel that runs; else the one that was booted.
restart_if_needed() {
  local booted=$root/run/booted-system
  if [[ $reboot != if-needed || ! -e $booted/kernel ]] ||
    [[ $(kernel_of "$booted") == "$(kernel_of "$after")" ]]; then
    return 0
  fi
  if [[ $(kernel_of "$booted") != "$(kernel_of "$before")" ]]; then
    before=$(readlink -f "$booted")
  fi
  say 'restarting for the new kernel'
  restart new "$before" "$after"
}

if [[ $after == "$before" && -z $cut_off ]]; then
  say "nothing new: $before"
  keep_lock
  restart_if_needed
  exit 0
fi

say "trying $after"
printf '%s\n' "$before" >"$trying.new"
mv -f -- "$trying.new" "$trying"
# The very system that was built, and no other: a flake that moves on meanwhile would bring one that nobody has looked at.
if ! run "$after/bin/switch-to-configuration" test; then
  failed 'the new system does not start as it should'
  go_back
  exit 1
fi
if ! healthy; then
  go_back
  exit 1
fi
if ! run nix-env --profile "$profile" --set "$after" || ! run "$after/bin/switch-to-configuration" switch; then
  failed 'the new system cannot be made the one that boots'
  go_back
  exit 1
fi
keep_lock
rm -f -- "$trying"
say "updated to $after"
count 'updates'
restart_if_needed
