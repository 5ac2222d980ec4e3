#!/bin/bash
# <@ header|safe @>
#
# Hook script of the virtual machine <@ vmid @>: shares folders of the host with it by virtio-fs.
# Proxmox VE runs it with the VMID and a phase. Before the guest starts, one virtiofsd a folder waits for it at the socket
# that the guest's `args` name; after the guest has stopped, all of them are gone.
#
# It is one group, so that a file that was cut does nothing but fail, and one that is replaced while it runs is not read on.

{
set -euo pipefail
export LC_ALL=C

vmid=<@ vmid @>
run_dir=<@ run_dir @>
virtiofsd=/usr/libexec/virtiofsd
dry_run=

say() { printf '%s\n' "$*"; }
die() {
  printf '%s: %s\n' "${0##*/}" "$*" >&2
  exit 1
}

usage() {
  cat <<END
Usage: ${0##*/} [--dry-run] VMID PHASE

Shares folders of the host with the virtual machine $vmid by virtio-fs.
Proxmox VE runs it; PHASE is pre-start, post-start, pre-stop or post-stop.

  --dry-run  show what would be done
  --yes      accepted as everywhere; there are no questions
  --help     show this
END
}

# run COMMAND...: runs what changes something; with --dry-run shows it only. What it says is passed on without controls, and
# not much of it; it is waited for two minutes.
run() {
  if [[ -n $dry_run ]]; then
    say "  $(printf '%q ' "$@" | sed 's/ $//')"
    return 0
  fi
  timeout -k 5 120 "$@" 2>&1 </dev/null | head -c 65536 | tr -c '[:print:]\n' '?' >&2 ||
    die "failed: $(printf '%q ' "$@" | sed 's/ $//')"
}

# whether COMMAND...: asks, for the status alone.
whether() { timeout -k 5 60 "$@" >/dev/null 2>&1 </dev/null; }

# start NUMBER FOLDER rw|ro: shares one folder.
start() {
  local number=$1 folder=$2 access=$3
  local unit=virtiofsd-$vmid-$number.service socket=$run_dir/$number.sock
  # Without this, a pool that is not imported would give the guest an empty folder of the root file system.
  whether mountpoint -q "$folder" || die "$folder is not mounted, so it is not shared"
  stop "$number"
  if [[ $access = ro ]]; then
    # The host keeps the guest from writing: virtiofsd itself can only from 1.13 on.
    run install -d -m 0755 "$run_dir/$number"
    run mount --bind --make-private "$folder" "$run_dir/$number"
    run mount -o remount,bind,ro "$run_dir/$number"
    folder=$run_dir/$number
  fi
  run systemd-run --quiet --collect --unit="$unit" --description="virtio-fs of guest $vmid" -- \
    "$virtiofsd" --socket-path="$socket" --shared-dir="$folder" --announce-submounts --cache=auto<% if windows %> \
    --inode-file-handles=prefer<% endif %>
  if [[ -n $dry_run ]]; then
    return 0
  fi
  local waited=0
  until [[ -S $socket ]]; do
    if ! whether systemctl --quiet is-active "$unit" || ((waited >= 100)); then
      die "virtiofsd does not come up for $folder: see journalctl -u $unit"
    fi
    sleep 0.1
    waited=$((waited + 1))
  done
}

# stop NUMBER: undoes what start did, as far as there is anything to undo.
stop() {
  local number=$1
  local unit=virtiofsd-$vmid-$number.service
  if whether systemctl --quiet is-active "$unit"; then
    run systemctl stop "$unit"
  fi
  if whether mountpoint -q "$run_dir/$number"; then
    run umount "$run_dir/$number"
  fi
  if [[ -d $run_dir/$number ]]; then
    run rmdir "$run_dir/$number"
  fi
  if [[ -e $run_dir/$number.sock ]]; then
    run rm -f "$run_dir/$number.sock" "$run_dir/$number.sock.pid"
  fi
}

start_all() {
  [[ -x $virtiofsd ]] || die "$virtiofsd is not there: apt install virtiofsd"
  run install -d -m 0700 "$run_dir"
<%- for folder in folders %>
  start <@ folder.number @> <@ folder.path @> <% if folder.read_only %>ro<% else %>rw<% endif %> # <@ folder.tag @>
<%- endfor %>
}

stop_all() {
<%- for folder in folders %>
  stop <@ folder.number @>
<%- endfor %>
  if [[ -d $run_dir ]]; then
    run rmdir --ignore-fail-on-non-empty "$run_dir"
  fi
}

while [[ ${1-} = -* ]]; do
  case $1 in
    --dry-run) dry_run=1 ;;
    --yes) ;;
    --help)
      usage
      exit 0
      ;;
    *)
      usage >&2
      exit 2
      ;;
  esac
  shift
done
if (($# != 2)); then
  usage >&2
  exit 2
fi
# A clone or a restored copy has this script in its configuration too, but the sockets are those of one guest.
[[ $1 = "$vmid" ]] || die "this is the hook script of guest $vmid, not of $1: remove hookscript and args from $1"

case $2 in
  pre-start)
    trap stop_all EXIT
    start_all
    trap - EXIT
    ;;
  post-stop) stop_all ;;
  *) ;; # nothing to do in the phases between
esac
exit
}
