# What this machine is set to, beside what is installed on it: network cards, further disks, the policy of updates, remote
# access, accounts, the domain.

use config.nu *
use moxc.nu *

# Sets the machine as the spec has it: addresses and name servers of its network cards, letters and file systems of the
# disks behind the first, who installs updates, remote access, accounts, and the domain. What an earlier spec asked for and
# this one does not is taken back: an account is switched off, and keeps what it has.
#
# Needs an administrator or SYSTEM. Ends with 0 (done, or nothing to do), 1 (something failed) or
# 3 (Windows must restart to finish).
def main [
  --dry-run # say what would be done, and change nothing
  --json # print one JSON object at the end, and nothing else, to standard output
] {
  moxc-main "setup" --dry-run=$dry_run --json=$json {|| setup-all $moxc_config }
}

# The steps.
export def setup-all [config: record]: nothing -> list<any> {
  moxc-check-admin
  [
    ($config.cards | each {|card| moxc-step $"network card ($card.mac)" {|| setup-card $card } })
    ($config.disks | each {|disk| moxc-step $"disk ($disk.letter):" {|| setup-disk $disk $config.letters } })
    [(moxc-step "updates" {|| setup-updates $config.updates.scheduled })]
    (setup-remote $config)
    (setup-accounts $config)
    (if $config.domain.name == "" { [] } else { [(moxc-step $"domain ($config.domain.name)" {|| setup-domain $config.domain })] })
  ] | flatten
}

# What was set before, so that it can be taken back.
def setup-before [name: string]: nothing -> any {
  try { moxc-kept "setup-done" | get $name } catch { null }
}

def setup-remember [name: string, value: any]: nothing -> nothing {
  if (moxc-is-dry) { return }
  let kept = (moxc-kept "setup-done")
  moxc-keep "setup-done" ((if $kept == null { {} } else { $kept }) | upsert $name $value)
}

# ---------------------------------------------------------------- network cards

# A card by its MAC address: Windows may call it anything.
def setup-card [card: record]: nothing -> record {
  let found = ((moxc-ask {do: "cards"}).cards | where {|one| $one.mac == $card.mac })
  if ($found | is-empty) { error make {msg: "this machine has no such card: is its driver installed?"} }
  let now = ($found | first)
  let four = (setup-family $now.index "IPv4" $card.four $now.four)
  let six = (setup-family $now.index "IPv6" $card.six $now.six)
  let servers = (setup-servers $now $card)
  if not ($four or $six or $servers) { return (moxc-already (setup-says $card)) }
  moxc-did (setup-says $card)
}

def setup-says [card: record]: nothing -> string {
  let fixed = [...$card.four.addresses ...$card.six.addresses]
  if ($fixed | is-empty) { "addresses by DHCP" } else { $fixed | str join ", " }
}

# One family of addresses; whether it was changed.
def setup-family [index: int, family: string, wanted: record, now: record]: nothing -> bool {
  let gateways = (if $wanted.gateway == "" { [] } else { [$wanted.gateway] })
  let fits = (
    $now.automatic == $wanted.automatic and (setup-same $now.addresses $wanted.addresses)
    and ($wanted.automatic or (setup-same $now.gateways $gateways))
  )
  if $fits { return false }
  moxc-order {
    do: "set-card", index: $index, family: $family, automatic: $wanted.automatic
    addresses: $wanted.addresses, gateway: $wanted.gateway
  }
  true
}

# The name servers of a card with a fixed address are the spec's; of another, those that DHCP brings. Whether they were changed.
def setup-servers [now: record, card: record]: nothing -> bool {
  let fixed = ([...$card.four.addresses ...$card.six.addresses] | is-not-empty)
  # The spec names none: what somebody set stays.
  if $fixed and ($card.servers | is-empty) { return false }
  let wanted = (if $fixed { $card.servers } else { [] })
  if (setup-same [...$now.four.servers ...$now.six.servers] $wanted) { return false }
  moxc-order {do: "set-servers", index: $now.index, servers: $wanted}
  true
}

# Whether two lists hold the same texts, in any order.
def setup-same [one: list<any>, other: list<any>]: nothing -> bool {
  let all = ([...$one ...$other] | uniq --ignore-case | length)
  $all == ($one | uniq --ignore-case | length) and $all == ($other | uniq --ignore-case | length)
}

# ---------------------------------------------------------------- disks

