# Tests of whole scripts against fakes of the programs that they call.

use test-utils.nu *

# The folder of the scripts under test.
const integration_scripts = path self ..

# Runs each script of this guest against logging fakes: what it calls, in which order, with which status it ends, that a
# dry run changes nothing and a second run does nothing, and what it says where a program fails.
def main [
  --only: string = "" # run only the tests whose names hold this
] {
  test-suite "integration tests" [
    ...(integration-all)
    ...(integration-of "winget" {|| integration-winget })
    ...(integration-of "guest-agent" {|| integration-agent })
    ...(integration-of "virtiofs" {|| integration-virtiofs })
    ...(integration-of "rust" {|| integration-rust })
    ...(integration-of "steam" {|| integration-steam })
    ...(integration-of "windows-update" {|| integration-update })
    ...(integration-of "maintenance" {|| integration-maintenance })
    ...(integration-of "first-logon" {|| integration-logon })
  ] --only $only
}

# The scripts that this guest has.
def integration-names []: nothing -> list<string> {
  ["setup" "guest-agent" "virtiofs" "winget" "rust" "steam" "windows-update" "maintenance" "first-logon"]
  | where {|name| $integration_scripts | path join $"($name).nu" | path exists }
}

# Tests of a script, where this guest has it.
def integration-of [script: string, tests: closure]: nothing -> list<any> {
  if $script in (integration-names) { do $tests } else { [] }
}

# ---------------------------------------------------------------- every script

def integration-all []: nothing -> list<any> {
  [
    (test --box "every script tells its options, and that it takes --dry-run" {|| test-box {|box|
      for script in (integration-names) {
        let run = (test-run $box $script "--help")
        test-status $run 0
        for part in ["--dry-run" "--json" "Ends with 0"] { test-contains $run.printed $part }
      }
    } })
    (test --box "an option that is not known is refused" {|| test-box {|box|
      for script in (integration-names) { test-status (test-run $box $script "--no-such-option") 1 }
      test-equal (test-calls $box) []
    } })
    (test --box "on another system nothing is done" {|| test-box {|box|
      for script in (integration-names) {
        let before = (test-tree $box.folder)
        let run = (with-env {MOXC_PLATFORM: "linux"} { test-run $box $script })
        test-status $run 1
        test-contains $run.said "for the Windows guest `test`, and this is linux"
        test-equal (test-tree $box.folder) $before
      }
    } })
    (test --box "a dry run changes no file, and calls only what looks" {|| test-box {|box|
      integration-empty $box
      for script in (integration-names) {
        test-forget $box
        let before = (integration-tree $box)
        let run = (test-run $box $script "--dry-run" ...(if $script == "windows-update" { ["--install"] } else { [] }))
        test-status $run 0
        test-equal (test-changes $box) []
        test-equal (integration-tree $box) $before
      }
    } })
    (test --box "with --json, standard output is one JSON object" {|| test-box {|box|
      integration-empty $box
      for script in (integration-names) {
        let report = (test-run $box $script "--dry-run" "--json" | get printed | from json)
        test-equal $report.script $script
        test-equal $report.dry_run true
        test-equal $report.status 0
      }
    } })
    (test --box "what a script did stands in its log and its state" {|| test-box {|box|
      integration-well $box
      test-status (test-run $box "maintenance") 0
      let log = (open --raw $"($box.folder)/moxc/log/maintenance.log")
      test-contains $log "begins, Nushell"
      test-contains $log "ends: "
      test-equal (open $"($box.folder)/moxc/state/maintenance.json" | get script) "maintenance"
    } })
    (test --box "where the guest's folder cannot be written, the log is the user's own" {|| test-box --change {|config| $config | upsert root "/proc/moxc" } {|box|
      integration-well $box
      test-run $box "maintenance"
      test-contains (open --raw $"($box.folder)/home/local/moxc/log/maintenance.log") "begins, Nushell"
    } })
  ]
}

# The files of a box but those by which the fakes keep count.
def integration-tree [box: record]: nothing -> list<any> {
  test-tree $box.folder | where {|file| not ($file.name | str starts-with $box.fakes) }
}

# A machine on which nothing of ours is there yet.
def integration-empty [box: record]: nothing -> nothing {
  test-answer $box "winget" '^list ' --exit 20
  integration-still $box
  test-answer $box "powershell" '"do":"service","name":"QEMU-GA"' --stdout (test-service)
  test-answer $box "powershell" '"do":"service"' --stdout (test-service --there --start "Manual")
  test-answer $box "powershell" '"do":"registry"' --stdout '{"value":null}'
  test-answer $box "powershell" '"do":"path"' --stdout '{"now":""}'
  test-answer $box "powershell" '"do":"volumes"' --stdout '{"volumes":[{"letter":"C","size":100,"free":50,"health":"Healthy"}]}'
  test-answer $box "powershell" '"do":"events"' --stdout '{"count":0,"events":[]}'
  test-answer $box "powershell" '"do":"check"' --stdout '{"updates":[{"title":"KB1","bytes":5000,"left":"","result":"","code":0}],"reboot":false,"busy":""}'
  test-answer $box "powershell" '"do":"install"' --stdout '{"updates":[{"title":"KB1","bytes":5000,"left":"","result":"succeeded","code":0}],"reboot":false,"busy":""}'
  test-answer $box "powershell" '.' --stdout '{}'
  test-answer $box "dism" "AnalyzeComponentStore" --stdout "Component Store Cleanup Recommended : Yes\r\n"
  # The agent's installer, on the image in a drive: off Windows, a file of that name where the script runs.
  "msi" | save ($box.work | path join 'D:\guest-agent\qemu-ga-x86_64.msi')
}

