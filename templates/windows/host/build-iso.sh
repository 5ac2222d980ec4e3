#!/bin/bash
# <@ header|safe @>
#
# Makes the disc of answers for the Windows guest <@ guest|safe @>: the answers of Setup with the secrets filled in, and the
# files of this folder; installs the guest with it; and brings changed files into the guest when it runs. Without arguments
# it makes the disc. It runs on the Proxmox VE host, beside a copy of the tree.
#
# It is one group, so that a file that was cut does nothing but fail, and one that is replaced while it runs is not read on.
#
# shellcheck disable=SC2016,SC2034,SC2119,SC2120,SC2154,SC2317,SC2329
{
<% include "gate.sh" %>
<% include "tool.sh" %>
<% include "agent.sh" %>

guest=<@ guest @>
vmid=<@ vmid @>
user=<@ user @>
drive=<@ drive @>
# The disk that Windows goes onto.
system=<@ system @>
password_secret=<@ password_secret @>
key_secret=<@ key_secret @>
steam_secret=<@ steam_secret @>
domain_secret=<@ domain_secret @>
# Further accounts: name and secret, a line each.
accounts=(
<%- for one in accounts %>
  <@ one.name @> <@ one.secret @>
<%- endfor %>
)
is_server=<% if server %>1<% endif %>
is_ovmf=<% if ovmf %>1<% endif %>
has_network=<% if network %>1<% endif %>
# What is installed from a file: its name, where it is published, its SHA-256, a line each.
installers=(
<%- for one in installers %>
  <@ one.file @> <@ one.url @> <@ one.sha256 @>
<%- endfor %>
)
label=MOXC
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# Another place is for trials.
cache=${MOXC_CACHE_DIR:-/var/cache/moxc/installers}
storage=local
output=
secrets=/etc/moxc/secrets
packages=
no_download=
with_secrets=
action=
wait=7200

usage() {
  cat <<END
usage: $program [OPTIONS]

Makes the disc of answers for the Windows guest $guest ($vmid).

  --install         makes the disc, attaches it, starts the guest, answers the prompt of Windows' own disc, waits until
                    Windows is set up, tells how that went, and takes the discs out. The guest must be off.
  --push            brings the files of this folder into the guest while it runs, by its agent: only what differs; removes
                    what the spec has no more; and has the guest register and set what changed
  --with-secrets    with --push: brings the secrets of accounts, domain and Steam, too; the guest removes each when it has
                    served
  --remove          takes the disc out and removes it, since it holds the password
  --wait N          seconds that Windows may take to be set up (7200)

  --storage NAME    the storage that keeps the disc, as moxc-$guest.iso (local)
  --output FILE     the file itself instead
  --secrets DIR     where the secrets are ($secrets): one file each, for its owner alone:
                    $password_secret${key_secret:+, $key_secret}${steam_secret:+, $steam_secret (name and password, a line each)}${domain_secret:+, $domain_secret (name and password, a line each)}
  --packages DIR    takes installers from there, where they lie there with the right SHA-256
  --no-download     takes along only those that are here already: the guest downloads the others by itself
  --as-it-is FILE   takes this file of the tree although it was changed by hand, or is your own; may be given again
END
}

option() {
  local file
  case $1 in
    --storage) value storage ;;
    --output) value output ;;
    --secrets) value secrets ;;
    --packages) value packages ;;
    --no-download) no_download=1 ;;
    --with-secrets) with_secrets=1 ;;
    --wait) number wait ;;
    --as-it-is)
      value file
      as_it_is+=("$file")
      ;;
    --install | --push | --remove)
      if [[ -n $action && $action != "${1#--}" ]]; then
        wrong_usage "--$action and $1 are two things"
      fi
      action=${1#--}
      ;;
    *) return 1 ;;
  esac
}

