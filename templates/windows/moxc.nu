# What the scripts of this guest share: how they begin and end, say and log what they do, run programs, download, and
# ask Windows.
#
# A script is made of steps. A step looks first, then acts, and tells an outcome:
#
#   done      it changed something
#   planned   it would, without --dry-run
#   already   there was nothing to do
#   manual    only a person can do it; the detail says how
#   restart   done, and Windows must restart to finish
#   busy      something else is at it: later is better
#   failed    it did not work; the other steps go on
#
# Every name begins with `moxc-`, so that no later keyword of Nushell takes one away.

use config.nu *

# The folder of these scripts.
const moxc_here = path self .

# How often winget is looked for: the Store has been seen to need a quarter of an hour (winget-cli#3902).
const moxc_winget_tries = 40

# ---------------------------------------------------------------- begin and end

# Runs a script: checks where it runs, runs its steps (a closure that gives a list of outcomes), tells what came of them,
# and ends with the status 0 (done, or nothing to do), 1 (something failed), 3 (Windows must restart) or 4 (busy).
export def moxc-main [
  script: string # the script's name, without .nu
  body: closure
  --dry-run # say what would be done, and change nothing
  --json # print one JSON object at the end, and nothing else, to standard output
]: nothing -> nothing {
  # Nothing is written in a dry run, nor on a machine that is not the guest.
  let writes = (not $dry_run and (moxc-platform) == "windows")
  let state = {script: $script, dry_run: $dry_run, json: $json, writes: $writes, log: (if $writes { moxc-log-file $script } else { "" })}
  let results = (with-env {MOXC: $state} {
    try {
      moxc-check-version (version | get version)
      moxc-check-platform
      moxc-log "info" $"begins, Nushell (version | get version)"
      do $body | default []
    } catch {|e|
      [{what: $script, outcome: "failed", detail: $e.msg}]
    }
  })
  with-env {MOXC: $state} { moxc-end $results }
  exit (moxc-status $results)
}

# The exit status for these outcomes.
export def moxc-status [results: list<any>]: nothing -> int {
  let outcomes = ($results | each {|r| $r.outcome })
  if "failed" in $outcomes { 1 } else if "busy" in $outcomes { 4 } else if "restart" in $outcomes { 3 } else { 0 }
}

# Tells the outcomes, in the log too, and keeps them as `state\<script>.json` for who asks later.
def moxc-end [results: list<any>]: nothing -> nothing {
  for r in $results {
    let level = (if $r.outcome == "failed" { "error" } else if $r.outcome in ["manual" "busy"] { "warn" } else { "info" })
    moxc-log $level $"($r.outcome): (moxc-titled $r)" --quiet
  }
  let says = (moxc-summary $results)
  moxc-log "info" $"ends: ($says)" --quiet
  let report = {
    script: $env.MOXC.script
    dry_run: $env.MOXC.dry_run
    status: (moxc-status $results)
    summary: $says
    results: $results
  }
  if $env.MOXC.writes { moxc-keep $env.MOXC.script $report }
  if $env.MOXC.json {
    print ($report | to json)
    return
  }
  for r in $results { print $"($r.outcome | fill --width 8) (moxc-titled $r)" }
  print $"($env.MOXC.script): ($says)"
}

def moxc-titled [result: record]: nothing -> string {
  if $result.detail == "" { $result.what } else { $"($result.what): ($result.detail)" }
}

# One line that sums outcomes up.
export def moxc-summary [results: list<any>]: nothing -> string {
  let count = {|outcome| $results | where outcome == $outcome | length }
  let parts = (
    [
      [outcome, text];
      ["done", "done"], ["planned", "to be done"], ["restart", "wait for a restart of Windows"]
      ["manual", "left to you"], ["busy", "to be tried later"], ["failed", "failed"]
    ]
    | each {|row| {n: (do $count $row.outcome), text: $row.text} }
    | where n > 0
    | each {|row| $"($row.n) ($row.text)" }
  )
  let same = (do $count "already")
  if ($parts | is-empty) { return $"nothing to do, ($same) as they should be" }
  $parts | append (if $same > 0 { [$"($same) as they should be"] } else { [] }) | str join ", "
}