# What looks, and finds nothing to do.
def integration-still [box: record]: nothing -> nothing {
  test-answer $box "powershell" '"do":"task"' --stdout '{"there":false,"running":false}'
  test-answer $box "powershell" '"do":"place"' --stdout '{"there":false,"link":false,"empty":false}'
  test-answer $box "powershell" '"do":"letters"' --stdout '{"letters":[]}'
  test-answer $box "dism" "ScanHealth" --stdout "No component store corruption detected.\r\n"
}

# A machine on which everything is as it should be.
def integration-well [box: record]: nothing -> nothing {
  let home = $"($box.folder)/home/.cargo/bin"
  test-answer $box "winget" '^list ' --stdout "found"
  test-answer $box "winget" '^pin list ' --stdout "Nushell.Nushell"
  test-answer $box "powershell" '"do":"place"' --stdout '{"there":true,"link":true,"empty":false}'
  integration-still $box
  test-answer $box "powershell" '"do":"service","name":"QEMU-GA"' --stdout (test-service --there --running)
  test-answer $box "powershell" '"do":"service"' --stdout (test-service --there --running --delayed)
  test-answer $box "powershell" '"name":"InstallDir"' --stdout '{"value":"C:\\Program Files (x86)\\WinFsp\\"}'
  test-answer $box "powershell" '"name":"MountPoint"' --stdout ({value: $"($box.folder)/Z"} | to json --raw)
  test-answer $box "powershell" '"do":"path"' --stdout ({now: $home} | to json --raw)
  test-answer $box "powershell" '"do":"volumes"' --stdout '{"volumes":[{"letter":"C","size":100,"free":50,"health":"Healthy"}]}'
  test-answer $box "powershell" '"do":"events"' --stdout '{"count":0,"events":[]}'
  test-answer $box "powershell" '"do":"check"|"do":"install"' --stdout '{"updates":[],"reboot":false,"busy":""}'
  test-answer $box "powershell" '.' --stdout '{}'
  test-answer $box "dism" "AnalyzeComponentStore" --stdout "Component Store Cleanup Recommended : No\r\n"
  mkdir $"($box.folder)/Z" $"($box.folder)/src/hello" $"($box.folder)/Steam/steamapps" $"($box.folder)/moxc/state"
  for file in [
    $"($box.folder)/src/hello/Cargo.toml" $"($box.folder)/Steam/steam.exe"
  ] { "" | save $file }
  integration-game $box 252490 "4"
  {at: (date now | format date "%Y-%m-%dT%H:%M:%S%:z")} | to json | save $"($box.folder)/moxc/state/trim-C.json"
  integration-rustup $box
  for program in [vswhere] { test-add-fake $box $program }
  test-answer $box "vswhere" "." --stdout "C:\\BuildTools\r\n"
}

# A toolchain as the spec has it.
def integration-rustup [box: record]: nothing -> nothing {
  let bin = $"($box.folder)/home/.cargo/bin"
  for program in [rustup rustup.exe cargo] { test-add-fake $box $program --at $bin }
  test-answer $box "rustup" "^toolchain list" --stdout "stable-x86_64-pc-windows-msvc (active, default)\n"
  test-answer $box "rustup" "^component list" --stdout "cargo-x86_64-pc-windows-msvc\nclippy-x86_64-pc-windows-msvc\n"
  test-answer $box "rustup" "^target list" --stdout "wasm32-unknown-unknown\nx86_64-pc-windows-msvc\n"
  test-answer $box "rustup" "^default$" --stdout "stable-x86_64-pc-windows-msvc (default)\n"
}

# Steam's manifest of a game.
def integration-game [box: record, app_id: int, flags: string]: nothing -> nothing {
  mkdir $"($box.folder)/Steam/steamapps"
  $"\"AppState\"\n{\n\t\"appid\"\t\t\"($app_id)\"\n\t\"StateFlags\"\t\t\"($flags)\"\n}\n"
  | save --force $"($box.folder)/Steam/steamapps/appmanifest_($app_id).acf"
}

# Fails unless a second run finds nothing to do.
def integration-idle [box: record, script: string]: nothing -> nothing {
  test-forget $box
  let run = (test-run $box $script)
  test-status $run 0
  test-contains $run.printed "nothing to do"
  test-equal (test-changes $box) []
}

# ---------------------------------------------------------------- winget

