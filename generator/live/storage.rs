//! What `zpool`, `zfs`, `lvs`, `vgs` and `pvesm` say of the host's storage.

use std::collections::BTreeMap;

use serde_json::Value;

use super::hardware::number;

/// A value with where it comes from, as `zfs get` prints both.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Property {
    /// The value.
    pub value: String,
    /// `local`, `default`, `inherited from …`, `received`, `-`.
    pub source: String,
}

impl Property {
    /// Whether somebody set it here.
    pub fn is_set_here(&self) -> bool {
        self.source == "local" || self.source == "received"
    }
}

/// Properties by the name of what has them, and by their own.
pub type Properties = BTreeMap<String, BTreeMap<String, Property>>;

/// Reads `zpool get -Hp all` and `zfs get -Hp -o name,property,value,source all`.
pub fn read_properties(text: &str) -> Properties {
    let mut all = Properties::new();
    for line in text.lines() {
        let mut fields = line.split('\t');
        let (Some(name), Some(property), Some(value)) =
            (fields.next(), fields.next(), fields.next())
        else {
            continue;
        };
        let source = fields.next().unwrap_or("-");
        let value = Property {
            value: value.to_owned(),
            source: source.to_owned(),
        };
        if let Some(known) = all.get_mut(name) {
            known.insert(property.to_owned(), value);
        } else {
            all.insert(
                name.to_owned(),
                BTreeMap::from([(property.to_owned(), value)]),
            );
        }
    }
    all
}

/// A pool as `zpool status -P` shows it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pool {
    /// Its name.
    pub name: String,
    /// `ONLINE`, `DEGRADED`, …
    pub state: String,
    /// Its vdevs in their order, by the class that they belong to.
    pub vdevs: Vec<Vdev>,
}

/// A vdev of a pool.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Vdev {
    /// What it serves.
    pub class: VdevClass,
    /// `mirror`, `raidz1`, …; `disk` for a single one.
    pub level: String,
    /// Its members, as paths where `-P` was asked, else as names.
    pub members: Vec<String>,
}

/// What a vdev serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum VdevClass {
    /// Data.
    Data,
    /// The intent log.
    Log,
    /// The second level of the read cache.
    Cache,
    /// A spare.
    Spare,
    /// Metadata and small blocks.
    Special,
    /// The deduplication table.
    Dedup,
}

/// Reads `zpool status`, with or without `-P`.
pub fn read_zpool_status(text: &str) -> Vec<Pool> {
    let mut pools: Vec<Pool> = Vec::new();
    let mut in_config = false;
    let mut class = VdevClass::Data;
    for line in text.lines() {
        let trimmed = line.trim();
        if let Some(name) = trimmed.strip_prefix("pool: ") {
            pools.push(Pool {
                name: name.to_owned(),
                ..Pool::default()
            });
            in_config = false;
            continue;
        }
        let Some(pool) = pools.last_mut() else {
            continue;
        };
        if let Some(state) = trimmed.strip_prefix("state: ")
            && !in_config
        {
            state.clone_into(&mut pool.state);
        } else if trimmed == "config:" {
            in_config = true;
            class = VdevClass::Data;
        } else if trimmed.starts_with("errors:") {
            in_config = false;
        } else if in_config && line.starts_with('\t') && !trimmed.is_empty() {
            status_line(pool, &mut class, line);
        }
    }
    pools
}

