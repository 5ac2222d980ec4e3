#!/bin/bash
# <@ header|safe @>
#
# Brings one guest back from a backup. This says which one; how it is done is in lib/restore.sh. It is one group, so that a
# file that was cut does nothing but fail. Its data are for the library (SC2034).
#
# shellcheck disable=SC1007,SC2034
{
guest=<@ guest @> own_vmid=<@ vmid @> kind=<@ kind @>
# Where each disk belongs.
declare -A storage_of=()
<%- for volume in volumes %>
storage_of[<@ volume.key @>]=<@ volume.storage @>
<%- endfor %>
first_storage=<@ first_storage @>

# shellcheck source=/dev/null
if ! . "$(dirname -- "$0")/lib/restore.sh" || ! declare -F restore_guest >/dev/null; then
  printf '%s: lib/restore.sh is missing or not whole: copy all of the tree; nothing was done\n' "$0" >&2
  exit 3
fi
restore_guest "$@"
exit
}