# A letter and a file system for a disk. Only a disk without any partition is written to; one that holds data, as after a
# new installation of Windows, gets its letter back.
def setup-disk [disk: record, letters: list<any>]: nothing -> record {
  let taken = (moxc-ask {do: "letters"}).letters
  let wanted = (setup-find-disk $disk)
  let here = ($taken | where letter == $disk.letter)
  if ($here | is-not-empty) and ($here | first | get kind) == 3 {
    let here = ($here | first)
    if $wanted != null and $here.disk != $wanted.number {
      error make {msg: $"the letter ($disk.letter): belongs to another drive: give that one another letter \(diskmgmt.msc), and run this again"}
    }
    if $here.format != "" { return (moxc-already) }
    moxc-order {do: "format-volume", letter: $disk.letter, label: $disk.label}
    return (moxc-did "formatted")
  }
  if $wanted == null {
    error make {msg: $"there is no disk of the serial number `($disk.serial)`, and no empty one of ($disk.size) bytes, for ($disk.letter): \(($disk.label))"}
  }
  if ($here | is-not-empty) { setup-move-disc ($here | first) $taken $letters }
  let other = ($taken | where {|one| $one.disk == $wanted.number and $one.kind == 3 })
  if ($other | length) == 1 {
    moxc-order {do: "move-letter", from: ($other | first | get letter), to: $disk.letter}
    return (moxc-did $"was ($other | first | get letter):")
  }
  if $wanted.partitions > 0 {
    error make {msg: $"disk ($wanted.number) holds partitions and is left alone: give the one for ($disk.letter): that letter \(diskmgmt.msc)"}
  }
  moxc-order {do: "format-disk", number: $wanted.number, letter: $disk.letter, label: $disk.label}
  moxc-did "formatted"
}

# The disk of the spec: by its serial number. Where no disk has it, as with a driver that does not tell it, one without
# partitions and of its size; null where there is none. Its number says nothing: Windows counts as it finds.
def setup-find-disk [wanted: record]: nothing -> any {
  let disks = ((moxc-ask {do: "disks"}).disks | where {|one| not $one.system })
  let same = ($disks | where {|one| $wanted.serial != "" and (moxc-same $one.serial $wanted.serial) })
  if ($same | length) > 1 { error make {msg: $"two disks have the serial number `($wanted.serial)`"} }
  if ($same | is-not-empty) {
    let same = ($same | first)
    if not (setup-fits $same $wanted) {
      error make {msg: $"the disk `($wanted.serial)` has ($same.size) bytes, and should have ($wanted.size): it is left alone"}
    }
    return $same
  }
  let empty = ($disks | where {|one| $one.partitions == 0 and (setup-fits $one $wanted) } | sort-by number)
  if ($empty | is-empty) { null } else { $empty | first }
}

# A disk may have grown since the spec was written, and is rounded up by its storage; it never is smaller.
def setup-fits [disk: record, wanted: record]: nothing -> bool {
  $disk.size >= $wanted.size and ((moxc-same $wanted.serial $disk.serial) or $disk.size < $wanted.size + 1048576)
}

# Windows hands the first letters to the discs of the installation.
def setup-move-disc [disc: record, taken: list<any>, letters: list<any>]: nothing -> nothing {
  if $disc.kind != 5 {
    error make {msg: $"the letter ($disc.letter): belongs to another drive: give that one another letter \(diskmgmt.msc), and run this again"}
  }
  let free = (
    "YXWVUTSRQPONMLKJIHGFE" | split chars
    | where {|letter| $letter not-in $letters and $letter not-in ($taken | each {|one| $one.letter }) }
  )
  if ($free | is-empty) { error make {msg: $"no letter is free for the disc in ($disc.letter):"} }
  moxc-order {do: "move-letter", from: $disc.letter, to: ($free | first)}
}

# ---------------------------------------------------------------- updates

# Group policies of Windows Update ("Manage additional Windows Update settings").
const setup_policies = [
  [key, name, value];
  # Windows does not search, install and restart by itself: the schedule does.
  ['HKLM:\SOFTWARE\Policies\Microsoft\Windows\WindowsUpdate\AU', "NoAutoUpdate", 1]
  # Drivers come from virtio-win and from the makers of the hardware.
  ['HKLM:\SOFTWARE\Policies\Microsoft\Windows\WindowsUpdate', "ExcludeWUDriversInQualityUpdate", 1]
]

