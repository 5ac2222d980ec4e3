# The gate: the one place where words from outside become values.
#
# A guest, an archive, a storage, a server, a disk, the output of a program and a file of the host may say anything: bash
# runs commands that stand in arithmetic or in the subscript of an array, a terminal obeys what it is sent, and a program
# that never ends is waited for. So every such word passes here, and what does not pass is refused by name:
#
#   hear COMMAND...                asks a program, with a limit of time and of output; the answer is in $heard
#   show COMMAND...                runs what changes something: its lines go to people, with the time that its kind has
#   rows PROGRAM [WORD...]         reads JSON by Perl's own parser, and writes rows of fields
#   take WHAT NAME:KIND...         reads one row into typed variables; take_every ends the run where one does not pass
#   gate KIND NAME TEXT            makes one typed variable
#   gated KIND TEXT                whether a text is of a kind
#   text_of TEXT [MOST]            prints a text as it may be shown: no controls, no more than so many characters
#   must KIND NAME TEXT WHAT       makes one, or ends the run
#   prove_tree TREE COPY PART...   whether the files of a tree are those of its manifest
#
# The kinds:
#   number   a whole number of at most nine digits        seconds  a time or a span, at most eleven digits
#   bytes    a whole number of at most sixteen digits     size     as Proxmox VE writes it (32G); becomes bytes
#   vmid     100 to 999999999                             status   0 to 255
#   flag     0 or 1; nothing is 0                         name     a name: letters, digits, `_ . + : -`
#   key      the name of an option                        store    the name of a storage
#   volume   STORAGE:PATH                                 dataset  a dataset of ZFS, or a snapshot of one
#   path     an absolute path without `..`                word     what a program or an option may be: no blanks
#   line     one line of at most 64 KiB for a program, as it is; text  for people: cleaned and cut, passes always
#
# A number is without leading zeros, so bash takes none for octal. Every other file of moxc's shell is checked for names in
# arithmetic, subscripts, `eval`, `declare`, `printf -v`, `unset`, `return` and `exit` that were not made here.
#
# It needs bash 5 and Perl, which every Debian has, and calls nothing else.
#
# shellcheck shell=bash
# What `gate` and `take` make shellcheck does not see (SC2154). A script takes of the libraries what it needs (SC2034, SC2119, SC2120, SC2317, SC2329); a program for Perl is not the
# shell's to expand (SC2016).
# shellcheck disable=SC2016,SC2034,SC2119,SC2120,SC2154,SC2317,SC2329

# How many seconds an answer is waited for, and how many bytes of it are read: of an answer, and of a listing.
hear_seconds=60
hear_most=65536
list_most=16777216
# Until there is a lock, a number that bash gives to no file: closing it is harmless.
lock_fd=9

# What all the Perl here shares. `clean`: bytes as text of UTF-8 without the controls of terminals and of the direction of
# writing; what is no UTF-8 becomes U+FFFD.
gate_perl='
  use strict;
  my $utf8 = qr/[\x00-\x7f]|[\xc2-\xdf][\x80-\xbf]|\xe0[\xa0-\xbf][\x80-\xbf]|[\xe1-\xec\xee\xef][\x80-\xbf]{2}|\xed[\x80-\x9f][\x80-\xbf]|\xf0[\x90-\xbf][\x80-\xbf]{2}|[\xf1-\xf3][\x80-\xbf]{3}|\xf4[\x80-\x8f][\x80-\xbf]{2}/;
  sub well_formed { my $text = shift; $text =~ s/($utf8)|./defined $1 ? $1 : "\xef\xbf\xbd"/gse; utf8::decode($text); return $text }
  my $unseen = qr/[\x00-\x1f\x7f-\x9f\x{61c}\x{200e}\x{200f}\x{2028}-\x{202e}\x{2066}-\x{2069}]/;
  sub clean {
    my ($text, $most, $keep) = @_;
    $text = well_formed($text);
    my @parts = $keep ? split(/\n/, $text, -1) : ($text);
    s/$unseen/ /g for @parts;
    $text = join("\n", @parts);
    $text = substr($text, 0, $most - 1) . "\x{2026}" if $most && length($text) > $most;
    utf8::encode($text);
    return $text;
  }
'

