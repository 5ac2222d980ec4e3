#!/bin/bash
# <@ header|safe @>
#
# Brings the host to what is wanted, step by step. What is so already stays as it is: a second run changes nothing.
# shellcheck disable=SC2034,SC2089,SC2090,SC2120,SC2317,SC2329
# Where the script is cut within `[[ … ]]`, bash ends with the status of the command before it.
false
{ # Nothing runs before the last line has been read: a script that arrives in part does nothing, and fails.
<% include "gate.sh" %>

<% include "tool.sh" %>

usage() {
  cat <<'END'
usage: apply.sh [OPTION]...
       apply.sh --undo [RUN] [--dry-run] [--yes]

Looks at everything first, says what it would change, asks once, and then does it in this order:

  check       this is the host, of the right release; secrets are in place
  storage     pools and datasets
  files       what belongs below /etc, /usr and /var
  boot        the initial RAM disk and the boot loader, where their files changed
  units       systemd units
  datacenter  storages, mappings and passwords of Proxmox VE
  images      templates and images that the guests are made from are there
  guests      missing guests are made, existing ones changed where they differ
  jobs        backup jobs and the firewall
  network     last, and guarded: the host itself goes back to the network that worked unless the new one is confirmed
  restart     the guests of --restart

What somebody else made or changed is left alone or refused, never overwritten. Each run leaves in /var/lib/moxc/runs
what it takes to undo it.

  --dry-run            shows every difference, and changes nothing
  --yes                asks nothing; the network confirms itself where addresses are up and gateways answer
  --confirm NAME       the name that has to be typed before something is detached; may be given again
  --only STEP,...      these steps alone: words of the list above, or objects (vm/100, file/etc/vzdump.conf)
  --skip STEP,...      without these steps
  --restart GUEST,...  restarts these guests for what waits for a restart; by name or number
  --download           fetches missing container templates by pveam
  --image GUEST=FILE   what the flake of a NixOS guest has built: a container's template, or what fills the disk that a virtual
                       machine boots from (another disk: GUEST/scsi1=FILE); may be given again
  --as-it-is FILE      takes a file of the tree that was edited by hand; may be given again
  --network-timeout N  seconds until an unconfirmed network goes back (120)
  --await              waits for the network's confirmation by another connection
  --undo [RUN]         takes a run back, the last one where RUN is left out
  --list               the runs that can be taken back
  --json               one JSON object a line
  --root DIR           every file lies below DIR; every command is still called by its name
  --help               shows this

Exit status: 0 done or nothing to do; 1 failed: what was done is told, and the network is what it was; 2 wrong usage;
3 refused: nothing was done, or a person has to decide.
END
}

<% include "proxmox/apply/run.sh" %>

<% include "proxmox/apply/verbs.sh" %>

<% include "proxmox/apply/guests.sh" %>

<% include "proxmox/apply/network.sh" %>

<% include "proxmox/apply/undo.sh" %>

<% include "proxmox/apply/editor.sh" %>

# ---------------------------------------------------------------- what is wanted

declare -r host=<@ host @> release=<@ release @> node=<@ host @> fresh=<@ fresh @>
restarts=,<@ restarts @>,

# The files that this script brings along; the one in a tree takes them from there.
bring_files() {
  :
<%- for file in files %>
  bring <@ file.path @> <@ file.mode @> <@ file.text @>
<%- endfor %>
}

steps() {
  :
<%- for line in lines %>
 <% for word in line.words %> <@ word @><% endfor %>
<%- endfor %>
}

main "$@"
exit
}
