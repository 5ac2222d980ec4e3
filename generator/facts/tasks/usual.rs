//! How long systemd lets a tool of the host run where the spec does not say (`TimeoutStartSec`): what a host's units are read back
//! by, too.

/// A snapshot takes an instant.
pub const SNAPSHOT: &str = "6h";
/// To read every block of a pool takes days where disks are large and busy.
pub const SCRUB: &str = "14d";
/// A trim of large flash.
pub const TRIM: &str = "1d";
/// The tests are started, and the disks go on by themselves.
pub const DISK_TEST: &str = "6h";
/// An archive of terabytes is written, and comes back, at the speed of a network.
pub const BACKUP: &str = "2d";
/// Packages are fetched and unpacked, by a slow line.
pub const UPDATE: &str = "1d";
