//! What real Nix says: to every generated file, to our modules in a module evaluator, and to the flake, all offline.
//!
//! Needs nix-instantiate and nix (Debian: nix-bin); `tests/run` has them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use pretty_assertions::assert_eq;
use serde_json::Value as Json;
use tempfile::TempDir;

use crate::nixos::{cases, lay_out, root, spec_name};

/// Runs a command and gives its standard output; panics with its errors where it fails.
fn run(command: &mut Command) -> String {
    let output = try_run(command);
    assert!(
        output.status.success(),
        "{command:?}: {}\n{}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap()
}

fn try_run(command: &mut Command) -> Output {
    command
        .output()
        .unwrap_or_else(|error| panic!("{command:?}: {error}"))
}

/// Neither a store nor a daemon is needed to parse and to evaluate.
fn instantiate() -> Command {
    let mut command = Command::new("nix-instantiate");
    command.env("NIX_REMOTE", "dummy://").env_remove("NIX_PATH");
    command
}

/// The value of an expression.
fn evaluate(expression: &str) -> Json {
    let output = try_evaluate(expression);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{expression}\n{errors}");
    serde_json::from_slice(&output.stdout).unwrap()
}

fn try_evaluate(expression: &str) -> Output {
    try_run(instantiate().args([
        "--eval",
        "--strict",
        "--json",
        "--readonly-mode",
        "--expr",
        expression,
    ]))
}

/// What the program writes for a case, into a folder of its own beside the spec.
pub(crate) fn written(name: &str) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let spec = spec_name(name);
    fs::write(folder.path().join(spec), &cases()[name]).unwrap();
    // The user's own module of the case `guests`.
    fs::create_dir_all(folder.path().join("desk")).unwrap();
    fs::write(
        folder.path().join("desk/web.nix"),
        "{ networking.firewall.allowedTCPPorts = [ 8080 ]; }\n",
    )
    .unwrap();
    fs::write(
        folder.path().join("desk/copy.sh"),
        "#!/bin/sh\nrsync \"$@\"\n",
    )
    .unwrap();
    run(Command::new(env!("CARGO_BIN_EXE_moxc"))
        .current_dir(folder.path())
        .args(["build", "--quiet", spec, "--output", "generated"]));
    let hosts: Vec<PathBuf> = fs::read_dir(folder.path().join("generated"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    let [host] = hosts.as_slice() else {
        panic!("one spec, one host: {hosts:?}");
    };
    let nixos = host.join("nixos");
    (folder, nixos)
}

fn stub(file: &str) -> String {
    root()
        .join("tests/nix/stub-nixpkgs")
        .join(file)
        .display()
        .to_string()
}

/// The call that evaluates a module together with another one.
fn system(module: &Path, with: &str) -> String {
    format!(
        "(import {} {{ }} [ {} {} ({with}) ])",
        stub("eval.nix"),
        stub("base.nix"),
        module.display()
    )
}

/// A module's merged options, without what is not set.
pub(crate) fn config(module: &Path, with: &str) -> Json {
    evaluate(&format!("{}.shown", system(module, with)))
}

#[test]
#[ignore = "needs nix-instantiate; run by tests/run"]
fn nix_parses_every_generated_file() {
    for name in cases().keys() {
        let (_folder, nixos) = written(name);
        let mut folders = vec![nixos];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                } else if path.extension().is_some_and(|e| e == "nix") {
                    run(instantiate().arg("--parse").arg(path));
                }
            }
        }
    }
}

#[test]
#[ignore = "needs nix-instantiate; run by tests/run"]
fn every_module_evaluates_alone() {
    for name in cases().keys() {
        let (_folder, nixos) = written(name);
        let names = evaluate(&format!(
            "builtins.attrNames (import {}).nixosModules",
            nixos.display()
        ));
        let names: Vec<String> = serde_json::from_value(names).unwrap();
        assert!(!names.is_empty(), "{name}");
        for module in names {
            let value = evaluate(&format!(
                "((import {stub} {{ }}) [ {base} (import {index}).nixosModules.{module} ]).shown",
                stub = stub("eval.nix"),
                base = stub("base.nix"),
                index = nixos.display(),
            ));
            assert!(
                value["networking"]["hostName"].is_string(),
                "{name}: {module}"
            );
            let failed: Vec<&Json> = value["assertions"]
                .as_array()
                .into_iter()
                .flatten()
                .filter(|assertion| assertion["assertion"] != true)
                .collect();
            assert!(failed.is_empty(), "{name}: {module}: {failed:?}");
        }
    }
}

#[test]
#[ignore = "needs nix-instantiate; run by tests/run"]
fn a_router_forwards_for_its_clients_and_for_nobody_else() {
    let (_folder, nixos) = written("homelab");
    let router = config(&nixos.join("services.nix"), "{ }");
    assert_eq!(
        router["networking"]["nat"]["internalIPs"],
        serde_json::json!(["192.168.1.21/32"])
    );
    assert_eq!(router["networking"]["nat"]["externalInterface"], "eth0");
    assert_eq!(router["networking"]["firewall"]["filterForward"], true);
    assert_eq!(router["networking"]["nftables"]["enable"], true);
    let sysctl = &router["boot"]["kernel"]["sysctl"];
    assert_eq!(sysctl["net.ipv4.ip_forward"], true);
    assert_eq!(sysctl["net.ipv4.conf.eth0.send_redirects"], false);

    let client = config(&nixos.join("workstation.nix"), "{ }");
    let network = &client["systemd"]["network"];
    assert_eq!(
        network["networks"]["10-net0"]["gateway"],
        serde_json::json!(["192.168.1.20"])
    );
    assert_eq!(network["links"]["10-net0"]["linkConfig"]["Name"], "net0");
    assert!(client["networking"]["nat"].is_null());
}

#[test]
#[ignore = "needs nix-instantiate; run by tests/run"]
fn addresses_and_gateways_reach_networkd() {
    let (_folder, nixos) = written("guests");
    let far = config(&nixos.join("far.nix"), "{ }");
    let network = &far["systemd"]["network"]["networks"];
    assert_eq!(
        network["10-eth0"]["routes"],
        serde_json::json!([{ "Gateway": "192.0.2.1", "GatewayOnLink": true }])
    );
    assert_eq!(network["10-eth1"]["networkConfig"]["DHCP"], "ipv6");
    let desk = config(&nixos.join("desk.nix"), "{ }");
    assert_eq!(
        desk["systemd"]["network"]["networks"]["10-net0"]["linkConfig"]["MTUBytes"],
        "1400"
    );
    assert_eq!(
        desk["fileSystems"]["/mnt/with a blank"],
        serde_json::json!({ "device": "books", "fsType": "virtiofs", "options": ["nofail", "ro"] })
    );
    // The spec's settings win over what the compiler says, and the user's module is there.
    assert_eq!(desk["networking"]["hostName"], "desk-1");
    assert_eq!(
        desk["networking"]["firewall"]["allowedTCPPorts"],
        serde_json::json!([8080])
    );
    assert_eq!(
        desk["users"]["users"]["alice"]["description"],
        "Alice \"A\" ${x}"
    );
    assert_eq!(desk["environment"]["etc"]["a.conf"]["text"], "/srv/${www}");
    // A script of the spec is a command and a unit.
    let unit = &desk["systemd"]["services"]["moxc-script-copy-photos"];
    assert_eq!(
        unit["serviceConfig"]["ExecStart"],
        r#"/fake/copy-photos/bin/copy-photos "--name" "50%% $$HOME""#
    );
    let script = "#!/bin/sh\nrsync \"$@\"\n";
    let installed = desk["environment"]["systemPackages"].as_array().unwrap();
    assert_eq!(installed.iter().filter(|one| **one == script).count(), 2);
    assert_eq!(
        desk["security"]["sudo"]["extraRules"][0]["users"],
        serde_json::json!(["alice"])
    );
    assert!(desk["systemd"]["user"]["timers"]["moxc-script-tidy"]["timerConfig"].is_object());
}

#[test]
#[ignore = "needs nix-instantiate; run by tests/run"]
fn a_users_line_wins_and_lists_are_joined() {
    let (_folder, nixos) = written("homelab");
    let own = r#"{
      networking.hostName = "mine";
      networking.firewall.allowedTCPPorts = [ 8080 ];
      services.openssh.settings.PasswordAuthentication = true;
      system.stateVersion = "24.05";
      services.moxc.update.schedules.flake-update.onCalendar = "daily";
    }"#;
    let mine = config(&nixos.join("services.nix"), own);
    assert_eq!(mine["networking"]["hostName"], "mine");
    assert_eq!(
        mine["networking"]["firewall"]["allowedTCPPorts"],
        serde_json::json!([22, 80, 443, 8080])
    );
    assert_eq!(
        mine["services"]["openssh"]["settings"]["PasswordAuthentication"],
        true
    );
    assert_eq!(mine["system"]["stateVersion"], "24.05");
    assert_eq!(
        mine["systemd"]["timers"]["moxc-flake-update"]["timerConfig"]["OnCalendar"],
        "daily"
    );
}

/// What a module sets, one single value after the other, each held against a plain line that says otherwise.
const AGAINST_EACH: &str = r#"
let
  set = path: value:
    if path == [ ] then value else { ${builtins.head path} = set (builtins.tail path) value; };
  at = builtins.foldl' (place: name: place.${name});
  leaves = path: value:
    if builtins.isAttrs value then
      builtins.concatLists (
        builtins.attrValues (builtins.mapAttrs (name: leaves (path ++ [ name ])) value)
      )
    else if builtins.isList value || value == null then
      [ ]
    else
      [ { inherit path value; } ];
  dotted = builtins.concatStringsSep ".";
  # What the stand-in for NixOS says itself, and texts that NixOS joins.
  isOther = leaf:
    builtins.any (start: builtins.substring 0 (builtins.stringLength start) (dotted leaf.path) == start) [
      "_module" "assertions" "boot.extraModprobeConfig" "boot.initrd.services.udev.rules" "boot.isContainer"
      "boot.loader.systemd-boot.extraInstallCommands" "boot.zfs.package" "environment.etc.hosts" "services.udev.extraRules"
      "networking.nat.extraCommands" "nix.package" "services.moxc" "system.build" "systemd.package" "systemd.units" "warnings"
    ]
    || builtins.elem (dotted leaf.path) (
      map (name: "systemd.services.${name}.enable") (builtins.attrNames all.config.services ++ [ "sshd" ])
    );
  all = evaluate [ base module ];
  other = value:
    if builtins.isBool value then !value else if builtins.isInt value then value + 1 else "${value}-other";
  wins = leaf:
    let
      got = builtins.tryEval (
        at (evaluate [ base module { config = set leaf.path (other leaf.value); } ]).config leaf.path
      );
    in
    got.success && got.value == other leaf.value;
  own = builtins.filter (leaf: !(isOther leaf)) (leaves [ ] all.shown);
in
{
  count = builtins.length own;
  lost = map (leaf: dotted leaf.path) (builtins.filter (leaf: !(wins leaf)) own);
}
"#;

