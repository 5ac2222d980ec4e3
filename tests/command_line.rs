//! The program from outside: what it says where, how it exits, what it leaves on the disk.

use std::fs;
use std::io::{Read as _, Write as _};
use std::path::Path;
use std::process::Stdio;

use tempfile::TempDir;

use crate::program::{Said, call, moxc, tests};

const MINI: &str = include_str!("../examples/mini.toml");

fn folder() -> TempDir {
    tempfile::tempdir().expect("a folder")
}

fn put(folder: &Path, name: &str, text: &str) {
    let path = folder.join(name);
    fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
    fs::write(path, text).expect("a file");
}

/// Runs `moxc` in `folder` with `input` on standard input.
fn call_with_input(folder: &Path, args: &[&str], input: &[u8]) -> Said {
    let mut child = moxc(folder)
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts");
    // The program may refuse before it reads.
    let _ = child.stdin.take().expect("a pipe").write_all(input);
    child.wait_with_output().expect("the program ends").into()
}

/// Every file below `folder`, with its contents.
fn tree(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let mut files = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(&next).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let name = path
                    .strip_prefix(folder)
                    .expect("below")
                    .display()
                    .to_string();
                files.push((name, fs::read(&path).expect("a file")));
            }
        }
    }
    files.sort();
    files
}

// ---------------------------------------------------------------- help

#[test]
fn the_help_of_every_command() {
    let here = folder();
    for command in [
        "",
        "init",
        "check",
        "build",
        "explain",
        "lint-nix",
        "schema",
        "completions",
        "man",
    ] {
        let args: Vec<&str> = [command, "--help"]
            .into_iter()
            .filter(|arg| !arg.is_empty())
            .collect();
        let said = call(here.path(), &args);
        assert_eq!((said.status, said.err.as_str()), (Some(0), ""), "{command}");
        let name = if command.is_empty() { "moxc" } else { command };
        insta::assert_snapshot!(format!("help-{name}"), said.out);
    }
}

// ---------------------------------------------------------------- lint-nix

#[test]
fn lint_nix_tells_faults_by_name_and_place() {
    let here = folder();
    let write = |name: &str, text: &str| {
        std::fs::write(here.path().join(name), text).expect("the folder is ours");
    };
    write(
        "good.nix",
        "{ pkgs, ... }:\n{\n  environment.systemPackages = [ pkgs.htop ];\n}\n",
    );
    write(
        "module.nix",
        "{ ... }:\n{\n  networking.hostNmae = \"a\";\n  networking.firewall.enable = \"yes\";\n  \
         boot.tmpOnTmpfs = true;\n}\n",
    );
    write(
        "plain.nix",
        "{ a = 1; a = 2; b = nosuch; c = http://x.y; }\n",
    );
    write("broken.nix", "{ a = \n");
    let said = call(here.path(), &["lint-nix", "good.nix"]);
    assert_eq!((said.status, said.err.as_str()), (Some(0), ""));
    let said = call(
        here.path(),
        &[
            "lint-nix",
            "module.nix",
            "plain.nix",
            "broken.nix",
            "--message-format",
            "short",
        ],
    );
    assert_eq!(said.status, Some(1));
    insta::assert_snapshot!("lint-nix", said.err);
    let said = call(here.path(), &["lint-nix", "absent.nix"]);
    assert_eq!(said.status, Some(2));
    assert_eq!(said.err.lines().count(), 1);
}

#[test]
fn lint_nix_takes_folders_and_tells_what_is_unused_only_where_asked() {
    let here = folder();
    let write = |name: &str, text: &str| {
        let path = here.path().join(name);
        std::fs::create_dir_all(path.parent().expect("it has a folder"))
            .expect("the folder is ours");
        std::fs::write(path, text).expect("the folder is ours");
    };
    write("hosts/b.nix", "{ lib, ... }: { a = lib.mkDefualt 1; }\n");
    write(
        "hosts/a/c.nix",
        "{ pkgs, ... }: { services.ngnix.enable = true; }\n",
    );
    write("hosts/.direnv/d.nix", "{ a = \n");
    write("hosts/notes.txt", "{ a = \n");
    let said = call(
        here.path(),
        &["lint-nix", "hosts", "--message-format", "short"],
    );
    assert_eq!(said.status, Some(1));
    assert_eq!(
        said.err,
        "hosts/a/c.nix:1:27: error[MOX0841]: NixOS has no option `services.ngnix`\n\
         hosts/b.nix:1:25: error[MOX0845]: nixpkgs' library has no `mkDefualt`\n"
    );
    let said = call(
        here.path(),
        &[
            "lint-nix",
            "hosts/a",
            "--unused",
            "--message-format",
            "short",
        ],
    );
    assert!(
        said.err.contains("hosts/a/c.nix:1:3: warning[MOX0846]"),
        "{}",
        said.err
    );
}

