# The Rust toolchain: build tools, rustup, environment and projects. (The game of that name is steam.nu's.)

use config.nu *
use moxc.nu *

# Brings the Rust toolchain to what the spec says: Microsoft's build tools where the host is `msvc`, the C compiler of
# MSYS2 where it is `gnu`, environment variables, rustup with its toolchain, components and targets, and the projects, cloned or created, with their
# dependencies fetched.
#
# Run it as the user. The build tools need an administrator, and a licence of Visual Studio.
# Ends with 0 (done, or nothing to do), 1 (something failed) or 3 (Windows must restart to finish).
def main [
  --dry-run # say what would be done, and change nothing
  --json # print one JSON object at the end, and nothing else, to standard output
] {
  moxc-main "rust" --dry-run=$dry_run --json=$json {|| rust-all $moxc_config.rust }
}

# The steps, in an environment as it will be at the next logon.
export def rust-all [rust: record]: nothing -> list<any> {
  let tools = (
    if (rust-wants-build-tools $rust.host) {
      [(moxc-step "build tools" {|| rust-build-tools $rust.host })]
    } else if ($rust.host | str ends-with "-gnu") {
      [(moxc-step "MSYS2" {|| rust-msys }) (moxc-step "C compiler" {|| rust-compiler $rust.host })]
    } else {
      []
    }
  )
  let asked = (try { {variables: (rust-ask-environment $rust.environment), error: ""} } catch {|e| {variables: [], error: $e.msg} })
  if $asked.error != "" { return [...$tools {what: "environment", outcome: "failed", detail: $asked.error}] }
  let wanted = $asked.variables
  let set = ($wanted | each {|variable| moxc-step $"variable ($variable.name)" {|| rust-set-variable $variable } })
  let ours = ($wanted | reduce --fold {} {|variable, all| $all | upsert $variable.name $variable.expanded })
  let bin = (with-env $ours { rust-bin })
  let rustup = (with-env $ours { moxc-step "rustup" {|| rust-install-rustup $rust $bin } })
  let begun = [...$tools ...$set $rustup]
  if $rustup.outcome == "failed" { return $begun }
  with-env $ours {
    $env.PATH = (moxc-search $bin)
    let toolchain = [
      (moxc-step "PATH" {|| rust-path $bin })
      (moxc-step $"toolchain (rust-toolchain $rust)" {|| rust-install-toolchain $rust $bin })
      (moxc-step "default toolchain" {|| rust-default $rust $bin })
    ]
    # The projects need the toolchain, so they come after it.
    let projects = ($rust.projects | each {|project| rust-project $project } | flatten)
    [...$begun ...$toolchain ...$projects]
  }
}

# ---------------------------------------------------------------- build tools

# Whether a host links by Microsoft's tools.
export def rust-wants-build-tools [host: string]: nothing -> bool { $host | str ends-with "-msvc" }

# The component of Visual Studio that links for a host.
export def rust-linker [host: string]: nothing -> string {
  if ($host | str starts-with "aarch64-") {
    "Microsoft.VisualStudio.Component.VC.Tools.ARM64"
  } else {
    "Microsoft.VisualStudio.Component.VC.Tools.x86.x64"
  }
}

def rust-build-tools [host: string]: nothing -> record {
  let linker = (rust-linker $host)
  if (rust-has-build-tools $linker) { return (moxc-already) }
  (moxc-install "build-tools"
    "--add" $linker
    "--add" "Microsoft.VisualStudio.Component.Windows11SDK.22621"
    "--addProductLang" "En-us")
}

# Visual Studio's own program tells which of its products have a component.
def rust-has-build-tools [linker: string]: nothing -> bool {
  let files = ($env | get --optional "ProgramFiles(x86)" | default 'C:\Program Files (x86)')
  let folder = (moxc-path $files "Microsoft Visual Studio" "Installer")
  $env.PATH = (moxc-search --last $folder)
  if (which vswhere | is-empty) { return false }
  let args = ["-products" "*" "-requires" $linker "-property" "installationPath"]
  let r = (moxc-look "vswhere" $args {|args| ^vswhere ...$args })
  $r.exit_code == 0 and ($r.stdout | str trim) != ""
}

# ---------------------------------------------------------------- the gnu host

# Where MSYS2 installs itself.
const rust_msys_root = 'C:\msys64'

# Off Windows, MOXC_MSYS makes believe, for tests.
def rust-msys-root []: nothing -> string { $env.MOXC_MSYS? | default $rust_msys_root }

# rustup brings a linker for the gnu host, and no C compiler: crates that hold C code want one.
def rust-msys []: nothing -> record {
  if (moxc-path (rust-msys-root) "usr" "bin" "pacman.exe" | path exists) { return (moxc-already) }
  moxc-install "msys2"
}

