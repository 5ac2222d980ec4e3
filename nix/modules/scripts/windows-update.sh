# windows-update: updates Windows guests from the host: snapshot, update, restart, health check, and the way back.

usage() {
  cat <<'END'
usage: windows-update [OPTIONS] VMID...

For each guest in turn: asks it by its agent whether there are updates; takes a snapshot of its disks; has its scheduled
task install them; restarts it where Windows must; and looks whether it is well. Without updates nothing happens.

  --task NAME       the guest's task (windows-update), of the folder \moxc\
  --snapshot        takes a snapshot first, without memory
  --keep N          how many of its own snapshots stay, this one included (2)
  --rollback-on-failure
                    goes back to the snapshot where the update fails; else that wants a typed confirmation of the VMID.
                    What was written since is lost.
  --restart         restarts a guest that must restart to finish
  --start           starts a guest that is off, and shuts it down afterwards
  --timeout N       seconds that the update may take (21600)
  --wait N          seconds that a guest may take to come up (900)
END
}

task=windows-update
snapshot=
keep=2
rollback=
restart=
start=
timeout=21600
patience=900
option() {
  case $1 in
    --task) value task ;;
    --snapshot) snapshot=1 ;;
    --keep) number keep ;;
    --rollback-on-failure) rollback=1 ;;
    --restart) restart=1 ;;
    --start) start=1 ;;
    --timeout) number timeout ;;
    --wait) number patience ;;
    *) return 1 ;;
  esac
}

