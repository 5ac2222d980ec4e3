use crate::value::ByteSize;

/// Bytes of the largest record that the pool's deflation ratio is defined by (`SPA_OLD_MAXBLOCKSIZE`).
const RATIO_BLOCK: u64 = 128 << 10;
const MIB: u64 = 1 << 20;
/// The smallest metaslab that large pools get.
const METASLAB: u64 = 512 * MIB;

/// How the disks of a top-level vdev share a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VdevShape {
    /// One disk, or a mirror: every disk holds every block.
    Plain,
    /// raidz with so many parity disks.
    Raidz(u64),
}

/// One top-level vdev.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Geometry {
    /// How its disks share a block.
    pub shape: VdevShape,
    /// How many disks it has.
    pub disks: u64,
    /// The sector size as a power of two.
    pub ashift: u8,
}

impl Geometry {
    /// What a block of `size` bytes takes on the vdev, parity and padding included.
    pub fn allocated(self, size: ByteSize) -> ByteSize {
        let sectors = size.as_bytes().div_ceil(1 << self.ashift);
        let sectors = match self.shape {
            VdevShape::Plain => sectors,
            VdevShape::Raidz(parity) => {
                let data = self.disks.saturating_sub(parity).max(1);
                let with_parity = sectors + parity * sectors.div_ceil(data);
                // raidz leaves no hole that is too small for the smallest block and its parity.
                with_parity.next_multiple_of(parity + 1)
            }
        };
        ByteSize::bytes(sectors << self.ashift)
    }

    /// How many of 512 allocated bytes ZFS counts as usable, for blocks of 128 KiB.
    fn deflate(self) -> u64 {
        match self.shape {
            VdevShape::Plain => 512,
            VdevShape::Raidz(_) => {
                RATIO_BLOCK / (self.allocated(ByteSize::bytes(RATIO_BLOCK)).as_bytes() / 512)
            }
        }
    }

    /// The part of its raw space that blocks of `size` fill with data, in thousandths.
    pub fn efficiency_permille(self, size: ByteSize) -> u64 {
        let allocated = self.allocated(size).as_bytes();
        let copies = match self.shape {
            VdevShape::Plain => self.disks.max(1),
            VdevShape::Raidz(_) => 1,
        };
        size.as_bytes() * 1000 / (allocated * copies).max(1)
    }

    /// The most that a raidz vdev can hold of its raw space, in thousandths: (disks − parity) ÷ disks.
    pub fn nominal_permille(self) -> u64 {
        match self.shape {
            VdevShape::Plain => 1000 / self.disks.max(1),
            VdevShape::Raidz(parity) => {
                self.disks.saturating_sub(parity) * 1000 / self.disks.max(1)
            }
        }
    }

    /// What a thick volume reserves (`refreservation=auto`): its blocks, padded, and their metadata.
    pub fn thick_volume(self, size: ByteSize, volblocksize: ByteSize) -> ByteSize {
        let block = volblocksize.as_bytes().max(512);
        let blocks = size.as_bytes().div_ceil(block);
        // Seven for the objects of a volume, then one level of block pointers after the other, each of 1024.
        let mut metadata = 7;
        let mut level = blocks;
        loop {
            level = level.div_ceil(1024);
            metadata += level;
            if level <= 1 {
                break;
            }
        }
        let metadata = metadata * 2 * RATIO_BLOCK;
        let per_block = self.allocated(volblocksize).as_bytes();
        let ratio = match self.shape {
            VdevShape::Plain => RATIO_BLOCK / 512,
            VdevShape::Raidz(_) => self.allocated(ByteSize::bytes(RATIO_BLOCK)).as_bytes() / 512,
        };
        let data = u128::from(blocks) * u128::from(per_block) / u128::from(ratio) * 256;
        let data = u64::try_from(data).unwrap_or(u64::MAX).max(size.as_bytes());
        ByteSize::bytes(data.saturating_add(metadata))
    }
}

