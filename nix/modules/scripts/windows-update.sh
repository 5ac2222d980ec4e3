# windows-update: updates Windows guests from the host: snapshot, update, restart, health check, and the way back.

usage() {
  cat <<'END'
usage: windows-update [OPTIONS] VMID...

For each guest in turn: asks it by its agent whether there are updates; takes a snapshot of its disks; has its scheduled
task install them; restarts it where Windows must; and looks whether it is well. Without updates nothing happens. Where
Windows' own updater is at work, or the guest has no network, that is "busy" (4): the snapshot goes again. An update that
Windows could not install is told (5); only a guest that is not well afterwards is taken back.

  --check           only looks: how many updates wait, and whether something wants a person (5)
  --task NAME       the guest's task (windows-update), of the folder \moxc\
  --snapshot        takes a snapshot first, without memory
  --keep N          how many of its own snapshots stay, this one included (2)
  --rollback-on-failure
                    goes back to the snapshot where the guest is not well afterwards; else that wants a typed
                    confirmation of the VMID. What was written since is lost.
  --restart         restarts a guest that must restart to finish
  --start           starts a guest that is off, and shuts it down afterwards
  --timeout N       seconds that the update may take (21600)
  --wait N          seconds that a guest may take to come up (900)
END
}

task=windows-update
check=
snapshot=
keep=2
rollback=
restart=
start=
timeout=21600
option() {
  case $1 in
    --check) check=1 ;;
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
  if ! gated vmid "$vmid"; then
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
if [[ -n $check && -n $snapshot ]]; then
  wrong_usage '--check changes nothing, so there is nothing to go back to'
fi
need qm pvesh perl
# A look stands in nobody's way.
if [[ -z $check ]]; then
  lock
fi

know_node

# The prefix marks what is ours: nothing else is ever pruned.
prefix=moxc-upd-
# ---------------------------------------------------------------- asking the guest

# outcomes VMID: what a look for updates gives: how many can be installed, how many are a person's, and whether a restart is
# pending. 4: Windows' updater is at work, or there is no network; $problem says which.
pending=0
by_hand=0
must_restart=
outcomes() {
  local status=0 line waits=0
  pending=0 by_hand=0 must_restart=
  in_guest "$1" 1800 "$guest_nu" --no-config-file --no-std-lib "$guest_root\\windows-update.nu" --json || status=$?
  if ((status == 4)); then
    line=$(guest_json 'row(map { "$_->{detail}" } grep { $_->{outcome} eq "busy" } @{$d->{results}})') || line=
    problem=$(text_of "${line%%$'\x1f'*}")
    problem=${problem:-"Windows' updater is at work"}
    return 4
  fi
  if ((status != 0 && status != 3)); then
    return 1
  fi
  line=$(guest_json 'my @r = @{$d->{results}}; row(map { my $o = $_; scalar(grep { $_->{outcome} eq $o } @r) } qw(planned manual restart))') || return 1
  take "guest $1" pending:number by_hand:number waits:number <<<"$line" || return 1
  if ((waits)); then
    must_restart=1
  fi
}