# One step: `body` gives an outcome. An error in it is the outcome `failed`.
export def moxc-step [what: string, body: closure]: nothing -> record {
  moxc-log "info" $what
  let outcome = (try { do $body } catch {|e| {outcome: "failed", detail: $e.msg} })
  if $outcome.outcome == "failed" { moxc-log "error" $"($what): ($outcome.detail)" }
  {what: $what, outcome: $outcome.outcome, detail: $outcome.detail}
}

# The outcome of a step that changed something; in a dry run, that it would have.
export def moxc-did [detail: string = ""]: nothing -> record {
  {outcome: (if $env.MOXC.dry_run { "planned" } else { "done" }), detail: $detail}
}

# The outcome of a step that found everything as it should be.
export def moxc-already [detail: string = ""]: nothing -> record { {outcome: "already", detail: $detail} }

# The outcome of a step that a person must do.
export def moxc-manual [detail: string]: nothing -> record { {outcome: "manual", detail: $detail} }

# The outcome of a step that found something else at work.
export def moxc-busy [detail: string]: nothing -> record { {outcome: "busy", detail: $detail} }

# The outcome of a step that a restart of Windows finishes.
export def moxc-restart [detail: string]: nothing -> record {
  if $env.MOXC.dry_run { moxc-did $detail } else { {outcome: "restart", detail: $detail} }
}

# What --reboot says: whether Windows may be restarted.
export def moxc-wants-restart [reboot: string]: nothing -> bool {
  if $reboot not-in ["never" "if-needed"] {
    error make {msg: $"--reboot takes `never` or `if-needed`, and not `($reboot)`"}
  }
  $reboot == "if-needed"
}

# Has Windows restart in five minutes, so that a person can save their work.
export def moxc-restart-soon []: nothing -> record {
  # Planned, operating system, security fix: what the event log will say of it.
  let args = ["/r" "/t" "300" "/d" "p:2:17" "/c" "Windows restarts in five minutes to finish its updates."]
  # 1190: a restart has been ordered before.
  moxc-change "shutdown" $args {|args| ^shutdown ...$args } --right [0 1190]
  moxc-restart "Windows restarts in five minutes"
}

# Whether this is a dry run.
export def moxc-is-dry []: nothing -> bool { $env.MOXC?.dry_run? | default false }

# ---------------------------------------------------------------- where it runs

# `0.115.1` as a list of numbers; what is no number counts as 0.
export def moxc-version-parts [text: string]: nothing -> list<int> {
  $text | split row "." | each {|part| try { $part | into int } catch { 0 } }
}

# Whether version `a` is older than `b`.
export def moxc-is-older [a: string, b: string]: nothing -> bool {
  let pairs = (moxc-version-parts $a | zip (moxc-version-parts $b))
  let differing = ($pairs | where {|pair| $pair.0 != $pair.1 })
  if ($differing | is-empty) { false } else { ($differing | first | get 0) < ($differing | first | get 1) }
}

# Refuses a Nushell that is too old; says so where it is newer than what was tried.
export def moxc-check-version [now: string]: nothing -> nothing {
  if (moxc-is-older $now $moxc_config.nu_oldest) {
    error make {msg: $"Nushell ($now) is too old: these scripts need ($moxc_config.nu_oldest) or newer. Run (moxc-path $moxc_config.root 'bootstrap.ps1') as an administrator, which brings the right one"}
  }
  if (moxc-is-older $moxc_config.nu_newest $now) {
    moxc-log "warn" $"Nushell ($now) is newer than ($moxc_config.nu_newest), the newest that these scripts were tried with"
  }
}

# The system that the script takes itself to run on. Off Windows, MOXC_PLATFORM=windows makes believe, for tests.
export def moxc-platform []: nothing -> string {
  let real = $nu.os-info.name
  if $real == "windows" { $real } else { $env.MOXC_PLATFORM? | default $real }
}

# Refuses any system but Windows.
export def moxc-check-platform []: nothing -> nothing {
  let platform = (moxc-platform)
  if $platform != "windows" {
    error make {msg: $"this script is for the Windows guest `($moxc_config.guest)`, and this is ($platform)"}
  }
}

