//! What came with which release of Proxmox VE: the first release that has it. What the schema's data says of an option stands
//! there alone; here stands what the code itself decides by.

use super::Release;

/// OpenZFS 2.2, which makes a volume's block 16 KiB where nothing else is said, and not 8 (zfsprops(7), `volblocksize`; the
/// release notes of Proxmox VE 8.1 name the version).
pub const BLOCKS_OF_16_KIB: Release = Release::new(8, 1);

/// The installer writes a limit of the ZFS cache: 10 % of the memory, at most 16 GiB (`local-zfs.adoc`, "Limit ZFS Memory
/// Usage").
pub const LIMIT_OF_ARC: Release = Release::new(8, 1);

/// Notifications of Proxmox VE's own, which a backup job chooses by `notification-mode` (its schema in `jobs.json`); before, a job
/// names its addressee itself.
pub const NOTIFICATIONS: Release = Release::new(8, 1);

/// QEMU 8.1, and with it the machines of that version (the versions of `pve-qemu-kvm` in the release notes).
pub const QEMU_8_1: Release = Release::new(8, 1);

/// Unattended installation: the ISO takes an answer file (`Automated_Installation` of Proxmox VE's wiki).
pub const ANSWER_FILE: Release = Release::new(8, 2);

/// The installer takes a hashed password (`root-password-hashed`, in `answer.json`).
pub const HASHED_PASSWORD: Release = Release::new(8, 3);

/// `%` in a description is encoded, too (`PVE::Tools::encode_text`).
pub const ENCODED_PERCENT: Release = Release::new(8, 3);

/// Mappings of folders and `virtiofsN` (`PVE::QemuServer::Virtiofs`; in the schema of `qm.json`).
pub const MAPPED_FOLDERS: Release = Release::new(8, 4);

/// A drive of an image in a store of discs must say `media=cdrom` (`update_vm` of qemu-server); older files may have it as a disk.
pub const DISCS_ARE_CDROMS: Release = Release::new(8, 4);

/// QEMU's storage daemon hands swtpm the state of a TPM, whatever image it is in (`start_swtpm` of qemu-server).
pub const TPM_IN_ANY_IMAGE: Release = Release::new(9, 1);

/// A guest of ARM has the processor `max` where it names none, and not `cortex-a57` (`get_default_cpu_type` of qemu-server).
pub const MAX_OF_ARM: Release = Release::new(9, 2);

/// A boolean that stands in a property string without its key is translated as the others are (`PVE::JSONSchema`).
pub const KEYLESS_BOOLEANS: Release = Release::new(9, 2);