begin "$@"
if ((${#operands[@]})); then
  wrong_usage "unknown argument ${operands[0]}"
fi
if [[ -n $with_secrets && $action != push ]]; then
  wrong_usage '--with-secrets goes with --push: the disc holds them anyway'
fi
if [[ -n $action && -n $output ]]; then
  wrong_usage "--$action is about the disc in the guest, and not about a file"
fi
know_node
# What goes into the guest is what was built: nothing of it is missing, cut, changed, or from elsewhere.
if [[ $action != remove ]]; then
  prove_tree "${here%/*/*}" '' "windows/${here##*/}/"
fi

# ---------------------------------------------------------------- secrets

# read_secret NAME VARIABLE...: the first lines of a secret's file, one a variable.
read_secret() {
  local file=$secrets/$1 name=$1 text
  shift
  if [[ ! -f $file ]]; then
    die "the secret $name is missing: put it into $file (mode 600)"
  fi
  if [[ $(stat -Lc %u "$file") != "$EUID" ]]; then
    die "$file belongs to somebody else: chown $EUID $file"
  fi
  if [[ $(stat -Lc %a "$file") != *00 ]]; then
    die "$file can be read by others: chmod 600 $file"
  fi
  while (($#)); do
    text=
    IFS= read -r text || true
    # Of a file that was written in Windows.
    text=${text%$'\r'}
    if [[ -z $text ]]; then
      die "$file is empty, or has too few lines"
    fi
    # The text itself is never shown.
    if [[ $text == *[[:cntrl:]]* || $text == *@MOXC_* ]]; then
      die "$file holds a control character or a placeholder"
    fi
    case $1 in
      password) password=$text ;;
      key) key=$text ;;
      steam_name) steam_name=$text ;;
      steam_password) steam_password=$text ;;
      domain_name) domain_name=$text ;;
      domain_password) domain_password=$text ;;
      account) account_passwords+=("$text") ;;
    esac
    shift
  done <"$file"
}