# ---------------------------------------------------------------- typed values

# gated KIND TEXT: whether the text is of the kind.
gated() {
  local text=$2
  case $1 in
    number) [[ $text =~ ^(0|[1-9][0-9]{0,8})$ ]] ;;
    seconds) [[ $text =~ ^(0|[1-9][0-9]{0,10})$ ]] ;;
    bytes) [[ $text =~ ^(0|[1-9][0-9]{0,15})$ ]] ;;
    size) [[ $text =~ ^((0|[1-9][0-9]{0,15})|(0|[1-9][0-9]{0,12})K|(0|[1-9][0-9]{0,9})M|(0|[1-9][0-9]{0,6})G|(0|[1-9][0-9]{0,3})T)$ ]] ;;
    vmid) [[ $text =~ ^[1-9][0-9]{2,8}$ ]] ;;
    status) [[ $text =~ ^(0|[1-9][0-9]?|1[0-9][0-9]|2[0-4][0-9]|25[0-5])$ ]] ;;
    flag) [[ $text =~ ^[01]?$ ]] ;;
    name) [[ $text =~ ^[A-Za-z0-9_][A-Za-z0-9_.+:-]{0,127}$ ]] ;;
    key) [[ $text =~ ^[A-Za-z][A-Za-z0-9_.-]{0,63}$ ]] ;;
    store) [[ $text =~ ^[A-Za-z][A-Za-z0-9_.-]{0,99}$ ]] ;;
    # As a word, and a storage stands in front of it.
    volume) [[ $text =~ ^[A-Za-z][A-Za-z0-9_.-]{0,99}:[A-Za-z0-9_][A-Za-z0-9_./:+=@%~,#-]{0,511}$ && /$text/ != */../* && $text != *:../* ]] ;;
    dataset) [[ $text =~ ^[A-Za-z][A-Za-z0-9_.:/\ -]{0,254}(@[A-Za-z0-9_.:\ -]{1,200})?$ && $text != *' ' ]] ;;
    path) [[ $text == /* && ${#text} -le 4096 && /$text/ != */../* ]] && gate_is_clean "$text" ;;
    word) [[ $text =~ ^[A-Za-z0-9_/.@:+,=%^~][A-Za-z0-9_/.@:+,=%^~-]{0,254}$ ]] ;;
    line) ((${#text} <= 65536)) && gate_is_clean "$text" ;;
    text) true ;;
    *) false ;;
  esac
}

# gate KIND NAME TEXT: puts the value into the variable NAME; where the text is not of the kind that is empty, and it fails.
gate() {
  local gate_value=''
  if gated "$1" "$3"; then
    gate_value=$3
    case $1 in
      size) gate_value=$(gate_bytes "$3") ;;
      flag) gate_value=${3:-0} ;;
      text) gate_value=$(text_of "$3") ;;
    esac
    printf -v "$2" '%s' "$gate_value"
    return 0
  fi
  printf -v "$2" ''
  return 1
}

# must KIND NAME TEXT WHAT: likewise; where it does not pass, the run ends, and says so of WHAT.
must() {
  if ! gate "$1" "$2" "$3"; then
    die "$4: '$(text_of "$3" 60)' is no $1"
  fi
}

# gate_bytes SIZE: of one that has passed.
gate_bytes() {
  case $1 in
    *K) printf '%s' $((${1%K} << 10)) ;;
    *M) printf '%s' $((${1%M} << 20)) ;;
    *G) printf '%s' $((${1%G} << 30)) ;;
    *T) printf '%s' $((${1%T} << 40)) ;;
    *) printf '%s' "$1" ;;
  esac
}

# gate_is_clean TEXT: whether it is UTF-8 without controls of any kind.
gate_is_clean() {
  if [[ $1 != *[!\ -~]* ]]; then
    return 0
  fi
  printf '%s' "$1" | perl -e "$gate_perl"' local $/; my $text = <STDIN>; exit(clean($text) ne $text)'
}

# text_of TEXT [MOST]: one line for people, of at most so many characters (200).
text_of() {
  local most=${2:-200}
  if [[ $1 == *[!\ -~]* ]]; then
    printf '%s' "$1" | perl -e "$gate_perl"' local $/; print clean(scalar(<STDIN>) // "", $ARGV[0])' "$most"
  elif ((${#1} > most)); then
    printf '%s…' "${1:0:most-1}"
  else
    printf '%s' "$1"
  fi
}

# lines_of TEXT: as `text_of`, of many lines, of at most 64 KiB.
lines_of() {
  if [[ $1 == *[!\ -~$'\n']* ]]; then
    printf '%s' "$1" | perl -e "$gate_perl"' local $/; print clean(scalar(<STDIN>) // "", 65536, 1)'
  else
    printf '%s' "${1:0:65536}"
  fi
}

# last_line TEXT: its last one that is not empty, for people.
last_line() {
  local text=$1
  # What bash looks for from the end it looks for in the square of the length.
  if ((${#text} > 4096)); then
    text=${text:${#text}-4096}
  fi
  text=${text%"${text##*[!$'\n']}"}
  text_of "${text##*$'\n'}" 500
}

# json_string TEXT: as a JSON string. What is no UTF-8 becomes U+FFFD, so that a line is JSON whatever a name holds.
json_string() {
  local text=$1
  if [[ $text == *[!\ -~]* ]]; then
    printf '%s' "$text" | perl -e "$gate_perl"'
      local $/;
      my $text = well_formed(scalar(<STDIN>) // "");
      $text =~ s/(["\\])/\\$1/g;
      $text =~ s/($unseen)/sprintf("\\u%04x", ord $1)/ge;
      utf8::encode($text);
      print "\"$text\""'
    return
  fi
  text=${text//\\/\\\\}
  printf '"%s"' "${text//\"/\\\"}"
}

# ---------------------------------------------------------------- asking

# Runs a program and reads what it says on both its outputs. `hear`: in a process group of its own, which is ended when the
# time is over or it has said too much; the answer goes out behind the status and the lengths. `show`: each line is cleaned
# and passed on, of each output the beginning up to the limit, and the last lines; where there is a terminal it stays in our
# process group, so that it may ask there. What is ended is ended with all that it has started, whatever process group that has made for
# itself, as Proxmox VE's workers do; what does not heed that is killed after five seconds.
gate_run='
  use POSIX ();
  my ($mode, $seconds, $most, @command) = @ARGV;
  # Whoever is asked has no questions, and where there is no terminal, nobody has.
  my $group = $mode eq "hear" || !open(my $terminal, "<", "/dev/tty");
  pipe(my $out, my $to_out) && pipe(my $err, my $to_err) or die "pipe: $!\n";
  defined(my $child = fork) or die "fork: $!\n";
  if (!$child) {
    setpgrp if $group;
    open(STDOUT, ">&", $to_out) && open(STDERR, ">&", $to_err) or POSIX::_exit(126);
    { no warnings; exec { $command[0] } @command; }
    my $missing = $!{ENOENT};
    syswrite(STDERR, "$command[0]: $!\n");
    POSIX::_exit($missing ? 127 : 126);
  }
  close($to_out); close($to_err);
  # Processes by their number and the time of their start, which no other one has: the parent, and whether it is dead.
  sub look {
    open(my $in, "<", "/proc/$_[0]/stat") or return;
    (<$in> // "") =~ /\A[0-9]+ \(.*\) (\S) ([0-9]+) (?:\S+ ){17}([0-9]+) /s or return;
    return ($2, $3, $1 eq "Z" || $1 eq "X");
  }
  my %below;
  my $learn = sub {
    my (%parent, %start);
    for my $one (map { m!([0-9]+)\z! } glob("/proc/[0-9]*")) {
      my ($parent, $start, $dead) = look($one) or next;
      ($parent{$one}, $start{$one}) = ($parent, $start) if !$dead;
    }
    for my $one (keys %parent) {
      my ($at, $steps) = ($one, 0);
      $at = $parent{$at} while defined $at && $at != $child && !exists $below{$at} && $steps++ < 4096;
      $below{$one} = $start{$one} if defined $at && ($at == $child || exists $below{$at});
    }
  };
  my $left = sub { grep { my (undef, $start, $dead) = look($_); defined $start && $start == $below{$_} && !$dead } keys %below };
  my $strike = sub {
    my ($signal) = @_;
    $learn->();
    kill($signal, -$child) if $group;
    kill($signal, $left->());
  };
  # What goes wrong is told in few words, also with a listing.
  my %most_of = (out => $most, err => $most < 65536 ? $most : 65536);
  my ($ended, $status, %text, %count, %rest, %last) = (0, undef, out => "", err => "");
  my $end = sub { return if $ended; $ended = $_[0]; $strike->("TERM") };
  for my $signal (qw(HUP INT TERM)) { $SIG{$signal} = sub { $end->($signal) } }
  $SIG{PIPE} = "IGNORE";
  my %open = (out => $out, err => $err);
  my ($until, $killed) = (time + $seconds + 1, 0);
  my $write = sub { syswrite($_[0] eq "out" ? \*STDOUT : \*STDERR, clean($_[1], 4000) . "\n") };
  my $pass = sub {
    my ($name, $line) = @_;
    if (($count{$name} += 1 + length $line) <= $most) { $write->($name, $line); return }
    # What is last is often what tells why.
    push @{ $last{$name} }, $line;
    shift @{ $last{$name} } if @{ $last{$name} } > 20;
  };
  my $quiet = 0;
  while (%open || !defined $status) {
    my $bits = "";
    vec($bits, fileno($_), 1) = 1 for values %open;
    # Whoever has closed both its outputs is about to end.
    my $some = select($bits, undef, undef, defined $status ? 0.05 : %open ? 0.1 : 0.002);
    my $read = 0;
    for my $name (sort keys %open) {
      next if $some <= 0 || !vec($bits, fileno($open{$name}), 1);
      my $got = sysread($open{$name}, my $part, 65536);
      next if !defined $got && $!{EINTR};
      if (!$got) { close(delete $open{$name}); next }
      $read = 1;
      if ($mode eq "hear") {
        $part =~ tr/\0//d;
        $text{$name} .= $part if length $text{$name} <= $most_of{$name};
        $end->("much") if length $text{$name} > $most_of{$name};
      } else {
        $rest{$name} .= $part;
        my @lines = split(/[\r\n]+/, $rest{$name}, -1);
        $rest{$name} = pop @lines;
        push @lines, substr($rest{$name}, 0, 4000, "") while length $rest{$name} > 4000;
        $pass->($name, $_) for grep { length } @lines;
      }
    }
    if (!defined $status && waitpid($child, POSIX::WNOHANG()) == $child) { $status = $? }
    # What a program leaves behind may hold its outputs open.
    if (defined $status) { $quiet = $read ? 0 : $quiet + 1; last if $quiet > 10 || $ended }
    if (!defined $status && time >= $until) { $end->("time") }
    if ($ended && !defined $status && time >= $until + 5 or $ended eq "much" && !$killed++) { $strike->("KILL") }
    $until = time if $ended && $until > time;
  }
  if ($ended) {
    while ($left->() && time < $until + 5) { select(undef, undef, undef, 0.05) }
    $strike->("KILL");
  }
  my $code = $status & 127 ? 128 + ($status & 127) : $status >> 8;
  $code = 124 if $ended eq "time";
  $code = 125 if $ended eq "much";
  if ($mode eq "show") {
    $pass->($_, $rest{$_}) for grep { length($rest{$_} // "") } qw(out err);
    for my $name (grep { $last{$_} } qw(out err)) {
      syswrite(STDERR, "(more was said than is shown; this is the end of it)\n");
      $write->($name, $_) for @{ $last{$name} };
    }
    syswrite(STDERR, "(it was ended after $seconds seconds)\n") if $ended eq "time";
  }
  if ($ended =~ /^(HUP|INT|TERM)$/) { $SIG{$1} = "DEFAULT"; kill($1, $$) }
  exit($code) if $mode eq "show";
  substr($text{$_}, $most_of{$_}) = "" for grep { length $text{$_} > $most_of{$_} } qw(out err);
  $text{out} =~ s/\n+\z//;
  $text{err} = clean($text{err}, 0, 1);
  $text{err} =~ s/\n+\z//;
  printf("%d %d %d\n%s%s.", $code, length $text{out}, length $text{err}, $text{out}, $text{err});
'

# hear COMMAND...: asks a program. What it says is in $heard, as it is; what it says on standard error is in $heard_err,
# cleaned. The status is its own; 124 where it took too long, 125 where it said too much.
heard=''
heard_err=''
hear() { gate_hear "$hear_seconds" "$hear_most" "$@"; }

# hear_list COMMAND...: likewise, for a listing.
hear_list() { gate_hear "$hear_seconds" "$list_most" "$@"; }

# hear_for SECONDS COMMAND...: likewise, for an answer that has another time.
hear_for() { gate_hear "$1" "$hear_most" "${@:2}"; }

gate_hear() {
  local all head code length rest
  heard='' heard_err=''
  all=$(perl -e "$gate_perl$gate_run" hear "$@" </dev/null 2>/dev/null {lock_fd}>&-) || true
  head=${all%%$'\n'*}
  if [[ ! $head =~ ^([0-9]{1,3})\ ([0-9]{1,8})\ ([0-9]{1,8})$ || $all != *. ]]; then
    heard_err="$(text_of "$3") was not asked: Perl does not run"
    return 126
  fi
  code=${BASH_REMATCH[1]} length=${BASH_REMATCH[2]}
  rest=${all:${#head}+1}
  rest=${rest%.}
  heard=${rest:0:length}
  heard_err=${rest:length}
  case $code in
    124) heard_err+=${heard_err:+$'\n'}"no answer in $1 seconds" ;;
    125) heard_err+=${heard_err:+$'\n'}"more was said than is listened to" ;;
  esac
  return "$code"
}

# show COMMAND...: runs a program whose lines are for people, with a limit of output, and of the time that its work may take.
show_most=4194304
show() { perl -e "$gate_perl$gate_run" show "$(time_of "$@")" "$show_most" "$@" {lock_fd}>&-; }

# time_of COMMAND...: after how many seconds it is taken for hung and ended. Whatever copies, allocates or checks a guest, a
# disk or an archive, waits for such a work, or installs packages or a system has two days; what loads one file, two hours;
# what starts, stops or asks for a single thing, an hour; and what only switches something, ten minutes.
time_of() {
  case "$1 ${2:-} ${3:-}" in
    'systemctl '* | 'sysctl '* | 'ip '* | 'chmod '* | 'mount '* | 'umount '* | 'qm unlock '* | 'pct unlock '*) printf 600 ;;
    'zpool wait '*) printf 172800 ;;
    'zfs '* | 'zpool '* | 'smartctl '* | 'nix-env '* | */switch-to-configuration\ *) printf 3600 ;;
    'qm start '* | 'qm stop '* | 'qm reset '* | 'qm reboot '* | 'qm shutdown '*) printf 3600 ;;
    'pct start '* | 'pct stop '* | 'pct reboot '* | 'pct shutdown '*) printf 3600 ;;
    'update-initramfs '* | 'update-grub '* | 'proxmox-boot-tool '*) printf 3600 ;;
    'wget '* | 'curl '* | 'genisoimage '* | 'xorriso '* | 'pveam '* | 'bash -c '*) printf 7200 ;;
    *) printf 172800 ;;
  esac
}