#[test]
#[ignore = "needs nix-instantiate; run by tests/run"]
fn a_plain_line_wins_over_every_single_value() {
    for (case, machines) in [
        ("guests", &["router"][..]),
        ("nixos-host", &["pve1", "workstation"]),
    ] {
        let (_folder, nixos) = written(case);
        for machine in machines {
            let found = evaluate(&format!(
                "let evaluate = import {} {{ }}; base = {}; module = {}/{machine}.nix; in {AGAINST_EACH}",
                stub("eval.nix"),
                stub("base.nix"),
                nixos.display()
            ));
            assert!(found["count"].as_u64().unwrap() > 30, "{machine}: {found}");
            assert_eq!(found["lost"], serde_json::json!([]), "{machine}");
        }
    }
}

/// Types as nixpkgs makes them, as far as `yielding` looks at them.
const WITHIN_TABLES: &str = r#"
let
  option = type: { _type = "option"; inherit type; };
  text = { name = "str"; check = builtins.isString; };
  anything = { name = "anything"; check = _: true; };
  attrsOf = elemType: { name = "attrsOf"; check = builtins.isAttrs; nestedTypes = { inherit elemType; }; };
  nullOr = elemType: { name = "nullOr"; check = v: v == null || elemType.check v; nestedTypes = { inherit elemType; }; };
  either = left: right: { name = "either"; check = v: left.check v || right.check v; nestedTypes = { inherit left right; }; };
  submodule = declared: freeformType: {
    name = "submodule"; check = builtins.isAttrs; getSubOptions = _: declared;
    nestedTypes = if freeformType == null then { } else { inherit freeformType; };
  };
  options.services = {
    plain = option (submodule { inner = option text; deep.inner = option text; } (attrsOf text));
    ini = option (attrsOf (attrsOf (either text anything)));
    json = option (nullOr (either text (attrsOf anything)));
    whole = option { name = "attrs"; check = builtins.isAttrs; };
    nested.enable = option { name = "bool"; check = builtins.isBool; };
  };
  table = { a = "x"; b = [ "y" ]; };
in
(import PRIORITY { inherit lib; }).yielding options {
  services = {
    plain = { inner = "i"; deep.inner = "d"; free = table; };
    ini = { section = { word = "w"; }; };
    json = { one = { two = 2; }; };
    whole = { kept = "as it is"; };
    nested.enable = true;
    gone = { what = "nobody declares"; };
    said = lib.mkForce "already";
  };
}
"#;

/// Every option that moxc's own modules declare, and the type of its value, as the option index says it.
const DECLARED: &str = r#"
let
  inherit (evaluate [ base DEFAULT HOST ]) options;
  begins = start: text: builtins.substring 0 (builtins.stringLength start) text == start;
  shape =
    type:
    if type ? values then
      { enum = type.values; }
    else if begins "nullOr " type.name then
      { nullOr = shape type.inner; }
    else if begins "listOf " type.name then
      { listOf = shape type.inner; }
    else if begins "attrsOf " type.name then
      { attrsOf = shape type.inner; }
    else if type.name == "ints.positive" then
      "positive"
    else
      type.name;
  inside =
    path: type:
    if type ? options then
      below path type.options
    else if begins "attrsOf " type.name then
      inside "${path}.<name>" type.inner
    else if begins "listOf " type.name then
      inside "${path}.*" type.inner
    else
      [ ];
  below =
    path: set:
    builtins.concatLists (
      builtins.attrValues (builtins.mapAttrs (name: one: row "${path}.${name}" one) set)
    );
  row =
    path: one:
    if one._type or null == "option" then
      [ { option = path; type = shape one.type; } ] ++ inside path one.type
    else
      below path one;
in
below "services.moxc" options.services.moxc
"#;

#[test]
#[ignore = "needs nix-instantiate; run by tests/run"]
fn the_option_index_has_the_modules_own_options_and_no_other() {
    let module = |name: &str| root().join("nix/modules").join(name).display().to_string();
    let text = DECLARED
        .replace("DEFAULT", &module("default.nix"))
        .replace("HOST", &module("host.nix"));
    let found = evaluate(&format!(
        "let evaluate = import {} {{ }}; base = {}; in {text}",
        stub("eval.nix"),
        stub("base.nix")
    ));
    let mut declared: Vec<String> = found
        .as_array()
        .unwrap()
        .iter()
        .map(|row| format!("{} {}", row["option"].as_str().unwrap(), row["type"]))
        .collect();
    declared.sort();
    let source = fs::read_to_string(root().join("generator/nix/options/options.jsonl")).unwrap();
    let mut indexed: Vec<String> = source
        .lines()
        .filter(|line| line.starts_with("{\"option\":\"services.moxc."))
        .map(|line| {
            let row: Json = serde_json::from_str(line).unwrap();
            format!("{} {}", row["option"].as_str().unwrap(), row["type"])
        })
        .collect();
    indexed.sort();
    assert!(declared.len() > 60, "{declared:?}");
    assert_eq!(indexed, declared);
}

#[test]
#[ignore = "needs nix-instantiate; run by tests/run"]
fn what_lies_in_tables_of_settings_yields_where_nixos_looks_into_them() {
    let table = WITHIN_TABLES.replace(
        "PRIORITY",
        &root()
            .join("nix/modules/priority.nix")
            .display()
            .to_string(),
    );
    let found = evaluate(&format!("let lib = import {}; in {table}", stub("lib.nix")));
    let yields =
        |value: Json| serde_json::json!({ "_type": "override", "priority": 850, "content": value });
    let wanted = serde_json::json!({ "services": {
        "plain": {
            "inner": yields("i".into()),
            "deep": { "inner": yields("d".into()) },
            "free": { "a": yields("x".into()), "b": ["y"] },
        },
        "ini": { "section": { "word": yields("w".into()) } },
        "json": { "one": { "two": yields(2.into()) } },
        "whole": { "kept": "as it is" },
        "nested": { "enable": yields(true.into()) },
        "gone": { "what": "nobody declares" },
        "said": { "_type": "override", "priority": 50, "content": "already" },
    } });
    assert_eq!(found, wanted);
}

#[test]
#[ignore = "needs nix-instantiate; run by tests/run"]
fn parts_can_be_switched_off() {
    let (_folder, nixos) = written("homelab");
    let module = nixos.join("services.nix");
    let on = config(&module, "{ }");
    let timer = |config: &Json| config["systemd"]["timers"]["moxc-flake-update"].clone();
    assert_eq!(timer(&on)["timerConfig"]["OnCalendar"], "03:30");
    assert_eq!(timer(&on)["wantedBy"], serde_json::json!(["timers.target"]));
    assert!(timer(&config(&module, "{ services.moxc.update.enable = false; }")).is_null());
    let silent = config(
        &module,
        "{ services.moxc.gateway.enable = false; services.moxc.network.enable = false; }",
    );
    assert!(silent["networking"]["nat"].is_null());
    assert!(silent["systemd"]["network"].is_null());
    let nothing = config(&module, "{ services.moxc.enable = false; }");
    for part in ["services", "timers", "targets", "network"] {
        assert!(
            nothing["systemd"][part].is_null(),
            "{part}: {}",
            nothing["systemd"][part]
        );
    }
    // What is no logic of ours stays: the name, the keys.
    assert_eq!(nothing["networking"]["hostName"], "services");
}

#[test]
#[ignore = "needs nix-instantiate; run by tests/run"]
fn an_update_calls_its_script_with_what_the_spec_says() {
    let (_folder, nixos) = written("guests");
    let router = config(&nixos.join("router.nix"), "{ }");
    let service = &router["systemd"]["services"]["moxc-nightly"];
    let script = service["script"].as_str().unwrap();
    for part in [
        "'--flake' 'git+https://git.example/lab?dir=nix'",
        "'--attribute' 'router'",
        "'--health' 'unbound.service'",
        "'--reboot' 'if-needed'",
        "'--no-rollback'",
        "'--yes'",
    ] {
        assert!(script.contains(part), "{part} is not in {script}");
    }
    assert_eq!(service["restartIfChanged"], false);
    assert_eq!(service["serviceConfig"]["TimeoutStartSec"], "2h");
    let timer = &router["systemd"]["timers"]["moxc-nightly"]["timerConfig"];
    assert_eq!(
        timer,
        &serde_json::json!({ "OnCalendar": "Mon..Fri 03:30", "Persistent": false, "RandomizedDelaySec": "15m" })
    );
    assert!(
        router["systemd"]["services"]["moxc-weekly"].is_null(),
        "it is not enabled"
    );
}

