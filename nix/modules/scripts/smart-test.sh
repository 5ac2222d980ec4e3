# smart-test: has disks test themselves, and tells what their last test said.

usage() {
  cat <<'END'
usage: smart-test [--kind short|long] DISK...

Starts a self-test on each disk. What the disk says of its health and of the test before is told first. A disk that tests
itself already is left at it; one that has no self-tests is passed over.

  --kind KIND       short (some minutes, the default) or long (hours; reads everything)
END
}

kind=short
option() {
  case $1 in
    --kind) one_of kind short long ;;
    *) return 1 ;;
  esac
}

begin "$@"
if ((${#operands[@]} == 0)); then
  wrong_usage 'no disk is named'
fi
need perl smartctl
lock

# One line for ATA, NVMe and SCSI: whether it could be asked, is healthy, has tests, is testing; and how the last one ended.
# ATA: the upper half of the status is 15 while a test runs. NVMe: a result from 3 to 7 is a failure, others are none or a
# test that was ended from outside. SCSI: a result from 3 to 7 likewise.
state='
  my $ask = ($d->{smartctl}{exit_status} // 0) & 3 ? "no" : "yes";
  my $why = join("; ", map { $_->{string} } @{ $d->{smartctl}{messages} // [] });
  my $passed = !defined $d->{smart_status}{passed} ? "unknown" : $d->{smart_status}{passed} ? "yes" : "no";
  my ($has, $testing, $last) = ("no", "no", "");
  if (my $ata = $d->{ata_smart_data}) {
    $has = $ata->{capabilities}{self_tests_supported} ? "yes" : "no";
    $testing = "yes" if (($ata->{self_test}{status}{value} // 0) >> 4) == 15;
    my $log = $d->{ata_smart_self_test_log};
    my $row = (($log->{extended} // $log->{standard} // {})->{table} // [])->[0];
    $last = $row->{status}{string} if $row && defined $row->{status}{passed} && !$row->{status}{passed};
  } elsif (($d->{device}{protocol} // "") eq "NVMe") {
    my $log = $d->{nvme_self_test_log};
    $has = $d->{nvme_optional_admin_commands}{self_test} || $log ? "yes" : "no";
    $testing = "yes" if $log->{current_self_test_operation}{value};
    my $result = ($log->{table} // [])->[0]{self_test_result};
    $last = $result->{string} if $result && $result->{value} >= 3 && $result->{value} <= 7;
  } elsif (($d->{device}{protocol} // "") eq "SCSI") {
    my $row = $d->{scsi_self_test_0};
    $has = $row || exists $d->{scsi_self_test_log} ? "yes" : "unknown";
    my $value = $row->{result}{value} // 0;
    $testing = "yes" if $value == 15;
    $last = $row->{result}{string} if $value >= 3 && $value <= 7;
  }
  row($ask, $passed, $has, $testing, $last, $why);'

for disk in "${operands[@]}"; do
  if [[ ! -e $disk ]]; then
    failed "there is no disk $disk" disk "$disk"
    continue
  fi
  # Its status is a set of bits, most of which are about the disk and not about the call.
  hear_list smartctl --json -i -H -c -l selftest "$disk" || true
  if ! line=$(rows "$state" <<<"$heard" 2>/dev/null); then
    failed "$disk: smartctl gives no answer" disk "$disk"
    continue
  fi
  if ! take "what $disk says" asked:name passed:name has:name testing:name last:text? why:text? <<<"$line"; then
    continue
  fi
  if [[ $asked == no ]]; then
    failed "$disk: cannot be asked: ${why:-no reason given}" disk "$disk"
    continue
  fi
  if [[ $passed == no ]]; then
    found "$disk: it says itself that it is failing" disk "$disk"
  fi
  if [[ -n $last ]]; then
    found "$disk: its last test failed: $last" disk "$disk"
  fi
  if [[ $testing == yes ]]; then
    say "$disk: it tests itself already" disk "$disk"
    count 'testing already'
  elif [[ $has == no ]]; then
    say "$disk: it has no self-tests" disk "$disk"
    count 'without self-tests'
  elif attempt smartctl "--test=$kind" "$disk"; then
    count "$kind tests started"
  elif [[ $said == *'without aborting current test'* || $said == *'already in progress'* ]]; then
    say "$disk: it tests itself already" disk "$disk"
    count 'testing already'
  elif [[ $said == *[Uu]nsupported* || $said == *'not supported'* ]]; then
    say "$disk: it has no self-tests" disk "$disk"
    count 'without self-tests'
  else
    failed "$disk: no test: $reason" disk "$disk"
  fi
done
