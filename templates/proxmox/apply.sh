#!/bin/bash
# <@ header|safe @>
#
# Brings the host to what this tree says, step by step. What is so already stays as it is: a second run changes nothing.
# It stops at the first failure and says what it has done; the next run goes on from there.
<% include "gate.sh" %>

<% include "tool.sh" %>

usage() {
  cat <<'END'
usage: apply.sh [--dry-run] [--yes] [--root DIR [--live]]

Applies the tree that this script stands in, in this order:

  check       this is the host, of the right release; secrets are in place
  storage     pools and datasets that are missing (storage/create.sh)
  files       what belongs below /etc, /usr and /var
  boot        the initial RAM disk and the boot loader, where their files changed
  units       systemd units
  datacenter  storages, mappings and passwords of Proxmox VE
  guests      missing guests are made, existing ones changed where they differ
  jobs        backup jobs and the firewall
  network     last: it comes back as it was where the host is cut off

Nothing is ever destroyed: no guest, no volume, no pool. A file that is replaced is kept in
/var/lib/moxc/backup.

  --dry-run   shows what would be done, and changes nothing
  --yes       asks nothing
  --root DIR  files go below DIR; guests and storages still go through the qm, pct and pvesm that are found,
              what acts on the running system is left out
  --live      with --root: does act on the running system
  --help      shows this
END
}

root=
live=1
while (($#)); do
  case $1 in
    --dry-run) dry_run=1 ;;
    --yes) yes=1 ;;
    --live) live=forced ;;
    --root)
      if [[ -z ${2:-} ]]; then
        usage >&2
        exit 2
      fi
      root=${2%/}
      shift
      ;;
    --help | -h) usage; exit 0 ;;
    *) usage >&2; exit 2 ;;
  esac
  shift
done
if [[ -n $root && $live != forced ]]; then
  live=
fi

tree=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)
pve=$root/etc/pve
state=$root/var/lib/moxc
backup=$state/backup/$(date +%Y%m%dT%H%M%S)
declare -r host=<@ host @> release=<@ release @>

<% include "proxmox/apply/files.sh" %>

<% include "proxmox/apply/guests.sh" %>

# ---------------------------------------------------------------- steps

step_check() {
  need awk cmp find pct qm sed sha256sum sort stat
  if [[ -z $root && -z $dry_run && $(id -u) != 0 ]]; then
    die 'only root can do this'
  fi
  if [[ -n $live && -z $root ]]; then
    if [[ $(hostname) != "$host" ]]; then
      die "this tree is for $host, and this is $(hostname)"
    fi
    if [[ ! -d $pve/local/ ]]; then
      die "$pve is not there: is pve-cluster running?"
    fi
    check_release "$(pveversion)"
  fi
<%- for secret in secrets %>
  check_secret <@ secret.name @> <@ secret.storage @>
<%- endfor %>
}

