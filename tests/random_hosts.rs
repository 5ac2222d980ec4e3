//! Hosts made up by chance from what real hosts have: each is adopted, its spec changes nothing there, and a single change of
//! the host is found once, at its place. `MOXC_RANDOM_HOSTS=2000` asks for more of them, `MOXC_RANDOM_SEED` for others, and
//! `MOXC_RANDOM_KEEP=DIR` keeps each host and the spec of it, so that Proxmox VE's own parsers can be asked.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::io;
use std::path::Path;

use moxc::adopt;
use moxc::compile::Compiled;
use moxc::live::{self, Folder, FolderEntry, Snapshot};
use moxc::plan::{self, Object, Plan, Wanted};
use moxc::targets::Target;
use moxc::template::Templates;

/// A host as files in memory; a link is a text behind `-> `.
#[derive(Debug, Clone, Default)]
struct Host(BTreeMap<String, String>);

impl Folder for Host {
    fn entries(&self, path: &str) -> io::Result<Vec<(String, FolderEntry)>> {
        let prefix = if path.is_empty() {
            String::new()
        } else {
            format!("{path}/")
        };
        let mut entries = BTreeMap::new();
        for (path, text) in &self.0 {
            let Some(rest) = path.strip_prefix(&prefix) else {
                continue;
            };
            let kind = match (rest.contains('/'), text.strip_prefix("-> ")) {
                (true, _) => FolderEntry::Folder,
                (false, Some(target)) => FolderEntry::Link(target.to_owned()),
                (false, None) => FolderEntry::File,
            };
            let name = rest.split('/').next().unwrap_or_default();
            entries.insert(name.to_owned(), kind);
        }
        Ok(entries.into_iter().collect())
    }

    fn read(&self, path: &str, limit: usize) -> io::Result<Vec<u8>> {
        let bytes = self.0[path].as_bytes();
        Ok(bytes[..bytes.len().min(limit + 1)].to_vec())
    }
}

impl Host {
    /// Lays it out below a folder.
    fn keep(&self, folder: &Path) -> io::Result<()> {
        for (path, text) in &self.0 {
            let path = folder.join(path);
            fs::create_dir_all(path.parent().expect("a folder"))?;
            match text.strip_prefix("-> ") {
                Some(target) => std::os::unix::fs::symlink(target, path)?,
                None => fs::write(path, text)?,
            }
        }
        Ok(())
    }

    fn snapshot(&self) -> Snapshot {
        live::read_folder(self).expect("a host")
    }
}

/// Numbers by chance, the same for the same seed (xorshift64*, Vigna 2016).
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() >> 33).expect("31 bits") % end
    }

    /// Once in so many times.
    fn once_in(&mut self, times: usize) -> bool {
        self.below(times) == 0
    }

    fn pick<'a>(&mut self, of: &[&'a str]) -> &'a str {
        of[self.below(of.len())]
    }

    fn uuid(&mut self) -> String {
        let (a, b) = (self.next(), self.next());
        format!(
            "{:08x}-{:04x}-4{:03x}-9{:03x}-{:012x}",
            a >> 32,
            (a >> 16) & 0xffff,
            a & 0xfff,
            b >> 52,
            b & 0xffff_ffff_ffff
        )
    }
}

/// A store that guests' volumes lie in: its name, how volumes are named there, and the section that says it.
struct Store {
    name: &'static str,
    files: bool,
    zfs: bool,
    section: &'static str,
}

const STORES: &[Store] = &[
    Store {
        name: "local-lvm",
        files: false,
        zfs: false,
        section: "lvmthin: local-lvm\n\tthinpool data\n\tvgname pve\n\tcontent rootdir,images\n\n",
    },
    Store {
        name: "local-zfs",
        files: false,
        zfs: true,
        section: "zfspool: local-zfs\n\tpool rpool/data\n\tsparse\n\tcontent images,rootdir\n\n",
    },
    Store {
        name: "tank",
        files: false,
        zfs: true,
        section: "zfspool: tank\n\tpool tank\n\tcontent images,rootdir\n\tmountpoint /tank\n\tnodes pve1\n\n",
    },
    Store {
        name: "ssd",
        files: true,
        zfs: false,
        section: "dir: ssd\n\tpath /mnt/pve/ssd\n\tcontent images,rootdir,iso,vztmpl,snippets,backup\n\tis_mountpoint 1\n\tnodes pve1\n\tprune-backups keep-all=1\n\tshared 0\n\n",
    },
    Store {
        name: "nas",
        files: true,
        zfs: false,
        section: "nfs: nas\n\texport /volume1/pve\n\tpath /mnt/pve/nas\n\tserver 192.0.2.5\n\tcontent images,rootdir,backup\n\toptions vers=4.2\n\tprune-backups keep-daily=7,keep-weekly=4\n\n",
    },
    Store {
        name: "vg1",
        files: false,
        zfs: false,
        section: "lvm: vg1\n\tvgname vg1\n\tcontent images,rootdir\n\tshared 0\n\tsaferemove 0\n\n",
    },
];

const OTHER_STORES: &[&str] = &[
    "cifs: media\n\tpath /mnt/pve/media\n\tserver 192.0.2.6\n\tshare media\n\tcontent backup,iso\n\tusername me\n\tdomain HOME\n\n",
    "pbs: offsite\n\tdatastore main\n\tserver 192.0.2.7\n\tcontent backup\n\tusername root@pam!pve\n\tprune-backups keep-all=1\n\n",
    "btrfs: flash\n\tpath /mnt/flash\n\tcontent images,rootdir\n\n",
    "drbd: odd\n\tredundancy 2\n\tcontent images\n\n",
    "dir: old\n\tpath /mnt/old\n\tcontent backup\n\tdisable\n\tmkdir 0\n\n",
    "iscsi: target\n\tportal 192.0.2.8\n\ttarget iqn.2003-01.org.example:disk\n\tcontent none\n\n",
];