# Whether the script runs with the rights of an administrator. Off Windows, MOXC_ADMIN=no makes believe, for tests.
export def moxc-is-admin []: nothing -> bool {
  if $nu.os-info.name == "windows" { is-admin } else { ($env.MOXC_ADMIN? | default "yes") == "yes" }
}

# Refuses to go on without the rights of an administrator; a dry run may look.
export def moxc-check-admin []: nothing -> nothing {
  if not (moxc-is-dry) and not (moxc-is-admin) {
    error make {msg: "this needs an administrator: start Nushell by `Run as administrator`, and run the script again"}
  }
}

# Whether the script runs as SYSTEM, whose account has the computer's name and a `$`.
export def moxc-is-system []: nothing -> bool {
  $env.USERNAME? | default "" | str ends-with "$"
}

# A path of these parts, by `\` where it is one of Windows.
export def moxc-path [first: string, ...rest: string]: nothing -> string {
  let sign = (if $first =~ '^[A-Za-z]:' { "\\" } else { "/" })
  [($first | str trim --right --char $sign) ...$rest] | str join $sign
}

# Whether two texts are the same to Windows, which does not mind case. (The commands that change case have other names from
# version to version of Nushell.)
export def moxc-same [one: string, other: string]: nothing -> bool { [$one $other] | uniq --ignore-case | length | $in == 1 }

# The folder of a path.
export def moxc-parent [path: string]: nothing -> string {
  let sign = (if $path =~ '^[A-Za-z]:' { "\\" } else { "/" })
  let folder = ($path | split row $sign | drop 1 | str join $sign)
  if $folder =~ '^[A-Za-z]:$' { $folder + "\\" } else { $folder }
}

# A folder of the user's environment, such as TEMP or USERPROFILE.
export def moxc-folder [variable: string]: nothing -> string {
  let folder = ($env | get --optional $variable)
  if $folder == null or $folder == "" { error make {msg: $"the environment has no ($variable)"} }
  $folder
}

# PATH with a further folder in front, or at its end; as it is where the folder is not there. It is set by assignment: in
# Windows the variable may be spelt `Path`, and `with-env` and `load-env` have made a second one beside it.
export def moxc-search [folder: string, --last]: nothing -> list<string> {
  let now = ($env.PATH | append [])
  if not ($folder | path exists) { $now } else if $last { [...$now $folder] } else { [$folder ...$now] }
}

# Makes a folder, and those above it, where it is not there.
export def moxc-make-folder [folder: string]: nothing -> nothing {
  if ($folder | path exists) { return }
  if (moxc-is-dry) {
    moxc-say $"would make ($folder)"
  } else {
    mkdir $folder
    moxc-log "info" $"made ($folder)"
  }
}

# ---------------------------------------------------------------- saying and logging

# Says a line to whoever looks on: on standard error, so that standard output holds results alone.
export def moxc-say [text: string]: nothing -> nothing {
  if not ($env.MOXC?.quiet? | default false) { print --stderr $text }
}

# Logs a line, and says it. A log that cannot be written is no reason to stop.
export def moxc-log [level: string, text: string, --quiet]: nothing -> nothing {
  let script = ($env.MOXC?.script? | default "moxc")
  if not $quiet {
    moxc-say (if $level == "info" { $"($script): ($text)" } else { $"($script): ($level): ($text)" })
  }
  let file = ($env.MOXC?.log? | default "")
  if $file == "" { return }
  let stamp = (date now | format date "%Y-%m-%dT%H:%M:%S%:z")
  # One line a message, whatever a program wrote.
  let line = ($text | str replace --all --regex '[\r\n]+' " | ")
  try { $"($stamp) ($level | fill --width 5) ($line)\n" | save --raw --append $file } catch { }
}

# The log of a script: in the guest's folder where that can be written, else in the user's own.
def moxc-log-file [script: string]: nothing -> string {
  let own = ($env.LOCALAPPDATA? | default "")
  let folders = ([$moxc_config.root] | append (if $own == "" { [] } else { [(moxc-path $own "moxc")] }))
  let usable = ($folders | each {|folder| moxc-usable-log (moxc-path $folder "log") $script } | where {|file| $file != "" })
  if ($usable | is-empty) {
    moxc-say $"($script): warn: no log: none of ($folders | str join ', ') can be written"
    return ""
  }
  $usable | first
}