def integration-winget []: nothing -> list<any> {
  [
    (test --box "winget: what is missing is installed, by its exact id and without questions" {|| test-box {|box|
      test-answer $box "winget" "^list --id Git.Git " --stdout "found"
      test-answer $box "winget" "^list " --exit 20
      test-answer $box "winget" "^pin list " --stdout "Nushell.Nushell"
      let run = (test-run $box "winget")
      test-status $run 0
      test-equal (test-changes $box) [[
        winget install --id Mozilla.Firefox --exact --source winget --silent
        --accept-source-agreements --accept-package-agreements --disable-interactivity
      ]]
      test-contains $run.printed "winget: 1 done, 2 as they should be"
    } })
    (test --box "winget: a second run does nothing" {|| test-box {|box|
      integration-well $box
      integration-idle $box "winget"
    } })
    (test --box "winget: a package that fails does not stop the next, and the status tells" {|| test-box {|box|
      test-answer $box "winget" "^list " --exit 20
      test-answer $box "winget" "^install --id Mozilla.Firefox " --exit 7 --stderr "the disk burns"
      let run = (test-run $box "winget")
      test-status $run 1
      test-contains $run.printed "Mozilla.Firefox: winget ended with 7: the disk burns"
      test-contains (test-called $box) "winget install --id Git.Git "
    } })
    (test --box "winget: --upgrade asks for newer versions of what is there" {|| test-box {|box|
      test-answer $box "winget" "^list " --stdout "found"
      test-status (test-run $box "winget" "--upgrade") 0
      test-contains (test-called $box) "winget upgrade --id Mozilla.Firefox --exact"
      test-lacks (test-called $box) "winget install"
    } })
    (test --box "winget: where it is not there it is registered, and missed by name" {|| test-box {|box|
      rm ($box.bin | path join "winget")
      test-answer $box "powershell" "register-winget" --stdout '{"registered":true}'
      let run = (test-run $box "winget")
      test-status $run 1
      test-contains (test-called $box) "register-winget"
      test-contains $run.printed "install `App Installer` from the Microsoft Store"
    } })
  ]
}

# ---------------------------------------------------------------- guest agent

def integration-agent []: nothing -> list<any> {
  [
    (test --box "guest agent: installed from the image, made automatic and started" {|| test-box {|box|
      integration-empty $box
      rm --recursive ($box.fakes | path join "answers" "powershell")
      test-answer $box "powershell" "." --times 1 --stdout (test-service)
      test-answer $box "powershell" "." --stdout (test-service --there --start "Manual")
      test-status (test-run $box "guest-agent") 0
      test-equal (test-changes $box) [
        [msiexec "/i" 'D:\guest-agent\qemu-ga-x86_64.msi' "/qn" "/norestart"]
        [sc config "QEMU-GA" "start=" auto]
        [sc start "QEMU-GA"]
      ]
    } })
    (test --box "guest agent: a second run does nothing" {|| test-box {|box|
      integration-well $box
      integration-idle $box "guest-agent"
    } })
    (test --box "guest agent: without the image, it is said where that comes from" {|| test-box {|box|
      test-answer $box "powershell" "." --stdout (test-service)
      let run = (test-run $box "guest-agent")
      test-status $run 1
      test-contains $run.printed "the virtio-win image is in no drive"
      test-equal (test-changes $box) []
    } })
    (test --box "guest agent: an installer that fails ends it" {|| test-box {|box|
      integration-empty $box
      test-answer $box "msiexec" "." --exit 42 --stdout "fatal error during installation"
      let run = (test-run $box "guest-agent")
      test-status $run 1
      test-contains $run.printed "msiexec ended with 42: fatal error during installation"
      test-lacks (test-called $box) "sc "
    } })
    (test --box "guest agent: a service that does not start is told" {|| test-box {|box|
      test-answer $box "powershell" "." --stdout (test-service --there)
      test-answer $box "sc" "^start" --exit 5 --stdout "Access is denied."
      let run = (test-run $box "guest-agent")
      test-status $run 1
      test-contains $run.printed "sc ended with 5: Access is denied."
    } })
    (test --box "guest agent: only an administrator may" {|| test-box {|box|
      let run = (with-env {MOXC_ADMIN: "no"} { test-run $box "guest-agent" })
      test-status $run 1
      test-contains $run.printed "Run as administrator"
      test-equal (test-calls $box) []
    } })
  ]
}

# ---------------------------------------------------------------- virtio-fs

def integration-virtiofs []: nothing -> list<any> {
  [
    (test --box "virtio-fs: a second run does nothing" {|| test-box {|box|
      integration-well $box
      integration-idle $box "virtiofs"
    } })
    (test --box "virtio-fs: WinFsp is installed where it is missing" {|| test-box {|box|
      integration-empty $box
      test-run $box "virtiofs" "--tries" "1"
      test-contains (test-called $box) $"msiexec /i ($box.folder)/moxc/packages/winfsp.msi /qn"
      test-lacks (test-called $box) "winget"
    } })
    (test --box "virtio-fs: without the service, it is said what installs it" {|| test-box {|box|
      test-answer $box "powershell" '"name":"InstallDir"' --stdout '{"value":"C:\\WinFsp\\"}'
      test-answer $box "powershell" '"do":"service"' --stdout (test-service)
      integration-empty $box
      let run = (test-run $box "virtiofs")
      test-status $run 1
      test-contains $run.printed "virtio-win-guest-tools.exe"
    } })
  ]
}