/// One line of a pool's tree: a tab, two blanks a level, the name.
fn status_line(pool: &mut Pool, class: &mut VdevClass, line: &str) {
    let line = &line[1..];
    let indent = line.len() - line.trim_start().len();
    let name = line.split_whitespace().next().unwrap_or_default();
    match (indent, name) {
        (0, "NAME") => {}
        (0, "logs") => *class = VdevClass::Log,
        (0, "cache") => *class = VdevClass::Cache,
        (0, "spares") => *class = VdevClass::Spare,
        (0, "special") => *class = VdevClass::Special,
        (0, "dedup") => *class = VdevClass::Dedup,
        (0, _) => *class = VdevClass::Data,
        (2, _) => match name.rsplit_once('-') {
            Some((level, number))
                if is_level(level) && number.bytes().all(|b| b.is_ascii_digit()) =>
            {
                pool.vdevs.push(Vdev {
                    class: *class,
                    level: level.to_owned(),
                    members: Vec::new(),
                });
            }
            _ => pool.vdevs.push(Vdev {
                class: *class,
                level: "disk".to_owned(),
                members: vec![name.to_owned()],
            }),
        },
        // `replacing-0` and `spare-1` are what a member is for a while; the disks stand below.
        _ if name.starts_with("replacing-") || name.starts_with("spare-") => {}
        _ => {
            if let Some(vdev) = pool.vdevs.last_mut() {
                vdev.members.push(name.to_owned());
            }
        }
    }
}

fn is_level(name: &str) -> bool {
    let name = name.split(':').next().unwrap_or(name);
    matches!(name, "mirror" | "raidz1" | "raidz2" | "raidz3" | "raidz") || name.starts_with("draid")
}

/// A volume group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VolumeGroup {
    /// Its name.
    pub name: String,
    /// In bytes.
    pub size: u64,
    /// In bytes.
    pub free: u64,
}

/// A logical volume.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogicalVolume {
    /// Its name.
    pub name: String,
    /// The volume group.
    pub group: String,
    /// In bytes.
    pub size: u64,
    /// The thin pool that it lies in.
    pub pool: Option<String>,
}

/// Reads `vgs --reportformat json --units b`.
pub fn read_vgs(text: &str) -> Result<Vec<VolumeGroup>, String> {
    let rows = report_rows(text, "vg")?;
    Ok(rows
        .iter()
        .map(|row| VolumeGroup {
            name: row["vg_name"].as_str().unwrap_or_default().to_owned(),
            size: number(&row["vg_size"]),
            free: number(&row["vg_free"]),
        })
        .collect())
}

/// Reads `lvs --reportformat json --units b`.
pub fn read_lvs(text: &str) -> Result<Vec<LogicalVolume>, String> {
    let rows = report_rows(text, "lv")?;
    let word = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    Ok(rows
        .iter()
        .map(|row| LogicalVolume {
            name: word(&row["lv_name"]),
            group: word(&row["vg_name"]),
            size: number(&row["lv_size"]),
            pool: Some(word(&row["pool_lv"])).filter(|pool| !pool.is_empty()),
        })
        .collect())
}

fn report_rows(text: &str, what: &str) -> Result<Vec<Value>, String> {
    let mut value: Value = serde_json::from_str(text).map_err(|error| error.to_string())?;
    let Some(reports) = value.get_mut("report").and_then(Value::as_array_mut) else {
        return Err("there is no `report` in it".to_owned());
    };
    Ok(reports
        .iter_mut()
        .filter_map(|report| match report.get_mut(what)?.take() {
            Value::Array(rows) => Some(rows),
            _ => None,
        })
        .flatten()
        .collect())
}

/// A volume of a storage, as `pvesm list` shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredVolume {
    /// `local-zfs:vm-100-disk-0`.
    pub id: String,
    /// `raw`, `qcow2`, `subvol`, `iso`, …
    pub format: String,
    /// `images`, `rootdir`, `iso`, `vztmpl`, `backup`, …
    pub content: String,
    /// In bytes.
    pub size: u64,
    /// The guest that it belongs to.
    pub vmid: Option<u32>,
}

