//! Names, each kind with the rules of whoever reads it in the end.

use super::{AbsolutePath, SpecString, ValueError, char_range, shown, spec_string};
use crate::diagnostics::Code;

/// Declares a string type whose rule is a function.
macro_rules! name {
    ($(#[$doc:meta])* $type:ident, $what:literal, $pattern:literal, $rule:path) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $type(String);

        impl $type {
            /// The name.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl std::fmt::Display for $type {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl SpecString for $type {
            const CODE: Code = Code::MOX0012;
            const WHAT: &'static str = $what;

            fn parse(text: &str) -> Result<Self, ValueError> {
                $rule(text).map(|()| Self(text.to_owned()))
            }

            fn pattern() -> Option<&'static str> {
                Some($pattern)
            }
        }
        spec_string!($type, stringify!($type));
    };
}

name!(
    /// The key of a table whose rows are only known to the spec and to file names.
    Name,
    "a name of letters, digits, `-`, `_` and `.`, as `\"nightly-backup\"`",
    "^[A-Za-z0-9][A-Za-z0-9_.-]{0,62}$",
    name
);

/// The rule of [`Name`].
fn name(text: &str) -> Result<(), ValueError> {
    plain(text, "a name", 63)
}

name!(
    /// The name of a host: a DNS label, and not only digits, which the installer of Proxmox VE refuses.
    HostName,
    "a host name, as `\"pve1\"`",
    "^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$",
    host_name
);

/// The rule of [`HostName`].
fn host_name(text: &str) -> Result<(), ValueError> {
    label(text, "a host name").map_err(|error| {
        // DNS does not mind case, and nothing in a spec refers to the name.
        let lower = text.to_ascii_lowercase();
        if label(&lower, "a host name").is_ok() {
            error.meant(lower)
        } else {
            error
        }
    })?;
    if text.bytes().all(|b| b.is_ascii_digit()) {
        return Err(ValueError::whole(text, "a host name of digits alone")
            .help("the installer of Proxmox VE refuses it: add a letter"));
    }
    Ok(())
}

name!(
    /// The name of a guest: a DNS label.
    GuestName,
    "a guest's name, as `\"web-1\"`",
    "^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$",
    guest_name
);

/// The rule of [`GuestName`].
fn guest_name(text: &str) -> Result<(), ValueError> {
    label(text, "a guest's name")
}

name!(
    /// A DNS domain or a full host name.
    DnsName,
    "a DNS name, as `\"home.arpa\"`",
    "^[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?$",
    dns_name
);

/// The rule of [`DnsName`].
fn dns_name(text: &str) -> Result<(), ValueError> {
    if text.len() > 253 {
        return Err(ValueError::whole(
            text,
            "a DNS name has at most 253 characters",
        ));
    }
    let mut at = 0;
    for part in text.split('.') {
        label(&part.to_ascii_lowercase(), "a label of a DNS name").map_err(|error| ValueError {
            range: at + error.range.start..at + error.range.end,
            ..error
        })?;
        at += part.len() + 1;
    }
    Ok(())
}

name!(
    /// A bridge or a bond: what Proxmox VE takes as the name of an interface (`pve-iface`) and the kernel, 15 bytes.
    BridgeName,
    "an interface name of letters, digits and `_`, as `\"vmbr0\"`",
    "^[A-Za-z][A-Za-z0-9_]{1,14}$",
    bridge_name
);