# ---------------------------------------------------------------- Rust, the toolchain

def integration-rust []: nothing -> list<any> {
  [
    (test --box "rust: a second run does nothing" {|| test-box {|box|
      integration-well $box
      integration-idle $box "rust"
    } })
    (test --box "rust: the build tools are asked for with the linker of the host" {|| test-box {|box|
      integration-well $box
      rm --recursive ($box.fakes | path join "answers" "vswhere")
      let run = (test-run $box "rust")
      test-status $run 0
      let order = (test-changes $box | first | last | from json)
      test-equal ($order | select do file) {do: "run-installer", file: $"($box.folder)/moxc/packages/vs_BuildTools.exe"}
      test-equal ($order.arguments | take 3) ["--quiet" "--add" "Microsoft.VisualStudio.Component.VC.Tools.x86.x64"]
    } })
    (test --box "rust: an installer that fails is told by its status" {|| test-box {|box|
      test-answer $box "powershell" '"do":"run-installer"' --stdout '{"code":1618}'
      integration-well $box
      rm --recursive ($box.fakes | path join "answers" "vswhere")
      let run = (test-run $box "rust")
      test-status $run 1
      test-contains $run.printed "vs_BuildTools.exe ended with 1618"
    } })
    (test --box "rust: an installer that wants a restart is told so" {|| test-box {|box|
      test-answer $box "powershell" '"do":"run-installer"' --stdout '{"code":3010}'
      integration-well $box
      rm --recursive ($box.fakes | path join "answers" "vswhere")
      test-status (test-run $box "rust") 3
    } })
    (test --box "rust: winget is asked for the pinned version where the file cannot be had" {|| test-box {|box|
      integration-well $box
      rm --recursive ($box.fakes | path join "answers" "vswhere") $"($box.folder)/moxc/packages/vs_BuildTools.exe"
      test-status (test-run $box "rust") 0
      let call = (test-changes $box | where {|call| ($call | first) == "winget" } | first)
      test-equal ($call | take 4) [winget install "--id" "Publisher.build-tools"]
      test-contains ($call | str join " ") "--version 1.2.3 --override --quiet --add Microsoft.VisualStudio.Component.VC.Tools.x86.x64"
      test-lacks (test-called $box) "run-installer"
    } })
    (test --box "rust: without winget it is said why the file cannot be had" {|| test-box {|box|
      test-answer $box "winget" '^--version$' --exit 1
      integration-well $box
      rm --recursive ($box.fakes | path join "answers" "vswhere")
      "another" | save --force $"($box.folder)/moxc/packages/vs_BuildTools.exe"
      let run = (test-run $box "rust")
      test-status $run 1
      test-contains $run.printed "http://127.0.0.1:9/vs_BuildTools.exe cannot be downloaded"
    } })
    (test --box "rust: MSYS2 comes from its pinned file" {|| test-box --change {|config| $config | upsert rust.host "x86_64-pc-windows-gnu" } {|box|
      integration-well $box
      test-run $box "rust"
      let order = (test-changes $box | where {|call| ($call | last) =~ "run-installer" } | first | last | from json)
      test-equal ($order | select file arguments) {file: $"($box.folder)/moxc/packages/msys2.exe", arguments: ["--quiet"]}
    } })
    (test --box "rust: a host of gnu gets a C compiler, and its folder in PATH" {|| test-box --change {|config| $config | upsert rust.host "x86_64-pc-windows-gnu" } {|box|
      integration-well $box
      test-add-fake $box "pacman" --at $"($box.folder)/msys64/usr/bin"
      "" | save $"($box.folder)/msys64/usr/bin/pacman.exe"
      mkdir $"($box.folder)/msys64/mingw64/bin"
      test-answer $box "pacman" "." --touch [$"($box.folder)/msys64/mingw64/bin/gcc.exe"]
      let run = (test-run $box "rust")
      test-contains (test-called $box) "pacman -S --refresh --needed --noconfirm mingw-w64-x86_64-gcc mingw-w64-x86_64-pkgconf"
      test-contains (test-called $box) $"\"do\":\"add-path\",\"folder\":\"($box.folder)/msys64/mingw64/bin\""
    } })
    (test --box "rust: a host of gnu wants no build tools" {|| test-box --change {|config| $config | upsert rust.host "x86_64-pc-windows-gnu" } {|box|
      integration-well $box
      test-run $box "rust"
      test-lacks (test-called $box) "vswhere"
      test-contains (test-called $box) "rustup toolchain install stable-x86_64-pc-windows-gnu"
    } })
    (test --box "rust: only components and targets that are missing are added" {|| test-box --change {|config|
      $config | upsert rust.components ["clippy" "rust-src"] | upsert rust.targets ["wasm32-unknown-unknown" "aarch64-pc-windows-msvc"]
    } {|box|
      integration-well $box
      test-status (test-run $box "rust") 0
      test-equal (test-changes $box) [[
        rustup toolchain install "stable-x86_64-pc-windows-msvc" "--profile" default "--no-self-update"
        "--component" "rust-src" "--target" "aarch64-pc-windows-msvc"
      ]]
    } })
    (test --box "rust: variables are set where they differ, and rustup sees them" {|| test-box --change {|config|
      $config | upsert rust.environment [{name: "CARGO_HOME", value: '%USERPROFILE%\c'} {name: "RUST_LOG", value: "warn"}]
    } {|box|
      let home = $"($box.folder)/c"
      test-answer $box "powershell" '"do":"environment"' --stdout ({variables: [
        {name: "CARGO_HOME", value: '%USERPROFILE%\c', now: null, expanded: $home}
        {name: "RUST_LOG", value: "warn", now: "warn", expanded: "warn"}
      ]} | to json --raw)
      integration-well $box
      for program in [rustup rustup.exe cargo] { test-add-fake $box $program --at $"($home)/bin" }
      let run = (test-run $box "rust")
      test-status $run 0
      test-equal (test-changes $box | each {|call| $call | last | from json }) [
        {do: "set-environment", name: "CARGO_HOME", value: '%USERPROFILE%\c'}
        {do: "add-path", folder: $"($home)/bin"}
      ]
    } })
    (test --box "rust: a project is created, and its dependencies fetched" {|| test-box {|box|
      integration-well $box
      rm --recursive $"($box.folder)/src"
      test-answer $box "cargo" "^new " --touch [$"($box.folder)/Cargo-was-called"]
      test-status (test-run $box "rust") 0
      test-equal (test-changes $box) [[cargo new "--name" hello "--" $"($box.folder)/src/hello"]]
      # The fake makes no project; with one, the dependencies are next.
      mkdir $"($box.folder)/src/hello"
      "" | save $"($box.folder)/src/hello/Cargo.toml"
      test-answer $box "cargo" "--offline" --exit 101
      test-forget $box
      test-status (test-run $box "rust") 0
      test-equal (test-changes $box) [[cargo fetch "--manifest-path" $"($box.folder)/src/hello/Cargo.toml"]]
    } })
    (test --box "rust: the toolchain is there before the projects" {|| test-box {|box|
      integration-well $box
      rm --recursive $"($box.folder)/src" ($box.fakes | path join "answers" "rustup")
      test-status (test-run $box "rust") 0
      test-equal (test-changes $box | each {|call| $call | take 2 | str join " " }) ["rustup toolchain" "rustup default" "cargo new"]
    } })
    (test --box "rust: where Windows does not tell the environment, its words are told" {|| test-box --change {|config|
      $config | upsert rust.environment [{name: "RUST_LOG", value: "warn"}]
    } {|box|
      test-answer $box "powershell" '"do":"environment"' --exit 1 --stdout '{"error":"Access is denied"}'
      integration-well $box
      let run = (test-run $box "rust")
      test-status $run 1
      test-contains $run.printed "environment: powershell: Access is denied"
      test-equal (test-changes $box) []
    } })
    (test --box "rust: a project with a source is cloned" {|| test-box --change {|config|
      $config | upsert rust.projects [{name: "x", path: $"($config.root)/src/x", git: "https://example.org/it's $x.git"}]
    } {|box|
      integration-well $box
      test-add-fake $box "git"
      test-status (test-run $box "rust") 0
      test-equal (test-changes $box) [[git clone "--" "https://example.org/it's $x.git" $"($box.folder)/moxc/src/x"]]
    } })
    (test --box "rust: a folder with something else in it is left alone" {|| test-box {|box|
      integration-well $box
      mv $"($box.folder)/src/hello/Cargo.toml" $"($box.folder)/src/hello/notes.txt"
      let run = (test-run $box "rust")
      test-status $run 1
      test-contains $run.printed "holds no Cargo.toml"
      test-equal (test-changes $box) []
    } })
    (test --box "rust: each program that fails is told by its last words" {|| test-box {|box|
      integration-well $box
      rm --recursive $"($box.folder)/src" ($box.fakes | path join "answers" "rustup" "000")
      test-answer $box "rustup" "^toolchain install" --exit 3 --stderr "error: no space"
      test-answer $box "cargo" "^new " --exit 101 --stderr "error: invalid name"
      let run = (test-run $box "rust")
      test-status $run 1
      test-contains $run.printed "rustup ended with 3: error: no space"
      test-contains $run.printed "cargo ended with 101: error: invalid name"
    } })
    (test --box "rust: an installer that cannot be had is told by its address" {|| test-box {|box|
      integration-well $box
      rm --recursive $"($box.folder)/home/.cargo"
      let run = (test-run $box "rust")
      test-status $run 1
      test-contains $run.printed "http://127.0.0.1:9/x86_64-pc-windows-msvc/rustup-init.exe cannot be downloaded"
      test-lacks (test-called $box) "cargo"
    } })
  ]
}

