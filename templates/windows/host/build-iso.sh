#!/bin/bash
# <@ header|safe @>
#
# Makes the disc of answers for the Windows guest <@ guest|safe @>: the answers of Setup with the secrets filled in, and the
# files of this folder. Without arguments it runs on the Proxmox VE host, beside a copy of the tree.

<% include "gate.sh" %>

<% include "tool.sh" %>

guest=<@ guest @>
vmid=<@ vmid @>
drive=<@ drive @>
password_secret=<@ password_secret @>
key_secret=<@ key_secret @>
label=MOXC
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
storage=local
output=
secrets=/etc/moxc/secrets
packages=
remove=

usage() {
  cat <<END
usage: $program [OPTIONS]

Makes the disc of answers for the Windows guest $guest ($vmid).

  --storage NAME    the storage that keeps it, as moxc-$guest.iso (local)
  --output FILE     the file itself instead
  --secrets DIR     where the secrets are ($secrets): one file each, for its owner alone:
                    $password_secret${key_secret:+, $key_secret}
  --packages DIR    installers to take along: nu-*.msi, winfsp-*.msi. What is not there, winget gets.
  --remove          removes the disc, which holds the password, when Windows is installed
END
}

option() {
  case $1 in
    --storage) value storage ;;
    --output) value output ;;
    --secrets) value secrets ;;
    --packages) value packages ;;
    --remove) remove=1 ;;
    *) return 1 ;;
  esac
}

begin "$@"
if ((${#operands[@]})); then
  wrong_usage "unknown argument ${operands[0]}"
fi

# read_secret NAME VARIABLE: the first line of a secret's file.
read_secret() {
  local file=$secrets/$1 text=
  if [[ ! -f $file ]]; then
    die "the secret $1 is missing: put it into $file (mode 600)"
  fi
  if [[ $(stat -Lc %u "$file") != "$EUID" ]]; then
    die "$file belongs to somebody else: chown $EUID $file"
  fi
  if [[ $(stat -Lc %a "$file") != *00 ]]; then
    die "$file can be read by others: chmod 600 $file"
  fi
  IFS= read -r text <"$file" || true
  if [[ -z $text ]]; then
    die "$file is empty"
  fi
  # The text itself is never shown.
  if [[ $text == *[[:cntrl:]]* || $text == *@MOXC_* ]]; then
    die "$file holds a control character or a placeholder in its first line"
  fi
  printf -v "$2" '%s' "$text"
}

# xml_text VARIABLE: its text as an element holds it.
xml_text() {
  local -n text_of=$1
  text_of=${text_of//&/"&amp;"}
  text_of=${text_of//</"&lt;"}
  text_of=${text_of//>/"&gt;"}
}

# fill FILE: the answers with the secrets in them. By the shell's own means, so that no program's arguments hold them.
fill() {
  local text
  text=$(<"$here/autounattend.xml")
  text=${text//@MOXC_PASSWORD@/"$password"}
  text=${text//@MOXC_PRODUCT_KEY@/"$key"}
  printf '%s\n' "$text" >"$1"
}

make_disc() {
  if command -v genisoimage >/dev/null; then
    genisoimage -quiet -volid "$label" -joliet -rational-rock -input-charset utf-8 -output "$2" "$1"
  else
    xorriso -as mkisofs -quiet -volid "$label" -joliet -rational-rock -output "$2" "$1"
  fi
}

# ---------------------------------------------------------------- where

if [[ -n $output ]]; then
  target=$output
else
  need pvesm
  # The storage's own word for the place: its folder differs by kind.
  target=$(pvesm path "$storage:iso/moxc-$guest.iso") || die "storage $storage keeps no ISO images"
fi
volume=$storage:iso/moxc-$guest.iso

# slot: the drive of the guest that the disc is in.
slot() {
  if [[ -z $output ]] && command -v qm >/dev/null; then
    qm config "$vmid" 2>/dev/null | sed -n "s|^\([a-z]*[0-9]*\): $volume,.*|\1|p"
  fi
}

if [[ -n $remove ]]; then
  if [[ -e $target ]]; then
    ask "Remove $target?"
    in=$(slot)
    if [[ -n $in ]]; then
      run qm set "$vmid" --delete "$in"
    fi
    run rm -f "$target"
  fi
  exit 0
fi

command -v genisoimage >/dev/null || need xorriso
if [[ ! -f $here/autounattend.xml ]]; then
  die "$here/autounattend.xml is not there: run this script in its folder of the tree"
fi
if [[ -n $packages && ! -d $packages ]]; then
  die "$packages is no folder"
fi
password=
key=
read_secret "$password_secret" password
if [[ -n $key_secret ]]; then
  read_secret "$key_secret" key
  if [[ ! $key =~ ^[A-Z0-9]{5}(-[A-Z0-9]{5}){4}$ ]]; then
    die "$secrets/$key_secret holds no product key: five groups of five letters and digits"
  fi
fi
xml_text password
xml_text key
if [[ -e $target ]]; then
  ask "Replace $target?"
fi

# ---------------------------------------------------------------- the disc

part=$target.tmp.$$
work=
tidy() { rm -rf "$part" ${work:+"$work"}; }

write_disc() (
  umask 077
  disc=$work/disc
  mkdir -p "$disc/moxc/files" "$disc/moxc/packages"
  fill "$disc/autounattend.xml"
  cp "$here/bootstrap.ps1" "$here/drivers.cmd" "$disc/moxc/"
  while IFS= read -r -d '' file; do
    mkdir -p "$disc/moxc/files/$(dirname "$file")"
    cp "$here/$file" "$disc/moxc/files/$file"
  done < <(cd "$here" && find . -type f ! -name autounattend.xml ! -name build-iso.sh ! -name drivers.cmd ! -name '.*' ! -name '*~' ! -path './tests/*' -print0 | sort -z)
  if [[ -n $packages ]]; then
    find "$packages" -maxdepth 1 -type f -name '*.msi' -exec cp -t "$disc/moxc/packages/" {} +
  fi
  make_disc "$disc" "$part" || die 'the disc could not be made'
  chmod 600 "$part"
  mv -f "$part" "$1"
)

if [[ -z $dry_run ]]; then
  # In memory where there is such a place: the answers hold the password.
  memory=/dev/shm
  if [[ ! -d $memory || ! -w $memory ]]; then
    memory=${TMPDIR:-/tmp}
  fi
  work=$(mktemp -d -p "$memory" moxc-iso.XXXXXXXX)
  at_exit tidy
fi
run write_disc "$target"

if [[ -z $output ]]; then
  say "Attach it beside Windows' own disc and that of virtio-win, and start the guest:"
  say "  qm set $vmid --$drive $volume,media=cdrom"
  say "  qm start $vmid"
  say 'When Windows is installed, remove it, since it holds the password:'
  say "  $0 --remove"
fi
