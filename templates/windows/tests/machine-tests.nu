# Tests of whole courses on a Windows machine that remembers (fake-windows.nu): what a script leads to, and that a second run
# does nothing.

use test-utils.nu *

# The folder of the scripts under test.
const machine_scripts = path self ..

# Runs each course.
def main [
  --only: string = "" # run only the tests whose names hold this
] {
  test-suite "machine tests" [
    ...(machine-of "setup" {|| [...(machine-cards) ...(machine-disks) ...(machine-policy) ...(machine-remote) ...(machine-accounts) ...(machine-domain)] })
    ...(machine-of "virtiofs" {|| machine-shares })
    ...(machine-of "windows-update" {|| machine-updates })
    ...(machine-of "winget" {|| machine-winget })
    ...(machine-of "steam" {|| machine-steam })
  ] --only $only
}

# Tests of a script, where this guest has it.
def machine-of [script: string, tests: closure]: nothing -> list<any> {
  if ($machine_scripts | path join $"($script).nu" | path exists) { do $tests } else { [] }
}

# Runs a body with a box whose Windows begins as `start` makes it of a fresh one.
def machine-with [body: closure, --start: closure, --change: closure]: nothing -> nothing {
  test-box --change (if $change == null { {|config| $config } } else { $change }) {|box|
    let fresh = (machine-fresh $box)
    test-make-machine $box (if $start == null { $fresh } else { do $start $fresh })
    do $body $box
  }
}

# A Windows machine right after Setup, with the disks of the spec, and three discs in its drives.
def machine-fresh [box: record]: nothing -> record {
  let family = {automatic: true, addresses: [], gateways: [], servers: []}
  {
    services: {
      "QEMU-GA": {there: true, running: true, start: "Auto", delayed: false, program: 'C:\qga.exe'}
      "VirtioFsSvc": {there: true, running: false, start: "Manual", delayed: false, program: 'C:\virtiofs.exe'}
    }
    registry: {}
    cards: [
      {mac: "BC:24:11:00:00:02", index: 7, name: "Ethernet 2", four: $family, six: $family}
      {mac: "BC:24:11:00:00:01", index: 4, name: "Ethernet", four: $family, six: $family}
    ]
    disks: [
      {number: 0, serial: "system", size: 107374182400, system: true, partitions: 3, data: "windows"}
      {number: 1, serial: "games", size: 8589934592, system: false, partitions: 0, data: ""}
    ]
    letters: [
      {letter: "C", kind: 3, format: "NTFS", label: "Windows", disk: 0}
      {letter: "D", kind: 5, format: "UDF", label: "WIN11", disk: -1}
      {letter: "E", kind: 5, format: "CDFS", label: "virtio-win", disk: -1}
    ]
    shared: {}
    offered: []
    places: {}
    rules: {}
    accounts: {}
    domain: {name: "", ou: "", joiner: ["joiner" "Join-1"], units: ["OU=Desks,DC=ad,DC=example"]}
    tasks: {}
    events: []
    updater: {mood: "well", reboot: false, waits: [{title: "KB1", optional: false} {title: "KB2", optional: false} {title: "preview", optional: true}]}
    winfsp: $"($box.folder)/WinFsp/"
    launcher_fails: 0
    winget: {version: "v1.8.0", comes_after: 0, installed: [], pinned: []}
  }
}

# Runs a script twice: the second time it does nothing.
def machine-settled [box: record, script: string]: nothing -> record {
  let run = (test-run $box $script)
  test-status $run 0
  let machine = (test-machine $box)
  test-forget $box
  let again = (test-run $box $script)
  test-status $again 0
  test-contains $again.printed "nothing to do"
  test-equal (test-changes $box) []
  test-equal (test-machine $box) $machine
  $machine
}

# ---------------------------------------------------------------- network cards