# ---------------------------------------------------------------- Steam

def integration-steam []: nothing -> list<any> {
  # The installer as if it had been downloaded before.
  let setup = {|box, status|
    test-add-fake $box "SteamSetup.exe" --at $"($box.folder)/temp/moxc"
    test-answer $box "SteamSetup.exe" "." --touch [$"($box.folder)/Steam/steam.exe"]
    test-answer $box "powershell" '"do":"signature"' --stdout ({status: $status, subject: "CN=Valve Corp., O=Valve Corp., C=US"} | to json --raw)
    mkdir $"($box.folder)/Steam"
  }
  [
    (test --box "steam: a second run does nothing" {|| test-box {|box|
      integration-well $box
      integration-idle $box "steam"
    } })
    (test --box "steam: installed in silence into the folder of the spec, and the games asked for" {|| test-box {|box|
      do $setup $box "Valid"
      let run = (test-run $box "steam")
      test-status $run 0
      let calls = (test-changes $box)
      test-equal ($calls | first) ["SteamSetup.exe" "/S" $"/D=($box.folder)/Steam"]
      test-equal ($calls | last) ["xdg-open" "steam://install/252490"]
      test-contains $run.printed "log in to Steam, then confirm the installation of Rust (game 252490)"
    } })
    (test --box "steam: what is not signed by Valve is not run, and not kept" {|| test-box {|box|
      do $setup $box "NotSigned"
      let run = (test-run $box "steam")
      test-status $run 1
      test-equal (test-changes $box) []
      if ($"($box.folder)/temp/moxc/SteamSetup.exe" | path exists) { error make {msg: "it is kept"} }
    } })
    (test --box "steam: an installer that fails is told" {|| test-box {|box|
      do $setup $box "Valid"
      rm --recursive ($box.fakes | path join "answers" "SteamSetup.exe")
      test-answer $box "SteamSetup.exe" "." --exit 2
      let run = (test-run $box "steam")
      test-status $run 1
      test-contains $run.printed "SteamSetup.exe ended with 2"
    } })
    (test --box "steam: an installer that leaves nothing is told" {|| test-box {|box|
      do $setup $box "Valid"
      rm --recursive ($box.fakes | path join "answers" "SteamSetup.exe")
      let run = (test-run $box "steam")
      test-status $run 1
      test-contains $run.printed $"there is no ($box.folder)/Steam/steam.exe"
    } })
    (test --box "steam: a game that Steam has not finished is yours" {|| test-box {|box|
      integration-well $box
      integration-game $box 252490 "1026"
      let run = (test-run $box "steam")
      test-status $run 0
      test-contains $run.printed "Rust (game 252490): Steam has not finished"
      test-equal (test-changes $box) []
    } })
    (test --box "steam: --no-open only says" {|| test-box {|box|
      integration-well $box
      rm $"($box.folder)/Steam/steamapps/appmanifest_252490.acf"
      let run = (test-run $box "steam" "--no-open")
      test-contains $run.printed "confirm the installation of Rust"
      test-equal (test-changes $box) []
    } })
  ]
}

