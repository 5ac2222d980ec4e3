//! Strings with few rules: text for people, and names that outside programs define.

use std::fmt;

use super::{SpecString, ValueError, char_range, spec_string};
use crate::diagnostics::Code;

macro_rules! text {
    ($(#[$doc:meta])* $type:ident, $code:ident, $what:literal, $rule:path) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $type(String);

        impl $type {
            /// The text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl SpecString for $type {
            const CODE: Code = Code::$code;
            const WHAT: &'static str = $what;

            fn parse(text: &str) -> Result<Self, ValueError> {
                $rule(text).map(|()| Self(text.to_owned()))
            }
        }
        spec_string!($type, stringify!($type));
    };
}

pub(super) use text;

text!(
    /// Text of any length and any lines. Control characters but newline and tab are refused: XML and Nix cannot carry them all.
    Text,
    MOX0015,
    "text",
    any_text
);

/// The rule of [`Text`].
fn any_text(text: &str) -> Result<(), ValueError> {
    match text
        .char_indices()
        .find(|(_, c)| c.is_control() && !matches!(c, '\n' | '\t'))
    {
        None => Ok(()),
        Some((at, c)) => Err(ValueError::at(
            char_range(text, at),
            format!(
                "the text holds the control character `{}`",
                c.escape_debug()
            ),
        )
        .help("remove it")),
    }
}

text!(
    /// Text of one line.
    Line,
    MOX0015,
    "text of one line",
    line
);

/// The rule of [`Line`].
fn line(text: &str) -> Result<(), ValueError> {
    match text
        .char_indices()
        .find(|(_, c)| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}'))
    {
        None => Ok(()),
        Some((at, c)) => Err(ValueError::at(
            char_range(text, at),
            format!("`{}` in text of one line", c.escape_debug()),
        )
        .help("remove it")),
    }
}

text!(
    /// What a user of a machine is called: a field of a line of `/etc/passwd`, whose fields end with a colon (passwd(5)).
    FullName,
    MOX0015,
    "what somebody is called, as `\"Ada Lovelace\"`",
    full_name
);

/// The rule of [`FullName`].
fn full_name(text: &str) -> Result<(), ValueError> {
    match text
        .char_indices()
        .find(|(_, c)| c.is_control() || matches!(c, ':' | '\u{2028}' | '\u{2029}'))
    {
        None => Ok(()),
        Some((at, ':')) => Err(ValueError::at(
            char_range(text, at),
            "`:` in what a user is called",
        )
        .help("leave it out: it ends the field in `/etc/passwd`")),
        Some((at, c)) => Err(ValueError::at(
            char_range(text, at),
            format!("`{}` in text of one line", c.escape_debug()),
        )
        .help("remove it")),
    }
}

text!(
    /// An e-mail address.
    Email,
    MOX0021,
    "an e-mail address, as `\"admin@home.arpa\"`",
    email
);

/// The rule of [`Email`].
fn email(text: &str) -> Result<(), ValueError> {
    let wrong = || {
        ValueError::whole(
            text,
            format!("`{}` is not an e-mail address", text.escape_debug()),
        )
        .help("write `\"name@domain\"`")
    };
    let (local, domain) = text.rsplit_once('@').ok_or_else(wrong)?;
    let fits = |part: &str, extra: &str| {
        !part.is_empty()
            && part
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || extra.contains(c))
    };
    // The installer of Proxmox VE refuses its own example.
    if text == "mail@example.invalid" {
        return Err(wrong().help("the installer refuses this example address"));
    }
    // A mail program would take it for an option.
    if text.starts_with('-') {
        return Err(wrong().help("an address begins with a letter or a digit"));
    }
    if fits(local, "._%+-!#$&'*/=?^`{|}~") && fits(domain, ".-") && text.len() <= 254 {
        Ok(())
    } else {
        Err(wrong())
    }
}

text!(
    /// A public key as `authorized_keys` has it: type, base64, comment.
    SshKey,
    MOX0021,
    "a public SSH key, as `\"ssh-ed25519 AAAA… name\"`",
    ssh_key
);

