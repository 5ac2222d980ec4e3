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
need grep perl sed sort uname
lock
has() { command -v "$1" >/dev/null; }
# ---------------------------------------------------------------- kernels

# old_kernels: the packages of kernels that nothing starts, in $old.
old=()
old_kernels() {
  local status package version listed newest=() kept pinned missing=''
  local -A packages=() keep=()
  old=()
  # It fails, too, where one of the two patterns meets no package: then it says so and lists the others.
  if ! hear_list dpkg-query -W -f '${db:Status-Status} ${Package}\n' 'proxmox-kernel-*' 'pve-kernel-*'; then
    missing=$(grep -v '^dpkg-query: no packages found matching ' <<<"$heard_err") || true
    if [[ -n $missing || -z $heard_err ]]; then
      failed "the kernels cannot be listed, so old ones stay: $(last_line "$heard_err")"
      return 1
    fi
  fi
  while take 'a package' status:name package:name; do
    # The kernel's own packages: those that only stand for the newest one have no build in their names.
    if [[ $status == installed && $package =~ ^(proxmox-kernel|pve-kernel)-([0-9]+\.[0-9]+\.[0-9]+-[0-9]+-pve)(-signed)?$ ]]; then
      must name version "${BASH_REMATCH[2]}" 'the version of a kernel'
      packages[$version]+=" $package"
    fi
  done <<<"${heard// /$'\x1f'}"
  if ((${#packages[@]} == 0)); then
    return 0
  fi
  listed=$(printf '%s\n' "${!packages[@]}" | sort -rV) || die 'the kernels cannot be sorted'
  while take_every 'a kernel' version:name; do
    if ((${#newest[@]} == 0 || ${#newest[@]} < kernels)); then
      keep[$version]=1
    fi
    newest+=("$version")
  done <<<"$listed"
  hear uname -r || heard=
  must name version "$heard" 'the running kernel'
  keep[$version]=1
  # proxmox-boot-tool(8) writes these two files: what was pinned, and what was chosen by hand.
  for pinned in proxmox-boot-pin proxmox-boot-manual-kernels; do
    if [[ ! -e $root/etc/kernel/$pinned ]]; then
      continue
    fi
    hear cat "$root/etc/kernel/$pinned" || die "$root/etc/kernel/$pinned cannot be read, so nobody knows what stays"
    while take_every "a kernel in $pinned" version:name; do
      keep[$version]=1
    done <<<"$heard"
  done
  for version in "${newest[@]}"; do
    if [[ -z ${keep[$version]+set} ]]; then
      read -ra kept <<<"${packages[$version]}"
      old+=("${kept[@]}")
    fi
  done
}

remove_kernels() {
  local action package
  if ! old_kernels; then
    return 0
  fi
  if ((${#old[@]} == 0)); then
    return 0
  fi
  say "old kernels: ${old[*]}"
  if ! gate_hear 600 "$list_most" apt-get -s remove -- "${old[@]}"; then
    failed "the old kernels cannot be removed: $(last_line "$heard_err")"
    return 0
  fi
  while read -r action package _; do
    gate name package "$package" || package='another package'
    if [[ $action == Remv && " ${old[*]} " != *" $package "* ]]; then
      found "the old kernels stay: $package would go with them" package "$package"
      return 0
    fi
  done <<<"$heard"
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
  printf -v now '%(%s)T' -1
  if hear_list zpool status -j --json-int -- "$1" && lines=$(rows '
    my ($pool) = values %{ $d->{pools} };
    row("errors", $pool->{name}, $pool->{error_count} // 0);
    row("scrub", $pool->{scan_stats}{function} // "", $pool->{scan_stats}{end_time} // 0);
    sub walk { my $vdev = shift;
      my $count = 0; $count += $vdev->{$_} // 0 for qw(read_errors write_errors checksum_errors);
      row("vdev", $vdev->{name}, $count) if $count;
      walk($_) for map { $vdev->{vdevs}{$_} } sort keys %{ $vdev->{vdevs} // {} };
    }
    walk($_) for map { $pool->{vdevs}{$_} } sort keys %{ $pool->{vdevs} // {} };' <<<"$heard" 2>/dev/null); then
    while take "the state of the pool $1" kind:name what:text? number:bytes; do
      case $kind in
        errors)
          if [[ $number != 0 ]]; then
            found "pool $1: $number files or blocks are damaged" pool "$1"
          fi
          ;;
        vdev) found "pool $1: $what had $number errors" pool "$1" vdev "$what" ;;
        scrub)
          if [[ $what == SCRUB ]] && ((number > 0 && now - number > scrub_age * 86400)); then
            found "pool $1: the last scrub was $(((now - number) / 86400)) days ago" pool "$1"
          fi
          ;;
      esac
    done <<<"$lines"
  elif ! hear zpool status -x -- "$1"; then
    failed "pool $1: its state cannot be asked for: $(last_line "$heard_err")" pool "$1"
  elif [[ $heard != *"pool '$1' is healthy"* ]]; then
    found "pool $1: $(sed -n 's/^ *status: //p' <<<"$heard")" pool "$1"
  fi
}

if has zpool; then
  if hear_list zpool list -H -p -o name,health,capacity,fragmentation; then
    # A pool that has stopped says `-`.
    while take 'a pool' pool:name health:name used:text fragmentation:text; do
      gate number capacity "${used%\%}" || capacity=0
      say "pool $pool: $health, $used % used, $fragmentation % fragmented" pool "$pool" health "$health" capacity "$used" fragmentation "$fragmentation"
      count 'pools looked at'
      if [[ $health != ONLINE ]]; then
        found "pool $pool is $health" pool "$pool" health "$health"
      fi
      if ((capacity >= full)); then
        found "pool $pool is $capacity % full" pool "$pool" capacity "$capacity"
      fi
      if [[ $health == ONLINE || $health == DEGRADED ]]; then
        look_into "$pool"
      fi
    done <<<"${heard//$'\t'/$'\x1f'}"
  else
    failed "the pools cannot be asked for: $(last_line "$heard_err")"
  fi
fi

# ---------------------------------------------------------------- disks

look_at_disks() {
  local disks disk type line passed model hot worn bad
  if ! hear_list smartctl --json --scan || ! disks=$(rows 'row($_->{name}, $_->{type}) for @{ $d->{devices} // [] }' <<<"$heard"); then
    failed 'the disks cannot be asked for'
    return 0
  fi
  while take 'a disk' disk:path type:word; do
    # Its status is a set of bits, most of which are about the disk and not about the call.
    hear_list smartctl --json -i -H -A -d "$type" "$disk" || true
    # ATA's attributes 5, 197 and 198: sectors that were replaced, wait for it, or cannot be read.
    if ! line=$(rows '
      my $bad = 0;
      for (@{ $d->{ata_smart_attributes}{table} // [] }) { $bad += $_->{raw}{value} // 0 if $_->{id} == 5 || $_->{id} == 197 || $_->{id} == 198 }
      $bad += $d->{nvme_smart_health_information_log}{media_errors} // 0;
      my $passed = $d->{smart_status}{passed};
      row(!defined $passed ? "unknown" : $passed ? "yes" : "no", $d->{model_name} // $d->{scsi_model_name}, $d->{temperature}{current},
        $d->{nvme_smart_health_information_log}{percentage_used} // $d->{endurance_used}{current_percent}, $bad);' <<<"$heard" 2>/dev/null); then
      failed "$disk: smartctl gives no answer" disk "$disk"
      continue
    fi
    if ! take "what $disk says" passed:name model:text? hot:number? worn:number? bad:bytes <<<"$line"; then
      continue
    fi
    if [[ $passed == unknown ]]; then
      say "disk $disk (${model:-unknown}): says nothing of its health" disk "$disk"
      continue
    fi
    count 'disks looked at'
    say "disk $disk (${model:-unknown}): health $passed, ${hot:-?} °C, ${worn:-?} % worn, $bad bad sectors" disk "$disk" health "$passed" temperature "$hot" worn "$worn" bad "$bad"
    if [[ $passed == no ]]; then
      found "disk $disk: it says itself that it is failing" disk "$disk"
    fi
    if [[ -n $worn ]] && ((worn >= 90)); then
      found "disk $disk: $worn % of its life is used up" disk "$disk"
    fi
    if ((bad > 0)); then
      found "disk $disk: $bad bad sectors" disk "$disk"
    fi
  done <<<"$disks"
}
if has smartctl; then
  look_at_disks
fi

# ---------------------------------------------------------------- file systems

if has findmnt; then
  if hear_list findmnt --json --bytes --real --output TARGET,FSTYPE,SIZE,USED --list &&
    places=$(rows 'for (@{ $d->{filesystems} }) {
      next unless $_->{fstype} =~ /^(ext[234]|xfs|btrfs|vfat|f2fs)$/ && $_->{size};
      row($_->{target}, int(100 * $_->{used} / $_->{size} + 0.5)) }' <<<"$heard"); then
    while take 'a file system' mounted:text percent:number; do
      say "file system $mounted: $percent % used" place "$mounted" used# "$percent"
      count 'file systems looked at'
      if ((percent >= full)); then
        found "file system $mounted is $percent % full" place "$mounted" used# "$percent"
      fi
    done <<<"$places"
  else
    failed 'the file systems cannot be asked for'
  fi
fi
if [[ -e $root/run/reboot-required ]]; then
  found 'a restart is due: a package asks for it'
fi
