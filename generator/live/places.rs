//! Which files of a host are looked at.

/// What stands at a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// One file.
    File(&'static str),
    /// A folder with all below it.
    Folder(&'static str),
}

/// Every place, as paths from `/`. The collector has the same list.
const PLACES: &[Place] = &[
    Place::Folder(".moxc"),
    Place::Folder("etc/apt/sources.list.d"),
    Place::File("etc/apt/sources.list"),
    Place::File("etc/default/grub"),
    Place::Folder("etc/default/grub.d"),
    Place::File("etc/fstab"),
    Place::File("etc/hostname"),
    Place::File("etc/hosts"),
    Place::Folder("etc/initramfs-tools"),
    Place::File("etc/kernel/cmdline"),
    Place::File("etc/localtime"),
    Place::Folder("etc/modprobe.d"),
    Place::File("etc/modules"),
    Place::Folder("etc/modules-load.d"),
    Place::Folder("etc/network"),
    Place::Folder("etc/pve"),
    Place::File("etc/resolv.conf"),
    Place::File("etc/subgid"),
    Place::File("etc/subuid"),
    Place::Folder("etc/sysctl.d"),
    Place::Folder("etc/systemd/network"),
    Place::Folder("etc/systemd/system"),
    Place::File("etc/timezone"),
    Place::Folder("etc/udev/rules.d"),
    Place::File("etc/vzdump.conf"),
    Place::Folder("usr/local/sbin"),
    Place::File("var/lib/moxc/applied.json"),
    Place::Folder("var/lib/moxc/making"),
    Place::File("var/lib/moxc/unfinished"),
    Place::Folder("var/lib/vz/snippets"),
];

/// Every place, for the collector's test.
#[cfg(test)]
pub(super) fn paths() -> impl Iterator<Item = &'static str> {
    PLACES.iter().map(|place| match place {
        Place::File(path) | Place::Folder(path) => *path,
    })
}

/// Whether the file at `path` is looked at.
pub(super) fn is_wanted(path: &str) -> bool {
    !is_of_git(path)
        && PLACES.iter().any(|place| match place {
            Place::File(file) => path == *file,
            Place::Folder(folder) => is_below(path, folder),
        })
}

/// Whether something that is looked at may lie in the folder `path`, or at it.
pub(super) fn leads_somewhere(path: &str) -> bool {
    path.is_empty()
        || !is_of_git(path)
            && PLACES.iter().any(|place| match place {
                Place::File(file) => path == *file || is_below(file, path),
                Place::Folder(folder) => {
                    path == *folder || is_below(folder, path) || is_below(path, folder)
                }
            })
}

/// Whether a path is git's own: copies of `/etc` are often kept in it.
fn is_of_git(path: &str) -> bool {
    path.split('/').any(|part| part == ".git")
}

/// The folder whose presence in a copy says that what is missing below it is missing on the host.
pub(super) fn witness(path: &str) -> &str {
    const WITNESSES: &[&str] = &[
        "etc/pve",
        "etc/network",
        "etc/systemd",
        "etc/modprobe.d",
        "etc/modules-load.d",
        "etc/initramfs-tools",
        "etc/kernel",
        "etc/default",
        "etc/sysctl.d",
        "etc/udev",
        "etc/apt",
        "usr/local/sbin",
        "var/lib/moxc",
        "var/lib/vz",
    ];
    let found = WITNESSES.iter().find(|folder| is_below(path, folder));
    found.copied().unwrap_or("etc")
}

/// Whether `path` lies below `folder`.
pub(super) fn is_below(path: &str, folder: &str) -> bool {
    path.strip_prefix(folder)
        .is_some_and(|rest| rest.starts_with('/'))
}