/// What ZFS makes of a whole disk: the size of its first partition.
pub fn partition_size(disk: ByteSize) -> ByteSize {
    // 33 sectors for the second partition table, 8 MiB for partition 9, the first MiB for alignment.
    let sectors = (disk.as_bytes() / 512).saturating_sub(33 + 16384);
    ByteSize::bytes((sectors / 2048).saturating_sub(1) * MIB)
}

/// What a pool offers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PoolCapacity {
    /// `SIZE` of `zpool list`: raw space, parity included.
    pub size: ByteSize,
    /// Usable space before what ZFS keeps for itself.
    pub usable: ByteSize,
    /// What ZFS keeps so that a full pool can still be emptied.
    pub slop: ByteSize,
}

impl PoolCapacity {
    /// What an empty pool offers: `AVAIL` and `USED` of `zfs list` together.
    pub fn available(self) -> ByteSize {
        self.usable - self.slop
    }
}

/// What a pool of these top-level vdevs offers. Each vdev comes with the size of its smallest disk; log, cache, spare and
/// special vdevs hold no ordinary data and are left out.
pub fn pool_capacity(vdevs: impl IntoIterator<Item = (Geometry, ByteSize)>) -> PoolCapacity {
    let mut pool = PoolCapacity::default();
    let mut embedded_log = 0;
    for (geometry, disk) in vdevs {
        let per_disk = partition_size(disk).as_bytes().saturating_sub(9 * MIB / 2);
        let raw = match geometry.shape {
            VdevShape::Plain => per_disk,
            VdevShape::Raidz(_) => per_disk.saturating_mul(geometry.disks),
        };
        let metaslab = metaslab_size(raw);
        if metaslab == 0 {
            continue;
        }
        let size = raw / metaslab * metaslab;
        let deflate = geometry.deflate();
        pool.size = pool.size + ByteSize::bytes(size);
        pool.usable = pool.usable + ByteSize::bytes(size / 512 * deflate);
        if size / metaslab >= 64 {
            embedded_log += metaslab / 512 * deflate;
        }
    }
    let spread = pool.usable.as_bytes().saturating_sub(embedded_log) / 32;
    let slop = spread
        .clamp(128 * MIB, 128 << 30)
        .min(pool.usable.as_bytes());
    pool.slop = ByteSize::bytes(slop);
    pool
}

