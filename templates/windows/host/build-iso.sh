#!/bin/bash
# <@ header|safe @>
#
# Makes the disc of answers for the Windows guest <@ guest|safe @>: the answers of Setup with the secrets filled in, and the
# files of this folder. Without arguments it runs on the Proxmox VE host, beside a copy of the tree.

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
Usage: $program [--dry-run] [--yes] [--storage NAME | --output FILE] [--secrets DIR] [--packages DIR] [--remove]

Makes the disc of answers for the Windows guest $guest ($vmid).

  --storage NAME   the storage that keeps it, as moxc-$guest.iso (local)
  --output FILE    the file itself instead
  --secrets DIR    where the secrets are ($secrets): one file each, for its owner alone
                   $password_secret${key_secret:+, $key_secret}
  --packages DIR   installers to take along: nu-*.msi, winfsp-*.msi. What is not there, winget gets.
  --remove         removes the disc, which holds the password, when Windows is installed
  --dry-run        show what would be done
  --yes            replace a disc that is there
  --help           show this

Exit status: 0 done, 1 failed, 2 wrong usage.
END
}

usage_error() {
  warn "$@"
  usage >&2
  exit 2
}

while (($#)); do
  case $1 in
    --dry-run) dry_run=1 ;;
    --yes) yes=1 ;;
    --remove) remove=1 ;;
    --storage | --output | --secrets | --packages)
      if (($# < 2)); then
        usage_error "$1 wants a value"
      fi
      case $1 in
        --storage) storage=$2 ;;
        --output) output=$2 ;;
        --secrets) secrets=$2 ;;
        --packages) packages=$2 ;;
      esac
      shift
      ;;
    --help)
      usage
      exit 0
      ;;
    *) usage_error "unknown argument: $1" ;;
  esac
  shift
done

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

if [[ -n $remove ]]; then
  if [[ ! -e $target ]]; then
    say 'nothing to change'
    exit 0
  fi
  ask "Remove $target?"
  if command -v qm >/dev/null && [[ -z $output ]] && qm config "$vmid" 2>/dev/null | grep -Fq "$storage:iso/moxc-$guest.iso"; then
    slot=$(qm config "$vmid" | grep -F "$storage:iso/moxc-$guest.iso" | cut -d: -f1)
    run qm set "$vmid" --delete "$slot"
  fi
  run rm -f "$target"
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

say "disc of answers for $guest ($vmid)"
if [[ -n $dry_run ]]; then
  say "  write $target"
  say '1 change, not made (--dry-run)'
  exit 0
fi

# ---------------------------------------------------------------- the disc

umask 077
# In memory where there is such a place: the answers hold the password.
memory=/dev/shm
if [[ ! -d $memory || ! -w $memory ]]; then
  memory=
fi
work=$(mktemp -d ${memory:+-p "$memory"} moxc-iso.XXXXXXXX)
part=$target.tmp.$$
trap 'rm -rf "$work" "$part"' EXIT

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

make_disc "$disc" "$part" || die "the disc could not be made"
chmod 600 "$part"
mv -f "$part" "$target"
say "  wrote $target"

if [[ -n $output ]]; then
  exit 0
fi
say "Attach it with Windows' own disc and that of virtio-win, and start the guest:"
say "  qm set $vmid --$drive $storage:iso/moxc-$guest.iso,media=cdrom"
say "  qm start $vmid"
say 'When Windows is installed, remove it, since it holds the password:'
say "  $0 --remove"
