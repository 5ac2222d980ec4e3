//! What is never kept of a host.
//!
//! Whole files by their paths, and values inside a file by the names in front of them. The collector blanks the same
//! on the host, so that a secret does not even travel; here it is done again, since a copy may come from elsewhere.

use serde_json::Value;

/// What stands in the place of a secret.
pub const BLANK: &str = "<secret>";

/// Whether the file at `path` holds secrets and nothing else, so that it is never read.
pub fn is_secret_file(path: &str) -> bool {
    let mut parts = path.split('/').peekable();
    let mut before = "";
    while let Some(part) = parts.next() {
        let is_last = parts.peek().is_none();
        if part == "priv" && before == "pve" || part == "secrets" && before == "moxc" {
            return true;
        }
        let ends = |end: &str| {
            let part = part.strip_suffix('~').unwrap_or(part);
            part.len() >= end.len()
                && part
                    .get(part.len() - end.len()..)
                    .is_some_and(|tail| tail.eq_ignore_ascii_case(end))
        };
        if is_last
            && (ends(".key")
                || ends(".pw")
                || part.starts_with("shadow")
                || part.starts_with("gshadow")
                || part.starts_with("authkey"))
        {
            return true;
        }
        before = part;
    }
    false
}

/// The ends of names whose values are secret, in lower case.
const SECRET_NAMES: &[&str] = &[
    "password",
    "passwd",
    "passphrase",
    "wpa-psk",
    "wpa_psk",
    "privatekey",
    "private-key",
    "private_key",
    "presharedkey",
    "secret",
    "token",
];

/// The text without its secret values; none where it has none.
///
/// From a secret's name on, the line is blanked to its end: a password may hold any character.
pub fn blank(text: &str) -> Option<String> {
    let mut blanked = String::new();
    let mut kept = 0;
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        let content = line.trim_end_matches(['\n', '\r']);
        if let Some(from) = secret_in(content) {
            blanked.push_str(&text[kept..at + from]);
            blanked.push_str(BLANK);
            kept = at + content.len();
        }
        at += line.len();
    }
    if kept == 0 {
        return None;
    }
    blanked.push_str(&text[kept..]);
    Some(blanked)
}

/// The same for JSON, which it stays: a string is blanked as a text of its own, and what bears a secret's name whole.
///
/// Text that is no JSON after all is blanked as any other.
pub fn blank_json(text: &str) -> Option<String> {
    let Ok(mut value) = serde_json::from_str::<Value>(text) else {
        return blank(text);
    };
    blank_value(&mut value, false).then(|| value.to_string())
}

