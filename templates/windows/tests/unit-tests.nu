# Tests of single functions.

use ../moxc.nu *
use test-utils.nu *

# The folder of the scripts under test.
const unit_scripts = path self ..

# Tests the functions that the scripts are made of: versions, platform, paths, exit codes, outcomes, logging, errors.
def main [
  --only: string = "" # run only the tests whose names hold this
] {
  test-suite "unit tests" [
    ...(unit-versions) ...(unit-platform) ...(unit-paths) ...(unit-outcomes) ...(unit-programs)
    ...(unit-logging) ...(unit-errors) ...(unit-scripts)
  ] --only $only
}

def unit-versions []: nothing -> list<any> {
  [
    (test "versions are compared by their numbers, not as text" {||
      test-equal (moxc-is-older "0.9.0" "0.108.0") true
      test-equal (moxc-is-older "0.108.0" "0.9.0") false
    })
    (test "a version is not older than itself" {|| test-equal (moxc-is-older "0.115.1" "0.115.1") false })
    (test "what is no number in a version counts as 0" {|| test-equal (moxc-version-parts "1.x.2") [1 0 2] })
    (test "a Nushell that is too old is refused, with the way out" {||
      test-fails "bootstrap.ps1" {|| moxc-check-version "0.101.0" }
    })
    (test "this Nushell is taken" {|| moxc-check-version (version | get version) })
  ]
}

def unit-platform []: nothing -> list<any> {
  [
    (test "off Windows, tests may make believe" {||
      if $nu.os-info.name != "windows" {
        test-equal (with-env {MOXC_PLATFORM: "windows"} { moxc-platform }) "windows"
      }
    })
    (test "the real system counts where nobody makes believe" {||
      hide-env --ignore-errors MOXC_PLATFORM
      test-equal (moxc-platform) $nu.os-info.name
    })
    (test "another system is refused by its name" {||
      if $nu.os-info.name != "windows" {
        test-fails "this is freebsd" {|| with-env {MOXC_PLATFORM: "freebsd"} { moxc-check-platform } }
      }
    })
    (test "SYSTEM is told by the sign behind its name" {||
      test-equal (with-env {USERNAME: "PC$"} { moxc-is-system }) true
      test-equal (with-env {USERNAME: "gamer"} { moxc-is-system }) false
    })
    (test "what needs an administrator is refused to others, but not in a dry run" {||
      if $nu.os-info.name != "windows" {
        with-env {MOXC_ADMIN: "no"} {
          test-fails "Run as administrator" {|| moxc-check-admin }
          with-env {MOXC: (unit-state --dry-run)} { moxc-check-admin }
        }
      }
    })
  ]
}