#[test]
fn the_arguments_are_consistent() {
    use clap::CommandFactory as _;
    moxc::cli::Args::command().debug_assert();
}

#[test]
fn completions_and_manual_are_printed() {
    let here = folder();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let said = call(here.path(), &["completions", shell]);
        assert_eq!(said.status, Some(0));
        assert!(said.out.contains("moxc"), "{shell}");
    }
    let said = call(here.path(), &["man"]);
    assert!(
        said.out.starts_with(".ie") && said.out.contains(".TH moxc 1"),
        "{}",
        said.out
    );
    let said = call(here.path(), &["man", "-o", "pages"]);
    assert_eq!(said.status, Some(0));
    assert!(here.path().join("pages/moxc-build.1").is_file());
}

// ---------------------------------------------------------------- init

/// Its key is the one thing that nobody can leave as it is.
#[test]
fn the_starter_is_told_of_its_key_alone() {
    let here = folder();
    let said = call(here.path(), &["init"]);
    assert_eq!(said.status, Some(0), "{}", said.err);
    let said = call(here.path(), &["check", "homelab.toml"]);
    assert_eq!(said.status, Some(0), "{}", said.err);
    let told: Vec<&str> = said
        .err
        .lines()
        .filter(|line| line.starts_with("warning[") || line.starts_with("error"))
        .collect();
    assert_eq!(
        told,
        ["warning[MOX0116]: this key is the example's: nobody can log in with it"]
    );
    let path = here.path().join("homelab.toml");
    let text = fs::read_to_string(&path).expect("the starter");
    let own = "AAAAC3NzaC1lZDI1NTE5AAAAIFDYWOCYXsx/YEGKrwzFq1h/QsJXCohAlanozKzQ9lRc";
    let mine: String = text
        .split(' ')
        .map(|word| if word.starts_with("AAAA") { own } else { word })
        .collect::<Vec<_>>()
        .join(" ");
    fs::write(&path, mine).expect("written");
    let said = call(here.path(), &["check", "--deny-warnings", "homelab.toml"]);
    assert_eq!((said.status, said.err.as_str()), (Some(0), ""));
    let said = call(here.path(), &["build", "homelab.toml"]);
    assert_eq!((said.status, said.err.as_str()), (Some(0), ""));
}

#[test]
fn init_overwrites_nothing() {
    let here = folder();
    put(here.path(), "new/homelab.toml", "mine");
    let said = call(here.path(), &["init", "new"]);
    assert_eq!(said.status, Some(2));
    assert_eq!(
        said.err,
        "moxc: `new/homelab.toml` is there already and stays as it is\n"
    );
    assert_eq!(
        fs::read_to_string(here.path().join("new/homelab.toml")).expect("there"),
        "mine"
    );
    assert_eq!(call(here.path(), &["init", "deep/er"]).status, Some(0));
    assert!(here.path().join("deep/er/homelab.toml").is_file());
}

// ---------------------------------------------------------------- check

#[test]
fn the_examples_are_sound() {
    let examples = tests().join("../examples");
    let mut args = Vec::new();
    for entry in fs::read_dir(&examples).expect("the examples") {
        let name = entry
            .expect("an example")
            .file_name()
            .to_string_lossy()
            .into_owned();
        // What they become may stand beside them.
        if examples.join(&name).is_file() {
            args.push(name);
        }
    }
    args.sort();
    args.push("cluster/fleet.toml".to_owned());
    let args = ["check"].into_iter().chain(args.iter().map(String::as_str));
    let said = call(&examples, &args.collect::<Vec<_>>());
    assert_eq!(said.status, Some(0), "{}", said.err);
}

#[test]
fn standard_input_is_a_spec() {
    let here = folder();
    let said = call_with_input(here.path(), &["check", "-"], MINI.as_bytes());
    assert_eq!(said.status, Some(0), "{}", said.err);
    let broken = MINI.replace("vmid        = 100", "vmid = 1");
    let said = call_with_input(
        here.path(),
        &["check", "-", "--message-format", "short"],
        broken.as_bytes(),
    );
    assert_eq!(said.status, Some(1));
    assert!(said.err.starts_with("<stdin>:"), "{}", said.err);
    let said = call_with_input(here.path(), &["check", "-", "-"], b"");
    assert_eq!(said.status, Some(2));
    let said = call_with_input(here.path(), &["check", "--fix", "-"], b"");
    assert_eq!(said.status, Some(2));
}

