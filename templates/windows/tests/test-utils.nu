# What the tests of these scripts share: running and telling tests, comparing, and a box to run scripts in.
#
# A box is a temporary folder with a copy of the scripts, a config.nu of its own, and fakes: programs that only write
# down how they were called and answer as a test says. The folder of the fakes is all there is on PATH, so that no test
# can reach a real program. The fakes are shell scripts: where there is no /bin/sh, tests with a box are left out.

# The folder of the scripts under test.
const test_scripts = path self ..

# A fake. It writes its name and arguments into `calls`, and for PowerShell the request; then it gives the first of its
# answers that fits.
export const test_fake = r#'
#!/bin/sh
PATH=/usr/local/bin:/usr/bin:/bin
name=${0##*/}
line="$*"
{
  printf '%s\037' "$name" "$@"
  if [ "$name" = powershell ]; then printf '%s\037' "$MOXC_REQUEST"; fi
  printf '\036'
} >>"$MOXC_FAKES/calls"
if [ "$name" = powershell ]; then line="$line $MOXC_REQUEST"; fi
for answer in "$MOXC_FAKES/answers/$name"/*/; do
  [ -d "$answer" ] || continue
  # One that counts only while a file is there.
  if [ -s "$answer/when" ] && [ ! -e "$(cat "$answer/when")" ]; then continue; fi
  printf '%s\n' "$line" | grep -Eq -e "$(cat "$answer/match")" || continue
  used=$(cat "$answer/used" 2>/dev/null || echo 0)
  [ "$used" -lt "$(cat "$answer/times")" ] || continue
  echo $((used + 1)) >"$answer/used"
  while IFS= read -r file; do [ -z "$file" ] || echo fake >>"$file"; done <"$answer/touch"
  while IFS= read -r file; do [ -z "$file" ] || cat "$answer/appended" >>"$file"; done <"$answer/appendto"
  cat "$answer/stdout"
  cat "$answer/stderr" >&2
  exit "$(cat "$answer/exit")"
done
# What no test has an answer for: a winget, and nothing else at work.
case "$name $line" in
  'winget --version') echo v1.8.0 ;;
  *'"do":"task"'*) echo '{"there":false,"running":false}' ;;
esac
exit 0
'#

# ---------------------------------------------------------------- tests

# A test: what it proves, and a closure that fails where that is not so. `--box` marks one that needs fakes.
export def test [name: string, body: closure, --box]: nothing -> record { {name: $name, body: $body, box: $box} }

# Runs tests, tells each in a line and all in a last one, and ends with 1 where one failed.
export def test-suite [suite: string, tests: list<any>, --only: string = ""]: nothing -> nothing {
  let chosen = ($tests | where {|one| $only == "" or ($one.name | str contains $only) })
  if ($chosen | is-empty) {
    print --stderr $"($suite): no test is called `($only)`"
    exit 1
  }
  let results = ($chosen | each {|one| test-tell $one })
  let count = {|outcome| $results | where {|result| $result == $outcome } | length }
  print $"($suite): (do $count 'ok') passed, (do $count 'FAILED') failed, (do $count 'left out') left out"
  exit (if (do $count "FAILED") == 0 { 0 } else { 1 })
}

# Runs a test and tells it.
def test-tell [one: record]: nothing -> string {
  if $one.box and not (test-can-fake) {
    print $"left out  ($one.name): there is no /bin/sh for the fakes"
    return "left out"
  }
  let begin = (date now)
  let error = (try { do $one.body; "" } catch {|e| $e.msg })
  let took = ((date now) - $begin)
  if $error == "" {
    print $"ok        ($one.name) \(($took | format duration ms))"
    "ok"
  } else {
    print $"FAILED    ($one.name): ($error)"
    "FAILED"
  }
}

# Whether fakes can be run here.
export def test-can-fake []: nothing -> bool { $nu.os-info.name != "windows" and ("/bin/sh" | path exists) }

# ---------------------------------------------------------------- comparing

# Fails where two values differ.
export def test-equal [found: any, wanted: any]: nothing -> nothing {
  if $found != $wanted { error make {msg: $"found ($found | to nuon), and not ($wanted | to nuon)"} }
}

# Fails where a text does not hold another.
export def test-contains [text: string, part: string]: nothing -> nothing {
  if not ($text | str contains $part) { error make {msg: $"($text | to nuon) does not hold ($part | to nuon)"} }
}

# Fails where a text holds another.
export def test-lacks [text: string, part: string]: nothing -> nothing {
  if ($text | str contains $part) { error make {msg: $"($text | to nuon) holds ($part | to nuon)"} }
}

# Fails unless a closure fails, with these words in its message.
export def test-fails [part: string, body: closure]: nothing -> nothing {
  let said = (try { do $body; null } catch {|e| $e.msg })
  if $said == null { error make {msg: $"it did not fail with ($part | to nuon)"} }
  test-contains $said $part
}

# Fails unless a script ended with a status; shows what it said.
export def test-status [run: record, wanted: int]: nothing -> nothing {
  if $run.status != $wanted {
    error make {msg: $"ended with ($run.status), and not ($wanted): ($run.said | str replace --all "\n" ' | ')"}
  }
}

# ---------------------------------------------------------------- boxes

# Data as config.nu has it, for a guest that needs little.
export def test-config [folder: string]: nothing -> record {
  {
    host: "pve1"
    guest: "test"
    os: "windows11"
    user: "gamer"
    root: $"($folder)/moxc"
    nu_oldest: "0.108.0"
    nu_newest: "99.0.0"
    wait_seconds: 0
    scripts: ["guest-agent" "virtiofs" "winget" "rust" "steam"]
    installers: [
      (test-pinned "winfsp" "winfsp.msi") (test-pinned "git" "Git.exe") (test-pinned "msys2" "msys2.exe")
      (test-pinned "build-tools" "vs_BuildTools.exe")
    ]
    cards: []
    disks: []
    letters: ["Z"]
    updates: {scheduled: false, optional: false}
    remote: ""
    ssh_keys: []
    accounts: []
    domain: {name: "", ou: ""}
    winget: ["Mozilla.Firefox" "Git.Git"]
    steam: {
      setup: "http://127.0.0.1:9/SteamSetup.exe"
      cmd: "http://127.0.0.1:9/steamcmd.zip"
      login: false
      install_dir: $"($folder)/Steam"
      libraries: []
      games: [{app_id: 252490, name: "Rust"}]
    }
    rust: {
      dist: "http://127.0.0.1:9"
      toolchain: "stable"
      host: "x86_64-pc-windows-msvc"
      components: ["clippy"]
      targets: ["wasm32-unknown-unknown"]
      environment: []
      projects: [{name: "hello", path: $"($folder)/src/hello", git: ""}]
    }
    shares: [{tag: "windows", mount: $"($folder)/Z", read_only: false}]
  }
}

# Runs a closure with a box, and removes the box. `change` gets the box's config and gives it as the test wants it.
export def test-box [body: closure, --change: closure]: nothing -> nothing {
  let folder = (mktemp --directory --tmpdir "moxc-test-XXXXXX")
  let error = (try { do $body (test-make-box $folder $change); "" } catch {|e| $e.msg })
  rm --recursive --force $folder
  if $error != "" { error make {msg: $error} }
}

def test-make-box [folder: string, change: any]: nothing -> record {
  let box = {
    folder: $folder
    scripts: ($folder | path join "scripts")
    bin: ($folder | path join "bin")
    fakes: ($folder | path join "fakes")
    work: ($folder | path join "work")
  }
  # The pinned installers that the disc of answers has brought.
  mkdir $"($folder)/moxc/packages"
  for one in (test-config $folder).installers { $one.name | save --raw $"($folder)/moxc/packages/($one.file)" }
  for part in [$box.scripts $box.bin ($box.fakes | path join "answers") $box.work ($folder | path join "temp")] { mkdir $part }
  for file in (ls --full-paths $test_scripts | where type == "file" | get name) { cp $file $box.scripts }
  let config = (test-config $folder)
  let config = (if $change == null { $config } else { do $change $config })
  $"export const moxc_config = ($config | to nuon)\n" | save --force ($box.scripts | path join "config.nu")
  test-launcher $box "nu" $"#!/bin/sh\nexec '($nu.current-exe)' \"$@\"\n"
  for program in [winget powershell sc msiexec dism sfc chkdsk icacls shutdown xdg-open] { test-launcher $box $program $test_fake }
  $box
}

# Puts a program into the box.
export def test-launcher [box: record, name: string, text: string]: nothing -> nothing {
  let file = ($box.bin | path join $name)
  $text | str trim --left | save --raw --force $file
  ^/bin/chmod "755" $file
}

# Puts a further fake into the box, at a folder of its own where it is not found by PATH alone.
export def test-add-fake [box: record, name: string, --at: string = ""]: nothing -> nothing {
  if $at == "" {
    test-launcher $box $name $test_fake
  } else {
    mkdir $at
    test-launcher {bin: $at} $name $test_fake
  }
}

# Tells a fake what to answer to calls that fit a regular expression. The first that fits and is not used up counts.
export def test-answer [
  box: record
  program: string
  fits: string
  --stdout: string = ""
  --stderr: string = ""
  --exit: int = 0
  --touch: list<string> = [] # files that the program makes
  --append-to: list<string> = [] # files that the program adds to
  --appended: string = "" # what it adds
  --times: int = 1000000
]: nothing -> nothing {
  let folder = ($box.fakes | path join "answers" $program)
  mkdir $folder
  let answer = ($folder | path join (ls $folder | length | fill --alignment right --character "0" --width 3))
  mkdir $answer
  let parts = {
    match: $fits, stdout: $stdout, stderr: $stderr, exit: $"($exit)", times: $"($times)"
    when: ""
    appendto: ($append_to | each {|file| $file + "\n" } | str join), appended: $appended
    touch: ($touch | each {|file| $file + "\n" } | str join)
  }
  for part in ($parts | transpose name text) { $part.text | save --raw --force ($answer | path join $part.name) }
}

# Runs a script of the box, and gives its status, what it printed, and all that it said.
export def test-run [box: record, script: string, ...args: string]: nothing -> record {
  let place = {
    PATH: [$box.bin]
    MOXC_PLATFORM: ($env.MOXC_PLATFORM? | default "windows")
    MOXC_FAKES: $box.fakes
    TEMP: $"($box.folder)/temp"
    USERPROFILE: $"($box.folder)/home"
    ProgramData: $"($box.folder)/data"
    MOXC_MSYS: $"($box.folder)/msys64"
    MOXC_MACHINE: $"($box.fakes)/machine.json"
    LOCALAPPDATA: $"($box.folder)/home/local"
    USERNAME: "gamer"
  }
  let file = ($box.scripts | path join $"($script).nu")
  let r = (with-env $place {
    cd $box.work
    do { ^nu --no-config-file --no-std-lib $file ...$args } | complete
  })
  {status: $r.exit_code, printed: $r.stdout, said: ($r.stdout + $r.stderr)}
}

# The calls of the fakes so far, each a list of the name and the arguments.
export def test-calls [box: record]: nothing -> list<any> {
  let file = ($box.fakes | path join "calls")
  if not ($file | path exists) { return [] }
  open --raw $file | decode "utf-8" | split row (char --integer 30) | where {|call| $call != "" }
  | each {|call| $call | split row (char --integer 31) | drop 1 }
}

# The calls as lines, to look for words in.
export def test-called [box: record]: nothing -> string {
  test-calls $box | each {|call| $call | str join " " } | str join "\n"
}

# Forgets the calls so far.
export def test-forget [box: record]: nothing -> nothing { rm --force ($box.fakes | path join "calls") }

# The calls that change something. What only looks is told by its words.
export def test-changes [box: record]: nothing -> list<any> {
  let looks = [
    '^winget (list |pin list |--version$)' '^dism .*/(AnalyzeComponentStore|ScanHealth)' '^sfc /verifyonly$' '^chkdsk .* /scan$'
    '^powershell .*"do": ?"(service|registry|environment|path|volumes|events|signature|check|cards|disks|letters|drive|place|task|rule|account|domain)"'
    '^vswhere ' '^rustup (toolchain|component|target) list' '^rustup default$' '^cargo fetch .*--offline$'
  ]
  test-calls $box | where {|call|
    let line = ($call | str join " ")
    not ($looks | any {|look| $line =~ $look })
  }
}