/// The rule of [`BridgeName`].
fn bridge_name(text: &str) -> Result<(), ValueError> {
    // PVE::JSONSchema, `pve_verify_iface`: capital letters pass, too.
    if let Some((at, c)) = text
        .char_indices()
        .find(|(_, c)| !matches!(c, 'a'..='z' | 'A'..='Z' | '0'..='9' | '_'))
    {
        return Err(ValueError::at(
            char_range(text, at),
            format!("an interface's name has no {}", shown(c)),
        )
        .help("Proxmox VE takes letters, digits and `_`: `vmbr0`, `br_lan`"));
    }
    if !text.starts_with(|c: char| c.is_ascii_alphabetic()) {
        return Err(ValueError::whole(
            text,
            "an interface's name starts with a letter",
        ));
    }
    if !(2..=15).contains(&text.len()) {
        return Err(ValueError::whole(
            text,
            format!(
                "an interface's name has 2 to 15 characters, not {}",
                text.len()
            ),
        ));
    }
    // `sysctl_dev_name_is_allowed` of the kernel: settings of all interfaces are called so.
    if matches!(text, "lo" | "all" | "default") {
        return Err(
            ValueError::whole(text, format!("`{text}` is the kernel's own"))
                .help("take another name: `vmbr0`, `bond0`"),
        );
    }
    Ok(())
}

name!(
    /// The kernel's name of a network card.
    InterfaceName,
    "the kernel's name of a network card, as `\"enp5s0\"`",
    "^[A-Za-z][A-Za-z0-9_]{1,14}$",
    interface_name
);

/// The rule of [`InterfaceName`].
fn interface_name(text: &str) -> Result<(), ValueError> {
    let fits = (2..=15).contains(&text.len())
        && text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    if fits {
        Ok(())
    } else {
        Err(ValueError::whole(
            text,
            format!("`{}` is not an interface's name", text.escape_debug()),
        )
        .help("2 to 15 letters, digits and `_`, as `ip link` shows it: `enp5s0`"))
    }
}

name!(
    /// A user of a NixOS guest. NixOS refuses a longer name (`users-groups.nix`), and a second word on what kind of user one
    /// of its own is.
    AccountName,
    "a user's name, as `\"alice\"`",
    "^[A-Za-z0-9][A-Za-z0-9_.-]{0,30}$",
    account_name
);

/// The rule of [`AccountName`].
fn account_name(text: &str) -> Result<(), ValueError> {
    plain(text, "a user's name", 31)?;
    let help = match text {
        "root" => "root is there on every machine: its keys are the `ssh-keys` of `[host]`",
        _ if is_account_of_nixos(text) => "take another name",
        _ => return Ok(()),
    };
    Err(ValueError::whole(text, format!("`{text}` is an account of NixOS's own")).help(help))
}

/// Whether every NixOS has the account by itself: those of its builds, of systemd, of D-Bus and of SSH.
fn is_account_of_nixos(name: &str) -> bool {
    let of_builds = name
        .strip_prefix("nixbld")
        .is_some_and(|rest| !rest.is_empty() && rest.bytes().all(|b| b.is_ascii_digit()));
    of_builds
        || name.starts_with("systemd-")
        || matches!(name, "messagebus" | "nobody" | "nscd" | "root" | "sshd")
}

name!(
    /// A module of the kernel.
    ModuleName,
    "a kernel module, as `\"nct6775\"`",
    "^[A-Za-z0-9][A-Za-z0-9_-]{0,62}$",
    module_name
);

/// The rule of [`ModuleName`].
fn module_name(text: &str) -> Result<(), ValueError> {
    let fits = (1..=63).contains(&text.len())
        && text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-'));
    if fits {
        Ok(())
    } else {
        Err(ValueError::whole(
            text,
            format!("`{}` is not a kernel module", text.escape_debug()),
        )
        .help("`lsmod` lists the modules that are loaded: letters, digits, `_` and `-`"))
    }
}

name!(
    /// A parameter of the kernel's command line, in the characters that every boot loader passes on as they are.
    KernelParameter,
    "a parameter of the kernel, as `\"pcie_acs_override=downstream\"`",
    "^[!#%&()*+,./0-9:;<=>?@A-Z\\[\\]^_a-z{|}~-]+$",
    kernel_parameter
);