struct Making {
    chance: Chance,
    host: Host,
    stores: Vec<&'static Store>,
    node: &'static str,
    macs: u32,
    volumes: u32,
    /// Whether `vmbr0` knows VLANs.
    aware: bool,
}

/// A host by its number.
fn host(seed: u64) -> Host {
    let mut making = Making {
        chance: Chance(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1),
        host: Host::default(),
        stores: Vec::new(),
        node: "pve1",
        macs: 0,
        volumes: 0,
        aware: false,
    };
    making.base();
    making.stores();
    making.network();
    let guests = 1 + making.chance.below(6);
    let mut numbers = Vec::new();
    for at in 0..guests {
        let vmid = 100 + u32::try_from(at).expect("a few") * 3;
        numbers.push(vmid);
        if making.chance.once_in(2) {
            making.vm(vmid);
        } else {
            making.container(vmid);
        }
    }
    making.jobs(&numbers);
    making.rest();
    making.host
}

impl Making {
    fn put(&mut self, path: &str, text: impl Into<String>) {
        self.host.0.insert(path.to_owned(), text.into());
    }

    fn base(&mut self) {
        let version = self
            .chance
            .pick(&["8.1.4", "8.2.7", "8.4.1", "9.0.3", "9.1.2", "9.2.1"]);
        let whole = !self.chance.once_in(5);
        let node = self.node;
        self.put("etc/pve/local", format!("-> nodes/{node}"));
        self.put(
            "etc/pve/qemu-server",
            format!("-> nodes/{node}/qemu-server"),
        );
        self.put("etc/pve/lxc", format!("-> nodes/{node}/lxc"));
        self.put(&format!("etc/pve/nodes/{node}/config"), "");
        if whole {
            self.put("etc/hostname", format!("{node}\n"));
            self.put(
                ".moxc/pveversion",
                format!("pve-manager/{version}/2a5fa54a8503f96d (running kernel: 6.8.12-9-pve)\n"),
            );
            self.put(".moxc/running", "100\n103\n");
            self.put(".moxc/timedate", "Timezone=Europe/Berlin\n");
            self.put(
                "etc/hosts",
                format!("127.0.0.1 localhost\n192.0.2.10 {node}.home.arpa {node}\n"),
            );
            self.put(
                "etc/default/grub",
                "GRUB_DEFAULT=0\nGRUB_CMDLINE_LINUX_DEFAULT=\"quiet intel_iommu=on\"\n",
            );
        }
    }

    fn stores(&mut self) {
        let mut text = String::new();
        if !self.chance.once_in(6) {
            let content = self.chance.pick(&[
                "iso,vztmpl,backup",
                "backup,iso,snippets,vztmpl",
                "images,rootdir,iso,vztmpl,backup",
            ]);
            write!(
                text,
                "dir: local\n\tpath /var/lib/vz\n\tcontent {content}\n"
            )
            .expect("a text");
            if self.chance.once_in(2) {
                text.push_str("\tprune-backups keep-last=3\n");
            }
            if self.chance.once_in(3) {
                text.push_str("\tshared 0\n");
            }
            text.push('\n');
        }
        for store in STORES {
            if self.stores.is_empty() && store.name == "vg1" || self.chance.once_in(2) {
                text.push_str(store.section);
                self.stores.push(store);
            }
        }
        for section in OTHER_STORES {
            if self.chance.once_in(4) {
                text.push_str(section);
            }
        }
        self.put("etc/pve/storage.cfg", text);
    }

    fn network(&mut self) {
        let mut text = "auto lo\niface lo inet loopback\n\n".to_owned();
        let card = self.chance.pick(&["eno1", "enp3s0", "ens18", "eth0"]);
        let port = if self.chance.once_in(5) {
            write!(
                text,
                "iface {card} inet manual\n\niface enp9s0 inet manual\n\nauto bond0\niface bond0 inet manual\n\tbond-slaves \
                 {card} enp9s0\n\tbond-miimon 100\n\tbond-mode {}\n\n",
                self.chance.pick(&["active-backup", "802.3ad", "balance-alb"])
            )
            .expect("a text");
            "bond0"
        } else {
            let line = if self.chance.once_in(4) {
                format!("auto {card}\n")
            } else {
                String::new()
            };
            write!(text, "{line}iface {card} inet manual\n\n").expect("a text");
            card
        };
        let method = match self.chance.below(6) {
            0 => "inet dhcp\n",
            1 => {
                "inet static\n\taddress 192.0.2.10\n\tnetmask 255.255.255.0\n\tgateway 192.0.2.1\n"
            }
            _ => "inet static\n\taddress 192.0.2.10/24\n\tgateway 192.0.2.1\n",
        };
        write!(text, "auto vmbr0\niface vmbr0 {method}\tbridge-ports {port}\n\tbridge-stp off\n\tbridge-fd 0\n").expect("a text");
        let aware = self.chance.once_in(3);
        self.aware = aware;
        if aware {
            text.push_str("\tbridge-vlan-aware yes\n\tbridge-vids 2-4094\n");
        }
        if self.chance.once_in(5) {
            text.push_str("\tmtu 9000\n");
        }
        if self.chance.once_in(4) {
            text.push_str("\tpost-up echo 1 > /proc/sys/net/ipv4/ip_forward\n");
        }
        if self.chance.once_in(3) {
            text.push_str("#LAN\n");
        }
        text.push('\n');
        if self.chance.once_in(4) {
            text.push_str(
                "iface vmbr0 inet6 static\n\taddress 2001:db8::10/64\n\tgateway 2001:db8::1\n\n",
            );
        }
        if aware && self.chance.once_in(2) {
            text.push_str(
                "auto vmbr0.20\niface vmbr0.20 inet static\n\taddress 198.51.100.2/24\n\n",
            );
        }
        match self.chance.below(5) {
            0 => text.push_str("auto vmbr1\niface vmbr1 inet static\n\taddress 203.0.113.1/24\n\tbridge-ports none\n\tbridge-stp off\n\tbridge-fd 0\n\tpost-up iptables -t nat -A POSTROUTING -s '203.0.113.0/24' -o vmbr0 -j MASQUERADE\n\tpost-down iptables -t nat -D POSTROUTING -s '203.0.113.0/24' -o vmbr0 -j MASQUERADE\n\n"),
            1 => text.push_str("auto vmbr1\niface vmbr1 inet manual\n\tovs_type OVSBridge\n\n"),
            2 => text.push_str("auto vmbr1\niface vmbr1 inet manual\n\tbridge-ports none\n\tbridge-stp on\n\tbridge_fd 15\n\n"),
            _ => {}
        }
        text.push_str("source /etc/network/interfaces.d/*\n");
        self.put("etc/network/interfaces", text);
    }

