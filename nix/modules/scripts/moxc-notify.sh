# moxc-notify: tells by mail, or by a command, that a unit has failed.
#
# It runs where a unit has failed already, and has nobody to tell of its own failures but the journal: so it does not fail
# for want of a mail program.

usage() {
  cat <<'END'
usage: moxc-notify [--to ADDRESS] [--command FILE] [--lines N] UNIT

Mails the state of UNIT and the end of its journal. Without an address or a mail program, the message goes to the journal
alone.

  --to ADDRESS      who gets it
  --command FILE    a program that gets it as its input, and the subject as its argument
  --lines N         how much of the journal (60)
END
}

to='' command=''
lines=60
option() {
  case $1 in
    --to) value to ;;
    --command) value command ;;
    --lines) number lines ;;
    *) return 1 ;;
  esac
}

begin "$@"
if ((${#operands[@]} != 1)); then
  wrong_usage 'one unit has to be named'
fi
unit=${operands[0]}
if [[ -n $to ]] && ! gated word "$to" || ! gated line "$unit"; then
  wrong_usage 'neither an address nor a unit looks so'
fi
need systemctl journalctl

# property NAME: one of the unit, in $heard.
property() { hear systemctl show --property="$1" --value -- "$unit" || heard=; }

property ExecMainStatus
gate status status "$heard" || true
property Result
gate name result "$heard" || true

# What the tools' statuses mean.
case $result:$status in
  exit-code:1) what='failed' ;;
  exit-code:2) what='was called in a wrong way' ;;
  exit-code:3) what='needs a person' ;;
  exit-code:4) what='found something else at it' ;;
  exit-code:5) what='found something that wants a look' ;;
  timeout:*) what='took too long and was ended' ;;
  *) what="failed (${result:-unknown})" ;;
esac
hear uname -n || heard=
gate name host "$heard" || host='a host'
subject="$host: $unit $what"

message() {
  # The invocation's own lines, where systemd says which they are.
  local invocation journal=(journalctl --no-pager --output=short-iso --lines="$lines")
  property InvocationID
  printf '%s\n\n' "$subject."
  printf 'Result: %s, status %s\n\n' "$result" "$status"
  if gate name invocation "$heard"; then
    journal+=("_SYSTEMD_INVOCATION_ID=$invocation" + "INVOCATION_ID=$invocation")
  else
    journal+=("--unit=$unit")
  fi
  hear_list "${journal[@]}" || printf '(the journal cannot be read: %s)\n' "$(last_line "$heard_err")"
  lines_of "$heard"
  printf '\nThe whole of it: journalctl --unit=%s\nOnce more: systemctl start %s\n' "$unit" "$unit"
}

# send: by the interface that every mail system has. A name in the subject is no header of its own: control characters go.
send() {
  {
    printf 'To: %s\nSubject: %s\nAuto-Submitted: auto-generated\nMIME-Version: 1.0\n' "$to" "$(text_of "$subject")"
    printf 'Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 8bit\n\n'
    message
  } >"$letter" || return 1
  # A program that is asked has no standard input: it is opened behind it.
  # shellcheck disable=SC2016 # the inner shell's own
  if ! hear_for 300 bash -c 'exec sendmail -i -t <"$0"' "$letter"; then
    warn "sendmail: $(last_line "$heard_err")"
    return 1
  fi
}

# tell_command: by the user's own way.
tell_command() {
  message >"$letter" || return 1
  # shellcheck disable=SC2016 # the inner shell's own
  if ! hear_for 300 bash -c 'exec "$1" "$2" <"$0"' "$letter" "$command" "$(text_of "$subject")"; then
    warn "$command: $(last_line "$heard_err")"
    return 1
  fi
}

# What is told, for a program that reads it; a function that is run sets nothing for others.
letter=$(mktemp) || die 'there is no room for temporary files'
tear_up() { rm -f -- "$letter"; }
at_exit tear_up

PATH=$PATH:/usr/sbin:/usr/lib:/run/wrappers/bin
if [[ -z $to && -z $command ]]; then
  warn "$subject: nobody is to be told"
fi
if [[ -n $command ]]; then
  if run tell_command; then
    count 'commands run'
  else
    warn "$subject: $command did not take the message"
    count 'commands that failed'
  fi
fi
if [[ -z $to ]]; then
  exit 0
elif ! command -v sendmail >/dev/null; then
  warn "$subject: there is no mail program (sendmail) to tell $to"
elif run send; then
  count 'mails sent'
else
  warn "$subject: the mail to $to was not taken"
  count 'mails that were not taken'
fi
