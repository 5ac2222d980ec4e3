# Windows Update, by the documented interface of the Windows Update Agent (windows-update.ps1).

use config.nu *
use moxc.nu *

# Looks for updates of Windows; with --install, downloads and installs them.
#
# Drivers are left out: they come from virtio-win and from the makers of the hardware. So are the next release of Windows
# and updates that ask questions: those are named, for a person to install. Needs an administrator or SYSTEM.
# Ends with 0 (done, or nothing to do), 1 (something failed) or 3 (Windows must restart to finish).
def main [
  --install # download and install what is found
  --reboot: string = "never" # never, or if-needed: restart Windows five minutes after the installation where it must
  --dry-run # say what would be done, and change nothing
  --json # print one JSON object at the end, and nothing else, to standard output
] {
  moxc-main "windows-update" --dry-run=$dry_run --json=$json {||
    update-all $install (moxc-wants-restart $reboot)
  }
}

# An outcome for each update, and one for the restart where Windows waits for one.
export def update-all [install: bool, restart: bool]: nothing -> list<any> {
  let act = ($install and not (moxc-is-dry))
  if $act { moxc-check-admin }
  moxc-log "info" (if $act { "searches, downloads and installs" } else { "searches" })
  let answer = (update-ask (if $act { "install" } else { "check" }))
  let updates = ($answer.updates | each {|update| update-outcome $update })
  if not $answer.reboot { return $updates }
  $updates | append [(moxc-step "restart" {|| update-restart ($restart and $install) })]
}

def update-ask [what: string]: nothing -> record {
  with-env {MOXC_REQUEST: ({do: $what} | to json --raw)} {
    moxc-answer (moxc-look "powershell" (moxc-powershell-args "windows-update.ps1") {|args| ^powershell ...$args })
  }
}

# What became of an update.
export def update-outcome [update: record]: nothing -> record {
  let outcome = (
    if $update.left != "" {
      {outcome: "manual", detail: $update.left}
    } else if $update.result == "" {
      {outcome: "planned", detail: $"($update.bytes | into filesize)"}
    } else if $update.result == "succeeded" {
      {outcome: "done", detail: ""}
    } else {
      {outcome: "failed", detail: $"($update.result) \((moxc-hex $update.code))"}
    }
  )
  {what: $update.title, outcome: $outcome.outcome, detail: $outcome.detail}
}

def update-restart [wanted: bool]: nothing -> record {
  if $wanted { moxc-restart-soon } else { {outcome: "restart", detail: "Windows must restart to finish"} }
}