/// The rule of [`SshKey`].
fn ssh_key(text: &str) -> Result<(), ValueError> {
    let wrong =
        |message: &str| ValueError::whole(text, message).help("give the line of a `.pub` file");
    if text.contains("PRIVATE KEY") {
        return Err(wrong("this is a private key").help(
            "give the line of the `.pub` file, and treat the private key as known to others",
        ));
    }
    if text.chars().any(char::is_control) {
        return Err(wrong("a key is one line"));
    }
    let mut parts = text.split(' ');
    let kind = parts.next().unwrap_or_default();
    let Some((_, begin)) = KEY_KINDS.iter().find(|(known, _)| *known == kind) else {
        let known: Vec<&str> = KEY_KINDS.iter().map(|(known, _)| *known).collect();
        return Err(
            ValueError::at(0..kind.len(), format!("`{kind}` is not a kind of SSH key"))
                .help(format!("one of {}", known.join(", "))),
        );
    };
    let blob = parts.next().unwrap_or_default();
    let base64 = blob.trim_end_matches('=');
    if base64.len() < 20
        || !base64
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/'))
    {
        return Err(ValueError::at(
            kind.len().min(text.len())..text.len(),
            "the key itself is missing or cut",
        )
        .help("give the whole line of a `.pub` file"));
    }
    if !begin
        .bytes()
        .zip(base64.bytes())
        .all(|(one, other)| one == other)
    {
        let at = kind.len() + 1;
        return Err(ValueError::at(
            at..at + blob.len(),
            format!("this is not a key of the kind `{kind}`: one begins with `{begin}`"),
        )
        .help("give the whole line of a `.pub` file"));
    }
    Ok(())
}

/// The kinds of SSH keys, each with what the base64 of its keys begins with: the length of its name and the name itself (RFC
/// 4253, 6.6). sshd passes a line over whose two kinds differ.
const KEY_KINDS: [(&str, &str); 7] = [
    ("ssh-ed25519", "AAAAC3NzaC1lZDI1NTE5"),
    ("ssh-rsa", "AAAAB3NzaC1yc2"),
    ("ecdsa-sha2-nistp256", "AAAAE2VjZHNhLXNoYTItbmlzdHAyNT"),
    ("ecdsa-sha2-nistp384", "AAAAE2VjZHNhLXNoYTItbmlzdHAzOD"),
    ("ecdsa-sha2-nistp521", "AAAAE2VjZHNhLXNoYTItbmlzdHA1Mj"),
    (
        "sk-ssh-ed25519@openssh.com",
        "AAAAGnNrLXNzaC1lZDI1NTE5QG9wZW5zc2guY29t",
    ),
    (
        "sk-ecdsa-sha2-nistp256@openssh.com",
        "AAAAInNrLWVjZHNhLXNoYTItbmlzdHAyNTZAb3BlbnNzaC5jb2",
    ),
];

impl SshKey {
    /// Whether it is the key of `moxc init`, which nobody has.
    pub fn is_example(&self) -> bool {
        let blob = self.as_str().split(' ').nth(1);
        blob.and_then(|blob| blob.strip_prefix("AAAAC3NzaC1lZDI1NTE5AAAAI"))
            .is_some_and(|key| !key.is_empty() && key.bytes().all(|byte| byte == b'I'))
    }
}

text!(
    /// A country by its ISO 3166 code, in lower case.
    CountryCode,
    MOX0021,
    "a country code of two letters, as `\"de\"`",
    country_code
);

/// The rule of [`CountryCode`].
fn country_code(text: &str) -> Result<(), ValueError> {
    if text.len() == 2 && text.bytes().all(|b| b.is_ascii_lowercase()) {
        Ok(())
    } else {
        Err(ValueError::whole(
            text,
            format!("`{}` is not a country code", text.escape_debug()),
        )
        .help("two lower-case letters: `\"de\"`, `\"us\"`"))
    }
}

/// The layouts that the installer of Proxmox VE knows (`keyboard` of its answer file).
const KEYBOARDS: [&str; 25] = [
    "de", "de-ch", "dk", "en-gb", "en-us", "es", "fi", "fr", "fr-be", "fr-ca", "fr-ch", "hu", "is",
    "it", "jp", "lt", "mk", "nl", "no", "pl", "pt", "pt-br", "se", "si", "tr",
];

text!(
    /// A keyboard layout of the installer.
    KeyboardLayout,
    MOX0005,
    "a keyboard layout, as `\"de\"` or `\"en-us\"`",
    keyboard_layout
);

