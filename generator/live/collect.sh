#!/bin/sh
# Makes a copy of what moxc reads of a Proxmox VE host, as one tar on standard output. It only reads: it takes no lock,
# wakes no disk, asks no guest, and leaves nothing behind. Secrets are blanked before they are copied.
#
# usage: collect.sh [--list]     --list says what would be read, and reads nothing

{
set -u
LC_ALL=C
export LC_ALL
PATH=$PATH:/usr/sbin:/sbin
export PATH

# Files, by patterns from /. What matches nothing is not there.
files='etc/apt/sources.list etc/apt/sources.list.d/* etc/default/grub etc/default/grub.d/* etc/fstab etc/hostname
etc/hosts etc/initramfs-tools/* etc/initramfs-tools/hooks/* etc/kernel/cmdline etc/modprobe.d/* etc/modules
etc/modules-load.d/* etc/network/* etc/network/interfaces.d/*
etc/pve/* etc/pve/firewall/* etc/pve/ha/* etc/pve/mapping/* etc/pve/sdn/* etc/pve/nodes/*/* etc/pve/nodes/*/lxc/*
etc/pve/nodes/*/qemu-server/* etc/resolv.conf etc/subgid etc/subuid etc/sysctl.d/* etc/systemd/network/*
etc/systemd/system/* etc/timezone etc/udev/rules.d/* etc/vzdump.conf usr/local/sbin/* var/lib/moxc/applied.json
var/lib/moxc/making/* var/lib/moxc/unfinished var/lib/vz/snippets/*'

# Answers of commands: a name and the command, a line each.
answers='pveversion|pveversion
running|running
lspci|lspci -Dnnkvmm
iommu|iommu
boot-vga|boot_vga
lsusb|lsusb
lsblk.json|lsblk -JObp
by-id|by_id
zpool-list|zpool list -vHPp
zpool-status|zpool status -P
zpool-get|zpool get -Hp all
zfs-get|zfs get -Hp -t filesystem,volume -o name,property,value,source all
lvs.json|lvs --readonly --nolocking --reportformat json --units b
vgs.json|vgs --readonly --nolocking --reportformat json --units b
ip-link.json|ip -j -d link
ip-addr.json|ip -j addr
pvesm|volumes
lscpu.json|lscpu -J
meminfo|cat /proc/meminfo
timedate|timedatectl show
cmdline|cat /proc/cmdline'

# The VMIDs that run: a virtual machine by its process, a container by its control group.
running() {
  for pid in /run/qemu-server/*.pid; do
    [ -r "$pid" ] || continue
    read -r process <"$pid" || :
    [ -d "/proc/$process" ] && basename "$pid" .pid
  done
  for group in /sys/fs/cgroup/lxc/[0-9]*; do
    [ -d "$group" ] && basename "$group"
  done
  return 0
}

iommu() {
  for device in /sys/kernel/iommu_groups/*/devices/*; do
    [ -e "$device" ] || continue
    group=${device%/devices/*}
    echo "${group##*/} ${device##*/}"
  done
}

# The graphics card that the firmware showed its own screen on.
boot_vga() {
  for file in /sys/bus/pci/devices/*/boot_vga; do
    [ "$(cat "$file" 2>/dev/null)" = 1 ] || continue
    device=${file%/boot_vga}
    echo "${device##*/}"
  done
}

by_id() {
  for name in /dev/disk/by-id/*; do
    [ -e "$name" ] || continue
    echo "${name##*/} $(readlink "$name")"
  done
}

volumes() {
  pvesm status 2>/dev/null | awk 'NR > 1 && $3 == "active" { print $1 }' | while read -r store; do
    timeout 20 pvesm list "$store" 2>/dev/null
  done
}