def machine-cards []: nothing -> list<any> {
  let fixed = {|config| $config | upsert cards [{
    mac: "BC:24:11:00:00:01"
    four: {automatic: false, addresses: ["192.168.1.50/24"], gateway: "192.168.1.1"}
    six: {automatic: false, addresses: ["fd00::50/64"], gateway: ""}
    servers: ["192.168.1.1" "fd00::1"]
  }] | upsert disks [] }
  let card = {|machine, mac| $machine.cards | where mac == $mac | first }
  [
    (test --box "cards: a fixed address is set on the card of its MAC, whatever Windows calls it" {|| machine-with --change $fixed {|box|
      let machine = (machine-settled $box "setup")
      let one = (do $card $machine "BC:24:11:00:00:01")
      test-equal $one.four {automatic: false, addresses: ["192.168.1.50/24"], gateways: ["192.168.1.1"], servers: ["192.168.1.1"]}
      test-equal $one.six {automatic: false, addresses: ["fd00::50/64"], gateways: [], servers: ["fd00::1"]}
      test-equal (do $card $machine "BC:24:11:00:00:02").four.automatic true
    } })
    (test --box "cards: what the spec drops goes back to DHCP" {||
      let was = {|m| $m | upsert cards ($m.cards | each {|c| $c | upsert four {automatic: false, addresses: ["10.0.0.9/8"], gateways: ["10.0.0.1"], servers: ["10.0.0.1"]} }) }
      let dhcp = {|config| $config | upsert disks [] | upsert cards [{mac: "BC:24:11:00:00:01", four: {automatic: true, addresses: [], gateway: ""}, six: {automatic: true, addresses: [], gateway: ""}, servers: ["192.168.1.1"]}] }
      machine-with --start $was --change $dhcp {|box|
        let one = (do $card (machine-settled $box "setup") "BC:24:11:00:00:01")
        test-equal $one.four.addresses []
        test-equal $one.four.servers []
      }
    })
    (test --box "cards: one that is not there is told, and the rest goes on" {|| machine-with --change {|config|
      do $fixed $config | upsert cards.0.mac "BC:24:11:FF:FF:FF" | upsert updates.scheduled true
    } {|box|
      let run = (test-run $box "setup")
      test-status $run 1
      test-contains $run.printed "has no such card"
      test-equal (test-machine $box | get registry | columns | length) 2
    } })
  ]
}

# ---------------------------------------------------------------- disks

def machine-disks []: nothing -> list<any> {
  let disk = {letter: "D", serial: "games", size: 8589934592, label: "games"}
  let one = {|config| $config | upsert cards [] | upsert disks [$disk] | upsert letters ["D"] }
  let numbered = {|m, numbers| $m | upsert disks ($m.disks | enumerate | each {|row| $row.item | upsert number ($numbers | get $row.index) }) | upsert letters ($m.letters | each {|l| if $l.letter == "C" { $l | upsert disk ($numbers | first) } else { $l } }) }
  [
    (test --box "disks: an empty one gets letter and file system, and the disc in its letter moves away" {|| machine-with --change $one {|box|
      let machine = (machine-settled $box "setup")
      let d = ($machine.letters | where letter == "D" | first)
      test-equal $d {letter: "D", kind: 3, format: "NTFS", label: "games", disk: 1}
      test-equal ($machine.letters | where letter == "Y" | first | get label) "WIN11"
    } })
    (test --box "disks: one is known by its serial number, in whatever order Windows counts" {||
      for numbers in [[0 1 2] [2 0 1] [1 2 0]] {
        let other = {number: 2, serial: "backup", size: 8589934592, system: false, partitions: 0, data: ""}
        machine-with --start {|m| do $numbered ($m | upsert disks ($m.disks | append $other)) $numbers } --change $one {|box|
          let machine = (machine-settled $box "setup")
          let d = ($machine.letters | where letter == "D" | first)
          test-equal ($machine.disks | where number == $d.disk | first | get serial) "games"
          test-equal ($machine.disks | where serial == "backup" | first | get data) ""
        }
      }
    })
    (test --box "disks: one with data gets its letter back, and keeps the data" {|| machine-with --change $one --start {|m|
      $m | upsert disks.1.partitions 1 | upsert disks.1.data "saved games"
      | upsert letters ($m.letters | append {letter: "F", kind: 3, format: "NTFS", label: "old", disk: 1})
    } {|box|
      let machine = (machine-settled $box "setup")
      test-equal ($machine.letters | where letter == "D" | first | get disk) 1
      test-equal $machine.disks.1.data "saved games"
    } })
    (test --box "disks: one with partitions and no letter is left alone" {|| machine-with --change $one --start {|m| $m | upsert disks.1.partitions 1 | upsert disks.1.data "linux" } {|box|
      let run = (test-run $box "setup")
      test-status $run 1
      test-contains $run.printed "holds partitions and is left alone"
      test-equal (test-machine $box | get disks.1.data) "linux"
    } })
    (test --box "disks: one of another size is left alone, also an empty one" {|| machine-with --change $one --start {|m| $m | upsert disks.1.size 4294967296 } {|box|
      let run = (test-run $box "setup")
      test-status $run 1
      test-contains $run.printed "is left alone"
      test-equal (test-machine $box | get disks.1.partitions) 0
    } })
    (test --box "disks: where no serial number is told, an empty one of the size is taken" {|| machine-with --change $one --start {|m| $m | upsert disks.1.serial "" } {|box|
      test-equal (machine-settled $box "setup" | get disks.1.data) "formatted"
    } })
    (test --box "disks: the system disk is never taken" {|| machine-with --change $one --start {|m|
      $m | upsert disks [{number: 0, serial: "games", size: 8589934592, system: true, partitions: 0, data: "windows"}]
    } {|box|
      test-status (test-run $box "setup") 1
      test-equal (test-machine $box | get disks.0.data) "windows"
    } })
    (test --box "disks: the letter of another drive is not taken away" {|| machine-with --change $one --start {|m|
      $m | upsert letters ($m.letters | where letter != "D" | append {letter: "D", kind: 3, format: "NTFS", label: "mine", disk: 5})
    } {|box|
      let run = (test-run $box "setup")
      test-status $run 1
      test-contains $run.printed "belongs to another drive"
    } })
  ]
}