/// The rule of [`KeyboardLayout`].
fn keyboard_layout(text: &str) -> Result<(), ValueError> {
    if KEYBOARDS.contains(&text) {
        return Ok(());
    }
    let help = crate::near::did_you_mean(text, KEYBOARDS.iter().copied(), "keyboard")
        .unwrap_or_else(|| format!("one of {}", KEYBOARDS.join(", ")));
    Err(ValueError::whole(
        text,
        format!("no keyboard layout `{}`", text.escape_debug()),
    )
    .help(help))
}

text!(
    /// A zone of the IANA database.
    TimeZoneName,
    MOX0019,
    "a time zone, as `\"Europe/Berlin\"`",
    time_zone_name
);

/// The rule of [`TimeZoneName`].
fn time_zone_name(text: &str) -> Result<(), ValueError> {
    // The database does not mind case; the files of the system do.
    let known = jiff::tz::db()
        .get(text)
        .is_ok_and(|zone| zone.iana_name() == Some(text));
    if known && (text.contains('/') || text == "UTC") {
        return Ok(());
    }
    let zones: Vec<String> = jiff::tz::db()
        .available()
        .map(|zone| zone.as_str().to_owned())
        .collect();
    let error = ValueError::whole(text, format!("no time zone `{}`", text.escape_debug()));
    // `Berlin` is what people write first.
    let mut cities = zones.iter().filter(|zone| {
        zone.rsplit('/')
            .next()
            .is_some_and(|city| city.eq_ignore_ascii_case(text))
    });
    let city = cities.next();
    let near = city
        .map(String::as_str)
        .or_else(|| crate::near::nearest(text, zones.iter().map(String::as_str)));
    let sure = match (city, cities.next()) {
        (Some(only), None) => Some(only.as_str()),
        (Some(_), Some(_)) => None,
        (None, _) => crate::near::certain(text, zones.iter().map(String::as_str)),
    };
    Err(match near {
        Some(zone) if sure == Some(zone) => {
            error.help(format!("did you mean `{zone}`?")).meant(zone)
        }
        Some(zone) => error.help(format!("did you mean `{zone}`?")),
        None => error.help("name a zone of the IANA database, as `Europe/Berlin`"),
    })
}

text!(
    /// A volume of Proxmox VE: `storage:kind/file`.
    VolumeId,
    MOX0021,
    "a volume, as `\"local:iso/debian.iso\"`",
    volume_id
);

/// The rule of [`VolumeId`].
fn volume_id(text: &str) -> Result<(), ValueError> {
    let wrong = || {
        ValueError::whole(text, format!("`{}` is not a volume", text.escape_debug())).help("write storage, kind and file: `\"local:iso/debian.iso\"`, `\"local:vztmpl/debian-12.tar.zst\"`")
    };
    let (storage, volume) = text.split_once(':').ok_or_else(wrong)?;
    if storage != "local" {
        super::StorageName::parse(storage).map_err(|_| wrong())?;
    }
    // It stands in property strings, where a comma would begin the next option.
    let fits = !volume.is_empty()
        && !volume.starts_with('/')
        && volume
            .split('/')
            .all(|part| !matches!(part, "" | "." | ".."))
        && volume.chars().all(|c| {
            c.is_ascii_graphic() && !matches!(c, ',' | ';' | '=' | '"' | '\'' | '\\' | '`' | '$')
        });
    if fits { Ok(()) } else { Err(wrong()) }
}

text!(
    /// The name of a volume inside its store: `vm-100-disk-1`, `100/vm-100-disk-0.qcow2`.
    VolumeName,
    MOX0021,
    "a volume's name, as `\"vm-100-disk-1\"` or `\"100/vm-100-disk-0.qcow2\"`",
    volume_name
);

/// The rule of [`VolumeName`].
fn volume_name(text: &str) -> Result<(), ValueError> {
    if let Some((store, name)) = text.split_once(':')
        && !store.contains('/')
        && !name.is_empty()
    {
        return Err(
            ValueError::at(0..store.len() + 1, "a volume is named without its store").help(
                format!("write `volume = \"{name}\"`, and the store beside it"),
            ),
        );
    }
    // It stands in property strings, where a comma would begin the next option.
    let fits = !text.is_empty()
        && !text.starts_with('/')
        && text.split('/').all(|part| !matches!(part, "" | "." | ".."))
        && text
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '/' | '+' | '@'));
    if fits {
        Ok(())
    } else {
        Err(ValueError::whole(
            text,
            format!("`{}` is not a volume's name", text.escape_debug()),
        )
        .help("`pvesm list STORE` shows them; write what comes after the `:`"))
    }
}

