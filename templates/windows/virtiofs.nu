# Folders of the host, by virtio-fs: WinFsp, the service of virtio-win, and a drive letter for each folder.

use config.nu *
use moxc.nu *

# Where WinFsp says that it is installed. WinFsp is a program of 32 bits there.
const virtiofs_winfsp = 'HKLM:\SOFTWARE\WOW6432Node\WinFsp'

# virtio-win's own service. It serves one folder: the first that it finds.
const virtiofs_service = "VirtioFsSvc"

# Where that service looks for the place to mount its folder at.
const virtiofs_options = 'HKLM:\SOFTWARE\VirtIO-FS'

# Mounts the shared folders of the spec at their places.
#
# One folder is served by virtio-win's own service, which then starts with Windows. Several take an instance of WinFsp
# each; those end with Windows, so this script must run at every start. Needs an administrator or SYSTEM.
# Ends with 0 (done, or nothing to do), 1 (something failed) or 3 (Windows must restart to finish).
def main [
  --tries: int = 10 # how often to look whether a folder has come
  --dry-run # say what would be done, and change nothing
  --json # print one JSON object at the end, and nothing else, to standard output
] {
  moxc-main "virtiofs" --dry-run=$dry_run --json=$json {||
    if $tries < 1 { error make {msg: $"--tries takes a number from 1, and not ($tries)"} }
    virtiofs-all $moxc_config.shares $tries
  }
}

# The steps; what mounts needs WinFsp and the service's program.
export def virtiofs-all [shares: list<any>, tries: int]: nothing -> list<any> {
  if ($shares | is-empty) { return [] }
  moxc-check-admin
  let winfsp = (moxc-step "WinFsp" {|| virtiofs-install-winfsp })
  if $winfsp.outcome not-in ["done" "already"] { return [$winfsp] }
  let served = (
    if ($shares | length) == 1 {
      let share = ($shares | first)
      [
        (moxc-step "service" {|| virtiofs-automatic })
        (moxc-step (virtiofs-title $share) {|| virtiofs-serve $share $tries })
      ]
    } else {
      [
        [(moxc-step "service" {|| virtiofs-disable })]
        [(moxc-step "instances" {|| virtiofs-register })]
        ($shares | each {|share| moxc-step (virtiofs-title $share) {|| virtiofs-launch $share $tries } })
      ] | flatten
    }
  )
  [$winfsp ...$served]
}

def virtiofs-title [share: record]: nothing -> string { $"($share.tag) at ($share.mount)" }

# WinFsp's folder; empty where it is not installed.
def virtiofs-winfsp-folder []: nothing -> string {
  (moxc-ask {do: "registry", key: $virtiofs_winfsp, name: "InstallDir"}).value | default ""
}

def virtiofs-install-winfsp []: nothing -> record {
  if (virtiofs-winfsp-folder) != "" { return (moxc-already) }
  moxc-install "winfsp"
}

# The state of virtio-win's service.
def virtiofs-ask-service []: nothing -> record {
  let service = (moxc-ask {do: "service", name: $virtiofs_service})
  if not $service.there {
    error make {msg: "the service VirtioFsSvc is not installed: run virtio-win-guest-tools.exe from the virtio-win image"}
  }
  $service
}

# Whether the folder is mounted at its place. That something is there says nothing: it may be a disc in a CD drive, or a
# folder of that name. A drive of virtio-fs has the share's tag as its label; a folder that leads elsewhere is a link.
def virtiofs-is-there [share: record]: nothing -> bool {
  if ($share.mount | str length) == 2 {
    let drive = (moxc-ask {do: "drive", letter: ($share.mount | str substring 0..0)})
    $drive.there and $drive.kind != 5 and ((moxc-same $drive.label $share.tag) or $drive.label =~ '(?i)virtio')
  } else {
    (moxc-ask {do: "place", path: $share.mount}).link
  }
}

# Makes room for a folder: a disc that Windows gave its letter to gets another one; the folder above it is made, and an
# empty one in its place goes, since WinFsp makes it itself.
def virtiofs-clear [share: record]: nothing -> nothing {
  if ($share.mount | str length) == 2 {
    let letter = ($share.mount | str substring 0..0)
    let drive = (moxc-ask {do: "drive", letter: $letter})
    if not $drive.there { return }
    if $drive.kind != 5 { error make {msg: $"($share.mount) belongs to another drive \(($drive.label)): give that one another letter \(diskmgmt.msc)"} }
    let taken = ((moxc-ask {do: "letters"}).letters | each {|one| $one.letter })
    let free = ("YXWVUTSRQPONMLKJIHGFE" | split chars | where {|one| $one not-in $taken and $one not-in $moxc_config.letters })
    if ($free | is-empty) { error make {msg: $"no letter is free for the disc in ($share.mount)"} }
    moxc-order {do: "move-letter", from: $letter, to: ($free | first)}
    return
  }
  let place = (moxc-ask {do: "place", path: $share.mount})
  if $place.there and not $place.link {
    if not $place.empty { error make {msg: $"($share.mount) is there and holds files: move them away, or mount the folder elsewhere"} }
    moxc-order {do: "remove-empty", path: $share.mount}
  }
  moxc-make-folder (moxc-parent $share.mount)
}