/// Blanks what is secret in a value; whether something was.
fn blank_value(value: &mut Value, has_secret_name: bool) -> bool {
    let blanked = match value {
        Value::String(text) if has_secret_name => {
            (!text.is_empty() && text != BLANK).then(|| BLANK.to_owned())
        }
        Value::String(text) => blank(text),
        Value::Number(_) if has_secret_name => Some(BLANK.to_owned()),
        Value::Array(values) => {
            let any = |some, value| blank_value(value, has_secret_name) || some;
            return values.iter_mut().fold(false, any);
        }
        Value::Object(members) => {
            let any = |some, (name, value): (&String, &mut Value)| {
                blank_value(value, is_secret_name(name)) || some
            };
            return members.iter_mut().fold(false, any);
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => None,
    };
    let Some(blanked) = blanked else {
        return false;
    };
    *value = Value::String(blanked);
    true
}

fn is_secret_name(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    SECRET_NAMES.iter().any(|secret| name.ends_with(secret))
}

/// Where a line's secret begins, if it has one that is not blanked already.
fn secret_in(line: &str) -> Option<usize> {
    let bytes = line.as_bytes();
    let is_name = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
    let mut at = 0;
    let mut found = None;
    while at < bytes.len() && found.is_none() {
        if !is_name(bytes[at]) {
            at += 1;
            continue;
        }
        let start = at;
        while at < bytes.len() && is_name(bytes[at]) {
            at += 1;
        }
        found = value_of(line, start, at);
    }
    let found = found.into_iter().chain(credentials(line)).min()?;
    (&line[found..] != BLANK && !line[found..].is_empty()).then_some(found)
}

/// Where the value of the name `line[start..end]` begins, if the name is a secret's.
fn value_of(line: &str, start: usize, end: usize) -> Option<usize> {
    let name = &line[start..end];
    if !is_secret_name(name) {
        return None;
    }
    let rest = &line[end..];
    let unquoted = rest.trim_start_matches(['"', '\'']);
    let behind = unquoted.trim_start_matches([' ', '\t']);
    let sign = behind.strip_prefix([':', '=']);
    let leads = line[..start]
        .trim_matches(|c: char| c.is_whitespace() || "#;\"'".contains(c))
        .is_empty();
    let is_flag = line[..start].ends_with('-') || name.starts_with("--");
    let value = match sign {
        Some(value) => value,
        // `wpa-psk word` in a stanza, `--password word` on a command line.
        None if (leads || is_flag) && behind.len() < unquoted.len() => behind,
        None => return None,
    };
    let value = value.trim_start_matches([' ', '\t']);
    (!value.is_empty()).then(|| line.len() - value.len())
}

/// Where the credentials of a URL begin, as in `https://user:word@host`.
fn credentials(line: &str) -> Option<usize> {
    line.match_indices("://").find_map(|(at, sign)| {
        let start = at + sign.len();
        let rest = &line[start..];
        let authority = &rest[..rest.find(['/', ' ', '"', '\'']).unwrap_or(rest.len())];
        let user = &authority[..authority.rfind('@')?];
        let colon = user.find(':')?;
        Some(start + colon + 1)
    })
}

/// Whether a value has a blanked secret in it.
pub fn is_blanked(value: &str) -> bool {
    value.contains(BLANK)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_the_files_that_are_never_read() {
        for path in [
            "etc/pve/priv",
            "etc/pve/priv/token.cfg",
            "pve/priv/storage/nas.pw",
            "etc/pve/nodes/pve/pve-ssl.key",
            "etc/pve/nodes/pve/priv.KEY",
            "etc/shadow",
            "etc/shadow-",
            "etc/pve/authkey.pub.old",
            "etc/moxc/secrets/backup",
        ] {
            assert!(is_secret_file(path), "{path}");
        }
        for path in [
            "etc/pve/storage.cfg",
            "etc/network/interfaces",
            "etc/pve/pve-root-ca.pem",
            "srv/priv/x",
        ] {
            assert!(!is_secret_file(path), "{path}");
        }
    }

    #[test]
    fn blanks_what_stands_behind_a_secrets_name() {
        for (line, blanked) in [
            ("cipassword: $5$abc,def", "cipassword: <secret>"),
            ("\twpa-psk hunter two", "\twpa-psk <secret>"),
            ("    password s3cr3t", "    password <secret>"),
            ("PrivateKey = abc=", "PrivateKey = <secret>"),
            ("net0: a=b,token=xyz,c=d", "net0: a=b,token=<secret>"),
            ("#API_TOKEN: xyz", "#API_TOKEN: <secret>"),
            (
                "ExecStart=/bin/x --password abc d",
                "ExecStart=/bin/x --password <secret>",
            ),
            (
                "lxc.environment: DB_PASSWORD=abc",
                "lxc.environment: DB_PASSWORD=<secret>",
            ),
            (
                "deb https://me:word@repo.example/debian x",
                "deb https://me:<secret>",
            ),
            ("{\"password\": \"abc\"}", "{\"password\": <secret>"),
        ] {
            assert_eq!(blank(line).as_deref(), Some(blanked), "{line}");
            assert_eq!(blank(blanked), None, "{blanked}");
        }
    }

    #[test]
    fn leaves_everything_else_as_it_is() {
        for text in [
            "memory: 4096\nname: token-ring\n",
            "#the password is in the safe\n",
            "mp0: /srv/password-store,mp=/x\n",
            "address 192.0.2.1/24\n",
            "portal https://host.example/token\n",
            "password:\n",
        ] {
            assert_eq!(blank(text), None, "{text}");
        }
    }

    #[test]
    fn json_stays_json() {
        for (text, blanked) in [
            (
                r#"{"token":"abc","a":"x: 1"}"#,
                r#"{"token":"<secret>","a":"x: 1"}"#,
            ),
            (
                r#"{"key":"token","a":[{"password":7}]}"#,
                r#"{"key":"token","a":[{"password":"<secret>"}]}"#,
            ),
            (
                r#"{"text":"a: \"b\"\ncipassword: x\"y\\z\nname: c\n"}"#,
                r#"{"text":"a: \"b\"\ncipassword: <secret>\nname: c\n"}"#,
            ),
            (
                r#"{"text":"iface wlan0\n\twpa-psk a b\n"}"#,
                r#"{"text":"iface wlan0\n\twpa-psk <secret>\n"}"#,
            ),
            (
                r#"{"tokens":["a"],"secret":["b",""]}"#,
                r#"{"tokens":["a"],"secret":["<secret>",""]}"#,
            ),
            ("password: x", "password: <secret>"),
        ] {
            assert_eq!(blank_json(text).as_deref(), Some(blanked), "{text}");
            assert_eq!(blank_json(blanked), None, "{blanked}");
        }
        assert_eq!(
            blank_json(r#"{"a": "b", "token": null, "password": ""}"#),
            None
        );
    }

    #[test]
    fn keeps_the_lines_around_a_secret() {
        let text = "a: 1\r\ncipassword: x\r\nb: 2\n";
        assert_eq!(
            blank(text).as_deref(),
            Some("a: 1\r\ncipassword: <secret>\r\nb: 2\n")
        );
    }
}