# ---------------------------------------------------------------- updates and remote access

def machine-policy []: nothing -> list<any> {
  let bare = {|config, scheduled| $config | upsert cards [] | upsert disks [] | upsert updates.scheduled $scheduled }
  [
    (test --box "policy: with a schedule, Windows does not update by itself; without one it does again" {|| machine-with --change {|config| do $bare $config true } {|box|
      let machine = (machine-settled $box "setup")
      test-equal ($machine.registry | values) [1 1]
      test-set-config $box {|config| do $bare $config false }
      test-equal (machine-settled $box "setup" | get registry) {}
    } })
    (test --box "policy: what somebody else has set is not taken away" {|| machine-with --change {|config| do $bare $config false } --start {|m|
      $m | upsert registry {'HKLM:\SOFTWARE\Policies\Microsoft\Windows\WindowsUpdate\AU|NoAutoUpdate': 1}
    } {|box|
      test-equal (machine-settled $box "setup" | get registry | columns | length) 1
    } })
  ]
}

def machine-remote []: nothing -> list<any> {
  let bare = {|config, how| $config | upsert cards [] | upsert disks [] | upsert remote $how | upsert ssh_keys ["ssh-ed25519 AAAA me"] }
  [
    (test --box "remote: rdp with network level authentication and its port, and off again" {|| machine-with --change {|config| do $bare $config "rdp" } {|box|
      let machine = (machine-settled $box "setup")
      test-equal $machine.rules {moxc-rdp: "3389"}
      test-equal ($machine.registry | get 'HKLM:\SYSTEM\CurrentControlSet\Control\Terminal Server|fDenyTSConnections') 0
      test-equal ($machine.registry | get 'HKLM:\SYSTEM\CurrentControlSet\Control\Terminal Server\WinStations\RDP-Tcp|UserAuthentication') 1
      test-set-config $box {|config| do $bare $config "" }
      let machine = (machine-settled $box "setup")
      test-equal $machine.rules {}
      test-equal ($machine.registry | get 'HKLM:\SYSTEM\CurrentControlSet\Control\Terminal Server|fDenyTSConnections') 1
    } })
    (test --box "remote: ssh is installed from the pinned file, with the keys of the spec" {|| machine-with --change {|config| do $bare $config "ssh" | upsert installers [(test-installer $config "openssh" "OpenSSH-Win64.msi")] } {|box|
      let machine = (machine-settled $box "setup")
      test-equal $machine.services.sshd.running true
      test-equal $machine.services.sshd.start "Auto"
      test-equal $machine.rules {moxc-ssh: "22"}
      test-equal (open --raw $"($box.folder)/data/ssh/administrators_authorized_keys") "ssh-ed25519 AAAA me\r\n"
    } })
    (test --box "remote: an installer of another SHA-256 is not run" {|| machine-with --change {|config| do $bare $config "ssh" | upsert installers [(test-installer $config "openssh" "OpenSSH-Win64.msi" | upsert sha256 ("0" | fill --width 64 --character "0"))] } {|box|
      let run = (test-run $box "setup")
      test-status $run 1
      test-lacks (test-called $box) "msiexec"
    } })
  ]
}

