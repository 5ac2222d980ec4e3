//! The collector: a POSIX shell script that makes a copy of a running host.

/// The script. It only reads, needs nothing on the host but what Proxmox VE has, and writes one tar to standard output.
pub const SCRIPT: &str = include_str!("collect.sh");

/// What the script reads: the patterns of files and the commands, as it says them itself.
pub fn places() -> String {
    let quoted = |name: &str| {
        let start = SCRIPT
            .find(&format!("\n{name}='"))
            .map(|at| at + name.len() + 3);
        let text = start.map_or("", |start| &SCRIPT[start..]);
        text.split('\'').next().unwrap_or_default()
    };
    let mut places = "files:\n".to_owned();
    for pattern in quoted("files").split_whitespace() {
        places.extend(["  /", pattern, "\n"]);
    }
    places.push_str("commands:\n");
    for answer in quoted("answers").lines() {
        let (name, command) = answer.split_once('|').unwrap_or((answer, ""));
        places.extend(["  ", name, ": ", command, "\n"]);
    }
    places
}

#[cfg(test)]
#[expect(
    clippy::disallowed_methods,
    reason = "the collector reads a folder of the disk"
)]
mod tests {
    use std::io::Write as _;
    use std::process::{Command, Stdio};

    use super::*;
    use crate::live::places;

    #[test]
    fn reads_every_place() {
        for place in places::paths() {
            let place = place.trim_start_matches('/');
            let named = SCRIPT.contains(place) || place == ".moxc";
            assert!(named, "the collector does not read {place}");
        }
    }

    /// Runs the script on a folder in the place of `/`.
    fn run_below(root: &std::path::Path, shell: &[&str]) -> Option<Vec<u8>> {
        let below = format!("cd '{}' ||", root.display());
        let script = SCRIPT.replace("cd / ||", &below);
        let mut child = Command::new(shell[0])
            .args(&shell[1..])
            .arg("-s")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .ok()?;
        let mut stdin = child.stdin.take().expect("it is piped");
        stdin
            .write_all(script.as_bytes())
            .expect("the shell reads it");
        drop(stdin);
        let output = child.wait_with_output().expect("the shell ends");
        assert!(
            output.status.success(),
            "{shell:?} ended with {}",
            output.status
        );
        Some(output.stdout)
    }

    #[test]
    fn copies_a_host_without_its_secrets() {
        const MARK: &str = "hunter2-never-seen";
        let root = tempfile::tempdir().expect("a folder");
        let write = |path: &str, text: &str| {
            let path = root.path().join(path);
            std::fs::create_dir_all(path.parent().expect("it lies in a folder")).expect("a folder");
            std::fs::write(path, text).expect("a file");
        };
        write("etc/hostname", "pve1\n");
        write(
            "etc/pve/nodes/pve1/qemu-server/100.conf",
            &format!("memory: 512\ncipassword: {MARK}\n"),
        );
        write(
            "etc/pve/storage.cfg",
            &format!("cifs: nas\n\tserver nas\n\tshare x\n\tpassword {MARK}\n"),
        );
        write(
            "etc/network/interfaces",
            &format!("iface w inet dhcp\n\twpa-psk {MARK}\n"),
        );
        write(
            "etc/systemd/network/wg.netdev",
            &format!("[WireGuard]\nPrivateKey={MARK}\n"),
        );
        write(
            "etc/apt/sources.list",
            &format!("deb https://me:{MARK}@repo.example/x y\n"),
        );
        write(
            "etc/pve/status.cfg",
            &format!("influxdb: x\n\ttoken {MARK}\n"),
        );
        for secret in [
            "etc/pve/priv/token.cfg",
            "etc/pve/priv/storage/nas.pw",
            "etc/pve/nodes/pve1/pve-ssl.key",
            "etc/pve/authkey.pub",
            "etc/shadow",
            "etc/moxc/secrets/nas",
            "usr/local/sbin/theirs",
        ] {
            write(secret, MARK);
        }
        let shells: [&[&str]; 3] = [&["sh"], &["dash"], &["busybox", "sh"]];
        for shell in shells {
            let Some(tar) = run_below(root.path(), shell) else {
                continue;
            };
            assert!(!String::from_utf8_lossy(&tar).contains(MARK), "{shell:?}");
            let host = crate::live::read_file(&mut std::io::Cursor::new(&tar)).expect("a host");
            assert_eq!(host.node, crate::live::Item::Present("pve1".to_owned()));
            let guest = &host.own().expect("its node").guests[&100];
            assert_eq!(guest.config.get("memory"), Some("512"));
            // The digest is the host's own, not that of the copy.
            let own = std::fs::read(root.path().join("etc/pve/nodes/pve1/qemu-server/100.conf"));
            let own = <sha1::Sha1 as sha1::Digest>::digest(own.expect("it is there"));
            assert_eq!(guest.file.digest, format!("{own:x}"), "{shell:?}");
            assert!(host.jobs.is_absent(), "{shell:?}");
            assert!(host.boot.modules.is_absent(), "{shell:?}");
            assert!(!format!("{host:?}").contains(MARK));
        }
    }

    /// The function of the script that blanks is the reader's own, in awk.
    #[test]
    fn blanks_what_the_reader_blanks() {
        let start = SCRIPT.find("blank() {").expect("it is there");
        let end = start + SCRIPT[start..].find("\n}\n").expect("it ends") + 3;
        let lines = "cipassword: a b,c\n\twpa-psk x y\nname: token-ring\nnet0: a=b,token=xyz,c=d\n#API_TOKEN: z\n\
                     deb https://me:word@repo.example/x y\n#the password is safe\nExecStart=/bin/x --password abc d\n\
                     password:\nPrivateKey = abc=\nportal https://host.example:8007/x\n";
        let json = serde_json::json!({"files": {
            "etc/pve/lxc/100.conf": {"text": "a: \"b\"\ncipassword: x\"y\\z\nname: c\n"},
            "etc/network/interfaces": {"text": "iface wlan0\n\twpa-psk a b\n"},
            "key": "token", "password": 7, "secret": ["a", "", "b"], "token": null,
        }})
        .to_string();
        let blanked = crate::live::secrets::blank(lines).expect("there are secrets");
        let blanked_json = crate::live::secrets::blank_json(&json).expect("there are secrets");
        for (kind, text, blanked) in [("conf", lines, blanked), ("json", &json, blanked_json)] {
            let script = format!("{}\nblank {kind}\n", &SCRIPT[start..end]);
            let child = Command::new("sh")
                .args(["-c", &script])
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .spawn();
            let Ok(mut child) = child else {
                return;
            };
            let mut stdin = child.stdin.take().expect("it is piped");
            stdin.write_all(text.as_bytes()).expect("sh reads it");
            drop(stdin);
            let output = child.wait_with_output().expect("sh ends");
            let printed = String::from_utf8_lossy(&output.stdout);
            assert_eq!(
                printed.trim_end().replace(": \"<", ":\"<"),
                blanked.trim_end().replace(": \"<", ":\"<")
            );
        }
    }
}
