# The packages of this guest, by winget.

use config.nu *
use moxc.nu *

# Installs the packages of winget that the spec names. What is there already is left as it is.
#
# Run it as the user: winget does not work for SYSTEM. Packages that install for the whole machine need an administrator.
# Ends with 0 (done, or nothing to do), 1 (something failed) or 3 (Windows must restart to finish).
def main [
  --upgrade # bring newer versions of the packages, too
  --dry-run # say what would be done, and change nothing
  --json # print one JSON object at the end, and nothing else, to standard output
] {
  moxc-main "winget" --dry-run=$dry_run --json=$json {|| winget-all $moxc_config.winget $upgrade }
}

# A step for each package.
export def winget-all [ids: list<any>, upgrade: bool]: nothing -> list<any> {
  if ($ids | is-empty) { return [] }
  moxc-need-winget
  [(moxc-step "Nushell stays" {|| winget-pin }) ...($ids | each {|id| moxc-step $id {|| winget-one $id $upgrade } })]
}

# A newer Nushell may not read these scripts: `winget upgrade --all` must leave it alone.
def winget-pin []: nothing -> record {
  if (moxc-look "winget" ["pin" "list" "--id" "Nushell.Nushell" "--exact" "--disable-interactivity"] {|args| ^winget ...$args }).stdout =~ 'Nushell\.Nushell' {
    return (moxc-already)
  }
  let args = ["pin" "add" "--id" "Nushell.Nushell" "--exact" "--accept-source-agreements" "--disable-interactivity"]
  try {
    moxc-change "winget" $args {|args| ^winget ...$args }
    moxc-did
  } catch {|e|
    # winget before 1.5 has no pins; nothing else hangs on it.
    moxc-already $"winget takes no pin: ($e.msg)"
  }
}

def winget-one [id: string, upgrade: bool]: nothing -> record {
  if not (moxc-winget-has $id) { return (moxc-winget-install $id) }
  if $upgrade { moxc-winget-install $id --upgrade } else { moxc-already "installed" }
}