# Waits until a folder is mounted; fails where it does not come.
def virtiofs-await [share: record, tries: int]: nothing -> nothing {
  if not (virtiofs-comes $tries {|| virtiofs-is-there $share }) {
    error make {msg: $"nothing came up at ($share.mount): is the folder shared with this guest on the host? `Get-WinEvent -LogName System` may tell more"}
  }
}

# Whether something comes true within so many looks.
def virtiofs-comes [tries: int, look: closure]: nothing -> bool {
  seq 1 $tries | any {|attempt|
    let there = (do $look)
    if not $there and $attempt < $tries { sleep ($moxc_config.wait_seconds * 100ms) }
    $there
  }
}

# ---------------------------------------------------------------- one folder

# Delayed, so that WinFsp is there before it: the service names no dependency, and without WinFsp it gives up in silence.
def virtiofs-automatic []: nothing -> record {
  let service = (virtiofs-ask-service)
  if $service.start == "Auto" and $service.delayed { return (moxc-already) }
  moxc-change "sc" ["config" $virtiofs_service "start=" "delayed-auto"] {|args| ^sc ...$args }
  moxc-did
}

def virtiofs-serve [share: record, tries: int]: nothing -> record {
  let place = (moxc-ask {do: "registry", key: $virtiofs_options, name: "MountPoint"}).value
  let service = (virtiofs-ask-service)
  let right = ($place == $share.mount)
  if $right and $service.running and (virtiofs-is-there $share) { return (moxc-already) }
  if not $right {
    moxc-order {do: "set-registry", key: $virtiofs_options, name: "MountPoint", value: $share.mount}
  }
  # 1062: it has ended in the meantime; 1056: it has started.
  if $service.running {
    moxc-change "sc" ["stop" $virtiofs_service] {|args| ^sc ...$args } --right [0 1062]
    if not (moxc-is-dry) { virtiofs-await-stop $tries }
  }
  virtiofs-clear $share
  moxc-change "sc" ["start" $virtiofs_service] {|args| ^sc ...$args } --right [0 1056]
  if not (moxc-is-dry) { virtiofs-await $share $tries }
  moxc-did
}

def virtiofs-await-stop [tries: int]: nothing -> nothing {
  if not (virtiofs-comes $tries {|| not (virtiofs-ask-service).running }) {
    error make {msg: "the service VirtioFsSvc does not stop"}
  }
}

# ---------------------------------------------------------------- several folders

# The service would take the first folder for itself.
def virtiofs-disable []: nothing -> record {
  let service = (virtiofs-ask-service)
  if $service.start == "Disabled" and not $service.running { return (moxc-already "disabled: each folder has an instance of its own") }
  if $service.running { moxc-change "sc" ["stop" $virtiofs_service] {|args| ^sc ...$args } --right [0 1062] }
  if $service.start != "Disabled" { moxc-change "sc" ["config" $virtiofs_service "start=" "disabled"] {|args| ^sc ...$args } }
  moxc-did "disabled: each folder has an instance of its own"
}

# Tells WinFsp how an instance is started: what its own fsreg.bat writes.
def virtiofs-register []: nothing -> record {
  let key = $virtiofs_winfsp + '\Services\virtiofs'
  let wanted = [
    [name, value];
    ["Executable", (virtiofs-ask-service).program]
    ["CommandLine", "-t %1 -m %2"]
    # Whoever is logged on may start one.
    ["Security", "D:P(A;;RPWPLC;;;WD)"]
    ["JobControl", 1]
  ]
  let wrong = ($wanted | where {|row| (moxc-ask {do: "registry", key: $key, name: $row.name}).value != $row.value })
  if ($wrong | is-empty) { return (moxc-already) }
  for row in $wrong { moxc-order {do: "set-registry", key: $key, name: $row.name, value: $row.value} }
  moxc-did
}

# WinFsp's launcher starts with Windows, and answers some time later: the call is tried again until the folder is there.
def virtiofs-launch [share: record, tries: int]: nothing -> record {
  if (virtiofs-is-there $share) { return (moxc-already) }
  virtiofs-clear $share
  let args = ["start" "virtiofs" $"viofs-($share.tag)" $share.tag $share.mount]
  $env.PATH = (moxc-search (moxc-path (virtiofs-winfsp-folder) "bin"))
  if (moxc-is-dry) {
    moxc-change "launchctl-x64" $args {|args| ^launchctl-x64 ...$args }
    return (moxc-did)
  }
  mut last = "the launcher was not called"
  for attempt in 1..$tries {
    $last = (try { virtiofs-call $args } catch {|e| $e.msg })
    if $last == "" { break }
    moxc-log "warn" $"($share.tag): ($last)"
    if $attempt < $tries { sleep ($moxc_config.wait_seconds * 100ms) }
  }
  if $last != "" { error make {msg: $last} }
  virtiofs-await $share $tries
  moxc-did
}

# Nothing where the launcher took the call.
def virtiofs-call [args: list<string>]: nothing -> string {
  let launcher = (moxc-ask {do: "service", name: "WinFsp.Launcher"})
  if $launcher.there and not $launcher.running { return "the service WinFsp.Launcher does not run yet" }
  moxc-change "launchctl-x64" $args {|args| ^launchctl-x64 ...$args }
  ""
}
