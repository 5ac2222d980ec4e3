# Windows Update, by the documented interface of the Windows Update Agent (windows-update.ps1).

use config.nu *
use moxc.nu *

# Looks for updates of Windows; with --install, downloads and installs them.
#
# Drivers are left out: they come from virtio-win and from the makers of the hardware. So are optional updates, unless the
# spec wants them, the next release of Windows, and updates that ask questions: the last two are named, for a person to
# install. Needs an administrator or SYSTEM.
# Ends with 0 (done, or nothing to do), 1 (something failed), 3 (Windows must restart to finish) or 4 (Windows' updater is
# at work, or there is no network: later is better).
def main [
  --install # download and install what is found
  --reboot: string = "never" # never, or if-needed: restart Windows five minutes after the installation where it must
  --event # write what was found to the event log, too
  --dry-run # say what would be done, and change nothing
  --json # print one JSON object at the end, and nothing else, to standard output
] {
  moxc-main "windows-update" --dry-run=$dry_run --json=$json {||
    let results = (update-all $install (moxc-wants-restart $reboot))
    if $event { update-tell $results }
    $results
  }
}

# An outcome for each update, and one for the restart where Windows waits for one.
export def update-all [install: bool, restart: bool]: nothing -> list<any> {
  let act = ($install and not (moxc-is-dry))
  if $act {
    moxc-check-admin
    # It installs programs itself, and a restart would break it off.
    if (moxc-ask {do: "task", name: "first-logon"}).running {
      return [{what: "updates", outcome: "busy", detail: "the first logon is still setting this machine up"}]
    }
  }
  moxc-log "info" (if $act { "searches, downloads and installs" } else { "searches" })
  let answer = (update-ask (if $act { "install" } else { "check" }))
  if $answer.busy != "" { return [{what: "updates", outcome: "busy", detail: $answer.busy}] }
  let updates = ($answer.updates | each {|update| update-outcome $update })
  if not $answer.reboot { return $updates }
  $updates | append [(moxc-step "restart" {|| update-restart ($restart and $install) })]
}

# Errors of the Windows Update Agent that say no more than that now is a bad time ("Windows Update common errors").
const update_later = [
  [code, says];
  ["0x80240009", "another operation of Windows' updater is running"]
  ["0x80240016", "another installation is running, or waits for a restart"]
  ["0x8024001E", "the service of Windows' updater was stopped"]
  ["0x8024401C", "the update server did not answer in time"]
  ["0x8024402C", "the name of the update server cannot be found: no network?"]
  ["0x80240438", "there is no way to the update server"]
  ["0x80072EE2", "the update server did not answer in time"]
  ["0x80072EE7", "the name of the update server cannot be found: no network?"]
  ["0x80072EFD", "the update server cannot be reached: no network?"]
  ["0x80072EFE", "the connection to the update server was lost"]
]

def update-ask [what: string]: nothing -> record {
  let request = {do: $what, optional: $moxc_config.updates.optional}
  with-env {MOXC_REQUEST: ($request | to json --raw)} {
    let r = (moxc-look "powershell" (moxc-powershell-args "windows-update.ps1") {|args| ^powershell ...$args })
    let code = (try { moxc-record $r.stdout | get code } catch { "" })
    let later = ($update_later | where code == $code)
    if ($later | is-not-empty) { return {busy: $"($later | first | get says) \(($code))", updates: [], reboot: false} }
    moxc-answer $r
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

# Puts what was found into the event log `Application`, of the source `moxc`.
def update-tell [results: list<any>]: nothing -> nothing {
  let waits = ($results | where outcome in ["planned" "failed" "manual" "restart"])
  let lines = ($waits | each {|r| $"* ($r.what)(if $r.detail == '' { '' } else { ': ' + $r.detail })" })
  let text = (if ($waits | is-empty) { "Windows is up to date." } else { [$"($waits | length) things wait:" ...$lines] | str join "\r\n" })
  # An event holds 31839 characters.
  try { moxc-order {do: "event", text: ($text | str substring 0..30000), warns: ($waits | is-not-empty)} } catch {|e| moxc-log "warn" $e.msg }
}