#[test]
fn what_is_no_text_is_told_at_its_place() {
    let here = folder();
    for (bytes, place) in [
        (&b"# fine\n[host]\nname = \"\xff\"\n"[..], "spec.toml:3:9"),
        (&b"\xff\xfeh\0o\0s\0t\0"[..], "spec.toml:1:1"),
        (&b"\0\x01\x02"[..], "spec.toml:1:1"),
    ] {
        fs::write(here.path().join("spec.toml"), bytes).expect("a file");
        let said = call(
            here.path(),
            &["check", "spec.toml", "--message-format", "short"],
        );
        assert_eq!(said.status, Some(1), "{}", said.err);
        assert!(
            said.err.starts_with(&format!("{place}: error[MOX0001]")),
            "{}",
            said.err
        );
    }
}

#[test]
fn a_wrong_call_and_a_missing_file_are_two() {
    let here = folder();
    put(here.path(), "folder/x", "");
    for args in [
        &["check"][..],
        &["check", "missing.toml"],
        &["check", "folder"],
        &["build", "missing.toml"],
        &["build", "--only", "nothing", "x.toml"],
        &["build", "--check", "--force", "x.toml"],
        &["explain", "MOX9999"],
        &["explain"],
        &["frobnicate"],
        &[],
    ] {
        let said = call(here.path(), args);
        assert_eq!(said.status, Some(2), "{args:?}: {}", said.err);
        assert_eq!(said.out, "", "{args:?}");
        assert!(!said.err.is_empty(), "{args:?}");
    }
    let said = call(here.path(), &["build", "missing.toml"]);
    assert_eq!(
        said.err,
        "moxc: cannot read `missing.toml`: No such file or directory (os error 2); `generated` stays as it is\n"
    );
}

#[test]
fn no_special_file_and_no_endless_one_is_read() {
    let folder = folder();
    put(folder.path(), "mini.toml", MINI);
    let pipe = folder.path().join("pipe.toml");
    rustix::fs::mknodat(
        rustix::fs::CWD,
        &pipe,
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::RWXU,
        0,
    )
    .expect("a pipe");
    for spec in ["pipe.toml", "/dev/zero"] {
        let said = call(folder.path(), &["check", spec]);
        assert_eq!(said.status, Some(2), "{spec}: {}", said.err);
        assert!(said.err.contains("not an ordinary file"), "{}", said.err);
    }
    for target in ["pipe.toml", "/dev/zero", "mini.toml"] {
        let templates = folder.path().join("templates/proxmox");
        fs::create_dir_all(&templates).expect("a folder");
        let link = templates.join("apply.sh");
        let _ = fs::remove_file(&link);
        let target = folder.path().join(target);
        std::os::unix::fs::symlink(target, link).expect("a link");
        let said = call(
            folder.path(),
            &[
                "build",
                "mini.toml",
                "--templates",
                "templates",
                "-o",
                "out",
            ],
        );
        assert_ne!(said.status, Some(0), "{}", said.err);
        assert!(!folder.path().join("out").exists());
    }
    put(folder.path(), "templates/proxmox/bytes.sh", "");
    fs::write(folder.path().join("templates/proxmox/apply.sh"), [0xff]).expect("a file");
    let said = call(
        folder.path(),
        &[
            "build",
            "mini.toml",
            "--templates",
            "templates",
            "-o",
            "out",
        ],
    );
    assert_ne!(said.status, Some(0), "{}", said.err);
    assert!(!folder.path().join("out").exists());
}

#[test]
fn a_person_is_shown_a_hundred_problems_and_a_program_all() {
    let folder = folder();
    let guests: Vec<String> = (300..450)
        .map(|vmid| format!("[vms.g{vmid}]\nos = \"linux\"\nvmid = {vmid}\nmemry = 1\n"))
        .collect();
    let guests = guests.concat();
    put(folder.path(), "many.toml", &format!("{MINI}\n{guests}"));
    // Beside the 150 errors a warning about the host's reserve.
    let human = call(folder.path(), &["check", "many.toml"]);
    let shown = human.err.lines().filter(|line| line.starts_with("error["));
    assert_eq!(shown.count(), 100);
    assert!(human.err.contains("and 51 more; "), "{}", human.err);
    let short = call(
        folder.path(),
        &["check", "many.toml", "--message-format", "short"],
    );
    assert_eq!(short.err.lines().count(), 151);
}

