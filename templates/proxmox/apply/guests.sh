# ---------------------------------------------------------------- guests

# What a guest's file says: read_config fills these.
declare -A config=()
config_keys=()
config_raw=()

# read_config: takes a guest's configuration from standard input, up to its first section.
read_config() {
  local line key notes=
  config=()
  config_keys=()
  config_raw=()
  while IFS= read -r line; do
    case $line in
      '['*) break ;;
      '#'*) notes+=${line#\#}$'\n' ;;
      lxc.*) config_raw+=("$line") ;;
      *': '*)
        key=${line%%: *}
        config[$key]=${line#*: }
        config_keys+=("$key")
        ;;
    esac
  done
  if [[ -n $notes ]]; then
    config[description]=$(decoded "$notes")
    config_keys+=(description)
  elif [[ -n ${config[description]:-} ]]; then
    config[description]=$(decoded "${config[description]}")
  fi
}

# decoded TEXT: Proxmox VE writes some characters of a description as %XX, and before 8.2 a lone % as it is.
decoded() {
  printf '%b' "$(sed -E 's/\\/\\\\/g; s/%([0-9A-Fa-f]{2})/\\x\1/g' <<<"$1")"
}

# is_volume KEY VALUE: whether the value names a volume of a storage that belongs to the guest.
is_volume() {
  [[ $1 =~ ^(scsi|virtio|sata|ide|mp)[0-9]+$|^(efidisk0|tpmstate0|rootfs)$ &&
    $2 =~ ^[A-Za-z][A-Za-z0-9._-]*: && ,$2, != *,media=cdrom,* ]]
}

# option VALUE NAME: the value of NAME= in a property string.
option() {
  local part
  local IFS=,
  for part in $1; do
    if [[ $part == "$2="* ]]; then
      printf '%s' "${part#*=}"
      return 0
    fi
  done
}

# without VALUE NAME...: a property string without these options.
without() {
  local value=$1 part name text='' skip
  shift
  local IFS=,
  for part in $value; do
    skip=
    for name; do
      if [[ $part == "$name="* ]]; then
        skip=1
      fi
    done
    if [[ -z $skip ]]; then
      text+=,$part
    fi
  done
  printf '%s' "${text#,}"
}

# in_gib SIZE: 1536M → 1.5
in_gib() {
  awk -v size="$1" 'BEGIN {
    factor["K"] = 1 / 1048576; factor["M"] = 1 / 1024; factor["G"] = 1; factor["T"] = 1024
    unit = substr(size, length(size))
    gib = unit in factor ? size * factor[unit] : size / 1073741824
    text = sprintf("%.10f", gib); sub(/0+$/, "", text); sub(/\.$/, "", text); print text
  }'
}

# is_larger SIZE SIZE: whether the first is the larger one.
is_larger() { awk -v a="$(in_gib "$1")" -v b="$(in_gib "$2")" 'BEGIN { exit !(a > b) }'; }

# new_volume KEY VALUE: what makes qm or pct allocate the volume of a drive: STORAGE:GIB and its options.
new_volume() {
  local volume=${2%%,*} options gib
  options=$(without "$2" size)
  options=${options#"$volume"}
  case $1 in
    # Their sizes follow from what they are; a number must be there all the same.
    efidisk0 | tpmstate0) gib=1 ;;
    *) gib=$(in_gib "$(option "$2" size)") ;;
  esac
  printf '%s' "${volume%%:*}:$gib$options"
}

# comparable KEY VALUE: equal texts mean the same to Proxmox VE.
comparable() {
  case $1 in
    tags) tr -s ';, ' '\n' <<<"$2" | sort -u ;;
    description) printf '%s' "$2" ;;
    # ms-cert is Proxmox VE's own note of the keys in it.
    *) without "$2" size ms-cert | tr ',' '\n' | sort ;;
  esac
}

# apply_guest qm|pct qemu-server|lxc FILE
apply_guest() {
  local tool=$1 folder=$2 vmid=${3##*/}
  vmid=${vmid%.conf}
  read_config <"$3"
  if [[ -e $pve/$folder/$vmid.conf ]]; then
    update_guest "$tool" "$folder" "$vmid"
  else
    create_guest "$tool" "$vmid"
  fi
  if [[ $tool == pct ]]; then
    add_raw_lines "$vmid"
  fi
}

create_guest() {
  local tool=$1 vmid=$2 key value
  local arguments=("$vmid")
  if [[ $tool == pct ]]; then
    arguments+=("$(template_of "$vmid")")
  fi
  for key in "${config_keys[@]}"; do
    value=${config[$key]}
    if [[ $key == meta ]]; then
      continue # says with what a guest was made; Proxmox VE writes it
    fi
    if is_volume "$key" "$value"; then
      value=$(new_volume "$key" "$value")
    fi
    arguments+=("--$key" "$value")
  done
  run "$tool" create "${arguments[@]}"
}

# Options that Proxmox VE keeps for itself, or that must not change under an installed system.
is_left_alone() {
  case $1 in
    meta | digest | lock | parent | snaptime | vmstate | template | smbios1 | vmgenid | unused[0-9]*) return 0 ;;
    arch | ostype | unprivileged | running*) [[ $2 == pct ]] ;;
    *) return 1 ;;
  esac
}