# The environment of MSYS2 that has Rust's C runtime (msvcrt): its name, and how its packages begin.
export def rust-environment-of [host: string]: nothing -> record {
  if ($host | str starts-with "i686-") { {name: "mingw32", packages: "mingw-w64-i686"} } else { {name: "mingw64", packages: "mingw-w64-x86_64"} }
}

# Compiler and pkg-config, and their folder at the end of the user's PATH.
def rust-compiler [host: string]: nothing -> record {
  let environment = (rust-environment-of $host)
  let bin = (moxc-path (rust-msys-root) $environment.name "bin")
  let there = (moxc-path $bin "gcc.exe" | path exists)
  if not $there {
    let packages = (["gcc" "pkgconf"] | each {|name| $"($environment.packages)-($name)" })
    let args = ["-S" "--refresh" "--needed" "--noconfirm" ...$packages]
    $env.PATH = (moxc-search (moxc-path (rust-msys-root) "usr" "bin"))
    moxc-change "pacman" $args {|args| ^pacman ...$args }
    if not (moxc-is-dry) and not (moxc-path $bin "gcc.exe" | path exists) {
      error make {msg: $"pacman ended well, and there is no gcc in ($bin)"}
    }
  }
  let path = (rust-path $bin)
  if $there { $path } else { moxc-did $bin }
}

# ---------------------------------------------------------------- environment

# The variables of the spec, with what the user has now and what the text means when Windows has filled in its %NAMES%.
def rust-ask-environment [variables: list<any>]: nothing -> list<any> {
  if ($variables | is-empty) { return [] }
  (moxc-ask {do: "environment", variables: $variables}).variables
}

def rust-set-variable [variable: record]: nothing -> record {
  if $variable.now == $variable.value { return (moxc-already) }
  moxc-order {do: "set-environment", name: $variable.name, value: $variable.value}
  moxc-did $variable.value
}

# Where cargo and rustup put their programs.
def rust-bin []: nothing -> string {
  let own = ($env.CARGO_HOME? | default "")
  moxc-path (if $own == "" { moxc-path (moxc-folder "USERPROFILE") ".cargo" } else { $own }) "bin"
}

# rustup does this itself; a user may have undone it.
def rust-path [bin: string]: nothing -> record {
  let profile = ($env.USERPROFILE? | default "")
  let now = ((moxc-ask {do: "path"}).now | split row ";" | each {|folder| $folder | str replace --all "%USERPROFILE%" $profile })
  if ($now | any {|folder| ($folder | str trim --right --char "\\") =~ $"^\(?i)(rust-escape $bin)$" }) { return (moxc-already) }
  moxc-order {do: "add-path", folder: $bin}
  moxc-did $bin
}

# A text as a regular expression that fits it alone.
export def rust-escape [text: string]: nothing -> string {
  $text | str replace --all --regex '([\\.+*?()|\[\]{}^$#&~-])' '\$1'
}

# ---------------------------------------------------------------- toolchain

# The toolchain by its full name.
export def rust-toolchain [rust: record]: nothing -> string {
  if ($rust.toolchain | str ends-with $"-($rust.host)") { $rust.toolchain } else { $"($rust.toolchain)-($rust.host)" }
}

# Pairs of a flag and each of its values.
export def rust-flags [flag: string, values: list<any>]: nothing -> list<string> {
  $values | each {|value| [$flag $value] } | flatten
}

def rust-install-rustup [rust: record, bin: string]: nothing -> record {
  if (moxc-path $bin "rustup.exe" | path exists) { return (moxc-already) }
  let url = $"($rust.dist)/($rust.host)/rustup-init.exe"
  let file = (moxc-download $url "rustup-init.exe" {|file| rust-check-hash $file $"($url).sha256" })
  let args = [
    "-y" "--default-host" $rust.host "--default-toolchain" (rust-toolchain $rust) "--profile" "default"
    ...(rust-flags "-c" $rust.components) ...(rust-flags "-t" $rust.targets)
  ]
  $env.PATH = (moxc-search (moxc-parent $file))
  moxc-change "rustup-init.exe" $args {|args| ^rustup-init.exe ...$args }
  if not (moxc-is-dry) and not (moxc-path $bin "rustup.exe" | path exists) {
    error make {msg: $"rustup-init ended well, and there is no rustup in ($bin)"}
  }
  moxc-did
}

# rustup-init is not signed: its hash stands beside it.
def rust-check-hash [file: string, url: string]: nothing -> nothing {
  let wanted = (moxc-fetch-text $url | str trim | split row " " | first)
  if $wanted !~ '^[0-9a-f]{64}$' { error make {msg: $"($url) holds no SHA-256"} }
  let found = (open --raw $file | hash sha256)
  if $found != $wanted { error make {msg: $"the SHA-256 is ($found), and should be ($wanted)"} }
}