    fn mac(&mut self) -> String {
        self.macs += 1;
        format!(
            "BC:24:11:00:{:02X}:{:02X}",
            self.macs >> 8,
            self.macs & 0xff
        )
    }

    fn store(&mut self) -> &'static Store {
        let at = self.chance.below(self.stores.len());
        self.stores[at]
    }

    /// A new volume of a guest.
    fn volume(&mut self, vmid: u32, container: bool) -> String {
        let store = self.store();
        let number = self.volumes;
        self.volumes += 1;
        let kind = if container && store.zfs {
            "subvol"
        } else {
            "vm"
        };
        if store.files {
            let format = if container || self.chance.once_in(2) {
                "raw"
            } else {
                "qcow2"
            };
            format!("{}:{vmid}/vm-{vmid}-disk-{number}.{format}", store.name)
        } else {
            format!("{}:{kind}-{vmid}-disk-{number}", store.name)
        }
    }

    fn vm(&mut self, vmid: u32) {
        let mut lines: BTreeMap<String, String> = BTreeMap::new();
        let mut set = |key: &str, value: &str| {
            lines.insert(key.to_owned(), value.to_owned());
        };
        let chance = &mut self.chance;
        if !chance.once_in(12) {
            let name = chance.pick(&[
                "Home-Assistant",
                "web",
                "win.server",
                "TrueNAS",
                "docker-1",
                "x",
            ]);
            set("name", &format!("{name}{vmid}"));
        }
        set(
            "memory",
            chance.pick(&["512", "2048", "4096", "8192", "16384"]),
        );
        set("cores", chance.pick(&["1", "2", "4", "8"]));
        if chance.once_in(2) {
            set("sockets", chance.pick(&["1", "1", "2"]));
        }
        set(
            "ostype",
            chance.pick(&[
                "l26", "l26", "l26", "win10", "win11", "w2k8", "other", "solaris",
            ]),
        );
        if !chance.once_in(4) {
            set(
                "cpu",
                chance.pick(&[
                    "host",
                    "x86-64-v2-AES",
                    "kvm64",
                    "host,hidden=1,flags=+pcid",
                    "qemu64",
                ]),
            );
        }
        if !chance.once_in(8) {
            set(
                "scsihw",
                chance.pick(&["virtio-scsi-single", "virtio-scsi-pci", "lsi", "pvscsi"]),
            );
        }
        if !chance.once_in(6) {
            let uuid = chance.uuid();
            set("smbios1", &format!("uuid={uuid}"));
            let uuid = chance.uuid();
            set("vmgenid", &uuid);
        }
        set("numa", chance.pick(&["0", "0", "1"]));
        let optional: &[(&str, &[&str])] = &[
            (
                "agent",
                &["0", "1", "1,fstrim_cloned_disks=1", "enabled=1,type=isa"],
            ),
            ("onboot", &["0", "1"]),
            (
                "startup",
                &["order=1", "order=2,up=30", "3", "up=10,down=60"],
            ),
            ("balloon", &["0", "512"]),
            ("machine", &["q35", "pc-i440fx-8.0", "pc-q35-8.1"]),
            ("vga", &["qxl", "std", "virtio", "none", "qxl,memory=64"]),
            ("tablet", &["0", "1"]),
            ("localtime", &["0", "1"]),
            ("protection", &["1"]),
            ("tags", &["home", "prod;web", "a,b c"]),
            ("args", &["-device isa-applesmc -smbios type=2"]),
            ("hotplug", &["disk,network,usb", "0"]),
            ("acpi", &["1"]),
            ("cpulimit", &["2", "1.5"]),
            ("cpuunits", &["1024"]),
            ("affinity", &["0-3", "0,2"]),
            ("kvm", &["1"]),
            ("audio0", &["device=ich9-intel-hda,driver=none"]),
            ("rng0", &["source=/dev/urandom"]),
            ("watchdog", &["model=i6300esb,action=reset", "i6300esb"]),
            ("bootdisk", &["scsi0"]),
            ("keyboard", &["de"]),
            ("spice_enhancements", &["videostreaming=all"]),
            ("usb0", &["spice"]),
            ("serial0", &["socket", "/dev/ttyS0"]),
            ("hookscript", &["local:snippets/hook.pl"]),
            ("tdf", &["0"]),
            ("startdate", &["now"]),
        ];
        for (key, values) in optional {
            if chance.once_in(5) {
                // A port is one guest's.
                let port = format!("ttyS{vmid}");
                set(key, &chance.pick(values).replace("ttyS0", &port));
            }
        }
        let ovmf = chance.once_in(3);
        let mut order = Vec::new();
        let disks = self.chance.below(4);
        for at in 0..disks {
            let bus = self.chance.pick(&["scsi", "scsi", "virtio", "sata", "ide"]);
            let slot = if self.chance.once_in(5) { at + 1 } else { at };
            if bus == "ide" && slot > 1 {
                continue;
            }
            let key = format!("{bus}{slot}");
            let mut value = self.volume(vmid, false);
            for part in [
                "cache=writeback",
                "discard=on",
                "ssd=1",
                "iothread=1",
                "backup=0",
                "replicate=0",
                "aio=threads",
                "serial=ABC",
            ] {
                let fits = match part {
                    "ssd=1" => bus != "virtio",
                    "iothread=1" => bus == "scsi" || bus == "virtio",
                    _ => true,
                };
                if fits && self.chance.once_in(4) {
                    write!(value, ",{part}").expect("a text");
                }
            }
            if !self.chance.once_in(6) {
                let size = self.chance.pick(&["8G", "32G", "100G", "1T", "4500M"]);
                write!(value, ",size={size}").expect("a text");
            }
            if lines.insert(key.clone(), value).is_none() {
                order.push(key);
            }
        }
        if ovmf {
            lines.insert("bios".to_owned(), "ovmf".to_owned());
            if !self.chance.once_in(5) {
                let volume = self.volume(vmid, false);
                let more =
                    self.chance
                        .pick(&["", ",efitype=4m", ",efitype=4m,pre-enrolled-keys=1"]);
                lines.insert("efidisk0".to_owned(), format!("{volume}{more},size=4M"));
            }
            if self.chance.once_in(3) {
                let volume = self.volume(vmid, false);
                if !volume.contains(".qcow2") {
                    lines.insert(
                        "tpmstate0".to_owned(),
                        format!("{volume},size=4M,version=v2.0"),
                    );
                }
            }
        }
        if self.chance.once_in(2) {
            let value = self.chance.pick(&[
                "none,media=cdrom",
                "local:iso/debian-12.iso,media=cdrom,size=628M",
                "none,media=cdrom",
                "cdrom,media=cdrom",
            ]);
            lines.insert("ide2".to_owned(), value.to_owned());
            order.push("ide2".to_owned());
        }
        if self.chance.once_in(3) {
            self.cloud_init(vmid, &mut lines);
        }
        if self.chance.once_in(3) {
            // Each guest has cards of its own: one in two guests is a fault.
            let bus = format!("{:02x}", vmid - 90);
            let value = self.chance.pick(&[
                "0000:BB:00,rombar=0",
                "BB:00.0,x-vga=1",
                "0000:BB:00.0;0000:BB:00.1",
                "host=0000:BB:00.3,romfile=a.rom",
                "0000:BB:00.0,mdev=nvidia-63",
            ]);
            let slot = self.chance.pick(&["hostpci0", "hostpci1"]);
            lines.insert(slot.to_owned(), value.replace("BB", &bus));
        }
        let cards = self.chance.below(3);
        for at in 0..cards {
            let at = if self.chance.once_in(8) { at + 1 } else { at };
            let model = self
                .chance
                .pick(&["virtio", "virtio", "e1000", "vmxnet3", "rtl8139"]);
            let bridge = self
                .chance
                .pick(&["vmbr0", "vmbr0", "vmbr0", "vmbr1", "vmbr9"]);
            let mac = self.mac();
            let mut value = format!("{model}={mac},bridge={bridge}");
            for part in [
                "firewall=1",
                "link_down=1",
                "queues=4",
                "rate=12.5",
                "tag=20",
                "mtu=1",
                "trunks=20;30",
            ] {
                let tagged = part.starts_with("tag") || part.starts_with("trunks");
                if self.chance.once_in(6) && (self.aware && bridge == "vmbr0" || !tagged) {
                    write!(value, ",{part}").expect("a text");
                }
            }
            if lines.insert(format!("net{at}"), value).is_none() {
                order.push(format!("net{at}"));
            }
        }
        if !self.chance.once_in(8) {
            let value = match self.chance.below(6) {
                0 => String::new(),
                1 => "cdn".to_owned(),
                _ => format!("order={}", order.join(";")),
            };
            lines.insert(
                "boot".to_owned(),
                if value == "order=" {
                    String::new()
                } else {
                    value
                },
            );
        }
        self.write_guest("qemu-server", vmid, &lines, "");
    }

    fn cloud_init(&mut self, vmid: u32, lines: &mut BTreeMap<String, String>) {
        let slot = self.chance.pick(&["ide0", "ide3", "scsi7", "sata5"]);
        let volume = self.volume(vmid, false);
        let (store, _) = volume.split_once(':').expect("a store");
        let name = if volume.contains('/') {
            format!("{vmid}/vm-{vmid}-cloudinit.qcow2")
        } else {
            format!("vm-{vmid}-cloudinit")
        };
        lines.insert(
            slot.to_owned(),
            format!("{store}:{name},media=cdrom,size=4M"),
        );
        for (key, values) in [
            ("ciuser", &["admin", "bob"][..]),
            ("ciupgrade", &["0", "1"]),
            ("nameserver", &["192.0.2.1", "192.0.2.1 192.0.2.2"]),
            ("searchdomain", &["home.arpa"]),
            (
                "sshkeys",
                &["ssh-ed25519%20AAAAC3NzaC1lZDI1NTE5AAAAIA%20a%0A", "odd"],
            ),
            (
                "ipconfig0",
                &[
                    "ip=dhcp",
                    "ip=192.0.2.77/24,gw=192.0.2.1",
                    "ip=dhcp,ip6=auto",
                    "gw=203.0.113.1,ip=192.0.2.78/24",
                ],
            ),
            ("cicustom", &["user=local:snippets/u.yaml"]),
        ] {
            if self.chance.once_in(2) {
                let value = self.chance.pick(values);
                lines.insert(key.to_owned(), value.to_owned());
            }
        }
    }

    fn container(&mut self, vmid: u32) {
        let mut lines: BTreeMap<String, String> = BTreeMap::new();
        let mut set = |key: &str, value: &str| {
            lines.insert(key.to_owned(), value.to_owned());
        };
        let chance = &mut self.chance;
        let name = chance.pick(&["pihole", "Plex", "js.dev", "nginx", "db"]);
        set("hostname", &format!("{name}{vmid}"));
        set("arch", "amd64");
        set(
            "ostype",
            chance.pick(&[
                "debian",
                "ubuntu",
                "alpine",
                "centos",
                "archlinux",
                "unmanaged",
                "nixos",
                "fedora",
            ]),
        );
        let optional: &[(&str, &[&str])] = &[
            ("memory", &["256", "512", "2048"]),
            ("swap", &["0", "512", "1024"]),
            ("cores", &["1", "2", "4"]),
            ("unprivileged", &["1", "1", "0"]),
            ("onboot", &["1", "0"]),
            ("startup", &["order=1", "order=2,up=30"]),
            (
                "features",
                &[
                    "nesting=1",
                    "keyctl=1,nesting=1",
                    "nesting=1,mount=nfs;cifs",
                    "fuse=1",
                ],
            ),
            ("nameserver", &["192.0.2.1", "192.0.2.1 192.0.2.2"]),
            ("searchdomain", &["home.arpa"]),
            ("timezone", &["host", "Europe/Berlin"]),
            ("cmode", &["shell", "console"]),
            ("tags", &["media", "a;b"]),
            ("protection", &["1"]),
            ("cpulimit", &["1", "0.5"]),
            ("cpuunits", &["100"]),
            ("console", &["1"]),
            ("tty", &["2", "1"]),
            ("debug", &["0"]),
            (
                "dev0",
                &[
                    "/dev/dri/renderD128,gid=104",
                    "/dev/ttyUSB0,mode=0660",
                    "/dev/net/tun",
                ],
            ),
            ("lock", &["backup"]),
        ];
        for (key, values) in optional {
            if chance.once_in(2) && *key != "lock" || chance.once_in(30) {
                let value = chance.pick(values);
                set(key, value);
            }
        }
        let rootfs = self.volume(vmid, true);
        let more = self.chance.pick(&[
            "",
            ",mountoptions=noatime",
            ",acl=1",
            ",quota=0",
            ",replicate=0",
        ]);
        lines.insert("rootfs".to_owned(), format!("{rootfs}{more},size=8G"));
        let mounts = self.chance.below(3);
        for at in 0..mounts {
            let slot = if self.chance.once_in(4) { at + 2 } else { at };
            let value = if self.chance.once_in(2) {
                let volume = self.volume(vmid, true);
                let more = self.chance.pick(&["", ",backup=1", ",backup=0", ",ro=1"]);
                format!("{volume},mp=/data{at}{more},size=16G")
            } else {
                let more = self.chance.pick(&["", ",ro=1", ",shared=1"]);
                format!("/mnt/share{at},mp=/share{at}{more}")
            };
            lines.insert(format!("mp{slot}"), value);
        }
        let cards = self.chance.below(3);
        for at in 0..cards {
            let mac = self.mac();
            let ip = match self.chance.below(5) {
                0 => "ip=dhcp".to_owned(),
                1 => "ip=manual".to_owned(),
                2 => "ip6=auto".to_owned(),
                3 => format!("ip=192.0.2.{}/24,gw=192.0.2.1", 20 + self.macs),
                _ => format!("ip=192.0.2.{}/24,ip6=dhcp", 20 + self.macs),
            };
            let mut value = format!("name=eth{at},bridge=vmbr0,hwaddr={mac},{ip},type=veth");
            for part in ["firewall=1", "tag=20", "rate=5", "mtu=1400", "link_down=1"] {
                if self.chance.once_in(6) && (self.aware || part != "tag=20") {
                    write!(value, ",{part}").expect("a text");
                }
            }
            lines.insert(format!("net{at}"), value);
        }
        let raw = self.chance.pick(&[
            "",
            "",
            "lxc.cgroup2.devices.allow: c 226:0 rwm\nlxc.mount.entry: /dev/dri dev/dri none bind,optional,create=dir\n",
            "lxc.apparmor.profile: unconfined\nlxc.cap.drop:\n",
        ]);
        self.write_guest("lxc", vmid, &lines, raw);
    }

    fn write_guest(
        &mut self,
        folder: &str,
        vmid: u32,
        lines: &BTreeMap<String, String>,
        raw: &str,
    ) {
        let mut text = String::new();
        if self.chance.once_in(3) {
            text.push_str("#<h2>%C3%9Cber</h2>\n#two \"lines\"\n");
        }
        for (key, value) in lines {
            writeln!(text, "{key}: {value}").expect("a text");
        }
        if self.chance.once_in(4) {
            text.push_str("unused0: local-lvm:vm-999-disk-9\n");
        }
        text.push_str(raw);
        if self.chance.once_in(5) {
            text.push_str("\n[before]\n#a snapshot\nmemory: 128\nsnaptime: 1700000000\n");
        }
        let node = self.node;
        self.put(&format!("etc/pve/nodes/{node}/{folder}/{vmid}.conf"), text);
    }

    fn jobs(&mut self, numbers: &[u32]) {
        let mut text = String::new();
        for at in 0..self.chance.below(3) {
            writeln!(text, "vzdump: backup-{at}").expect("a text");
            let schedule = self.chance.pick(&[
                "02:00",
                "sat 02:00",
                "mon..fri 21:30",
                "sun 01:00",
                "*/30",
                "daily",
            ]);
            let who = if self.chance.once_in(2) {
                "all 1".to_owned()
            } else {
                format!("vmid {}", numbers[0])
            };
            let store = self.chance.pick(&["local", "nas", "offsite"]);
            let text_of = self.host.0["etc/pve/storage.cfg"].clone();
            let known = store == "local" || text_of.contains(&format!(": {store}\n"));
            let store = if known { store } else { "local" };
            write!(text, "\tschedule {schedule}\n\t{who}\n\tstorage {store}\n").expect("a text");
            for line in [
                "enabled 1",
                "enabled 0",
                "mode snapshot",
                "compress zstd",
                "compress 0",
                "notes-template {{guestname}}",
                "prune-backups keep-last=3",
                "repeat-missed 0",
                "notification-mode notification-system",
                "mailto me@example.org",
                "fleecing 0",
                "node pve1",
            ] {
                let key = line.split(' ').next().unwrap_or_default();
                let own = text.rsplit("vzdump: ").next().unwrap_or_default();
                let is_new = !own.contains(&format!("\t{key} "));
                if is_new && self.chance.once_in(3) {
                    writeln!(text, "\t{line}").expect("a text");
                }
            }
            text.push('\n');
        }
        if !text.is_empty() {
            self.put("etc/pve/jobs.cfg", text);
        }
    }

    fn rest(&mut self) {
        if self.chance.once_in(4) {
            // moxc's own words for a card that is passed on stand in a file of this name, too.
            let own = "softdep drm pre: vfio-pci\noptions vfio-pci ids=10de:0be3 disable_vga=1\n";
            self.put("etc/modprobe.d/vfio.conf", own);
        }
        if self.chance.once_in(3) {
            self.put(
                "etc/pve/datacenter.cfg",
                "keyboard: de\nmigration: type=secure,network=192.0.2.0/24\n",
            );
        }
        if self.chance.once_in(3) {
            self.put(
                "etc/vzdump.conf",
                "# vzdump default settings\n#tmpdir: DIR\nbwlimit: 100000\n",
            );
        }
        if self.chance.once_in(4) {
            self.put("etc/pve/firewall/cluster.fw", "[OPTIONS]\n\nenable: 1\n\n[ALIASES]\n\nlan 192.0.2.0/24\n\n[RULES]\n\nIN ACCEPT -source lan -p tcp -dport 22 # ssh\n");
            let rules = self.chance.pick(&[
                "IN HTTPS(ACCEPT) -log nolog",
                "IN ACCEPT -source 192.0.2.0/24 -p tcp -dport 22 -log nolog # ssh",
                "IN ACCEPT -p tcp -dport 80,443\n|OUT DROP -p udp -dport 53 -log info",
                "IN ACCEPT -i net0 -p tcp",
            ]);
            let options = self.chance.pick(&[
                "enable: 1",
                "enable: 0",
                "enable: 1\npolicy_in: DROP",
                "enable: 1\ndhcp: 1\npolicy_out: REJECT",
            ]);
            for vmid in [100, 101] {
                self.put(
                    &format!("etc/pve/firewall/{vmid}.fw"),
                    format!("[OPTIONS]\n\n{options}\n\n[RULES]\n\n{rules}\n"),
                );
            }
        }
        if self.chance.once_in(4) {
            self.put(
                "etc/modprobe.d/mine.conf",
                "options kvm ignore_msrs=1 report_ignored_msrs=0\nblacklist nouveau\n",
            );
            self.put("etc/modules", "# modules\nvfio\nnct6775\n");
        }
        if self.chance.once_in(5) {
            self.put(
                "etc/modprobe.d/odd.conf",
                "softdep nouveau pre: vfio-pci\ninstall usb-storage /bin/true\n",
            );
        }
        if self.chance.once_in(4) {
            self.put("etc/sysctl.d/99-mine.conf", "vm.swappiness = 10\n");
        }
    }
}