# With a schedule, updates come by it alone, so that none comes without its snapshot. Without one Windows is on its own again.
def setup-updates [scheduled: bool]: nothing -> record {
  let set = (setup-before "updates") == true
  if not $scheduled and not $set { return (moxc-already "Windows installs them by itself") }
  let wrong = (
    $setup_policies
    | where {|row| ((moxc-ask {do: "registry", key: $row.key, name: $row.name}).value == $row.value) != $scheduled }
  )
  for row in $wrong {
    if $scheduled {
      moxc-order {do: "set-registry", key: $row.key, name: $row.name, value: $row.value}
    } else {
      moxc-order {do: "unset-registry", key: $row.key, name: $row.name}
    }
  }
  if $set != $scheduled { setup-remember "updates" $scheduled }
  let says = (if $scheduled { "by the schedule alone" } else { "Windows installs them by itself" })
  if ($wrong | is-empty) { moxc-already $says } else { moxc-did $says }
}

# ---------------------------------------------------------------- remote access

const setup_terminal = 'HKLM:\SYSTEM\CurrentControlSet\Control\Terminal Server'

# What the spec asks for, and what it asked for before.
def setup-remote [config: record]: nothing -> list<any> {
  let before = (setup-before "remote" | default "")
  let wanted = $config.remote
  let gone = (if $before != "" and $before != $wanted { [(moxc-step $"remote access by ($before)" {|| setup-remote-off $before })] } else { [] })
  let come = (match $wanted {
    "rdp" => [(moxc-step "remote access by rdp" {|| setup-rdp })]
    "ssh" => [(moxc-step "remote access by ssh" {|| setup-ssh $config.ssh_keys })]
    _ => []
  })
  let all = [...$gone ...$come]
  if $before != $wanted and ($all | where outcome == "failed" | is-empty) { setup-remember "remote" $wanted }
  $all
}

def setup-remote-off [which: string]: nothing -> record {
  moxc-order {do: "remove-rule", name: $"moxc-($which)"}
  if $which == "rdp" {
    moxc-order {do: "set-registry", key: $setup_terminal, name: "fDenyTSConnections", value: 1}
  } else {
    let service = (moxc-ask {do: "service", name: "sshd"})
    if $service.running { moxc-change "sc" ["stop" "sshd"] {|args| ^sc ...$args } --right [0 1062] }
    if $service.there { moxc-change "sc" ["config" "sshd" "start=" "disabled"] {|args| ^sc ...$args } }
  }
  moxc-did "switched off"
}

# Windows' own remote desktop, for those alone who prove who they are before a session is made.
def setup-rdp []: nothing -> record {
  let wanted = [
    [key, name, value];
    [$setup_terminal, "fDenyTSConnections", 0]
    [($setup_terminal + '\WinStations\RDP-Tcp'), "UserAuthentication", 1]
  ]
  let wrong = ($wanted | where {|row| (moxc-ask {do: "registry", key: $row.key, name: $row.name}).value != $row.value })
  for row in $wrong { moxc-order {do: "set-registry", key: $row.key, name: $row.name, value: $row.value} }
  let opened = (setup-open "moxc-rdp" "Remote Desktop (moxc)" "3389")
  if ($wrong | is-empty) and not $opened { moxc-already } else { moxc-did }
}

# OpenSSH's server. Administrators log on by the keys of the spec, in the one file that OpenSSH reads for them.
def setup-ssh [keys: list<any>]: nothing -> record {
  let installed = (if (moxc-ask {do: "service", name: "sshd"}).there { false } else { moxc-install "openssh"; true })
  let keyed = (setup-ssh-keys $keys)
  let service = (moxc-ask {do: "service", name: "sshd"})
  if not $service.there and not (moxc-is-dry) { error make {msg: "OpenSSH was installed, and its service sshd is not there"} }
  let slow = ($service.start != "Auto")
  if $slow { moxc-change "sc" ["config" "sshd" "start=" "auto"] {|args| ^sc ...$args } }
  # 1056: it runs already.
  if not $service.running { moxc-change "sc" ["start" "sshd"] {|args| ^sc ...$args } --right [0 1056] }
  let opened = (setup-open "moxc-ssh" "OpenSSH server (moxc)" "22")
  if $installed or $keyed or $slow or not $service.running or $opened { moxc-did } else { moxc-already }
}

