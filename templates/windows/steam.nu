# Steam and its games. Among them may be Rust, the game; the toolchain of that name is rust.nu's.

use config.nu *
use moxc.nu *

# Who signs Steam's installer.
const steam_publisher = "Valve Corp."

# Installs Steam where the spec says, sets its libraries, and sees to its games.
#
# With a login secret, Valve's steamcmd installs the games that are missing, without a question. Without one a login is a
# person's to do, and so is the question of each game where it goes: this script opens Steam's own dialogs, once for each
# game, and says in one line what to do in them. Run it as the user, with the rights of an administrator for the
# installation. Ends with 0 (done, or nothing to do, or the rest is yours) or 1 (something failed).
def main [
  --no-open # do not open Steam for the games that are missing
  --again # open Steam's dialogs again for games that were asked for before
  --dry-run # say what would be done, and change nothing
  --json # print one JSON object at the end, and nothing else, to standard output
] {
  moxc-main "steam" --dry-run=$dry_run --json=$json {|| steam-all $moxc_config.steam (not $no_open) $again }
}

# The steps.
export def steam-all [steam: record, open: bool, again: bool]: nothing -> list<any> {
  let installed = (moxc-step "Steam" {|| steam-install $steam })
  if $installed.outcome == "failed" { return [$installed] }
  let libraries = (steam-set-libraries $steam)
  let known = (steam-libraries $steam.install_dir)
  [[$installed] $libraries (steam-games $steam $known $open $again)] | flatten
}

# ---------------------------------------------------------------- the client

def steam-install [steam: record]: nothing -> record {
  let client = (moxc-path $steam.install_dir "steam.exe")
  if ($client | path exists) { return (moxc-already $steam.install_dir) }
  moxc-check-admin
  let file = (moxc-download $steam.setup "SteamSetup.exe" {|file| moxc-check-signature $file $steam_publisher })
  $env.PATH = (moxc-search (moxc-parent $file))
  moxc-change "SteamSetup.exe" (steam-setup-args $steam.install_dir) {|args| ^SteamSetup.exe ...$args }
  if not (moxc-is-dry) and not ($client | path exists) {
    error make {msg: $"SteamSetup ended well, and there is no ($client)"}
  }
  moxc-did $steam.install_dir
}

# Silent, and where to. NSIS takes all that follows `/D=` to the end of the line and knows no quotes there, so a path with
# blanks goes as several arguments, which Windows joins by blanks again.
export def steam-setup-args [folder: string]: nothing -> list<string> {
  ["/S" ...($"/D=($folder)" | split row " ")]
}

# ---------------------------------------------------------------- libraries

# Steam's own list of its folders with games; the folder of the client is always one.
export def steam-libraries [folder: string]: nothing -> list<string> {
  let file = (moxc-path $folder "steamapps" "libraryfolders.vdf")
  let listed = (if ($file | path exists) { steam-paths (open --raw $file | moxc-decoded) } else { [] })
  [$folder ...$listed] | uniq --ignore-case
}

