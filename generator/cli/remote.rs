//! A host by the system's own `ssh`: its configuration, its keys, its known hosts.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::process::{Command, Stdio};
use std::thread;

use super::Failure;
use super::input::{LARGEST_COPY, bounded};
use crate::live::collect;

/// The longest line that a host's script has to say.
const LONGEST_LINE: u64 = 1 << 20;

/// `ssh://root@HOST:PORT`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Remote {
    user: Option<String>,
    host: String,
    port: Option<u16>,
}

impl Remote {
    /// Reads the address of a host; none where `text` is none.
    pub(super) fn parse(text: &str) -> Result<Option<Self>, Failure> {
        let Some(rest) = text.strip_prefix("ssh://") else {
            return Ok(None);
        };
        let wrong =
            |why: &str| Failure::new(format!("`{text}` is not an address of a host: {why}"));
        let rest = rest.trim_end_matches('/');
        let (user, place) = match rest.rsplit_once('@') {
            Some((user, place)) => (Some(user), place),
            None => (None, rest),
        };
        let (host, port) = match place.strip_prefix('[') {
            Some(inside) => {
                let (host, behind) = inside
                    .split_once(']')
                    .ok_or_else(|| wrong("the bracket is not closed"))?;
                (host, behind.strip_prefix(':'))
            }
            None => match place.rsplit_once(':') {
                Some((host, port)) => (host, Some(port)),
                None => (place, None),
            },
        };
        let port = match port {
            Some(port) => Some(
                port.parse()
                    .map_err(|_| wrong("the port is not a number"))?,
            ),
            None => None,
        };
        // What begins with `-` would be an option of ssh.
        let is_word = |word: &str| {
            !word.is_empty()
                && !word.starts_with('-')
                && word.bytes().all(|b| {
                    b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_' | b':' | b'%')
                })
        };
        if !is_word(host) {
            return Err(wrong("write `ssh://root@HOST`"));
        }
        if user.is_some_and(|user| !is_word(user)) {
            return Err(wrong("the user is not a name"));
        }
        Ok(Some(Self {
            user: user.map(str::to_owned),
            host: host.to_owned(),
            port,
        }))
    }

    /// The host's name, as it was given.
    pub(super) fn host(&self) -> &str {
        &self.host
    }

    /// Runs the collector on the host, in one session: the tar that it writes.
    pub(super) fn collect(&self) -> Result<Vec<u8>, Failure> {
        self.run("sh -s", collect::SCRIPT)
    }

    /// What the collector would read.
    pub(super) fn list(&self) -> Result<Vec<u8>, Failure> {
        self.run("sh -s -- --list", collect::SCRIPT)
    }

    /// Runs a script on the host, and hands over what it says line by line; its exit status, none where a signal ended
    /// it. ssh itself has 255.
    pub(super) fn stream(
        &self,
        command: &str,
        input: &str,
        mut tell: impl FnMut(&str),
    ) -> Result<Option<i32>, Failure> {
        let failed = |why: String| Failure::new(format!("cannot ask `{}`: {why}", self.host));
        let mut child = self
            .ssh(command)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| failed(format!("`ssh` does not start: {error}")))?;
        let mut stdin = child.stdin.take().expect("it is piped");
        let input = input.to_owned();
        let writer = thread::spawn(move || stdin.write_all(input.as_bytes()));
        let mut lines = BufReader::new(child.stdout.take().expect("it is piped"));
        let mut line = Vec::new();
        loop {
            line.clear();
            let read = (&mut lines).take(LONGEST_LINE).read_until(b'\n', &mut line);
            match read {
                Ok(0) | Err(_) => break,
                Ok(_) => tell(String::from_utf8_lossy(&line).trim_end_matches('\n')),
            }
        }
        let status = child.wait().map_err(|error| failed(error.to_string()))?;
        // A host that ended before it had read everything says so by its status.
        let _ = writer.join();
        Ok(status.code())
    }

    /// Runs a command that reads a file; its exit status, none where a signal ended it.
    pub(super) fn send(&self, command: &str, file: File) -> Result<Option<i32>, Failure> {
        let failed = |why: String| Failure::new(format!("cannot ask `{}`: {why}", self.host));
        let mut child = self
            .ssh(command)
            .stdin(Stdio::from(file))
            .stdout(Stdio::null())
            .spawn()
            .map_err(|error| failed(format!("`ssh` does not start: {error}")))?;
        let status = child.wait().map_err(|error| failed(error.to_string()))?;
        Ok(status.code())
    }

    fn ssh(&self, command: &str) -> Command {
        let mut ssh = Command::new("ssh");
        ssh.args(["-T", "-o", "BatchMode=yes", "-o", "ConnectTimeout=15"]);
        if let Some(port) = self.port {
            ssh.args(["-p", &port.to_string()]);
        }
        if let Some(user) = &self.user {
            ssh.args(["-l", user]);
        }
        ssh.args(["--", &self.host, command]);
        ssh
    }

    fn run(&self, command: &str, input: &str) -> Result<Vec<u8>, Failure> {
        let failed = |why: String| Failure::new(format!("cannot ask `{}`: {why}", self.host));
        let mut ssh = self.ssh(command);
        let mut child = ssh
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| failed(format!("`ssh` does not start: {error}")))?;
        let mut stdin = child.stdin.take().expect("it is piped");
        let input = input.to_owned();
        // The host may answer before it has read everything.
        let writer = thread::spawn(move || stdin.write_all(input.as_bytes()));
        let stdout = child.stdout.take().expect("it is piped");
        let read = bounded(stdout, 0, LARGEST_COPY);
        if read.is_err() {
            let _ = child.kill();
        }
        let status = child.wait().map_err(|error| failed(error.to_string()))?;
        let _ = writer.join();
        let bytes = read.map_err(|error| failed(error.to_string()))?;
        if !status.success() {
            // ssh itself has told why.
            return Err(failed(format!("`ssh` ended with {status}")));
        }
        Ok(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_addresses() {
        let of = |text| Remote::parse(text).map_err(|failure| failure.0);
        assert_eq!(of("host.tar"), Ok(None));
        let remote = of("ssh://root@pve1.example:2222")
            .expect("an address")
            .expect("of a host");
        assert_eq!(
            (remote.user.as_deref(), remote.host(), remote.port),
            (Some("root"), "pve1.example", Some(2222))
        );
        let remote = of("ssh://[fd00::1]")
            .expect("an address")
            .expect("of a host");
        assert_eq!(
            (remote.user, remote.host.as_str(), remote.port),
            (None, "fd00::1", None)
        );
        for wrong in [
            "ssh://",
            "ssh://-oProxyCommand=x",
            "ssh://-x@host",
            "ssh://a b",
            "ssh://a:x",
        ] {
            assert!(of(wrong).is_err(), "{wrong}");
        }
    }
}