#[test]
fn warnings_can_be_denied_and_allowed() {
    let here = folder();
    // Clocks change at 02:00, and a backup at 02:30 is skipped or doubled: a warning.
    let spec = MINI.replace("on      = \"03:00\"", "on      = \"02:30\"");
    assert_ne!(spec, MINI);
    put(here.path(), "warns.toml", &spec);
    let said = call(
        here.path(),
        &["check", "warns.toml", "--message-format", "short"],
    );
    assert_eq!(said.status, Some(0), "{}", said.err);
    let code = said
        .err
        .split("warning[")
        .nth(1)
        .and_then(|rest| rest.split(']').next())
        .expect("a warning")
        .to_owned();
    let said = call(here.path(), &["check", "warns.toml", "--deny-warnings"]);
    assert_eq!(said.status, Some(1));
    assert!(said.err.contains(&format!("error[{code}]")));
    for (level, status, told) in [("allow", 0, false), ("warn", 0, true), ("deny", 1, true)] {
        put(
            here.path(),
            "levels.toml",
            &format!("{spec}\n[lints]\n{code} = \"{level}\"\n"),
        );
        let said = call(here.path(), &["check", "levels.toml"]);
        assert_eq!(said.status, Some(status), "{level}");
        assert_eq!(said.err.contains(&code), told, "{level}");
    }
    put(
        here.path(),
        "allowed.toml",
        &format!("{spec}\n[lints]\n{code} = \"allow\"\n"),
    );
    assert_eq!(
        call(here.path(), &["check", "--deny-warnings", "allowed.toml"]).status,
        Some(0)
    );
}

#[test]
fn quiet_says_nothing_and_verbose_says_more() {
    let here = folder();
    put(here.path(), "mini.toml", MINI);
    let said = call(here.path(), &["check", "-q", "mini.toml"]);
    assert_eq!((said.out.as_str(), said.err.as_str()), ("", ""));
    let said = call(here.path(), &["check", "-v", "mini.toml"]);
    assert!(
        said.out.contains("100 dns (container, 512 MiB)"),
        "{}",
        said.out
    );
    for format in ["json", "sarif"] {
        let said = call(
            here.path(),
            &["check", "--message-format", format, "mini.toml"],
        );
        assert_eq!(said.out, "", "{format}");
    }
}

#[test]
fn colours_are_there_only_where_they_are_wanted() {
    let broken = tests().join("broken");
    let plain = call(&broken, &["check", "keys.toml"]).err;
    assert!(!plain.contains('\u{1b}'));
    let coloured = call(&broken, &["check", "keys.toml", "--color", "always"]).err;
    assert!(coloured.contains("\u{1b}["));
    assert_eq!(anstream::adapter::strip_str(&coloured).to_string(), plain);
    for format in ["short", "json", "sarif"] {
        let said = call(
            &broken,
            &[
                "check",
                "keys.toml",
                "--color",
                "always",
                "--message-format",
                format,
            ],
        );
        assert!(!said.err.contains('\u{1b}'), "{format}");
    }
}

