# A Windows machine that remembers: what the scripts ask of it and change in it, as a small model in a JSON file. It stands for
# PowerShell, sc, msiexec, winget, launchctl-x64 and steamcmd, by the name that it is called with.
#
# The model knows registry, services, disks in any order, letters, network cards, firewall, tasks, an updater with a mood,
# and a winget of some version or none. It is for tests alone.

# The file of the model stands in MOXC_MACHINE.
def main [
  program: string # the program that this one stands for
  --args: string = "[]" # its arguments, as JSON
] {
  let args = ($args | from json)
  let file = $env.MOXC_MACHINE
  let machine = (open --raw $file | from json)
  let r = (match $program {
    "powershell" => (fake-powershell $machine ($env.MOXC_REQUEST | from json))
    "sc" => (fake-sc $machine $args)
    "msiexec" => (fake-msiexec $machine $args)
    "winget" => (fake-winget $machine $args)
    "launchctl-x64" => (fake-launch $machine $args)
    _ => {machine: $machine, out: "", exit: 0}
  })
  $r.machine | to json --raw | save --raw --force $file
  print --no-newline $r.out
  exit $r.exit
}

# An answer that changes nothing.
def fake-says [machine: record, answer: any]: nothing -> record { {machine: $machine, out: ($answer | to json --raw), exit: 0} }

# What PowerShell's own errors look like.
def fake-fails [machine: record, why: string]: nothing -> record { {machine: $machine, out: ({error: $why, code: ""} | to json --raw), exit: 1} }

def fake-powershell [m: record, q: record]: nothing -> record {
  match $q.do {
    "service" => (fake-says $m ($m.services | get --optional $q.name | default {there: false, running: false, start: "", delayed: false, program: ""}))
    "registry" => (fake-says $m {value: ($m.registry | get --optional (fake-key $q))})
    "set-registry" => (fake-says ($m | upsert registry ($m.registry | upsert (fake-key $q) $q.value)) {})
    "unset-registry" => (fake-says ($m | upsert registry ($m.registry | reject --optional (fake-key $q))) {})
    "cards" => (fake-says $m {cards: $m.cards})
    "set-card" => (fake-set-card $m $q)
    "set-servers" => (fake-set-servers $m $q)
    "disks" => (fake-says $m {disks: ($m.disks | each {|d| $d | select number serial size system partitions })})
    "letters" => (fake-says $m {letters: $m.letters})
    "move-letter" => (fake-move $m $q)
    "format-disk" => (fake-format $m $q)
    "format-volume" => (fake-says ($m | upsert letters ($m.letters | each {|l| if $l.letter == $q.letter { $l | upsert format "NTFS" | upsert label $q.label } else { $l } })) {})
    "drive" => (fake-drive $m $q.letter)
    "place" => (fake-says $m ($m.places | get --optional $q.path | default {there: false, link: false, empty: false}))
    "remove-empty" => (if ($m.places | get $q.path | get empty) { fake-says ($m | upsert places ($m.places | reject $q.path)) {} } else { fake-fails $m "The directory is not empty." })
    "task" => (fake-says $m ($m.tasks | get --optional $q.name | default {there: false, running: false}))
    "event" => (fake-says ($m | upsert events ($m.events | append $q.text)) {})
    "rule" => (fake-says $m {there: ($q.name in ($m.rules | columns)), port: ($m.rules | get --optional $q.name | default "")})
    "set-rule" => (fake-says ($m | upsert rules ($m.rules | upsert $q.name $q.port)) {})
    "remove-rule" => (fake-says ($m | upsert rules ($m.rules | reject --optional $q.name)) {})
    "account" => (fake-says $m ($m.accounts | get --optional $q.name | default {there: false, enabled: false, full_name: "", administrator: false, remote: false, password: ""} | reject password))
    "set-account" => (fake-account $m $q)
    "stop-account" => (fake-says ($m | upsert accounts ($m.accounts | upsert $q.name ($m.accounts | get $q.name | upsert enabled false))) {})
    "domain" => (fake-says $m {joined: ($m.domain.name != ""), name: $m.domain.name})
    "join-domain" => (fake-join $m $q)
    "check" => (fake-update $m $q)
    "install" => (fake-update $m $q)
    "register-winget" => (fake-register $m)
    "link" => (fake-says $m {})
    _ => (fake-fails $m $"no question `($q.do)`")
  }
}

def fake-key [q: record]: nothing -> string { $"($q.key)|($q.name)" }