# ---------------------------------------------------------------- accounts and the domain

# Puts a secret where the disc puts it.
def machine-secret [box: record, name: string, text: string]: nothing -> string {
  let file = $"($box.folder)/moxc/secrets/($name)"
  mkdir ($file | path dirname)
  $text | save --raw --force $file
  $file
}

def machine-accounts []: nothing -> list<any> {
  let maria = {name: "maria", full_name: "Maria Example", administrator: false, secret: "MARIA"}
  let bare = {|config, accounts, remote| $config | upsert cards [] | upsert disks [] | upsert remote $remote | upsert accounts $accounts | upsert domain {name: "", ou: ""} }
  [
    (test --box "accounts: one is made with its password, which goes from the disc's files" {|| machine-with --change {|config| do $bare $config [$maria] "rdp" } {|box|
      let secret = (machine-secret $box "account-MARIA" "First-1\r\n")
      let machine = (machine-settled $box "setup")
      test-equal $machine.accounts.maria {there: true, enabled: true, full_name: "Maria Example", administrator: false, remote: true, password: "First-1"}
      test-equal ($secret | path exists) false
      test-lacks (test-called $box) "First-1"
    } })
    (test --box "accounts: without its password it is not made, and the way is told" {|| machine-with --change {|config| do $bare $config [$maria] "" } {|box|
      let run = (test-run $box "setup")
      test-status $run 1
      test-contains $run.printed "--with-secrets"
      test-equal (test-machine $box).accounts {}
    } })
    (test --box "accounts: rights change, the password stays, and one that the spec drops is switched off" {|| machine-with --change {|config| do $bare $config [$maria] "" } {|box|
      machine-secret $box "account-MARIA" "First-1\n" | ignore
      machine-settled $box "setup" | ignore
      test-set-config $box {|config| do $bare $config [($maria | upsert administrator true)] "" }
      let machine = (machine-settled $box "setup")
      test-equal $machine.accounts.maria.administrator true
      test-equal $machine.accounts.maria.password "First-1"
      test-set-config $box {|config| do $bare $config [] "" }
      test-equal (machine-settled $box "setup").accounts.maria.enabled false
      test-set-config $box {|config| do $bare $config [$maria] "" }
      test-equal (machine-settled $box "setup").accounts.maria.enabled true
    } })
  ]
}

