# The upkeep of Windows: component store, temporary files, volumes, event log.

use config.nu *
use moxc.nu *

# Tidies Windows and looks after it: cleans the component store, removes old temporary files, tells the host which blocks
# are free; has Windows look for damage in its own files and its volumes (it mends nothing there); and warns of volumes
# that are full or will be, and of errors in the event log.
#
# Needs an administrator or SYSTEM. Ends with 0 (done, or nothing to do), 1 (something failed) or
# 3 (Windows must restart to finish).
def main [
  --temp-days: int = 7 # remove temporary files that are older than this many days
  --free: int = 10 # warn of volumes with less free than this, in percent
  --event-days: int = 7 # look at this many days of the event log
  --trend-days: int = 30 # warn of volumes that will be full within this many days, as they fill now
  --no-scan # leave out the searches for damage, which take long
  --reboot: string = "never" # never, or if-needed: restart Windows five minutes later where the component store wants it
  --dry-run # say what would be done, and change nothing
  --json # print one JSON object at the end, and nothing else, to standard output
] {
  moxc-main "maintenance" --dry-run=$dry_run --json=$json {||
    if $temp_days < 1 { error make {msg: $"--temp-days takes a number from 1, and not ($temp_days)"} }
    let restart = (moxc-wants-restart $reboot)
    let results = (maintenance-all $temp_days $free $event_days $trend_days (not $no_scan))
    if $restart and (moxc-status $results) == 3 { $results | append [(moxc-step "restart" {|| moxc-restart-soon })] } else { $results }
  }
}

# The steps.
export def maintenance-all [temp_days: int, free: int, event_days: int, trend_days: int, scan: bool]: nothing -> list<any> {
  moxc-check-admin
  let volumes = (try { (moxc-ask {do: "volumes"}).volumes } catch {|e| moxc-log "error" $e.msg; [] })
  [
    [(moxc-step "component store" {|| maintenance-components })]
    (if $scan { [(moxc-step "component store: damage" {|| maintenance-store }) (moxc-step "files of Windows" {|| maintenance-files })] } else { [] })
    [(moxc-step "temporary files" {|| maintenance-temp $temp_days })]
    ($volumes | each {|volume| moxc-step $"volume ($volume.letter):" {|| maintenance-space $volume $free } })
    ($volumes | each {|volume| moxc-step $"trend of ($volume.letter):" {|| maintenance-trend $volume $trend_days } })
    (if $scan { $volumes | each {|volume| moxc-step $"file system of ($volume.letter):" {|| maintenance-volume $volume.letter } } } else { [] })
    ($volumes | each {|volume| moxc-step $"trim ($volume.letter):" {|| maintenance-trim $volume.letter } })
    [(moxc-step "event log" {|| maintenance-events $event_days })]
  ] | flatten
}

def maintenance-components []: nothing -> record {
  let look = ["/English" "/Online" "/Cleanup-Image" "/AnalyzeComponentStore"]
  let r = (moxc-look "dism" $look {|args| ^dism ...$args })
  if $r.exit_code != 0 { error make {msg: (moxc-failure "dism" $r)} }
  if not (maintenance-wants-cleanup $r.stdout) { return (moxc-already "clean") }
  let clean = ["/English" "/Online" "/Cleanup-Image" "/StartComponentCleanup"]
  let r = (moxc-change "dism" $clean {|args| ^dism ...$args } --right [0 3010])
  if $r.exit_code == 3010 { moxc-restart "cleaned; Windows must restart to finish" } else { moxc-did "cleaned" }
}

# Whether DISM's analysis says that a cleanup is worth it.
export def maintenance-wants-cleanup [analysis: string]: nothing -> bool {
  $analysis =~ '(?m)^\s*Component Store Cleanup Recommended\s*:\s*Yes\s*$'
}

# Whether the component store, from which Windows mends itself, is whole.
def maintenance-store []: nothing -> record {
  let r = (moxc-look "dism" ["/English" "/Online" "/Cleanup-Image" "/ScanHealth"] {|args| ^dism ...$args })
  if $r.exit_code != 0 { error make {msg: (moxc-failure "dism" $r)} }
  if $r.stdout =~ '(?i)no component store corruption detected' { return (moxc-already "whole") }
  if $r.stdout =~ '(?i)is repairable' { return (moxc-manual "damaged: run `dism /Online /Cleanup-Image /RestoreHealth` as an administrator") }
  moxc-manual $"dism says: ($r.stdout | lines | each {|line| $line | str trim } | where {|line| $line != '' } | last 2 | str join ' | ')"
}

# Whether Windows' own files are those that it came with. sfc writes UTF-16, and in the language of Windows: its status counts.
def maintenance-files []: nothing -> record {
  let r = (moxc-look "sfc" ["/verifyonly"] {|args| ^sfc ...$args })
  let text = ($r.stdout | str replace --all (char --integer 0) "")
  if $r.exit_code != 0 or $text =~ '(?i)found integrity violations' {
    return (moxc-manual $"sfc ended with ($r.exit_code): run `sfc /scannow` as an administrator; what it found stands in C:\\Windows\\Logs\\CBS\\CBS.log")
  }
  moxc-already "whole"
}