# Nushell takes a name with dots apart: keys of the registry are looked up as they are.
def fake-set-card [m: record, q: record]: nothing -> record {
  if $q.automatic and ($q.addresses | is-not-empty) { return (fake-fails $m "addresses beside DHCP") }
  let family = (if $q.family == "IPv4" { "four" } else { "six" })
  let cards = ($m.cards | each {|card|
    if $card.index != $q.index { return $card }
    let now = ($card | get $family)
    let gateways = (if $q.gateway == "" { [] } else { [$q.gateway] })
    $card | upsert $family ($now | upsert automatic $q.automatic | upsert addresses $q.addresses | upsert gateways $gateways)
  })
  fake-says ($m | upsert cards $cards) {}
}

def fake-set-servers [m: record, q: record]: nothing -> record {
  let cards = ($m.cards | each {|card|
    if $card.index != $q.index { return $card }
    let four = ($card.four | upsert servers ($q.servers | where {|ip| $ip !~ ':' }))
    $card | upsert four $four | upsert six ($card.six | upsert servers ($q.servers | where {|ip| $ip =~ ':' }))
  })
  fake-says ($m | upsert cards $cards) {}
}

def fake-move [m: record, q: record]: nothing -> record {
  let from = ($m.letters | where letter == $q.from)
  if ($from | is-empty) { return (fake-fails $m $"no drive ($q.from)") }
  if ($m.letters | where letter == $q.to | is-not-empty) { return (fake-fails $m "the letter is taken") }
  fake-says ($m | upsert letters ($m.letters | each {|l| if $l.letter == $q.from { $l | upsert letter $q.to } else { $l } })) {}
}

# Destroys what a disk holds, as the real one would: a test that looks at `data` sees it.
def fake-format [m: record, q: record]: nothing -> record {
  let disk = ($m.disks | where number == $q.number)
  if ($disk | is-empty) { return (fake-fails $m $"no disk ($q.number)") }
  if ($disk | first | get partitions) > 0 { return (fake-fails $m $"disk ($q.number) holds partitions") }
  if ($m.letters | where letter == $q.letter | is-not-empty) { return (fake-fails $m "the letter is taken") }
  let disks = ($m.disks | each {|d| if $d.number == $q.number { $d | upsert partitions 1 | upsert data "formatted" } else { $d } })
  let letters = ($m.letters | append {letter: $q.letter, kind: 3, format: "NTFS", label: $q.label, disk: $q.number})
  fake-says ($m | upsert disks $disks | upsert letters $letters) {}
}

# A drive of a disk, of a disc, or of virtio-fs.
def fake-drive [m: record, letter: string]: nothing -> record {
  let shared = ($m.shared | get --optional $letter)
  if $shared != null { return (fake-says $m {there: true, kind: 3, label: $shared}) }
  let own = ($m.letters | where letter == $letter)
  if ($own | is-empty) { return (fake-says $m {there: false, kind: 0, label: ""}) }
  fake-says $m {there: true, kind: ($own | first | get kind), label: ($own | first | get label)}
}

# An account that is not there is made with the first line of its secret; one that is there keeps its password.
def fake-account [m: record, q: record]: nothing -> record {
  let known = ($m.accounts | get --optional $q.name)
  if $known == null and not ($q.secret | path exists) { return (fake-fails $m "Could not find file") }
  let password = (if $known == null { open --raw $q.secret | decode "utf-8" | lines | first } else { $known.password })
  let account = {
    there: true, enabled: true, full_name: $q.full_name, administrator: $q.administrator, remote: $q.remote, password: $password
  }
  fake-says ($m | upsert accounts ($m.accounts | upsert $q.name $account)) {}
}

# A domain takes a machine from an account that may join it, and knows its units.
def fake-join [m: record, q: record]: nothing -> record {
  let words = (open --raw $q.secret | decode "utf-8" | lines)
  if $words != $m.domain.joiner { return (fake-fails $m "The user name or password is incorrect.") }
  if $q.ou != "" and $q.ou not-in $m.domain.units { return (fake-fails $m "The system cannot find the file specified.") }
  fake-says ($m | upsert domain ($m.domain | upsert name $q.name | upsert ou $q.ou)) {}
}

# The updater: `mood` is well, busy, no-network, fails-once or fails-always.
def fake-update [m: record, q: record]: nothing -> record {
  let u = $m.updater
  if $u.mood == "no-network" { return {machine: $m, out: ({error: "Exception from HRESULT: 0x8024402C", code: "0x8024402C"} | to json --raw), exit: 1} }
  let shown = ($u.waits | where {|one| $q.optional or not $one.optional } | each {|one| {title: $one.title, bytes: 1000, left: "", result: "", code: 0} })
  if $q.do == "check" { return (fake-says $m {updates: $shown, reboot: $u.reboot, busy: ""}) }
  if $u.mood == "busy" { return (fake-says $m {updates: $shown, reboot: $u.reboot, busy: "another installation is running"}) }
  let bad = ($u.mood in ["fails-once" "fails-always"])
  let done = ($shown | enumerate | each {|row|
    let failed = ($bad and $row.index == 0)
    $row.item | upsert result (if $failed { "failed" } else { "succeeded" }) | upsert code (if $failed { -2145124329 } else { 0 })
  })
  let left = (if $bad { $u.waits | first 1 } else { [] })
  let left = ($left ++ ($u.waits | where {|one| $one.optional and not $q.optional }))
  let mood = (if $u.mood == "fails-once" { "well" } else { $u.mood })
  let after = ($m | upsert updater ($u | upsert waits $left | upsert mood $mood | upsert reboot true))
  fake-says $after {updates: $done, reboot: true, busy: ""}
}