# The keys of administrators; whether they were written. sshd does not read a file that others may write.
def setup-ssh-keys [keys: list<any>]: nothing -> bool {
  if ($keys | is-empty) { return false }
  let folder = (moxc-path (moxc-folder "ProgramData") "ssh")
  let file = (moxc-path $folder "administrators_authorized_keys")
  let text = ($keys | str join "\r\n") + "\r\n"
  if ($file | path exists) and (open --raw $file | moxc-decoded) == $text { return false }
  if (moxc-is-dry) {
    moxc-say $"would write ($file)"
    return true
  }
  mkdir $folder
  $text | save --raw --force $file
  # SYSTEM and administrators, by their SIDs: their names are others in every language.
  let args = [$file "/inheritance:r" "/grant:r" "*S-1-5-18:F" "*S-1-5-32-544:F"]
  moxc-change "icacls" $args {|args| ^icacls ...$args }
  true
}

# Has the firewall let a port in; whether it did not before.
def setup-open [name: string, title: string, port: string]: nothing -> bool {
  let rule = (moxc-ask {do: "rule", name: $name})
  if $rule.there and $rule.port == $port { return false }
  moxc-order {do: "set-rule", name: $name, title: $title, port: $port}
  true
}

# ---------------------------------------------------------------- accounts

# The further accounts of the spec, and those that an earlier one had.
def setup-accounts [config: record]: nothing -> list<any> {
  let wanted = ($config.accounts | each {|one| $one.name })
  let before = (setup-before "accounts" | default [])
  let come = ($config.accounts | each {|one| moxc-step $"account ($one.name)" {|| setup-account $one $config.remote } })
  let gone = ($before | where {|name| not ($wanted | any {|one| moxc-same $one $name }) })
  let left = ($gone | each {|name| moxc-step $"account ($name)" {|| setup-account-off $name } })
  let all = [...$come ...$left]
  if not (setup-same $before $wanted) and ($all | where outcome == "failed" | is-empty) { setup-remember "accounts" $wanted }
  $all
}

# The file of a secret that the disc or a push has brought; administrators alone may read it.
def setup-secret [name: string]: nothing -> string { moxc-path $moxc_config.root "secrets" $name }

# An account of this machine. Its password is its own affair once it is there.
def setup-account [one: record, remote: string]: nothing -> record {
  let now = (moxc-ask {do: "account", name: $one.name})
  let secret = (setup-secret $"account-($one.secret)")
  if not $now.there and not ($secret | path exists) and not (moxc-is-dry) {
    error make {msg: $"its first password is not here: bring it by build-iso.sh --push --with-secrets on the host"}
  }
  # Administrators may log on by remote desktop anyway.
  let reaches = ($remote == "rdp" and not $one.administrator)
  let fits = (
    $now.there and $now.enabled and $now.full_name == $one.full_name
    and $now.administrator == $one.administrator and $now.remote == $reaches
  )
  if $fits {
    setup-forget-secret $secret
    return (moxc-already)
  }
  moxc-order {
    do: "set-account", name: $one.name, full_name: $one.full_name, administrator: $one.administrator, remote: $reaches
    secret: $secret
  }
  setup-forget-secret $secret
  moxc-did (if $now.there { "changed" } else { "made" })
}

# The file of a password that is set, or of no use any more.
def setup-forget-secret [file: string]: nothing -> nothing {
  if (moxc-is-dry) or not ($file | path exists) { return }
  rm --force $file
}

# Nothing of a person's is removed: the account is switched off.
def setup-account-off [name: string]: nothing -> record {
  let now = (moxc-ask {do: "account", name: $name})
  if not $now.there or not $now.enabled { return (moxc-already "switched off") }
  moxc-order {do: "stop-account", name: $name}
  moxc-did "switched off; its files stay"
}

# ---------------------------------------------------------------- the domain

# Joins the domain, which takes a restart. A machine of another domain is left where it is.
def setup-domain [domain: record]: nothing -> record {
  let secret = (setup-secret "domain")
  let now = (moxc-ask {do: "domain"})
  if $now.joined and (moxc-same $now.name $domain.name) {
    setup-forget-secret $secret
    return (moxc-already)
  }
  if $now.joined {
    error make {msg: $"this machine belongs to the domain ($now.name): take it out of that by hand \(sysdm.cpl), and run this again"}
  }
  if not ($secret | path exists) and not (moxc-is-dry) {
    error make {msg: "the account that joins machines is not here: bring it by build-iso.sh --push --with-secrets on the host"}
  }
  moxc-order {do: "join-domain", name: $domain.name, ou: $domain.ou, secret: $secret}
  setup-forget-secret $secret
  moxc-restart "joined"
}
