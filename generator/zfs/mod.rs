//! How ZFS counts: what a pool of given disks offers, and what a volume takes.
//!
//! A pure library. Its formulas give the figures of OpenZFS 2.3 to the byte: see the tables in the tests, which were
//! read off real pools.

mod capacity;

pub use capacity::{Geometry, PoolCapacity, VdevShape, partition_size, pool_capacity};