#[test]
fn a_closed_pipe_is_no_failure() {
    let here = folder();
    let mut child = moxc(here.path())
        .args(["schema"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts");
    drop(child.stdout.take());
    let mut err = String::new();
    let mut stderr = child.stderr.take().expect("a pipe");
    let status = child.wait().expect("the program ends");
    stderr.read_to_string(&mut err).expect("UTF-8");
    assert_eq!((status.code(), err.as_str()), (Some(0), ""));
}

#[test]
fn a_full_disk_is_told() {
    let full = fs::OpenOptions::new().write(true).open("/dev/full");
    let Ok(full) = full else {
        // Not every kernel has the device.
        return;
    };
    let here = folder();
    let output = moxc(here.path())
        .args(["schema"])
        .stdout(full)
        .output()
        .expect("the program starts");
    assert_eq!(output.status.code(), Some(2));
    let err = String::from_utf8_lossy(&output.stderr);
    assert!(
        err.starts_with("moxc: cannot write to standard output: "),
        "{err}"
    );
}

// ---------------------------------------------------------------- check --fix

#[test]
fn fix_mends_what_is_certain_and_keeps_the_rest() {
    let here = folder();
    let spec = MINI
        .replace(
            "memory      = \"512 MiB\"",
            "memroy      = \"512 MiB\"   # a slip",
        )
        .replace("bridge  = \"vmbr0\"", "bridge  = \"VMBR0\"")
        .replace("layout = \"stripe\"", "layout = \"strip\"")
        .replace("needs       = [\"dns\"]", "needs       = \"dns\"");
    put(here.path(), "mini.toml", &spec);
    let said = call(here.path(), &["check", "--fix", "mini.toml"]);
    assert_eq!(said.status, Some(0), "{}{}", said.out, said.err);
    assert!(
        said.out.contains("mini.toml:67:1: fixed: write `memory`"),
        "{}",
        said.out
    );
    let fixed = fs::read_to_string(here.path().join("mini.toml")).expect("there");
    assert_eq!(
        fixed,
        MINI.replace(
            "memory      = \"512 MiB\"",
            "memory      = \"512 MiB\"   # a slip"
        )
    );
    let said = call(here.path(), &["check", "--fix", "mini.toml"]);
    assert!(
        said.out
            .starts_with("nothing can be fixed with certainty\n"),
        "{}",
        said.out
    );
}

#[test]
fn fix_leaves_alone_what_may_be_another() {
    let here = folder();
    let spec = MINI.replace("bridge  = \"vmbr0\"", "bridge  = \"vmbr1\"");
    put(here.path(), "mini.toml", &spec);
    let said = call(here.path(), &["check", "--fix", "mini.toml"]);
    assert_eq!(said.status, Some(1));
    assert_eq!(
        fs::read_to_string(here.path().join("mini.toml")).expect("there"),
        spec
    );
}

// ---------------------------------------------------------------- build

#[test]
fn a_build_is_checked_refused_and_forced() {
    let here = folder();
    put(here.path(), "mini.toml", MINI);
    let said = call(here.path(), &["build", "mini.toml", "--check"]);
    assert_eq!(said.status, Some(1), "nothing is there yet");
    assert!(!here.path().join("generated").exists());

    let said = call(here.path(), &["build", "mini.toml"]);
    assert_eq!((said.status, said.err.as_str()), (Some(0), ""));
    assert!(said.out.starts_with("mini: "), "{}", said.out);
    let built = tree(&here.path().join("generated"));
    assert!(built.iter().any(|(name, _)| name == "mini/manifest.json"));

    let said = call(here.path(), &["build", "mini.toml", "--check"]);
    assert_eq!((said.status, said.out.as_str()), (Some(0), ""));
    let said = call(here.path(), &["build", "mini.toml"]);
    assert!(said.out.contains("nothing changed"), "{}", said.out);

    // The spec changes: stale.
    put(
        here.path(),
        "mini.toml",
        &MINI.replace("cores = 2", "cores = 3"),
    );
    let said = call(here.path(), &["build", "mini.toml", "--check"]);
    assert_eq!(said.status, Some(1));
    assert!(said.out.contains("-cores: 2\n+cores: 3\n"), "{}", said.out);
    assert_eq!(tree(&here.path().join("generated")), built);

    // Somebody edits a file: refused, then forced.
    let config = "generated/mini/proxmox/etc/pve/qemu-server/101.conf";
    let edited = fs::read_to_string(here.path().join(config)).expect("there") + "onboot: 0\n";
    put(here.path(), config, &edited);
    let said = call(here.path(), &["build", "mini.toml"]);
    assert_eq!(said.status, Some(1));
    assert!(said.err.contains("qemu-server/101.conf"), "{}", said.err);
    assert_eq!(
        fs::read_to_string(here.path().join(config)).expect("there"),
        edited
    );
    let said = call(here.path(), &["build", "mini.toml", "--force"]);
    assert_eq!(said.status, Some(0), "{}", said.err);
    assert!(said.out.contains("1 overwritten"), "{}", said.out);
}

#[test]
fn errors_leave_the_folder_as_it_is() {
    let here = folder();
    put(here.path(), "mini.toml", MINI);
    call(here.path(), &["build", "mini.toml"]);
    let built = tree(&here.path().join("generated"));
    put(
        here.path(),
        "mini.toml",
        &MINI.replace("vmid        = 100", "vmid        = 1"),
    );
    let said = call(here.path(), &["build", "mini.toml"]);
    assert_eq!(said.status, Some(1));
    assert!(
        said.err
            .ends_with("nothing was built; `generated` stays as it is\n"),
        "{}",
        said.err
    );
    assert_eq!(tree(&here.path().join("generated")), built);
}

#[test]
fn one_target_leaves_the_others() {
    let here = folder();
    let spec = include_str!("../examples/homelab.toml");
    put(here.path(), "homelab.toml", spec);
    assert_eq!(
        call(here.path(), &["build", "homelab.toml"]).status,
        Some(0)
    );
    let built = tree(&here.path().join("generated"));
    put(
        here.path(),
        "homelab.toml",
        &spec.replace("cores = 4", "cores = 5"),
    );
    let said = call(here.path(), &["build", "homelab.toml", "--only", "proxmox"]);
    assert_eq!(said.status, Some(0), "{}", said.err);
    for (name, contents) in tree(&here.path().join("generated")) {
        let before = built.iter().find(|(other, _)| *other == name);
        if !name.starts_with("pve1/proxmox/") && name != "pve1/manifest.json" {
            assert_eq!(before.map(|(_, text)| text), Some(&contents), "{name}");
        }
    }
}

#[test]
fn a_folder_that_cannot_be_written_is_told_in_one_line() {
    let here = folder();
    put(here.path(), "mini.toml", MINI);
    put(here.path(), "file", "");
    let said = call(here.path(), &["build", "mini.toml", "-o", "file"]);
    assert_eq!(said.status, Some(2), "{}", said.err);
    assert_eq!(said.err.lines().count(), 1, "{}", said.err);
}

/// The same spec gives the same bytes whoever builds, wherever.
#[test]
fn surroundings_change_no_byte() {
    let one = folder();
    let other = folder();
    let spec = include_str!("../examples/homelab.toml");
    put(one.path(), "homelab.toml", spec);
    put(other.path(), "deep/er/homelab.toml", spec);
    let said = call(one.path(), &["build", "homelab.toml"]);
    assert_eq!(said.status, Some(0), "{}", said.err);
    let status = moxc(other.path())
        .args(["build", "deep/er/homelab.toml", "-o", "other/folder", "-q"])
        .envs([
            ("TZ", "Pacific/Kiritimati"),
            ("LANG", "tr_TR.UTF-8"),
            ("LC_ALL", "ar_EG.UTF-8"),
            ("USER", "nobody"),
            ("HOME", "/nonexistent"),
            ("HOSTNAME", "elsewhere"),
            ("NO_COLOR", "1"),
            ("SOURCE_DATE_EPOCH", "1"),
        ])
        .status()
        .expect("the program starts");
    assert!(status.success());
    assert_eq!(
        tree(&one.path().join("generated")),
        tree(&other.path().join("other/folder"))
    );
}

// ---------------------------------------------------------------- several hosts

#[test]
fn two_hosts_of_one_name_are_an_error() {
    let here = folder();
    put(here.path(), "one.toml", MINI);
    put(here.path(), "two.toml", MINI);
    let said = call(
        here.path(),
        &["build", "one.toml", "two.toml", "--message-format", "short"],
    );
    assert_eq!(said.status, Some(1));
    assert!(
        said.err
            .contains("two.toml:6:12: error[MOX0103]: two hosts are called `mini`"),
        "{}",
        said.err
    );
    assert!(!here.path().join("generated").exists());
}

fn member(name: &str, vmid: u32, guest: &str, mac: &str, address: &str) -> String {
    format!(
        "[host]\nname = \"{name}\"\n\n[hardware.nics]\nlan0 = {{ interface = \"enp5s0\" }}\n\n\
         [network.bridges.vmbr0]\nports = [\"lan0\"]\naddress = \"{address}/24\"\n\n\
         [vms.{guest}]\nos = \"linux\"\nvmid = {vmid}\nmemory = \"2 GiB\"\nbackup = false\n\n\
         [[vms.{guest}.network]]\nbridge = \"vmbr0\"\nmac = \"{mac}\"\n"
    )
}

const FLEET: &str =
    "hosts = [\"hosts/*.toml\"]\n\n[defaults.host]\nrelease = \"9.1\"\ntimezone = \"UTC\"\n";

#[test]
fn a_fleet_shares_its_defaults_and_keeps_its_hosts_apart() {
    let here = folder();
    put(here.path(), "fleet.toml", FLEET);
    put(
        here.path(),
        "hosts/a.toml",
        &member("a", 100, "web", "BC:24:11:00:00:01", "192.168.1.1"),
    );
    put(
        here.path(),
        "hosts/b.toml",
        &member("b", 100, "db", "BC:24:11:00:00:02", "192.168.1.2"),
    );
    put(here.path(), "hosts/.hidden.toml", "not a host");
    put(here.path(), "hosts/notes.txt", "not a host");
    let said = call(here.path(), &["check", "fleet.toml"]);
    assert_eq!(said.status, Some(0), "{}", said.err);
    assert_eq!(
        said.out,
        "hosts/a.toml: no errors; `a` has 1 guest and 0 schedules\n\
         hosts/b.toml: no errors; `b` has 1 guest and 0 schedules\n"
    );
    // From elsewhere, paths are still relative to the fleet.
    let elsewhere = folder();
    let fleet = here.path().join("fleet.toml").display().to_string();
    assert_eq!(call(elsewhere.path(), &["check", &fleet]).status, Some(0));

    // A default that no host knows is told once, where it stands.
    put(here.path(), "fleet.toml", &format!("{FLEET}banana = 1\n"));
    let said = call(
        here.path(),
        &["check", "fleet.toml", "--message-format", "short"],
    );
    let told: Vec<&str> = said
        .err
        .lines()
        .filter(|line| line.contains("error["))
        .collect();
    assert_eq!(
        told,
        ["fleet.toml:6:1: error[MOX0002]: unknown key `banana`"]
    );
}

#[test]
fn one_host_of_a_fleet_is_built_alone_and_held_against_the_others() {
    let here = folder();
    put(here.path(), "fleet.toml", FLEET);
    let a = member("alpha", 100, "web", "BC:24:11:00:00:01", "192.168.1.1");
    let b = member("beta", 100, "db", "BC:24:11:00:00:02", "192.168.1.2");
    put(here.path(), "hosts/a.toml", &a);
    put(here.path(), "hosts/b.toml", &b);
    let build = |more: &[&str]| {
        let mut args = vec![
            "build",
            "fleet.toml",
            "-o",
            "out",
            "--message-format",
            "short",
        ];
        args.extend(more);
        call(here.path(), &args)
    };
    let all = build(&[]);
    assert_eq!(all.status, Some(0), "{}", all.err);
    let before = tree(&here.path().join("out"));

    // The other has changed as well, and stays; it has an error that is its own, which is not told.
    put(here.path(), "hosts/a.toml", &a.replace("web", "www"));
    put(here.path(), "hosts/b.toml", &format!("{b}banana = 1\n"));
    let one = build(&["--host", "alpha"]);
    assert_eq!(one.status, Some(0), "{}", one.err);
    let after = tree(&here.path().join("out"));
    let of = |tree: &[(String, Vec<u8>)], host: &str| -> Vec<(String, Vec<u8>)> {
        let own = |(path, _): &&(String, Vec<u8>)| path.starts_with(host);
        tree.iter().filter(own).cloned().collect()
    };
    assert_eq!(of(&before, "beta/"), of(&after, "beta/"));
    assert!(!of(&after, "beta/").is_empty());
    assert!(
        after.iter().any(|(path, _)| path == "alpha/restore/www.md"),
        "{}",
        one.out
    );

    // A whole build gives the host the same bytes.
    put(here.path(), "hosts/b.toml", &b);
    assert_eq!(build(&[]).status, Some(0));
    assert_eq!(
        of(&tree(&here.path().join("out")), "alpha/"),
        of(&after, "alpha/")
    );

    // What it has in common with another is told.
    put(
        here.path(),
        "hosts/a.toml",
        &a.replace("192.168.1.1", "192.168.1.2"),
    );
    let met = build(&["--host", "alpha"]);
    assert_eq!(met.status, Some(1));
    assert!(met.err.contains("MOX0105"), "{}", met.err);

    put(here.path(), "hosts/a.toml", &a);
    let none = build(&["--host", "alpa"]);
    assert_eq!(none.status, Some(2));
    assert!(
        none.err
            .contains("no host is called `alpa`: did you mean `alpha`?"),
        "{}",
        none.err
    );
}

#[test]
fn what_hosts_of_a_fleet_share_is_told_with_both_places() {
    let here = folder();
    put(here.path(), "fleet.toml", FLEET);
    let host = |name| member(name, 100, "web", "BC:24:11:00:00:01", "192.168.1.1");
    put(here.path(), "hosts/a.toml", &host("a"));
    put(here.path(), "hosts/b.toml", &host("b"));
    let codes = || -> Vec<String> {
        let said = call(
            here.path(),
            &["check", "fleet.toml", "--message-format", "json"],
        );
        said.err
            .lines()
            .map(|line| -> serde_json::Value { serde_json::from_str(line).expect("JSON") })
            .filter(|value| value["level"] == "error")
            .map(|value| {
                let files: Vec<&str> = value["spans"]
                    .as_array()
                    .expect("spans")
                    .iter()
                    .map(|span| span["file"].as_str().expect("a file"))
                    .collect();
                assert_eq!(files, ["hosts/b.toml", "hosts/a.toml"]);
                value["code"].as_str().expect("a code").to_owned()
            })
            .collect()
    };
    assert_eq!(codes(), ["MOX0105", "MOX0103", "MOX0104"]);
    put(
        here.path(),
        "fleet.toml",
        &format!("{FLEET}\n[cluster]\nname = \"home\"\n"),
    );
    assert_eq!(codes(), ["MOX0105", "MOX0103", "MOX0101", "MOX0104"]);
    put(here.path(), "hosts/b.toml", &host("a"));
    assert_eq!(codes()[0], "MOX0103");
}

/// What nodes of a cluster say alike of a backup is one job without a node, for the guests of all of them.
#[test]
fn a_job_that_nodes_say_alike_is_one() {
    const NODES: [(&str, &str); 3] = [("alpha", "files"), ("beta", "dns"), ("gamma", "monitor")];
    let here = folder();
    let examples = tests().join("../examples/cluster");
    let read = |path: &str| fs::read_to_string(examples.join(path)).expect("an example");
    let fleet = read("fleet.toml");
    let job = |guests: &str| {
        format!(
            "task = \"vzdump-backup\"\non = \"Sat 12:00\"\nguests = {guests}\nstorage = \"nas\"\nkeep = {{ last = 2 }}\n"
        )
    };
    let host = |node: &str, more: &str| {
        let path = format!("hosts/{node}.toml");
        put(here.path(), &path, &(read(&path) + more));
    };
    for (node, guest) in NODES {
        let list = job(&format!("[\"{guest}\"]"));
        host(node, &format!("\n[schedules.weekly]\n{list}"));
    }
    let own = format!(
        "{}\n[schedules.weekly]\n{}\n[schedules.own]\n{}unset = [\"node\"]\n",
        read("hosts/alpha.toml"),
        job("[\"files\"]"),
        job("[\"files\"]").replace("12:00", "15:00"),
    );
    put(here.path(), "hosts/alpha.toml", &own);
    let every = job("\"all\"").replace("12:00", "18:00");
    let defaults = format!("{fleet}\n[defaults.schedules.every]\n{every}");
    put(here.path(), "fleet.toml", &defaults);
    let said = call(here.path(), &["build", "fleet.toml", "-o", "out"]);
    assert_eq!(said.status, Some(0), "{}", said.err);
    assert!(!said.err.contains("MOX0714"), "{}", said.err);
    let said_of = |node: &str, job: &str, key: &str| {
        let path = here
            .path()
            .join(format!("out/{node}/proxmox/etc/pve/jobs.cfg"));
        let text = fs::read_to_string(path).expect("jobs");
        let (_, section) = text.split_once(&format!("vzdump: {job}\n")).expect("it");
        let lines = section.lines().map_while(|line| line.strip_prefix('\t'));
        let found = lines.filter_map(|line| line.split_once(' '));
        let mut found = found.filter(|(name, _)| *name == key);
        found.next().map(|(_, value)| value.to_owned())
    };
    for (node, _) in NODES {
        assert_eq!(
            said_of(node, "weekly", "vmid").as_deref(),
            Some("101,201,301")
        );
        assert_eq!(said_of(node, "weekly", "node"), None);
        assert_eq!(said_of(node, "every", "all").as_deref(), Some("1"));
        assert_eq!(said_of(node, "every", "node"), None);
        let alone = said_of(node, &format!("backup-{node}"), "node");
        assert_eq!(alone.as_deref(), Some(node));
    }
    assert_eq!(said_of("alpha", "own", "node"), None);
    // All guests of every node, and one of them knows nothing of it.
    put(here.path(), "fleet.toml", &fleet);
    for (node, _) in &NODES[..2] {
        host(node, &format!("\n[schedules.every]\n{every}"));
    }
    host(NODES[2].0, "");
    let said = call(here.path(), &["check", "fleet.toml"]);
    assert_eq!(said.status, Some(1), "{}", said.err);
    let told = "the backup job `every` would run on nodes whose specs do not say it";
    assert_eq!(said.err.matches(told).count(), 1, "{}", said.err);
    assert!(
        said.err.contains("said by 2 of the 3 hosts"),
        "{}",
        said.err
    );
}

// ---------------------------------------------------------------- explain

#[test]
fn explain_prints_the_page() {
    let here = folder();
    let page = fs::read_to_string(tests().join("../docs/errors/MOX0106.md")).expect("the page");
    for code in ["MOX0106", "mox0106"] {
        assert_eq!(call(here.path(), &["explain", code]).out, page);
    }
    let said = call(here.path(), &["explain", "--list"]);
    assert!(
        said.out.contains("MOX0106  error    unknown reference\n"),
        "{}",
        said.out
    );
    for (wrong, meant) in [
        ("106", "MOX0106"),
        ("E0106", "MOX0106"),
        ("MOX016", "MOX0016"),
    ] {
        let said = call(here.path(), &["explain", wrong]);
        assert_eq!(
            said.err,
            format!("moxc: no code `{wrong}`: did you mean `{meant}`?\n")
        );
    }
}
