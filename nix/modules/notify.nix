# Tells somebody by mail when a task or an update has failed.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  cfg = config.services.moxc.notify;

  tool =
    (import ./tools.nix {
      inherit lib pkgs;
      systemd = config.systemd.package;
    }).moxc-notify;
in
{
  key = "moxc/notify";

  imports = [ ./common.nix ];

  options.services.moxc.notify.email = lib.mkOption {
    type = lib.types.nullOr lib.types.str;
    default = null;
    example = "admin@example.org";
    description = "Who gets a mail when a task or an update has failed. It goes by the machine's `sendmail`.";
  };

  config = lib.mkIf (config.services.moxc.enable && cfg.email != null) {
    environment.systemPackages = [ tool ];
    # It names no unit for its own failure, so that nothing goes round in circles.
    systemd.services."moxc-failure@" = {
      description = "Tell that %i has failed";
      serviceConfig = {
        Type = "oneshot";
        TimeoutStartSec = "5min";
      };
      script = "exec ${
        lib.escapeShellArgs [
          (lib.getExe tool)
          "--yes"
          "--to"
          cfg.email
        ]
      } \"$1\"";
      scriptArgs = "%i";
    };
  };
}