text!(
    /// The name of a secret: where the host finds it is said in the generated README.
    SecretName,
    MOX0012,
    "the name of a secret, as `\"nas-password\"`",
    secret_name
);

/// The rule of [`SecretName`].
fn secret_name(text: &str) -> Result<(), ValueError> {
    let fits = !text.is_empty()
        && text.len() <= 64
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
        && text.starts_with(|c: char| c.is_ascii_alphanumeric());
    if fits {
        Ok(())
    } else {
        Err(ValueError::whole(text, "this is not the name of a secret")
                .help("a spec never holds a secret: give its name (letters, digits, `-`, `_`, `.`); the host looks for it in a root-only file"))
    }
}

text!(
    /// A NixOS release: `25.11`.
    ReleaseTag,
    MOX0021,
    "a NixOS release, as `\"25.11\"`",
    release_tag
);

/// The rule of [`ReleaseTag`].
fn release_tag(text: &str) -> Result<(), ValueError> {
    let fits = text.split_once('.').is_some_and(|(year, month)| {
        year.len() == 2
            && year.bytes().all(|b| b.is_ascii_digit())
            && matches!(month, "03" | "05" | "09" | "11")
    });
    if fits {
        Ok(())
    } else {
        Err(ValueError::whole(
            text,
            format!("`{}` is not a NixOS release", text.escape_debug()),
        )
        .help("year and month, as `\"25.11\"`"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_user_is_called_stays_one_field_of_its_line() {
        assert!("Ada \"A\" Lovelace, ${x}".parse::<FullName>().is_ok());
        let error = "Ada: of London".parse::<FullName>().unwrap_err();
        assert_eq!(error.message, "`:` in what a user is called");
        assert_eq!(error.range, 3..4);
        assert!("Ada\nof London".parse::<FullName>().is_err());
    }

    #[test]
    fn zones_are_of_the_database_and_a_city_is_enough_for_a_hint() {
        assert!("Europe/Berlin".parse::<TimeZoneName>().is_ok());
        assert!("UTC".parse::<TimeZoneName>().is_ok());
        assert_eq!(
            "Berlin".parse::<TimeZoneName>().unwrap_err().help.unwrap(),
            "did you mean `Europe/Berlin`?"
        );
        assert_eq!(
            "Europe/Berlni"
                .parse::<TimeZoneName>()
                .unwrap_err()
                .help
                .unwrap(),
            "did you mean `Europe/Berlin`?"
        );
    }

    #[test]
    fn a_private_key_is_told_apart() {
        let error = "-----BEGIN OPENSSH PRIVATE KEY-----"
            .parse::<SshKey>()
            .unwrap_err();
        assert_eq!(error.message, "this is a private key");
        assert!(
            "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIII a b"
                .parse::<SshKey>()
                .is_ok()
        );
        assert!("ssh-ed25519".parse::<SshKey>().is_err());
        for (text, told) in [
            (
                "ssh-ed25519 BAAAC3NzaC1lZDI1NTE5AAAAIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIII",
                "this is not a key of the kind `ssh-ed25519`: one begins with `AAAAC3NzaC1lZDI1NTE5`",
            ),
            (
                "ssh-rsa AAAAC3NzaC1lZDI1NTE5AAAAIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIII",
                "this is not a key of the kind `ssh-rsa`: one begins with `AAAAB3NzaC1yc2`",
            ),
        ] {
            let error = text.parse::<SshKey>().unwrap_err();
            assert_eq!(error.message, told);
        }
        assert!("".parse::<SshKey>().is_err());
    }

    #[test]
    fn volumes_cannot_break_a_property_string() {
        assert!("local:iso/a b.iso".parse::<VolumeId>().is_err());
        assert!("local:iso/a,b.iso".parse::<VolumeId>().is_err());
        assert!("local:vztmpl/nixos-lxc.tar.xz".parse::<VolumeId>().is_ok());
        assert!("local:../x".parse::<VolumeId>().is_err());
        assert!("none".parse::<VolumeId>().is_err());
    }

    #[test]
    fn a_secret_is_a_name() {
        assert!("nas-password".parse::<SecretName>().is_ok());
        assert!("p@ss word!".parse::<SecretName>().is_err());
    }
}