#[test]
#[ignore = "needs nix-instantiate; run by tests/run"]
fn an_update_looks_at_units_that_the_machine_has() {
    let (_folder, nixos) = written("example-host");
    let web = nixos.join("web.nix");
    let failed = |with: &str| {
        let shown = config(&web, with);
        let assertions = shown["assertions"].as_array().unwrap().clone();
        let failed = assertions.iter().filter(|one| one["assertion"] != true);
        failed
            .map(|one| one["message"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    // In a container SSH starts with each connection, unless an update looks at it.
    let plain = config(&web, "{ }");
    assert_eq!(plain["services"]["openssh"]["startWhenNeeded"], false);
    assert_eq!(failed("{ }"), Vec::<String>::new());
    // A user's own line wins, and is then told.
    let by_hand = failed("{ services.openssh.startWhenNeeded = true; }");
    assert_eq!(by_hand.len(), 1, "{by_hand:?}");
    assert!(by_hand[0].contains("sshd.service"), "{by_hand:?}");
    let health = |unit: &str, more: &str| {
        failed(&format!(
            "{{ services.moxc.update.schedules.flake.health = [ \"{unit}\" ]; {more} }}"
        ))
    };
    for (unit, more) in [
        ("nginx.service", ""),
        ("moxc-flake.timer", ""),
        ("moxc.target", ""),
        ("multi-user.target", ""),
        ("srv-files.mount", ""),
        (
            "job@one.service",
            "systemd.services.\"job@\".script = \"true\";",
        ),
        ("x.socket", "systemd.sockets.x.wantedBy = [ ];"),
    ] {
        assert_eq!(health(unit, more), Vec::<String>::new(), "{unit}");
    }
    for (unit, more) in [
        ("ngnix.service", ""),
        ("nginx.socket", ""),
        ("job@one.service", ""),
        ("x.service", "systemd.services.x.enable = false;"),
    ] {
        let told = health(unit, more);
        assert_eq!(told.len(), 1, "{unit}: {told:?}");
        assert!(told[0].contains(unit), "{told:?}");
    }
}

#[test]
#[ignore = "needs nix-instantiate; run by tests/run"]
fn what_fails_on_a_guest_reaches_somebody() {
    let (_folder, nixos) = written("example-host");
    let web = nixos.join("web.nix");
    let shown = config(&web, "{ }");
    let services = &shown["systemd"]["services"];
    assert_eq!(
        services["moxc-flake"]["onFailure"],
        serde_json::json!(["moxc-failure@%n.service"])
    );
    let script = services["moxc-failure@"]["script"].as_str().unwrap();
    assert!(script.contains("'--to' 'admin@home.arpa'"), "{script}");
    // A mail program is the user's to choose: without one it is told while the machine is evaluated.
    let warnings = shown["warnings"].to_string();
    assert!(warnings.contains("no mail program"), "{warnings}");
    let with_mail = config(
        &web,
        "{ services.mail.sendmailSetuidWrapper.program = \"sendmail\"; }",
    );
    assert!(
        with_mail["warnings"].to_string().len() < 5,
        "{}",
        with_mail["warnings"]
    );
    let by_command = config(
        &web,
        "{ services.moxc.notify.command = \"/run/current-system/sw/bin/tell\"; }",
    );
    let script = by_command["systemd"]["services"]["moxc-failure@"]["script"].to_string();
    assert!(
        script.contains("'--command' '/run/current-system/sw/bin/tell'"),
        "{script}"
    );
    // What was goes, and a user's own line wins.
    assert_eq!(shown["nix"]["gc"]["automatic"], true);
    assert_eq!(
        config(&web, "{ nix.gc.automatic = false; }")["nix"]["gc"]["automatic"],
        false
    );
    let dev = config(&nixos.join("dev.nix"), "{ }");
    assert_eq!(
        dev["boot"]["loader"]["systemd-boot"]["configurationLimit"],
        10
    );
}

#[test]
#[ignore = "needs nix-instantiate; run by tests/run"]
fn another_boot_loader_of_the_users_takes_the_place_of_ours() {
    let (_folder, nixos) = written("example-host");
    let dev = nixos.join("dev.nix");
    let loaders = |module: &Path, with: &str| {
        let loader = &config(module, with)["boot"]["loader"];
        [
            loader["systemd-boot"]["enable"].clone(),
            loader["grub"]["enable"].clone(),
        ]
    };
    for name in [&dev, &nixos.join("nix1.nix")] {
        assert_eq!(loaders(name, "{ }"), [true, false], "{}", name.display());
        // Lanzaboote is `external`.
        for other in ["external", "limine", "refind"] {
            let with = format!(
                "{{ boot.loader.{other}.enable = true; boot.loader.grub.device = \"nodev\"; }}"
            );
            assert_eq!(loaders(name, &with), [false, false], "{other}");
        }
    }
}

#[test]
#[ignore = "needs nix-instantiate; run by tests/run"]
fn a_machine_that_restarts_by_itself_lets_its_boot_loader_count() {
    let (_folder, nixos) = written("example-host");
    let dev = nixos.join("dev.nix");
    let counts = |declared: &str, with: &str| {
        let shown = config(
            &dev,
            &format!("({{ lib, ... }}: {{ {declared} config = {{ {with} }}; }})"),
        );
        let loader = &shown["boot"]["loader"]["systemd-boot"];
        let panics = shown["boot"]["kernelParams"]
            .to_string()
            .contains("\"panic=30\"");
        (loader["bootCounting"]["enable"].clone(), panics)
    };
    let newer = "options.boot.loader.systemd-boot.bootCounting.enable = lib.mkOption { type = lib.types.bool; default = false; };";
    let restarts = "services.moxc.update.schedules.flake.reboot = \"if-needed\";";
    assert_eq!(counts(newer, restarts), (true.into(), true));
    // One that nothing restarts stays as NixOS has it, and a user's own line wins.
    assert_eq!(counts(newer, ""), (false.into(), false));
    let off = format!("{restarts} boot.loader.systemd-boot.bootCounting.enable = false;");
    assert_eq!(counts(newer, &off), (false.into(), false));
    // Another boot loader does not count in this way, and an older NixOS has no such option.
    let limine = format!(
        "{restarts} boot.loader.limine.enable = true; boot.loader.grub.device = \"nodev\";"
    );
    assert_eq!(counts(newer, &limine), (false.into(), false));
    assert_eq!(counts("", restarts), (Json::Null, false));
}

#[test]
#[ignore = "needs nix-instantiate; run by tests/run"]
fn every_hand_written_module_can_be_imported_alone_and_is_then_silent() {
    for entry in fs::read_dir(root().join("nix/modules")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        // The tools are packages, and the priorities and the times functions.
        let parts = ["priority.nix", "schedule.nix", "tools.nix"];
        if !name.ends_with(".nix") || parts.contains(&name.as_str()) {
            continue;
        }
        let shown = config(&path, "{ networking.hostName = \"a\"; }");
        for part in ["services", "timers", "targets", "network", "user"] {
            let found = &shown["systemd"][part];
            assert!(found.is_null(), "{name}: {part}: {found}");
        }
    }
}

#[test]
#[ignore = "needs nix-instantiate; run by tests/run"]
fn scripts_are_commands_with_rights_and_times() {
    let (_folder, nixos) = written("homelab");
    let script = root().join("nix/hooks/moxc-regenerate");
    let with = format!(
        "{{ services.moxc.automation.scripts = {{
             copy = {{ source = {script}; operators = [ \"alice\" ]; operatorGroups = [ \"backup\" ]; onCalendar = \"daily\";
                      arguments = [ \"--yes\" \"50% $HOME \\\"x\\\"\" ]; writable = [ \"/srv/backup\" ]; }};
             tidy = {{ source = {script}; onCalendar = \"hourly\"; session = true; }};
             plain = {{ source = {script}; }};
           }}; }}",
        script = script.display()
    );
    let services = config(&nixos.join("services.nix"), &with);
    let text = fs::read_to_string(&script).unwrap();
    let installed = services["environment"]["systemPackages"]
        .as_array()
        .unwrap();
    assert_eq!(installed.iter().filter(|one| **one == text).count(), 3);
    assert_eq!(
        services["security"]["sudo"]["extraRules"],
        serde_json::json!([{
            "users": ["alice"],
            "groups": ["backup"],
            "commands": [{ "command": "/run/current-system/sw/bin/copy", "options": ["NOPASSWD"] }],
        }])
    );
    let told = "services.moxc.automation.scripts.copy: the operator `alice` is no user";
    assert!(services["warnings"].to_string().contains(told));
    let known = config(
        &nixos.join("services.nix"),
        &format!("{{ imports = [ ({with}) ]; users.users.alice.isNormalUser = true; }}"),
    );
    assert!(!known["warnings"].to_string().contains(told));
    let systemd = &services["systemd"];
    let unit = &systemd["services"]["moxc-script-copy"]["serviceConfig"];
    assert_eq!(
        unit["ExecStart"],
        r#"/fake/copy/bin/copy "--yes" "50%% $$HOME \"x\"""#
    );
    assert_eq!(unit["ProtectSystem"], "strict");
    assert_eq!(unit["ReadWritePaths"], serde_json::json!(["/srv/backup"]));
    assert_eq!(unit["NoNewPrivileges"], true);
    let timer = &systemd["timers"]["moxc-script-copy"];
    assert_eq!(timer["timerConfig"]["OnCalendar"], "daily");
    assert_eq!(timer["partOf"], serde_json::json!(["moxc.target"]));
    // One target ties together what runs by itself: scripts and updates.
    let wants = systemd["targets"]["moxc"]["wants"].as_array().unwrap();
    for wanted in ["moxc-script-copy.timer", "moxc-flake-update.timer"] {
        assert!(wants.contains(&wanted.into()), "{wanted}: {wants:?}");
    }
    let session = &systemd["user"];
    assert_eq!(
        session["timers"]["moxc-script-tidy"]["timerConfig"]["OnCalendar"],
        "hourly"
    );
    assert!(session["services"]["moxc-script-tidy"]["serviceConfig"]["User"].is_null());
    for (kind, name) in [
        ("services", "moxc-script-tidy"),
        ("timers", "moxc-script-plain"),
    ] {
        assert!(systemd[kind][name].is_null(), "{name}");
    }
    let off = config(
        &nixos.join("services.nix"),
        &format!("{{ imports = [ ({with}) ]; services.moxc.automation.enable = false; }}"),
    );
    assert!(off["systemd"]["services"]["moxc-script-copy"].is_null());
    assert!(off["security"]["sudo"]["extraRules"].is_null());
}

#[test]
#[ignore = "needs nix-instantiate; run by tests/run"]
fn updates_that_are_due_at_one_time_follow_each_other() {
    let (_folder, nixos) = written("homelab");
    let services = config(
        &nixos.join("services.nix"),
        "{ services.moxc.update.schedules = {
             a-rebuild = { onCalendar = \"03:30\"; updateInputs = false; };
             z-update.onCalendar = \"03:30\";
           }; }",
    );
    // After what looks at a machine that an earlier update has restarted.
    let after = |name: &str, others: &[&str]| {
        let first = ["network-online.target", "moxc-update-after-restart.service"];
        let wanted = [&first, others].concat();
        assert_eq!(
            services["systemd"]["services"][name]["after"],
            serde_json::json!(wanted)
        );
    };
    after("moxc-flake-update", &[]);
    after("moxc-z-update", &["moxc-flake-update.service"]);
    after(
        "moxc-a-rebuild",
        &["moxc-flake-update.service", "moxc-z-update.service"],
    );
}

#[test]
#[ignore = "needs nix-instantiate; run by tests/run"]
fn importing_a_module_costs_an_evaluation_less_than_a_fifth_of_a_second() {
    // What the evaluator itself counts as its time on the processor, so that a busy machine does not matter.
    let seconds = |expression: &str| -> f64 {
        let output = try_run(
            instantiate()
                .env("NIX_SHOW_STATS", "1")
                .args(["--eval", "--strict", "--json", "--readonly-mode", "--expr"])
                .arg(expression),
        );
        assert!(output.status.success());
        let said = String::from_utf8(output.stderr).unwrap();
        let statistics: Json = serde_json::from_str(&said[said.find('{').unwrap()..]).unwrap();
        statistics["cpuTime"].as_f64().unwrap()
    };
    let (_folder, nixos) = written("homelab");
    for module in ["services.nix", "workstation.nix"] {
        let base = format!(
            "(import {} {{ }} [ {} {{ networking.hostName = \"a\"; }} ]).shown",
            stub("eval.nix"),
            stub("base.nix")
        );
        let module = format!("{}.shown", system(&nixos.join(module), "{ }"));
        let added = seconds(&module) - seconds(&base);
        assert!(added < 0.2, "{module}: {added} s");
    }
}

#[test]
#[ignore = "needs nix-instantiate; run by tests/run"]
fn the_modules_refuse_wrong_values() {
    let (_folder, nixos) = written("homelab");
    let module = nixos.join("services.nix");
    for (with, error) in [
        (
            "{ services.moxc.update.enable = \"yes\"; }",
            "services.moxc.update.enable: not of type bool",
        ),
        (
            "{ services.moxc.update.schedules.flake-update.reboot = \"always\"; }",
            "reboot: not of type enum",
        ),
        (
            "{ networking.hostName = \"a\"; imports = [ { networking.hostName = \"b\"; } ]; }",
            "conflicting definitions",
        ),
    ] {
        let output = try_evaluate(&format!(
            "let config = {}.config; in [ config.services.moxc.update config.networking.hostName ]",
            system(&module, with)
        ));
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(
            !output.status.success() && errors.contains(error),
            "{with}: {errors}"
        );
    }
}

#[test]
#[ignore = "needs nix-instantiate; run by tests/run"]
fn a_nixos_host_says_the_same_as_a_debian_one() {
    use moxc::targets::Target;

    // The same host on Debian: a NixOS host gets none of these files.
    let spec = cases()["nixos-host"].replacen("platform = \"nixos\"", "platform = \"proxmox\"", 1);
    let debian = crate::in_memory::build("host.toml", &spec, &[Target::Proxmox]);
    let text = |path: &str| {
        let file = debian
            .get(path)
            .unwrap_or_else(|| panic!("{path} is not there"));
        String::from_utf8(file.contents.clone()).unwrap()
    };
    let (_folder, nixos) = written("nixos-host");
    let host = config(&nixos.join("pve1.nix"), "{ }");

    // What it does at set times: the same tools with the same words, locked in alike, at the same times. Only an update
    // of a NixOS host is another one.
    let mut compared = 0;
    for file in debian.iter() {
        let path = file.path.as_str();
        let Some(unit) = path
            .strip_prefix("proxmox/etc/systemd/system/")
            .and_then(|name| name.strip_suffix(".service"))
            .filter(|name| !name.contains('@') && !matches!(*name, "moxc-host-update"))
        else {
            continue;
        };
        let service = &host["systemd"]["services"][unit];
        let said = &service["serviceConfig"];
        let file = text(path).replace(" \\\n ", " ");
        let mut locks: std::collections::BTreeMap<&str, Vec<String>> =
            std::collections::BTreeMap::new();
        for (key, value) in file.lines().filter_map(|line| line.split_once('=')) {
            match key {
                "ExecStart" => {
                    let mut words: Vec<String> = value.split(' ').map(str::to_owned).collect();
                    let tool = words[0].rsplit('/').next().unwrap().to_owned();
                    words[0] = format!("/fake/{tool}/bin/{tool}");
                    let script = service["script"].as_str().unwrap();
                    let ours: Vec<String> = script
                        .split(' ')
                        .skip(1)
                        .map(|word| word.replace('\'', ""))
                        .collect();
                    assert_eq!(ours, words, "{unit}");
                    compared += 1;
                }
                "After" | "Wants" => {
                    let ours = &service[key.to_lowercase()];
                    assert_eq!(*ours, serde_json::json!([value]), "{unit}: {key}");
                }
                "Description" | "OnFailure" => {}
                _ => locks.entry(key).or_default().push(value.to_owned()),
            }
        }
        assert_eq!(
            service["onFailure"],
            serde_json::json!(["moxc-failure@%n.service"])
        );
        for (key, values) in &locks {
            let ours = match &said[key] {
                Json::Array(list) => list
                    .iter()
                    .map(|one| one.as_str().unwrap().to_owned())
                    .collect(),
                Json::Number(number) => vec![number.to_string()],
                other => vec![other.as_str().unwrap_or_default().to_owned()],
            };
            assert_eq!(&ours, values, "{unit}: {key}");
        }
        assert_eq!(
            said.as_object().unwrap().keys().collect::<Vec<_>>(),
            locks.keys().collect::<Vec<_>>(),
            "{unit}"
        );
        let timer = text(&path.replace(".service", ".timer"));
        let on = host["systemd"]["timers"][unit]["timerConfig"]["OnCalendar"]
            .as_str()
            .unwrap();
        assert!(timer.contains(&format!("\nOnCalendar={on}\n")), "{unit}");
    }
    assert!(compared >= 4, "{compared}");

    // The kernel: what Debian's files say, line by line.
    let options = host["boot"]["extraModprobeConfig"].as_str().unwrap();
    for path in [
        "proxmox/etc/modprobe.d/vfio.conf",
        "proxmox/etc/modprobe.d/zfs.conf",
    ] {
        for line in text(path).lines().filter(|line| !line.starts_with('#')) {
            assert!(options.contains(line), "{path}: {line}");
        }
    }
    let modules: Vec<&str> = host["boot"]["initrd"]["kernelModules"]
        .as_array()
        .unwrap()
        .iter()
        .map(|module| module.as_str().unwrap())
        .collect();
    let loaded = text("proxmox/etc/modules-load.d/vfio.conf");
    let loaded: Vec<&str> = loaded
        .lines()
        .filter(|line| !line.starts_with('#'))
        .collect();
    assert_eq!(modules, loaded);
    let blacklist = text("proxmox/etc/modprobe.d/blacklist-gpu.conf");
    for module in host["boot"]["blacklistedKernelModules"].as_array().unwrap() {
        assert!(blacklist.contains(&format!("blacklist {}\n", module.as_str().unwrap())));
    }
    let command_line = text("proxmox/etc/kernel/cmdline");
    for parameter in host["boot"]["kernelParams"].as_array().unwrap() {
        assert!(
            command_line.contains(parameter.as_str().unwrap()),
            "{parameter}"
        );
    }

    // The network: every stanza has its counterpart, with the same ports, addresses, gateways and MTU.
    let interfaces = text("proxmox/etc/network/interfaces");
    let network = &host["systemd"]["network"];
    let mut name = "";
    let mut bridges = 0;
    let mut rules = 0;
    for line in interfaces.lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        let upper = &network["networks"][format!("40-{name}")];
        match words.as_slice() {
            ["iface", iface, ..] => name = *iface,
            ["address", address] => {
                assert!(
                    upper["address"]
                        .as_array()
                        .unwrap()
                        .iter()
                        .any(|a| a == address),
                    "{name}: {line}"
                );
            }
            ["gateway", gateway] => {
                assert!(
                    upper["gateway"]
                        .as_array()
                        .unwrap()
                        .iter()
                        .any(|g| g == gateway),
                    "{name}: {line}"
                );
            }
            ["bridge-ports", ports @ ..] => {
                bridges += 1;
                let netdev = &network["netdevs"][format!("20-{name}")]["netdevConfig"];
                assert_eq!(netdev["Kind"], "bridge", "{name}");
                for port in ports.iter().filter(|port| **port != "none") {
                    let lower = &network["networks"][format!("30-{port}")]["networkConfig"];
                    assert_eq!(lower["Bridge"], name, "{line}");
                }
            }
            ["bridge-vlan-aware", "yes"] => {
                let config = &network["netdevs"][format!("20-{name}")]["bridgeConfig"];
                assert_eq!(config["VLANFiltering"], true, "{name}");
            }
            ["mtu", mtu] if name.starts_with("vmbr") => {
                let netdev = &network["netdevs"][format!("20-{name}")]["netdevConfig"];
                assert_eq!(netdev["MTUBytes"], *mtu, "{name}");
            }
            // One list of rules: what a Debian host adds, a NixOS host adds in chains of its own.
            ["post-up", ..] if line.contains("iptables ") => {
                let (_, added) = line.split_once(" || ").expect("a rule is added once");
                let words = added.split_once("ING ").expect("a chain").1;
                let commands = host["networking"]["nat"]["extraCommands"].as_str().unwrap();
                assert!(commands.contains(words), "{words}: {commands}");
                rules += 1;
            }
            _ => {}
        }
    }
    assert_eq!(bridges, 5);
    assert!(rules > 0, "no shared way out");
    let link = text("proxmox/etc/systemd/network/10-enp5s0.link");
    let address = network["links"]["10-enp5s0"]["matchConfig"]["PermanentMACAddress"]
        .as_str()
        .unwrap();
    assert!(link.to_lowercase().contains(address), "{link}");

    // Proxmox VE's own node address stands in /etc/hosts on both.
    assert_eq!(
        host["services"]["moxc"]["proxmox"]["ipAddress"],
        "192.168.1.10"
    );
}

/// The flake, copied to a git repository of its own, with a stub in the place of nixpkgs and a compiler built by cargo.
struct Flake {
    folder: TempDir,
}

impl Flake {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let source = folder.path().join("source");
        let listed = run(Command::new("git").arg("-C").arg(root()).args([
            "ls-files",
            "--cached",
            "--others",
            "--exclude-standard",
        ]));
        for path in listed.lines() {
            let from = root().join(path);
            let to = source.join(path);
            if let Ok(target) = fs::read_link(&from) {
                fs::create_dir_all(to.parent().unwrap()).unwrap();
                std::os::unix::fs::symlink(target, to).unwrap();
            } else if from.is_file() {
                fs::create_dir_all(to.parent().unwrap()).unwrap();
                fs::copy(from, to).unwrap();
            }
        }
        // A folder with the compiler alone: all of it is copied to the store.
        let prebuilt = folder.path().join("prebuilt");
        fs::create_dir(&prebuilt).unwrap();
        fs::copy(env!("CARGO_BIN_EXE_moxc"), prebuilt.join("moxc")).unwrap();
        let flake = Self { folder };
        Self::repository(&source);
        flake
    }

    fn path(&self, below: &str) -> PathBuf {
        self.folder.path().join(below)
    }

    /// A flake of the template, whose input is the copy of this project.
    fn mine(&self) -> PathBuf {
        let mine = self.path("mine");
        fs::create_dir(&mine).unwrap();
        let source = format!("path:{}", self.path("source").display());
        run(&mut self.program("mine", "nix", &["flake", "init", "--template", &source]));
        let text = fs::read_to_string(mine.join("flake.nix")).unwrap();
        fs::write(
            mine.join("flake.nix"),
            text.replace("git+https://example.org/moxc", &source),
        )
        .unwrap();
        Self::repository(&mine);
        mine
    }

    /// Makes a folder a git repository in which everything is known.
    fn repository(folder: &Path) {
        for arguments in [&["init", "--quiet"][..], &["add", "--all"]] {
            run(Command::new("git").arg("-C").arg(folder).args(arguments));
        }
    }

    /// A program in the folder `below`, with a store of its own and without a network.
    fn program(&self, below: &str, name: &str, arguments: &[&str]) -> Command {
        let settings = "experimental-features = nix-command flakes\nsandbox = false\nsubstituters =\n\
                        flake-registry =\nbuild-users-group =\nwarn-dirty = false";
        let mut command = Command::new(name);
        command
            .current_dir(self.path(below))
            .env("NIX_CONFIG", settings)
            .env("NIX_STORE_DIR", self.path("store"))
            .env("NIX_STATE_DIR", self.path("var"))
            .env("NIX_LOG_DIR", self.path("log"))
            .env("XDG_CACHE_HOME", self.path("cache"))
            .env("HOME", self.path("home"))
            .env_remove("NIX_REMOTE")
            .env_remove("NIX_PATH")
            .args(arguments);
        command
    }

    /// The arguments that put the stub in the place of nixpkgs.
    fn overrides(&self) -> [String; 6] {
        let below = |path: &str| format!("path:{}", self.path(path).display());
        [
            "--override-input".to_owned(),
            "nixpkgs".to_owned(),
            below("source/tests/nix/stub-nixpkgs"),
            "--override-input".to_owned(),
            "nixpkgs/prebuilt".to_owned(),
            below("prebuilt"),
        ]
    }

    /// `nix ARGUMENTS`, with the stub in the place of nixpkgs.
    fn nix(&self, below: &str, arguments: &[&str]) -> Command {
        // What follows these is not for Nix.
        let end = arguments
            .iter()
            .position(|argument| ["--", "--command"].contains(argument));
        let (own, rest) = arguments.split_at(end.unwrap_or(arguments.len()));
        let mut command = self.program(below, "nix", own);
        command.args(self.overrides()).args(rest);
        command
    }

    /// The packages of the stub, as an expression.
    fn packages(&self) -> String {
        format!(
            "((import {}/flake.nix).outputs {{ self = {{ }}; prebuilt = {}; }}).legacyPackages.${{builtins.currentSystem}}",
            self.path("source/tests/nix/stub-nixpkgs").display(),
            self.path("prebuilt").display(),
        )
    }
}

impl Drop for Flake {
    fn drop(&mut self) {
        // What is in a store may not be written, nor removed.
        let _ = Command::new("chmod")
            .args(["-R", "u+w"])
            .arg(self.path("store"))
            .status();
    }
}

fn same_tree(left: &Path, right: &Path) {
    run(Command::new("diff").args(["-r", "-u"]).arg(left).arg(right));
}

const SYSTEMS: [&str; 2] = ["x86_64-linux", "aarch64-linux"];

/// What the flake has for whom, in the words of `nix flake show`.
fn is_complete(shown: &Json) {
    for system in SYSTEMS {
        let tools = ["nixos-flake-update", "moxc-regenerate"]
            .into_iter()
            .chain(moxc::tools::ALL.iter().map(|tool| tool.name));
        for package in ["moxc", "default", "generated-config"]
            .into_iter()
            .chain(tools)
        {
            assert_eq!(
                shown["packages"][system][package]["type"], "derivation",
                "{system} {package}"
            );
            if package != "generated-config" {
                assert_eq!(
                    shown["apps"][system][package]["type"], "app",
                    "{system} {package}"
                );
            }
        }
        assert_eq!(shown["devShells"][system]["default"]["type"], "derivation");
        assert_eq!(shown["formatter"][system]["type"], "derivation");
        for check in [
            "moxc",
            "format",
            "scripts",
            "atlas-config",
            "mini-config",
            "nix1-config",
            "pve1-config",
        ] {
            assert_eq!(
                shown["checks"][system][check]["type"], "derivation",
                "{system} {check}"
            );
        }
    }
    for module in [
        "default",
        "system-services",
        "automation-scripts",
        "update-services",
        "host",
    ] {
        assert_eq!(
            shown["nixosModules"][module]["type"], "nixos-module",
            "{module}"
        );
    }
    for machine in MACHINES {
        assert_eq!(
            shown["nixosConfigurations"][machine]["type"], "nixos-configuration",
            "{machine}"
        );
    }
    assert_eq!(shown["templates"]["default"]["type"], "template");
    assert_eq!(shown["overlays"]["default"]["type"], "nixpkgs-overlay");
}

/// The NixOS machines of the examples.
const MACHINES: [&str; 7] = [
    "db",
    "dev",
    "edge",
    "nix1",
    "services",
    "web",
    "workstation",
];

#[test]
#[ignore = "needs nix and git; run by tests/run"]
fn the_flake_is_shown_checked_and_built_offline() {
    let flake = Flake::new();
    let shown = run(&mut flake.nix("source", &["flake", "show", "--json"]));
    is_complete(&serde_json::from_str(&shown).unwrap());
    run(&mut flake.nix("source", &["flake", "check"]));

    // A tool as what `nix run` starts: the library is in it.
    let tool = flake.path("tool");
    run(&mut flake.nix(
        "source",
        &[
            "build",
            ".#zfs-snapshot",
            "--out-link",
            tool.to_str().unwrap(),
        ],
    ));
    let program = run(&mut flake.nix(
        "source",
        &["eval", "--raw", ".#apps.x86_64-linux.zfs-snapshot.program"],
    ));
    let store = fs::read_link(&tool).unwrap();
    assert_eq!(Path::new(&program), store.join("bin/zfs-snapshot"));
    let said = run(Command::new("bash").arg(&program).arg("--help"));
    assert!(said.starts_with("usage: zfs-snapshot"), "{said}");
    assert!(said.contains("--lock-timeout"), "{said}");

    // The same bytes as by hand.
    let built = flake.path("built");
    let link = built.to_str().unwrap();
    run(&mut flake.nix(
        "source",
        &["build", ".#generated-config", "--out-link", link],
    ));
    let by_hand = flake.path("by-hand");
    run(Command::new(env!("CARGO_BIN_EXE_moxc"))
        .current_dir(root())
        .args(["build", "--quiet", "examples/homelab.toml", "--output"])
        .arg(&by_hand));
    same_tree(&by_hand.join("pve1"), &built);

    let version = run(&mut flake.nix("source", &["run", ".", "--", "--version"]));
    assert_eq!(version, format!("moxc {}\n", env!("CARGO_PKG_VERSION")));
    run(&mut flake.nix("source", &["fmt"]));
    let shell = run(&mut flake.nix(
        "source",
        &["develop", "--command", "sh", "-c", "echo $packages"],
    ));
    for tool in [
        "cargo", "clippy", "deadnix", "git", "nix", "nixfmt", "nushell", "rustc", "statix", "taplo",
    ] {
        assert!(
            shell
                .split_whitespace()
                .any(|path| path.ends_with(&format!("-{tool}"))),
            "{tool}: {shell}"
        );
    }
    let overlay = run(&mut flake.nix(
        "source",
        &[
            "eval",
            "--raw",
            ".#overlays.default",
            "--apply",
            "overlay: (overlay { callPackage = file: _: toString file; } { }).moxc",
        ],
    ));
    assert!(overlay.ends_with("/nix/package.nix"), "{overlay}");
}

#[test]
#[ignore = "needs nix and git; run by tests/run"]
fn the_machines_of_the_examples_evaluate_without_a_build() {
    let flake = Flake::new();
    let names = run(flake
        .nix(
            "source",
            &[
                "eval",
                "--json",
                ".#nixosConfigurations",
                "--apply",
                "builtins.mapAttrs (_: machine: [ machine.config.networking.hostName machine.config.system.build.toplevel.drvPath ])",
            ],
        )
        .args(["--option", "allow-import-from-derivation", "false"]));
    let names: Json = serde_json::from_str(&names).unwrap();
    let names = names.as_object().unwrap();
    assert_eq!(names.keys().collect::<Vec<_>>(), MACHINES);
    for (name, value) in names {
        assert_eq!(value[0], *name);
        assert!(value[1].as_str().unwrap().ends_with(".drv"), "{value}");
    }
}

#[test]
#[ignore = "needs nix and git; run by tests/run"]
fn the_lock_file_fits_the_flake_and_is_not_needed() {
    let flake = Flake::new();
    let source = flake.path("source");
    // Nothing would have to be added to it: Nix takes it as it is, and fetches nothing to say so.
    let metadata = run(&mut flake.program(
        "source",
        "nix",
        &["flake", "metadata", "--json", "--no-update-lock-file"],
    ));
    let metadata: Json = serde_json::from_str(&metadata).unwrap();
    let nodes = metadata["locks"]["nodes"].as_object().unwrap();
    assert_eq!(nodes.keys().collect::<Vec<_>>(), ["nixpkgs", "root"]);
    let locked = &nodes["nixpkgs"]["locked"];
    assert_eq!(locked["rev"].as_str().map(str::len), Some(40));
    let hash = locked["narHash"].as_str().unwrap();
    assert_eq!(
        hash.strip_prefix("sha256-").map(str::len),
        Some(44),
        "{hash}"
    );

    fs::remove_file(source.join("flake.lock")).unwrap();
    run(Command::new("git")
        .arg("-C")
        .arg(&source)
        .args(["add", "--all"]));
    let shown = run(&mut flake.nix("source", &["flake", "show", "--json"]));
    is_complete(&serde_json::from_str(&shown).unwrap());
    run(&mut flake.nix("source", &["flake", "check", "--no-build"]));
    let link = flake.path("built");
    run(&mut flake.nix(
        "source",
        &[
            "build",
            ".#generated-config",
            "--out-link",
            link.to_str().unwrap(),
        ],
    ));
    assert!(link.join("manifest.json").is_file());
    assert!(!source.join("flake.lock").exists(), "none is written");
}

#[test]
#[ignore = "needs nix; run by tests/run"]
fn nix_without_flakes_gets_the_same() {
    let flake = Flake::new();
    let packages = flake.packages();
    let link = flake.path("without");
    run(&mut flake.program(
        "source",
        "nix-build",
        &[
            "-A",
            "generated-config",
            "--arg",
            "pkgs",
            &packages,
            "--out-link",
            link.to_str().unwrap(),
        ],
    ));
    let built = flake.path("with");
    run(&mut flake.nix(
        "source",
        &[
            "build",
            ".#generated-config",
            "--out-link",
            built.to_str().unwrap(),
        ],
    ));
    same_tree(&link, &built);
    let has = format!(
        "let here = import ./. {{ pkgs = {packages}; }};
             shell = import ./shell.nix {{ pkgs = {packages}; }};
         in {{
           attributes = builtins.attrNames here;
           shell = shell.name;
           host = builtins.attrNames (here.lib.mkHost {{ pkgs = {packages}; spec = ./examples/mini.toml; }}).packages;
         }}"
    );
    let has = run(&mut flake.program(
        "source",
        "nix-instantiate",
        &["--eval", "--strict", "--json", "--expr", &has],
    ));
    let has: Json = serde_json::from_str(&has).unwrap();
    for name in [
        "moxc",
        "generated-config",
        "lib",
        "nixosModules",
        "overlays",
        "checks",
        "formatter",
    ] {
        assert!(
            has["attributes"].as_array().unwrap().contains(&name.into()),
            "{name}: {has}"
        );
    }
    assert_eq!(has["shell"], "shell");
    assert_eq!(has["host"], serde_json::json!(["mini-config"]));
}

/// The shell commands of a page, from the block in which `mark` stands.
fn commands(page: &str, mark: &str) -> String {
    let text = fs::read_to_string(root().join(page)).unwrap();
    let block = text
        .split("```sh\n")
        .skip(1)
        .map(|rest| rest.split("```").next().unwrap())
        .find(|block| block.contains(mark))
        .unwrap_or_else(|| panic!("{page} has no block with {mark}"));
    block.to_owned()
}

#[test]
#[ignore = "needs nix and git; run by tests/run"]
fn the_commands_of_the_readme_make_a_flake_of_ones_own() {
    let flake = Flake::new();
    // At home, where the commands look for it.
    let home = flake.path("home");
    fs::create_dir(&home).unwrap();
    run(Command::new("git")
        .args(["-c", "user.name=t", "-c", "user.email=t@example.org", "-C"])
        .arg(flake.path("source"))
        .args(["commit", "--quiet", "-m", "moxc"]));
    std::os::unix::fs::symlink(flake.path("source"), home.join("moxc")).unwrap();

    // The same program, with the stub in the place of nixpkgs.
    let programs = flake.path("programs");
    fs::create_dir(&programs).unwrap();
    let wrapper = format!(
        "#!/bin/sh\ncase \"$1 $2\" in\n  'flake init') exec {nix} \"$@\" ;;\n  flake*) verb=$1 sub=$2; shift 2; set -- \"$verb\" \"$sub\" {overrides} \"$@\" ;;\n  *) verb=$1; shift; set -- \"$verb\" {overrides} \"$@\" ;;\nesac\nexec {nix} \"$@\"\n",
        nix = run(Command::new("sh").args(["-c", "command -v nix"])).trim(),
        overrides = flake.overrides().join(" "),
    );
    let nix = programs.join("nix");
    fs::write(&nix, wrapper).unwrap();
    fs::set_permissions(&nix, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();

    let script = commands("README.md", "nix flake init");
    let path = format!("{}:{}", programs.display(), std::env::var("PATH").unwrap());
    let output = try_run(
        flake
            .program("home", "sh", &["-euxc", &script])
            .env("PATH", path),
    );
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    let mine = home.join("homelab");
    for file in [
        "flake.nix",
        "host.toml",
        ".gitignore",
        ".github/workflows/ci.yml",
        "result/nixos/web.nix",
    ] {
        assert!(mine.join(file).is_file(), "{file}");
    }
}

#[test]
#[ignore = "needs nix and git; run by tests/run"]
fn a_flake_made_of_the_template_compiles_its_host() {
    let flake = Flake::new();
    let mine = flake.mine();
    run(&mut flake.nix("mine", &["flake", "check"]));
    let host_name = |below: &str| {
        [
            "eval".to_owned(),
            "--raw".to_owned(),
            format!(".#nixosConfigurations.{below}.config.networking.hostName"),
        ]
    };
    let web = host_name("web");
    let web: Vec<&str> = web.iter().map(String::as_str).collect();
    assert_eq!(run(&mut flake.nix("mine", &web)), "web");

    // Without import from derivation: what is checked in is imported, and compared with the spec.
    run(Command::new(env!("CARGO_BIN_EXE_moxc"))
        .current_dir(&mine)
        .args(["build", "--quiet", "host.toml"]));
    let text = fs::read_to_string(mine.join("flake.nix")).unwrap();
    fs::write(
        mine.join("flake.nix"),
        text.replace("# generated = ", "generated = "),
    )
    .unwrap();
    let add = || {
        run(Command::new("git")
            .arg("-C")
            .arg(&mine)
            .args(["add", "--all"]))
    };
    add();
    let evaluated = |arguments: &[&str]| {
        let output = try_run(flake.nix("mine", arguments).args([
            "--option",
            "allow-import-from-derivation",
            "false",
        ]));
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{said}");
        (String::from_utf8(output.stdout).unwrap(), said)
    };
    let (name, said) = evaluated(&web);
    assert_eq!(name, "web");
    assert!(!said.contains("older"), "{said}");
    run(&mut flake.nix("mine", &["flake", "check"]));

    // A changed spec is told, and found by the check.
    let spec = fs::read_to_string(mine.join("host.toml")).unwrap();
    fs::write(mine.join("host.toml"), spec.replace("\"htop\"", "\"tmux\"")).unwrap();
    let (_, said) = evaluated(&web);
    assert!(
        said.contains("pve1 is older than host.toml: run `moxc build`"),
        "{said}"
    );
    let output = try_run(&mut flake.nix("mine", &["flake", "check"]));
    assert!(!output.status.success());
    fs::write(mine.join("host.toml"), spec).unwrap();

    // So is a hand edit, by the check.
    let path = mine.join("generated/pve1/nixos/web.nix");
    let edited = fs::read_to_string(&path)
        .unwrap()
        .replace("\"htop\"", "\"top\"")
        + "\n";
    fs::write(&path, edited).unwrap();
    let output = try_run(&mut flake.nix("mine", &["flake", "check"]));
    assert!(!output.status.success());
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(errors.contains("up-to-date"), "{errors}");
}

/// What mkHost gives of the example `nixos-host.toml`, with `more` arguments, as the value of `field`.
fn of_mk_host(flake: &Flake, more: &str, field: &str) -> Output {
    let expression = format!(
        "let
           pkgs = {packages};
           moxc = import ./nix/lib.nix {{ inherit (pkgs) lib; moxcFor = _: null; }};
           evaluate = import ./tests/nix/stub-nixpkgs/eval.nix;
           nixosSystem = {{ modules, specialArgs ? {{ }}, ... }}:
             evaluate {{ inherit specialArgs pkgs; lib = pkgs.lib; }}
               ([ ./tests/nix/stub-nixpkgs/base.nix ] ++ modules);
           host = moxc.mkHost {{
             inherit pkgs nixosSystem;
             spec = ./examples/nixos-host.toml;
             generated = ./examples/generated/nix1;
             {more}
           }};
         in {field}",
        packages = flake.packages()
    );
    try_run(&mut flake.program(
        "source",
        "nix-instantiate",
        &["--eval", "--strict", "--json", "--expr", &expression],
    ))
}

fn value_of(output: &Output) -> Json {
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
#[ignore = "needs nix and git; run by tests/run"]
fn each_nixos_guest_has_an_image() {
    let flake = Flake::new();
    let images = value_of(&of_mk_host(
        &flake,
        "",
        "builtins.mapAttrs (_: image: [ image.drvPath image.text (image.config.networking.hostName or \"\") ]) (removeAttrs host.packages [ \"nix1-config\" ])",
    ));
    let names: Vec<&String> = images.as_object().unwrap().keys().collect();
    assert_eq!(names, ["dev-image", "web-image"]);
    let text = |name: &str| images[name][1].as_str().unwrap().to_owned();
    // A template by the name that the spec gives it, a disk by the guest's.
    assert!(text("web-image").contains("/tarball/*.tar.xz \"$out\"/'nixos-lxc.tar.xz'"));
    assert!(text("dev-image").contains("/nixos.qcow2 \"$out\"/'dev.qcow2'"));
    assert_eq!(images["web-image"][2], "web");
}

#[test]
#[ignore = "needs nix and git; run by tests/run"]
fn modules_get_their_arguments_and_a_module_of_nobody_is_refused() {
    let flake = Flake::new();
    let given = value_of(&of_mk_host(
        &flake,
        "specialArgs = { inputs.word = \"home\"; }; modules.web = [ ({ inputs, ... }: { networking.domain = inputs.word; }) ];",
        "host.nixosConfigurations.web.config.networking.domain",
    ));
    assert_eq!(given, "home");
    let output = of_mk_host(
        &flake,
        "modules.webb = [ { } ];",
        "host.nixosConfigurations.web.config.networking.hostName",
    );
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success());
    assert!(
        said.contains("`modules` names webb, which is no NixOS machine of nixos-host.toml; there are dev, web, nix1"),
        "{said}"
    );
}

#[test]
#[ignore = "needs nix and git; run by tests/run"]
fn colmena_and_deploy_rs_get_every_machine() {
    let flake = Flake::new();
    let hive = value_of(&of_mk_host(
        &flake,
        "",
        "builtins.mapAttrs (_: node: node.deployment) (removeAttrs host.colmena [ \"meta\" ])",
    ));
    assert_eq!(
        hive["dev"],
        serde_json::json!({ "targetHost": "192.168.10.21", "targetUser": "root", "tags": ["nixos"] })
    );
    assert_eq!(hive["nix1"]["targetHost"], "nix1");
    let nodes = value_of(&of_mk_host(
        &flake,
        "deploy-rs.lib.x86_64-linux.activate.nixos = machine: machine.config.networking.hostName;",
        "host.deploy.nodes",
    ));
    assert_eq!(
        nodes["web"],
        serde_json::json!({
            "hostname": "10.99.0.10",
            "profiles": { "system": { "user": "root", "sshUser": "root", "path": "web" } },
        })
    );
}

/// A module that declares options and nothing else, as those of other flakes do.
fn declares(option: &str) -> String {
    format!(
        "({{ lib, ... }}: {{ options.{option} = lib.mkOption {{ type = with lib.types; attrsOf anything; default = {{ }}; }}; }})"
    )
}

#[test]
#[ignore = "needs nix and git; run by tests/run"]
fn secrets_reach_the_machine_that_they_are_for() {
    let flake = Flake::new();
    let folder = flake.folder.path().join("source/secrets");
    fs::create_dir_all(folder.join("web")).unwrap();
    fs::write(folder.join("web.yaml"), "token: sealed\n").unwrap();
    fs::write(folder.join("web/mail.age"), "sealed\n").unwrap();
    let given = value_of(&of_mk_host(
        &flake,
        &format!(
            "sops-nix.nixosModules.sops = {}; agenix.nixosModules.default = {}; secrets = ./secrets;",
            declares("sops"),
            declares("age")
        ),
        "let place = value: toString (value.content or value); in builtins.mapAttrs (_: machine: { sops = place (machine.config.sops.defaultSopsFile or \"\"); age = builtins.mapAttrs (_: secret: place secret.file) (machine.config.age.secrets or { }); }) host.nixosConfigurations",
    ));
    assert!(
        given["web"]["sops"]
            .as_str()
            .unwrap()
            .ends_with("/secrets/web.yaml")
    );
    assert!(
        given["web"]["age"]["mail"]
            .as_str()
            .unwrap()
            .ends_with("/secrets/web/mail.age")
    );
    assert_eq!(given["dev"], serde_json::json!({ "sops": "", "age": {} }));
}

#[test]
#[ignore = "needs nix and git; run by tests/run"]
fn users_of_the_spec_have_homes() {
    let flake = Flake::new();
    let home_manager = format!(
        "home-manager.nixosModules.home-manager = {};",
        declares("home-manager")
    );
    let given = value_of(&of_mk_host(
        &flake,
        &format!("{home_manager} homes.dev = [ {{ programs.git.enable = true; }} ];"),
        "builtins.mapAttrs (_: machine: builtins.mapAttrs (_: home: { inherit (home.home) stateVersion; imports = builtins.length home.imports; }) (machine.config.home-manager.users or { })) host.nixosConfigurations",
    ));
    assert_eq!(given["dev"]["dev"]["imports"], 1);
    assert_eq!(given["web"], serde_json::json!({}));
    let output = of_mk_host(
        &flake,
        &format!("{home_manager} homes.dave = [ ];"),
        "host.nixosConfigurations.dev.config.home-manager.users",
    );
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success());
    assert!(
        said.contains("`homes` names dave, who is no user"),
        "{said}"
    );
}

#[test]
#[ignore = "needs nix and git; run by tests/run"]
fn a_host_that_nothing_starts_says_so() {
    let flake = Flake::new();
    let failed = |module: &str| {
        let module = format!("modules.nix1 = [ {{ {module} }} ];");
        let field = "map (failed: failed.message) (builtins.filter (one: !one.assertion) host.nixosConfigurations.nix1.config.assertions)";
        value_of(&of_mk_host(&flake, &module, field)).to_string()
    };
    assert_eq!(failed(""), "[]");
    let none = "services.moxc.hostSystem.espDevice = null;";
    assert!(failed(none).contains("nothing says which EFI system partition"));
    let own =
        format!("{none} fileSystems.\"/boot\" = {{ device = \"LABEL=X\"; fsType = \"vfat\"; }};");
    assert_eq!(failed(&own), "[]");
}

#[test]
#[ignore = "needs nix and git; run by tests/run"]
fn a_topology_has_the_host_its_bridges_and_every_guest() {
    let flake = Flake::new();
    let topology = value_of(&of_mk_host(&flake, "", "host.topology"));
    let nodes = &topology["nodes"];
    assert_eq!(nodes["web"]["parent"]["content"], "nix1");
    assert_eq!(
        nodes["web"]["interfaces"]["eth0"]["physicalConnections"],
        serde_json::json!([{ "node": "nix1", "interface": "vmbr1" }])
    );
    assert_eq!(nodes["nix1"]["deviceType"]["content"], "nixos");
    assert!(topology["networks"]["nix1-vmbr0"].is_object());
    // nix-topology itself says by `mkDefault` what kind of guest a node is, in the same line.
    let line = value_of(&of_mk_host(
        &flake,
        "",
        "let
           evaluate = import ./tests/nix/stub-nixpkgs/eval.nix { inherit pkgs; inherit (pkgs) lib; };
           default.nodes.web.hardware.info = pkgs.lib.mkDefault \"container\";
         in (evaluate [ default host.topology ]).config.nodes.web.hardware.info",
    ));
    assert!(line.as_str().unwrap().starts_with("container 1"), "{line}");
}

#[test]
#[ignore = "needs nix and git; run by tests/run"]
fn disko_lays_out_the_virtual_machines_where_it_is_there() {
    let flake = Flake::new();
    // Its module declares where disks are told.
    let disko = "disko.nixosModules.disko = { lib, ... }: { options.disko.devices = lib.mkOption { type = with lib.types; attrsOf (attrsOf anything); default = { }; }; };";
    let laid_out = value_of(&of_mk_host(
        &flake,
        disko,
        "let inherit (host.nixosConfigurations.dev) config; in { inherit (config.disko) devices; fileSystems.\"/\".device = config.fileSystems.\"/\".device or null; }",
    ));
    let root = &laid_out["devices"]["disk"]["root"];
    assert_eq!(
        root["content"]["partitions"]["ESP"]["content"]["mountpoint"],
        "/boot"
    );
    assert_eq!(
        root["content"]["partitions"]["root"]["content"]["mountpoint"],
        "/"
    );
    assert!(laid_out["fileSystems"]["/"]["device"].is_null());
}

#[test]
#[ignore = "needs nix and git; run by tests/run"]
fn a_flake_sees_the_users_own_modules_with_and_without_a_build() {
    let flake = Flake::new();
    let mine = flake.mine();
    // The spec in a folder, one module above it, which names a file.
    let spec = fs::read_to_string(mine.join("host.toml")).unwrap().replace(
        "packages ",
        "modules       = [\"../common/base.nix\"]\npackages ",
    );
    fs::remove_file(mine.join("host.toml")).unwrap();
    lay_out(
        &mine,
        &[
            ("hosts/host.toml", &spec),
            (
                "common/base.nix",
                "{ environment.etc.motd.text = builtins.readFile ./motd; }\n",
            ),
            ("common/motd", "welcome\n"),
        ],
    );
    let text = fs::read_to_string(mine.join("flake.nix")).unwrap();
    let text = text.replace(
        "spec = ./host.toml;",
        "spec = ./hosts/host.toml;\n        root = ./.;",
    );
    fs::write(mine.join("flake.nix"), &text).unwrap();
    let add = || {
        run(Command::new("git")
            .arg("-C")
            .arg(&mine)
            .args(["add", "--all"]))
    };
    add();
    let motd = [
        "eval",
        "--raw",
        ".#nixosConfigurations.web.config.environment.etc.motd.text",
    ];
    assert_eq!(run(&mut flake.nix("mine", &motd)), "welcome\n");

    run(Command::new(env!("CARGO_BIN_EXE_moxc"))
        .current_dir(&mine)
        .args(["build", "--quiet", "hosts/host.toml"]));
    fs::write(
        mine.join("flake.nix"),
        text.replace("# generated = ", "generated = "),
    )
    .unwrap();
    add();
    let without = ["--option", "allow-import-from-derivation", "false"];
    assert_eq!(run(flake.nix("mine", &motd).args(without)), "welcome\n");
    run(&mut flake.nix("mine", &["flake", "check"]));
    let built = flake.path("mine-built");
    run(&mut flake.nix(
        "mine",
        &[
            "build",
            ".#pve1-config",
            "--out-link",
            built.to_str().unwrap(),
        ],
    ));
    same_tree(&mine.join("generated/pve1"), &built);

    // Without `root` the derivation has only the spec's folder, and says what it misses.
    fs::write(mine.join("flake.nix"), text.replace("root = ./.;", "")).unwrap();
    let output = try_run(&mut flake.nix("mine", &motd));
    assert!(!output.status.success());
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(
        errors.contains("there is no file `../common/base.nix`"),
        "{errors}"
    );

    // A module beside the spec needs no `root`; a change that was not built is told.
    let spec = spec.replace("../common/base.nix", "./own.nix");
    lay_out(
        &mine,
        &[
            ("hosts/host.toml", &spec),
            (
                "hosts/own.nix",
                "{ environment.etc.motd.text = \"own\"; }\n",
            ),
        ],
    );
    run(Command::new(env!("CARGO_BIN_EXE_moxc"))
        .current_dir(&mine)
        .args(["build", "--quiet", "hosts/host.toml"]));
    add();
    assert_eq!(run(&mut flake.nix("mine", &motd)), "own");
    let text = text
        .replace("root = ./.;", "")
        .replace("# generated = ", "generated = ");
    fs::write(mine.join("flake.nix"), text).unwrap();
    let output = try_run(flake.nix("mine", &motd).args(without));
    assert_eq!(String::from_utf8_lossy(&output.stdout), "own");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!said.contains("older"), "{said}");
    lay_out(
        &mine,
        &[(
            "hosts/own.nix",
            "{ environment.etc.motd.text = \"new\"; }\n",
        )],
    );
    let output = try_run(flake.nix("mine", &motd).args(without));
    assert_eq!(String::from_utf8_lossy(&output.stdout), "own");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("pve1 is older than host.toml"), "{said}");
}