# Whether a path holds nothing but secrets.
secret() {
  case $1 in
    etc/pve/priv/* | */priv/* | *.key | *.pw | *authkey* | etc/shadow* | etc/gshadow* | etc/moxc/secrets/*) return 0 ;;
    *) return 1 ;;
  esac
}

# Copies text without what stands behind the name of a secret; $1 is how its file's name ends. JSON stays JSON: a string in it
# is text of its own, and what bears the name of a secret goes whole.
blank() {
  awk -v kind="$1" '
    function ends(word,   i, n, names) {
      n = split("password passwd passphrase wpa-psk wpa_psk privatekey private-key private_key presharedkey secret token", names, " ")
      for (i = 1; i <= n; i++)
        if (length(word) >= length(names[i]) && substr(word, length(word) - length(names[i]) + 1) == names[i]) return 1
      return 0
    }
    function blanked(line,   cut, at, low, start, end, word, rest, lead, flag, host, url) {
      cut = 0; at = 1; low = tolower(line)
      while (at <= length(line) && !cut) {
        if (!match(substr(low, at), /[a-z0-9_-]+/)) break
        start = at + RSTART - 1; end = start + RLENGTH
        word = substr(low, start, RLENGTH)
        if (ends(word)) {
          rest = substr(line, end)
          sub(/^["\047]+/, "", rest)
          lead = substr(line, 1, start - 1)
          gsub(/[ \t#;"\047]/, "", lead)
          flag = substr(word, 1, 1) == "-"
          if (match(rest, /^[ \t]*[:=][ \t]*/)) { if (length(rest) > RLENGTH) cut = length(line) - length(rest) + RLENGTH + 1 }
          else if ((lead == "" || flag) && match(rest, /^[ \t]+/)) { if (length(rest) > RLENGTH) cut = length(line) - length(rest) + RLENGTH + 1 }
        }
        at = end
      }
      if (match(line, /:\/\/[^\/ "\047]*:[^\/ "\047]*@/)) {
        host = substr(line, RSTART + 3)
        url = RSTART + 3 + index(host, ":")
        if (!cut || url < cut) cut = url
      }
      return cut ? substr(line, 1, cut - 1) "<secret>" : line
    }
    # Every `from`, the text of a pattern, as `to`, in which gsub() would read more than there is.
    function swapped(text, from, to,   parts, n, i, out) {
      n = split(text, parts, from)
      out = parts[1]
      for (i = 2; i <= n; i++) out = out to parts[i]
      return out
    }
    # A string of JSON as the text that it is; \002 stands for the escape of a quote, as \001 does for that of a backslash.
    function blanked_string(text,   rows, n, i, out, row) {
      n = split(text, rows, /\\n/)
      for (i = 1; i <= n; i++) {
        row = blanked(swapped(swapped(rows[i], "\002", "\""), "\\\\t", "\t"))
        out = (i == 1 ? "" : out "\\n") swapped(swapped(row, "\"", "\002"), "\t", "\\t")
      }
      return out
    }
    function blanked_json(line,   parts, n, i, out, named, secret) {
      line = swapped(swapped(line, "\\\\\\\\", "\001"), "\\\\\"", "\002")
      n = split(line, parts, "\"")
      for (i = 1; i <= n; i++) {
        if (i % 2) {
          # What stands between strings; a number is a value, too.
          named = i > 1 && ends(tolower(parts[i - 1]))
          if (named) sub(/^[ \t]*:[ \t]*-?[0-9][0-9.eE+-]*/, ": \"<secret>\"", parts[i])
          if (named && parts[i] ~ /^[ \t]*:[ \t]*\[?[ \t]*$/) secret = parts[i] ~ /\[/ ? 2 : 1
          else if (secret < 2 || parts[i] !~ /^[ \t]*,[ \t]*$/) secret = 0
        }
        else if (secret) { if (parts[i] != "") parts[i] = "<secret>" }
        else parts[i] = blanked_string(parts[i])
        out = (i == 1 ? "" : out "\"") parts[i]
      }
      return swapped(swapped(out, "\002", "\\\""), "\001", "\\\\")
    }
    { print kind == "json" ? blanked_json($0) : blanked($0) }'
}

# Whether a file is too large to be of use, or no text of ours.
wanted() {
  [ -f "$1" ] && [ -r "$1" ] || return 1
  size=$(wc -c <"$1") || return 1
  [ "$size" -le 1048576 ] || return 1
  case $1 in
    usr/local/sbin/* | var/lib/vz/snippets/*) head -n 4 "$1" | grep -q 'Generated by moxc' ;;
    *) return 0 ;;
  esac
}

copy() {
  mkdir -p "$work/${1%/*}" || return 1
  if [ -h "$1" ]; then
    ln -s "$(readlink "$1")" "$work/$1"
    return
  fi
  sha1sum "$1" >>"$work/.moxc/digests"
  blank "${1##*.}" <"$1" >"$work/$1"
}

case ${1-} in
  '') ;;
  --list)
    cd / || exit 2
    echo 'files:'
    for file in $files; do
      if { wanted "$file" || [ -h "$file" ]; } && ! secret "$file"; then echo "  /$file"; fi
    done
    echo 'commands:'
    printf '%s\n' "$answers" | while IFS='|' read -r name command; do echo "  $name: $command"; done
    exit 0
    ;;
  *)
    echo 'usage: collect.sh [--list]' >&2
    exit 2
    ;;
esac

cd / || exit 2
umask 077
# In memory, so that no disk is written.
work=
for base in /dev/shm /run "${TMPDIR:-/tmp}"; do
  work=$(mktemp -d "$base/moxc-collect.XXXXXX" 2>/dev/null) && break
done
[ -n "$work" ] || { echo 'there is no folder to write to' >&2; exit 2; }
trap 'rm -rf "$work"' EXIT
trap 'exit 2' HUP INT TERM
mkdir "$work/.moxc" || exit 2

for file in $files etc/localtime etc/pve/local etc/pve/qemu-server etc/pve/lxc; do
  secret "$file" && continue
  if [ -h "$file" ] || wanted "$file"; then
    [ -e "$work/$file" ] || [ -h "$work/$file" ] || copy "$file"
  elif [ -d "$file" ]; then
    mkdir -p "$work/$file"
  fi
done
# Folders that are there say that what is missing in them is missing.
for folder in etc/pve etc/network etc/modprobe.d etc/modules-load.d etc/initramfs-tools etc/kernel etc/default etc/sysctl.d etc/systemd \
  etc/udev etc/apt usr/local/sbin var/lib/moxc var/lib/vz; do
  [ -d "$folder" ] && mkdir -p "$work/$folder"
done

printf '%s\n' "$answers" | while IFS='|' read -r name command; do
  program=${command%% *}
  command -v "$program" >/dev/null 2>&1 || continue
  case $program in
    running) running >"$work/.moxc/$name" ;;
    iommu) iommu >"$work/.moxc/$name" ;;
    boot_vga) boot_vga >"$work/.moxc/$name" ;;
    by_id) by_id >"$work/.moxc/$name" ;;
    volumes) if command -v pvesm >/dev/null 2>&1; then volumes >"$work/.moxc/$name"; fi ;;
    *)
      # shellcheck disable=SC2086 # the words of a command of ours
      timeout 30 $command >"$work/.moxc/$name.raw" 2>/dev/null && blank "${name##*.}" <"$work/.moxc/$name.raw" >"$work/.moxc/$name"
      rm -f "$work/.moxc/$name.raw"
      ;;
  esac
done

cd "$work" || exit 2
tar -cf - .
exit
}
