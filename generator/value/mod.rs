//! Values with rules: each is a type with one way in, [`SpecString::parse`], and one way out, `Display`.
//!
//! A parse error carries the range inside the string, so that a diagnostic can mark the wrong octet.

mod address;
mod amount;
mod choice;
mod cpuset;
mod firewall;
mod firewall_macro;
mod hours;
mod id;
mod image;
mod mac;
mod name;
mod path;
mod pci;
mod port;
mod size;
mod speed;
mod text;
mod tree;
mod usb;
mod vlan;
mod word;
mod zfs;

pub use address::{AddressRange, Cidr, GuestAddress, HostAddress, IpAddress, RouteTarget};
pub use amount::{Balloon, HugePages, Port};
pub use choice::{
    BackupMode, BondMode, BridgeKind, Bus, CacheMode, Choice, Compress, ContainerOs, CpuVendor,
    DatasetUse, DiskKind, EfiType, ExternalKind, FirewallDirection, FirewallLog, FirewallPolicy,
    Firmware, GuestFileSystem, GuestOs, HashPolicy, ImageFormat, LacpRate, LintChoice, LogLayout,
    PciClass, Platform, PoolLayout, Protocol, Reboot, RemoteAccess, SetupCheck, SmartKind,
    TaskKind, TpmVersion, VmOs, ZfsAclType, ZfsCipher, ZfsSync, ZfsXattr,
};
pub use cpuset::CpuSet;
pub use firewall::{
    EtherType, Family, FirewallAddresses, FirewallAliasName, FirewallGroup, FirewallIcmpType,
    FirewallMatch, FirewallMember, FirewallNetwork, FirewallPorts, FirewallProtocol,
    FirewallQueues, FirewallSetName, RuleKey, UnheardRule,
};
pub use firewall_macro::FirewallMacro;
pub use hours::HoursOff;
pub use id::{PciId, VmId};
pub use image::{ImageSource, Sha256Sum};
pub use mac::MacAddress;
pub use name::{
    AccountName, BridgeName, DatasetPath, DnsName, GuestName, HostName, InterfaceName, KeptPath,
    KernelParameter, ModuleName, Name, PoolName, StorageName, Tag,
};
pub use path::{AbsolutePath, DevicePath, GuestPath, MountPoint};
pub use pci::{PciAddress, PciCard, PciPlace};
pub use port::PortRange;
pub use size::ByteSize;
pub use speed::LinkSpeed;
pub use text::{
    CountryCode, Email, FullName, KeyboardLayout, Line, ReleaseTag, SecretName, SshKey, Text,
    TimeZoneName, VolumeId, VolumeName,
};
pub use tree::{Node, TableNode, Value};
pub use usb::{UsbId, UsbPort};
pub use vlan::{BridgePort, VlanSet, VlanTag};
pub use word::{
    CommandName, ComputerName, EnvironmentName, FlakeReference, Locale, ModulePath, NixAttribute,
    OctalMode, UnitName, WindowsUser, WingetId,
};
pub use zfs::{ZfsBlock, ZfsKey, ZfsPropertyName};

use std::ops::Range;

use crate::diagnostics::Code;

/// Why a string is not a value of its type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ValueError {
    /// The bytes of the string that are wrong.
    pub range: Range<usize>,
    /// What is wrong with them.
    pub message: String,
    /// The way out.
    pub help: Option<String>,
    /// The value that is certainly meant, so that a fix may write it.
    pub meant: Option<String>,
}

impl ValueError {
    /// The whole of `text` is wrong.
    pub fn whole(text: &str, message: impl Into<String>) -> Self {
        Self::at(0..text.len(), message)
    }

    /// A part is wrong.
    pub fn at(range: Range<usize>, message: impl Into<String>) -> Self {
        Self {
            range,
            message: message.into(),
            help: None,
            meant: None,
        }
    }

    /// The way out.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// The value that is certainly meant.
    #[must_use]
    pub fn meant(mut self, value: impl Into<String>) -> Self {
        self.meant = Some(value.into());
        self
    }
}

/// A value that a spec writes as a string.
pub trait SpecString: Sized {
    /// The code of its errors.
    const CODE: Code;

    /// What it is, for "expected …": `a size`.
    const WHAT: &'static str;

    /// Reads it.
    fn parse(text: &str) -> Result<Self, ValueError>;

    /// Examples for the JSON Schema.
    fn examples() -> &'static [&'static str] {
        &[]
    }

    /// A pattern for the JSON Schema (ECMA-262): it may accept more than [`SpecString::parse`], never less.
    fn pattern() -> Option<&'static str> {
        None
    }
}

/// Implements what every [`SpecString`] shares: `FromStr` and the JSON Schema.
macro_rules! spec_string {
    ($type:ty, $name:expr) => {
        impl std::str::FromStr for $type {
            type Err = $crate::value::ValueError;
            fn from_str(text: &str) -> Result<Self, Self::Err> {
                <Self as $crate::value::SpecString>::parse(text)
            }
        }

        impl schemars::JsonSchema for $type {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                $name.into()
            }
            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                $crate::value::string_schema::<Self>()
            }
        }
    };
}
pub(crate) use spec_string;

/// The JSON Schema of a [`SpecString`].
pub(crate) fn string_schema<T: SpecString>() -> schemars::Schema {
    let mut schema = schemars::json_schema!({ "type": "string", "description": T::WHAT });
    if let Some(pattern) = T::pattern() {
        schema.insert("pattern".into(), pattern.into());
    }
    if !T::examples().is_empty() {
        schema.insert("examples".into(), T::examples().into());
    }
    schema
}

/// A character as a message names it.
pub(crate) fn shown(c: char) -> String {
    if c == ' ' {
        "blank".to_owned()
    } else {
        format!("`{}`", c.escape_debug())
    }
}

/// The bytes of character `at` of `text`, for an error's range.
pub(crate) fn char_range(text: &str, at: usize) -> Range<usize> {
    at..at + text[at..].chars().next().map_or(0, char::len_utf8)
}