update_guest() {
  local tool=$1 folder=$2 vmid=$3 key value now size arguments=() deleted=() resizes=()
  local -A wanted=()
  local wanted_keys=("${config_keys[@]}") wanted_raw=("${config_raw[@]}")
  for key in "${config_keys[@]}"; do
    wanted[$key]=${config[$key]}
  done
  read_config < <("$tool" config "$vmid" || echo 'failed: yes')
  if [[ -n ${config[failed]:-} ]]; then
    die "$tool config $vmid failed"
  fi
  for key in "${wanted_keys[@]}"; do
    value=${wanted[$key]}
    now=${config[$key]-}
    if is_left_alone "$key" "$tool"; then
      if [[ $key == unprivileged && ${now:-0} != "$value" ]]; then
        warn "container $vmid: unprivileged cannot change from ${now:-0} to $value: left alone"
      fi
      continue
    fi
    if is_volume "$key" "$value"; then
      if [[ -z $now ]]; then
        arguments+=("--$key" "$(new_volume "$key" "$value")")
        continue
      fi
      # The volume that is there stays, whatever it is called.
      size=$(option "$value" size)
      value=${now%%,*}${value#"${value%%,*}"}
      if [[ $key != efidisk0 && $key != tpmstate0 && -n $size && -n $(option "$now" size) ]]; then
        if is_larger "$size" "$(option "$now" size)"; then
          resizes+=("$key" "$size")
        elif is_larger "$(option "$now" size)" "$size"; then
          warn "guest $vmid: $key has $(option "$now" size), and the tree says $size: volumes are never shrunk"
        fi
        value=$(without "$value" size),size=$(option "$now" size)
      fi
      if [[ $key == efidisk0 || $key == tpmstate0 ]]; then
        if [[ $(comparable "$key" "$value") != "$(comparable "$key" "$now")" ]]; then
          warn "guest $vmid: $key differs, and only a new one could change that: left alone"
        fi
        continue
      fi
    fi
    if [[ ! -v config[$key] || $(comparable "$key" "$value") != "$(comparable "$key" "$now")" ]]; then
      arguments+=("--$key" "$value")
    fi
  done
  for key in "${config_keys[@]}"; do
    if [[ -v wanted[$key] ]] || is_left_alone "$key" "$tool"; then
      continue
    fi
    if is_volume "$key" "${config[$key]}"; then
      warn "guest $vmid: the volume of $key is not in the tree: left alone"
    elif [[ " ${deleted[*]} " != *" $key "* ]]; then
      deleted+=("$key")
    fi
  done
  if ((${#deleted[@]})); then
    arguments+=(--delete "$(IFS=,; printf '%s' "${deleted[*]}")")
  fi
  if ((${#arguments[@]})); then
    run "$tool" set "$vmid" "${arguments[@]}"
  fi
  set -- "${resizes[@]}"
  while (($#)); do
    run "$tool" resize "$vmid" "$1" "$2"
    shift 2
  done
  config_raw=("${wanted_raw[@]}")
}

# add_raw_lines VMID: `lxc.` lines, which pct itself cannot set. Those that the tree does not have go.
add_raw_lines() {
  local vmid=$1 file=$pve/lxc/$1.conf here wanted
  wanted=$(printf '%s\n' "${config_raw[@]}")
  here=$(sed '/^\[/,$d' "$file" 2>/dev/null | grep '^lxc\.' || true)
  if [[ $here != "$wanted" ]]; then
    run write_raw_lines "$vmid"
  fi
}

write_raw_lines() {
  local file=$pve/lxc/$1.conf new
  new=$(mktemp)
  {
    sed '/^\[/,$d' "$file" | grep -v '^lxc\.' | sed -e :a -e '/^\n*$/{$d;N;ba' -e '}'
    if ((${#config_raw[@]})); then
      printf '%s\n' "${config_raw[@]}"
    fi
    if grep -q '^\[' "$file"; then
      printf '\n'
      sed -n '/^\[/,$p' "$file"
    fi
  } >"$new"
  write_pve_file "$new" "lxc/$1.conf"
  rm -f "$new"
}