# ---------------------------------------------------------------- Windows Update

def integration-update []: nothing -> list<any> {
  let answer = {|box, reboot|
    test-answer $box "powershell" '"do":"check"' --stdout ({updates: [{title: "KB1", bytes: 5000, left: "", result: "", code: 0}], reboot: false, busy: ""} | to json --raw)
    test-answer $box "powershell" '"do":"install"' --stdout ({updates: [
      {title: "KB1", bytes: 5000, left: "", result: "succeeded", code: 0}
      {title: "Windows 12", bytes: 1, left: "install it by hand", result: "", code: 0}
    ], reboot: $reboot, busy: ""} | to json --raw)
  }
  [
    (test --box "windows-update: without --install it only looks" {|| test-box {|box|
      do $answer $box false
      let run = (test-run $box "windows-update")
      test-status $run 0
      test-contains $run.printed "planned  KB1"
      test-equal (test-changes $box) []
    } })
    (test --box "windows-update: with --install, what is left to a person is said" {|| test-box {|box|
      do $answer $box false
      let run = (test-run $box "windows-update" "--install")
      test-status $run 0
      test-contains $run.printed "done     KB1"
      test-contains $run.printed "manual   Windows 12: install it by hand"
    } })
    (test --box "windows-update: a restart that waits is the status 3, and is not done" {|| test-box {|box|
      do $answer $box true
      test-status (test-run $box "windows-update" "--install") 3
      test-lacks (test-called $box) "shutdown"
    } })
    (test --box "windows-update: --reboot if-needed restarts, with five minutes to save one's work" {|| test-box {|box|
      do $answer $box true
      test-status (test-run $box "windows-update" "--install" "--reboot" "if-needed") 3
      test-equal (test-calls $box | last | take 4) [shutdown "/r" "/t" "300"]
    } })
    (test --box "windows-update: --reboot takes two words alone" {|| test-box {|box|
      let run = (test-run $box "windows-update" "--reboot" "always")
      test-status $run 1
      test-contains $run.printed "and not `always`"
      test-equal (test-calls $box) []
    } })
    (test --box "windows-update: what Windows says of a failure is passed on" {|| test-box {|box|
      test-answer $box "powershell" "install" --exit 1 --stdout '{"error":"Exception from HRESULT: 0x80070005","code":"0x80070005"}'
      let run = (test-run $box "windows-update" "--install")
      test-status $run 1
      test-contains $run.printed "0x80070005"
    } })
    (test --box "windows-update: an update that fails is told with its code" {|| test-box {|box|
      test-answer $box "powershell" '"do":"install"' --stdout ({updates: [{title: "KB1", bytes: 1, left: "", result: "failed", code: -2145124329}], reboot: false, busy: ""} | to json --raw)
      let run = (test-run $box "windows-update" "--install")
      test-status $run 1
      test-contains $run.printed "KB1: failed (0x80240017)"
    } })
  ]
}

