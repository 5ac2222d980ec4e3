# What belongs to the first logon, in its order.

use config.nu *
use moxc.nu *

# The scripts, in order: first what serves the machine, then what belongs to the user.
const logon_scripts = [
  [script, title, admin];
  ["guest-agent", "the QEMU guest agent", true]
  ["virtiofs", "shared folders", true]
  ["winget", "packages", false]
  ["rust", "the Rust toolchain", false]
  ["steam", "Steam", false]
]

# Runs each script of this guest once, in order, and tells at the end what is left to a person. A script that failed does
# not stop the others. Run again, it goes on with what has failed, and with what the spec has changed since; what was left
# to a person is said once, and again with --again. Restarts Windows where an installation before it asked for that.
#
# Run it as the user, with the rights of an administrator; without them, what serves the machine is left out and said.
# Ends with 0 (done, or nothing to do), 1 (something failed) or 3 (Windows must restart to finish).
def main [
  --again # run all scripts, those that ended well, too
  --no-open # do not open the report
  --dry-run # say what would be done, and change nothing
  --json # print one JSON object at the end, and nothing else, to standard output
] {
  moxc-main "first-logon" --dry-run=$dry_run --json=$json {|| logon-all $again (not $no_open) }
}

# The outcomes of all scripts, each under its script's name.
export def logon-all [again: bool, open: bool]: nothing -> list<any> {
  let scripts = ($logon_scripts | where {|row| $row.script in $moxc_config.scripts and (moxc-beside $"($row.script).nu" | path exists) })
  let results = ($scripts | each {|row| logon-one $row.script $row.title $row.admin $again } | flatten)
  let results = [...$results ...(logon-restart)]
  if not (moxc-is-dry) { logon-report $results $open $again }
  $results
}

# The restart that an installer of the bootstrap asked for: after all else, and once.
def logon-restart []: nothing -> list<any> {
  let mark = (moxc-path $moxc_config.root "state" "bootstrap" "restart")
  if not ($mark | path exists) { return [] }
  [(moxc-step "restart" {||
    if not (moxc-is-dry) { rm --force $mark }
    moxc-restart-soon
  })]
}

def logon-one [script: string, title: string, admin: bool, again: bool]: nothing -> list<any> {
  let mark = (logon-mark $script)
  let before = (try { moxc-kept $"first-logon-($script)" | get mark } catch { "" })
  if $before == $mark and not $again { return [{what: $title, outcome: "already", detail: "done before"}] }
  if $admin and not (moxc-is-dry) and not (moxc-is-admin) {
    return [{what: $title, outcome: "manual", detail: $"run ($script).nu as an administrator"}]
  }
  moxc-log "info" $"runs ($script).nu"
  let results = (try { logon-run $script } catch {|e| [{what: $script, outcome: "failed", detail: $e.msg}] })
  # What is left to a person has been said: it is no reason to open dialogs at each logon.
  let left = ($results | where outcome in ["failed" "busy" "planned"])
  if ($left | is-empty) and not (moxc-is-dry) { moxc-keep $"first-logon-($script)" {mark: $mark} }
  $results | each {|r| {what: $"($script): ($r.what)", outcome: $r.outcome, detail: $r.detail} }
}

# What a script is made of: where that is what it was, and it ended well, there is nothing to do.
def logon-mark [script: string]: nothing -> string {
  [$"($script).nu" "moxc.nu" "config.nu"] | each {|file| open --raw (moxc-beside $file) | hash sha256 } | str join "" | hash sha256
}

# Runs a script in a process of its own, by the Nushell that runs this one, and gives its outcomes.
def logon-run [script: string]: nothing -> list<any> {
  let file = (moxc-beside $"($script).nu")
  let args = ["--no-config-file" "--no-std-lib" $file "--json" ...(if (moxc-is-dry) { ["--dry-run"] } else { [] })]
  $env.PATH = (moxc-search --last ($nu.current-exe | path dirname))
  let r = (moxc-look "nu" $args {|args| ^nu ...$args })
  if (moxc-is-dry) { moxc-say ($r.stderr | str trim --right) }
  let report = (moxc-record $r.stdout)
  if $report == null { error make {msg: (moxc-failure $"($script).nu" $r)} }
  $report.results
}

# The report, for a person: opened where something is left to do that was not left before.
def logon-report [results: list<any>, open: bool, again: bool]: nothing -> nothing {
  let left = ($results | where outcome in ["failed" "busy" "manual" "restart"])
  let known = (try { moxc-kept "first-logon-told" | get told } catch { [] })
  let told = ($left | each {|r| $r.what })
  let news = ($told | where {|what| $what not-in $known })
  let lines = (
    if ($left | is-empty) {
      [$"($moxc_config.guest) is set up: ($results | length) things are as they should be."]
    } else {
      [
        $"($moxc_config.guest): ($left | length) of ($results | length) things are left."
        ""
        ...($left | each {|r| $"* ($r.what): ($r.detail)" })
        ""
        "Then run `first-logon.nu --again`: it looks whether all is there."
      ]
    }
  )
  let file = (moxc-path $moxc_config.root "first-logon.txt")
  try {
    $lines | str join "\r\n" | save --raw --force $file
    if ($news | is-not-empty) { moxc-keep "first-logon-told" {told: ($known ++ $news)} }
    let tells = (($news | is-not-empty) or ($again and ($left | is-not-empty)))
    if $open and $tells and not (moxc-is-system) { start $file }
  } catch {|e|
    moxc-log "warn" $"the report cannot be written: ($e.msg)"
  }
}