# The log in a folder, which it makes; empty where it cannot. A log of a megabyte is put aside, and the one before it goes.
def moxc-usable-log [folder: string, script: string]: nothing -> string {
  let file = (moxc-path $folder $"($script).log")
  try {
    mkdir $folder
    if ($file | path exists) and (moxc-size $file) > 1mb {
      mv --force $file $"($file).1"
    }
    "" | save --raw --append $file
    $file
  } catch {
    ""
  }
}

# The size of a file.
export def moxc-size [file: string]: nothing -> filesize { ls --all --long $file | get 0.size }

# Keeps what a script found, as JSON.
export def moxc-keep [name: string, what: any]: nothing -> nothing {
  try {
    let folder = (moxc-path $moxc_config.root "state")
    mkdir $folder
    $what | to json | save --raw --force (moxc-path $folder $"($name).json")
  } catch {|e|
    # Only administrators write there; a user's own run is the same without.
    moxc-log (if (moxc-is-admin) { "warn" } else { "debug" }) $"the state of ($name) cannot be kept: ($e.msg)" --quiet=(not (moxc-is-admin))
  }
}

# What was kept; null where nothing was, or nothing that can be read.
export def moxc-kept [name: string]: nothing -> any {
  let file = (moxc-path $moxc_config.root "state" $"($name).json")
  if not ($file | path exists) { return null }
  try { moxc-record (open --raw $file | decode "utf-8") } catch { null }
}

# ---------------------------------------------------------------- programs

# A command line to read.
export def moxc-shown [program: string, args: list<string>]: nothing -> string {
  [$program ...$args] | each {|word| if $word =~ '^[A-Za-z0-9_./:\\@%+,=-]+$' { $word } else { $word | to json } } | str join " "
}

# What a program wrote, as text: a console of Windows may write in a code page that is no UTF-8.
export def moxc-text [output: any]: nothing -> string {
  if ($output | describe) == "binary" { $output | decode "windows-1252" } else { $output | default "" }
}

# The bytes of a file as text.
export def moxc-decoded []: any -> string { let output = $in; moxc-text $output }

# Runs a program that only looks, in a dry run too, and gives its exit_code, stdout and stderr. `call` gets the arguments
# and holds the program by name: {|args| ^winget ...$args }.
export def moxc-look [program: string, args: list<string>, call: closure]: nothing -> record {
  if (which $program | is-empty) {
    error make {msg: $"the program ($program) is not there"}
  }
  let r = (try {
    do $call $args | complete
  } catch {|e|
    error make {msg: $"($program) does not start: ($e.msg)"}
  })
  let result = {exit_code: $r.exit_code, stdout: (moxc-text $r.stdout), stderr: (moxc-text $r.stderr)}
  moxc-log "debug" $"(moxc-shown $program $args) -> ($r.exit_code)" --quiet
  $result
}

# Runs a program that changes something; a dry run only says so, and gives the exit code 0. Fails where the exit code is
# not among those that are right, with the last lines that the program wrote.
export def moxc-change [program: string, args: list<string>, call: closure, --right: list<int> = [0]]: nothing -> record {
  let shown = (moxc-shown $program $args)
  if (moxc-is-dry) {
    moxc-say $"would run: ($shown)"
    return {exit_code: 0, stdout: "", stderr: ""}
  }
  moxc-log "info" $"runs: ($shown)"
  let r = (moxc-look $program $args $call)
  if $r.exit_code not-in $right {
    moxc-log "debug" ($r.stdout + $r.stderr) --quiet
    error make {msg: (moxc-failure $program $r)}
  }
  $r
}

# What to say of a program that failed.
export def moxc-failure [program: string, r: record]: nothing -> string {
  let lines = (if ($r.stderr | str trim) == "" { $r.stdout } else { $r.stderr })
  let last = ($lines | lines | each {|line| $line | str trim } | where {|line| $line != "" } | last 3 | str join " | ")
  let code = (if $r.exit_code < 0 { $"($r.exit_code) \((moxc-hex $r.exit_code))" } else { $"($r.exit_code)" })
  if $last == "" { $"($program) ended with ($code)" } else { $"($program) ended with ($code): ($last)" }
}

