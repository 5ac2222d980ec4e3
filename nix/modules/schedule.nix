# What runs by itself at set times: the options that say when, the timer that they make, and the target that wants all
# timers of this machine.
{ lib }:
rec {
  # Each argument is what an option has beside what stands here, or instead of it.
  options =
    {
      onCalendar ? { },
      randomizedDelay ? { },
      timeout ? { },
    }:
    {
      onCalendar = lib.mkOption (
        {
          type = lib.types.str;
          description = "When, as systemd's OnCalendar.";
        }
        // onCalendar
      );
      randomizedDelay = lib.mkOption (
        {
          type = lib.types.nullOr lib.types.str;
          default = null;
          description = "How much later at random, at most.";
        }
        // randomizedDelay
      );
      persistent = lib.mkOption {
        type = lib.types.bool;
        default = true;
        description = "Whether a run that was missed is made up for.";
      };
      timeout = lib.mkOption (
        {
          type = lib.types.str;
          example = "2h";
          description = "How long it may take, as systemd's TimeoutStartSec.";
        }
        // timeout
      );
    };

  timer = name: schedule: {
    description = "When ${name} runs";
    wantedBy = [ "timers.target" ];
    timerConfig = {
      OnCalendar = schedule.onCalendar;
      Persistent = schedule.persistent;
    }
    // lib.optionalAttrs (schedule.randomizedDelay != null) {
      RandomizedDelaySec = schedule.randomizedDelay;
    };
  };

  # The timers of schedules by name, each of them called `prefix` and its name.
  timers =
    prefix: lib.mapAttrs' (name: schedule: lib.nameValuePair "${prefix}${name}" (timer name schedule));

  # The same for what is the machine's own: one target stops and starts them all.
  ofTheMachine = prefix: schedules: {
    targets = lib.optionalAttrs (schedules != { }) {
      moxc = {
        description = "What moxc does by itself on this machine";
        wantedBy = [ "multi-user.target" ];
        wants = lib.mapAttrsToList (name: _: "${prefix}${name}.timer") schedules;
      };
    };
    timers = lib.mapAttrs (_: timer: timer // { partOf = [ "moxc.target" ]; }) (
      timers prefix schedules
    );
  };
}
