# ---------------------------------------------------------------- the network

# Its files are switched as one. Before the first of them is touched, the host has a guard that is independent of this
# script, its terminal and its connection: a timer of systemd, and a unit for a restart in between. Both run `network_back`,
# which brings files, names of cards and the initial RAM disk back to what worked. Only a confirmation takes the guard away.
# `guarded` while the guard is set up and nothing is touched, 1 from the first file on until the network is confirmed.
in_network=
network_paths=()

# network FILES CARDS ADDRESSES GATEWAYS BASE...: FILES are the paths of the tree, a blank between them; CARDS are NAME=MAC,
# ADDRESSES BRIDGE=ADDRESS. BASE is what may be there now, for /etc/network/interfaces.
network() {
  local -a files=() cards=() addresses=() gateways=()
  local path now wanted changed=()
  read -r -a files <<<"$1"
  read -r -a cards <<<"$2"
  read -r -a addresses <<<"$3"
  read -r -a gateways <<<"$4"
  shift 4
  wanted_names+=("${files[@]}")
  if [[ -n $skipping ]]; then
    return 0
  fi
  for path in "${files[@]}"; do
    if [[ -L $root/$path ]]; then
      problem "$root/$path is a symbolic link: something else looks after it"
      return 0
    fi
    now=
    wanted=$(sha256_of "$tree/$path") || fail "$step_title: $path is not in this tree"
    if [[ -e $root/$path ]]; then
      now=$(sha256_of "$root/$path")
    fi
    if [[ $now == "$wanted" ]]; then
      applied "$path" text
      continue
    fi
    if ! is_expected "$@" left absent; then
      known "$left_sums" "$path"
      if [[ $is_known == "$wanted" ]]; then
        if [[ -n $looking ]]; then
          complain kept "$step_title: /$path was changed by hand and stays as it is"
        fi
        continue
      fi
      problem "/$path is not as expected: somebody else made or changed it"
      differences "$path" "$tree/$path"
      return 0
    fi
    changed+=("$path")
  done
  if ((${#changed[@]} == 0)); then
    return 0
  fi
  if [[ " ${changed[*]} " == *' etc/network/interfaces '* ]]; then
    check_interfaces "$tree/etc/network/interfaces"
    check_cards "$tree/etc/network/interfaces" "${cards[@]}"
  fi
  if ! intend "the network changes (${changed[*]}); guarded: it goes back unless it is confirmed"; then
    for path in "${changed[@]}"; do
      differences "$path" "$tree/$path"
    done
    return 0
  fi
  switch_network "$tree" "${changed[@]}"
  for path in "${changed[@]}"; do
    applied "$path" text
  done
}

# check_interfaces FILE: ifupdown2 reads the file and does nothing by it. It exits 0 whatever it finds, but what it does not
# understand is missing in its list.
check_interfaces() {
  local name known
  if ! command -v ifquery >/dev/null; then
    problem 'ifupdown2 is not there (ifquery)'
    return 0
  fi
  known=$(timeout -k 5 60 ifquery --list -a -i "$1" 2>/dev/null </dev/null | head -c 65536) || true
  while read -r name; do
    if ! grep -Fxq -e "$name" <<<"$known"; then
      problem "ifupdown2 does not understand the interface $name of the new /etc/network/interfaces"
    fi
  done < <(awk '$1 == "auto" { print $2 }' "$1")
}

# card_of MAC: the card's name now.
card_of() {
  local card mac
  for card in "$root"/sys/class/net/*; do
    if [[ ! -e $card/device ]]; then
      continue
    fi
    mac=$(head -c 64 -- "$card/bonding_slave/perm_hwaddr" 2>/dev/null || head -c 64 -- "$card/address" 2>/dev/null || true)
    if [[ ${mac,,} == "${1,,}" ]]; then
      printf '%s' "${card##*/}"
      return 0
    fi
  done
  return 1
}

# check_cards FILE NAME=MAC...: every card of the file is there, by its name or by its MAC: then it is renamed in the same
# stretch, so that no name is used before it is there.
check_cards() {
  local file=$1 pair name mac here
  shift
  renames=()
  if [[ ! -d $root/sys/class/net ]]; then
    return 0
  fi
  for pair; do
    name=${pair%%=*}
    mac=${pair#*=}
    if ! awk -v name="$name" '$1 == "iface" && $2 == name { found = 1 } END { exit !found }' "$file"; then
      continue
    fi
    if ! here=$(card_of "$mac"); then
      problem "no network card has the MAC address $mac of $name"
    elif [[ $here != "$name" ]]; then
      if [[ -e $root/sys/class/net/$name ]]; then
        problem "the card $here has the MAC address of $name, and another interface is called $name already"
        continue
      fi
      renames+=("$mac $here $name")
      if [[ -n $looking ]]; then
        line "$step_title: the card $here becomes $name at once"
      fi
    fi
  done
}
renames=()

# switch_network FOLDER PATH...: a path that is not in FOLDER goes.
switch_network() {
  local from=$1 path gateway before=() one links='' status=0 gone=''
  shift
  for gateway in "${gateways[@]}"; do
    if timeout -k 5 10 ping -c 1 -W 2 "$gateway" >/dev/null 2>&1 </dev/null; then
      before+=("$gateway")
    fi
  done
  guard_network "$from" "$@"
  in_network=1
  trap 'exit 1' INT TERM HUP PIPE
  for path; do
    case $path in
      *.link) links=1 ;;
    esac
    if [[ $path != etc/network/interfaces ]]; then
      put_network_file "$from" "$path"
    fi
  done
  if [[ -n $links ]]; then
    bounded 900 update-initramfs -u -k all || fail "$step_title: \`update-initramfs -u -k all\` failed: $(seen "$work/output")"
    refresh_boot || fail "$step_title: the boot loader could not be brought up to date: $(seen "$work/output")"
  fi
  arm_timer
  for path; do
    if [[ $path == etc/network/interfaces ]]; then
      gone=$(gone_rules "$root/$path" "$from/$path")
      put_network_file "$from" "$path"
      drop_rules "$gone"
    fi
  done
  for one in "${renames[@]}"; do
    rename_card "$one" || fail "$step_title: the card could not be renamed ($one): $(seen "$work/output")"
  done
  bounded 60 ifreload -a || status=$?
  if ((status)); then
    complain note "$step_title: \`ifreload -a\` ended with $status: $(seen "$work/output")"
    fail "$step_title: the new network did not come up"
  fi
  look_at_network "${before[@]}"
  confirm_network
  network_stays
  trap - INT TERM HUP PIPE
}

# gone_rules OLD NEW: the commands by which one file takes rules of the packet filter away, and which the other has no longer.
# ifreload runs `post-down` for an interface that goes alone: of one that stays, an address that was forwarded would stay so.
gone_rules() {
  if [[ -e $1 ]]; then
    awk '{ $1 = $1 }
      !/^post-down ip6?tables -t [a-z]+ -D [A-Za-z0-9 .\/:,+_=!-]+$/ { next }
      FILENAME == ARGV[1] { has[$0] = 1; next }
      !has[$0]' "$([[ -e $2 ]] && printf %s "$2" || printf /dev/null)" "$1"
  fi
}

# drop_rules LINES: of `gone_rules`. One that is not there need not go.
drop_rules() {
  local words=()
  while read -r -a words; do
    if ((${#words[@]})); then
      timeout -k 5 20 "${words[@]:1}" >/dev/null 2>&1 </dev/null || true
    fi
  done <<<"$1"
}

# rename_card 'MAC FROM TO': only one that is down takes another name. ifupdown2 brings up what it knows to be new alone, so a
# card that has its old name again must not stay down.
rename_card() {
  local mac from to
  read -r mac from to <<<"$1"
  bounded 20 ip link set dev "$from" down && bounded 20 ip link set dev "$from" name "$to" && bounded 20 ip link set dev "$to" up
}

refresh_boot() {
  if [[ -s $root/etc/kernel/proxmox-boot-uuids ]]; then
    bounded 300 proxmox-boot-tool refresh
  elif command -v update-grub >/dev/null; then
    bounded 300 update-grub
  fi
}

put_network_file() {
  if [[ -e $1/$2 ]]; then
    place "$1/$2" "$2" 644
  else
    rm -f -- "$root/$2" || fail "$step_title: cannot remove $root/$2"
  fi
}

# guard_network FOLDER PATH...: what worked is kept, and the host is told to go back to it after a restart.
guard_network() {
  local from=$1 path saved=$run/network one
  shift
  mkdir -p -- "$saved/files" || fail "cannot write $run: the network was not touched"
  : >"$saved/paths"
  for path; do
    if [[ -e $from/$path ]]; then
      keep "$path" "$(sha256_of "$from/$path")"
    else
      keep "$path" -
    fi
    printf '%s\n' "$path" >>"$saved/paths"
    if [[ -e $root/$path ]]; then
      mkdir -p -- "$saved/files/$(dirname -- "$path")"
      cp -p -- "$root/$path" "$saved/files/$path" || fail "cannot write $run: the network was not touched"
    fi
  done
  undoable network
  : >"$saved/names"
  for one in "${renames[@]}"; do
    printf '%s\n' "$one" >>"$saved/names"
  done
  {
    printf '#!/bin/bash\n# Brings the network back to what it was before %s, unless it was confirmed.\n{\n' "${run##*/}"
    printf 'set -uo pipefail\nexport LC_ALL=C PATH=%q\n' "$PATH"
    printf 'root=%q state=%q run=%q\n' "$root" "$state" "$run"
    declare -f network_back card_of gone_rules drop_rules
    # shellcheck disable=SC2016 # for the script
    printf 'network_back "${1:-}" >>%q 2>&1\nexit\n}\n' "$run/output"
  } >"$saved/back.sh" || fail "cannot write $run: the network was not touched"
  timeout -k 5 60 sync -- "$saved/back.sh" "$saved/paths" 2>/dev/null || true
  in_network=guarded
  mkdir -p -- "$root/etc/systemd/system"
  cat >"$root/etc/systemd/system/moxc-network-back.service" <<END || fail "cannot write the guard of the network: it was not touched"
[Unit]
Description=Go back to the network that worked, where the new one was not confirmed
DefaultDependencies=no
RequiresMountsFor=$state
After=systemd-udev-settle.service local-fs.target
Wants=systemd-udev-settle.service
Before=network-pre.target networking.service
ConditionPathExists=$state/network-unconfirmed

[Service]
Type=oneshot
TimeoutStartSec=15min
ExecStart=/bin/bash $saved/back.sh restarted

[Install]
WantedBy=multi-user.target
END
  if ! bounded 60 systemctl daemon-reload || ! bounded 60 systemctl enable moxc-network-back.service; then
    drop_guard
    fail "$step_title: the guard of the network could not be set up, and the network was not touched: $(seen "$work/output")"
  fi
  printf '%s\n' "$run" >"$state/network-unconfirmed" || {
    drop_guard
    fail "cannot write below $state: the network was not touched"
  }
}

drop_guard() {
  timeout -k 5 60 systemctl disable moxc-network-back.service >/dev/null 2>&1 </dev/null ||
    complain note 'moxc-network-back.service could not be disabled: its file goes, and nothing goes back by it'
  rm -f -- "$root/etc/systemd/system/moxc-network-back.service" "$state/network-unconfirmed"
  in_network=
}

# A service that sleeps, and no timer: systemd reckons the time of a timer anew whenever somebody has it read its units.
arm_timer() {
  if ! bounded 60 systemd-run --quiet --collect --no-block --unit "moxc-network-${run##*/}" \
    --property "ExecStartPre=/bin/sleep $network_timeout" --property TimeoutStartSec=infinity \
    /bin/bash "$run/network/back.sh"; then
    fail "$step_title: \`systemd-run\` failed, so nothing would guard the network: $(seen "$work/output")"
  fi
  printf -v armed '%(%s)T' -1
}
# When the guard was armed: from then on its time runs.
armed=0

disarm_timer() {
  # Status 5: there is no such unit, or none any more.
  timeout -k 5 60 systemctl stop "moxc-network-${run##*/}.service" >/dev/null 2>&1 </dev/null || [[ $? == 5 ]] ||
    complain note "moxc-network-${run##*/}.service could not be stopped: it ends by itself, and nothing goes back by it"
}

# network_back [restarted]: by this script, by the timer, or when the host starts; whoever comes first.
network_back() {
  local path mac old new here links='' saved failed='' gone=''
  exec 8>>"$state/network-lock"
  flock --timeout 300 8
  if [[ ! -s $state/network-unconfirmed || $(<"$state/network-unconfirmed") != "$run" ]]; then
    # Another one was first; how that ended is known.
    [[ ! -e $run/network/failed ]] || return 2
    return 0
  fi
  saved=$run/network
  gone=$(gone_rules "$root/etc/network/interfaces" "$saved/files/etc/network/interfaces")
  while IFS= read -r path; do
    case $path in
      *.link) links=1 ;;
    esac
    if [[ -e $saved/files/$path ]]; then
      if cp -p -- "$saved/files/$path" "$root/$path.moxc-new"; then
        mv -f -- "$root/$path.moxc-new" "$root/$path"
      else
        # A disk that is full: over the file itself.
        rm -f -- "$root/$path.moxc-new"
        cat -- "$saved/files/$path" >"$root/$path" || failed=1
      fi
    else
      rm -f -- "$root/$path" || failed=1
    fi
  done <"$saved/paths"
  if [[ -n $failed ]]; then
    # The guard stays: it tries again when the host starts.
    printf 'the files of the network that worked before %s could not be put back\n' "${run##*/}"
    return 1
  fi
  while read -r mac old new; do
    here=$(card_of "$mac") || continue
    if [[ $here != "$old" ]]; then
      timeout -k 5 20 ip link set dev "$here" down
      timeout -k 5 20 ip link set dev "$here" name "$old"
    fi
    timeout -k 5 20 ip link set dev "$old" up
  done <"$saved/names"
  if [[ ${1:-} != restarted ]]; then
    if grep -qx etc/network/interfaces "$saved/paths"; then
      drop_rules "$gone"
    fi
    timeout -k 5 120 ifreload -a || {
      failed=$?
      printf 'ifreload of the old network ended with %s\n' "$failed"
    }
  fi
  if [[ -n $links ]]; then
    timeout -k 5 900 update-initramfs -u -k all
    if [[ -s $root/etc/kernel/proxmox-boot-uuids ]]; then
      timeout -k 5 300 proxmox-boot-tool refresh
    elif command -v update-grub >/dev/null; then
      timeout -k 5 300 update-grub
    fi
  fi
  timeout -k 5 60 systemctl disable moxc-network-back.service
  if [[ -n $failed ]]; then
    : >"$saved/failed"
  fi
  rm -f -- "$root/etc/systemd/system/moxc-network-back.service" "$state/network-unconfirmed"
  timeout -k 5 60 systemctl daemon-reload
  if [[ -n $failed ]]; then
    return 2
  fi
  printf 'the network that worked before %s is back\n' "${run##*/}"
}

# go_back_first: what an earlier run left.
go_back_first() {
  local earlier
  earlier=$(head -c 4096 -- "$state/network-unconfirmed")
  if [[ $earlier == "$runs"/* && -e $earlier/network/back.sh ]]; then
    timeout -k 5 3600 bash "$earlier/network/back.sh" {lock_fd}>&- || true
  fi
  if [[ -e $state/network-unconfirmed ]]; then
    fail "the network of ${earlier##*/} did not go back: look at $earlier/output"
  fi
}

# look_at_network GATEWAY...: waits until every address is there and every gateway that answered before answers.
look_at_network() {
  local one gateway missing silent unasked until now
  printf -v until '%(%s)T' -1
  until=$((until + 30))
  while :; do
    missing='' silent='' unasked=''
    for one in "${addresses[@]}"; do
      if ! hear_for 10 ip -o address show dev "${one%%=*}"; then
        heard=''
        unasked="; \`ip address\` failed: $(text_of "$heard_err" 200)"
      fi
      if [[ $heard != *"inet ${one#*=} "* && $heard != *"inet6 ${one#*=} "* ]]; then
        missing+=" ${one#*=} on ${one%%=*}"
      fi
    done
    for gateway; do
      if ! timeout -k 5 10 ping -c 1 -W 2 "$gateway" >/dev/null 2>&1 </dev/null; then
        silent+=" $gateway"
      fi
    done
    if [[ -z $missing$silent ]]; then
      return 0
    fi
    printf -v now '%(%s)T' -1
    if ((now >= until)); then
      break
    fi
    bounded 2 sleep 1 || true
  done
  fail "$step_title: the new network is not what it should be: missing addresses:${missing:- none}; silent gateways:${silent:- none}$unasked"
}

confirm_network() {
  local answer='' now until seconds
  must number seconds "$network_timeout" 'the time to confirm the network'
  until=$((armed + seconds - 10))
  printf -v now '%(%s)T' -1
  seconds=$((until > now ? until - now : 0))
  if [[ -n $await ]]; then
    event confirm run "${run##*/}" path "$run/confirmed" seconds# "$seconds"
    line "waiting $seconds seconds for a second connection: $(shown touch "$run/confirmed")"
    while [[ ! -e $run/confirmed ]]; do
      printf -v now '%(%s)T' -1
      if ((now >= until)); then
        fail "$step_title: nobody confirmed the new network in time"
      fi
      bounded 2 sleep 1 || true
    done
    return 0
  fi
  if [[ -n $yes ]]; then
    return 0
  fi
  if ! { : </dev/tty; } 2>/dev/null; then
    fail "$step_title: the terminal is gone, and nobody confirmed the new network"
  fi
  if ((seconds < 1)); then
    fail "$step_title: the new network took too long to come up for anybody to confirm it in time"
  fi
  printf 'The new network is up. Keep it? Without an answer it goes back in %s seconds. [y/N] ' "$seconds" >/dev/tty
  read -r -t "$seconds" answer </dev/tty || true
  case $answer in
    y | Y | yes) ;;
    *) fail "$step_title: the new network was not confirmed" ;;
  esac
}

# network_stays: from here on nothing goes back by itself. The mark goes first: without it the guard does nothing.
network_stays() {
  exec {network_lock}>>"$state/network-lock"
  flock --timeout 300 "$network_lock" || true
  if [[ ! -s $state/network-unconfirmed ]]; then
    exec {network_lock}>&-
    fail "$step_title: the confirmation came too late"
  fi
  # It is decided: whoever ends the run now finds the new network, and no guard left behind.
  trap '' INT TERM HUP PIPE
  rm -f -- "$state/network-unconfirmed"
  in_network=
  exec {network_lock}>&-
  disarm_timer
  drop_guard
  timeout -k 5 60 systemctl daemon-reload >/dev/null 2>&1 </dev/null || true
}
