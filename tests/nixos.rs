//! What the NixOS target writes: exact texts, and what the tools of Nix say to them.
//!
//! `MOXC_BLESS=1` writes the expected texts anew; read them in review like code.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use moxc::compile::Compiled;
use moxc::output::FileSet;
use moxc::targets::Target;
use pretty_assertions::assert_eq;

use crate::in_memory;
use crate::program::call;

pub(crate) fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// The files of a spec; panics with its errors where it has any.
pub(crate) fn build(name: &str, text: &str) -> FileSet {
    in_memory::build(name, text, &[Target::Nixos])
}

/// The examples with NixOS in them: name of the case, spec, host.
const EXAMPLES: &[(&str, &str, &str)] = &[
    ("bighost", "bighost.toml", "atlas"),
    ("example-host", "nixos-host.toml", "nix1"),
    ("homelab", "homelab.toml", "pve1"),
];

fn example(name: &str) -> Option<&'static (&'static str, &'static str, &'static str)> {
    EXAMPLES.iter().find(|(case, _, _)| *case == name)
}

/// The name that a case's spec has in headers.
pub(crate) fn spec_name(name: &str) -> &'static str {
    example(name).map_or("host.toml", |(_, file, _)| file)
}

/// The specs with NixOS in them, by name.
pub(crate) fn cases() -> BTreeMap<String, String> {
    let mut cases = BTreeMap::new();
    for (name, file, _) in EXAMPLES {
        let text = fs::read_to_string(root().join("examples").join(file)).unwrap();
        cases.insert((*name).to_owned(), text);
    }
    let template = fs::read_to_string(root().join("nix/template/host.toml")).unwrap();
    cases.insert("template".to_owned(), template);
    for entry in fs::read_dir(root().join("tests/nixos")).unwrap() {
        let folder = entry.unwrap().path();
        let name = folder.file_name().unwrap().to_str().unwrap().to_owned();
        if let Ok(text) = fs::read_to_string(folder.join("host.toml")) {
            cases.insert(name, text);
        }
    }
    cases
}

/// Writes the files of a spec below `folder`, as the command line would.
pub(crate) fn write(files: &FileSet, folder: &Path) {
    for file in files.iter() {
        let path = folder.join(file.path.as_str());
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, &file.contents).unwrap();
    }
}

/// The expected files of a case, without the hand-written modules beside the generated ones: those are `nix/modules`, to
/// which `moxc` is a link in the examples, whose modules the flake's own `nixosConfigurations` import.
fn expected(name: &str) -> PathBuf {
    match example(name) {
        Some((_, _, host)) => root().join("examples/generated").join(host).join("nixos"),
        None => root().join("tests/nixos").join(name).join("expected"),
    }
}

fn read_all(folder: &Path, below: &str, all: &mut BTreeMap<String, String>) {
    let entries =
        fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    for entry in entries {
        let path = entry.unwrap().path();
        let name = format!("{below}{}", path.file_name().unwrap().to_str().unwrap());
        if path.is_symlink() {
            assert!(path.join("common.nix").exists(), "{name} leads nowhere");
        } else if path.is_dir() {
            read_all(&path, &format!("{name}/"), all);
        } else {
            all.insert(name, fs::read_to_string(path).unwrap());
        }
    }
}

#[test]
fn the_generated_modules_are_the_expected_ones() {
    for (name, spec) in cases() {
        let generated: BTreeMap<String, String> = build(spec_name(&name), &spec)
            .iter()
            .filter_map(|file| {
                let path = file.path.as_str().strip_prefix("nixos/")?;
                let text = String::from_utf8(file.contents.clone()).unwrap();
                (!path.starts_with("moxc/")).then(|| (path.to_owned(), text))
            })
            .collect();
        let folder = expected(&name);
        if std::env::var_os("MOXC_BLESS").is_some() {
            let _ = fs::remove_dir_all(&folder);
            for (path, text) in &generated {
                let path = folder.join(path);
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                fs::write(path, text).unwrap();
            }
            if example(&name).is_some() {
                let modules = "../../../../nix/modules";
                std::os::unix::fs::symlink(modules, folder.join("moxc")).unwrap();
            }
        }
        let mut there = BTreeMap::new();
        read_all(&folder, "", &mut there);
        let names = |files: &BTreeMap<String, String>| files.keys().cloned().collect::<Vec<_>>();
        assert_eq!(names(&generated), names(&there), "{name}");
        for (path, text) in &generated {
            assert_eq!(*text, there[path], "{name}: {path}");
        }
    }
}

