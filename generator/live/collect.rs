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
        places.push_str(&format!("  /{pattern}\n"));
    }
    places.push_str("commands:\n");
    for answer in quoted("answers").lines() {
        let (name, command) = answer.split_once('|').unwrap_or((answer, ""));
        places.push_str(&format!("  {name}: {command}\n"));
    }
    places
}

#[cfg(test)]
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

    /// The function of the script that blanks is the reader's own, in awk.
    #[test]
    fn blanks_what_the_reader_blanks() {
        let start = SCRIPT.find("blank() {").expect("it is there");
        let end = start + SCRIPT[start..].find("\n}\n").expect("it ends") + 3;
        let script = format!("{}\nblank\n", &SCRIPT[start..end]);
        let lines = "cipassword: a b,c\n\twpa-psk x y\nname: token-ring\nnet0: a=b,token=xyz,c=d\n#API_TOKEN: z\n\
                     deb https://me:word@repo.example/x y\n#the password is safe\nExecStart=/bin/x --password abc d\n\
                     password:\nPrivateKey = abc=\nportal https://host.example:8007/x\n";
        let child = Command::new("sh")
            .args(["-c", &script])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn();
        let Ok(mut child) = child else {
            return;
        };
        let mut stdin = child.stdin.take().expect("it is piped");
        stdin.write_all(lines.as_bytes()).expect("sh reads it");
        drop(stdin);
        let output = child.wait_with_output().expect("sh ends");
        let blanked = crate::live::secrets::blank(lines).expect("there are secrets");
        assert_eq!(String::from_utf8_lossy(&output.stdout), blanked);
    }
}