/// The plan of a spec against a host.
fn plan_of(text: &str, live: &Snapshot) -> Plan {
    let mut compiled = Compiled::of("host.toml", text);
    let files = compiled
        .files(&[Target::Proxmox], &Templates::built_in())
        .expect("no errors");
    let host = compiled.checked.host;
    plan::compare(
        &Wanted {
            host: &host,
            files: &files,
        },
        live,
    )
}

fn number(name: &str, otherwise: u64) -> u64 {
    let value = std::env::var(name)
        .ok()
        .and_then(|value| value.parse().ok());
    value.unwrap_or(otherwise)
}

#[test]
fn hosts_made_up_by_chance_are_adopted_and_nothing_changes() {
    let first = number("MOXC_RANDOM_SEED", 1);
    let count = number("MOXC_RANDOM_HOSTS", 120);
    let mut wrong: Vec<String> = Vec::new();
    for seed in first..first + count {
        let host = host(seed);
        let live = host.snapshot();
        let adopted = adopt::adopt(&live, seed % 2 == 0);
        if let Some(folder) = std::env::var_os("MOXC_RANDOM_KEEP") {
            let folder = Path::new(&folder).join(seed.to_string());
            host.keep(&folder.join("live")).expect("room on the disk");
            fs::write(folder.join("host.toml"), &adopted.text).expect("room on the disk");
        }
        wrong.extend(
            adopted
                .faults
                .iter()
                .map(|fault| format!("host {seed}: {fault}")),
        );
        if !adopted.faults.is_empty() && count == 1 {
            wrong.push(adopted.text.clone());
        }
        match &adopted.plan {
            None => wrong.push(format!("host {seed} does not compile: {:?}", adopted.found)),
            Some(plan) => {
                wrong.extend(plan.changes.iter().map(|change| {
                    format!(
                        "host {seed}: {} {:?} would change",
                        change.object, change.option
                    )
                }));
                // What the spec does not say of a guest would be lost where the guest is made anew.
                let unsaid = plan.foreign.iter().filter(|foreign| {
                    foreign.option.is_some()
                        && matches!(foreign.object, Object::Vm(_) | Object::Ct(_))
                });
                wrong.extend(unsaid.map(|foreign| {
                    format!(
                        "host {seed}: {} {:?} is not said",
                        foreign.object, foreign.option
                    )
                }));
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "{} faults\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}

/// A single change of a host: in a file the first of these words becomes another.
struct Mutation {
    path: String,
    from: String,
    to: String,
    object: String,
    option: Option<&'static str>,
}

impl Mutation {
    /// The file afterwards.
    fn text(&self, host: &Host) -> String {
        host.0[&self.path].replacen(&self.from, &self.to, 1)
    }
}

/// Every single change that a host has a place for.
fn mutations(host: &Host) -> Vec<Mutation> {
    let mut all = Vec::new();
    for (path, text) in &host.0 {
        let mut add = |from: &str, to: &str, object: String, option: Option<&'static str>| {
            let first = text.split("\n[").next().unwrap_or_default();
            if first.contains(from) {
                all.push(Mutation {
                    path: path.clone(),
                    from: from.to_owned(),
                    to: to.to_owned(),
                    object,
                    option,
                });
            }
        };
        let number = path
            .rsplit('/')
            .next()
            .and_then(|name| name.strip_suffix(".conf"));
        if let Some(vmid) = number.filter(|_| path.contains("/qemu-server/")) {
            let object = || format!("vm/{vmid}");
            add("\nmemory: ", "\nmemory: 1", object(), Some("memory"));
            add("\ncores: ", "\ncores: 1", object(), Some("cores"));
            add("\nostype: l26", "\nostype: l24", object(), Some("ostype"));
            add("\nname: ", "\nname: a", object(), Some("name"));
            add(
                "\nscsihw: lsi",
                "\nscsihw: pvscsi",
                object(),
                Some("scsihw"),
            );
            add("bridge=vmbr0,firewall=1", "bridge=vmbr0", object(), None);
            add("cache=writeback", "cache=unsafe", object(), None);
            add(
                "\nsmbios1: uuid=",
                "\nsmbios1: serial=1,uuid=",
                object(),
                None,
            );
        }
        if let Some(vmid) = number.filter(|_| path.contains("/lxc/")) {
            let object = || format!("ct/{vmid}");
            add("\nhostname: ", "\nhostname: a", object(), Some("hostname"));
            add("\nmemory: ", "\nmemory: 1", object(), Some("memory"));
            add(
                "\nunprivileged: 1",
                "\nunprivileged: 0",
                object(),
                Some("unprivileged"),
            );
            add("mp=/data0", "mp=/data9", object(), None);
            add(
                "lxc.apparmor.profile: unconfined",
                "lxc.apparmor.profile: generated",
                object(),
                Some("lxc"),
            );
        }
        match path.as_str() {
            "etc/pve/storage.cfg" => {
                add(
                    "\n\tvgname vg1",
                    "\n\tvgname vg2",
                    "storage/vg1".to_owned(),
                    Some("vgname"),
                );
                add(
                    "server 192.0.2.5",
                    "server 192.0.2.55",
                    "storage/nas".to_owned(),
                    Some("server"),
                );
                add(
                    "\tredundancy 2",
                    "\tredundancy 3",
                    "storage/odd".to_owned(),
                    Some("redundancy"),
                );
            }
            "etc/network/interfaces" => {
                add(
                    "address 192.0.2.10",
                    "address 192.0.2.12",
                    "interface/vmbr0".to_owned(),
                    Some("address"),
                );
                add(
                    "bond-mode 802.3ad",
                    "bond-mode balance-rr",
                    "interface/bond0".to_owned(),
                    Some("bond-mode"),
                );
                add(
                    "198.51.100.2/24",
                    "198.51.100.3/24",
                    "interface/vmbr0.20".to_owned(),
                    Some("address"),
                );
            }
            "etc/pve/datacenter.cfg" => {
                add(
                    "keyboard: de",
                    "keyboard: fr",
                    "file/etc/pve/datacenter.cfg".to_owned(),
                    Some("keyboard"),
                );
            }
            "etc/sysctl.d/99-mine.conf" => {
                add(
                    "= 10",
                    "= 60",
                    "file/etc/sysctl.d/99-mine.conf".to_owned(),
                    None,
                );
            }
            "etc/pve/jobs.cfg" => {
                add(
                    "\tschedule 02:00",
                    "\tschedule 05:00",
                    String::new(),
                    Some("schedule"),
                );
                add(
                    "\tcompress zstd",
                    "\tcompress lzo",
                    String::new(),
                    Some("compress"),
                );
            }
            _ => {}
        }
    }
    all
}

#[test]
fn a_single_change_of_a_host_is_found_once_at_its_place() {
    let first = number("MOXC_RANDOM_SEED", 1);
    let count = number("MOXC_RANDOM_HOSTS", 120) / 4;
    let (mut wrong, mut tried) = (Vec::new(), 0);
    for seed in first..first + count {
        let host = host(seed);
        let live = host.snapshot();
        let text = adopt::adopt(&live, false).text;
        let foreign = plan_of(&text, &live).foreign.len();
        let mut chance = Chance(seed + 77);
        for mutation in mutations(&host) {
            if !chance.once_in(3) {
                continue;
            }
            tried += 1;
            let mut changed = host.clone();
            changed
                .0
                .insert(mutation.path.clone(), mutation.text(&host));
            let plan = plan_of(&text, &changed.snapshot());
            let found: Vec<String> = plan
                .changes
                .iter()
                .map(|change| {
                    format!(
                        "{} {}",
                        change.object,
                        change.option.as_deref().unwrap_or("")
                    )
                })
                .collect();
            let is_it = matches!(&plan.changes[..], [only] if only.object.to_string().starts_with(&mutation.object)
                && mutation.option.is_none_or(|option| only.option.as_deref() == Some(option)));
            if !is_it || plan.foreign.len() != foreign {
                wrong.push(format!(
                    "host {seed}: {:?} → {:?} in {}: {found:?}, {} foreign instead of {foreign}",
                    mutation.from,
                    mutation.to,
                    mutation.path,
                    plan.foreign.len()
                ));
            }
        }
    }
    assert!(tried > 50 || count < 30, "only {tried} changes were tried");
    assert!(
        wrong.is_empty(),
        "{} of {tried}\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}

/// An edit of a host by hand: what becomes of a file, and the guest that it is about, if it is of one alone.
#[derive(Debug)]
struct Edit {
    path: String,
    after: Option<String>,
    guest: Option<String>,
}

/// The changes of single values, and of each guest: a line of its options goes, or the guest itself.
fn edits(host: &Host) -> Vec<Edit> {
    let values = mutations(host).into_iter().map(|mutation| Edit {
        after: Some(mutation.text(host)),
        path: mutation.path,
        guest: None,
    });
    let mut all: Vec<Edit> = values.collect();
    for (path, text) in &host.0 {
        let kind = if path.contains("/qemu-server/") {
            "vm"
        } else if path.contains("/lxc/") {
            "ct"
        } else {
            continue;
        };
        let name = path.rsplit('/').next().unwrap_or_default();
        let vmid = name.strip_suffix(".conf").expect("a guest's file");
        let mut edit = |after: Option<String>| {
            all.push(Edit {
                path: path.clone(),
                after,
                guest: Some(format!("{kind}/{vmid}")),
            });
        };
        edit(None);
        let lines: Vec<&str> = text.lines().collect();
        let of_sections = lines.iter().position(|line| line.starts_with('['));
        for gone in 0..of_sections.unwrap_or(lines.len()) {
            // Lines of the description are no options.
            if !lines[gone].is_empty() && !lines[gone].starts_with('#') {
                let left = [&lines[..gone], &lines[gone + 1..]].concat();
                edit(Some(left.join("\n") + "\n"));
            }
        }
    }
    all
}

/// What a plan says of a host after some edits, each change in one line, in the order of the lines.
fn said_after(text: &str, host: &Host, edits: &[&Edit]) -> Vec<String> {
    let mut changed = host.clone();
    for edit in edits {
        match &edit.after {
            Some(after) => changed.0.insert(edit.path.clone(), after.clone()),
            None => changed.0.remove(&edit.path),
        };
    }
    let plan = plan_of(text, &changed.snapshot());
    let mut said: Vec<String> = plan
        .changes
        .iter()
        .map(|change| {
            format!(
                "{} {:?} {:?} -> {:?}, {:?}",
                change.object, change.option, change.before, change.after, change.class.when
            )
        })
        .collect();
    said.sort();
    said
}

#[test]
fn edits_of_several_files_are_found_together_as_each_alone() {
    let first = number("MOXC_RANDOM_SEED", 1);
    let count = number("MOXC_RANDOM_HOSTS", 120) / 6;
    let (mut wrong, mut tried) = (Vec::new(), 0);
    for seed in first..first + count {
        let host = host(seed);
        let text = adopt::adopt(&host.snapshot(), false).text;
        let mut chance = Chance(seed + 1234);
        let all = edits(&host);
        let mut chosen: Vec<&Edit> = Vec::new();
        for _ in 0..12.min(all.len()) {
            let edit = &all[chance.below(all.len())];
            if chosen.iter().all(|other| other.path != edit.path) {
                chosen.push(edit);
            }
        }
        let mut alone: Vec<String> = Vec::new();
        for edit in &chosen {
            tried += 1;
            let said = said_after(&text, &host, &[edit]);
            if let Some(guest) = &edit.guest {
                let others = said
                    .iter()
                    .filter(|line| !line.starts_with(&format!("{guest} ")));
                wrong.extend(
                    others.map(|line| format!("host {seed}: {edit:?} is no edit of {line}")),
                );
            }
            alone.extend(said);
        }
        alone.sort();
        let together = said_after(&text, &host, &chosen);
        if together != alone {
            wrong.push(format!(
                "host {seed}: {chosen:#?}\ntogether: {together:#?}\neach alone: {alone:#?}"
            ));
        }
    }
    assert!(tried > 40 || count < 20, "only {tried} edits were tried");
    assert!(
        wrong.is_empty(),
        "{} faults\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}

/// Copies that are broken in any way are read all the same, and never stop the program.
#[test]
fn broken_copies_are_adopted_as_far_as_they_go() {
    let first = number("MOXC_RANDOM_SEED", 1);
    for seed in first..first + number("MOXC_RANDOM_HOSTS", 120) / 4 {
        let mut host = host(seed);
        let mut chance = Chance(seed + 4711);
        let paths: Vec<String> = host.0.keys().cloned().collect();
        for path in paths {
            let text = host.0.get_mut(&path).expect("the file");
            if text.starts_with("-> ") || text.is_empty() || chance.once_in(2) {
                continue;
            }
            let chars: Vec<char> = text.chars().collect();
            let at = chance.below(chars.len());
            let until = (at + 1 + chance.below(12)).min(chars.len());
            let middle = match chance.below(5) {
                0 => String::new(),
                1 => "\u{0}\u{7f}é".to_owned(),
                2 => "=,;:/".to_owned(),
                3 => "9999999999999999999999".to_owned(),
                _ => "\n\n[x]\n".to_owned(),
            };
            let parts = [
                chars[..at].iter().collect(),
                middle,
                chars[until..].iter().collect::<String>(),
            ];
            *text = parts.concat();
        }
        let adopted = adopt::adopt(&host.snapshot(), seed % 2 == 0);
        assert!(
            adopted.plan.is_some(),
            "host {seed}: {:?}\n{}",
            adopted.found,
            adopted.text
        );
    }
}