# A negative exit code as Windows' own documents write it: 0x8A15002B.
export def moxc-hex [code: int]: nothing -> string {
  let number = (if $code < 0 { $code + 4294967296 } else { $code })
  let digits = ("0123456789ABCDEF" | split chars)
  let hex = (7..0 | each {|at| $digits | get (($number // (16 ** $at)) mod 16) } | str join)
  "0x" + $hex
}

# ---------------------------------------------------------------- downloads

# Downloads a file into the user's temporary folder, unless it is there already, and gives its path. `verify` gets the
# path and fails where the file is not what it should be; then the file is removed.
export def moxc-download [url: string, name: string, verify: closure]: nothing -> string {
  let folder = (moxc-path (moxc-folder "TEMP") "moxc")
  let file = (moxc-path $folder $name)
  if (moxc-is-dry) {
    moxc-say $"would download ($url) and check it"
    return $file
  }
  if ($file | path exists) {
    if (try { do $verify $file; true } catch { false }) { return $file }
    rm --force $file
  }
  mkdir $folder
  moxc-fetch $url $file
  try {
    do $verify $file
  } catch {|e|
    rm --force $file
    error make {msg: $"($url): ($e.msg)"}
  }
  $file
}

# A small text from the network.
export def moxc-fetch-text [url: string]: nothing -> string {
  try {
    moxc-text (http get --raw --max-time 1min $url)
  } catch {|e|
    error make {msg: $"($url) cannot be read: ($e.msg)"}
  }
}

# Three times, since networks fail.
def moxc-fetch [url: string, file: string]: nothing -> nothing {
  let part = $"($file).part"
  for attempt in 1..3 {
    moxc-log "info" $"downloads ($url)"
    let error = (try {
      http get --raw --max-time 30min $url | save --raw --force $part
      ""
    } catch {|e|
      $e.msg
    })
    if $error == "" {
      mv --force $part $file
      return
    }
    rm --force $part
    if $attempt == 3 { error make {msg: $"($url) cannot be downloaded: ($error)"} }
    moxc-log "warn" $"($url): ($error); tries again"
    sleep ($moxc_config.wait_seconds * 1sec)
  }
}

# Fails where a file is not signed by this publisher, by a chain that Windows trusts.
export def moxc-check-signature [file: string, publisher: string]: nothing -> nothing {
  let found = (moxc-ask {do: "signature", file: $file})
  if $found.status != "Valid" {
    error make {msg: $"the signature of ($file) is not valid: ($found.status)"}
  }
  if not ($found.subject | str starts-with $"CN=($publisher),") and not ($found.subject | str starts-with $"CN=\"($publisher)\",") {
    error make {msg: $"($file) is signed by ($found.subject), not by ($publisher)"}
  }
}

# ---------------------------------------------------------------- Windows, by PowerShell

# Asks Windows what Nushell cannot (moxc.ps1 lists the questions). The request travels as JSON in the environment, where
# no quoting can change it; the answer is JSON.
export def moxc-ask [request: record]: nothing -> any {
  with-env {MOXC_REQUEST: ($request | to json --raw)} {
    let args = (moxc-powershell-args "moxc.ps1")
    moxc-answer (moxc-look "powershell" $args {|args| ^powershell ...$args })
  }
}

# Has Windows change something by moxc.ps1; a dry run only says so.
export def moxc-order [request: record]: nothing -> any {
  if (moxc-is-dry) {
    moxc-say $"would have Windows do: ($request | to json --raw)"
    return {}
  }
  moxc-log "info" $"has Windows do: ($request | to json --raw)"
  moxc-ask $request
}

# The arguments for one of the .ps1 files beside this module.
export def moxc-powershell-args [file: string, ...rest: string]: nothing -> list<string> {
  [
    "-NoLogo" "-NoProfile" "-NonInteractive" "-ExecutionPolicy" "Bypass"
    "-File" (moxc-beside $file) ...$rest
  ]
}

# The path of a file beside this module.
export def moxc-beside [file: string]: nothing -> string { $moxc_here | path join $file }

# A record in JSON; null where the text is something else, which `from json` may take for a word.
export def moxc-record [text: string]: nothing -> any {
  let value = (try { $text | str trim | from json --strict } catch { null })
  if ($value | describe) =~ '^record' { $value } else { null }
}

# What a .ps1 of ours answered.
export def moxc-answer [r: record]: nothing -> any {
  let answer = (moxc-record $r.stdout)
  if $r.exit_code != 0 {
    let error = (try { $answer.error } catch { null })
    error make {msg: (if $error == null { moxc-failure "powershell" $r } else { $"powershell: ($error)" })}
  }
  if $answer == null { error make {msg: $"powershell answered no JSON: (moxc-failure 'powershell' $r)"} }
  $answer
}

# ---------------------------------------------------------------- pinned installers

# Installs one of the pinned installers (`installers` of config.nu), in silence and for the whole machine. `extra` are
# further arguments of a program. Where its file cannot be had, winget is the last way, if it is there.
export def moxc-install [name: string, ...extra: string]: nothing -> record {
  let pinned = ($moxc_config.installers | where name == $name)
  if ($pinned | is-empty) { error make {msg: $"no installer is pinned for ($name)"} }
  let pinned = ($pinned | first)
  let got = (try { {file: (moxc-installer $pinned), why: ""} } catch {|e| {file: "", why: $e.msg} })
  if $got.file == "" {
    if (moxc-is-system) or (moxc-winget-version) == "" { error make {msg: $got.why} }
    moxc-log "warn" $"($got.why); asks winget"
    let override = (if ($extra | is-empty) { [] } else { ["--override" ($pinned.arguments ++ $extra | str join " ")] })
    return (moxc-winget-install $pinned.id "--version" $pinned.version ...$override)
  }
  let code = (if ($pinned.file | str ends-with ".msi") {
    let args = ["/i" $got.file "/qn" "/norestart" "ALLUSERS=1"]
    moxc-change "msiexec" $args {|args| ^msiexec ...$args } --right [0 1641 3010] | get exit_code
  } else {
    moxc-run-installer $got.file ($pinned.arguments ++ $extra)
  })
  if $code == 0 { moxc-did } else { moxc-restart "installed; Windows must restart to finish" }
}

# Runs an installer that is a program of its own, and waits for all that it starts. Gives 0, or 1641 or 3010, by which
# installers say that Windows must restart.
def moxc-run-installer [file: string, args: list<string>]: nothing -> int {
  let answer = (moxc-order {do: "run-installer", file: $file, arguments: $args})
  let code = ($answer | get --optional code | default 0)
  if $code not-in [0 1641 3010] { error make {msg: $"($file | path basename) ended with ($code)"} }
  $code
}

# The file of a pinned installer: the copy that the disc of answers brought, else a download. Either has the pinned hash.
def moxc-installer [pinned: record]: nothing -> string {
  let kept = (moxc-path $moxc_config.root "packages" $pinned.file)
  if ($kept | path exists) and (try { moxc-check-hash $kept $pinned.sha256; true } catch { false }) { return $kept }
  moxc-download $pinned.url $pinned.file {|file| moxc-check-hash $file $pinned.sha256 }
}

# Fails where a file has another SHA-256.
export def moxc-check-hash [file: string, wanted: string]: nothing -> nothing {
  let found = (open --raw $file | hash sha256)
  if $found != $wanted { error make {msg: $"the SHA-256 is ($found), and should be ($wanted)"} }
}

# ---------------------------------------------------------------- winget

# What an exit code of winget means. Codes: doc/windows/package-manager/winget/returnCodes.md of winget-cli.
export def moxc-winget-verdict [code: int]: nothing -> record {
  let known = [
    [code, means, says];
    [0, "done", "installed"]
    [3010, "restart", "installed; Windows must restart to finish"]
    [1641, "restart", "installed; Windows restarts to finish"]
    [-1978335189, "already", "no newer version"]
    [-1978335135, "already", "installed before"]
    [-1978334963, "already", "installed before"]
    [-1978334962, "already", "a newer version is installed"]
    [-1978334967, "restart", "installed; Windows must restart to finish"]
    [-1978334965, "restart", "installed; Windows restarts to finish"]
    [-1978334966, "failed", "Windows must restart before it can be installed"]
    [-1978334974, "again", "another installation is running"]
    [-1978334969, "again", "no network"]
    [-1978335212, "failed", "no package of this id"]
    [-1978335207, "failed", "needs an administrator"]
    [-1978335215, "failed", "the installer is not the one that winget's manifest names (hash mismatch)"]
    [-1978334975, "failed", "the program is running: close it"]
    [-1978334973, "failed", "a file of it is in use: close the program"]
    [-1978334971, "failed", "the disk is full"]
    [-1978334961, "failed", "a policy of this Windows forbids it"]
  ]
  let found = ($known | where code == $code)
  if ($found | is-empty) { {means: "failed", says: ""} } else { $found | first | select means says }
}

# Fails where winget is not there, or does not know the words that it is told; registers it first where the user has not
# got it yet, as right after the first logon. The disc of an older Windows brings one that the Store replaces some minutes
# after the first logon: it is waited for.
export def moxc-need-winget []: nothing -> nothing {
  if (moxc-winget-version) != "" { return }
  if (moxc-is-system) { error make {msg: "winget does not work for SYSTEM: run this as a user"} }
  if $moxc_config.os == "windows-server-2022" {
    error make {msg: "winget is not part of Windows Server 2022: install it by hand, and run this again"}
  }
  if (which winget | is-empty) { moxc-order {do: "register-winget"} }
  if (moxc-is-dry) { return }
  moxc-log "info" "waits for the Store to bring winget"
  let came = (seq 1 $moxc_winget_tries | any {|attempt|
    let there = ((moxc-winget-version) != "")
    if not $there and $attempt < $moxc_winget_tries { sleep ($moxc_config.wait_seconds * 1sec) }
    $there
  })
  if not $came {
    error make {msg: "winget is not there, or older than 1.4: install `App Installer` from the Microsoft Store, and run this again"}
  }
}

# winget's version; empty where it is not there, does not run, or is older than 1.4, which does not know
# `--disable-interactivity` (winget-cli#3801).
export def moxc-winget-version []: nothing -> string {
  if (which winget | is-empty) { return "" }
  let r = (try { moxc-look "winget" ["--version"] {|args| ^winget ...$args } } catch { return "" })
  let version = ($r.stdout | str trim | str trim --left --char "v")
  if $r.exit_code != 0 or $version !~ '^[0-9]+\.[0-9]+' or (moxc-is-older $version "1.4.0") { "" } else { $version }
}

# Whether a package is installed.
export def moxc-winget-has [id: string]: nothing -> bool {
  if (moxc-winget-version) == "" { return false }
  let args = ["list" "--id" $id "--exact" "--source" "winget" "--accept-source-agreements" "--disable-interactivity"]
  (moxc-look "winget" $args {|args| ^winget ...$args }).exit_code == 0
}

# Installs a package, or with `--upgrade` a newer version of it, and gives the outcome. Waits while another installation
# runs. `extra` are further arguments of winget.
export def moxc-winget-install [id: string, ...extra: string, --upgrade]: nothing -> record {
  let verb = (if $upgrade { "upgrade" } else { "install" })
  let args = [
    $verb "--id" $id "--exact" "--source" "winget" "--silent"
    "--accept-source-agreements" "--accept-package-agreements" "--disable-interactivity" ...$extra
  ]
  if (moxc-is-dry) {
    moxc-say $"would run: (moxc-shown 'winget' $args)"
    return (moxc-did)
  }
  mut attempt = 1
  mut r = (moxc-winget-try $args)
  while $attempt < 10 and (moxc-winget-verdict $r.exit_code).means == "again" {
    moxc-log "warn" $"($id): (moxc-winget-verdict $r.exit_code | get says); tries again"
    sleep ($moxc_config.wait_seconds * 1sec)
    $attempt += 1
    $r = (moxc-winget-try $args)
  }
  let verdict = (moxc-winget-verdict $r.exit_code)
  match $verdict.means {
    "done" => (moxc-did)
    "already" => (moxc-already $verdict.says)
    "restart" => (moxc-restart $verdict.says)
    _ => {
      let why = (if $verdict.says == "" { moxc-failure "winget" $r } else { $"($verdict.says) \(winget: (moxc-hex $r.exit_code))" })
      {outcome: "failed", detail: $why}
    }
  }
}

def moxc-winget-try [args: list<string>]: nothing -> record {
  moxc-log "info" $"runs: (moxc-shown 'winget' $args)"
  moxc-look "winget" $args {|args| ^winget ...$args }
}