# Runs rustup to look; in a dry run it may not be there yet.
def rust-list [bin: string, args: list<string>]: nothing -> list<string> {
  if not (moxc-path $bin "rustup.exe" | path exists) { return [] }
  let r = (moxc-look "rustup" $args {|args| ^rustup ...$args })
  if $r.exit_code != 0 { error make {msg: (moxc-failure "rustup" $r)} }
  $r.stdout | lines | each {|line| $line | str trim | split row " " | first } | where {|line| $line != "" }
}

def rust-install-toolchain [rust: record, bin: string]: nothing -> record {
  let name = (rust-toolchain $rust)
  let there = ($name in (rust-list $bin ["toolchain" "list"]))
  let has = {|what| if $there { rust-list $bin [$what "list" "--installed" "--toolchain" $name] } else { [] } }
  let components = (do $has "component")
  let targets = (do $has "target")
  # A component of one host alone is listed with the host behind it.
  let components = ($rust.components | where {|c| $c not-in $components and $"($c)-($rust.host)" not-in $components })
  let targets = ($rust.targets | where {|target| $target not-in $targets })
  if $there and ($components | is-empty) and ($targets | is-empty) { return (moxc-already) }
  let args = [
    "toolchain" "install" $name "--profile" "default" "--no-self-update"
    ...(rust-flags "--component" $components) ...(rust-flags "--target" $targets)
  ]
  moxc-change "rustup" $args {|args| ^rustup ...$args }
  moxc-did
}

def rust-default [rust: record, bin: string]: nothing -> record {
  let name = (rust-toolchain $rust)
  if (try { rust-list $bin ["default"] | first } catch { "" }) == $name { return (moxc-already $name) }
  moxc-change "rustup" ["default" $name] {|args| ^rustup ...$args }
  moxc-did $name
}

# ---------------------------------------------------------------- projects

# Two steps: the folder, and what it depends on.
def rust-project [project: record]: nothing -> list<any> {
  let made = (moxc-step $"project ($project.name)" {||
    if $project.git == "" { rust-new $project } else { rust-clone $project }
  })
  if $made.outcome == "failed" { return [$made] }
  [$made (moxc-step $"dependencies of ($project.name)" {|| rust-fetch $project })]
}

def rust-new [project: record]: nothing -> record {
  if (moxc-path $project.path "Cargo.toml" | path exists) { return (moxc-already $project.path) }
  if (rust-is-taken $project.path) {
    error make {msg: $"($project.path) is there and holds no Cargo.toml: empty it, or give the project another path"}
  }
  moxc-make-folder (moxc-parent $project.path)
  moxc-change "cargo" ["new" "--name" $project.name "--" $project.path] {|args| ^cargo ...$args }
  moxc-did $project.path
}

def rust-clone [project: record]: nothing -> record {
  if (moxc-path $project.path ".git" | path exists) { return (moxc-already $project.path) }
  if (rust-is-taken $project.path) {
    error make {msg: $"($project.path) is there and is no clone: empty it, or give the project another path"}
  }
  moxc-make-folder (moxc-parent $project.path)
  rust-need-git
  $env.PATH = (moxc-search --last 'C:\Program Files\Git\cmd')
  moxc-change "git" ["clone" "--" $project.git $project.path] {|args| ^git ...$args }
  moxc-did $project.path
}

# Installs git where it is not there.
def rust-need-git []: nothing -> nothing {
  $env.PATH = (moxc-search --last 'C:\Program Files\Git\cmd')
  if (which git | is-not-empty) { return }
  let git = (moxc-install "git")
  if $git.outcome == "failed" { error make {msg: $"git is not there, and cannot be installed: ($git.detail)"} }
}

# Whether something stands at a path that is not ours to write over.
def rust-is-taken [path: string]: nothing -> bool {
  if not ($path | path exists) { return false }
  if ($path | path type) != "dir" { return true }
  ls --all $path | is-not-empty
}

# What is there already is found without the network, and without a change of the lock file.
def rust-fetch [project: record]: nothing -> record {
  let manifest = (moxc-path $project.path "Cargo.toml")
  let fetch = ["fetch" "--manifest-path" $manifest]
  if not ($manifest | path exists) {
    if not (moxc-is-dry) { return (moxc-already "no Cargo.toml at the top") }
  } else {
    let look = [...$fetch "--locked" "--offline"]
    if (which cargo | is-not-empty) and (moxc-look "cargo" $look {|args| ^cargo ...$args }).exit_code == 0 { return (moxc-already) }
  }
  moxc-change "cargo" $fetch {|args| ^cargo ...$args }
  moxc-did
}