# task_state VMID: the task's state (4: it runs) and the result of its last run, as numbers in every language of Windows.
task_runs=
task_result=
task_state() {
  local said
  task_runs=
  in_guest "$1" 60 powershell.exe -NoProfile -Command \
    "(Get-ScheduledTask -TaskPath '\\moxc\\' -TaskName '$task').State.value__; (Get-ScheduledTaskInfo -TaskPath '\\moxc\\' -TaskName '$task').LastTaskResult" ||
    return 1
  said=${printed//$'\r'/}
  [[ $said =~ ^([0-9]{1,2})$'\n'([0-9]{1,10})$ ]] || return 1
  if [[ ${BASH_REMATCH[1]} == 4 ]]; then
    task_runs=1
  fi
  # The Task Scheduler's own errors have ten digits.
  gate status task_result "${BASH_REMATCH[2]}" || task_result=1
}

# run_task VMID: starts the task, and waits for its end. Its result is in $task_result.
run_task() {
  local until heard_at
  if ! in_guest "$1" 60 schtasks.exe /Run /TN "\\moxc\\$task"; then
    problem="the task $task cannot be started"
    return 1
  fi
  until=$((SECONDS + timeout))
  heard_at=$SECONDS
  while sleep "$step"; do
    if task_state "$1"; then
      heard_at=$SECONDS
      if [[ -z $task_runs ]]; then
        return 0
      fi
    else
      # The agent is itself updated at times; only a long silence means something.
      if ((SECONDS - heard_at >= patience)); then
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

# ---------------------------------------------------------------- snapshots

# own_snapshots VMID: oldest first. Their names sort by time.
own_snapshots() {
  hear pvesh get "/nodes/$node/qemu/$1/snapshot" --output-format json || return 1
  rows 'my $prefix = shift @ARGV; row($_) for sort grep { /^\Q$prefix\E[0-9TZ]+$/ } map { $_->{name} // "" } @$d' "$prefix" <<<"$heard"
}

prune() {
  local own name text
  if ! text=$(own_snapshots "$1"); then
    failed "guest $1: Proxmox VE does not tell its snapshots" vmid "$1"
    return 0
  fi
  own=()
  while take "guest $1: a snapshot" name:name; do own+=("$name"); done <<<"$text"
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

# forget VMID NAME: the snapshot, where nothing was done after it.
forget() {
  if [[ -z $2 ]]; then
    return 0
  fi
  if ! attempt qm delsnapshot "$1" "$2"; then
    failed "guest $1: the snapshot $2 stays: $reason" vmid "$1" snapshot "$2"
  fi
}

# ---------------------------------------------------------------- one guest

# update VMID: has the task install, and looks what became of it. 0: the guest is well; 1: it is not, and $problem says why;
# 4: the updater was at work, and nothing was done. What is told meanwhile is no reason to go back: an update that Windows
# cannot install leaves a guest as well as it was.
update() {
  local told_problem=''
  if run_task "$1"; then
    case $task_result in
      0 | 3) ;;
      4)
        problem="Windows' updater is at work, or there is no network"
        return 4
        ;;
      *) found "guest $1: not every update could be installed (status $task_result): see C:\\ProgramData\\moxc\\log" vmid "$1" ;;
    esac
  else
    told_problem=$problem
  fi
  if ! answers "$1" && ! wait_for "$1"; then
    problem=${told_problem:-"the agent does not answer within $patience seconds"}
    return 1
  fi
  if [[ -n $told_problem ]]; then
    # It answers again: whether it is well decides, and the run failed in any case.
    failed "guest $1: $told_problem" vmid "$1"
  fi
  if ! outcomes "$1"; then
    found "guest $1 does not tell what became of the updates" vmid "$1"
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

# look VMID: what --check tells.
look() {
  local vmid=$1 status=0
  outcomes "$vmid" || status=$?
  if ((status == 4)); then
    busy "guest $vmid: $problem" vmid "$vmid"
  elif ((status)); then
    failed "guest $vmid does not tell whether there are updates" vmid "$vmid"
  elif [[ -n $must_restart ]]; then
    found "guest $vmid must restart to finish, and $pending updates wait" vmid "$vmid" updates# "$pending"
  elif ((by_hand)); then
    found "guest $vmid: $by_hand updates want a person, and $pending wait for their time" vmid "$vmid" updates# "$pending"
  else
    say "guest $vmid: $pending updates wait for their time" vmid "$vmid" updates# "$pending"
  fi
}

guest() {
  local vmid=$1 config started='' asked=0
  problem=
  if ! hear qm config "$vmid"; then
    failed "there is no guest $vmid: $(last_line "$heard_err")" vmid "$vmid"
    return 0
  fi
  config=$heard
  if [[ $config =~ (^|$'\n')lock:\ ([a-z-]+) ]]; then
    busy "guest $vmid is locked (${BASH_REMATCH[2]}): nothing was done with it" vmid "$vmid"
    return 0
  fi
  if ! hear qm status "$vmid"; then
    failed "guest $vmid: Proxmox VE does not tell its state" vmid "$vmid"
    return 0
  fi
  if [[ $heard != 'status: running' ]]; then
    if [[ -z $start || -n $check ]]; then
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
  elif [[ -n $check ]]; then
    look "$vmid"
  else
    outcomes "$vmid" || asked=$?
    if ((asked == 4)); then
      busy "guest $vmid: $problem: nothing was done" vmid "$vmid"
    elif ((asked)); then
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
  fi
  if [[ -n $started ]]; then
    run qm shutdown "$vmid" --timeout "$patience"
  fi
}

# carry_out VMID
carry_out() {
  local vmid=$1 name='' stamp status=0
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
  update "$vmid" || status=$?
  case $status in
    0)
      say "guest $vmid: updated" vmid "$vmid"
      count 'updated'
      if [[ -n $snapshot ]]; then
        prune "$vmid"
      fi
      ;;
    4)
      busy "guest $vmid: $problem: nothing was done" vmid "$vmid"
      forget "$vmid" "$name"
      ;;
    *)
      failed "guest $vmid: $problem" vmid "$vmid"
      if [[ -n $name ]]; then
        back "$vmid" "$name"
      fi
      ;;
  esac
}

for vmid in "${operands[@]}"; do
  guest "$vmid"
done