/// The rule of [`KernelParameter`].
fn kernel_parameter(text: &str) -> Result<(), ValueError> {
    if text.is_empty() {
        return Err(
            ValueError::whole(text, "a parameter of the kernel is empty").help("remove it"),
        );
    }
    let odd = |c: char| !c.is_ascii_graphic() || matches!(c, '"' | '\'' | '\\' | '$' | '`');
    let Some((at, c)) = text.char_indices().find(|(_, c)| odd(*c)) else {
        return Ok(());
    };
    let error = ValueError::at(
        char_range(text, at),
        format!("a parameter of the kernel has no {}", shown(c)),
    );
    Err(if c == ' ' {
        error.help("each parameter is an entry of the list of its own")
    } else {
        error.help("boot loaders read the command line in their own ways: quotes, `$` and `\\` do not pass all of them")
    })
}

name!(
    /// A file of the host whose text is kept, below its root.
    KeptPath,
    "a file of the host, as `\"etc/vzdump.conf\"`",
    "^etc/[A-Za-z0-9_.@+:/-]+$",
    kept_path
);

/// The rule of [`KeptPath`].
fn kept_path(text: &str) -> Result<(), ValueError> {
    let plain = text
        .bytes()
        .all(|b| b.is_ascii_alphanumeric() || b"_.@+:/-".contains(&b));
    let parts = text.split('/').all(|part| !matches!(part, "" | "." | ".."));
    if plain && parts && text.starts_with("etc/") && text.len() <= 200 {
        Ok(())
    } else {
        Err(ValueError::whole(
            text,
            format!("`{}` is not a file that is kept", text.escape_debug()),
        )
        .help("write its path without the first `/`, below `etc`: `[keep.\"etc/vzdump.conf\"]`"))
    }
}

name!(
    /// A ZFS pool, by the rules of `zpool create`.
    PoolName,
    "a ZFS pool's name, as `\"rpool\"`",
    "^[A-Za-z][A-Za-z0-9_.:-]*$",
    pool_name
);

/// The rule of [`PoolName`].
fn pool_name(text: &str) -> Result<(), ValueError> {
    plain(text, "a pool's name", 63)?;
    if !text.starts_with(|c: char| c.is_ascii_alphabetic()) {
        return Err(ValueError::whole(
            text,
            "a pool's name starts with a letter",
        ));
    }
    // Reserved by zpool: the words that open a vdev in `zpool create`.
    for word in ["mirror", "raidz", "draid", "spare"] {
        if text.starts_with(word) {
            return Err(ValueError::at(
                0..word.len(),
                format!("a pool's name does not start with `{word}`"),
            )
            .help("zpool takes the word for a kind of vdev"));
        }
    }
    if text == "log" {
        return Err(ValueError::whole(text, "`log` is not a pool's name")
            .help("zpool takes the word for a kind of vdev"));
    }
    // ZFS mounts a pool at its name.
    if format!("/{text}")
        .parse::<AbsolutePath>()
        .is_ok_and(|path| path.hides_the_system())
    {
        return Err(ValueError::whole(
            text,
            format!("a pool `{text}` would be mounted over `/{text}`, which belongs to the system"),
        )
        .help("give the pool a name of its own, as `tank`"));
    }
    Ok(())
}

name!(
    /// The name of a dataset below its pool: components with `/` between.
    DatasetPath,
    "a dataset's name below its pool, as `\"vm-disks\"` or `\"data/media\"`",
    "^[A-Za-z0-9][A-Za-z0-9_.:/-]*$",
    dataset_path
);

/// The rule of [`DatasetPath`].
fn dataset_path(text: &str) -> Result<(), ValueError> {
    if text.starts_with('/') || text.ends_with('/') {
        return Err(ValueError::whole(
            text,
            format!(
                "`{}` is not a dataset's name below its pool",
                text.escape_debug()
            ),
        )
        .help("leave out the `/` at its start and end"));
    }
    let mut at = 0;
    for part in text.split('/') {
        plain(part, "a dataset's name", 200).map_err(|error| ValueError {
            range: at + error.range.start..at + error.range.end,
            ..error
        })?;
        at += part.len() + 1;
    }
    if text.len() > 200 {
        return Err(ValueError::whole(
            text,
            "a dataset's name has at most 200 characters",
        ));
    }
    Ok(())
}