# check_release TEXT: of pveversion, as pve-manager/9.1.2/…
check_release() {
  local here=${1#*/}
  here=${here%%/*}
  if [[ ${here%%.*} != "${release%%.*}" ]]; then
    die "this tree is for Proxmox VE $release, and this host runs $here"
  fi
  if [[ $(printf '%s\n' "$release" "$here" | sort -V | sed -n 1p) != "$release" ]]; then
    die "this tree is for Proxmox VE $release, and this host runs the older $here"
  fi
}

step_storage() {
  local planned options=()
  if [[ ! -e $tree/storage/create.sh ]]; then
    return 0
  fi
  if [[ -n $root ]] && ! command -v zpool >/dev/null; then
    say '  left out: there is no zpool here'
    return 0
  fi
  planned=$(bash "$tree/storage/create.sh" --dry-run)
  if [[ $planned == *'nothing to change' ]]; then
    return 0
  fi
  changes=$((changes + 1))
  if [[ -n $dry_run ]]; then
    say "$planned"
    return 0
  fi
  if [[ -n $yes ]]; then
    options+=(--yes)
  fi
  bash "$tree/storage/create.sh" "${options[@]}"
}

step_files() {
  remove_stale_files
  install_tree
<%- if nixos %>
<%- else %>
<%- if has_hosts_line %>
  hosts_line <@ hosts_address @> <@ hosts_fqdn @> <@ host @>
<%- endif %>
<%- endif %>
}

step_boot() {
  local parameter
  if ! is_pending boot; then
    return 0
  fi
  if [[ -z $live ]]; then
    say '  left out: the initial RAM disk of a running system'
    return 0
  fi
  if [[ -e $tree/etc/modprobe.d/zfs.conf && -d /sys/module/zfs/parameters ]]; then
    # The cache takes its bounds at once; no reboot is needed for them.
    while read -r parameter; do
      run set_zfs_parameter "${parameter%%=*}" "${parameter#*=}"
    done < <(awk '$1 == "options" && $2 == "zfs" { print $3 }' "$tree/etc/modprobe.d/zfs.conf")
  fi
  run update-initramfs -u -k all
  if [[ -s $root/etc/kernel/proxmox-boot-uuids ]]; then
    run proxmox-boot-tool refresh
  elif command -v update-grub >/dev/null; then
    run update-grub
  fi
  settled boot
  say '  takes effect when the host starts the next time'
}

set_zfs_parameter() {
  printf '%s' "$2" >"/sys/module/zfs/parameters/$1" || warn "$1 waits for the next start"
}

step_units() {
  if [[ -z $live ]]; then
    say '  left out: systemd of a running system'
    return 0
  fi
  if is_pending units; then
    run systemctl daemon-reload
    settled units
  fi
  if is_pending sysctl; then
    run sysctl --quiet --system
    settled sysctl
  fi
  enable_units
}

step_datacenter() {
  local mapping
  merge_sections storage.cfg keep
  for mapping in "$tree"/etc/pve/mapping/*.cfg; do
    if [[ -e $mapping ]]; then
      merge_sections "mapping/${mapping##*/}" drop
    fi
  done
<%- for secret in secrets %>
  place_secret <@ secret.name @> <@ secret.storage @> <@ secret.prefix @>
<%- endfor %>
}

step_guests() {
  local file
  for file in "$tree"/etc/pve/qemu-server/*.conf; do
    if [[ -e $file ]]; then
      apply_guest qm qemu-server "$file"
    fi
  done
  for file in "$tree"/etc/pve/lxc/*.conf; do
    if [[ -e $file ]]; then
      apply_guest pct lxc "$file"
    fi
  done
}

# template_of VMID: what a container is made from.
template_of() {
  case $1 in
<%- for container in containers %>
    <@ container.vmid @>) printf '%s' <@ container.template @> ;;
<%- endfor %>
    *) die "container $1: the tree names no template for it" ;;
  esac
}

step_jobs() {
  local file
  merge_sections jobs.cfg drop
  while IFS= read -r -d '' file; do
    file=${file#"$tree"/etc/pve/}
    case $file in
      storage.cfg | jobs.cfg | mapping/* | qemu-server/* | lxc/*) ;;
      *) install_pve_file "$file" ;;
    esac
  done < <(find "$tree/etc/pve" -type f ! -name '.*' ! -name '*~' -print0 2>/dev/null | sort -z)
}

step_network() {
<%- if nixos %>
  say '  the network of this host is in its NixOS module'
<%- else %>
  local before
  before=$(reachable_gateways)
  install_network
  if ! is_pending network; then
    return 0
  fi
  if [[ -z $live ]]; then
    say '  left out: the running network'
    return 0
  fi
  ask 'Bring the network up anew? A connection by the network may hang for a moment.'
  reload_network "$before"
<%- endif %>
}

# reachable_gateways: those of the tree that answer, one a line.
reachable_gateways() {
  local gateway
  local gateways=(<% for one in gateways %><% if loop.first %><% else %> <% endif %><@ one @><% endfor %>)
  if [[ -z $live || -n $dry_run ]]; then
    return 0
  fi
  for gateway in "${gateways[@]}"; do
    if ping -c 1 -W 2 "$gateway" >/dev/null 2>&1; then
      printf '%s\n' "$gateway"
    fi
  done
}

# missing_addresses: those of the tree that the host does not have, one a line.
missing_addresses() {
<%- for one in addresses %>
  if ! ip -o address show dev <@ one.bridge @> 2>/dev/null | grep -Fq -e <@ one.shown @>; then
    printf '%s\n' <@ one.bridge @>' '<@ one.address @>
  fi
<%- endfor %>
  return 0
}

# ---------------------------------------------------------------- one after the other

done_steps=()
step=
command=
# What a failure leaves behind is told once, at the end.
told() {
  local status=$?
  if ((status)) && [[ -n $step ]]; then
    warn "stopped in step $step${command:+, by: $command}"
    if ((${#done_steps[@]})); then
      warn "done before: ${done_steps[*]}"
    fi
    warn 'mend the cause and run it again: what is done is not done twice'
  fi
}
trap 'command=$BASH_COMMAND' ERR
trap told EXIT

for step in check storage files boot units datacenter guests jobs network; do
  say "$step"
  "step_$step"
  done_steps+=("$step")
done
step=

if ((changes == 0)); then
  say 'nothing to change'
elif [[ -n $dry_run ]]; then
  say "$changes changes, none made (--dry-run)"
else
  say "$changes changes made"
fi