begin "$@"
if ((${#operands[@]} == 0)); then
  wrong_usage 'no guest is named'
fi
for vmid in "${operands[@]}"; do
  if [[ ! $vmid =~ ^[1-9][0-9]{2,8}$ ]]; then
    wrong_usage "$vmid is no VMID"
  fi
done
if [[ ! $task =~ ^[A-Za-z0-9][A-Za-z0-9_.-]*$ ]]; then
  wrong_usage "$task is no name of a task"
fi
if ((keep == 0)); then
  wrong_usage '--keep takes a number from 1: the snapshot is the way back'
fi
if [[ -n $rollback && -z $snapshot ]]; then
  wrong_usage '--rollback-on-failure goes back to a snapshot: say --snapshot, too'
fi
need qm pvesh perl
lock

node=$(uname -n)
node=${node%%.*}

# The prefix marks what is ours: nothing else is ever pruned.
prefix=moxc-upd-
# How often the guest is asked; a trial waits for nothing.
step=${MOXC_POLL:-15}
nu='C:\Program Files\nu\bin\nu.exe'
script='C:\ProgramData\moxc\windows-update.nu'

# ---------------------------------------------------------------- asking the guest

# answers VMID: whether the guest's agent does.
answers() { qm agent "$1" ping >/dev/null 2>&1; }

# wait_for VMID: until the agent answers.
wait_for() {
  local until=$((SECONDS + patience))
  until answers "$1"; do
    if ((SECONDS >= until)); then
      return 1
    fi
    sleep "$step"
  done
}

# in_guest VMID SECONDS PROGRAM ARGUMENT...: runs a program in the guest, and waits. What it printed is in $printed; the
# status is its own. 125: the agent did not answer, or the program did not end.
printed=
in_guest() {
  local vmid=$1 limit=$2 reply fields
  shift 2
  printed=
  reply=$(qm guest exec "$vmid" --timeout "$limit" -- "$@" 2>/dev/null) || return 125
  fields=$(rows 'row($d->{exited} ? 1 : 0, $d->{exitcode} // 125)' <<<"$reply") || return 125
  printed=$(perl -MJSON::PP -e 'local $/; my $d = decode_json(<STDIN>); binmode STDOUT, ":utf8"; print $d->{"out-data"} // ""' <<<"$reply") || return 125
  if [[ ${fields%%$'\x1f'*} != 1 ]]; then
    return 125
  fi
  return "${fields#*$'\x1f'}"
}

# outcomes VMID: what a look for updates gives: how many can be installed, and whether a restart is pending.
pending=0
must_restart=
outcomes() {
  local status=0 line
  pending=0 must_restart=
  in_guest "$1" 1800 "$nu" --no-config-file --no-std-lib "$script" --json || status=$?
  if ((status != 0 && status != 3)); then
    return 1
  fi
  line=$(rows 'my @r = @{$d->{results}};
    row(scalar(grep { $_->{outcome} eq "planned" } @r), scalar(grep { $_->{outcome} eq "restart" } @r))' <<<"$printed") || return 1
  pending=${line%%$'\x1f'*}
  if [[ ${line#*$'\x1f'} != 0 ]]; then
    must_restart=1
  fi
}

# task_state VMID: the task's state (4: it runs) and the result of its last run, as numbers in every language of Windows.
task_state() {
  in_guest "$1" 60 powershell.exe -NoProfile -Command \
    "(Get-ScheduledTask -TaskPath '\\moxc\\' -TaskName '$task').State.value__; (Get-ScheduledTaskInfo -TaskPath '\\moxc\\' -TaskName '$task').LastTaskResult" ||
    return 1
  printed=${printed//$'\r'/}
  [[ $printed =~ ^([0-9]+)$'\n'([0-9]+) ]] || return 1
  task_runs=
  if [[ ${BASH_REMATCH[1]} == 4 ]]; then
    task_runs=1
  fi
  task_result=${BASH_REMATCH[2]}
}

# run_task VMID: starts the task, and waits for its end. Its result is in $task_result.
task_runs=
task_result=
run_task() {
  local until heard
  if ! in_guest "$1" 60 schtasks.exe /Run /TN "\\moxc\\$task"; then
    problem="the task $task cannot be started"
    return 1
  fi
  until=$((SECONDS + timeout))
  heard=$SECONDS
  while sleep "$step"; do
    if task_state "$1"; then
      heard=$SECONDS
      if [[ -z $task_runs ]]; then
        return 0
      fi
    else
      # The agent is itself updated at times; only a long silence means something.
      if ((SECONDS - heard >= patience)); then
        problem='the agent has not answered during the update'
        return 1
      fi
    fi
    if ((SECONDS >= until)); then
      problem="the update did not end within $timeout seconds"
      return 1
    fi
  done
}

# well VMID: the guest answers, runs programs, and has an address, where it has a network card.
well() {
  local addresses
  if ! wait_for "$1"; then
    problem="the agent does not answer within $patience seconds"
    return 1
  fi
  if ! in_guest "$1" 120 cmd.exe /c exit 0; then
    problem='it runs no program'
    return 1
  fi
  if ! qm config "$1" | grep -q '^net[0-9]*: '; then
    return 0
  fi
  local until=$((SECONDS + patience))
  while true; do
    # Its own (127, ::1) and made up ones (169.254, fe80) do not count.
    addresses=$(qm agent "$1" network-get-interfaces 2>/dev/null | rows '
      for my $i (@$d) { for (@{$i->{"ip-addresses"} // []}) {
        my $a = $_->{"ip-address"} // ""; row($a) if $a ne "" && $a !~ /^(127\.|169\.254\.|::1$|fe80:)/i } }' 2>/dev/null) || true
    if [[ -n $addresses ]]; then
      return 0
    fi
    if ((SECONDS >= until)); then
      problem='it has no address'
      return 1
    fi
    sleep "$step"
  done
}

# ---------------------------------------------------------------- snapshots

# own_snapshots VMID: oldest first. Their names sort by time.
own_snapshots() {
  pvesh get "/nodes/$node/qemu/$1/snapshot" --output-format json |
    rows 'row($_) for sort grep { /^\Q'"$prefix"'\E[0-9TZ]+$/ } map { $_->{name} // "" } @$d'
}

prune() {
  local own name text
  if ! text=$(own_snapshots "$1"); then
    failed "guest $1: Proxmox VE does not tell its snapshots" vmid "$1"
    return 0
  fi
  mapfile -t own <<<"$text"
  while ((${#own[@]} > keep)); do
    name=${own[0]}
    own=("${own[@]:1}")
    if attempt qm delsnapshot "$1" "$name"; then
      count 'snapshots removed'
    else
      failed "guest $1: the snapshot $name stays: $reason" vmid "$1"
    fi
  done
}

# back VMID NAME: to the snapshot, after a failure.
back() {
  if [[ -z $rollback ]]; then
    confirm "$1" "guest $1 goes back to the snapshot $2: what was written since is lost"
  fi
  if ! attempt qm rollback "$1" "$2" --start 1; then
    failed "guest $1: the way back failed: $reason" vmid "$1" snapshot "$2"
    return 0
  fi
  count 'rolled back'
  if wait_for "$1"; then
    failed "guest $1 is as it was before the update: the snapshot $2" vmid "$1" snapshot "$2"
  else
    failed "guest $1 went back to the snapshot $2, and its agent does not answer" vmid "$1" snapshot "$2"
  fi
}

# ---------------------------------------------------------------- one guest

# update VMID: everything between its being up and its being well. Where that fails, $problem says why.
problem=
update() {
  if ! run_task "$1"; then
    return 1
  fi
  case $task_result in
    0 | 3) ;;
    *)
      problem="the update ended with status $task_result: see C:\\ProgramData\\moxc\\log"
      return 1
      ;;
  esac
  if ! outcomes "$1"; then
    problem='it does not tell what became of the updates'
    return 1
  fi
  if [[ -n $must_restart || $task_result == 3 ]]; then
    if [[ -z $restart ]]; then
      found "guest $1 must restart to finish" vmid "$1"
      return 0
    fi
    if ! attempt qm reboot "$1" --timeout "$patience"; then
      problem="it does not restart: $reason"
      return 1
    fi
    # Until then the agent of before still answers.
    sleep "$step"
    count 'restarted'
  fi
  well "$1"
}

guest() {
  local vmid=$1 config status started=''
  problem=
  if ! config=$(qm config "$vmid" 2>&1); then
    failed "there is no guest $vmid: ${config##*$'\n'}" vmid "$vmid"
    return 0
  fi
  if [[ $config =~ (^|$'\n')lock:\ ([a-z-]+) ]]; then
    busy "guest $vmid is locked (${BASH_REMATCH[2]}): nothing was done with it" vmid "$vmid"
    return 0
  fi
  status=$(qm status "$vmid")
  if [[ $status != 'status: running' ]]; then
    if [[ -z $start ]]; then
      say "guest $vmid is off, and stays so" vmid "$vmid"
      count 'off'
      return 0
    fi
    run qm start "$vmid"
    started=1
  fi
  if [[ -n $dry_run && -n $started ]]; then
    say "guest $vmid would be asked for updates" vmid "$vmid"
    return 0
  fi
  if { [[ -n $started ]] && ! wait_for "$vmid"; } || ! answers "$vmid"; then
    failed "guest $vmid: the agent does not answer" vmid "$vmid"
  elif ! outcomes "$vmid"; then
    failed "guest $vmid does not tell whether there are updates" vmid "$vmid"
  elif ((pending == 0)) && [[ -z $must_restart ]]; then
    say "guest $vmid: up to date" vmid "$vmid"
    count 'up to date'
  elif ((pending == 0)) && [[ -z $restart ]]; then
    found "guest $vmid must restart to finish" vmid "$vmid"
  else
    say "guest $vmid: $pending updates" vmid "$vmid" updates# "$pending"
    carry_out "$vmid"
  fi
  if [[ -n $started ]]; then
    run qm shutdown "$vmid" --timeout "$patience"
  fi
}

# carry_out VMID
carry_out() {
  local vmid=$1 name='' stamp
  if [[ -n $snapshot ]]; then
    TZ=UTC0 printf -v stamp '%(%Y%m%dT%H%M%SZ)T' -1
    name=$prefix$stamp
    # Without memory: folders by virtio-fs and passed-through devices forbid it, and Windows starts from its disks alone.
    if ! attempt qm snapshot "$vmid" "$name" --vmstate 0 --description 'before an update of Windows'; then
      failed "guest $vmid: no snapshot, so no update: $reason" vmid "$vmid"
      return 0
    fi
    count 'snapshots taken'
  fi
  if [[ -n $dry_run ]]; then
    announce qm guest exec "$vmid" -- schtasks.exe /Run /TN "\\moxc\\$task"
    return 0
  fi
  changes=$((changes + 1))
  if update "$vmid"; then
    say "guest $vmid: updated" vmid "$vmid"
    count 'updated'
    if [[ -n $snapshot ]]; then
      prune "$vmid"
    fi
    return 0
  fi
  failed "guest $vmid: $problem" vmid "$vmid"
  if [[ -n $name ]]; then
    back "$vmid" "$name"
  fi
}

for vmid in "${operands[@]}"; do
  guest "$vmid"
done