# ---------------------------------------------------------------- maintenance

def integration-maintenance []: nothing -> list<any> {
  [
    (test --box "maintenance: a second run does nothing" {|| test-box {|box|
      integration-empty $box
      test-status (test-run $box "maintenance") 0
      rm --recursive ($box.fakes | path join "answers" "dism")
      test-answer $box "dism" "ScanHealth" --stdout "No component store corruption detected.\r\n"
      integration-idle $box "maintenance"
    } })
    (test --box "maintenance: the component store is cleaned where DISM says so, and volumes are trimmed" {|| test-box {|box|
      integration-empty $box
      test-status (test-run $box "maintenance") 0
      let called = (test-called $box)
      test-contains $called "dism /English /Online /Cleanup-Image /StartComponentCleanup"
      test-contains $called '{"do":"trim","letter":"C"}'
    } })
    (test --box "maintenance: a time of the last trim that is no time, or far from now, counts for nothing" {|| test-box {|box|
      integration-well $box
      for at in ["2999-01-01T00:00:00Z" "1970-01-01T00:00:00Z" "yesterday noon or so"] {
        {at: $at} | to json | save --force $"($box.folder)/moxc/state/trim-C.json"
        let run = (test-run $box "maintenance")
        test-status $run 0
        test-contains $run.printed "done     trim C:"
      }
    } })
    (test --box "maintenance: old temporary files go, new ones stay" {|| test-box {|box|
      integration-well $box
      mkdir $"($box.folder)/temp/deep [er]"
      for file in ["old.tmp" "deep [er]/old 'n' $odd.tmp" "new.tmp"] { "" | save $"($box.folder)/temp/($file)" }
      touch --timestamp 2020-01-01T00:00:00Z $"($box.folder)/temp/old.tmp" $"($box.folder)/temp/deep [er]/old 'n' $odd.tmp"
      let run = (test-run $box "maintenance")
      test-status $run 0
      test-contains $run.printed "temporary files: 2 files removed, 0 in use"
      test-equal (test-tree $"($box.folder)/temp" | where hash != "" | get name | each {|name| $name | path basename }) ["new.tmp"]
    } })
    (test --box "maintenance: what a link in the temporary folder leads to is left alone" {|| test-box {|box|
      integration-well $box
      mkdir $"($box.folder)/precious"
      "" | save $"($box.folder)/precious/old"
      touch --timestamp 2020-01-01T00:00:00Z $"($box.folder)/precious/old"
      ^/bin/ln "-s" $"($box.folder)/precious" $"($box.folder)/temp/link"
      test-status (test-run $box "maintenance") 0
      if not ($"($box.folder)/precious/old" | path exists) { error make {msg: "it is gone"} }
    } })
    (test --box "maintenance: a full or sick volume is for a person" {|| test-box {|box|
      test-answer $box "powershell" '"do":"volumes"' --stdout '{"volumes":[{"letter":"C","size":100,"free":3,"health":"Healthy"},{"letter":"D","size":100,"free":50,"health":"Warning"}]}'
      integration-well $box
      let run = (test-run $box "maintenance")
      test-status $run 0
      test-contains $run.printed "volume C:: only 3 % free"
      test-contains $run.printed "chkdsk D: /scan"
    } })
    (test --box "maintenance: what the scans find is for a person, and nothing is mended" {|| test-box {|box|
      test-answer $box "dism" "ScanHealth" --stdout "The component store is repairable.\r\n"
      test-answer $box "sfc" "." --exit 1
      test-answer $box "chkdsk" "." --exit 3
      integration-well $box
      let run = (test-run $box "maintenance")
      test-status $run 0
      for part in ["RestoreHealth" "sfc /scannow" "chkdsk C: /spotfix"] { test-contains $run.printed $part }
      test-equal (test-changes $box) []
      test-forget $box
      test-run $box "maintenance" "--no-scan"
      test-lacks (test-called $box) "sfc"
    } })
    (test --box "maintenance: a volume that fills is told before it is full" {|| test-box {|box|
      integration-well $box
      let at = ((date now) - 20day | format date "%Y-%m-%dT%H:%M:%S%:z")
      for case in [[was warns]; [90 true] [52 false] [40 false]] {
        {seen: [{at: $at, free: $case.was}]} | to json | save --force $"($box.folder)/moxc/state/volume-C.json"
        let run = (test-run $box "maintenance")
        test-status $run 0
        test-equal ($run.printed | str contains "manual   trend of C:") $case.warns
      }
    } })
    (test --box "maintenance: errors of the event log stand in the log" {|| test-box {|box|
      test-answer $box "powershell" '"do":"events"' --stdout '{"count":3,"events":[{"provider":"disk","id":7,"count":3,"newest":"2026-01-01T00:00:00","message":"bad block"}]}'
      integration-well $box
      let run = (test-run $box "maintenance")
      test-status $run 0
      test-contains (open --raw $"($box.folder)/moxc/log/maintenance.log") "disk 7, 3 times, newest 2026-01-01T00:00:00: bad block"
    } })
    (test --box "maintenance: a step that fails does not stop the others" {|| test-box {|box|
      test-answer $box "dism" "." --exit 87 --stdout "Error: 87"
      integration-well $box
      let run = (test-run $box "maintenance")
      test-status $run 1
      test-contains $run.printed "dism ended with 87: Error: 87"
      test-contains $run.printed "event log"
    } })
    (test --box "maintenance: no file of today is ever taken for old" {|| test-box {|box|
      let run = (test-run $box "maintenance" "--temp-days" "0")
      test-status $run 1
      test-equal (test-calls $box) []
    } })
  ]
}