def machine-domain []: nothing -> list<any> {
  let bare = {|config, ou| $config | upsert cards [] | upsert disks [] | upsert remote "" | upsert accounts [] | upsert domain {name: "ad.example", ou: $ou} }
  [
    (test --box "domain: it is joined once, and Windows wants a restart" {|| machine-with --change {|config| do $bare $config "OU=Desks,DC=ad,DC=example" } {|box|
      let secret = (machine-secret $box "domain" "joiner\r\nJoin-1\r\n")
      test-status (test-run $box "setup") 3
      test-equal (test-machine $box).domain.name "ad.example"
      test-equal (test-machine $box).domain.ou "OU=Desks,DC=ad,DC=example"
      test-equal ($secret | path exists) false
      test-lacks (test-called $box) "Join-1"
      let again = (test-run $box "setup")
      test-status $again 0
      test-contains $again.printed "nothing to do"
    } })
    (test --box "domain: a wrong password fails, and the secret stays for the next run" {|| machine-with --change {|config| do $bare $config "" } {|box|
      let secret = (machine-secret $box "domain" "joiner\nother\n")
      test-status (test-run $box "setup") 1
      test-equal (test-machine $box).domain.name ""
      test-equal ($secret | path exists) true
    } })
    (test --box "domain: a machine of another domain is left there" {|| machine-with --start {|m| $m | upsert domain ($m.domain | upsert name "old.example") } --change {|config| do $bare $config "" } {|box|
      machine-secret $box "domain" "joiner\nJoin-1\n" | ignore
      let run = (test-run $box "setup")
      test-status $run 1
      test-contains $run.printed "old.example"
      test-equal (test-machine $box).domain.name "old.example"
    } })
  ]
}

# ---------------------------------------------------------------- shared folders

def machine-shares []: nothing -> list<any> {
  let base = {|config, shares| $config | upsert shares $shares | upsert letters ($shares | where {|s| ($s.mount | str length) == 2 } | each {|s| $s.mount | str substring 0..0 }) | upsert installers [(test-installer $config "winfsp" "winfsp-2.1.msi")] }
  let two = [{tag: "one", mount: "E:", read_only: false} {tag: "two", mount: "Z:", read_only: true}]
  let launcher = {|box| test-machine-program $box "launchctl-x64" --at $"($box.folder)/WinFsp/bin" }
  [
    (test --box "shares: one comes by the service, though a disc has its letter" {|| machine-with --change {|config| do $base $config [{tag: "one", mount: "E:", read_only: false}] } --start {|m| $m | upsert offered ["one"] } {|box|
      let machine = (machine-settled $box "virtiofs")
      test-equal $machine.shared {E: "one"}
      test-equal $machine.services.VirtioFsSvc.delayed true
      test-equal ($machine.letters | where label == "virtio-win" | first | get letter) "Y"
    } })
    (test --box "shares: several have an instance each, and a disc's letter is no mount" {|| machine-with --change {|config| do $base $config $two } --start {|m| $m | upsert offered ["one" "two"] } {|box|
      do $launcher $box
      test-equal (machine-settled $box "virtiofs" | get shared) {E: "one", Z: "two"}
    } })
    (test --box "shares: the launcher is called again until it answers" {|| machine-with --change {|config| do $base $config $two } --start {|m| $m | upsert offered ["one" "two"] | upsert launcher_fails 3 } {|box|
      do $launcher $box
      test-equal (machine-settled $box "virtiofs" | get shared) {E: "one", Z: "two"}
    } })
    (test --box "shares: a folder is mounted where an empty one stood, and not where files are" {||
      for empty in [true false] {
        machine-with --change {|config| do $base $config [{tag: "one", mount: 'C:\Shares\one', read_only: false} {tag: "two", mount: "Z:", read_only: false}] } --start {|m|
          $m | upsert offered ["one" "two"] | upsert places {'C:\Shares\one': {there: true, link: false, empty: $empty}}
        } {|box|
          do $launcher $box
          let run = (test-run $box "virtiofs" "--tries" "2")
          test-status $run (if $empty { 0 } else { 1 })
          test-equal (test-machine $box | get places | get 'C:\Shares\one' | get link) $empty
          if not $empty { test-contains $run.printed "holds files" }
        }
      }
    })
    (test --box "shares: one that the host does not offer is told by its place" {|| machine-with --change {|config| do $base $config $two } --start {|m| $m | upsert offered ["two"] } {|box|
      do $launcher $box
      let run = (test-run $box "virtiofs" "--tries" "2")
      test-status $run 1
      test-contains $run.printed "nothing came up at E:"
      test-equal (test-machine $box | get shared) {Z: "two"}
    } })
  ]
}

# ---------------------------------------------------------------- the updater and winget

