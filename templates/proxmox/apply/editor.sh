# The editor is Perl, which every Proxmox VE has.
editor_program() {
  cat <<'PERL'
# The editor of files that others write, too: it changes single items of a file and leaves every other byte as it is.
# It decides nothing but this: an item that is as wanted is done; one that is as expected is changed; any other is told.
#
#   editor sections|keys|tokens|firewall NOW WANT LEFT POLICY ROOT OWN   the new text on standard output; OWN is written where
#                                               a later run has to take something else than WANT for what was left
#   editor edit KIND NOW ITEMS WANT LEFT POLICY ROOT
#                                               likewise, of the items of a plan
#   editor guest KIND NOW WANT LEFT ROOT        what `qm set` or `pct set` has to be told, as fields that end in NUL
#   editor smaller NOW WANT KEY...              disks that are smaller than wanted, and what they have to be
#   editor changed NOW AFTER WORD...            the options that `qm set WORD...` would set back and that are not as in AFTER, as
#                                               fields that end in NUL; `back` where all of them are back already
#   editor raw NOW KEY TEXT...                  the file with other raw lines: `lxc`, and the values of `env`
#   editor back NOW SAVED AFTER                 the raw lines that a run changed, as they were, in the fields of `guest`
#   editor same NOW OTHER                       `same` where two guests differ by no more than how they are written
#   editor noted NOW WANT LEFT                  what later runs have to know of a guest: WANT, with the names of its volumes
#   editor hosts NOW LINE OWN                   the new text
#   editor record FILE HOST [PATH SHA256 TEXT]... notes in applied.json what was applied; SHA256 `-` takes a path out
#   editor left FILE DIR                        lays out what applied.json holds
#
# NOW, WANT and LEFT are files: what is there, what is wanted, what an earlier run left. WANT of a guest may be a list of
# items, `items:FILE`, each with what it is expected to be. What is told goes to descriptor 3, a line each: keep, absent or
# conflict, a blank, the text.
use strict;
use warnings;
use JSON::PP ();

# Whether a plan was made of this very host: then what the spec says counts, where nobody has changed it since moxc did.
my $planned = $ENV{MOXC_PLANNED};

my $told;
sub note {
  my ($level, $text) = @_;
  $text =~ s/[\x00-\x1f\x7f]/ /g;
  open($told, '>&=', 3) or die "descriptor 3: $!\n" unless $told;
  print {$told} "$level ", substr($text, 0, 400), "\n";
}

sub slurp {
  my ($path) = @_;
  return undef if !defined $path || $path eq '' || !-e $path;
  open(my $file, '<:raw', $path) or die "$path: $!\n";
  local $/;
  my $text = <$file>;
  return defined $text ? $text : '';
}

sub json { JSON::PP->new->utf8->canonical->allow_nonref }

# ---------------------------------------------------------------- grammars: text to items, and one item in a text

# A grammar gives `read` (text to a list of [key, value]) and `write` (text, key, value or undef, all items to a text).

sub lines_of { my ($text) = @_; return defined $text ? split(/(?<=\n)/, $text) : () }
sub ended { my ($text) = @_; return $text eq '' || $text =~ /\n\z/ ? $text : "$text\n" }

sub section_id {
  my ($head) = @_;
  $head =~ s/\s+\z//;
  return $head =~ /\A[^\s:]+:\s*(\S.*)\z/ ? $1 : $head;
}

# A key of a line of a section: several `map` lines are told apart by their node.
sub line_key {
  my ($key, $value) = @_;
  return $key if $key ne 'map';
  my ($node) = $value =~ /(?:\A|,)node=([^,]+)/;
  return 'map of ' . ($node // '');
}

sub read_sections {
  my ($text) = @_;
  my (@items, %seen, $id);
  for my $line (lines_of($text)) {
    if ($line =~ /\A\s*\z/) { undef $id; next }
    next if $line =~ /\A#/;
    if ($line =~ /\A\S/) {
      $id = section_id($line);
      (my $head = $line) =~ s/\s+\z//;
      $head =~ s/:\s+/: /;
      push @items, [$id, $head];
      next;
    }
    next if !defined $id || $line !~ /\A\s+(\S+)(?:\s+(.*?))?\s*\z/;
    my ($key, $value) = ($1, $2 // '');
    my $name = "$id\t" . line_key($key, $value);
    if ($seen{$name}) { $seen{$name}[1] .= "\n$value"; next }
    push @items, $seen{$name} = [$name, $value];
  }
  return @items;
}

sub write_sections {
  my ($text, $name, $value) = @_;
  my ($id, $key) = split /\t/, $name, 2;
  my @lines = lines_of($text);
  my ($first, $last);
  for my $at (0 .. $#lines) {
    if ($lines[$at] =~ /\A[^\s#]/) {
      last if defined $first;
      $first = $at if section_id($lines[$at]) eq $id;
    }
    last if defined $first && $lines[$at] =~ /\A\s*\z/;
    $last = $at if defined $first;
  }
  if (!defined $key) {
    if (!defined $first) {
      return $text if !defined $value;
      $text = ended($text);
      $text .= "\n" if $text ne '' && $text !~ /\n\n\z/;
      return "$text$value\n\n";
    }
    if (!defined $value) {
      my $count = $last - $first + 1;
      $count++ if $last < $#lines && $lines[$last + 1] =~ /\A\s*\z/;
      splice(@lines, $first, $count);
    } else {
      $lines[$first] = "$value\n";
    }
    return join('', @lines);
  }
  return $text if !defined $first;
  my ($word) = $key =~ /\A(\S+)/;
  my @new = map { $_ eq '' ? "\t$word\n" : "\t$word $_\n" } defined $value ? ($value eq '' ? ('') : split /\n/, $value) : ();
  my ($place, @kept);
  for my $at ($first + 1 .. $last) {
    if ($lines[$at] =~ /\A\s+(\S+)(?:\s+(.*?))?\s*\z/ && line_key($1, $2 // '') eq $key) {
      $place = @kept unless defined $place;
      next;
    }
    push @kept, ended($lines[$at]);
  }
  $place = @kept unless defined $place;
  splice(@kept, $place, 0, @new);
  splice(@lines, $first, $last - $first + 1, ended($lines[$first]), @kept);
  return join('', @lines);
}

sub read_keys {
  my ($text) = @_;
  return map { /\A([A-Za-z0-9_-]+)\s*:\s*(.*?)\s*\z/ ? [$1, $2] : () } lines_of($text);
}

sub write_keys {
  my ($text, $key, $value) = @_;
  my ($out, $done) = ('', 0);
  for my $line (lines_of($text)) {
    if ($line =~ /\A\Q$key\E\s*:/) {
      $out .= "$key: $value\n" if defined $value && !$done;
      $done = 1;
      next;
    }
    $out .= $line;
  }
  $out = ended($out) . "$key: $value\n" if defined $value && !$done;
  return $out;
}

sub read_tokens { my ($text) = @_; my %seen; return map { $seen{$_}++ ? () : [$_, $_] } split ' ', $text // '' }

sub write_tokens {
  my ($text, $key, $value) = @_;
  if (defined $value) {
    $text =~ s/\s*\z//;
    return ($text eq '' ? '' : "$text ") . "$value\n";
  }
  $text =~ s/(?:\A|[ \t])\Q$key\E(?=\s|\z)//g;
  $text =~ s/\A[ \t]+//;
  return $text;
}

# Firewall files: `key: value` below [OPTIONS], names with addresses below [ALIASES], and lines of their own below every other
# section.
sub firewall_key {
  my ($section, $line) = @_;
  return $1 if lc $section eq '[options]' && $line =~ /\A\s*([^\s:]+)\s*:/ || lc $section eq '[aliases]' && $line =~ /\A\s*(\S+)/;
  return $line;
}

# A line without its remark, spelled one way, as a plan has it.
sub firewall_entry {
  my ($line) = @_;
  $line =~ s/#.*//s;
  my @words = split ' ', $line;
  for my $at (0 .. $#words - 1) {
    if ("$words[$at] $words[$at + 1]" eq '-log nolog') { splice(@words, $at, 2); last }
  }
  return "@words";
}

# The first rule that fits decides: what is wanted stands in its order. The entries by section.
my %order;
sub firewall_order {
  my ($text) = @_;
  my %all;
  for my $item (read_firewall($text)) {
    my ($section, $line) = split /\t/, $item->[0], 2;
    push @{ $all{ lc $section } }, firewall_entry($line) if $section =~ /\A\[(?:rules|group\s.*)\]\z/i;
  }
  return %all;
}

# Where the entries of a section stand: by entry, the first of two equal ones.
sub entries_at {
  my ($lines, $section) = @_;
  my ($inside, %at);
  for my $at (0 .. $#$lines) {
    if ($lines->[$at] =~ /\A\s*(\[[^\]]+\])/) { $inside = lc $1 eq lc $section; next }
    my $entry = firewall_entry($lines->[$at]);
    $at{$entry} //= $at if $inside && $entry ne '';
  }
  return %at;
}

# Behind which line of its section a new one belongs: the nearest before it that is there, else before the nearest behind it,
# else on top.
sub place_behind {
  my ($lines, $section, $line) = @_;
  my %at = entries_at($lines, $section);
  my @order = @{ $order{ lc $section } // [] };
  my ($place) = grep { $order[$_] eq firewall_entry($line) } 0 .. $#order;
  return undef if !defined $place || !%at;
  my ($before) = grep { exists $at{$_} } reverse @order[0 .. $place - 1];
  return $at{$before} if defined $before;
  my ($behind) = grep { exists $at{$_} } @order[$place + 1 .. $#order];
  return (defined $behind ? $at{$behind} : (sort { $a <=> $b } values %at)[0]) - 1;
}

# The entries of a section that are among these, in the order in which they stand.
sub in_order {
  my ($text, $section, @entries) = @_;
  my %at = entries_at([lines_of($text)], $section);
  return sort { $at{$a} <=> $at{$b} } grep { exists $at{$_} } @entries;
}

# What stands before its predecessor goes behind it.
sub ordered {
  my ($text, $section, @order) = @_;
  my @lines = lines_of($text);
  for my $next (1 .. $#order) {
    my %at = entries_at(\@lines, $section);
    my ($first, $second) = @at{ @order[$next - 1, $next] };
    next if !defined $first || !defined $second || $second > $first;
    my ($line) = splice(@lines, $second, 1);
    $lines[$first - 1] = ended($lines[$first - 1]);
    splice(@lines, $first, 0, $line);
  }
  return join('', @lines);
}

sub read_firewall {
  my ($text) = @_;
  my (@items, %seen, $section);
  for my $line (lines_of($text)) {
    (my $bare = $line) =~ s/\s+\z//;
    next if $bare =~ /\A\s*(?:#.*)?\z/;
    if ($bare =~ /\A\s*(\[[^\]]+\])/) { $section = lc($1) eq '[options]' ? '[OPTIONS]' : $1; next }
    next if !defined $section;
    my $item = ["$section\t" . firewall_key($section, $bare), $bare];
    $item->[1] = $1 if $section eq '[OPTIONS]' && $bare =~ /\A\s*[^\s:]+\s*:\s*(.*)\z/;
    push @items, $item unless $seen{$item->[0]}++;
  }
  return @items;
}

sub write_firewall {
  my ($text, $name, $value) = @_;
  my ($section, $key) = split /\t/, $name, 2;
  my @lines = lines_of($text);
  my ($inside, $first, $last, $at_line);
  for my $at (0 .. $#lines) {
    if ($lines[$at] =~ /\A\s*(\[[^\]]+\])/) {
      $inside = lc($1) eq lc($section);
      ($first, $last) = ($at, $at) if $inside;
      next;
    }
    next if !$inside;
    (my $bare = $lines[$at]) =~ s/\s+\z//;
    $last = $at if firewall_entry($bare) ne '';
    $at_line = $at if $bare ne '' && firewall_key($section, $bare) eq $key;
  }
  my $new = $section eq '[OPTIONS]' && defined $value ? "$key: $value\n" : defined $value ? "$value\n" : '';
  if (defined $at_line) { $lines[$at_line] = $new }
  elsif (!defined $value) { return $text }
  elsif (defined $first) {
    my $place = place_behind(\@lines, $section, $value) // $last;
    $lines[$place] = ended($lines[$place]);
    splice(@lines, $place + 1, 0, $new);
  }
  else {
    # Proxmox VE passes over a rule that names a set or an alias which the file has not said yet.
    my ($later) = grep { $lines[$_] =~ /\A\s*(\[[^\]]+\])/ && rank($1) > rank($section) } 0 .. $#lines;
    $later-- while $later && $lines[$later - 1] =~ /\A\s*#/;
    if (defined $later) {
      splice(@lines, $later, 0, "$section\n\n", $new, "\n");
    } else {
      $lines[-1] = ended($lines[-1]) if @lines;
      push @lines, "\n" if @lines && $lines[-1] ne "\n";
      push @lines, "$section\n\n", $new;
    }
  }
  return join('', @lines);
}

# The order of the sections, as Proxmox VE writes them.
sub rank {
  my ($section) = @_;
  my @order = (qr/options/i, qr/aliases/i, qr/ipset\s.*/i, qr/rules/i, qr/.*/);
  return (grep { $section =~ /\A\[$order[$_]\]\z/ } 0 .. $#order)[0];
}

my %grammar = (
  sections => [\&read_sections, \&write_sections],
  keys => [\&read_keys, \&write_keys],
  tokens => [\&read_tokens, \&write_tokens],
  firewall => [\&read_firewall, \&write_firewall],
);

# ---------------------------------------------------------------- what means the same

# Proxmox VE writes lists in an order of its own, and the parts of a map, too.
sub same_text {
  my ($key, $value) = @_;
  return join("\n", sort map { join(',', sort split /,/) } split /\n/, $value) if $key =~ /\tmap of /;
  return join(',', sort split /[,\s;]+/, $value) if $key =~ /\t(?:content|nodes|prune-backups|vmid|exclude|fleecing|performance)\z/;
  return $value;
}

sub equal {
  my ($key, $one, $other) = @_;
  return !defined $one && !defined $other if !defined $one || !defined $other;
  return same_text($key, $one) eq same_text($key, $other);
}

sub shown { my ($value) = @_; return defined $value ? "`$value`" : 'nothing' }
sub name_of { my ($key) = @_; return join(' ', split /\t/, $key) }

# What makes a storage another one: Proxmox VE takes these once, when it is added (`fixed` of its plugins).
my $fixed = qr/\A[^\t]+(?:\t(?:base|blocksize|datastore|export|iscsiprovider|path|pool|portal|server|share|snapshot-as-volume-chain|target|thinpool|vgname))?\z/;

# Stores that every installation has: what is missing in their content is added, the rest is the installer's.
my $installed = qr/\A(?:local|local-lvm|local-zfs)\z/;

# Whether the spec itself says what an installed storage is, and not only what moxc needs of it.
sub is_said {
  my ($id, $want) = @_;
  return scalar grep { /\A\Q$id\E\t/ && !/\t(?:path|content)\z/ } keys %$want;
}

# What makes a section of the host another one than the wanted one of its name: of another kind, of another node, or another
# storage; the value here, and the wanted one.
sub differs {
  my ($id, $now, $want, $policy) = @_;
  return ($now->{$id}, $want->{$id}) if $now->{$id} ne $want->{$id};
  my $node = $now->{"$id\tnode"};
  return ("node $node", $want->{"$id\tnode"}) if defined $node && $node ne ($want->{"$id\tnode"} // '');
  return if $policy ne 'stores' || $id =~ $installed;
  for my $key (sort grep { /\A\Q$id\E\t/ && $_ =~ $fixed && defined $now->{$_} } keys %$want) {
    return ($now->{$key}, $want->{$key}) if !equal($key, $now->{$key}, $want->{$key});
  }
  return;
}

sub items_of {
  my ($want) = @_;
  return undef if $want !~ /\Aitems:(.*)\z/s;
  my $items = json()->decode(slurp($1) // die "$1 is not there\n");
  for my $item (@$items) { utf8::encode($_) for grep { defined && !ref } @$item }
  return $items;
}

sub merge {
  my ($kind, $now_path, $want_path, $left_path, $policy, $root, $own_path) = @_;
  my ($read, $write) = @{ $grammar{$kind} };
  my $text = slurp($now_path);
  if (!defined $text && !defined slurp($left_path)) {
    my $new = slurp($want_path) // '';
    $new = completed($new, $root) if $policy eq 'mapping';
    print $new;
    return;
  }
  $text = '' unless defined $text;
  my %now = map { @$_ } $read->($text);
  my @changes;
  my $want_text = slurp($want_path) // '';
  my $left_text = slurp($left_path);
  if ($policy eq 'mapping') {
    $want_text = completed($want_text, $root);
    $left_text = completed($left_text, $root, 1) if defined $left_text;
  }
  my @want = $read->($want_text);
  my %want = map { @$_ } @want;
  if ($kind eq 'firewall') { %order = firewall_order($want_text); $text = as_ordered($text, $left_text // '') }
  my %left = map { @$_ } $read->($left_text // '');
  # What a later run has to know: what is told and not made is as it was.
  my $own = $want_text;
  # A section that somebody took away, and that the spec wants to be another one since.
  my %anew;
  for my $item ($kind eq 'sections' ? @want : ()) {
    my ($id) = split /\t/, $item->[0];
    $anew{$id} = 1 if !exists $now{$id} && exists $left{$id} && !equal($item->[0], $left{ $item->[0] }, $item->[1]);
  }
  # A section that no run has made, and that is another one of the same name.
  my %other;
  for my $id ($kind eq 'sections' ? grep { !/\t/ && exists $now{$_} && !exists $left{$_} } sort keys %want : ()) {
    my ($here, $what) = differs($id, \%now, \%want, $policy);
    next if !defined $here;
    $other{$id} = 1;
    note('conflict', "$id on this host is another one (" . shown($here) . ", and the spec says " . shown($what) . "): give the spec's another name, or remove the host's");
  }
  for my $item (@want) {
    my ($key, $value) = @$item;
    my ($id) = split /\t/, $key;
    my $here = $now{$key};
    next if $other{$id} || equal($key, $here, $value);
    if ($anew{$id}) { push @changes, [$key, $value]; next }
    if ($kind eq 'tokens' && $key =~ /\Aroot=/) {
      my ($other) = grep { /\Aroot=/ } keys %now;
      if (defined $other) { note('conflict', "this host starts from `$other`, and the spec says `$key`"); next }
    }
    if (exists $left{$key} && equal($key, $left{$key}, $value)) {
      note('keep', name_of($key) . ' is ' . shown($here) . " by hand, and not `$value`");
    } elsif ($kind eq 'sections' && $key =~ /\tcontent\z/ && $id =~ $installed && defined $here && !is_said($id, \%want)) {
      # What others put there stays; what an earlier run added and nobody wants any more goes.
      my %has = map { $_ => 1 } split /[,\s]+/, $here;
      my %wanted = map { $_ => 1 } split /[,\s]+/, $value;
      my %gone = map { $_ => 1 } grep { !$wanted{$_} } split /[,\s]+/, $left{$key} // '';
      my @all = ((grep { !$gone{$_} } split /[,\s]+/, $here), grep { !$has{$_} } split /[,\s]+/, $value);
      push @changes, [$key, join(',', @all)] if join(',', @all) ne join(',', split /[,\s]+/, $here);
    } elsif ($policy eq 'stores' && defined $here && $key =~ $fixed) {
      note('keep', name_of($key) . ' is ' . shown($here) . ", and only making it anew could make it `$value`: it stays (`pvesm remove $id`, and the next run adds it; what is on it is kept)");
      $own = $write->($own, $key, $left{$key} // $here);
    } elsif (!defined $here || equal($key, $here, $left{$key})) {
      push @changes, [$key, $value] unless $policy eq 'new';
    } elsif ($kind eq 'sections' && $id =~ $installed && !exists $left{$id} && $key =~ /\t/) {
      note('keep', name_of($key) . ' stays ' . shown($here));
    } elsif ($planned) {
      push @changes, [$key, $value];
    } else {
      note('conflict', name_of($key) . ' is ' . shown($here) . ", and the spec says `$value`");
    }
  }
  for my $key (sort keys %left) {
    next if exists $want{$key} || !exists $now{$key};
    my ($id) = split /\t/, $key;
    if ($policy eq 'stores' && !exists $want{$id}) {
      note('keep', "the storage $id is no longer in the spec, and stays") if $key eq $id;
    } elsif (!equal($key, $now{$key}, $left{$key})) {
      note('keep', name_of($key) . ' is no longer in the spec, but changed by hand since: it stays');
    } else {
      push @changes, [$key, undef];
    }
  }
  # A section goes as a whole, and only where nobody has added to it.
  for my $change (grep { !defined $_->[1] } @changes) {
    my $id = $change->[0];
    next if $kind ne 'sections' || $id =~ /\t/;
    my @foreign = grep { /\A\Q$id\E\t/ && !exists $left{$_} } sort keys %now;
    if (@foreign) {
      note('keep', "$id is no longer in the spec, but somebody has added to it: it stays");
      @changes = grep { $_->[0] ne $id && index($_->[0], "$id\t") != 0 } @changes;
    }
  }
  write_file($own_path, $own) if $own ne $want_text;
  print written($write, $text, @changes);
}

# The rules in the order that is wanted, where nobody has moved them since.
sub as_ordered {
  my ($text, $left_text) = @_;
  my %left = firewall_order($left_text);
  for my $section (sort keys %order) {
    my @now = in_order($text, $section, @{ $order{$section} });
    my %now = map { $_ => 1 } @now;
    my @want = grep { $now{$_} } @{ $order{$section} };
    next if "@now" eq "@want";
    my @left = grep { $now{$_} } @{ $left{$section} // [] };
    my %left = map { $_ => 1 } @left;
    if (@left && join("\n", grep { $left{$_} } @now) eq join("\n", @left)) { $text = ordered($text, $section, @want) }
    else { note('keep', "the order of $section is another one by hand") }
  }
  return $text;
}

# New sections before what stands in them, and a section that goes last of all.
sub written {
  my ($write, $text, @changes) = @_;
  for my $change (@changes) { $text = $write->($text, @$change) if defined $change->[1] }
  for my $change (sort { ($b->[0] =~ tr/\t//) <=> ($a->[0] =~ tr/\t//) } grep { !defined $_->[1] } @changes) {
    $text = $write->($text, @$change);
  }
  return $text;
}

# The items of a plan: done, changed, or in the way.
sub edit {
  my ($kind, $now_path, $items_path, $want_path, $left_path, $policy, $root) = @_;
  my ($read, $write) = @{ $grammar{$kind} };
  my $items = items_of($items_path);
  my $text = slurp($now_path);
  if (!defined $text && @$items && !defined slurp($left_path)) {
    my $new = slurp($want_path) // '';
    print $policy eq 'mapping' ? completed($new, $root) : $new;
    return;
  }
  $text = '' unless defined $text;
  my %now = map { @$_ } $read->($text);
  %order = firewall_order(slurp($want_path) // '') if $kind eq 'firewall';
  my @changes;
  for my $item (@$items) {
    my ($key, $base, $want) = @$item;
    if ($kind eq 'firewall' && $key !~ /\t/) {
      my @order = split /\n/, $want;
      my $here = join("\n", in_order($text, $key, @order));
      if ($here eq $base) { $text = ordered($text, $key, @order) }
      elsif ($here ne $want) { note('conflict', "the order of $key is another one by now") }
      next;
    }
    if (defined $want && $policy eq 'mapping' && $key =~ /\tmap of /) {
      $want = join "\n", map { completed("\tmap $_", $root) =~ /\A\tmap (.*)\n\z/s } split /\n/, $want;
    }
    my $here = $now{$key};
    next if equal($key, $here, $want);
    if ($kind eq 'tokens' && $key =~ /\Aroot=/) {
      my ($other) = grep { /\Aroot=/ } keys %now;
      if (defined $other) { note('conflict', "this host starts from `$other`, and the spec says `$key`"); next }
    }
    if (equal($key, $here, $base)) { push @changes, [$key, $want] }
    else { note('conflict', name_of($key) . ' is ' . shown($here) . ' by now, and was ' . shown($base)) }
  }
  print written($write, $text, @changes);
}

# Mappings of PCI devices, with what the spec does not say of a device taken from the device: Proxmox VE refuses a mapping
# without the subsystem and the IOMMU group of its device, and from then on holds it to them.
sub completed {
  my ($text, $root, $quiet) = @_;
  my $devices = "$root/sys/bus/pci/devices";
  my @lines = lines_of($text);
  for my $line (@lines) {
    my ($path) = $line =~ /\A\s+map\s.*\bpath=([0-9a-f:.]+)/ or next;
    $path .= '.0' if $path !~ /\.[0-7]\z/;
    my $device = "$devices/$path";
    my $more = '';
    note('absent', "the device $path is not there now: a guest that gets it does not start") if !$quiet && -d $devices && !-e $device;
    if ($line !~ /iommugroup=/ && -l "$device/iommu_group") {
      my ($group) = readlink("$device/iommu_group") =~ m{([0-9]{1,6})\z};
      $more .= ",iommugroup=$group" if defined $group;
    }
    if ($line !~ /subsystem-id=/) {
      my @id = map { my $id = slurp("$device/subsystem_$_") // ''; $id =~ /\A0x([0-9a-f]{4})\s*\z/ ? $1 : () } qw(vendor device);
      $more .= ",subsystem-id=$id[0]:$id[1]" if @id == 2;
    }
    $line =~ s/\s*\z/$more\n/;
  }
  return join('', @lines);
}

# ---------------------------------------------------------------- guests

sub decoded {
  my ($text) = @_;
  $text =~ s/%([0-9A-Fa-f]{2})/chr hex $1/ge;
  return $text;
}

# A guest's configuration: its options, with what waits for a restart taken as there, and its raw lines, the variables among
# them by themselves.
sub read_guest {
  my ($text) = @_;
  my (%options, @order, %raw, $notes);
  my $section = '';
  for my $line (lines_of($text)) {
    # A line that is no UTF-8 is as Perl writes letters up to `ÿ` where nothing else encodes them.
    utf8::encode($line) unless utf8::decode(my $copy = $line);
    $line =~ s/\s+\z//;
    if ($line =~ /\A\[(.*)\]\z/) { $section = lc $1; next }
    my $pending = $section eq 'pending' || $section eq 'pve:pending';
    next if $section ne '' && !$pending;
    if ($line =~ /\A#(.*)\z/) { $notes .= decoded($1) . "\n" if $section eq ''; next }
    if (my ($group, $raw) = raw_line($line)) { push @{ $raw{$group} }, $raw if $section eq ''; next }
    next if $line !~ /\A([a-z][a-z0-9_-]*)\s*:\s*(.*)\z/i;
    my ($key, $value) = ($1, $2);
    if ($pending && $key eq 'delete') { delete @options{ map { s/\A!//r } split /[,;\s]+/, $value }; next }
    if ($key eq 'description') { $notes = decoded($value) . "\n"; next }
    push @order, $key unless exists $options{$key};
    $options{$key} = $value;
  }
  if (defined $notes) {
    $notes =~ s/\s+\z//;
    $options{description} = $notes;
    unshift @order, 'description';
  }
  for my $group (sort keys %raw) {
    $options{$group} = join("\n", @{ $raw{$group} });
    push @order, $group;
  }
  return (\%options, [grep { exists $options{$_} } @order]);
}

sub is_volume {
  my ($key, $value) = @_;
  return $key =~ /\A(?:(?:scsi|virtio|sata|ide|mp)[0-9]+|efidisk0|tpmstate0|rootfs)\z/
    && $value =~ /\A[A-Za-z][A-Za-z0-9._-]*:/ && ",$value," !~ /,media=cdrom,/;
}

sub part { my ($value, $name) = @_; return $value =~ /(?:\A|,)\Q$name\E=([^,]*)/ ? $1 : undef }
sub without { my ($value, @names) = @_; my $names = join '|', @names; return join ',', grep { !/\A(?:$names)=/ } split /,/, $value }

my %unit = (K => 1024, M => 1024**2, G => 1024**3, T => 1024**4);
sub bytes { my ($size) = @_; return defined $size && $size =~ /\A([0-9]{1,15}(?:\.[0-9]{1,6})?)([KMGT]?)\z/ ? $1 * ($unit{$2} // 1) : undef }

# Equal texts mean the same. `ms-cert` is Proxmox VE's own note of the keys in an EFI disk.
sub comparable {
  my ($key, $value) = @_;
  return join ';', sort map { lc } split /[;,\s]+/, $value if $key eq 'tags';
  return $value if $key =~ /\A(?:description|lxc|env)\z/;
  return join ',', sort split /,/, without($value, 'size', 'ms-cert');
}

sub alike {
  my ($key, $one, $other) = @_;
  return !defined $one && !defined $other if !defined $one || !defined $other;
  return comparable($key, $one) eq comparable($key, $other);
}

# Whether two disks lie on one storage and are alike but for the names of their volumes.
sub same_but_volume {
  my ($one, $other) = @_;
  s/:[^,]*// for $one, $other;
  return comparable('scsi0', $one) eq comparable('scsi0', $other);
}

# What Proxmox VE keeps for itself, or what must not change under an installed system.
sub is_left_alone {
  my ($key, $kind) = @_;
  return 1 if $key =~ /\A(?:meta|digest|lock|parent|snaptime|vmstate|template|smbios1|vmgenid|unused[0-9]+|running.*)\z/;
  return $kind eq 'pct' && $key =~ /\A(?:arch|ostype|unprivileged)\z/;
}

sub say_fields { print map { "$_\0" } @_ }

sub guest {
  my ($kind, $now_path, $want_path, $left_path) = @_;
  my ($now) = read_guest(slurp($now_path));
  my $items = items_of($want_path);
  if (defined $items) {
    for my $item (@$items) {
      my ($key, $base, $want, $volume, $follows) = @$item;
      if ($follows && defined $now->{$key}) {
        my ($here) = $now->{$key} =~ /\A([^,]*)/;
        my $size = part($now->{$key}, 'size');
        for my $value (grep { defined } $base, $want) {
          $value =~ s/\A[^,]*/$here/;
          $value = without($value, 'size') . ",size=$size" if defined $size;
        }
      }
      next if alike($key, $now->{$key}, $want);
      # An allocated volume has the name that its storage gave it.
      next if defined $volume && defined $now->{$key} && same_but_volume($now->{$key}, $want);
      if (!alike($key, $now->{$key}, $base)) {
        note('conflict', "$key is " . shown($now->{$key}) . ' by now, and was ' . shown($base));
        next;
      }
      if (defined $volume) { say_fields('volume', $key, $volume) }
      else { change($key, $now->{$key}, $want) }
    }
    return;
  }
  my ($want, $order) = read_guest(slurp($want_path));
  my $left_text = slurp($left_path);
  my ($left) = read_guest($left_text);
  raw_changes($now, $want, $left, $planned ? 'plan' : 'spec', defined $left_text);
  for my $key (grep { !/\A(?:lxc|env)\z/ } @$order) {
    my ($value, $here) = ($want->{$key}, $now->{$key});
    if (is_left_alone($key, $kind)) {
      note('keep', "$key cannot change from " . shown($here) . " to `$value`")
        if $key eq 'unprivileged' && ($here // 0) ne $value;
      next;
    }
    my $was = $left->{$key};
    if (is_volume($key, $value)) {
      if (!defined $here) {
        if (defined $was) { note('keep', "$key was taken away by hand, and stays away") }
        else { say_fields('volume', $key, $value) }
        next;
      }
      # The volume that is there stays, whatever it is called.
      my ($volume) = $here =~ /\A([^,]*)/;
      my ($size, $size_here) = (bytes(part($value, 'size')), bytes(part($here, 'size')));
      s/\A[^,]*/$volume/ for grep { defined } $value, $was;
      if ($key =~ /\A(?:efidisk0|tpmstate0)\z/) {
        note('keep', "$key differs, and only a new one could change that") if !alike($key, $value, $here);
        next;
      }
      if (defined $size && defined $size_here) {
        if ($size > $size_here) { say_fields('grow', $key, part($value, 'size'), part($here, 'size')) }
        elsif ($size < $size_here) {
          note('keep', "$key has " . part($here, 'size') . ', and the spec says ' . part($value, 'size') . ': volumes are never shrunk');
        }
        $value = without($value, 'size') . ',size=' . part($here, 'size');
      }
    }
    next if alike($key, $here, $value);
    if (defined $was && alike($key, $was, $value)) { note('keep', "$key is " . shown($here) . " by hand, and not `$value`") }
    elsif ($planned || !defined $here || alike($key, $here, $was)) { change($key, $here, $value) }
    else { note('conflict', "$key is " . shown($here) . ", and the spec says `$value`") }
  }
  for my $key (sort keys %$left) {
    next if exists $want->{$key} || !exists $now->{$key} || is_left_alone($key, $kind) || $key =~ /\A(?:lxc|env)\z/;
    if (is_volume($key, $now->{$key})) { note('keep', "the volume of $key is no longer in the spec, and stays") }
    elsif (alike($key, $now->{$key}, $left->{$key})) { change($key, $now->{$key}, undef) }
    else { note('keep', "$key is no longer in the spec, but changed by hand since: it stays") }
  }
}

# One option that changes: from, to. An option that comes or goes has the kind of its own.
sub change {
  my ($key, $from, $to) = @_;
  if (!defined $to) { say_fields('delete', $key, $from) }
  elsif (!defined $from) { say_fields('add', $key, $to) }
  else { say_fields('set', $key, $from, $to) }
}

sub smaller {
  my ($now_path, $want_path, @keys) = @_;
  my ($now) = read_guest(slurp($now_path));
  my ($want) = read_guest(slurp($want_path));
  for my $key (@keys) {
    my ($size, $here) = map { part($_->{$key} // '', 'size') } $want, $now;
    next if !defined $size || !defined $here;
    if (bytes($size) > bytes($here)) { say_fields($key, $size) }
    elsif (bytes($size) < bytes($here)) { note('keep', "the image of $key has $here, which is more than $size: it stays so") }
  }
}

# What a command of an undo sets: by option, nothing for one that it deletes.
sub options_of {
  my (@words) = @_;
  my @options;
  while (my ($word, $value) = splice @words, 0, 2) {
    if ($word eq '--delete') { push @options, map { [$_, undef] } split /,/, $value }
    else { push @options, [$word =~ s/\A--//r, $value] }
  }
  return @options;
}

sub changed {
  my ($now_path, $after_path, @words) = @_;
  my ($now) = read_guest(slurp($now_path));
  my $text = slurp($after_path);
  my ($after) = read_guest($text // '');
  my (@changed, $open);
  for my $option (options_of(@words)) {
    my ($key, $back) = @$option;
    # The keys of cloud-init come from a file.
    if (defined $back && $key eq 'sshkeys') { $open = 1; next }
    next if as_written($key, $now->{$key}) eq as_written($key, $back);
    $open = 1;
    push @changed, $key if defined $text && as_written($key, $now->{$key}) ne as_written($key, $after->{$key});
  }
  say_fields($open ? @changed : 'back');
}

# A value with all that it says, the size of its volume, too.
sub as_written {
  my ($key, $value) = @_;
  return "\0" if !defined $value;
  my $size = is_volume($key, $value) ? bytes(part($value, 'size')) // '' : '';
  return comparable($key, $value) . "\0$size";
}

sub same {
  my @texts = map { slurp($_) // '' } @_;
  my ($one, $other) = map { (read_guest($_))[0] } @texts;
  for my $key (keys %{ { %$one, %$other } }) {
    return if as_written($key, $one->{$key}) ne as_written($key, $other->{$key});
  }
  # Snapshots, and what waits for a restart.
  my ($more, $others) = map { /^(\[.*)\z/ms ? $1 =~ s/\s+\z//r : '' } @texts;
  print 'same' if $more eq $others;
}

# The storage and the guest of a volume that Proxmox VE has named.
sub allocated { my ($volume) = @_; return ($volume // '') =~ m{\A([^:]+):(?:.*/)?(?:vm|subvol)-([0-9]+)-disk-} ? "$1 $2" : '' }

# A volume that the spec does not name is called as its storage had a number free. Another one that somebody has put in its
# place since is not what was left.
sub noted {
  my ($now_path, $want_path, $left_path) = @_;
  my ($now) = read_guest(slurp($now_path));
  my ($left) = read_guest(slurp($left_path));
  for my $line (lines_of(slurp($want_path))) {
    if ($line =~ /\A([a-z0-9]+): (([^,\s]+)\S*)/ && is_volume($1, $2)) {
      my ($key, $volume) = ($1, $3);
      my ($here, $was) = map { ($_->{$key} // '') =~ /\A([^,]*)/ } $now, $left;
      my $place = allocated($volume);
      $line =~ s/\Q$volume\E/$here/
        if $place ne '' && allocated($here) eq $place && ($was eq '' || $was eq $here || allocated($was) ne $place);
    }
    print $line;
  }
}

# Raw lines of a container, which pct itself cannot set. Each is a thing of its own, told apart by its key, and by all of it
# where LXC takes several of a key; a variable by its name.
my $repeats = qr/\A(?:<@ repeats|safe @>)/;

# A line as what it belongs to, `lxc` or `env`, and how it is written there.
sub raw_line {
  my ($key, $value) = $_[0] =~ /\A(lxc\.[^:=\s]+)(?::|\s*=)\s*(.*?)\s*\z/ or return;
  return ('env', $value) if $key eq 'lxc.environment.runtime';
  return ('lxc', $value eq '' ? "$key:" : "$key: $value");
}

sub raw_key {
  my ($group, $line) = @_;
  return $group eq 'env' ? $line =~ s/=.*//sr : $line =~ s/:.*//sr;
}

sub raw_id {
  my ($group, $line) = @_;
  my $key = raw_key($group, $line);
  return $group ne 'env' && $key =~ $repeats ? $line : $key;
}

# The lines that are there with what is wanted of them: what nobody wants and no run left is somebody else's, and stays. MODE:
# `plan`, what the spec says counts; `undo`, only what the run changed does. Of a guest that no run has left, which is not KNOWN,
# a key is what the spec says of it.
sub merged_raw {
  my ($group, $now, $want, $left, $mode, $known) = @_;
  my ($here, $wanted, $was) = map { [split /\n/, $_ // ''] } $now, $want, $left;
  my ($now_of, $want_of, $left_of) = map { my $lines = $_; +{ map { raw_id($group, $_) => $_ } @$lines } } $here, $wanted, $was;
  my @lines = @$here;
  if (!$known && $mode eq 'plan') {
    my %said = map { raw_key($group, $_) => 1 } @$wanted;
    @lines = grep { exists $want_of->{ raw_id($group, $_) } || !$said{ raw_key($group, $_) } } @lines;
  }
  for my $line (@$was) {
    my $id = raw_id($group, $line);
    next if exists $want_of->{$id} || !exists $now_of->{$id};
    if ($now_of->{$id} eq $line) { @lines = grep { $_ ne $line } @lines }
    elsif ($mode eq 'undo') { note('conflict', "$id was changed since") }
    else { note('keep', "$id is no longer in the spec, but changed by hand since: it stays") }
  }
  for my $at (0 .. $#$wanted) {
    my $line = $wanted->[$at];
    my $id = raw_id($group, $line);
    my ($is, $left_line) = ($now_of->{$id}, $left_of->{$id});
    next if defined $is && $is eq $line;
    if (defined $left_line && $left_line eq $line) {
      note('keep', "$group is " . shown($is) . " by hand, and not `$line`") if $mode ne 'undo';
    }
    elsif (!defined $is) {
      my ($before) = grep { defined } map { place_of($_, @lines) } reverse @$wanted[0 .. $at - 1];
      my ($behind) = grep { defined } map { place_of($_, @lines) } @$wanted[$at + 1 .. $#$wanted];
      splice(@lines, defined $before ? $before + 1 : $behind // @lines, 0, $line);
    }
    elsif ($mode eq 'plan' || defined $left_line && $is eq $left_line) { @lines = map { $_ eq $is ? $line : $_ } @lines }
    elsif ($mode eq 'undo') { note('conflict', "$id was changed since") }
    else { note('conflict', "$id is " . shown($is) . ", and the spec says `$line`") }
  }
  # What is in another order than somebody gave it.
  my @order = grep { defined place_of($_, @lines) } @$wanted;
  my %order = map { $_ => 1 } @order;
  my @before = grep { $order{$_} } @$was;
  my @stand = grep { $order{$_} } @lines;
  if (@order > 1 && @stand == @order && "@stand" ne "@order") {
    if (@before == @order && "@before" eq "@order") { note('keep', "the order of the $group lines is another one by hand") if $mode ne 'undo' }
    else { @lines = map { $order{$_} ? shift @order : $_ } @lines }
  }
  return join("\n", @lines);
}

sub place_of {
  my ($line, @lines) = @_;
  return (grep { $lines[$_] eq $line } reverse 0 .. $#lines)[0];
}

sub raw_changes {
  my ($now, $want, $left, $mode, $known) = @_;
  for my $group ('env', 'lxc') {
    my $here = $now->{$group};
    my $lines = merged_raw($group, $here, $want->{$group}, $left->{$group}, $mode, $known);
    change($group, $here, $lines eq '' ? undef : $lines) if $lines ne ($here // '');
  }
}

# The file with other raw lines before its first section.
sub raw_lines {
  my ($now_path, %other) = @_;
  my $text = slurp($now_path) // '';
  my ($main, $rest) = $text =~ /\A(.*?)(^\[.*)?\z/ms;
  my %raw = (env => '', lxc => '');
  my $options = '';
  for my $line (lines_of($main)) {
    my ($group) = raw_line($line);
    if (defined $group) { $raw{$group} .= ended($line) }
    else { $options .= $line }
  }
  $options =~ s/\n*\z/\n/ if $options ne '';
  for my $group (keys %other) {
    my $begin = $group eq 'env' ? 'lxc.environment.runtime: ' : '';
    $raw{$group} = join '', map { "$begin" . s/:\z/: /r . "\n" } split /\n/, $other{$group};
  }
  $main = $options . $raw{env} . $raw{lxc};
  $main .= "\n" if defined $rest;
  print $main . ($rest // '');
}

# What a run changed of the raw lines, back as it was; what somebody changed since is in the way, and further lines stay.
sub back {
  my ($now, $saved, $after) = map { (read_guest(slurp($_) // ''))[0] } @_;
  raw_changes($now, $saved, $after, 'undo', 1);
}

# ---------------------------------------------------------------- the rest

# pve-cluster wants the node's name to stand for an address of its own. The rest of the file is the user's.
sub hosts {
  my ($now_path, $line, $own) = @_;
  my ($address, $fqdn, $name) = split ' ', $line;
  my %own = map { $_ => 1 } $address, split ' ', $own // '';
  my $text = slurp($now_path) // "127.0.0.1 localhost.localdomain localhost\n";
  my ($out, $found, $place) = ('', 0, undef);
  # Names of hosts are the same in capitals.
  my $same = sub { lc $_[0] eq lc $_[1] };
  my $ours = sub { $same->($_[0], $name) || $same->($_[0], $fqdn) || index(lc $_[0], lc "$name.") == 0 };
  for my $here (lines_of($text)) {
    my ($said, $comment) = $here =~ /\A([^#\n]*)(.*)\z/s;
    my ($of, @names) = split ' ', $said;
    if (!grep({ $ours->($_) } @names) || $of =~ /:/ != $address =~ /:/) { $out .= $here; next }
    my @new = @names;
    if ($own{$of}) {
      if ($found++) { $out .= $here; next }
      if (!grep { $same->($_, $fqdn) } @new) {
        for (@new) { if (!$same->($_, $name) && $ours->($_)) { $_ = $fqdn; last } }
      }
      push @new, $name if !grep { $same->($_, $name) } @new;
    } else {
      $place //= length $out;
      @new = grep { !$same->($_, $name) && !$same->($_, $fqdn) } @names;
      next if !@new;
    }
    $out .= "@new" eq "@names" ? $here : "$of @new" . ($comment =~ /\A#/ ? ' ' : '') . $comment;
  }
  if (!$found) {
    $out = ended($out) if !defined $place;
    substr($out, $place // length $out, 0) = "$line\n";
  }
  print $out;
}

sub write_file {
  my ($path, $text) = @_;
  my $folder = '';
  for my $word (split m{/}, $path =~ s{/[^/]*\z}{}r) {
    $folder .= "$word/";
    mkdir $folder unless $folder eq '/' || -d $folder;
  }
  open(my $file, '>:raw', $path) or die "$path: $!\n";
  print {$file} $text or die "$path: $!\n";
  close $file or die "$path: $!\n";
}

sub read_applied {
  my ($path) = @_;
  my $text = slurp($path);
  return {} if !defined $text;
  my $applied = eval { json()->decode($text) };
  die "$path cannot be read: it is no JSON\n" if ref $applied ne 'HASH' || ref $applied->{files} ne 'HASH';
  return $applied->{files};
}

# The entries of applied.json as they stand, by their encoded paths. They are a line each, so that a step that adds one does
# not read the texts of all others; a file that somebody has formatted anew is read whole.
sub applied_entries {
  my ($path, $json) = @_;
  my $text = slurp($path);
  return {} if !defined $text;
  if (my ($lines) = $text =~ /\A\{"format":1,"host":"(?:[^"\\]|\\.)*","files":\{\n(.*)\n\}\}\n\z/s) {
    my %entries = map { /\A("(?:[^"\\]|\\.)*"):(\{.*\}),?\z/ ? ($1 => $2) : ('' => '') } split /\n/, $lines;
    return \%entries if !exists $entries{''};
  }
  my $files = read_applied($path);
  return { map { $json->encode($_) => $json->encode($files->{$_}) } keys %$files };
}

sub record {
  my ($path, $host, @rows) = @_;
  my $json = json();
  my $entries = applied_entries($path, $json);
  while (my ($name, $sum, $text) = splice @rows, 0, 3) {
    utf8::decode($name);
    my $key = $json->encode($name);
    if ($sum eq '-') { delete $entries->{$key}; next }
    my $entry = { sha256 => $sum };
    if ($text ne '') {
      my $content = slurp($text) // '';
      # As text: what is no UTF-8 is no file of a tree.
      utf8::decode($content);
      $entry->{text} = $content;
    }
    $entries->{$key} = $json->encode($entry);
  }
  my @lines = map { "$_:$entries->{$_}" } sort keys %$entries;
  print '{"format":1,"host":' . $json->encode($host) . ",\"files\":{\n" . join(",\n", @lines) . "\n}}\n";
}

sub left {
  my ($path, $folder) = @_;
  my $files = read_applied($path);
  my $sums = '';
  for my $name (sort keys %$files) {
    next if $name !~ m{\A[^/\x00-\x1f][^\x00-\x1f]*\z} || $name =~ m{(?:\A|/)\.\.?(?:/|\z)};
    my $entry = $files->{$name};
    next if ref $entry ne 'HASH' || ($entry->{sha256} // '') !~ /\A[0-9a-f]{64}\z/;
    $sums .= "$entry->{sha256}  $name\n";
    next if !defined $entry->{text};
    my $text = $entry->{text};
    utf8::encode($text);
    write_file("$folder/$name", $text);
  }
  write_file("$folder/.sums", $sums);
}

my ($action, @arguments) = @ARGV;
eval {
  if ($grammar{$action}) { merge($action, @arguments) }
  elsif ($action eq 'edit') { edit(@arguments) }
  elsif ($action eq 'guest') { guest(@arguments) }
  elsif ($action eq 'smaller') { smaller(@arguments) }
  elsif ($action eq 'raw') { raw_lines(@arguments) }
  elsif ($action eq 'back') { back(@arguments) }
  elsif ($action eq 'hosts') { hosts(@arguments) }
  elsif ($action eq 'changed') { changed(@arguments) }
  elsif ($action eq 'same') { same(@arguments) }
  elsif ($action eq 'record') { record(@arguments) }
  elsif ($action eq 'noted') { noted(@arguments) }
  elsif ($action eq 'left') { left(@arguments) }
  else { die "no action $action\n" }
  close STDOUT or die "cannot write: $!\n";
  1;
} or do { print STDERR $@; exit 1 };
PERL
}