name!(
    /// A storage of Proxmox VE (`pve-storage-id`): a letter first, a letter or digit last.
    StorageName,
    "a storage's name, as `\"vm-disks\"`",
    "^[A-Za-z][A-Za-z0-9._-]*[A-Za-z0-9]$",
    storage_name
);

/// The rule of [`StorageName`].
fn storage_name(text: &str) -> Result<(), ValueError> {
    plain(text, "a storage's name", 100)?;
    let fits = text.len() >= 2
        && text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.ends_with(|c: char| c.is_ascii_alphanumeric());
    if !fits {
        return Err(
            ValueError::whole(text, format!("`{text}` is not a storage's name")).help(
                "Proxmox VE wants at least two characters, a letter first, a letter or digit last",
            ),
        );
    }
    // Proxmox VE brings these two itself; a second definition would fight with it.
    if text == "local" {
        return Err(
            ValueError::whole(text, "`local` is Proxmox VE's own storage")
                .help("give the dataset another name"),
        );
    }
    Ok(())
}

name!(
    /// A tag of a guest.
    Tag,
    "a tag, as `\"web\"`",
    "^[A-Za-z0-9_][A-Za-z0-9_+.-]*$",
    tag
);

/// The rule of [`Tag`].
fn tag(text: &str) -> Result<(), ValueError> {
    let mut chars = text.char_indices();
    let first = chars
        .next()
        .is_some_and(|(_, c)| c.is_ascii_alphanumeric() || c == '_');
    if !first {
        return Err(
            ValueError::whole(text, format!("`{}` is not a tag", text.escape_debug()))
                .help("a tag starts with a letter, a digit or `_`"),
        );
    }
    match chars.find(|(_, c)| !(c.is_ascii_alphanumeric() || matches!(c, '_' | '+' | '.' | '-'))) {
        None => Ok(()),
        Some((at, c)) => Err(ValueError::at(
            char_range(text, at),
            format!("a tag has no {}", shown(c)),
        )
        .help("letters, digits, `_`, `+`, `.` and `-`")),
    }
}

