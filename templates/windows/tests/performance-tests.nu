# Tests of what the scripts cost: time, memory, processor.

use test-utils.nu *

# The folder of the scripts under test.
const performance_scripts = path self ..

# Measures how long scripts take, and what memory and processor time they need, against fakes. The budgets are far above
# what a small machine needs: they find a script that hangs, loops or reads a whole disk, and not one that is a little slow.
def main [
  --only: string = "" # run only the tests whose names hold this
  --load: duration = 10sec # for a script to be read, with its options shown
  --run: duration = 60sec # for a dry run or a second run of a script
  --many: duration = 60sec # for a thousand small calls
  --memory: filesize = 500mb # for a run, where the system tells it
  --busy: duration = 30sec # of processor time for a run, where the system tells it
] {
  test-suite "performance tests" [
    (test --box "each script is read in time" {|| test-box {|box|
      for script in (performance-names) {
        performance-within $load $"($script) --help" {|| test-status (test-run $box $script "--help") 0 }
      }
    } })
    (test --box "a dry run of each script ends in time" {|| test-box --change {|config| performance-bare $config } {|box|
      performance-answers $box
      for script in (performance-names) {
        performance-within $run $"($script) --dry-run" {|| test-status (test-run $box $script "--dry-run") 0 }
      }
    } })
    (test --box "a hundred packages that are there take time in proportion" {|| test-box --change {|config|
      performance-bare $config | upsert winget (1..100 | each {|n| $"Publisher.Package($n)" })
    } {|box|
      performance-answers $box
      if "winget" in (performance-names) {
        performance-within $run "winget with a hundred packages" {|| test-status (test-run $box "winget") 0 }
      }
    } })
    (test --box "a folder of a thousand temporary files is looked through in time" {|| test-box --change {|config| performance-bare $config } {|box|
      performance-answers $box
      for n in 1..1000 { "" | save $"($box.folder)/temp/($n).tmp" }
      performance-within $run "maintenance with a thousand files" {|| test-status (test-run $box "maintenance" "--dry-run") 0 }
    } })
    (test --box "a run stays within its memory and its processor time" {|| test-box --change {|config| performance-bare $config } {|box|
      performance-answers $box
      let used = (performance-used $box "maintenance" ["--dry-run"])
      if $used == null {
        print "          (this system does not tell what a process used)"
      } else {
        print $"          \(($used.memory) and ($used.busy) of processor time)"
        if $used.memory > $memory { error make {msg: $"it took ($used.memory), and has ($memory)"} }
        if $used.busy > $busy { error make {msg: $"it took ($used.busy) of processor time, and has ($busy)"} }
      }
    } })
    (test "a thousand small calls are made in time" {||
      performance-within $many "a thousand calls" {||
        let r = (with-env {PATH: [($nu.current-exe | path dirname)]} {
          let module = ($performance_scripts | path join "moxc.nu" | to nuon)
          ^nu --no-config-file --no-std-lib --commands $"use ($module) *\n1..1000 | each {|n| moxc-winget-verdict \(0 - $n) } | length" | complete
        })
        test-equal ($r.stdout | str trim) "1000"
      }
    })
  ] --only $only
}

# The scripts that this guest has.
def performance-names []: nothing -> list<string> {
  ["setup" "guest-agent" "virtiofs" "winget" "rust" "steam" "windows-update" "maintenance" "first-logon"]
  | where {|name| $performance_scripts | path join $"($name).nu" | path exists }
}

# Fails where a closure takes longer than its budget.
def performance-within [budget: duration, what: string, body: closure]: nothing -> nothing {
  let begin = (date now)
  do $body
  let took = ((date now) - $begin)
  if $took > $budget { error make {msg: $"($what) took ($took), and has ($budget)"} }
}

# Data that leaves little to do but to look.
def performance-bare [config: record]: nothing -> record {
  $config | upsert rust.projects [] | upsert steam.games [] | upsert shares []
}

# A machine on which all services run.
def performance-answers [box: record]: nothing -> nothing {
  test-answer $box "winget" "^--version$" --stdout "v1.8.0"
  test-answer $box "winget" "." --stdout "found Nushell.Nushell"
  test-answer $box "dism" "ScanHealth" --stdout "No component store corruption detected."
  test-answer $box "powershell" '"do":"service"' --stdout (test-service --there --running --delayed)
  test-answer $box "powershell" '"do":"volumes"' --stdout '{"volumes":[]}'
  test-answer $box "powershell" '"do":"events"' --stdout '{"count":0,"events":[]}'
  test-answer $box "powershell" '"do":"path"' --stdout '{"now":""}'
  test-answer $box "powershell" '.' --stdout '{"updates":[],"reboot":false,"busy":"","there":false,"running":false,"link":false,"empty":false,"value":null,"port":""}'
}

# The memory and the processor time of a run, as the system's own `time` tells them; null where it has none.
def performance-used [box: record, script: string, args: list<string>]: nothing -> any {
  if not ("/usr/bin/time" | path exists) { return null }
  let told = ($box.folder | path join "used")
  test-launcher $box "nu" $"#!/bin/sh\nexec /usr/bin/time -f '%M %U %S' -o '($told)' '($nu.current-exe)' \"$@\"\n"
  test-status (test-run $box $script ...$args) 0
  if not ($told | path exists) { return null }
  let parts = (open --raw $told | decode "utf-8" | lines | last | split row " ")
  if ($parts | length) != 3 { return null }
  {
    memory: (($parts.0 | into int) * 1kb)
    busy: ((($parts.1 | into float) + ($parts.2 | into float)) * 1sec)
  }
}