def machine-updates []: nothing -> list<any> {
  let mood = {|m, mood| $m | upsert updater.mood $mood }
  [
    (test --box "updates: installed but for optional ones, and a restart waits" {|| machine-with {|box|
      let run = (test-run $box "windows-update" "--install")
      test-status $run 3
      test-equal (test-machine $box | get updater.waits.title) ["preview"]
    } })
    (test --box "updates: optional ones, too, where the spec wants them" {|| machine-with --change {|config| $config | upsert updates.optional true } {|box|
      test-status (test-run $box "windows-update" "--install") 3
      test-equal (test-machine $box | get updater.waits) []
    } })
    (test --box "updates: an updater at work, or no network, is no failure" {||
      for case in [["busy" "another installation is running"] ["no-network" "no network?"]] {
        machine-with --start {|m| do $mood $m ($case | first) } {|box|
          let run = (test-run $box "windows-update" "--install")
          test-status $run 4
          test-contains $run.printed ($case | last)
          test-equal (test-machine $box | get updater.waits | length) 3
        }
      }
    })
    (test --box "updates: nothing is installed while the first logon is at it" {|| machine-with --start {|m| $m | upsert tasks {first-logon: {there: true, running: true}} } {|box|
      test-status (test-run $box "windows-update" "--install") 4
      test-equal (test-machine $box | get updater.waits | length) 3
    } })
    (test --box "updates: one that fails does not keep the others, and comes the next time" {|| machine-with --start {|m| do $mood $m "fails-once" } {|box|
      test-status (test-run $box "windows-update" "--install") 1
      test-equal (test-machine $box | get updater.waits.title) ["KB1" "preview"]
      test-status (test-run $box "windows-update" "--install") 3
    } })
    (test --box "updates: one that always fails is told each time" {|| machine-with --start {|m| do $mood $m "fails-always" } {|box|
      for _ in 1..2 {
        let run = (test-run $box "windows-update" "--install")
        test-status $run 1
        test-contains $run.printed "KB1: failed (0x80240017)"
      }
    } })
    (test --box "updates: a look changes nothing, and stands in the event log" {|| machine-with {|box|
      test-status (test-run $box "windows-update" "--event") 0
      let machine = (test-machine $box)
      test-equal ($machine.updater.waits | length) 3
      test-contains ($machine.events | first) "2 things wait"
    } })
  ]
}

def machine-winget []: nothing -> list<any> {
  let state = {|m, version, after| $m | upsert winget.version $version | upsert winget.comes_after $after }
  [
    (test --box "winget: installs, and keeps Nushell where it is" {|| machine-with {|box|
      let machine = (machine-settled $box "winget")
      test-equal $machine.winget.installed ["Mozilla.Firefox" "Git.Git"]
      test-equal $machine.winget.pinned ["Nushell.Nushell"]
    } })
    (test --box "winget: waited for where the Store brings it later" {|| machine-with --start {|m| do $state $m "v1.8.0" 5 } {|box|
      test-equal (machine-settled $box "winget" | get winget.installed) ["Mozilla.Firefox" "Git.Git"]
    } })
    (test --box "winget: one before 1.4 is none" {|| machine-with --start {|m| do $state $m "v1.2.10691" 0 } {|box|
      let run = (test-run $box "winget")
      test-status $run 1
      test-contains $run.printed "older than 1.4"
      test-equal (test-machine $box | get winget.installed) []
    } })
    (test --box "winget: none on Windows Server 2022, and that is said at once" {|| machine-with --change {|config| $config | upsert os "windows-server-2022" } --start {|m| do $state $m "" 1000 } {|box|
      let run = (test-run $box "winget")
      test-status $run 1
      test-contains $run.printed "not part of Windows Server 2022"
    } })
  ]
}

# ---------------------------------------------------------------- Steam

