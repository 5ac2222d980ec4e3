# Steam and its games. Among them may be Rust, the game; the toolchain of that name is rust.nu's.

use config.nu *
use moxc.nu *

# Who signs Steam's installer.
const steam_publisher = "Valve Corp."

# Installs Steam where the spec says, and looks whether its libraries and games are there.
#
# A login is a person's to do, and so is the question of each game where it goes: for what is missing, this script opens
# Steam's own dialogs and says in one line what to do in them. Run it as the user, with the rights of an administrator for
# the installation. Ends with 0 (done, or nothing to do, or the rest is yours) or 1 (something failed).
def main [
  --no-open # do not open Steam for the games that are missing
  --dry-run # say what would be done, and change nothing
  --json # print one JSON object at the end, and nothing else, to standard output
] {
  moxc-main "steam" --dry-run=$dry_run --json=$json {|| steam-all $moxc_config.steam (not $no_open) }
}

# The steps.
export def steam-all [steam: record, open: bool]: nothing -> list<any> {
  let installed = (moxc-step "Steam" {|| steam-install $steam })
  if $installed.outcome == "failed" { return [$installed] }
  let known = (steam-libraries $steam.install_dir)
  [
    [$installed]
    ($steam.libraries | each {|library| moxc-step $"library ($library)" {|| steam-library $library $known } })
    (steam-games $steam $known $open)
  ] | flatten
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

# Steam's own list of its folders with games; the folder of the client is always one. It is read, and never written: a
# Steam that runs writes its own over it.
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

def steam-library [library: string, known: list<string>]: nothing -> record {
  let folder = (steam-library-folder $library)
  if ([...$known $folder] | uniq --ignore-case | length) == ($known | length) { return (moxc-already) }
  moxc-manual $"in Steam, choose Settings, Storage, Add Drive, and name ($folder)"
}

# ---------------------------------------------------------------- games

# A step for each game that is there, and one for all that are not.
def steam-games [steam: record, known: list<string>, open: bool]: nothing -> list<any> {
  let games = ($steam.games | each {|game| {app_id: $game.app_id, title: (steam-title $game), state: (steam-state $game.app_id $known)} })
  let there = (
    $games | where state == "installed"
    | each {|game| {what: $game.title, outcome: "already", detail: "installed"} }
  )
  let coming = (
    $games | where state == "unfinished"
    | each {|game| {what: $game.title, outcome: "manual", detail: "Steam has not finished: start Steam, and let it"} }
  )
  let missing = ($games | where state == "missing")
  if ($missing | is-empty) { return [...$there ...$coming] }
  [...$there ...$coming (moxc-step "games" {|| steam-ask-for $steam $missing $open })]
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

# Opens a dialog for each game, and says what to do there.
def steam-ask-for [steam: record, missing: list<any>, open: bool]: nothing -> record {
  let names = ($missing | each {|game| $game.title } | str join ", ")
  let login = (if (moxc-path $steam.install_dir "config" "loginusers.vdf" | path exists) { "" } else { "log in to Steam, then " })
  let says = $"($login)confirm the installation of ($names) in Steam's dialog, and run steam.nu again to see that all is there"
  if not $open or (moxc-is-system) { return (moxc-manual $says) }
  for game in $missing {
    let url = $"steam://install/($game.app_id)"
    if (moxc-is-dry) { moxc-say $"would open ($url)" } else { steam-open $steam.install_dir $url }
  }
  moxc-manual $says
}

# By `start`, since Nushell would wait for Steam to end. The client's first start is what makes Windows know steam://.
def steam-open [folder: string, url: string]: nothing -> nothing {
  moxc-log "info" $"opens ($url)"
  try {
    if (ps | where {|process| $process.name =~ '(?i)^steam(\.exe)?$' } | is-empty) { start (moxc-path $folder "steam.exe") }
    start $url
  } catch {|e|
    moxc-log "warn" $"($url) cannot be opened: ($e.msg)"
  }
}
