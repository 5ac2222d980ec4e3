# ---------------------------------------------------------------- Windows guests, by their agent
#
# The agent is a program of the guest, and says what whoever holds the guest wants: every word of it passes the gate, with a
# limit of time and of length, and none of them is run, or decides about anything but this guest.

# How often a guest is asked, in seconds; a trial waits for nothing.
step=${MOXC_POLL:-15}
# How long a guest may take to come up, in seconds.
patience=900
guest_nu='C:\Program Files\nu\bin\nu.exe'
guest_root='C:\ProgramData\moxc'

# answers VMID: whether the guest's agent does.
answers() { hear_for 30 qm agent "$1" ping; }

# wait_for VMID: until the agent answers.
wait_for() {
  local until=$((SECONDS + patience))
  until answers "$1"; do
    if ((SECONDS >= until)); then
      return 1
    fi
    sleep "$step"
  done
}

# in_guest VMID SECONDS PROGRAM ARGUMENT...: runs a program in the guest, and waits. What it printed is in $printed; the
# status is its own, and 126 where that is above 255. 125: the agent did not answer, or the program did not end. Where
# $guest_input names a file, that is its standard input.
printed=
guest_input=
in_guest() {
  local vmid limit exited='' code='' status=0 line
  must vmid vmid "$1" 'the number of a guest'
  must number limit "$2" 'the time of a program'
  shift 2
  printed=
  if [[ -n $guest_input ]]; then
    # A program that is asked has no standard input: it is opened behind it.
    # shellcheck disable=SC2016 # the inner shell's own
    hear_for "$((limit + 30))" bash -c 'exec qm guest exec "$1" --timeout "$2" --pass-stdin 1 -- "${@:3}" <"$0"' \
      "$guest_input" "$vmid" "$limit" "$@" || status=$?
  else
    hear_for "$((limit + 30))" qm guest exec "$vmid" --timeout "$limit" -- "$@" || status=$?
  fi
  if ((status)); then
    return 125
  fi
  # A program of Windows may end with more than bash knows.
  line=$(rows 'my $code = $d->{exitcode} // 125; row($d->{exited} ? 1 : 0, $code =~ /^[0-9]{1,3}\z/ && $code < 256 ? $code : 126)' <<<"$heard" 2>/dev/null) ||
    return 125
  take 'an answer of the agent' exited:flag code:status <<<"$line" || return 125
  if [[ $exited != 1 ]]; then
    return 125
  fi
  printed=$(perl -MJSON::PP -e 'local $/; my $d = decode_json(<STDIN>); my $t = $d->{"out-data"} // ""; exit 1 if ref $t; utf8::encode($t); print $t' <<<"$heard" 2>/dev/null) ||
    return 125
  return "$code"
}

# guest_json PROGRAM [WORD...]: rows of what the guest printed as JSON; fails where it is none.
guest_json() { rows "$@" <<<"$printed" 2>/dev/null; }

# well VMID: the guest answers, runs programs, and has an address, where it has a network card. Where not, $problem says why.
problem=
well() {
  local addresses until
  if ! wait_for "$1"; then
    problem="the agent does not answer within $patience seconds"
    return 1
  fi
  if ! in_guest "$1" 120 cmd.exe /c exit 0; then
    problem='it runs no program'
    return 1
  fi
  if ! hear qm config "$1" || ! grep -q '^net[0-9]*: ' <<<"$heard"; then
    return 0
  fi
  until=$((SECONDS + patience))
  while true; do
    # Its own (127, ::1) and made up ones (169.254, fe80) do not count.
    if hear qm agent "$1" network-get-interfaces; then
      addresses=$(rows '
        for my $i (@$d) { for (@{$i->{"ip-addresses"} // []}) {
          my $a = $_->{"ip-address"} // ""; row(1) if $a ne "" && $a !~ /^(127\.|169\.254\.|::1$|fe80:)/i } }' <<<"$heard" 2>/dev/null) || addresses=
      if [[ -n $addresses ]]; then
        return 0
      fi
    fi
    if ((SECONDS >= until)); then
      problem='it has no address'
      return 1
    fi
    sleep "$step"
  done
}