# Whether a file system is sound, while it is in use. Statuses of chkdsk: 0 no errors; the others say that there are some.
def maintenance-volume [letter: string]: nothing -> record {
  let r = (moxc-look "chkdsk" [$"($letter):" "/scan"] {|args| ^chkdsk ...$args })
  if $r.exit_code == 0 { return (moxc-already "no errors") }
  moxc-manual $"chkdsk ended with ($r.exit_code): run `chkdsk ($letter): /spotfix` as an administrator, at a time when Windows may restart"
}

# How a volume fills: what was free at each run is kept, and the line through the oldest and the newest of the last 90 days
# tells when none will be.
def maintenance-trend [volume: record, days: int]: nothing -> record {
  let name = $"volume-($volume.letter)"
  let now = (date now)
  let kept = (try { moxc-kept $name | get seen } catch { [] })
  let before = ($kept | where {|one| let at = ($one.at | into datetime); $at > ($now - 90day) and $at < $now })
  let seen = ($before | append {at: ($now | format date "%Y-%m-%dT%H:%M:%S%:z"), free: $volume.free} | last 200)
  if not (moxc-is-dry) { moxc-keep $name {seen: $seen} }
  maintenance-forecast $seen $days
}

# What the free bytes at several times say. Less than a week says nothing.
export def maintenance-forecast [seen: list<any>, days: int]: nothing -> record {
  let first = ($seen | first)
  let last = ($seen | last)
  let span = (($last.at | into datetime) - ($first.at | into datetime))
  let lost = ($first.free - $last.free)
  if $span < 7day { return (moxc-already "too short a time to tell") }
  if $lost <= 0 { return (moxc-already "does not fill") }
  let left = ($last.free * ($span / 1day) / $lost | math floor)
  if $left < $days { return (moxc-manual $"full in ($left) days, as it fills now: remove what is not needed, or give the disk more room in the spec") }
  moxc-already $"full in ($left) days, as it fills now"
}

# Files that nobody has touched for so long. One that is in use is left, and is no failure.
def maintenance-temp [days: int]: nothing -> record {
  let windows = ($env.SystemRoot? | default "")
  let folders = (
    [(moxc-folder "TEMP")]
    | append (if $windows == "" { [] } else { [(moxc-path $windows "Temp")] })
    | uniq
    | where {|folder| $folder | path exists }
  )
  let old = ($folders | each {|folder| maintenance-old $folder ((date now) - ($days * 1day)) } | flatten)
  if ($old | is-empty) { return (moxc-already $"none is older than ($days) days") }
  if (moxc-is-dry) {
    for file in $old { moxc-say $"would remove ($file)" }
    return (moxc-did $"($old | length) files")
  }
  let kept = ($old | where {|file| not (try { rm --force $file; true } catch { false }) })
  for file in $kept { moxc-log "debug" $"in use: ($file)" --quiet }
  let removed = ($old | length) - ($kept | length)
  if $removed == 0 { return (moxc-already $"($kept | length) old files are in use") }
  moxc-did $"($removed) files removed, ($kept | length) in use"
}

# The files below a folder that were changed before a time. Links are passed over: what they lead to is elsewhere.
export def maintenance-old [folder: string, before: datetime]: nothing -> list<string> {
  let entries = (try { ls --all --full-paths $folder } catch { [] })
  let files = ($entries | where type == "file" and modified < $before | each {|entry| $entry.name })
  let below = ($entries | where type == "dir" | each {|entry| maintenance-old $entry.name $before } | flatten)
  [...$files ...$below]
}

def maintenance-space [volume: record, least: int]: nothing -> record {
  if $volume.health != "Healthy" {
    return (moxc-manual $"($volume.health): look at the disk by `chkdsk ($volume.letter): /scan`")
  }
  let free = (if $volume.size == 0 { 100 } else { $volume.free * 100 // $volume.size })
  if $free < $least {
    return (moxc-manual $"only ($free) % free: remove what is not needed, or give the disk more room in the spec")
  }
  moxc-already $"($free) % free"
}

# The host learns which blocks are free. Once a day is enough.
def maintenance-trim [letter: string]: nothing -> record {
  let name = $"trim-($letter)"
  let last = (try { moxc-kept $name | get at | into datetime } catch { null })
  # A time to come is one of a clock that was wrong.
  if $last != null and $last > ((date now) - 1day) and $last < ((date now) + 1day) {
    return (moxc-already "done in the last day")
  }
  moxc-order {do: "trim", letter: $letter}
  if not (moxc-is-dry) { moxc-keep $name {at: (date now | format date "%Y-%m-%dT%H:%M:%S%:z")} }
  moxc-did
}

def maintenance-events [days: int]: nothing -> record {
  let found = (moxc-ask {do: "events", days: $days})
  if $found.count == 0 { return (moxc-already $"no errors in ($days) days") }
  for event in $found.events {
    moxc-log "warn" $"($event.provider) ($event.id), ($event.count) times, newest ($event.newest): ($event.message)"
  }
  moxc-already $"($found.count) errors in ($days) days: the log of this script has them"
}