/// Reads `pvesm list STORE` of each store, one after another.
pub fn read_pvesm(text: &str) -> Vec<StoredVolume> {
    text.lines()
        .filter(|line| !line.starts_with("Volid"))
        .filter_map(|line| {
            let fields: Vec<&str> = line.split_whitespace().collect();
            // A file's name may hold blanks: what stands behind it is counted from the end.
            let numbered = fields.last()?.parse::<u32>().ok();
            let has_vmid = fields.len() >= 5
                && fields[fields.len() - 2].bytes().all(|b| b.is_ascii_digit())
                && numbered.is_some();
            let end = fields.len() - usize::from(has_vmid);
            let [_, .., format, content, size] = fields[..end] else {
                return None;
            };
            let id = line.split(&format!(" {format} ")).next()?.trim_end();
            Some(StoredVolume {
                id: id.to_owned(),
                format: format.to_owned(),
                content: content.to_owned(),
                size: size.parse().ok()?,
                vmid: numbered.filter(|_| has_vmid),
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_a_pools_tree() {
        let text = "  pool: tank\n state: ONLINE\n  scan: scrub repaired 0B\nconfig:\n\n\tNAME  STATE READ WRITE CKSUM\n\ttank  \
                    ONLINE 0 0 0\n\t  mirror-0  ONLINE 0 0 0\n\t    /dev/disk/by-id/ata-A-part1  ONLINE 0 0 0\n\t    \
                    replacing-1  ONLINE 0 0 0\n\t      /dev/disk/by-id/ata-B-part1  ONLINE 0 0 0\n\t  \
                    raidz2-1  ONLINE 0 0 0\n\t    /dev/sdc1  ONLINE 0 0 0\n\tspecial\n\t  /dev/nvme0n1p1  ONLINE 0 0 \
                    0\n\tcache\n\t  /dev/sdx1 ONLINE 0 0 0\n\nerrors: No known data errors\n\n  pool: rpool\n state: \
                    DEGRADED\nconfig:\n\n\tNAME STATE\n\trpool DEGRADED\n\t  sda3 ONLINE\n\nerrors: none\n";
        let pools = read_zpool_status(text);
        assert_eq!(pools.len(), 2);
        let tank = &pools[0];
        assert_eq!(
            (tank.name.as_str(), tank.state.as_str()),
            ("tank", "ONLINE")
        );
        let seen: Vec<(VdevClass, &str, usize)> = tank
            .vdevs
            .iter()
            .map(|vdev| (vdev.class, vdev.level.as_str(), vdev.members.len()))
            .collect();
        assert_eq!(
            seen,
            [
                (VdevClass::Data, "mirror", 2),
                (VdevClass::Data, "raidz2", 1),
                (VdevClass::Special, "disk", 1),
                (VdevClass::Cache, "disk", 1),
            ]
        );
        assert_eq!(pools[1].vdevs[0].members, ["sda3"]);
    }

    #[test]
    fn reads_properties_volumes_and_groups() {
        let all = read_properties(
            "tank\tcompression\tlz4\tlocal\ntank/x\tcompression\tlz4\tinherited from tank\nbad line\n",
        );
        assert!(all["tank"]["compression"].is_set_here());
        assert!(!all["tank/x"]["compression"].is_set_here());
        let lvs = read_lvs(
            r#"{"report":[{"lv":[{"lv_name":"data","vg_name":"pve","lv_attr":"twi-aotz--","lv_size":"100B","pool_lv":""},
               {"lv_name":"vm-100-disk-0","vg_name":"pve","lv_attr":"Vwi-a-tz--","lv_size":"10B","pool_lv":"data"}]}]}"#,
        )
        .expect("it is JSON");
        assert_eq!(lvs[0].pool, None);
        assert_eq!(lvs[1].pool.as_deref(), Some("data"));
        let vgs =
            read_vgs(r#"{"report":[{"vg":[{"vg_name":"pve","vg_size":"5B","vg_free":"1B"}]}]}"#)
                .expect("it is JSON");
        assert_eq!((vgs[0].size, vgs[0].free), (5, 1));
        assert!(read_lvs("[]").is_err());
        let volumes = read_pvesm(
            "Volid                 Format  Type      Size VMID\nlocal-zfs:vm-100-disk-0 raw images 34359738368 100\n\
             local:iso/my image.iso  iso  iso  1024\n",
        );
        assert_eq!(volumes[0].vmid, Some(100));
        assert_eq!(volumes[1].id, "local:iso/my image.iso");
        assert_eq!((volumes[1].size, volumes[1].vmid), (1024, None));
    }
}
