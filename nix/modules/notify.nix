# Tells somebody when a task or an update has failed: by mail, or by a command of the user's.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  cfg = config.services.moxc.notify;
  inherit (import ./priority.nix { inherit lib; }) facts;

  tool =
    (import ./tools.nix {
      inherit lib pkgs;
      systemd = config.systemd.package;
    }).packages.moxc-notify;

  # The modules of mail programs set it: postfix, msmtp, nullmailer, opensmtpd, exim.
  hasSendmail = (config.services.mail.sendmailSetuidWrapper or null) != null;
in
{
  key = "moxc/notify";

  imports = [ ./common.nix ];

  options.services.moxc.notify = {
    email = lib.mkOption {
      type = lib.types.nullOr lib.types.str;
      default = null;
      example = "admin@example.org";
      description = "Who gets a mail when a task or an update has failed. It goes by the machine's `sendmail`.";
    };
    command = lib.mkOption {
      type = lib.types.nullOr lib.types.path;
      default = null;
      example = lib.literalExpression ''
        pkgs.writeShellScript "tell" '''
          ''${lib.getExe pkgs.curl} --data-binary @- -H "Title: $1" https://ntfy.example.org/homelab
        '''
      '';
      description = ''
        A program that is run when a task or an update has failed, for machines without mail. It is given the subject as
        its only argument, and the message as its input.
      '';
    };
    unit = lib.mkOption {
      type = lib.types.listOf lib.types.str;
      default = lib.optional (cfg.email != null || cfg.command != null) "moxc-failure@%n.service";
      internal = true;
      description = "What a unit names as `onFailure`.";
    };
  };

  config = lib.mkIf (config.services.moxc.enable && cfg.unit != [ ]) {
    warnings = lib.optional (cfg.email != null && cfg.command == null && !hasSendmail) ''
      services.moxc.notify.email is ${toString cfg.email}, but this machine has no mail program: what fails is told in its
      journal alone. Set programs.msmtp (or another one) up, or services.moxc.notify.command.
    '';

    environment.systemPackages = [ tool ];
    # It names no unit for its own failure, so that nothing goes round in circles.
    systemd.services."moxc-failure@" = facts {
      description = "Tell that %i has failed";
      serviceConfig = {
        Type = "oneshot";
        TimeoutStartSec = "5min";
      };
      script = "exec ${
        lib.escapeShellArgs (
          [
            (lib.getExe tool)
            "--yes"
          ]
          ++ lib.optionals (cfg.email != null) [
            "--to"
            cfg.email
          ]
          ++ lib.optionals (cfg.command != null) [
            "--command"
            "${cfg.command}"
          ]
        )
      } \"$1\"";
      scriptArgs = "%i";
    };
  };
}
