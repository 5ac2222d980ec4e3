# Builds the images of NixOS guests and brings them to their host: the template of a container to where the spec says, the
# disk of a virtual machine into its volume. What is there already is left alone; a volume that holds anything, too.
#
# `host` and `machines` ("kind name vmid template") stand before this text.
target="root@$host"
flake=.
yes=false
chosen=()

usage() {
  cat <<END
Usage: $host-images [--to USER@HOST] [--flake REF] [--yes] [GUEST...]

  --to     where the host is reached by SSH; $target where left out
  --flake  the flake that has the packages GUEST-image; the working folder where left out
  --yes    do it; without it only what would be done is said
END
}

while [ $# -gt 0 ]; do
  case $1 in
    --to) target=${2:?--to needs a host}; shift 2 ;;
    --flake) flake=${2:?--flake needs a flake}; shift 2 ;;
    --yes) yes=true; shift ;;
    -h | --help) usage; exit 0 ;;
    -*) usage >&2; exit 2 ;;
    *) chosen+=("$1"); shift ;;
  esac
done

for name in "${chosen[@]}"; do
  known=false
  for machine in "${machines[@]}"; do
    read -r _ guest _ <<<"$machine"
    [ "$guest" != "$name" ] || known=true
  done
  if [ "$known" = false ]; then
    echo "$name is no NixOS guest of $host" >&2
    exit 2
  fi
done

wanted() {
  [ ${#chosen[@]} -eq 0 ] && return
  local name
  for name in "${chosen[@]}"; do
    [ "$name" != "$1" ] || return 0
  done
  return 1
}

# Every word that reaches the host is quoted for its shell.
on_host() {
  local words=() word
  for word in "$@"; do
    words+=("$(printf '%q' "$word")")
  done
  ssh -o BatchMode=yes "$target" -- "${words[@]}" </dev/null
}

image() { # guest -> the folder that holds its image
  nix build --no-link --print-out-paths "$flake#$1-image"
}

bring_template() { # guest template
  local place folder
  place=$(on_host pvesm path "$2")
  if on_host test -e "$place"; then
    echo "$1: $2 is there"
    return
  fi
  if [ "$yes" = false ]; then
    echo "$1: would build its image and copy it to $place"
    return
  fi
  folder=$(image "$1")
  # Under another name first: a template that came half would be taken for whole.
  scp -q "$folder/${2##*/}" "$target:$place.part"
  on_host mv "$place.part" "$place"
  echo "$1: $2 is in place"
}

empty() { # format device
  local begin
  if [ "$1" = raw ]; then
    begin=$(on_host head -c 1048576 "$2" | tr -d '\0' | head -c 1 | wc -c) && [ "$begin" -eq 0 ]
  else
    begin=$(on_host qemu-img map --output=json -f "$1" "$2") && ! grep -q '"data": true' <<<"$begin"
  fi
}

bring_disk() { # guest vmid
  local config boot volume device folder format
  if ! config=$(on_host qm config "$2"); then
    echo "$1: $2 is not on $target yet: make it by \`moxc apply\`, then run this again" >&2
    return 1
  fi
  boot=$(sed -n 's/^boot: .*order=\([a-z]*[0-9]*\).*/\1/p' <<<"$config")
  volume=$(sed -n "s/^${boot:-none}: \([^,]*\).*/\1/p" <<<"$config")
  if [ -z "$volume" ]; then
    echo "$1: $2 names no disk that it boots from" >&2
    return 1
  fi
  if [ "$(on_host qm status "$2")" != "status: stopped" ]; then
    echo "$1: $2 runs, and its disk is left alone"
    return
  fi
  device=$(on_host pvesm path "$volume")
  case $device in
    *.qcow2) format=qcow2 ;;
    *.vmdk) format=vmdk ;;
    *) format=raw ;;
  esac
  # Whatever stands in its first sectors, a partition table or what an older disk left there, is somebody's.
  if ! empty "$format" "$device"; then
    echo "$1: $volume holds data, and is left alone"
    return
  fi
  if [ "$yes" = false ]; then
    echo "$1: would build its image and write it to $volume"
    return
  fi
  folder=$(image "$1")
  scp -q "$folder/$1.qcow2" "$target:/var/tmp/$1.qcow2"
  on_host qemu-img convert -n -f qcow2 -O "$format" "/var/tmp/$1.qcow2" "$device"
  on_host rm -f "/var/tmp/$1.qcow2"
  echo "$1: $volume is filled"
}

status=0
for machine in "${machines[@]}"; do
  read -r kind name vmid template <<<"$machine"
  wanted "$name" || continue
  case $kind in
    container) bring_template "$name" "$template" || status=1 ;;
    vm) bring_disk "$name" "$vmid" || status=1 ;;
  esac
done
exit "$status"