def unit-paths []: nothing -> list<any> {
  [
    (test "paths of Windows are joined by backslashes" {||
      test-equal (moxc-path 'D:\Steam' "steamapps" "a.acf") 'D:\Steam\steamapps\a.acf'
    })
    (test "a drive alone becomes its root" {|| test-equal (moxc-path "D:" "x") 'D:\x' })
    (test "a sign at the end is not doubled" {|| test-equal (moxc-path 'D:\' "x") 'D:\x' })
    (test "other paths are joined by slashes" {|| test-equal (moxc-path "/tmp/a" "b") "/tmp/a/b" })
    (test "the folder of a path, up to the root" {||
      test-equal (moxc-parent 'D:\src\hello') 'D:\src'
      test-equal (moxc-parent 'D:\src') 'D:\'
    })
    (test "a folder that the environment lacks is an error by name" {||
      test-fails "MOXC_NO_SUCH" {|| moxc-folder "MOXC_NO_SUCH" }
    })
  ]
}

def unit-outcomes []: nothing -> list<any> {
  [
    (test "the status is 1 where something failed" {|| test-equal (moxc-status [(unit-result "done") (unit-result "failed") (unit-result "restart")]) 1 })
    (test "the status is 3 where Windows must restart" {|| test-equal (moxc-status [(unit-result "done") (unit-result "restart")]) 3 })
    (test "the status is 0 where a person has something to do" {|| test-equal (moxc-status [(unit-result "manual")]) 0 })
    (test "the status of nothing is 0" {|| test-equal (moxc-status []) 0 })
    (test "nothing to do is said" {|| test-equal (moxc-summary [(unit-result "already")]) "nothing to do, 1 as they should be" })
    (test "outcomes are counted" {||
      test-equal (moxc-summary [(unit-result "done") (unit-result "already") (unit-result "failed")]) "1 done, 1 failed, 1 as they should be"
    })
    (test "a step that fails becomes an outcome, and does not stop the others" {||
      with-env {MOXC: (unit-state)} {
        test-equal (moxc-step "x" {|| error make {msg: "why"} }) {what: "x", outcome: "failed", detail: "why"}
      }
    })
    (test "in a dry run, what would be done is planned" {||
      test-equal (with-env {MOXC: (unit-state --dry-run)} { moxc-did }).outcome "planned"
      test-equal (with-env {MOXC: (unit-state)} { moxc-did }).outcome "done"
      test-equal (with-env {MOXC: (unit-state --dry-run)} { moxc-restart "" }).outcome "planned"
    })
  ]
}

def unit-programs []: nothing -> list<any> {
  [
    (test "winget's codes are known by what to do" {||
      test-equal (moxc-winget-verdict 0).means "done"
      test-equal (moxc-winget-verdict (-1978335189)).means "already"
      test-equal (moxc-winget-verdict (-1978335135)).means "already"
      test-equal (moxc-winget-verdict (-1978334967)).means "restart"
      test-equal (moxc-winget-verdict (-1978334974)).means "again"
      test-equal (moxc-winget-verdict (-1978335207)).means "failed"
      test-equal (moxc-winget-verdict 12345).means "failed"
    })
    (test "negative codes are told as Windows writes them" {|| test-equal (moxc-hex (-1978335189)) "0x8A15002B" })
    (test "a command line is shown so that it can be read" {||
      test-equal (moxc-shown "cargo" ["new" "--" 'D:\my src']) "cargo new -- \"D:\\\\my src\""
    })
    (test "the last lines of a program say why it failed" {||
      test-equal (moxc-failure "x" {exit_code: 7, stdout: "a", stderr: "\nb\r\n c \n"}) "x ended with 7: b | c"
      test-equal (moxc-failure "x" {exit_code: 7, stdout: "a\n", stderr: " "}) "x ended with 7: a"
      test-equal (moxc-failure "x" {exit_code: -1978335189, stdout: "", stderr: ""}) "x ended with -1978335189 (0x8A15002B)"
    })
    (test "a program that is not there is an error by name" {||
      test-fails "moxc-no-such is not there" {|| moxc-look "moxc-no-such" [] {|args| ^moxc-no-such ...$args } }
    })
    (test "a dry run does not run what changes something" {||
      with-env {MOXC: (unit-state --dry-run)} {
        test-equal (moxc-change "moxc-no-such" ["x"] {|args| ^moxc-no-such ...$args }).exit_code 0
      }
    })
    (test "an answer of PowerShell is JSON, or an error" {||
      test-equal (moxc-answer {exit_code: 0, stdout: "{\"a\":1}\r\n", stderr: ""}) {a: 1}
      test-fails "powershell: no" {|| moxc-answer {exit_code: 1, stdout: "{\"error\":\"no\"}", stderr: ""} }
      test-fails "no JSON" {|| moxc-answer {exit_code: 0, stdout: "Hello", stderr: ""} }
      test-fails "ended with 5: bad" {|| moxc-answer {exit_code: 5, stdout: "", stderr: "bad"} }
    })
  ]
}

def unit-logging []: nothing -> list<any> {
  [
    (test "a log line has time, level and text, and is one line" {||
      let file = (mktemp --tmpdir "moxc-log-XXXXXX")
      with-env {MOXC: (unit-state | upsert log $file)} { moxc-log "warn" "two\r\nlines" --quiet }
      let text = (open --raw $file | decode "utf-8")
      rm $file
      test-equal ($text | lines | length) 1
      if $text !~ '^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[+-]\d\d:\d\d warn  two \| lines\n$' { error make {msg: ($text | to nuon)} }
    })
    (test "a log is added to" {||
      let file = (mktemp --tmpdir "moxc-log-XXXXXX")
      with-env {MOXC: (unit-state | upsert log $file)} {
        moxc-log "info" "a" --quiet
        moxc-log "info" "b" --quiet
      }
      let text = (open --raw $file | decode "utf-8")
      rm $file
      test-equal ($text | lines | length) 2
    })
    (test "a log that cannot be written stops nothing" {||
      with-env {MOXC: (unit-state | upsert log "/no/such/folder/x.log")} { moxc-log "info" "a" --quiet }
    })
  ]
}

def unit-errors []: nothing -> list<any> {
  [
    (test "an error keeps its words through a step" {||
      with-env {MOXC: (unit-state)} {
        test-equal (moxc-step "x" {|| moxc-folder "MOXC_NO_SUCH"; moxc-did }).detail "the environment has no MOXC_NO_SUCH"
      }
    })
    (test "an address that nobody answers at is an error with the address" {||
      test-fails "http://127.0.0.1:9/x cannot be read" {|| moxc-fetch-text "http://127.0.0.1:9/x" }
    })
    (test "what was never kept is null" {|| test-equal (moxc-kept "moxc-no-such") null })
  ]
}

# Functions of single scripts; a guest has only those that it needs.
def unit-scripts []: nothing -> list<any> {
  [
    (test "Steam's installer gets a folder with blanks unquoted, at the end" {||
      unit-in "steam" "steam-setup-args 'D:\\My Games\\Steam (x86)'" ["/S" '/D=D:\My' 'Games\Steam' "(x86)"]
    })
    (test "Steam's list of libraries is read" {||
      let text = "\"libraryfolders\"\n{\n\t\"0\"\n\t{\n\t\t\"path\"\t\t\"C:\\\\Program Files (x86)\\\\Steam\"\n\t}\n\t\"1\"\n\t{\n\t\t\"path\"\t\t\"D:\\\\Spiele ä\"\n\t\t\"label\"\t\t\"\"\n\t}\n}\n"
      unit-in "steam" $"steam-paths ($text | to nuon)" ['C:\Program Files (x86)\Steam' 'D:\Spiele ä']
    })
    (test "a whole drive means Steam's own folder there" {|| unit-in "steam" "steam-library-folder 'E:'" 'E:\SteamLibrary' })
    (test "a game without a name is called by its number" {||
      unit-in "steam" "steam-title {app_id: 10, name: ''}" "game 10"
      unit-in "steam" "steam-title {app_id: 252490, name: 'Rust'}" "Rust (game 252490)"
    })
    (test "a toolchain is named with its host once" {||
      unit-in "rust" "rust-toolchain {toolchain: 'stable', host: 'x86_64-pc-windows-gnu'}" "stable-x86_64-pc-windows-gnu"
      unit-in "rust" "rust-toolchain {toolchain: '1.90.0-x86_64-pc-windows-gnu', host: 'x86_64-pc-windows-gnu'}" "1.90.0-x86_64-pc-windows-gnu"
    })
    (test "only hosts of Microsoft's linker want build tools" {||
      unit-in "rust" "rust-wants-build-tools 'x86_64-pc-windows-msvc'" true
      unit-in "rust" "rust-wants-build-tools 'x86_64-pc-windows-gnu'" false
    })
    (test "a text is escaped as a regular expression" {||
      let odd = 'C:\a.b+(c)[d]{e}^$|*?#&~-'
      unit-in "rust" $"($odd | to nuon) =~ $'^\(rust-escape ($odd | to nuon))$'" true
    })
    (test "DISM's advice is read" {||
      unit-in "maintenance" "maintenance-wants-cleanup \"a\\nComponent Store Cleanup Recommended : Yes\\r\\nb\"" true
      unit-in "maintenance" "maintenance-wants-cleanup \"Component Store Cleanup Recommended : No\"" false
    })
    (test "each result of an update has its outcome" {||
      let outcome = {|update| unit-value "windows-update" $"update-outcome ($update | to nuon) | get outcome" }
      let update = {title: "KB1", bytes: 10, left: "", result: "", code: 0}
      test-equal (do $outcome $update) "planned"
      test-equal (do $outcome ($update | upsert result "succeeded")) "done"
      test-equal (do $outcome ($update | upsert result "failed" | upsert code (-2145124329))) "failed"
      test-equal (do $outcome ($update | upsert left "by hand")) "manual"
    })
  ]
}

def unit-state [--dry-run]: nothing -> record { {script: "test", dry_run: $dry_run, json: false, writes: false, log: "", quiet: true} }

def unit-result [outcome: string]: nothing -> record { {what: "x", outcome: $outcome, detail: ""} }

# The value of an expression in a script, in a Nushell of its own.
def unit-value [script: string, code: string]: nothing -> any {
  let file = ($unit_scripts | path join $"($script).nu")
  let r = (with-env {PATH: [($nu.current-exe | path dirname)]} { ^nu --no-config-file --no-std-lib --commands $"use ($file | to nuon) *\n($code) | to json --raw" } | complete)
  if $r.exit_code != 0 { error make {msg: $r.stderr} }
  $r.stdout | from json
}

# Fails where an expression in a script has another value; passes where the guest does not have the script.
def unit-in [script: string, code: string, wanted: any]: nothing -> nothing {
  if not ($unit_scripts | path join $"($script).nu" | path exists) { return }
  test-equal (unit-value $script $code) $wanted
}