# ---------------------------------------------------------------- structured data

# rows PROGRAM [WORD...]: reads JSON from standard input into $d, and runs the Perl PROGRAM, whose `row(VALUE, ...)` writes a
# line of fields for `take`. Words from outside reach it in @ARGV, never in its text. Perl and its JSON::PP are part of every
# Debian and so of Proxmox VE; jq is not. Fails where the input is no JSON, too large, too deep, or of another shape.
rows() {
  perl -MJSON::PP -e "$gate_perl"'
    my $program = shift @ARGV;
    our $d = eval {
      read(STDIN, my $text, 16777217);
      # Half a million values take as much memory as a host has to spare, and are more than any storage has to tell.
      die if length $text > 16777216 || ($text =~ tr/,[{//) > 500000;
      JSON::PP->new->utf8->allow_nonref->max_depth(64)->decode($text);
    };
    if (!defined $d) { print STDERR "the answer is no JSON, or holds too much\n"; exit 1 }
    my $text = "";
    sub row {
      $text .= join("\x1f", map {
        my $value = $_ // "";
        if (ref $value) { die if !JSON::PP::is_bool($value); $value = $value ? 1 : 0 }
        utf8::encode($value);
        clean($value, 65536);
      } @_) . "\n";
    }
    eval "no strict; no warnings; $program; 1" or do { print STDERR "the answer has another shape than expected\n"; exit 1 };
    print $text;' "$@"
}

# take WHAT NAME:KIND...: reads the next row of standard input into typed variables; fails at the end. A row with a field
# that does not pass is told as `failed` by what it is, counted in $rows_refused, and passed over. A KIND with `?` behind it
# may be empty.
rows_refused=0
take() { gate_take failed "$@"; }

# take_every WHAT NAME:KIND...: likewise; but a row that does not pass ends the run, since nothing may be missing.
take_every() { gate_take die "$@"; }

gate_take() {
  local take_told=$1 take_what=$2 take_line take_field take_one take_kind take_bad take_at take_fields=()
  shift 2
  while IFS= read -r take_line || [[ -n $take_line ]]; do
    if [[ -z $take_line ]]; then
      continue
    fi
    take_bad='' take_at=0
    mapfile -t -d $'\x1f' take_fields <<<"$take_line"
    for take_one; do
      take_field=${take_fields[take_at]:-}
      # The text that is read so ends in a line break of its own.
      take_field=${take_field%$'\n'}
      take_at=$((take_at + 1))
      take_kind=${take_one#*:}
      if [[ $take_kind == *'?' && -z $take_field ]]; then
        printf -v "${take_one%%:*}" ''
      elif ! gate "${take_kind%\?}" "${take_one%%:*}" "$take_field"; then
        take_bad="its ${take_one%%:*} '$(text_of "$take_field" 60)' is no ${take_kind%\?}"
        break
      fi
    done
    if [[ -z $take_bad && ${#take_fields[@]} -gt $# ]]; then
      take_bad="'$(text_of "$take_line" 60)' has more fields than it should"
    fi
    if [[ -z $take_bad ]]; then
      return 0
    fi
    rows_refused=$((rows_refused + 1))
    "$take_told" "$take_what is passed over: $take_bad"
  done
  return 1
}

# ---------------------------------------------------------------- a tree of files

# prove_tree TREE COPY PART...: reads manifest.json in the folder TREE and, once, every file of the PARTs (`restore/web.sh`, or
# all below `proxmox/`), and compares them. What is proved is written below the folder COPY, where that is not empty: who uses
# that copy uses what was proved. It ends the run with 3 where a file is missing, cut, changed, or of another build, and
# names each. The names in $as_it_is are taken although they were changed by hand; never missing or cut ones.
as_it_is=()
prove_tree() {
  local tree=$1 copy=$2 problems kind path count=0 status=0
  # What a run has proved and copied, the scripts that it calls there need not prove again.
  if [[ $tree == "${MOXC_PROVED:-}" ]]; then
    return 0
  fi
  problems=$(perl -MJSON::PP -MDigest::SHA=sha256_hex -e "$gate_perl$gate_prove" "$@" -- "${as_it_is[@]}") || status=$?
  if ((status)) && [[ -z $problems ]]; then
    refuse "$tree cannot be compared with its manifest: Perl does not run"
  fi
  while take "a file of $tree" kind:name path:text; do
    count=$((count + 1))
    if ((count > 20)); then
      continue
    fi
    case $kind in
      unreadable) warn "$path" ;;
      missing) warn "$path is missing" ;;
      cut) warn "$path is cut: its end is not there" ;;
      changed) warn "$path is not as the manifest says: it was changed, or is of another build" ;;
      other) warn "$path is of another build than the rest" ;;
      foreign) warn "$path is not of this build" ;;
      accepted)
        warn "$path was changed, and is taken as it is"
        count=$((count - 1))
        ;;
    esac
  done <<<"$problems"
  if ((count > 20)); then
    warn "and $((count - 20)) more"
  fi
  if ((count || status)); then
    refuse "$tree is not the whole of one build, so nothing was done: build it anew and copy all of it. What you have changed by hand is taken by --as-it-is FILE"
  fi
  if [[ -n $copy ]]; then
    export MOXC_PROVED=$copy
  fi
}
gate_prove='
  my ($tree, $copy, @parts) = @ARGV;
  my %accepted;
  for my $at (0 .. $#parts) {
    next if $parts[$at] ne "--";
    %accepted = map { $_ => 1 } splice(@parts, $at + 1);
    pop @parts;
    last;
  }
  my $failed = 0;
  sub problem { my ($kind, $path) = @_; $failed ||= $kind ne "accepted"; print clean($kind), "\x1f", clean($path, 300), "\n" }
  sub slurp {
    my ($path, $most) = @_;
    my $at = $tree;
    for my $part (split m!/!, $path) { $at .= "/$part"; return undef if -l $at }
    return undef if !-f $at;
    open(my $in, "<:raw", $at) or return undef;
    local $/;
    read($in, my $text, $most + 1) // return undef;
    return length $text > $most ? undef : $text;
  }
  my $text = slurp("manifest.json", 16777216);
  if (!defined $text) { problem("unreadable", "$tree/manifest.json is not there: a tree is copied whole"); exit 1 }
  my $manifest = eval { JSON::PP->new->utf8->max_depth(16)->decode($text) };
  my @rows = eval { @{ $manifest->{files} } };
  my $spec = eval { $manifest->{spec}{sha256} } // "";
  if (!@rows || ($manifest->{format} // "") ne "1") { problem("unreadable", "$tree/manifest.json is no manifest"); exit 1 }
  sub wanted { my $path = shift; for (@parts) { return 1 if m!/\z! ? index($path, $_) == 0 : $path eq $_ } return 0 }
  my (%listed, %seen);
  for my $row (@rows) {
    my ($path, $hash) = eval { @$row{qw(path sha256)} };
    if (ref $path || ref $hash || ($hash // "") !~ /^[0-9a-f]{64}\z/ || ($path // "") !~ m!^[^/\x00-\x1f\x7f][^\x00-\x1f\x7f]*\z! || "/$path/" =~ m!/\.{0,2}/!) {
      problem("unreadable", "$tree/manifest.json is no manifest");
      exit 1;
    }
    utf8::encode($path);
    $listed{$path} = $row;
    next if !wanted($path);
    $seen{$path} = 1;
    my $held = slurp($path, 67108864);
    if (!defined $held) { problem("missing", $path); next }
    if (sha256_hex($held) ne $hash) {
      # Its end tells whether the rest of it came.
      my ($size, $tail) = @$row{qw(size tail)};
      my $cut = $held eq "" || (defined $size && length $held < $size && sha256_hex(length $held > 64 ? substr($held, -64) : $held) ne ($tail // ""));
      if ($cut) { problem("cut", $path); next }
      if (!$accepted{$path}) { problem("changed", $path); next }
      problem("accepted", $path);
    } elsif (defined $row->{spec_sha256} && $row->{spec_sha256} ne $spec && !$accepted{$path}) {
      problem("other", $path);
      next;
    }
    keep($path, $held);
  }
  for (@parts) { problem("missing", $_) if !m!/\z! && !$listed{$_} }
  # What lies there and is not listed came from elsewhere. Hidden files and the copies of editors are nobody else'"'"'s concern.
  my @folders = grep { m!/\z! } @parts;
  while (defined(my $folder = pop @folders)) {
    opendir(my $dir, "$tree/$folder") or next;
    for my $name (sort readdir $dir) {
      next if $name =~ /^\.|~\z/;
      my $path = "$folder$name";
      if (-d "$tree/$path" && !-l "$tree/$path") { push @folders, "$path/"; next }
      next if $listed{$path};
      my $held = $accepted{$path} ? slurp($path, 67108864) : undef;
      if (!defined $held) { problem("foreign", $path); next }
      problem("accepted", $path);
      keep($path, $held);
    }
  }
  sub keep {
    my ($path, $held) = @_;
    return if $copy eq "";
    my $at = $copy;
    for my $part (split m!/!, $path =~ s![^/]+\z!!r) { $at .= "/$part"; mkdir($at, 0700) }
    my $to = "$copy/$path";
    open(my $out, ">:raw", $to) or do { problem("unreadable", "$to cannot be written: $!"); return };
    print {$out} $held;
    close($out) or problem("unreadable", "$to cannot be written: $!");
    chmod($held =~ /^#!/ ? 0700 : 0600, $to);
  }
  exit($failed ? 1 : 0);
'