def machine-steam []: nothing -> list<any> {
  let login = {|config| $config | upsert steam.login true | upsert steam.libraries [$"($config.root)/../Games"] }
  # Steam and steamcmd as if they had been installed before; steamcmd leaves the manifest of the game, as it would.
  let ready = {|box, says|
    mkdir $"($box.folder)/Steam" $"($box.folder)/moxc/secrets" $"($box.folder)/Games/steamapps"
    "" | save $"($box.folder)/Steam/steam.exe"
    "gamer\r\nit's \"secret\" $x\r\n" | save --raw $"($box.folder)/moxc/secrets/steam"
    test-add-fake $box "steamcmd" --at $"($box.folder)/home/local/moxc/steamcmd"
    "" | save $"($box.folder)/home/local/moxc/steamcmd/steamcmd.exe"
    if $says == "" {
      "\"StateFlags\"\t\t\"2\"\n" | save $"($box.folder)/Games/steamapps/appmanifest_252490.acf"
      test-answer $box "steamcmd" "runscript" --append-to [$"($box.folder)/Games/steamapps/appmanifest_252490.acf"] --appended "\"StateFlags\"\t\t\"4\"\n"
    } else {
      test-answer $box "steamcmd" "runscript" --exit 5 --stdout $says
    }
  }
  [
    (test --box "steam: with a login secret steamcmd installs the games, and the password goes" {|| machine-with --change $login {|box|
      do $ready $box ""
      let run = (test-run $box "steam")
      test-status $run 0
      let calls = (test-calls $box | where {|call| $call.0 == "steamcmd" })
      test-equal ($calls | length) 1
      test-equal ($calls | first | get 1) "+runscript"
      for part in ["secret" "it's"] { test-lacks (test-called $box) $part; test-lacks $run.said $part }
      for gone in ["moxc/secrets/steam" "home/local/moxc/steamcmd/install.txt"] {
        if ($"($box.folder)/($gone)" | path exists) { error make {msg: $"($gone) is still there"} }
      }
      test-forget $box
      let again = (test-run $box "steam")
      test-status $again 0
      test-contains $again.printed "nothing to do"
      test-lacks (test-called $box) "steamcmd"
    } })
    (test --box "steam: where Steam Guard asks, a person is told once what to do, and nothing is opened" {|| machine-with --change $login {|box|
      do $ready $box "This account is protected by Steam Guard."
      let run = (test-run $box "steam")
      test-status $run 0
      test-contains $run.printed "steamcmd +login gamer"
      test-lacks (test-called $box) "xdg-open"
    } })
    (test --box "steam: a password that Steam does not take is a failure, and the secret stays" {|| machine-with --change $login {|box|
      do $ready $box "FAILED (Invalid Password)"
      test-status (test-run $box "steam") 1
      if not ($"($box.folder)/moxc/secrets/steam" | path exists) { error make {msg: "it is gone"} }
    } })
    (test --box "steam: a library is written into Steam's list, and told where Steam drops it" {|| machine-with --change {|config|
      $config | upsert steam.games [] | upsert steam.libraries [$"($config.root)/../Games" $"($config.root)/../More"]
    } {|box|
      mkdir $"($box.folder)/Steam"
      "" | save $"($box.folder)/Steam/steam.exe"
      test-status (test-run $box "steam") 0
      for file in ["steamapps" "config"] { test-contains (open --raw $"($box.folder)/Steam/($file)/libraryfolders.vdf") "Games" }
      test-contains (test-run $box "steam" | get printed) "nothing to do"
      # Steam has written its own list again.
      "\"libraryfolders\"\n{\n}\n" | save --force $"($box.folder)/Steam/steamapps/libraryfolders.vdf"
      let run = (test-run $box "steam")
      test-contains $run.printed "Steam has dropped it"
      test-lacks (open --raw $"($box.folder)/Steam/steamapps/libraryfolders.vdf") "Games"
    } })
    (test --box "steam: without a login each game is asked for once" {|| machine-with {|box|
      mkdir $"($box.folder)/Steam"
      "" | save $"($box.folder)/Steam/steam.exe"
      let opened = {|| test-calls $box | where {|call| $call.0 == "xdg-open" and $call.1 =~ '^steam://' } | length }
      test-status (test-run $box "steam") 0
      test-equal (do $opened) 1
      test-forget $box
      test-status (test-run $box "steam") 0
      test-equal (do $opened) 0
      test-status (test-run $box "steam" "--again") 0
      test-equal (do $opened) 1
    } })
  ]
}