/// The size of the pieces that a vdev of `raw` bytes is cut into.
fn metaslab_size(raw: u64) -> u64 {
    let bits = |n: u64| u64::BITS - n.leading_zeros();
    match raw / METASLAB {
        0..16 => {
            let bits = bits(raw / 16);
            if bits == 0 { 0 } else { 1 << bits.min(63) }
        }
        16..=200 => METASLAB,
        _ => 1 << bits(raw / 200).clamp(29, 34),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EIGHT_TB: ByteSize = ByteSize::bytes(8_000_000_000_000);
    const HUNDRED_GIB: ByteSize = ByteSize::gib(100);

    fn raidz(parity: u64, disks: u64) -> Geometry {
        Geometry {
            shape: VdevShape::Raidz(parity),
            disks,
            ashift: 12,
        }
    }

    fn mirror(disks: u64) -> Geometry {
        Geometry {
            shape: VdevShape::Plain,
            disks,
            ashift: 12,
        }
    }

    /// SIZE and AVAIL+USED of fresh pools of 8 TB disks, read off OpenZFS 2.3.9.
    #[test]
    fn pools_offer_what_openzfs_says() {
        for (geometry, size, available) in [
            (mirror(1), 7_988_639_170_560, 7_851_200_217_088),
            (mirror(2), 7_988_639_170_560, 7_851_200_217_088),
            (raidz(1, 3), 23_983_097_380_864, 15_835_678_638_080),
            (raidz(1, 4), 31_988_916_420_608, 23_104_508_133_376),
            (raidz(1, 5), 39_994_735_460_352, 31_811_480_584_192),
            (raidz(1, 6), 47_983_374_630_912, 38_193_030_234_112),
            (raidz(2, 4), 31_988_916_420_608, 15_357_192_437_760),
            (raidz(2, 6), 47_983_374_630_912, 31_820_238_290_944),
            (raidz(2, 8), 63_995_012_710_400, 45_359_015_395_328),
            (raidz(3, 8), 63_995_012_710_400, 36_359_716_732_928),
        ] {
            let pool = pool_capacity([(geometry, EIGHT_TB)]);
            assert_eq!(
                (pool.size.as_bytes(), pool.available().as_bytes()),
                (size, available),
                "{geometry:?}"
            );
        }
    }

    /// `refreservation` of thick volumes of 100 GiB, read off OpenZFS 2.3.9, for 8, 16, 32, 64 and 128 KiB blocks.
    #[test]
    fn thick_volumes_reserve_what_openzfs_says() {
        for (geometry, reserved) in [
            (
                mirror(2),
                [
                    110_735_130_624,
                    109_055_836_160,
                    108_216_188_928,
                    107_796_234_240,
                    107_585_994_752,
                ],
            ),
            (
                raidz(1, 3),
                [
                    146_526_524_672,
                    109_055_836_160,
                    108_216_188_928,
                    107_796_234_240,
                    107_585_994_752,
                ],
            ),
            (
                raidz(1, 4),
                [
                    159_541_576_960,
                    118_817_125_376,
                    117_977_478_144,
                    107_796_234_240,
                    107_585_994_752,
                ],
            ),
            (
                raidz(1, 5),
                [
                    175_159_640_064,
                    130_530_672_640,
                    108_216_188_928,
                    107_796_234_240,
                    107_585_994_752,
                ],
            ),
            (
                raidz(1, 6),
                [
                    175_159_640_064,
                    130_530_672_640,
                    108_216_188_928,
                    107_796_234_240,
                    107_585_994_752,
                ],
            ),
            (
                raidz(2, 4),
                [
                    159_541_576_960,
                    118_817_125_376,
                    117_977_478_144,
                    107_796_234_240,
                    107_585_994_752,
                ],
            ),
            (
                raidz(2, 6),
                [
                    218_109_313_024,
                    109_055_836_160,
                    108_216_188_928,
                    107_796_234_240,
                    107_585_994_752,
                ],
            ),
            (
                raidz(2, 8),
                [
                    232_425_870_592,
                    116_214_114_816,
                    115_374_467_584,
                    114_954_512_896,
                    107_585_994_752,
                ],
            ),
            (
                raidz(3, 8),
                [
                    248_787_650_816,
                    124_395_004_928,
                    123_555_357_696,
                    107_796_234_240,
                    107_585_994_752,
                ],
            ),
        ] {
            for (kib, reserved) in [8, 16, 32, 64, 128].into_iter().zip(reserved) {
                let volume = geometry.thick_volume(HUNDRED_GIB, ByteSize::kib(kib));
                assert_eq!(volume.as_bytes(), reserved, "{geometry:?}, {kib} KiB");
            }
        }
    }

    #[test]
    fn small_blocks_waste_raidz() {
        // A block of 8 KiB on four disks: two sectors, one parity, one of padding.
        assert_eq!(raidz(1, 4).efficiency_permille(ByteSize::kib(8)), 500);
        assert_eq!(raidz(1, 4).efficiency_permille(ByteSize::kib(16)), 666);
        assert_eq!(raidz(1, 4).efficiency_permille(ByteSize::kib(64)), 727);
        assert_eq!(raidz(1, 4).nominal_permille(), 750);
        assert_eq!(mirror(2).efficiency_permille(ByteSize::kib(8)), 500);
    }

    #[test]
    fn no_disk_is_too_small_to_count() {
        for bytes in [0, 1, 1 << 20, 64 << 20, 1 << 30, u64::MAX] {
            let pool = pool_capacity([(raidz(1, 3), ByteSize::bytes(bytes))]);
            assert!(pool.available() <= pool.usable);
        }
        assert_eq!(raidz(3, 2).allocated(ByteSize::kib(4)).as_bytes(), 16 << 10);
    }
}