# Every file below a folder with its hash: what a dry run must leave as it is.
export def test-tree [folder: string]: nothing -> list<any> {
  ls --all --full-paths $folder | sort-by name | each {|entry|
    if $entry.type == "dir" {
      [{name: $entry.name, hash: ""} ...(test-tree $entry.name)]
    } else {
      [{name: $entry.name, hash: (open --raw $entry.name | hash sha256)}]
    }
  } | flatten
}

# ---------------------------------------------------------------- a Windows machine that remembers

# Puts fakes into the box that stand for one machine (fake-windows.nu), and its model.
export def test-make-machine [box: record, machine: record]: nothing -> nothing {
  $machine | to json --raw | save --raw --force $"($box.fakes)/machine.json"
  for program in [powershell sc msiexec winget] { test-machine-program $box $program }
}

# A program of that machine.
export def test-machine-program [box: record, program: string, --at: string = ""]: nothing -> nothing {
  let model = ($test_scripts | path join "tests" "fake-windows.nu")
  let text = r##'
#!/bin/sh
PATH=/usr/local/bin:/usr/bin:/bin
name=${0##*/}
{
  printf '%s\037' "$name" "$@"
  if [ "$name" = powershell ]; then printf '%s\037' "$MOXC_REQUEST"; fi
  printf '\036'
} >>"$MOXC_FAKES/calls"
args=
for arg; do
  arg=$(printf '%s' "$arg" | sed 's/\\/\\\\/g; s/"/\\"/g')
  args="$args${args:+,}\"$arg\""
done
exec "@NU@" --no-config-file --no-std-lib "@MODEL@" "$name" --args "[$args]"
'##
  if $at != "" { mkdir $at }
  test-launcher (if $at == "" { $box } else { {bin: $at} }) $program ($text | str replace "@NU@" $nu.current-exe | str replace "@MODEL@" $model)
}

# The model as it is now.
export def test-machine [box: record]: nothing -> record { open --raw $"($box.fakes)/machine.json" | from json }

# Gives the box another config: `change` gets what a guest has that needs little.
export def test-set-config [box: record, change: closure]: nothing -> nothing {
  $"export const moxc_config = (do $change (test-config $box.folder) | to nuon)\n" | save --force ($box.scripts | path join "config.nu")
}

# A pinned installer that the disc has brought into the box of this config.
export def test-installer [config: record, name: string, file: string]: nothing -> record {
  mkdir $"($config.root)/packages"
  $name | save --raw --force $"($config.root)/packages/($file)"
  test-pinned $name $file
}

# A pinned installer as config.nu has it; its file holds its name.
def test-pinned [name: string, file: string]: nothing -> record {
  let arguments = (if ($file | str ends-with ".exe") { ["--quiet"] } else { [] })
  {
    name: $name, file: $file, url: $"http://127.0.0.1:9/($file)", sha256: ($name | hash sha256), arguments: $arguments
    id: $"Publisher.($name)", version: "1.2.3"
  }
}

# What a fake PowerShell answers of a service.
export def test-service [--there, --running, --start: string = "Auto", --delayed, --program: string = 'C:\virtiofs.exe']: nothing -> string {
  {there: $there, running: $running, start: $start, delayed: $delayed, program: $program} | to json --raw
}