# A server refuses a password that breaks its rules, with an error that does not say so ("Password must meet complexity
# requirements": six characters, of three kinds, and not the account's name).
# check_password PASSWORD ACCOUNT SECRET
check_password() {
  local password=$1 kinds=0 lower_password=${1,,} lower_user=${2,,} secret=$3
  if [[ -z $is_server ]]; then
    return 0
  fi
  if [[ $password == *[[:upper:]]* ]]; then kinds=$((kinds + 1)); fi
  if [[ $password == *[[:lower:]]* ]]; then kinds=$((kinds + 1)); fi
  if [[ $password == *[[:digit:]]* ]]; then kinds=$((kinds + 1)); fi
  if [[ $password == *[^[:alnum:]]* ]]; then kinds=$((kinds + 1)); fi
  if ((${#password} < 6 || kinds < 3)); then
    die "Windows Server refuses the password in $secrets/$secret: it wants six characters, of three of upper case, lower case, digits and others"
  fi
  if ((${#user} > 2)) && [[ $lower_password == *"$lower_user"* ]]; then
    die "Windows Server refuses the password in $secrets/$secret: the name of its user is in it"
  fi
}

# as_xml TEXT: as an element holds it.
as_xml() {
  local text=$1
  text=${text//&/"&amp;"}
  text=${text//</"&lt;"}
  text=${text//>/"&gt;"}
  printf '%s' "$text"
}

# fill FILE: the answers with the secrets in them. By the shell's own means, so that no program's arguments hold them.
fill() {
  local text safe_password safe_key
  safe_password=$(as_xml "$password")
  safe_key=$(as_xml "$key")
  text=$(<"$here/autounattend.xml")
  text=${text//@MOXC_PASSWORD@/"$safe_password"}
  text=${text//@MOXC_PRODUCT_KEY@/"$safe_key"}
  printf '%s\n' "$text" >"$1"
}

# ---------------------------------------------------------------- installers

# has_hash FILE SHA256
has_hash() { [[ -f $1 ]] && printf '%s  %s\n' "$2" "$1" | sha256sum --check --status 2>/dev/null; }

# fetch URL FILE
fetch() {
  if command -v curl >/dev/null; then
    show curl --fail --location --silent --show-error --proto '=https' --connect-timeout 30 --max-time 1800 --max-filesize 4294967296 --output "$2" "$1"
  else
    show wget --quiet --https-only --timeout=30 --output-document="$2" "$1"
  fi
}

# have_installers: sees to it that each is here with its SHA-256: in the folder of --packages, or in the cache.
have_installers() {
  local at file url sha256
  for ((at = 0; at < ${#installers[@]}; at += 3)); do
    file=${installers[at]} url=${installers[at + 1]} sha256=${installers[at + 2]}
    if { [[ -n $packages ]] && has_hash "$packages/$file" "$sha256"; } || has_hash "$cache/$file" "$sha256"; then
      continue
    fi
    if [[ -n $no_download ]]; then
      if [[ -z $has_network ]]; then
        die "$file is not here, and $guest has no network to download it by: get $url, and name its folder by --packages"
      fi
      say "$guest downloads $file by itself"
      continue
    fi
    if ! command -v curl >/dev/null; then
      need wget
    fi
    if [[ -z $dry_run ]]; then
      mkdir -p -- "$cache"
    fi
    run fetch "$url" "$cache/$file.part" ||
      die "$url cannot be downloaded: get it by other means, and name its folder by --packages, or leave that to the guest by --no-download"
    if [[ -n $dry_run ]]; then
      continue
    fi
    if ! has_hash "$cache/$file.part" "$sha256"; then
      rm -f -- "$cache/$file.part"
      die "$url has another SHA-256 than $sha256: nothing of it was kept"
    fi
    mv -f -- "$cache/$file.part" "$cache/$file"
  done
}

# copy_installers FOLDER
copy_installers() {
  local at file sha256 from
  for ((at = 0; at < ${#installers[@]}; at += 3)); do
    file=${installers[at]} sha256=${installers[at + 2]}
    for from in "${packages:-$cache}" "$cache"; do
      if has_hash "$from/$file" "$sha256"; then
        cp -- "$from/$file" "$1/$file"
        break
      fi
    done
  done
}

# ---------------------------------------------------------------- the disc

# guest_files: what belongs into the guest, each name with a NUL behind it.
guest_files() {
  (cd "$here" && find . -type f ! -name autounattend.xml ! -name build-iso.sh ! -name drivers.cmd ! -name disk.vbs \
    ! -name push.ps1 ! -name '.*' ! -name '*~' ! -path './tests/*' -printf '%P\0' | sort -z)
}

burn() {
  if command -v genisoimage >/dev/null; then
    show genisoimage -quiet -volid "$label" -joliet -rational-rock -input-charset utf-8 -output "$2" "$1"
  else
    show xorriso -as mkisofs -quiet -volid "$label" -joliet -rational-rock -output "$2" "$1"
  fi
}

# make_work: a folder of our own, in memory where there is such a place: passwords come into it.
part=
work=
make_work() {
  local memory=/dev/shm
  if [[ ! -d $memory || ! -w $memory ]]; then
    memory=${TMPDIR:-/tmp}
  fi
  work=$(mktemp -d -p "$memory" moxc-windows.XXXXXXXX)
  at_exit tidy
}
tidy() { rm -rf ${part:+"$part"} ${work:+"$work"}; }

# Whether a person has confirmed that what the system disk holds is lost.
wipes=

write_disc() (
  umask 077
  disc=$work/disc
  mkdir -p "$disc/moxc/files" "$disc/moxc/packages"
  fill "$disc/autounattend.xml"
  cp "$here/bootstrap.ps1" "$here/drivers.cmd" "$here/disk.vbs" "$disc/moxc/"
  if [[ -n $wipes ]]; then
    printf 'what the system disk holds may be lost\r\n' >"$disc/moxc/confirmed"
  fi
  while IFS= read -r -d '' file; do
    mkdir -p "$disc/moxc/files/$(dirname "$file")"
    cp "$here/$file" "$disc/moxc/files/$file"
  done < <(guest_files)
  copy_installers "$disc/moxc/packages"
  if [[ -n $steam_secret$domain_secret || ${#accounts[@]} -gt 0 ]]; then
    mkdir "$disc/moxc/secrets"
    write_secrets "$disc/moxc/secrets"
  fi
  burn "$disc" "$part" || die 'the disc could not be made'
  chmod 600 "$part"
  mv -f "$part" "$1"
)

password='' key='' steam_name='' steam_password='' domain_name='' domain_password=''
# One for each of the accounts, in their order.
account_passwords=()

# read_secrets: what the guest itself needs of them.
read_secrets() {
  local at
  if [[ -n $steam_secret ]]; then
    read_secret "$steam_secret" steam_name steam_password
  fi
  if [[ -n $domain_secret ]]; then
    read_secret "$domain_secret" domain_name domain_password
  fi
  for ((at = 0; at < ${#accounts[@]}; at += 2)); do
    read_secret "${accounts[at + 1]}" account
    check_password "${account_passwords[-1]}" "${accounts[at]}" "${accounts[at + 1]}"
  done
}

# write_secrets FOLDER: a file each, as the guest looks for it.
write_secrets() {
  local at
  if [[ -n $steam_secret ]]; then
    printf '%s\r\n' "$steam_name" "$steam_password" >"$1/steam"
  fi
  if [[ -n $domain_secret ]]; then
    printf '%s\r\n' "$domain_name" "$domain_password" >"$1/domain"
  fi
  for ((at = 0; at < ${#accounts[@]}; at += 2)); do
    printf '%s\r\n' "${account_passwords[at / 2]}" >"$1/account-${accounts[at + 1]}"
  done
}

make_disc() {
  command -v genisoimage >/dev/null || need xorriso
  need sha256sum
  if [[ ! -f $here/autounattend.xml ]]; then
    die "$here/autounattend.xml is not there: run this script in its folder of the tree"
  fi
  if [[ -n $packages && ! -d $packages ]]; then
    die "$packages is no folder"
  fi
  read_secret "$password_secret" password
  check_password "$password" "$user" "$password_secret"
  if [[ -n $key_secret ]]; then
    read_secret "$key_secret" key
    if [[ ! $key =~ ^[A-Z0-9]{5}(-[A-Z0-9]{5}){4}$ ]]; then
      die "$secrets/$key_secret holds no product key: five groups of five letters and digits"
    fi
  fi
  read_secrets
  have_installers
  if [[ -e $target ]]; then
    ask "Replace $target?"
  fi
  if [[ -z $dry_run ]]; then
    part=$(mktemp -- "$target.tmp.XXXXXXXX") || die "cannot write beside $target"
    make_work
  fi
  run write_disc "$target"
}

# ---------------------------------------------------------------- the guest and its drives

# Its configuration, one option a line.
config=
read_guest() {
  hear qm config "$vmid" || die "there is no guest $vmid: $(last_line "$heard_err")"
  config=$heard
  if [[ $config =~ (^|$'\n')lock:\ ([a-z-]+) ]]; then
    later "guest $vmid is locked (${BASH_REMATCH[2]}): nothing was done"
  fi
}

# configured KEY: its line in the configuration, without the key.
configured() { sed -n "s|^$1: ||p" <<<"$config"; }

# discs: the drives with a disc in them, and the disc: `ide2 local:iso/x.iso`.
discs() { sed -nE 's/^((ide|sata|scsi)[0-9]+): ([^,]+),(.*,)?media=cdrom(,.*)?$/\1 \3/p' <<<"$config" | grep -v ' none$' || true; }

is_off() { hear qm status "$vmid" && [[ $heard == 'status: stopped' ]]; }

# eject DRIVE: a drive of a running guest cannot be taken away, and its disc can.
eject() { run qm set "$vmid" "--$1" none,media=cdrom; }

# take_out: the disc of answers goes, with its drive.
take_out() {
  local where _
  while read -r where _; do
    if [[ -n $where ]]; then
      eject "$where"
      run qm set "$vmid" --delete "$where"
    fi
  done < <(discs | grep -F " $volume" || true)
  run rm -f -- "$target"
}

# ---------------------------------------------------------------- installing

# disk_is_empty: whether the disk that Windows goes onto holds nothing. What cannot be looked at may hold something.
disk_is_empty() {
  local line path
  line=$(configured "$system")
  line=${line%%,*}
  gated volume "$line" || return 1
  hear pvesm path "$line" || return 1
  path=$heard
  gated path "$path" || return 1
  case $path in
    *.qcow2 | *.vmdk)
      command -v qemu-img >/dev/null || return 1
      hear_list qemu-img map --output=json -- "$path" || return 1
      rows 'exit 1 if grep { $_->{data} && !$_->{zero} } @$d' <<<"$heard" >/dev/null 2>&1
      ;;
    *) [[ -r $path && -z $(head -c 67108864 -- "$path" | tr -d '\0' | head -c 1 | base64) ]] ;;
  esac
}

# has_read: how many bytes the guest has read of all its drives.
bytes_read=0
has_read() {
  local line
  bytes_read=0
  hear pvesh get "/nodes/$node/qemu/$vmid/status/current" --output-format json || return 1
  line=$(rows 'row($d->{diskread} // 0)' <<<"$heard" 2>/dev/null) || return 1
  take "guest $vmid" bytes_read:bytes <<<"$line"
}

# begin_setup: until Windows PE is being read, which is half a gigabyte. Under OVMF, Windows' own disc asks for a key first,
# for five seconds, and goes on to nothing; a key that comes when it does not ask is nobody's.
begin_setup() {
  local round at pause=${MOXC_POLL:-1}
  for round in 1 2 3; do
    for ((at = 0; at < 60; at++)); do
      if has_read && ((bytes_read > 67108864)); then
        return 0
      fi
      if [[ -n $is_ovmf ]]; then
        hear qm sendkey "$vmid" spc || true
      fi
      sleep "$pause"
    done
    if ((round < 3)); then
      say "guest $vmid has not started from its disc: resets it"
      run qm reset "$vmid"
    fi
  done
  return 1
}

# setup_state: what the guest says of its setup: how far it is, and what went wrong.
setup_status='' setup_step='' setup_message=''
setup_state() {
  local line
  setup_status='' setup_step='' setup_message=''
  in_guest "$vmid" 60 cmd.exe /c type "$guest_root\\state\\bootstrap.json" || return 1
  line=$(guest_json 'row((map { my $word = $_ // ""; $word =~ /^[a-z-]{1,20}\z/ ? $word : "" } @$d{qw(status step)}), "$d->{message}")') || return 1
  take "guest $vmid" setup_status:name? setup_step:name? setup_message:text <<<"$line"
}

# await_setup: until the guest says that it is set up.
await_setup() {
  local until=$((SECONDS + wait)) shown=''
  while true; do
    if is_off; then
      die "guest $vmid is off: see its console. The disc stays in it: --remove takes it out"
    fi
    if setup_state; then
      case $setup_status in
        done | restart) return 0 ;;
        failed)
          failed "guest $vmid: the step ${setup_step:-of its setup} failed: $setup_message" vmid "$vmid"
          return 1
          ;;
      esac
      if [[ $setup_step != "$shown" ]]; then
        shown=$setup_step
        say "guest $vmid: ${setup_step:-runs}" vmid "$vmid" step "$setup_step"
      fi
    fi
    if ((SECONDS >= until)); then
      failed "guest $vmid is not set up within $wait seconds: see its console" vmid "$vmid"
      return 1
    fi
    sleep "$step"
  done
}

install_guest() {
  local there where what
  need qm pvesh perl
  lock "windows-$vmid"
  read_guest
  what=$(configured agent)
  if [[ ! $what =~ ^(enabled=)?1(,|$) ]]; then
    die "guest $vmid has no agent, which tells how far Windows is: agent = true in the spec, and apply it"
  fi
  if ! is_off; then
    refuse "guest $vmid is not off: an installation begins with a start"
  fi
  if [[ -z $system || -z $(configured "$system") ]]; then
    die "guest $vmid has no disk to install Windows on"
  fi
  mapfile -t there < <(discs | grep -vF " $volume")
  if ((${#there[@]} < 2)); then
    die "guest $vmid has not both discs, Windows' own and that of virtio-win: name them by iso in the spec, and apply it"
  fi
  what=$(configured "$drive")
  if [[ -n $what && $what != "$volume"* && $what != none,* ]]; then
    die "the drive $drive of guest $vmid, where the disc goes, holds something else"
  fi
  if ! disk_is_empty; then
    confirm "$vmid" "what the disk $system of guest $vmid holds is lost"
    wipes=1
  fi
  make_disc
  run qm set "$vmid" "--$drive" "$volume,media=cdrom"
  run qm start "$vmid"
  if [[ -n $dry_run ]]; then
    announce qm sendkey "$vmid" spc
    return 0
  fi
  if ! begin_setup; then
    die "guest $vmid does not start from its disc: is it one of Windows? See its console. The disc of answers stays in it: --remove takes it out"
  fi
  say "guest $vmid: Windows is being installed" vmid "$vmid"
  if ! await_setup; then
    say "The disc of answers stays in $drive, so that it can go on: --remove takes it out" vmid "$vmid"
    return 0
  fi
  read_guest
  while read -r where what; do
    if [[ -n $where && $what != "$volume" ]]; then
      eject "$where"
    fi
  done < <(discs)
  take_out
  if [[ $setup_status == restart ]]; then
    say "guest $vmid is set up, and restarts when its first logon is through" vmid "$vmid"
  else
    say "guest $vmid is set up; what its user has is being installed" vmid "$vmid"
  fi
  count 'installed'
}

# ---------------------------------------------------------------- bringing changes

# What is handed to PowerShell: it reads the script and the data from its standard input, so that nothing of either is quoted.
receiver='$l=@($input); if ($l.Count -eq 0) { $l=[Console]::In.ReadToEnd().Split([char]10) }; & ([scriptblock]::Create([Text.Encoding]::UTF8.GetString([Convert]::FromBase64String($l[0])))) $l'

# to_guest FILE: hands the lines of a file to push.ps1 in the guest, and compares what comes back: $agrees holds the names
# that the guest has with the SHA-256 of the tree, $removed what it removed.
declare -A wanted=() agrees=()
removed=()
to_guest() {
  local status=0 line kind='' name='' hash='' said=''
  agrees=() removed=()
  guest_input=$1
  in_guest "$vmid" 300 powershell.exe -NoLogo -NoProfile -NonInteractive -ExecutionPolicy Bypass -Command "$receiver" || status=$?
  guest_input=
  if ((status == 125)); then
    problem='the agent does not answer'
    return 1
  fi
  line=$(guest_json 'row("error", "", "", $d->{error}); row("file", $_->{path}, $_->{sha256}, "") for @{$d->{files}}; row("removed", "", "", $_) for @{$d->{removed}}') || {
    problem='its answer is none'
    return 1
  }
  problem=
  while take "an answer of guest $vmid" kind:name name:word? hash:word? said:text; do
    case $kind in
      error) problem=$said ;;
      # A name is looked up among ours, and is nothing else.
      file)
        if [[ -n $name && -n $hash && ${wanted[$name]:-} == "$hash" ]]; then
          agrees[$name]=1
        fi
        ;;
      removed) removed+=("$said") ;;
    esac
  done <<<"$line"
  if [[ -n $problem ]]; then
    return 1
  fi
}

base64_of() { base64 --wrap=0; }

# job NAME: begins a file for to_guest.
job() {
  base64_of <"$here/push.ps1" >"$work/job"
  printf '\n%s\n' "$1" >>"$work/job"
}

push() {
  local file raw name='' hash='' sent=0 size=0 names=() changed=()
  need qm perl base64 sha256sum
  lock "windows-$vmid"
  read_guest
  if [[ ! -f $here/push.ps1 ]]; then
    die "$here/push.ps1 is not there: run this script in its folder of the tree"
  fi
  if ! answers "$vmid"; then
    die "guest $vmid: the agent does not answer: is it running, and set up?"
  fi
  if [[ -n $with_secrets ]]; then
    read_secrets
  fi
  make_work
  while IFS= read -r -d '' file; do
    raw=$(sha256sum <"$here/$file")
    must word hash "${raw%% *}" "the SHA-256 of $file"
    must word name "$file" 'a file of the tree'
    wanted[$name]=$hash
    names+=("$file")
  done < <(guest_files)
  job hashes
  to_guest "$work/job" || die "guest $vmid: $problem"
  for file in "${names[@]}"; do
    must word name "$file" 'a file of the tree'
    if [[ -z ${agrees[$name]:-} ]]; then
      changed+=("$name")
      announce send "$name"
    fi
  done
  if [[ -n $with_secrets ]]; then
    announce send 'the secrets'
  fi
  if [[ -n $dry_run ]]; then
    return 0
  fi
  # In parts: the agent takes a limited amount at once.
  job put
  for file in "${changed[@]}"; do
    must word name "$file" 'a file of the tree'
    printf '%s %s %s\n' "${wanted[$name]}" "$(printf '%s' "$name" | base64_of)" "$(base64_of <"$here/$name")" >>"$work/job"
    raw=$(stat -c %s "$work/job")
    must bytes size "$raw" 'the size of a file'
    sent=1
    if ((size > 300000)); then
      to_guest "$work/job" || die "guest $vmid: $problem"
      job put
      sent=0
    fi
  done
  if ((sent)); then
    to_guest "$work/job" || die "guest $vmid: $problem"
  fi
  job settle
  for file in "${names[@]}"; do
    must word name "$file" 'a file of the tree'
    printf '%s %s\n' "${wanted[$name]}" "$(printf '%s' "$name" | base64_of)" >>"$work/job"
  done
  to_guest "$work/job" || die "guest $vmid: $problem"
  for file in "${names[@]}"; do
    must word name "$file" 'a file of the tree'
    if [[ -z ${agrees[$name]:-} ]]; then
      die "guest $vmid has not $name as it was sent"
    fi
  done
  for file in "${removed[@]}"; do say "removed $file" vmid "$vmid"; done
  if [[ -n $with_secrets ]]; then
    push_secrets
  fi
  settle_guest
}

# push_secrets: by standard input, as all that is handed over; the guest answers with no word of them.
push_secrets() (
  umask 077
  mkdir "$work/secrets"
  write_secrets "$work/secrets"
  job secrets
  for file in "$work/secrets/"*; do
    if [[ -f $file ]]; then
      printf '%s %s\n' "$(printf '%s' "${file##*/}" | base64_of)" "$(base64_of <"$file")" >>"$work/job"
    fi
  done
  to_guest "$work/job" || die "guest $vmid: $problem"
)

# settle_guest: the guest registers its tasks, and sets what changed.
settle_guest() {
  local status=0
  in_guest "$vmid" "$wait" powershell.exe -NoLogo -NoProfile -NonInteractive -ExecutionPolicy Bypass -File "$guest_root\\bootstrap.ps1" -Pushed || status=$?
  if setup_state && [[ $setup_status == failed ]]; then
    failed "guest $vmid: the step ${setup_step:-of its setup} failed: $setup_message" vmid "$vmid"
    return 0
  fi
  case $status in
    0) say "guest $vmid is as the tree has it" vmid "$vmid" ;;
    3) found "guest $vmid is as the tree has it, and must restart to finish" vmid "$vmid" ;;
    125) failed "guest $vmid: the agent has not answered within $wait seconds" vmid "$vmid" ;;
    *) failed "guest $vmid: its setup ended with status $status: see C:\\ProgramData\\moxc\\log" vmid "$vmid" ;;
  esac
  count 'brought up to date'
}

# ---------------------------------------------------------------- what is asked for

if [[ $action == push ]]; then
  push
  exit 0
fi
volume=$storage:iso/moxc-$guest.iso
if [[ -n $output ]]; then
  target=$output
else
  need pvesm
  must store storage "$storage" 'the storage of --storage'
  # The storage's own word for the place: its folder differs by kind.
  hear pvesm path "$volume" || die "storage $storage keeps no ISO images"
  must path target "$heard" "the place of $volume"
fi

case $action in
  install) install_guest ;;
  remove)
    lock "windows-$vmid"
    if [[ -e $target ]]; then
      ask "Remove $target?"
      if command -v qm >/dev/null && hear qm config "$vmid"; then
        config=$heard
      fi
      take_out
    fi
    ;;
  *)
    lock "windows-$vmid"
    make_disc
    if [[ -z $output ]]; then
      say "Attach it beside Windows' own disc and that of virtio-win, and start the guest (--install does all of it):"
      say "  qm set $vmid --$drive $volume,media=cdrom"
      say "  qm start $vmid"
      if [[ -n $is_ovmf ]]; then
        say "  and press a key when Windows' disc asks for one: qm sendkey $vmid spc"
      fi
      say 'When Windows is set up, remove it, since it holds the password:'
      say "  $0 --remove"
    fi
    ;;
esac
exit
}
