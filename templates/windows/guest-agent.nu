# The QEMU guest agent: by it the host freezes file systems for a backup, shuts Windows down, and starts updates.

use config.nu *
use moxc.nu *

# The service that qemu-ga's installer makes.
const agent_service = "QEMU-GA"

# Sees to it that the QEMU guest agent is installed, starts with Windows, and runs.
#
# Needs an administrator. The installer comes from the virtio-win image, which must be in a drive where the agent is not
# installed yet. Ends with 0 (done, or nothing to do) or 1 (something failed).
def main [
  --dry-run # say what would be done, and change nothing
  --json # print one JSON object at the end, and nothing else, to standard output
] {
  moxc-main "guest-agent" --dry-run=$dry_run --json=$json {|| agent-all }
}

# The steps; the later ones need the first.
export def agent-all []: nothing -> list<any> {
  moxc-check-admin
  let installed = (moxc-step "guest agent: installed" {|| agent-install })
  if $installed.outcome not-in ["done" "already"] { return [$installed] }
  [
    $installed
    (moxc-step "guest agent: starts with Windows" {|| agent-automatic })
    (moxc-step "guest agent: runs" {|| agent-start })
  ]
}

def agent-install []: nothing -> record {
  if (moxc-ask {do: "service", name: $agent_service}).there { return (moxc-already) }
  let installer = (agent-installer)
  if $installer == "" {
    error make {msg: "the virtio-win image is in no drive: put it in (on the host: `qm set VMID --ide2 local:iso/virtio-win.iso,media=cdrom`), and run this again"}
  }
  let r = (moxc-change "msiexec" ["/i" $installer "/qn" "/norestart"] {|args| ^msiexec ...$args } --right [0 1641 3010])
  if $r.exit_code == 0 { moxc-did } else { moxc-restart "installed; Windows must restart to finish" }
}

# The agent's installer in one of the drives; empty where none has it.
def agent-installer []: nothing -> string {
  let found = (
    "DEFGHIJKLMNOPQRSTUVWXYZ" | split chars
    | each {|letter| moxc-path $"($letter):" "guest-agent" "qemu-ga-x86_64.msi" }
    | where {|file| $file | path exists }
  )
  if ($found | is-empty) { "" } else { $found | first }
}

def agent-automatic []: nothing -> record {
  if (moxc-ask {do: "service", name: $agent_service}).start == "Auto" { return (moxc-already) }
  moxc-change "sc" ["config" $agent_service "start=" "auto"] {|args| ^sc ...$args }
  moxc-did
}

def agent-start []: nothing -> record {
  if (moxc-ask {do: "service", name: $agent_service}).running { return (moxc-already) }
  # 1056: it has been started in the meantime.
  moxc-change "sc" ["start" $agent_service] {|args| ^sc ...$args } --right [0 1056]
  moxc-did
}