# The folders in the text of a libraryfolders.vdf.
export def steam-paths [text: string]: nothing -> list<string> {
  $text
  | lines
  | where {|line| $line =~ '^\s*"path"\s+".*"\s*$' }
  | each {|line| $line | str replace --regex '^\s*"path"\s+"(.*)"\s*$' '$1' | str replace --all '\\' '\' }
}

# A whole drive means the folder that Steam makes there.
export def steam-library-folder [library: string]: nothing -> string {
  if $library =~ '^[A-Za-z]:$' { $library + '\SteamLibrary' } else { $library }
}

# Steam's list with the libraries of the spec in it. Steam writes its own over it while it runs, so that it must not run;
# and it drops a library that it does not find, so that the folder is made first. A library that Steam has dropped again is
# told, and not fought over.
def steam-set-libraries [steam: record]: nothing -> list<any> {
  let known = (steam-libraries $steam.install_dir)
  let folders = ($steam.libraries | each {|library| steam-library-folder $library })
  let missing = ($folders | where {|folder| not (steam-has $known $folder) } | uniq --ignore-case)
  let there = ($folders | where {|folder| steam-has $known $folder } | each {|folder| {what: $"library ($folder)", outcome: "already", detail: ""} })
  if ($missing | is-empty) { return $there }
  let set_before = (try { moxc-kept "steam-libraries" | get set } catch { [] })
  let dropped = ($missing | where {|folder| steam-has $set_before $folder })
  let told = ($dropped | each {|folder| {what: $"library ($folder)", outcome: "manual", detail: $"Steam has dropped it: choose Settings, Storage, Add Drive, and name ($folder)"} })
  let new = ($missing | where {|folder| $folder not-in $dropped })
  if ($new | is-empty) { return [...$there ...$told] }
  [...$there ...$told (moxc-step $"libraries ($new | str join ', ')" {|| steam-add-libraries $steam $known $new $set_before })]
}

def steam-has [folders: list<string>, folder: string]: nothing -> bool {
  $folders | any {|one| moxc-same $one $folder }
}

def steam-add-libraries [steam: record, known: list<string>, new: list<string>, before: list<string>]: nothing -> record {
  if (steam-runs) { return (moxc-manual "Steam runs, and writes its own list over ours: close it, and run `steam.nu` again") }
  for folder in $new { moxc-make-folder (moxc-path $folder "steamapps") }
  let text = (steam-library-text [...$known ...$new])
  # Its own copy, and the one of the client's settings, which newer clients read.
  for folder in ["steamapps" "config"] {
    let file = (moxc-path $steam.install_dir $folder "libraryfolders.vdf")
    if (moxc-is-dry) {
      moxc-say $"would write ($file)"
    } else {
      mkdir (moxc-path $steam.install_dir $folder)
      $text | save --raw --force $file
    }
  }
  if not (moxc-is-dry) { moxc-keep "steam-libraries" {set: ([...$before ...$new] | uniq --ignore-case)} }
  moxc-did
}

# The text of a libraryfolders.vdf.
export def steam-library-text [folders: list<string>]: nothing -> string {
  let entries = ($folders | enumerate | each {|one|
    let path = ($one.item | str replace --all '\' '\\')
    $"\t\"($one.index)\"\n\t{\n\t\t\"path\"\t\t\"($path)\"\n\t}\n"
  })
  $"\"libraryfolders\"\n{\n($entries | str join)}\n"
}

def steam-runs []: nothing -> bool {
  ps | any {|process| $process.name =~ '(?i)^steam(\.exe)?$' }
}

# ---------------------------------------------------------------- games

# A step for each game that is there, and one for all that are not.
def steam-games [steam: record, known: list<string>, open: bool, again: bool]: nothing -> list<any> {
  let games = ($steam.games | each {|game| {app_id: $game.app_id, title: (steam-title $game), state: (steam-state $game.app_id $known)} })
  let there = (
    $games | where state == "installed"
    | each {|game| {what: $game.title, outcome: "already", detail: "installed"} }
  )
  if $steam.login {
    let left = ($games | where state != "installed")
    if ($left | is-empty) { return $there }
    let ready = (moxc-step "steamcmd" {|| steam-need-cmd $steam })
    if $ready.outcome not-in ["done" "already" "planned"] { return [...$there $ready] }
    return [...$there $ready ...($left | each {|game| moxc-step $game.title {|| steam-fetch $steam $game.app_id $known } })]
  }
  let coming = (
    $games | where state == "unfinished"
    | each {|game| {what: $game.title, outcome: "manual", detail: "Steam has not finished: start Steam, and let it"} }
  )
  let missing = ($games | where state == "missing")
  if ($missing | is-empty) { return [...$there ...$coming] }
  [...$there ...$coming (moxc-step "games" {|| steam-ask-for $steam $missing $open $again })]
}

# A game to read: its name where the spec has one.
export def steam-title [game: record]: nothing -> string {
  if $game.name == "" { $"game ($game.app_id)" } else { $"($game.name) \(game ($game.app_id))" }
}

# Whether a game is installed, unfinished or missing, by the manifests that Steam keeps.
export def steam-state [app_id: int, known: list<string>]: nothing -> string {
  let manifests = (
    $known
    | each {|library| moxc-path $library "steamapps" $"appmanifest_($app_id).acf" }
    | where {|file| $file | path exists }
  )
  if ($manifests | is-empty) { return "missing" }
  let texts = ($manifests | each {|file| open --raw $file | moxc-decoded })
  # 4: StateFullyInstalled.
  if ($texts | any {|text| $text =~ '(?m)^\s*"StateFlags"\s+"4"\s*$' }) { "installed" } else { "unfinished" }
}

# Opens a dialog for each game, and says what to do there. Each game is asked for once: a person may want it later.
def steam-ask-for [steam: record, missing: list<any>, open: bool, again: bool]: nothing -> record {
  let names = ($missing | each {|game| $game.title } | str join ", ")
  let login = (if (moxc-path $steam.install_dir "config" "loginusers.vdf" | path exists) { "" } else { "log in to Steam, then " })
  let says = $"($login)confirm the installation of ($names) in Steam's dialog, and run `steam.nu --again` to see that all is there"
  if not $open or (moxc-is-system) { return (moxc-manual $says) }
  let before = (if $again { [] } else { try { moxc-kept "steam-asked" | get games } catch { [] } })
  let new = ($missing | where {|game| $game.app_id not-in $before })
  for game in $new {
    let url = $"steam://install/($game.app_id)"
    if (moxc-is-dry) { moxc-say $"would open ($url)" } else { steam-open $steam.install_dir $url }
  }
  if ($new | is-not-empty) and not (moxc-is-dry) {
    moxc-keep "steam-asked" {games: ([...$before ...($new | each {|game| $game.app_id })] | uniq)}
  }
  moxc-manual $says
}

# By `start`, since Nushell would wait for Steam to end. The client's first start is what makes Windows know steam://.
def steam-open [folder: string, url: string]: nothing -> nothing {
  moxc-log "info" $"opens ($url)"
  try {
    if not (steam-runs) { start (moxc-path $folder "steam.exe") }
    start $url
  } catch {|e|
    moxc-log "warn" $"($url) cannot be opened: ($e.msg)"
  }
}

# ---------------------------------------------------------------- games by steamcmd

# Valve's steamcmd, in a folder of the user: it updates itself there.
def steam-cmd-folder []: nothing -> string { moxc-path (moxc-folder "LOCALAPPDATA") "moxc" "steamcmd" }

# The archive is not signed, and the program in it is.
def steam-need-cmd [steam: record]: nothing -> record {
  let folder = (steam-cmd-folder)
  let program = (moxc-path $folder "steamcmd.exe")
  if ($program | path exists) { return (moxc-already) }
  let file = (moxc-download $steam.cmd "steamcmd.zip" {|file| if (moxc-size $file) < 1kb { error make {msg: "it is no archive"} } })
  moxc-make-folder $folder
  moxc-order {do: "expand", file: $file, folder: $folder}
  if (moxc-is-dry) { return (moxc-did) }
  if not ($program | path exists) { error make {msg: $"($steam.cmd) holds no steamcmd.exe"} }
  try {
    moxc-check-signature $program $steam_publisher
  } catch {|e|
    rm --force $program
    error make {msg: $e.msg}
  }
  # Its first run only brings itself up to date, and ends with 7.
  $env.PATH = (moxc-search $folder)
  moxc-change "steamcmd" ["+quit"] {|args| ^steamcmd ...$args } --right [0 7]
  moxc-did
}

# Name and password, a line each: as the host's secret has them. The file is for administrators alone. Without it, Steam's
# own token of an earlier login is taken.
def steam-login-file []: nothing -> string { moxc-path $moxc_config.root "secrets" "steam" }

# Installs a game into the first library, which steamcmd sees as its own by a link. Name and password reach it in a file,
# since the arguments of a program can be read by all; the file goes at once.
def steam-fetch [steam: record, app_id: int, known: list<string>]: nothing -> record {
  let library = (if ($steam.libraries | is-empty) { $steam.install_dir } else { steam-library-folder ($steam.libraries | first) })
  if (steam-runs) { return (moxc-manual "Steam runs: close it, so that both do not write to one library, and run `steam.nu` again") }
  let secret = (steam-login-file)
  let words = (if ($secret | path exists) { open --raw $secret | decode "utf-8" | lines } else { [] })
  let name = ($words | get --optional 0 | default (try { moxc-kept "steam-login" | get name } catch { "" }))
  if $name == "" {
    error make {msg: $"there is no ($secret): bring it by build-iso.sh --push --with-secrets on the host"}
  }
  let folder = (steam-cmd-folder)
  moxc-make-folder (moxc-path $library "steamapps")
  moxc-order {do: "link", at: (moxc-path $folder "steamapps"), to: (moxc-path $library "steamapps")}
  let login = (if ($words | length) > 1 { $"login ($name) ($words | get 1)" } else { $"login ($name)" })
  let script = (moxc-path $folder "install.txt")
  let lines = ["@ShutdownOnFailedCommand 1" "@NoPromptForPassword 1" $login $"app_update ($app_id) validate" "quit"]
  let args = ["+runscript" $script]
  if (moxc-is-dry) {
    moxc-say $"would have steamcmd install game ($app_id) into ($library)"
    return (moxc-did)
  }
  $lines | str join "\r\n" | save --raw --force $script
  $env.PATH = (moxc-search $folder)
  let r = (try { moxc-look "steamcmd" $args {|args| ^steamcmd ...$args } } catch {|e| {exit_code: 1, stdout: $e.msg, stderr: ""} })
  rm --force $script
  steam-fetched $r $name $app_id $known $library
}

# What came of it. Steam Guard wants a person, who confirms in Steam's app or gives a code, once.
def steam-fetched [r: record, name: string, app_id: int, known: list<string>, library: string]: nothing -> record {
  if $r.stdout =~ '(?i)steam guard|two-factor|invalid login auth code' {
    return (moxc-manual $"Steam Guard asks: run `steamcmd +login ($name)` in (steam-cmd-folder) once, confirm, and run `steam.nu` again")
  }
  if $r.stdout =~ '(?i)invalid password|login failure' { error make {msg: "Steam does not take the name and the password of the secret"} }
  if (steam-state $app_id [...$known $library]) != "installed" { error make {msg: (moxc-failure "steamcmd" $r)} }
  # From here on Steam's own token does, and the password need not lie there.
  moxc-keep "steam-login" {name: $name}
  if ((steam-login-file) | path exists) { rm --force (steam-login-file) }
  moxc-did
}