/// Letters, digits, `-`, `_`, `.`; a letter or digit first.
fn plain(text: &str, what: &str, most: usize) -> Result<(), ValueError> {
    if text.is_empty() {
        return Err(ValueError::whole(text, format!("{what} is empty")));
    }
    if let Some((at, c)) = text
        .char_indices()
        .find(|(_, c)| !(c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.')))
    {
        return Err(
            ValueError::at(char_range(text, at), format!("{what} has no {}", shown(c)))
                .help("letters, digits, `-`, `_` and `.`"),
        );
    }
    if !text.starts_with(|c: char| c.is_ascii_alphanumeric()) {
        return Err(ValueError::at(
            0..1,
            format!("{what} starts with a letter or a digit"),
        ));
    }
    if text.len() > most {
        return Err(ValueError::whole(
            text,
            format!("{what} has at most {most} characters, not {}", text.len()),
        ));
    }
    Ok(())
}

/// A DNS label in lower case (RFC 1035, with digits first as RFC 1123 allows).
fn label(text: &str, what: &str) -> Result<(), ValueError> {
    if text.is_empty() {
        return Err(ValueError::whole(text, format!("{what} is empty")));
    }
    if let Some((at, c)) = text
        .char_indices()
        .find(|(_, c)| !matches!(c, 'a'..='z' | '0'..='9' | '-'))
    {
        let error = ValueError::at(char_range(text, at), format!("{what} has no {}", shown(c)));
        let mended: String = text
            .chars()
            .map(|c| c.to_ascii_lowercase())
            .map(|c| {
                if matches!(c, 'a'..='z' | '0'..='9') {
                    c
                } else {
                    '-'
                }
            })
            .collect();
        let mended = mended.trim_matches('-');
        return Err(if mended.is_empty() {
            error.help("lower-case letters, digits and `-`")
        } else {
            error.help(format!(
                "it becomes a DNS name: lower-case letters, digits and `-`, as `{mended}`"
            ))
        });
    }
    if text.starts_with('-') || text.ends_with('-') {
        return Err(ValueError::whole(
            text,
            format!("{what} starts and ends with a letter or a digit"),
        ));
    }
    if text.len() > 63 {
        return Err(ValueError::whole(
            text,
            format!("{what} has at most 63 characters, not {}", text.len()),
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn guest_names_are_dns_labels() {
        for good in ["a", "web-1", "0", &"a".repeat(63)] {
            assert!(good.parse::<GuestName>().is_ok(), "{good}");
        }
        for bad in ["", "-a", "a-", "Web", "a_b", "a.b", "ä", &"a".repeat(64)] {
            assert!(bad.parse::<GuestName>().is_err(), "{bad}");
        }
        let error = "My_Web".parse::<GuestName>().unwrap_err();
        assert_eq!(error.range, 0..1);
        assert!(error.help.unwrap().ends_with("`my-web`"));
    }

    #[test]
    fn users_are_none_that_nixos_has_by_itself() {
        for good in [
            "alice",
            "a.b",
            "Ada",
            "nixbuilder",
            "nixbld",
            &"a".repeat(31),
        ] {
            assert!(good.parse::<AccountName>().is_ok(), "{good}");
        }
        for bad in [
            "",
            "a:b",
            "_x",
            "nobody",
            "sshd",
            "nixbld1",
            "systemd-network",
            &"a".repeat(32),
        ] {
            assert!(bad.parse::<AccountName>().is_err(), "{bad}");
        }
        let error = "root".parse::<AccountName>().unwrap_err();
        assert!(error.help.unwrap().contains("`ssh-keys`"));
    }

    #[test]
    fn host_names_are_not_numbers() {
        assert!("123".parse::<HostName>().is_err());
        assert!("pve1".parse::<HostName>().is_ok());
    }

    #[test]
    fn bridge_names_are_what_proxmox_takes() {
        for good in ["vmbr0", "br_lan", "bond0", "ab"] {
            assert!(good.parse::<BridgeName>().is_ok(), "{good}");
        }
        for bad in ["br-lan", "0br", "a", "abcdefghijklmnop", ""] {
            assert!(bad.parse::<BridgeName>().is_err(), "{bad}");
        }
    }

    #[test]
    fn pool_names_are_what_zpool_takes() {
        for good in ["rpool", "tank-1", "logs", "media", "etc2", "Boot"] {
            assert!(good.parse::<PoolName>().is_ok(), "{good}");
        }
        for bad in ["etc", "usr", "boot", "root", "var", "tmp", "nix", "dev"] {
            let error = bad.parse::<PoolName>().unwrap_err();
            assert!(
                error.message.contains("belongs to the system"),
                "{bad}: {error:?}"
            );
        }
        for bad in [
            "mirror", "mirror1", "raidz", "raidz2x", "draid9", "spares", "log", "1tank", "a b",
            "a/b", "a%", "", "-x",
        ] {
            assert!(bad.parse::<PoolName>().is_err(), "{bad}");
        }
    }

    #[test]
    fn storage_names_are_what_proxmox_takes() {
        for bad in ["a", "1a", "a-", "a b", "local", "", "ä1"] {
            assert!(bad.parse::<StorageName>().is_err(), "{bad}");
        }
        assert!("vm-disks".parse::<StorageName>().is_ok());
    }

    #[test]
    fn dataset_errors_mark_the_component() {
        assert_eq!(
            "data/me dia".parse::<DatasetPath>().unwrap_err().range,
            7..8
        );
        assert!("data//x".parse::<DatasetPath>().is_err());
        assert!("../x".parse::<DatasetPath>().is_err());
    }
}