#[test]
#[ignore = "needs nix-instantiate; run by tests/run"]
fn homes_in_the_module_for_flake_parts_are_for_all_hosts() {
    // Alice is a user of a guest of one host only, bob of none.
    let folder = tempfile::tempdir().unwrap();
    let spec = |host: &str, guest: &str, user: &str| {
        let file = folder.path().join(format!("{host}.toml"));
        let text = format!(
            "[host]\nname = \"{host}\"\n[vms.{guest}]\nos = \"nixos\"\n[vms.{guest}.nixos.users.{user}]\n"
        );
        fs::write(&file, text).unwrap();
        file.display().to_string()
    };
    let expression = |user: &str| {
        format!(
            "let lib = import {lib};
                 pkgs = import {pkgs} {{ }};
                 moxcLib = import {root}/nix/lib.nix {{ inherit lib; moxcFor = _: pkgs.nix; }};
                 result = import {eval} {{ inherit pkgs; specialArgs = {{ withSystem = system: f: f {{ inherit pkgs; }}; inputs.nixpkgs.lib = {{ nixosSystem = arguments: arguments; }}; }}; }} [
                   (import {root}/nix/flake-module.nix {{ inherit moxcLib; }})
                   {{
                     moxc.hosts.pve1 = {{ spec = {one}; generated = /fake/pve1; }};
                     moxc.hosts.pve2 = {{ spec = {two}; generated = /fake/pve2; }};
                     moxc.home-manager.nixosModules.home-manager = \"home-manager\";
                     moxc.homes.{user} = [ {{ }} ];
                   }}
                 ];
                 homes = machine: map (module: builtins.attrNames (module {{ config.system.stateVersion = \"25.11\"; }}).home-manager.users)
                   (builtins.filter builtins.isFunction result.config.flake.nixosModules.${{machine}}.imports);
             in {{ web = homes \"web\"; mail = homes \"mail\"; }}",
            lib = stub("lib.nix"),
            pkgs = stub("pkgs.nix"),
            eval = stub("eval.nix"),
            root = root().display(),
            one = spec("pve1", "web", "alice"),
            two = spec("pve2", "mail", "carol"),
        )
    };
    assert_eq!(
        evaluate(&expression("alice")),
        serde_json::json!({ "web": [["alice"]], "mail": [[]] })
    );
    let output = try_evaluate(&expression("bob"));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success(), "{said}");
    assert!(said.contains("`homes` names bob"), "{said}");
}

#[test]
#[ignore = "needs nix-instantiate; run by tests/run"]
fn the_module_for_flake_parts_gives_what_mk_host_gives() {
    // flake-parts calls `perSystem` with packages, and merges `flake`: both by hand here.
    let expression = format!(
        "let lib = import {lib};
             pkgs = import {pkgs} {{ }} // {{ runCommand = name: environment: text: {{ inherit name; outPath = \"/fake/${{name}}\"; type = \"derivation\"; }}; }};
             moxcLib = import {root}/nix/lib.nix {{ inherit lib; moxcFor = _: pkgs.nix; }};
             nixosSystem = arguments: arguments;
             result = import {eval} {{ inherit pkgs; specialArgs = {{ withSystem = system: f: f {{ inherit pkgs; }}; inputs.nixpkgs.lib = {{ inherit nixosSystem; }}; }}; }} [
               (import {root}/nix/flake-module.nix {{ inherit moxcLib; }})
               {{
                 moxc.hosts.pve1.spec = {root}/examples/homelab.toml;
                 moxc.hosts.pve1.modules.services = [ ({{ pkgs, ... }}: {{ }}) ];
                 moxc.colmena.lib.makeHive = hive: {{ made = builtins.attrNames hive; }};
               }}
             ];
             system = result.config.perSystem {{ inherit pkgs; }};
             services = result.config.flake.nixosModules.services;
         in {{
           packages = builtins.attrNames system.packages;
           apps = builtins.attrNames system.apps;
           checks = builtins.attrNames system.checks;
           modules = builtins.attrNames result.config.flake.nixosModules;
           configurations = builtins.attrNames result.config.flake.nixosConfigurations;
           hive = result.config.flake.colmenaHive;
           topology = map (host: builtins.attrNames host.nodes) result.config.moxc.topology.imports;
           # A module still says what arguments it takes, or NixOS would give it none.
           arguments = map builtins.functionArgs (builtins.filter builtins.isFunction services.imports);
         }}",
        lib = stub("lib.nix"),
        pkgs = stub("pkgs.nix"),
        eval = stub("eval.nix"),
        root = root().display(),
    );
    assert_eq!(
        evaluate(&expression),
        serde_json::json!({
            "packages": ["pve1-config", "services-image", "workstation-image"],
            "apps": ["pve1-apply", "pve1-build", "pve1-check", "pve1-images", "pve1-plan"],
            "checks": ["pve1-config"],
            "modules": ["services", "workstation"],
            "configurations": ["services", "workstation"],
            "hive": { "made": ["meta", "services", "workstation"] },
            "topology": [["pve1", "services", "windows", "workstation"]],
            "arguments": [{ "pkgs": false }],
        })
    );
}

/// A repository of the user's with the template's spec in it, and pre-commit to look after it.
struct Repository {
    folder: TempDir,
}

impl Repository {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let repository = Self { folder };
        fs::create_dir(repository.path("mine")).unwrap();
        run(&mut repository.git("mine", &["init", "--quiet"]));
        fs::copy(
            root().join("nix/template/host.toml"),
            repository.path("mine/host.toml"),
        )
        .unwrap();
        repository
    }

    fn path(&self, below: &str) -> PathBuf {
        self.folder.path().join(below)
    }

    /// A program in the folder `below`, with moxc in its path and nothing of the tester's own settings.
    fn program(&self, below: &str, name: &str) -> Command {
        let moxc = Path::new(env!("CARGO_BIN_EXE_moxc")).parent().unwrap();
        let path = std::env::var("PATH").unwrap();
        let mut command = Command::new(name);
        command
            .current_dir(self.path(below))
            .env("HOME", self.folder.path())
            .env("PRE_COMMIT_HOME", self.path("pre-commit"))
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("PATH", format!("{}:{path}", moxc.display()));
        command
    }

    fn git(&self, below: &str, arguments: &[&str]) -> Command {
        let mut command = self.program(below, "git");
        command
            .args(["-c", "user.name=t", "-c", "user.email=t@example.org"])
            .args([
                "-c",
                "commit.gpgsign=false",
                "-c",
                "protocol.file.allow=always",
            ])
            .args(arguments);
        command
    }

    fn mine(&self, arguments: &[&str]) -> String {
        run(&mut self.git("mine", arguments))
    }

    fn commit(&self, message: &str) -> Output {
        try_run(&mut self.git("mine", &["commit", "--quiet", "--all", "-m", message]))
    }

    /// Writes pre-commit's configuration, and has it look at every commit.
    fn install(&self, config: &str) {
        fs::write(self.path("mine/.pre-commit-config.yaml"), config).unwrap();
        run(self.program("mine", "pre-commit").arg("install"));
        self.mine(&["add", "--all"]);
    }

    /// The project as a repository of hooks: what pre-commit looks at. Gives the configuration that uses one of them.
    fn hooks(&self, hook: &str) -> String {
        for path in [".pre-commit-hooks.yaml", "nix/hooks/moxc-regenerate"] {
            let to = self.path("hooks").join(path);
            fs::create_dir_all(to.parent().unwrap()).unwrap();
            fs::copy(root().join(path), to).unwrap();
        }
        run(&mut self.git("hooks", &["init", "--quiet"]));
        run(&mut self.git("hooks", &["add", "--all"]));
        run(&mut self.git("hooks", &["commit", "--quiet", "-m", "hooks"]));
        let revision = run(&mut self.git("hooks", &["rev-parse", "HEAD"]));
        format!(
            "repos:\n  - repo: {}\n    rev: {}\n    hooks:\n      - {hook}\n",
            self.path("hooks").display(),
            revision.trim()
        )
    }

    /// What is committed goes with the spec, and what was edited by hand is not committed.
    fn regenerates_and_refuses_hand_edits(&self) {
        // A new spec: what it says is committed with it.
        run(&mut self.git("mine", &["commit", "--quiet", "-m", "a host"]));
        let committed = self.mine(&["ls-tree", "-r", "--name-only", "HEAD"]);
        for file in ["nixos/web.nix", "manifest.json"] {
            let file = format!("generated/pve1/{file}");
            assert!(committed.contains(&file), "{file}: {committed}");
        }

        // A changed spec: so does the change, and nothing is left over.
        let spec = fs::read_to_string(self.path("mine/host.toml")).unwrap();
        let changed = spec
            .replace("[80, 443]", "[80, 443, 8080]")
            .replace("packages ", "modules       = [\"own.nix\"]\npackages ");
        fs::write(self.path("mine/host.toml"), changed).unwrap();
        fs::write(self.path("mine/own.nix"), "{ }\n").unwrap();
        self.mine(&["add", "own.nix"]);
        assert!(self.commit("a port").status.success());
        let module = self.mine(&["show", "HEAD:generated/pve1/nixos/web.nix"]);
        assert!(module.contains("8080"), "{module}");
        assert_eq!(self.mine(&["status", "--porcelain"]), "");

        // A changed module of the user's: its copy follows.
        fs::write(self.path("mine/own.nix"), "{ a = 1; }\n").unwrap();
        assert!(self.commit("a module").status.success());
        let copy = self.mine(&["show", "HEAD:generated/pve1/nixos/modules/own.nix"]);
        assert!(copy.ends_with("\n{ a = 1; }\n"), "{copy}");

        // A hand edit: refused, and left for its author to look at.
        let path = self.path("mine/generated/pve1/nixos/web.nix");
        fs::write(&path, module.replace("8080", "9090")).unwrap();
        let output = self.commit("by hand");
        assert!(!output.status.success());
        let said = String::from_utf8_lossy(&output.stdout).into_owned()
            + &String::from_utf8_lossy(&output.stderr);
        assert!(said.contains("change the spec"), "{said}");
        assert!(fs::read_to_string(&path).unwrap().contains("9090"));

        // A broken spec: refused.
        self.mine(&["checkout", "--quiet", "HEAD", "--", "."]);
        fs::write(
            self.path("mine/host.toml"),
            spec.replace("vmid      = 110", "vmid      = 1"),
        )
        .unwrap();
        assert!(!self.commit("broken").status.success());
    }
}

#[test]
#[ignore = "needs nix-instantiate; run by tests/run"]
fn two_hosts_with_a_guest_of_one_name_do_not_hide_each_other() {
    let expression = |specs: &str| {
        format!(
            "let lib = import {lib};
                 pkgs = import {pkgs} {{ }};
                 moxcLib = import {root}/nix/lib.nix {{ inherit lib; moxcFor = _: pkgs.nix; }};
             in builtins.attrNames (moxcLib.mkHosts {{
                  inherit pkgs; nixosSystem = _: {{ }}; specs = [ {specs} ]; generated = {root}/examples/generated;
                }}).nixosModules",
            lib = stub("lib.nix"),
            pkgs = stub("pkgs.nix"),
            root = root().display(),
        )
    };
    let examples = root().join("examples");
    let examples = examples.display();
    let both = format!("{examples}/homelab.toml {examples}/bighost.toml");
    assert_eq!(
        evaluate(&expression(&both)),
        serde_json::json!(["db", "edge", "services", "workstation"])
    );
    let twice = format!("{examples}/homelab.toml {examples}/homelab.toml");
    let output = try_evaluate(&expression(&twice));
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(
        errors.contains("pve1 and another host both have services workstation"),
        "{errors}"
    );
}

#[test]
#[ignore = "needs pre-commit and git; run by tests/run"]
fn pre_commit_regenerates_stages_and_refuses_hand_edits() {
    let repository = Repository::new();
    let config = repository.hooks("id: moxc-regenerate");
    repository.install(&config);
    repository.regenerates_and_refuses_hand_edits();
}

#[test]
#[ignore = "needs pre-commit and git; run by tests/run"]
fn the_hook_that_only_compares_refuses_a_stale_folder() {
    let repository = Repository::new();
    // The published hook builds moxc from its source; here it is the one of this test.
    let config = repository.hooks("{ id: moxc-check, language: system }");
    repository.install(&config);
    let output = repository.commit("nothing generated");
    assert!(!output.status.success());
    run(repository
        .program("mine", "moxc")
        .args(["build", "--quiet", "host.toml"]));
    repository.mine(&["add", "--all"]);
    assert!(repository.commit("generated").status.success());
}

#[test]
#[ignore = "needs nix-instantiate, pre-commit and git; run by tests/run"]
fn the_hooks_for_git_hooks_nix_do_the_same() {
    let repository = Repository::new();
    // What Nix would build: the two commands.
    let programs = repository.path("programs");
    for (from, to) in [
        (root().join("nix/hooks/moxc-regenerate"), "moxc-regenerate"),
        (PathBuf::from(env!("CARGO_BIN_EXE_moxc")), "moxc"),
    ] {
        fs::create_dir_all(programs.join("bin")).unwrap();
        fs::copy(from, programs.join("bin").join(to)).unwrap();
    }
    let hooks = |arguments: &str, further: &str| {
        format!(
            "let lib = import {lib};
                 program = name: {{ type = \"derivation\"; inherit name; pname = name; outPath = \"{programs}\"; meta.mainProgram = name; }};
                 pkgs = {{ git = program \"git\"; writeShellApplication = {{ name, ... }}: program name; }};
                 moxcLib = import {root}/nix/lib.nix {{ inherit lib; moxcFor = _: program \"moxc\"; }};
                 hooks = import {root}/tests/nix/git-hooks.nix {{ inherit lib pkgs; }}
                   (lib.mkMerge [ (moxcLib.gitHooks ({{ inherit pkgs; }} // {arguments})) {further} ]);
             in {{ inherit (hooks) config; packages = map (package: package.name) hooks.packages; }}",
            lib = stub("lib.nix"),
            root = root().display(),
            programs = programs.display(),
        )
    };
    let value = evaluate(&hooks("{ }", "{ }"));
    assert_eq!(value["packages"], serde_json::json!(["moxc-regenerate"]));
    // JSON is YAML.
    repository.install(&value["config"].to_string());
    repository.regenerates_and_refuses_hand_edits();

    // Names that a shell would take apart, and the hook that only compares.
    let value = evaluate(&hooks(
        "{ specs = [ \"my host.toml\" ]; output = \"a b\"; }",
        "{ moxc-check.enable = true; moxc-regenerate.enable = lib.mkForce false; }",
    ));
    let hook = &value["config"]["repos"][0]["hooks"][0];
    assert_eq!(hook["id"], "moxc-check");
    let other = Repository::new();
    fs::rename(
        other.path("mine/host.toml"),
        other.path("mine/my host.toml"),
    )
    .unwrap();
    other.install(&value["config"].to_string());
    assert!(!other.commit("nothing generated").status.success());
    run(other.program("mine", "moxc").args([
        "build",
        "--quiet",
        "my host.toml",
        "--output",
        "a b",
    ]));
    other.mine(&["add", "--all"]);
    assert!(other.commit("generated").status.success());

    // The stand-in is as strict as what it stands for.
    let output = try_evaluate(&hooks("{ }", "{ moxc-regenerate.file = \"x\"; }"));
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(errors.contains("no options: file"), "{errors}");
}
