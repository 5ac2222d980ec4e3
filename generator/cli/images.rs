//! Images of NixOS guests that the user's flake has built, on their way to the host.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use super::Failure;
use super::args::ImageOf;
use super::remote::Remote;
use super::terminal::Terminal;
use crate::facts::making::{Making, Makings};
use crate::plan::{Object, Plan};
use crate::shell;

/// What disks are filled from.
const OF_DISKS: [&str; 3] = [".qcow2", ".raw", ".vmdk"];

/// An image that goes to the host.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Image {
    /// The guest's number.
    vmid: String,
    /// Its disk; of a container, its template.
    role: Role,
    file: PathBuf,
    /// The ending of its name.
    ending: String,
}

#[derive(Debug, PartialEq, Eq)]
enum Role {
    Disk(String),
    Template(String),
}

impl Image {
    /// Where it lies on the host until the run is done.
    fn place(&self) -> String {
        let key = match &self.role {
            Role::Disk(key) => key,
            Role::Template(_) => "rootfs",
        };
        format!(
            "/var/lib/moxc/images/given-{}-{key}{}",
            self.vmid, self.ending
        )
    }

    /// The word of `--image` for the script.
    pub(super) fn word(&self) -> String {
        match &self.role {
            Role::Disk(key) => format!("{}/{key}={}", self.vmid, self.place()),
            Role::Template(_) => format!("{}={}", self.vmid, self.place()),
        }
    }
}

/// Finds what `--image` names, for guests that the plan makes.
pub(super) fn find(
    wanted: &[ImageOf],
    makings: &Makings,
    plan: &Plan,
    terminal: &mut Terminal,
) -> Result<Vec<Image>, Failure> {
    let mut images: Vec<Image> = Vec::new();
    for ImageOf { guest, file } in wanted {
        let own = |making: &&Making| {
            making
                .built
                .as_ref()
                .is_some_and(|name| name == guest || making.vmid == *guest)
        };
        let Some(making) = makings.iter().find(own) else {
            let names: Vec<&str> = makings
                .iter()
                .filter_map(|making| making.built.as_deref())
                .collect();
            return Err(Failure::new(format!(
                "`{guest}` is not a NixOS guest of the spec: an image can be given for {}",
                match &names[..] {
                    [] => "none of it".to_owned(),
                    names => names.join(", "),
                }
            )));
        };
        if !is_missing(making, plan) {
            terminal.remark(&format!(
                "guest {} ({guest}) is there, and its image is not sent\n",
                making.vmid
            ));
            continue;
        }
        if making.template.is_none() && making.fills.is_empty() {
            return Err(Failure::new(format!(
                "`{guest}` is made of something else: no disk of it waits for an image"
            )));
        }
        for image in of_guest(making, file)? {
            if images.iter().any(|known| known.place() == image.place()) {
                return Err(Failure::new(format!(
                    "two images are given for the same disk of `{guest}`"
                )));
            }
            images.push(image);
        }
    }
    Ok(images)
}

/// Whether a plan makes the guest.
fn is_missing(making: &Making, plan: &Plan) -> bool {
    plan.changes.iter().any(|change| {
        let vmid = match change.object {
            Object::Vm(vmid) | Object::Ct(vmid) => vmid.to_string(),
            Object::Pool(_)
            | Object::Dataset(_)
            | Object::Lvm(_)
            | Object::Storage(_)
            | Object::Mapping(..)
            | Object::Job(_)
            | Object::Section(..)
            | Object::Firewall(_)
            | Object::Unit(_)
            | Object::File(_)
            | Object::Interface(_) => return false,
        };
        vmid == making.vmid && change.option.is_none() && change.before.is_none()
    })
}

