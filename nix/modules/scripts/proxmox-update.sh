# proxmox-update: brings the packages of a Proxmox VE host up to date.

usage() {
  cat <<'END'
usage: proxmox-update [--reboot never|if-needed] [--guest-timeout N]

Reads the package lists, tries the upgrade in a simulation, and does it. It stops where a list cannot be read or no
repository of Proxmox VE is set up, and refuses an upgrade that would remove Proxmox VE.

  --reboot WHEN     never (the default): tells where a restart is due; if-needed: shuts the guests down in their order and
                    restarts
  --guest-timeout N how many seconds each guest has for that (180); one that takes longer keeps the host running
END
}

reboot=never
guest_timeout=180
option() {
  case $1 in
    --reboot) one_of reboot never if-needed ;;
    --guest-timeout) number guest_timeout ;;
    *) return 1 ;;
  esac
}

begin "$@"
if ((${#operands[@]})); then
  wrong_usage "unknown argument ${operands[0]}"
fi
need apt-get dpkg uname
lock
# Nobody is there to answer, and what somebody has changed stays as it is.
export DEBIAN_FRONTEND=noninteractive NEEDRESTART_MODE=l APT_LISTCHANGES_FRONTEND=none
apt=(
  apt-get -q -o "DPkg::Lock::Timeout=$lock_timeout" -o Dpkg::Options::=--force-confdef -o Dpkg::Options::=--force-confold
)

# ---------------------------------------------------------------- lists

# The lock of the lists is one that apt does not wait for.
refresh() {
  local until=$((SECONDS + lock_timeout))
  # By default a list that cannot be read is a warning, and the old one is taken.
  until attempt "${apt[@]}" -o APT::Update::Error-Mode=any update; do
    if [[ $said != *'Could not get lock'* ]]; then
      while IFS= read -r line; do
        if [[ $line == [EW]:* ]]; then
          warn "apt: ${line#?: }"
        fi
      done <<<"$said"
      die 'the package lists cannot be read: nothing was upgraded'
    fi
    if ((SECONDS >= until)); then
      later "apt is at work elsewhere: nothing was upgraded ($reason)"
    fi
    sleep 5
  done
}
refresh
# Without one, an upgrade takes Debian's newer libraries and leaves Proxmox VE behind.
# apt expands the name of the field itself.
hear_list "${apt[@]}" indextargets --format '$(COMPONENT)' 'Created-By: Packages' ||
  die "nobody tells which repositories there are: $(last_line "$heard_err"); nothing was upgraded"
if [[ $'\n'$heard != *$'\n'pve* ]]; then
  refuse 'no repository of Proxmox VE is set up (pve-enterprise, pve-no-subscription): nothing was upgraded'
fi

# ---------------------------------------------------------------- upgrade

# An earlier run may have been cut off in the middle of a package.
hear dpkg --audit || die "dpkg does not tell how its packages are: $(last_line "$heard_err")"
if [[ -n $heard ]]; then
  say 'an earlier upgrade was cut off: it is finished first'
  run dpkg --force-confdef --force-confold --configure -a
fi

if ! gate_hear 600 "$list_most" "${apt[@]}" -s dist-upgrade; then
  while IFS= read -r line; do
    if [[ $line == E:* ]]; then
      warn "apt: ${line#E: }"
    fi
  done <<<"$heard_err"
  refuse 'the upgrade cannot be worked out: nothing was upgraded'
fi
installs=() removes=() precious=()
while read -r action package _; do
  case $action in
    Inst | Remv | Purg) must name package "$package" 'a package that apt names' ;;
    *) continue ;;
  esac
  case $action in
    Inst) installs+=("$package") ;;
    Remv | Purg)
      removes+=("$package")
      case $package in
        proxmox-ve | pve-manager | pve-cluster | qemu-server | pve-container | pve-qemu-kvm | libpve-storage-perl | ifupdown2 | zfsutils-linux)
          precious+=("$package")
          ;;
      esac
      ;;
  esac