# The Store brings winget at last, or never.
def fake-register [m: record]: nothing -> record { fake-says $m {registered: true} }

def fake-sc [m: record, args: list<string>]: nothing -> record {
  let name = ($args | get 1)
  let service = ($m.services | get --optional $name)
  if $service == null { return {machine: $m, out: "1060: no such service", exit: 1060} }
  let after = (match ($args | first) {
    "start" => ($service | upsert running true)
    "stop" => ($service | upsert running false)
    _ => (match ($args | last) {
      "delayed-auto" => ($service | upsert start "Auto" | upsert delayed true)
      "auto" => ($service | upsert start "Auto" | upsert delayed false)
      "disabled" => ($service | upsert start "Disabled")
      _ => $service
    })
  })
  let m = ($m | upsert services ($m.services | upsert $name $after))
  # virtio-win's own service mounts the first folder where the registry says.
  let place = ($m.registry | get --optional 'HKLM:\SOFTWARE\VirtIO-FS|MountPoint')
  let serves = ($name == "VirtioFsSvc" and ($args | first) == "start" and $place != null and ($m.offered | is-not-empty))
  {machine: (if $serves { fake-mount $m ($m.offered | first) $place } else { $m }), out: "", exit: 0}
}

# A mount takes a letter that is free, or a place that is not there: WinFsp makes it itself.
def fake-mount [m: record, tag: string, place: string]: nothing -> record {
  if ($place | str length) == 2 {
    let letter = ($place | str substring 0..0)
    if ($m.letters | where letter == $letter | is-not-empty) { return $m }
    return ($m | upsert shared ($m.shared | upsert $letter $tag))
  }
  if ($place in ($m.places | columns)) { return $m }
  $m | upsert places ($m.places | upsert $place {there: true, link: true, empty: false})
}

def fake-launch [m: record, args: list<string>]: nothing -> record {
  if $m.launcher_fails > 0 {
    return {machine: ($m | upsert launcher_fails ($m.launcher_fails - 1)), out: "KO CreateProcess 2", exit: 2}
  }
  let tag = ($args | get 3)
  if $tag not-in $m.offered { return {machine: $m, out: "", exit: 0} }
  {machine: (fake-mount $m $tag ($args | get 4)), out: "", exit: 0}
}

# An installer brings its service.
def fake-msiexec [m: record, args: list<string>]: nothing -> record {
  let file = ($args | get 1)
  let service = {there: true, running: false, start: "Manual", delayed: false, program: 'C:\x.exe'}
  if $file =~ 'winfsp' {
    let registry = ($m.registry | upsert 'HKLM:\SOFTWARE\WOW6432Node\WinFsp|InstallDir' $m.winfsp)
    return {machine: ($m | upsert registry $registry | upsert services ($m.services | upsert "WinFsp.Launcher" ($service | upsert running true))), out: "", exit: 0}
  }
  if $file =~ 'OpenSSH' { return {machine: ($m | upsert services ($m.services | upsert "sshd" $service)), out: "", exit: 0} }
  {machine: $m, out: "", exit: 0}
}

# `comes_after`: so many times it is not there yet, as after the first logon.
def fake-winget [m: record, args: list<string>]: nothing -> record {
  let w = $m.winget
  if $w.comes_after > 0 { return {machine: ($m | upsert winget ($w | upsert comes_after ($w.comes_after - 1))), out: "", exit: 1} }
  let old = ($w.version =~ '^v1\.[0-3]\.')
  if $old and "--disable-interactivity" in $args { return {machine: $m, out: "Argument name was not recognized", exit: -1978335230} }
  match ($args | first) {
    "--version" => {machine: $m, out: $w.version, exit: 0}
    "list" => {machine: $m, out: "", exit: (if ($args | get 2) in $w.installed { 0 } else { -1978335212 })}
    "pin" => (if ($args | get 1) == "list" { {machine: $m, out: ($w.pinned | str join "\n"), exit: 0} } else { {machine: ($m | upsert winget ($w | upsert pinned ($w.pinned | append ($args | get 3)))), out: "", exit: 0} })
    "install" => {machine: ($m | upsert winget ($w | upsert installed ($w.installed | append ($args | get 2)))), out: "", exit: 0}
    _ => {machine: $m, out: "", exit: -1978335189}
  }
}