#[test]
fn the_same_spec_gives_the_same_bytes() {
    for (name, spec) in cases() {
        let bytes = |files: FileSet| -> Vec<_> {
            files
                .iter()
                .map(|f| (f.path.clone(), f.contents.clone()))
                .collect()
        };
        assert!(
            bytes(build("host.toml", &spec)) == bytes(build("host.toml", &spec)),
            "{name}"
        );
    }
}

#[test]
fn nixfmt_leaves_what_is_written() {
    for (name, spec) in cases() {
        for file in build("host.toml", &spec).iter() {
            let path = file.path.as_str();
            if path.ends_with(".nix") {
                let text = std::str::from_utf8(&file.contents).unwrap();
                let formatted = nixfmt_rs::format(text)
                    .unwrap_or_else(|error| panic!("{name}: {path}: {error:?}"));
                assert_eq!(text, formatted, "{name}: {path}");
            }
        }
    }
}

#[test]
fn nixfmt_leaves_what_is_written_by_hand() {
    let mut folders = vec![root().join("nix"), root().join("tests/nix")];
    let mut files = vec![root().join("flake.nix")];
    for name in ["default.nix", "shell.nix"] {
        files.extend(Some(root().join(name)).filter(|path| path.is_file()));
    }
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "nix") {
                files.push(path);
            }
        }
    }
    for path in files {
        let text = fs::read_to_string(&path).unwrap();
        let formatted = nixfmt_rs::format(&text)
            .unwrap_or_else(|error| panic!("{}: {error:?}", path.display()));
        if std::env::var_os("MOXC_BLESS").is_some() {
            fs::write(&path, &formatted).unwrap();
            continue;
        }
        assert_eq!(text, formatted, "{}", path.display());
    }
}

/// For a look with other tools: writes every case below the folder that `MOXC_DUMP` names.
#[test]
fn dump() {
    let Some(folder) = std::env::var_os("MOXC_DUMP") else {
        return;
    };
    for (name, spec) in cases() {
        write(&build("host.toml", &spec), &Path::new(&folder).join(name));
    }
}

/// What the checks of a spec say: codes and messages.
fn found(path: &Path) -> Vec<(String, String)> {
    Compiled::of("host.toml", &fs::read_to_string(path).unwrap())
        .found()
        .into_iter()
        .map(|(_, d)| (d.code.to_string(), d.message.clone()))
        .collect()
}

#[test]
fn faults_of_settings_are_told_at_the_spec() {
    for code in ["MOX0690", "MOX0840", "MOX0841", "MOX0842", "MOX0843"] {
        let folder = root().join("tests/errors").join(code);
        let wrong = found(&folder.join("host.toml"));
        assert!(wrong.iter().any(|(c, _)| c == code), "{code}: {wrong:?}");
        assert!(
            !wrong.iter().any(|(c, _)| c == "MOX0844"),
            "{code}: a user's fault is not ours: {wrong:?}"
        );
        let silent = found(&folder.join("silent.toml"));
        assert!(!silent.iter().any(|(c, _)| c == code), "{code}: {silent:?}");
    }
}

/// A NixOS guest whose modules are `modules`, in TOML.
pub(crate) fn spec_with_modules(modules: &str) -> String {
    let silent = fs::read_to_string(root().join("tests/errors/MOX0849/host.toml")).unwrap();
    let spec = silent.replace("[\"web.nix\"]", modules);
    assert_ne!(spec, silent, "the case has a module");
    spec
}