# ---------------------------------------------------------------- first logon

def integration-logon []: nothing -> list<any> {
  [
    (test --box "first logon: all scripts end well, and a second run starts none" {|| test-box {|box|
      integration-well $box
      test-status (test-run $box "first-logon") 0
      integration-idle $box "first-logon"
      test-equal (test-calls $box) []
    } })
    (test --box "first logon: what fails is run again, what ended well is not" {|| test-box {|box|
      if "winget" not-in (integration-names) or "guest-agent" not-in (integration-names) { return }
      test-answer $box "winget" "^list " --exit 20 --times 2
      test-answer $box "winget" "^install " --exit 7 --times 2
      integration-well $box
      test-status (test-run $box "first-logon" "--no-open") 1
      test-contains (open --raw $"($box.folder)/moxc/first-logon.txt") "winget: Mozilla.Firefox: winget ended with 7"
      test-forget $box
      test-status (test-run $box "first-logon") 0
      test-contains (test-called $box) "winget list"
      test-lacks (test-called $box) "QEMU-GA"
    } })
    (test --box "first logon: a change of the spec runs the scripts again" {|| test-box {|box|
      if "winget" not-in (integration-names) { return }
      integration-well $box
      test-status (test-run $box "first-logon") 0
      "\n# changed\n" | save --append ($box.scripts | path join "config.nu")
      test-forget $box
      test-status (test-run $box "first-logon") 0
      if (test-calls $box | is-empty) { error make {msg: "nothing was run"} }
    } })
    (test --box "first logon: without an administrator, what serves the machine is left to one" {|| test-box {|box|
      if "guest-agent" not-in (integration-names) { return }
      integration-well $box
      let run = (with-env {MOXC_ADMIN: "no"} { test-run $box "first-logon" "--no-open" })
      test-status $run 0
      test-contains $run.printed "run guest-agent.nu as an administrator"
    } })
    (test --box "first logon: the report is opened where something is left" {|| test-box {|box|
      if "steam" not-in (integration-names) { return }
      integration-well $box
      rm $"($box.folder)/Steam/steamapps/appmanifest_252490.acf"
      test-status (test-run $box "first-logon") 0
      test-equal (test-calls $box | last) ["xdg-open" $"($box.folder)/moxc/first-logon.txt"]
      # It has been said: a second logon is quiet.
      test-forget $box
      test-status (test-run $box "first-logon") 0
      test-equal (test-calls $box) []
      test-status (test-run $box "first-logon" "--again") 0
      test-equal (test-calls $box | last) ["xdg-open" $"($box.folder)/moxc/first-logon.txt"]
    } })
    (test --box "first logon: the restart that an installer asked for comes at its end, and once" {|| test-box {|box|
      integration-well $box
      mkdir $"($box.folder)/moxc/state/bootstrap"
      "wanted" | save $"($box.folder)/moxc/state/bootstrap/restart"
      test-status (test-run $box "first-logon" "--no-open") 3
      test-equal (test-calls $box | last | take 4) [shutdown "/r" "/t" "300"]
      test-forget $box
      test-status (test-run $box "first-logon" "--no-open") 0
      test-lacks (test-called $box) "shutdown"
    } })
    (test --box "first logon: a script that breaks is told, and the next is run" {|| test-box {|box|
      if "steam" not-in (integration-names) { return }
      integration-well $box
      "def main [] { nonsense-that-is-nowhere }\n" | save --force ($box.scripts | path join "winget.nu")
      let run = (test-run $box "first-logon" "--no-open")
      test-status $run 1
      test-contains $run.printed "winget.nu ended with"
      test-contains $run.printed "steam: Steam"
    } })
  ]
}
