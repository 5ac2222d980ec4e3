//! `[host]` and `[lints]`.

use super::reader::{Int, List, Named, OneOf};
use super::schema_keys::{DatacenterOptions, VzdumpOptions};
use super::table::table;
use crate::pve::Release;
use crate::value::{
    ByteSize, CountryCode, DnsName, Email, HostName, HoursOff, KeyboardLayout, Line, LintChoice,
    Name, Platform, ReleaseTag, SecretName, SshKey, TimeZoneName,
};

table! {
    /// `[host]`: the machine itself.
    HostSpec {
        /// The host's name.
        "name" name: req HostName;
        /// Its DNS domain; `local` where left out.
        "domain" domain: opt DnsName;
        /// What runs on the metal: `proxmox` (Debian-based, gets plain files) or `nixos` (gets a NixOS module).
        "platform" platform: opt OneOf<Platform>;
        /// The Proxmox VE release; it decides which features there are and how files are spelled.
        "release" release: req Release;
        /// The time zone of the host and of its schedules.
        "timezone" timezone: req TimeZoneName;
        /// The country, for the installation; `us` where left out.
        "country" country: opt CountryCode;
        /// The keyboard of the console; `en-us` where left out.
        "keyboard" keyboard: opt KeyboardLayout;
        /// Where reports and failures go.
        "email" email: opt Email;
        /// The release that the state of a host with `platform = "nixos"` is kept for: the one that it was installed with.
        "state-version" state_version: opt ReleaseTag;
        /// Public keys that may log in as root, on the host and on NixOS guests.
        "ssh-keys" ssh_keys: opt List<SshKey>;
        /// The name of the secret that holds root's hashed password for the unattended installation.
        "root-password-secret" root_password_secret: opt SecretName;
        /// What every budget keeps for the host itself.
        "reserve" reserve: opt ReserveSpec;
        /// Whether moxc's own commands for the host come with it, as `backup-rehearsal`; on where left out. Those that a
        /// schedule runs come anyway.
        "tools" tools: opt bool;
        /// Accepts that the only graphics card is passed through, and the console with it.
        "headless" headless: opt bool;
        /// The hours of the day in which the host is switched off.
        "powered-off" powered_off: opt HoursOff;
    }

    /// `host.reserve`: what every budget keeps for the host itself.
    ReserveSpec {
        /// Memory; 4 GiB where left out.
        "memory" memory: opt ByteSize;
        /// Threads; 0 where left out.
        "threads" threads: opt Int<0, 8192>;
    }

    /// `[vzdump]`: what every backup does where neither its job nor the command line says otherwise. What is left out follows
    /// from the first backup job.
    VzdumpSpec {
        /// Options that moxc would write by itself and that stay out, so that vzdump's own default counts.
        "unset" unset: opt List<Line>;
        ..VzdumpOptions
    }

    /// `[datacenter]`: what Proxmox VE's interface and its services do on every node. What is left out stays as it is.
    DatacenterSpec {
        ..DatacenterOptions
    }
}

/// `[lints]`: a level for a warning, by its code.
pub type LintsSpec = Named<Name, OneOf<LintChoice>>;