/// The image in a file, or those in the folder that `nix build` leaves.
fn of_guest(making: &Making, given: &Path) -> Result<Vec<Image>, Failure> {
    let failed = |error: &std::io::Error| Failure::io("read", given, error);
    let is_folder = fs::metadata(given)
        .map_err(|error| failed(&error))?
        .is_dir();
    let mut files = vec![given.to_owned()];
    if is_folder {
        files = fs::read_dir(given)
            .and_then(|entries| {
                entries
                    .map(|entry| entry.map(|entry| entry.path()))
                    .collect()
            })
            .map_err(|error| failed(&error))?;
        files.sort();
    }
    let name = |file: &Path| {
        let name = file.file_name().unwrap_or_default();
        name.to_string_lossy().into_owned()
    };
    let image = |role: Role, file: &Path, ending: &str| Image {
        vmid: making.vmid.clone(),
        role,
        file: file.to_owned(),
        ending: ending.to_owned(),
    };
    if let Some(template) = &making.template {
        let wanted = template.rsplit(['/', ':']).next().unwrap_or(template);
        let ending = wanted.find(".tar").map_or("", |at| &wanted[at..]);
        if is_folder {
            files.retain(|file| name(file) == wanted);
        }
        let [file] = &files[..] else {
            return Err(Failure::new(format!(
                "`{}` holds no `{wanted}`, which is the template of the spec",
                given.display()
            )));
        };
        if ending.is_empty() || !name(file).ends_with(ending) {
            return Err(Failure::new(format!(
                "`{}` does not end in `{ending}`, as the template `{template}` of the spec does",
                file.display()
            )));
        }
        return Ok(vec![image(Role::Template(template.clone()), file, ending)]);
    }
    let ending_of = |file: &Path| {
        let name = name(file);
        OF_DISKS
            .into_iter()
            .find(|ending| name.ends_with(ending))
            .map(|ending| (name[..name.len() - ending.len()].to_owned(), ending))
    };
    let no_image = || {
        Failure::new(format!(
            "`{}` holds no image of a disk: its name would end in {}",
            given.display(),
            OF_DISKS.join(", ")
        ))
    };
    if is_folder {
        files.retain(|file| ending_of(file).is_some());
    }
    let mut images = Vec::new();
    for file in &files {
        let (stem, ending) = ending_of(file).ok_or_else(no_image)?;
        // An image for each disk has the disk's name; a single one is what it boots from.
        let mut own = making.fills.iter().filter(|(_, disk)| *disk == stem);
        let key = match (own.next(), &files[..]) {
            (Some((key, _)), _) if is_folder => key,
            (_, [_]) => &making.fills.first().ok_or_else(no_image)?.0,
            (_, _) => {
                return Err(Failure::new(format!(
                    "`{}` is named like none of the guest's disks: {}",
                    file.display(),
                    making
                        .fills
                        .iter()
                        .map(|(_, disk)| disk.as_str())
                        .collect::<Vec<_>>()
                        .join(", ")
                )));
            }
        };
        images.push(image(Role::Disk(key.clone()), file, ending));
    }
    if images.is_empty() {
        return Err(no_image());
    }
    Ok(images)
}

/// Says of each guest that the plan makes and that no image is given for what builds it.
pub(super) fn tell_missing(
    makings: &Makings,
    plan: &Plan,
    given: &[ImageOf],
    terminal: &mut Terminal,
) {
    for making in makings.iter() {
        let Some(name) = &making.built else { continue };
        let takes_one = making.template.is_some() || !making.fills.is_empty();
        let is_given = given
            .iter()
            .any(|one| one.guest == *name || one.guest == making.vmid);
        if takes_one && !is_given && is_missing(making, plan) {
            terminal.remark(&format!(
                "guest {} ({name}) is made of its image: `nix build .#{name}-image` in its flake builds it, and \
                 `moxc apply … --image {name}=result` brings it\n",
                making.vmid
            ));
        }
    }
}

/// Sends the images that the host has no use of something else for; those that are there by then.
pub(super) fn send(
    images: Vec<Image>,
    remote: &Remote,
    terminal: &mut Terminal,
) -> Result<Vec<Image>, Failure> {
    let mut sent = Vec::new();
    for image in images {
        if let Role::Template(template) = &image.role {
            let look = format!(
                "path=$(pvesm path {}) && test -e \"${{MOXC_ROOT:-}}$path\"",
                shell::quote(template)
            );
            if remote.stream(&look, "", |_| {})? == Some(0) {
                terminal.remark(&format!("{template} is there, and stays as it is\n"));
                continue;
            }
        }
        let file =
            File::open(&image.file).map_err(|error| Failure::io("read", &image.file, &error))?;
        let size = file
            .metadata()
            .map_err(|error| Failure::io("read", &image.file, &error))?
            .len();
        terminal.remark(&format!(
            "sending {} ({} MiB)\n",
            image.file.display(),
            size.div_ceil(1 << 20)
        ));
        if remote.send(&receiver(&image.place(), size), file)? != Some(0) {
            remove(&sent, remote);
            return Err(Failure::new(format!(
                "`{}` did not reach `{}` whole: nothing was done",
                image.file.display(),
                remote.host()
            )));
        }
        sent.push(image);
    }
    Ok(sent)
}

/// What takes a file of `size` bytes in on the host: where it has room, under another name until it is whole.
fn receiver(place: &str, size: u64) -> String {
    format!(
        "umask 077; file=\"${{MOXC_ROOT:-}}\"{}; folder=$(dirname \"$file\"); mkdir -p \"$folder\" || exit; \
         room=$(df --output=avail -k \"$folder\" | tail -n 1); \
         if [ \"$room\" -lt {} ]; then echo \"$folder has no room for {} MiB\" >&2; exit 1; fi; \
         cat > \"$file.part\" && [ \"$(stat -c %s \"$file.part\")\" = {size} ] && mv -f \"$file.part\" \"$file\" \
         || {{ rm -f \"$file.part\"; exit 1; }}",
        shell::quote(place),
        size / 1024 + (1 << 20),
        size.div_ceil(1 << 20)
    )
}

/// Takes what was sent away again: a run that is done has used it.
pub(super) fn remove(images: &[Image], remote: &Remote) {
    if images.is_empty() {
        return;
    }
    let files: Vec<String> = images
        .iter()
        .map(|image| format!("\"${{MOXC_ROOT:-}}\"{}", shell::quote(&image.place())))
        .collect();
    // A host that is not reached any more keeps them until the next run that is done.
    let _ = remote.stream(&format!("rm -f -- {}", files.join(" ")), "", |_| {});
}
