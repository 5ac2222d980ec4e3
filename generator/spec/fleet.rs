//! `fleet.toml`: several hosts, with what they share.

use super::reader::{List, Raw};
use super::table::table;
use crate::value::{Line, Name};

table! {
    /// A whole `fleet.toml`.
    FleetSpec {
        /// The version of the language; 1.
        "spec" spec: opt super::reader::Int<1, 1>;
        /// The hosts' files, relative to this one; `*` stands for any part of a file name.
        "hosts" hosts: req List<Line>;
        /// What every host has where it says nothing else.
        "defaults" defaults: opt Raw;
        /// The cluster that the hosts form.
        "cluster" cluster: opt ClusterSpec;
    }

    /// `[cluster]`.
    ClusterSpec {
        /// Its name.
        "name" name: req Name;
    }
}
