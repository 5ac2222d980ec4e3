#!/usr/bin/env bash
# Tells which files lie in /etc although the configuration does not put them there.
set -euo pipefail

usage() {
  cat <<'TEXT'
Usage: moxc-etc-check [--root DIR] [--move-to FOLDER] [--strict] [--dry-run] [--yes] KNOWN

Looks at every file below /etc. It is known where it is a link into /etc/static or the Nix store, or where the file
KNOWN lists its path below /etc; a line that ends in `/` stands for all below it.

  --root DIR        look at DIR/etc
  --move-to FOLDER  move the others there, keeping their paths
  --strict          exit with 1 where there are others
  --dry-run         with --move-to: only tell
  --yes             move without asking
TEXT
}

root='' move_to='' strict='' dry_run='' yes='' known=''
while (($#)); do
  case $1 in
    --help | -h) usage && exit 0 ;;
    --root) root=${2:?--root takes a folder} && shift ;;
    --move-to) move_to=${2:?--move-to takes a folder} && shift ;;
    --strict) strict=1 ;;
    --dry-run) dry_run=1 ;;
    --yes) yes=1 ;;
    -*) usage >&2 && exit 2 ;;
    *) known=$1 ;;
  esac
  shift
done
[[ $known ]] || { usage >&2 && exit 2; }

folders=()
while IFS= read -r line; do
  if [[ $line == */ ]]; then
    folders+=("$line")
  fi
done <"$known"

is_known() {
  local name=$1 target folder
  for folder in "${folders[@]}"; do
    [[ $name != "$folder"* ]] || return 0
  done
  # An entry that is a link to a folder of the store is known as a whole, and so are the links that NixOS makes.
  if [[ -L $root/etc/$name ]]; then
    target=$(readlink -- "$root/etc/$name")
    [[ $target != /etc/static/* && $target != /nix/store/* ]] || return 0
  fi
  return 1
}

# The names that no line of KNOWN is, whole and to the letter: a name that holds a line break is none of them.
list_unknown() {
  find "$root/etc/" -xdev -mindepth 1 ! -type d -printf '%P\0' | sort -z | { grep -z -v -x -F -f "$known" || [[ $? == 1 ]]; }
}
strays=()
while IFS= read -r -d '' name; do
  is_known "$name" || strays+=("$name")
done < <(list_unknown || printf 'moxc-etc-check: could not look at every file\0')

if ((${#strays[@]} == 0)); then
  echo "nothing in $root/etc but what the configuration says"
  exit 0
fi

# `<4>` is a warning to systemd's journal (sd-daemon(3)).
for name in "${strays[@]}"; do
  printf '<4>not from the configuration: %q\n' "$root/etc/$name"
done

if [[ $move_to && ! $dry_run ]]; then
  if [[ ! $yes ]]; then
    read -r -p "move ${#strays[@]} files to $move_to? [y/N] " answer
    [[ $answer == [yY]* ]] || exit 1
  fi
  for name in "${strays[@]}"; do
    mkdir -p -- "$(dirname -- "$move_to/$name")"
    mv -f -- "$root/etc/$name" "$move_to/$name"
  done
  echo "moved to $move_to: ${#strays[@]} files"
  exit 0
fi
[[ ! $strict ]]
