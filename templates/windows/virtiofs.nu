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
  if (moxc-is-system) {
    error make {msg: "WinFsp is not installed, and winget does not work for SYSTEM: run this script once as an administrator"}
  }
  moxc-need-winget
  moxc-winget-install "WinFsp.WinFsp"
}

# The state of virtio-win's service.
def virtiofs-ask-service []: nothing -> record {
  let service = (moxc-ask {do: "service", name: $virtiofs_service})
  if not $service.there {
    error make {msg: "the service VirtioFsSvc is not installed: run virtio-win-guest-tools.exe from the virtio-win image"}
  }
  $service
}

# Whether something is mounted at a place.
def virtiofs-is-there [mount: string]: nothing -> bool {
  # A letter alone would be the drive's current folder.
  (if $mount =~ '^[A-Z]:$' { $mount + "\\" } else { $mount }) | path exists
}

# Waits until something is mounted there; fails where it does not come.
def virtiofs-await [mount: string, tries: int]: nothing -> nothing {
  if not (virtiofs-comes $tries {|| virtiofs-is-there $mount }) {
    error make {msg: $"nothing came up at ($mount): is the folder shared with this guest on the host? `Get-WinEvent -LogName System` may tell more"}
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
  if $right and $service.running and (virtiofs-is-there $share.mount) { return (moxc-already) }
  if not $right {
    moxc-order {do: "set-registry", key: $virtiofs_options, name: "MountPoint", value: $share.mount}
  }
  # 1062: it has ended in the meantime; 1056: it has started.
  if $service.running {
    moxc-change "sc" ["stop" $virtiofs_service] {|args| ^sc ...$args } --right [0 1062]
    if not (moxc-is-dry) { virtiofs-await-stop $tries }
  }
  moxc-change "sc" ["start" $virtiofs_service] {|args| ^sc ...$args } --right [0 1056]
  if not (moxc-is-dry) { virtiofs-await $share.mount $tries }
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

def virtiofs-launch [share: record, tries: int]: nothing -> record {
  if (virtiofs-is-there $share.mount) { return (moxc-already) }
  let bin = (moxc-path (virtiofs-winfsp-folder) "bin")
  let args = ["start" "virtiofs" $"viofs-($share.tag)" $share.tag $share.mount]
  $env.PATH = (moxc-search $bin)
  moxc-change "launchctl-x64" $args {|args| ^launchctl-x64 ...$args }
  if not (moxc-is-dry) { virtiofs-await $share.mount $tries }
  moxc-did
}
