# proxmox-maintenance: removes what a host no longer needs, and reports how its pools, disks and file systems are.

usage() {
  cat <<'END'
usage: proxmox-maintenance [OPTIONS]

Removes old kernels, downloaded packages and old journals (on NixOS, old generations), then looks at every pool, disk and
file system. Where one of them wants a look, the exit status is 5.

  --kernels N       how many of the newest kernels stay (2); the running one and pinned ones stay, too
  --journal DAYS    how long journals stay (30)
  --generations D   NixOS: how many days old generations stay (30)
  --full PERCENT    from where on a pool or a file system is too full (85)
  --scrub-age DAYS  how old the last scrub of a pool may be (40)
  --report-only     removes nothing
END
}

kernels=2
journal=30
generations=30
full=85
scrub_age=40
report_only=
option() {
  case $1 in
    --kernels) number kernels ;;
    --journal) number journal ;;
    --generations) number generations ;;
    --full) number full ;;
    --scrub-age) number scrub_age ;;
    --report-only) report_only=1 ;;
    *) return 1 ;;
  esac
}

begin "$@"
if ((${#operands[@]})); then
  wrong_usage "unknown argument ${operands[0]}"
fi
need perl uname
lock
has() { command -v "$1" >/dev/null; }
# ---------------------------------------------------------------- kernels

# old_kernels: the packages of kernels that nothing starts, in $old.
old=()
old_kernels() {
  local status package version newest=() kept pinned
  local -A packages=() keep=()
  old=()
  while read -r status package; do
    # The kernel's own packages: those that only stand for the newest one have no build in their names.
    if [[ $status == installed && $package =~ ^(proxmox-kernel|pve-kernel)-([0-9]+\.[0-9]+\.[0-9]+-[0-9]+-pve)(-signed)?$ ]]; then
      version=${BASH_REMATCH[2]}
      packages[$version]+=" $package"
    fi
  done < <(dpkg-query -W -f '${db:Status-Status} ${Package}\n' 'proxmox-kernel-*' 'pve-kernel-*' 2>/dev/null)
  if ((${#packages[@]} == 0)); then
    return 0
  fi
  mapfile -t newest < <(printf '%s\n' "${!packages[@]}" | sort -rV)
  for version in "${newest[@]:0:kernels}" "${newest[0]}"; do keep[$version]=1; done
  version=$(uname -r)
  keep[$version]=1
  # proxmox-boot-tool(8) writes these two files: what was pinned, and what was chosen by hand.
  while read -r pinned; do
    if [[ -n $pinned ]]; then
      keep[$pinned]=1
    fi
  done < <(cat "$root/etc/kernel/proxmox-boot-pin" "$root/etc/kernel/proxmox-boot-manual-kernels" 2>/dev/null)
  for version in "${newest[@]}"; do
    if [[ -z ${keep[$version]+set} ]]; then
      read -ra kept <<<"${packages[$version]}"
      old+=("${kept[@]}")
    fi
  done
}

remove_kernels() {
  local planned action package
  old_kernels
  if ((${#old[@]} == 0)); then
    return 0
  fi
  say "old kernels: ${old[*]}"
  if ! planned=$(apt-get -s remove -- "${old[@]}" 2>&1); then
    failed "the old kernels cannot be removed: ${planned##*$'\n'}"
    return 0
  fi
  while read -r action package _; do
    if [[ $action == Remv && " ${old[*]} " != *" $package "* ]]; then
      found "the old kernels stay: $package would go with them" package "$package"
      return 0
    fi
  done <<<"$planned"
  ask "Remove ${#old[@]} packages of old kernels?"
  if run apt-get -q -y -o "DPkg::Lock::Timeout=$lock_timeout" remove -- "${old[@]}"; then
    count 'kernel packages removed' "${#old[@]}"
  else
    failed 'the old kernels could not be removed'
  fi
}

if [[ -z $report_only ]]; then
  if has apt-get; then
    export DEBIAN_FRONTEND=noninteractive NEEDRESTART_MODE=l
    remove_kernels
    run apt-get -q clean || failed 'the downloaded packages could not be removed'
  fi
  if has nix-collect-garbage; then
    run nix-collect-garbage --delete-older-than "${generations}d" || failed 'old generations could not be removed'
  fi
  if has journalctl; then
    run journalctl --vacuum-time="${journal}d" || failed 'old journals could not be removed'
  fi
fi

# ---------------------------------------------------------------- pools

# look_into POOL: its errors and its last scrub, where zpool can say them as JSON (2.3 and later).
look_into() {
  local lines kind what number now
  now=$(date +%s)
  if lines=$(zpool status -j --json-int -- "$1" 2>/dev/null | rows '
    my ($pool) = values %{ $d->{pools} };
    row("errors", $pool->{name}, $pool->{error_count} // 0);
    row("scrub", $pool->{scan_stats}{function} // "", $pool->{scan_stats}{end_time} // 0);
    sub walk { my $vdev = shift;
      my $count = 0; $count += $vdev->{$_} // 0 for qw(read_errors write_errors checksum_errors);
      row("vdev", $vdev->{name}, $count) if $count;
      walk($_) for map { $vdev->{vdevs}{$_} } sort keys %{ $vdev->{vdevs} // {} };
    }
    walk($_) for map { $pool->{vdevs}{$_} } sort keys %{ $pool->{vdevs} // {} };' 2>/dev/null); then
    while IFS=$'\x1f' read -r kind what number; do
      case $kind in
        errors)
          if [[ $number != 0 ]]; then
            found "pool $1: $number files or blocks are damaged" pool "$1"
          fi
          ;;
        vdev) found "pool $1: $what had $number errors" pool "$1" vdev "$what" ;;
        scrub)
          if [[ $what == SCRUB && $number =~ ^[0-9]+$ ]] && ((number > 0 && now - number > scrub_age * 86400)); then
            found "pool $1: the last scrub was $(((now - number) / 86400)) days ago" pool "$1"
          fi
          ;;
      esac
    done <<<"$lines"
  elif lines=$(zpool status -x -- "$1") && [[ $lines != *"pool '$1' is healthy"* ]]; then
    found "pool $1: $(sed -n 's/^ *status: //p' <<<"$lines")" pool "$1"
  fi
}

if has zpool; then
  if pools=$(zpool list -H -p -o name,health,capacity,fragmentation); then
    while IFS=$'\t' read -r pool health capacity fragmentation; do
      if [[ -z $pool ]]; then
        continue
      fi
      say "pool $pool: $health, $capacity % used, $fragmentation % fragmented" pool "$pool" health "$health" capacity "$capacity" fragmentation "$fragmentation"
      count 'pools looked at'
      if [[ $health != ONLINE ]]; then
        found "pool $pool is $health" pool "$pool" health "$health"
      fi
      if [[ $capacity =~ ^[0-9]+$ ]] && ((capacity >= full)); then
        found "pool $pool is $capacity % full" pool "$pool" capacity "$capacity"
      fi
      if [[ $health == ONLINE || $health == DEGRADED ]]; then
        look_into "$pool"
      fi
    done <<<"$pools"
  else
    failed 'the pools cannot be asked for'
  fi
fi

# ---------------------------------------------------------------- disks

look_at_disks() {
  local disks disk type answer line passed model hot worn bad
  if ! disks=$(smartctl --json --scan | rows 'row($_->{name}, $_->{type}) for @{ $d->{devices} // [] }'); then
    failed 'the disks cannot be asked for'
    return 0
  fi
  while IFS=$'\x1f' read -r disk type; do
    if [[ -z $disk ]]; then
      continue
    fi
    # Its status is a set of bits, most of which are about the disk and not about the call.
    answer=$(smartctl --json -i -H -A -d "$type" "$disk" 2>/dev/null) || true
    # ATA's attributes 5, 197 and 198: sectors that were replaced, wait for it, or cannot be read.
    if ! line=$(rows '
      my $bad = 0;
      for (@{ $d->{ata_smart_attributes}{table} // [] }) { $bad += $_->{raw}{value} // 0 if $_->{id} == 5 || $_->{id} == 197 || $_->{id} == 198 }
      $bad += $d->{nvme_smart_health_information_log}{media_errors} // 0;
      my $passed = $d->{smart_status}{passed};
      row(!defined $passed ? "unknown" : $passed ? "yes" : "no", $d->{model_name} // $d->{scsi_model_name}, $d->{temperature}{current},
        $d->{nvme_smart_health_information_log}{percentage_used} // $d->{endurance_used}{current_percent}, $bad);' <<<"$answer" 2>/dev/null); then
      failed "$disk: smartctl gives no answer" disk "$disk"
      continue
    fi
    IFS=$'\x1f' read -r passed model hot worn bad <<<"$line"
    if [[ $passed == unknown ]]; then
      say "disk $disk (${model:-unknown}): says nothing of its health" disk "$disk"
      continue
    fi
    count 'disks looked at'
    say "disk $disk (${model:-unknown}): health $passed, ${hot:-?} °C, ${worn:-?} % worn, $bad bad sectors" disk "$disk" health "$passed" temperature "$hot" worn "$worn" bad "$bad"
    if [[ $passed == no ]]; then
      found "disk $disk: it says itself that it is failing" disk "$disk"
    fi
    if [[ $worn =~ ^[0-9]+$ ]] && ((worn >= 90)); then
      found "disk $disk: $worn % of its life is used up" disk "$disk"
    fi
    if [[ $bad =~ ^[0-9]+$ ]] && ((bad > 0)); then
      found "disk $disk: $bad bad sectors" disk "$disk"
    fi
  done <<<"$disks"
}
if has smartctl; then
  look_at_disks
fi

# ---------------------------------------------------------------- file systems

if has findmnt; then
  if places=$(findmnt --json --bytes --real --output TARGET,FSTYPE,SIZE,USED --list |
    rows 'for (@{ $d->{filesystems} }) {
      next unless $_->{fstype} =~ /^(ext[234]|xfs|btrfs|vfat|f2fs)$/ && $_->{size};
      row($_->{target}, int(100 * $_->{used} / $_->{size} + 0.5)) }'); then
    while IFS=$'\x1f' read -r place used; do
      if [[ -z $place ]]; then
        continue
      fi
      say "file system $place: $used % used" place "$place" used# "$used"
      count 'file systems looked at'
      if ((used >= full)); then
        found "file system $place is $used % full" place "$place" used# "$used"
      fi
    done <<<"$places"
  else
    failed 'the file systems cannot be asked for'
  fi
fi
if [[ -e $root/run/reboot-required ]]; then
  found 'a restart is due: a package asks for it'
fi