/// Writes files below a folder, with the folders above them.
pub(crate) fn lay_out(folder: &Path, files: &[(&str, &str)]) {
    for (path, text) in files {
        let path = folder.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
}

/// The files below `nixos/` that are the user's own, by their paths there.
fn copies(host: &Path) -> BTreeMap<String, String> {
    let mut all = BTreeMap::new();
    read_all(&host.join("nixos/modules"), "", &mut all);
    all
}

fn build_in(folder: &Path, arguments: &[&str]) {
    let said = call(folder, &[&["build", "--quiet"], arguments].concat());
    assert_eq!(said.status, Some(0), "{}", said.err);
}

#[test]
fn a_users_modules_are_copied_with_what_they_name() {
    let folder = tempfile::tempdir().unwrap();
    let top = folder.path();
    let spec = spec_with_modules(r#"["./web.nix", "desk"]"#);
    lay_out(
        top,
        &[
            ("hosts/host.toml", &spec),
            (
                "hosts/web.nix",
                "{ lib, ... }:\n{ imports = [ ../common/base.nix ] ++ lib.optional (builtins.pathExists ./local.nix) ./local.nix; }\n",
            ),
            (
                "common/base.nix",
                "{ environment.etc.motd.source = ./files/motd; }\n",
            ),
            ("common/files/motd", "hello\r\n"),
            ("common/other.nix", "{ }\n"),
            (
                "hosts/desk/default.nix",
                "{ imports = [ ./more/a.nix ]; }\n",
            ),
            ("hosts/desk/more/a.nix", "{ }"),
            ("hosts/desk/template.nix", "no ${nix} at all"),
            ("hosts/desk/.hidden", "x"),
        ],
    );
    build_in(top, &["hosts/host.toml", "-o", "out"]);
    let host = top.join("out/pve1");
    let header = |path: &str| {
        format!(
            "# Copied by moxc {} from {path}: edit that file, not this one.\n",
            env!("CARGO_PKG_VERSION")
        )
    };
    // `_` stands for the spec's folder, beside which `common` lies.
    let expected: BTreeMap<String, String> = [
        ("_/desk/default.nix", header("desk/default.nix") + "{ imports = [ ./more/a.nix ]; }\n"),
        ("_/desk/more/a.nix", header("desk/more/a.nix") + "{ }"),
        ("_/desk/template.nix", header("desk/template.nix") + "no ${nix} at all"),
        (
            "_/web.nix",
            header("web.nix")
                + "{ lib, ... }:\n{ imports = [ ../common/base.nix ] ++ lib.optional (builtins.pathExists ./local.nix) ./local.nix; }\n",
        ),
        (
            "common/base.nix",
            header("../common/base.nix") + "{ environment.etc.motd.source = ./files/motd; }\n",
        ),
        ("common/files/motd", "hello\r\n".to_owned()),
    ]
    .into_iter()
    .map(|(path, text)| (path.to_owned(), text))
    .collect();
    assert_eq!(copies(&host), expected);
    let module = fs::read_to_string(host.join("nixos/web.nix")).unwrap();
    for import in ["./modules/_/web.nix\n", "./modules/_/desk\n"] {
        assert!(module.contains(import), "{import} is not in {module}");
    }

    // Wherever the tree goes, it is the same, and a second build changes nothing.
    build_in(top, &["hosts/host.toml", "-o", "hosts/generated"]);
    let (mut here, mut there) = (BTreeMap::new(), BTreeMap::new());
    read_all(&host, "", &mut here);
    read_all(&top.join("hosts/generated/pve1"), "", &mut there);
    assert!(here == there, "the output folder changes the output");
    build_in(&top.join("hosts"), &["host.toml", "--check"]);

    // A changed original makes the tree stale.
    fs::write(top.join("common/files/motd"), "bye\n").unwrap();
    let said = call(top, &["build", "hosts/host.toml", "-o", "out", "--check"]);
    assert_eq!(said.status, Some(1));
    assert!(said.out.contains("+bye"), "{}", said.out);
}

#[test]
fn a_users_scripts_are_copied_and_say_what_fits_them() {
    let folder = tempfile::tempdir().unwrap();
    let top = folder.path();
    let scripts = |rows: &str| {
        let spec = spec_with_modules("[]");
        format!("{spec}\n[containers.web.nixos.scripts]\n{rows}")
    };
    lay_out(
        top,
        &[
            (
                "host.toml",
                &scripts(
                    "copy = { source = \"bin/copy.sh\", on = \"daily\", writable = [\"/srv\"] }\n",
                ),
            ),
            ("bin/copy.sh", "#!/bin/sh\ntrue\n"),
        ],
    );
    build_in(top, &["host.toml"]);
    let host = top.join("generated/pve1");
    assert_eq!(copies(&host)["bin/copy.sh"], "#!/bin/sh\ntrue\n");
    let module = fs::read_to_string(host.join("nixos/web.nix")).unwrap();
    assert!(
        module.contains("source = ./modules/bin/copy.sh;"),
        "{module}"
    );

    for (row, message) in [
        (
            "writable = [\"/srv\"]",
            "`writable` is about runs that `copy` never has",
        ),
        (
            "timeout = \"1h\"",
            "`timeout` is about runs that `copy` never has",
        ),
        (
            "session = true",
            "`session` is about runs that `copy` never has",
        ),
        (
            "on = \"daily\", session = true, writable = [\"/srv\"]",
            "`writable` is about a service of the guest",
        ),
    ] {
        let spec = scripts(&format!("copy = {{ source = \"bin/copy.sh\", {row} }}\n"));
        fs::write(top.join("host.toml"), spec).unwrap();
        let said = call(top, &["check", "host.toml", "--message-format", "short"]);
        let errors: Vec<&str> = said
            .err
            .lines()
            .filter(|line| line.contains(": error["))
            .collect();
        assert_eq!(errors.len(), 1, "{errors:?}");
        assert!(
            errors[0].contains(&format!("error[MOX0016]: {message}")),
            "{errors:?}"
        );
    }
    fs::write(
        top.join("host.toml"),
        scripts("\"Copy it\" = { source = \"bin/copy.sh\" }\n"),
    )
    .unwrap();
    let said = call(top, &["check", "host.toml", "--message-format", "short"]);
    assert!(said.err.contains("error[MOX0012]"), "{}", said.err);
}

#[test]
fn a_tree_inside_a_copied_folder_is_not_copied() {
    let folder = tempfile::tempdir().unwrap();
    let top = folder.path();
    lay_out(
        top,
        &[
            ("host.toml", &spec_with_modules(r#"["own"]"#)),
            ("own/default.nix", "{ }\n"),
            (
                "own/web/manifest.json",
                "{ \"name\": \"a web application\" }\n",
            ),
        ],
    );
    for _ in 0..2 {
        build_in(top, &["host.toml", "-o", "own/generated"]);
    }
    let files: Vec<String> = copies(&top.join("own/generated/pve1"))
        .into_keys()
        .collect();
    assert_eq!(files, ["own/default.nix", "own/web/manifest.json"]);
}

#[test]
fn a_module_without_end_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let top = folder.path();
    lay_out(
        top,
        &[
            ("host.toml", &spec_with_modules(r#"["own"]"#)),
            ("own/default.nix", "{ }\n"),
        ],
    );
    std::os::unix::fs::symlink(".", top.join("own/again")).unwrap();
    let said = call(top, &["check", "host.toml", "--message-format", "short"]);
    assert_eq!(said.status, Some(1));
    assert!(said.err.contains("error[MOX084"), "{}", said.err);

    // Two names that are one on other systems, and one that is none.
    for names in [["A.txt", "a.txt"], ["\u{e9}.txt", "b.txt"]] {
        let folder = tempfile::tempdir().unwrap();
        let top = folder.path();
        lay_out(
            top,
            &[
                ("host.toml", &spec_with_modules(r#"["own"]"#)),
                ("own/default.nix", "{ }\n"),
                (&format!("own/{}", names[0]), "x"),
                (&format!("own/{}", names[1]), "y"),
            ],
        );
        let said = call(top, &["check", "host.toml", "--message-format", "short"]);
        assert_eq!(said.status, Some(1), "{names:?}");
        assert!(said.err.contains("error[MOX0848]"), "{}", said.err);
    }
}

/// The module of a NixOS host with this storage, its layout for disko, and the first step of its README.
fn nixos_host_with(disk: &str, storage: &str) -> (String, String, String) {
    let text = format!(
        r#"
spec = 1

[host]
name = "nx"
platform = "nixos"
release = "9.1"
timezone = "UTC"
state-version = "25.11"
ssh-keys = ["ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIFDYWOCYXsx/YEGKrwzFq1h/QsJXCohAlanozKzQ9lRc a@b"]

[hardware.memory]
size = "64 GiB"

[hardware.nics]
lan = {{ interface = "eno1" }}

[hardware.disks]
a = {{ kind = "nvme", size = "2 TB", device = "/dev/disk/by-id/nvme-A"{disk} }}

[network.bridges.vmbr0]
ports = ["lan"]
address = "192.0.2.10/24"

{storage}
"#
    );
    let files = in_memory::build(
        "nx.toml",
        &text,
        &[Target::Proxmox, Target::Nixos, Target::Guide],
    );
    let read = |path: &str| {
        let file = files.get(path)?;
        Some(String::from_utf8(file.contents.clone()).unwrap())
    };
    let guide = read("README.md").unwrap();
    let first = guide.lines().find(|line| line.starts_with("1. ")).unwrap();
    (
        read("nixos/nx.nix").unwrap(),
        read("proxmox/storage/disko.nix").unwrap_or_default(),
        first.to_owned(),
    )
}

#[test]
fn a_nixos_host_starts_from_disks_that_are_its_own() {
    let host = |disk: &str, pool: &str| {
        nixos_host_with(
            disk,
            &format!("[storage.pools.tank]\nlayout = \"stripe\"\ndisks = [\"a\"]\n{pool}\n"),
        )
    };
    // disko makes what it starts from, also where there is nothing else to make.
    let (module, disko, first) = host("", "boot = true");
    assert!(module.contains("espDevice = lib.mkDefault \"/dev/disk/by-partlabel/disk-a-ESP\";"));
    assert!(disko.contains("ESP = {"), "{disko}");
    assert!(first.contains("disko.nix"), "{first}");
    // The table that a partition stands in is somebody else's, and so is what it starts from.
    let (module, disko, first) = host(", partition = 3", "boot = true");
    assert!(module.contains("rootDevice") && !module.contains("espDevice"));
    assert!(!disko.contains("ESP"), "{disko}");
    assert!(first.contains("espDevice"), "{first}");
    let (module, _, first) = host("", "");
    assert!(!module.contains("hostSystem"));
    assert!(first.contains("no pool and no volume group"), "{first}");

    // A pool that is there: disko makes no root, whatever else it makes.
    let (module, disko, _) = nixos_host_with("", "[storage.pools.rpool]\nboot = true\n");
    assert!(module.contains("rootDevice = lib.mkDefault \"rpool/root\";"));
    assert!(module.contains("partition = lib.mkOverride 900 false;"));
    assert_eq!(disko, "");
}

#[test]
fn who_searches_no_domain_says_none() {
    let network = |keys: &str| {
        let keys = format!("{keys}\nnameservers = [\"192.0.2.1\"]");
        let (module, ..) = nixos_host_with(
            "",
            &format!(
                "[storage.lvm.guests]\ngroup = \"pve\"\nuse = \"vm-disks\"\nboot = true\n[network]\n{keys}\n"
            ),
        );
        module
    };
    let told = network("search = [\"example.org\"]");
    assert!(told.contains("\"example.org\""), "{told}");
    for none in ["", "search = []"] {
        let none = network(none);
        assert!(
            none.contains("nameservers = [") && !none.contains("search = ["),
            "{none}"
        );
    }
}

#[test]
fn a_nixos_host_has_its_root_in_a_volume_group() {
    let group = |disk: &str, keys: &str| {
        nixos_host_with(
            disk,
            &format!(
                "[storage.lvm.guests]\ngroup = \"pve\"\nthin-pool = \"data\"\nuse = \"vm-disks\"\nboot = true\n{keys}\n"
            ),
        )
    };
    let (module, disko, first) = group(
        "",
        "disks = [\"a\"]\nroot-size = \"40 GiB\"\nswap-size = \"8 GiB\"",
    );
    for line in [
        "rootDevice = lib.mkDefault \"/dev/pve/root\";",
        "rootFsType = lib.mkDefault \"ext4\";",
        "swapDevice = lib.mkDefault \"/dev/pve/swap\";",
        "espDevice = lib.mkDefault \"/dev/disk/by-partlabel/disk-a-ESP\";",
        "lvm.boot.thin.enable = lib.mkDefault true;",
    ] {
        assert!(module.contains(line), "{line} is not in {module}");
    }
    assert!(!module.contains("partition = "), "{module}");
    assert!(first.contains("disko.nix"), "{first}");
    // Root and swap are made before the thin pool, which takes the rest.
    for line in [
        "vg = \"pve\";",
        "size = \"42949672960b\";",
        "size = \"8589934592b\";",
        "size = \"95%FREE\";",
        "mountpoint = \"/\";",
        "mountpoint = \"/boot\";",
    ] {
        assert!(disko.contains(line), "{line} is not in {disko}");
    }
    assert!(disko.find("priority = 1;") < disko.find("priority = 2;"));

    let (module, disko, _) = group("", "disks = [\"a\"]");
    assert!(disko.contains("size = \"103079215104b\";"), "{disko}");
    assert!(!module.contains("swapDevice") && !disko.contains("swap = {"));

    let (module, disko, first) =
        group(", partition = 3", "disks = [\"a\"]\nroot-size = \"40 GiB\"");
    assert!(disko.contains("size = \"42949672960b\";"), "{disko}");
    assert!(module.contains("rootDevice") && !module.contains("espDevice"));
    assert!(disko.contains("type = \"lvm_pv\";") && !disko.contains("ESP"));
    assert!(first.contains("espDevice"), "{first}");

    let (module, disko, first) = group("", "");
    assert!(module.contains("partition = lib.mkOverride 900 false;"));
    assert_eq!(disko, "");
    assert!(first.contains("of the volume group `pve`"), "{first}");
}

#[test]
fn a_root_in_a_volume_group_is_held_against_its_disks_and_the_rest_of_the_spec() {
    let folder = tempfile::tempdir().unwrap();
    let check = |platform: &str, lvm: &str| {
        let text = format!(
            "spec = 1\n[host]\nname = \"nx\"\nplatform = \"{platform}\"\nrelease = \"9.1\"\ntimezone = \"UTC\"\n\
             [hardware.memory]\nsize = \"64 GiB\"\n\
             [hardware.disks]\na = {{ kind = \"ssd\", size = \"500 GB\", device = \"/dev/disk/by-id/ata-A\" }}\n\
             [storage.lvm.one]\ngroup = \"pve\"\nuse = \"vm-disks\"\nboot = true\n{lvm}\n"
        );
        lay_out(folder.path(), &[("host.toml", &text)]);
        let said = call(
            folder.path(),
            &["check", "host.toml", "--message-format", "short"],
        );
        said.err
    };
    let disks = "disks = [\"a\"]";
    for (platform, lvm, told) in [
        (
            "nixos",
            &format!("{disks}\nroot-size = \"500 GB\"")[..],
            "error[MOX0310]: the host itself takes 466.66 GiB of `pve`",
        ),
        (
            "nixos",
            &format!("{disks}\nthin-pool = \"t\"\nsize = \"460 GiB\""),
            "its disks have 368.66 GiB beside root, swap and boot loader",
        ),
        (
            "nixos",
            &format!("{disks}\nthin-pool = \"swap\""),
            "error[MOX0016]: a thin pool `swap`",
        ),
        (
            "nixos",
            &format!("{disks}\n[storage.pools.rpool]\nboot = true"),
            "error[MOX0016]: the host's root is in the pool `rpool` already, not in the volume group `pve`",
        ),
        (
            "nixos",
            "swap-size = \"8 GiB\"",
            "[MOX0024]: `swap-size` changes nothing here",
        ),
        (
            "proxmox",
            disks,
            "error[MOX0016]: `disks` beside `boot = true`",
        ),
        (
            "proxmox",
            "root-size = \"8 GiB\"",
            "[MOX0024]: `root-size` changes nothing here",
        ),
    ] {
        let said = check(platform, lvm);
        assert!(said.contains(told), "{told} is not in {said}");
    }
    // How large a partition is the spec does not tell: its disk bounds it, and nothing is made a quarter of it.
    let part = "[\"part\"]\n[hardware.disks.part]\nkind = \"ssd\"\nsize = \"500 GB\"\n\
                device = \"/dev/disk/by-id/ata-B\"\npartition = 3\n[storage.lvm.two]\ngroup = \"pve\"\nuse = \"containers\"";
    let said = check("nixos", &format!("disks = {part}"));
    let told = "error[MOX0004]: the key `root-size` is missing";
    assert_eq!(said.matches(told).count(), 1, "{said}");
    let said = check("nixos", &format!("root-size = \"40 GiB\"\ndisks = {part}"));
    assert!(!said.contains("MOX0004"), "{said}");
    let said = check("nixos", &format!("root-size = \"500 GB\"\ndisks = {part}"));
    let told = "the host itself takes 465.66 GiB of `pve`, and its disks have at most 465.66 GiB";
    assert!(said.contains(told), "{said}");

    let said = check(
        "nixos",
        &format!("{disks}\nroot-size = \"40 GiB\"\nswap-size = \"8 GiB\"\nthin-pool = \"data\""),
    );
    for code in ["MOX0310", "MOX0016", "MOX0024"] {
        assert!(!said.contains(code), "{said}");
    }
}