done <<<"$heard"
if ((${#precious[@]})); then
  refuse "the upgrade would remove ${precious[*]}: nothing was upgraded"
fi
if ((${#installs[@]} + ${#removes[@]})); then
  say "packages to upgrade or install: ${installs[*]:-none}"
  if ((${#removes[@]})); then
    say "packages to remove: ${removes[*]}"
  fi
  ask "Upgrade ${#installs[@]} packages?"
  if ! run "${apt[@]}" -y dist-upgrade; then
    die 'the upgrade failed: run it again when the cause is mended, it goes on from there'
  fi
  count 'packages upgraded or installed' "${#installs[@]}"
  if ((${#removes[@]})); then
    count 'packages removed' "${#removes[@]}"
  fi
else
  say 'every package is up to date'
fi

# ---------------------------------------------------------------- restart

# due: whether the host has to restart, and in $due why.
due=
is_due() {
  local running newest pinned
  hear uname -r || heard=
  must name running "$heard" 'the running kernel'
  if [[ -e $root/run/reboot-required ]]; then
    due='a package asks for it'
    return 0
  fi
  newest=$(find "$root/boot" -maxdepth 1 -name 'vmlinuz-*' -printf '%f\n' 2>/dev/null | sed 's/^vmlinuz-//' | sort -V | tail -n 1) || newest=
  gate name newest "$newest" || warn "the kernels in $root/boot cannot be told apart, so nobody knows whether a restart is due"
  # proxmox-boot-tool(8): `kernel pin` has the boot loader take that one.
  if [[ -e $root/etc/kernel/proxmox-boot-pin ]] && hear cat "$root/etc/kernel/proxmox-boot-pin" && gate name pinned "$heard"; then
    newest=$pinned
  fi
  if [[ -n $newest && $newest != "$running" ]]; then
    due="it runs the kernel $running and would start $newest"
    return 0
  fi
  return 1
}

# guests CONDITION: those of this host that a Perl condition on $_ takes, one a line: kind, number, name, lock.
know_node
guests() {
  local kind
  for kind in qemu lxc; do
    hear_list pvesh get "/nodes/$node/$kind" --output-format json || return 1
    # The condition is one of those below, and nothing from outside.
    rows "for (sort { \$a->{vmid} <=> \$b->{vmid} } grep { $1 } @\$d) { row(\$ARGV[0], \$_->{vmid}, \$_->{name}, \$_->{lock}) }" "$kind" <<<"$heard" || return 1
  done
}

# What ran before, where the restart does not come: it runs again, whether it starts with the host or not.
ran=()
start_again() {
  local list
  if ((${#ran[@]})); then
    printf -v list ',%s' "${ran[@]}"
    run pvesh create "/nodes/$node/startall" --force 1 --vms "${list#,}" || failed 'the guests could not be started again'
  fi
}

restart() {
  local kind vmid name held locked running left own
  need pvesh perl systemctl
  if ! locked=$(guests 'defined $_->{lock}') || ! running=$(guests '($_->{status} // "") eq "running"'); then
    die 'the guests cannot be asked for: no restart'
  fi
  if take_every 'a guest' kind:name vmid:vmid name:text? held:text? <<<"$locked"; then
    busy "no restart: guest $vmid ($name) is in use ($held)" vmid "$vmid"
    return 0
  fi
  while take_every 'a guest' kind:name vmid:vmid name:text? held:text?; do
    ran+=("$vmid")
    own=
    if hear_list pvesh get "/nodes/$node/$kind/$vmid/config" --output-format json; then
      own=$(rows 'row($d->{onboot})' <<<"$heard") || own=
    fi
    if [[ $own != 1 ]]; then
      warn "guest $vmid ($name) does not start with the host: start it yourself afterwards" vmid "$vmid"
    fi
  done <<<"$running"
  at_exit start_again
  # In the reverse of their start order: that is Proxmox VE's own. By itself it would pull the plug on a guest that is slow.
  if ! run pvesh create "/nodes/$node/stopall" --force-stop 0 --timeout "$guest_timeout"; then
    failed 'no restart: the guests cannot be shut down'
    return 0
  fi
  if [[ -z $dry_run ]]; then
    if ! left=$(guests '($_->{status} // "") eq "running"'); then
      failed 'no restart: nobody knows whether the guests are down'
      return 0
    fi
    if take_every 'a guest' kind:name vmid:vmid name:text? held:text? <<<"$left"; then
      failed "no restart: guest $vmid ($name) does not stop" vmid "$vmid"
      return 0
    fi
  fi
  ran=()
  run systemctl reboot
  count 'restarts'
}

if is_due; then
  case $reboot in
    never) found "a restart is due: $due" ;;
    if-needed)
      say "a restart is due: $due"
      ask 'Shut the guests down and restart now?'
      restart
      ;;
  esac
fi
