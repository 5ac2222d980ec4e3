#!/bin/bash
# <@ header|safe @>
#
# Takes one guest back to how it was. This says which one; how it is done is in lib/rollback.sh. It is one group, so that a
# file that was cut does nothing but fail. Its data are for the library (SC2034).
#
# shellcheck disable=SC1007,SC2034
{
guest=<@ guest @> vmid=<@ vmid @> kind=<@ kind @>
# Whether it has generations of NixOS; whether devices or folders of the host keep its memory out of every snapshot.
nixos=<% if nixos %>1<% endif %> has_no_memory_state=<% if has_no_memory_state %>1<% endif %>

# shellcheck source=/dev/null
if ! . "$(dirname -- "$0")/lib/rollback.sh" || ! declare -F roll_back_guest >/dev/null; then
  printf '%s: lib/rollback.sh is missing or not whole: copy all of the tree; nothing was done\n' "$0" >&2
  exit 3
fi
roll_back_guest "$@"
exit
}
