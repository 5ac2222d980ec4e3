#!/usr/bin/env python3
"""Makes classes.json: when a change of a guest's option takes effect, and what it costs.

usage: make.py ORACLE RELEASE=SOURCES...

ORACLE is a program that runs Proxmox VE's own update code on a configuration: it reads JSON lines
{"kind", "config", "set", "delete", "hotplug", "running"} and answers each with {"results": {option: {"when", "shown",
"interrupts", "data", "error"}}}. PVE_SRC names the folder with a release's sources; SOURCES is that folder, oldest
release first.

Every option and sub-option of the schema data beside generator/pve is added, changed and removed on a guest that runs,
with every hotplug feature on and off, with and without a cloud-init drive, and on a system that can and cannot plug USB.
What decides is found by comparing; a row that is the same under all of it is one word. A release that answers
differently has a row of its own.

Not here, because no option says it, and done by hand in mod.rs: what depends on the values themselves (a disk that
boots, a medium, limits), growing and moving a disk, and a guest that does not run (everything is now).
"""

import itertools
import json
import os
import pathlib
import re
import subprocess
import sys

SCHEMA = pathlib.Path(__file__).parent.parent.parent / "pve" / "schema" / "data"

MAC = "BC:24:11:00:00:01"
UUID = "de363f9f-f951-4138-840c-9de404c7f25c"

# What stands in each base configuration besides what is probed.
BASE = {
    "qemu": {
        "boot": "order=scsi0", "cores": "4", "memory": "4096", "name": "a", "scsihw": "virtio-scsi-single",
        "scsi0": "local-lvm:vm-100-disk-0,size=32G", "numa": "1", "sockets": "1", "net9": "virtio=BC:24:11:00:00:09,bridge=vmbr0",
    },
    "lxc": {
        "arch": "amd64", "cores": "2", "hostname": "a", "memory": "512", "ostype": "debian",
        "rootfs": "local-lvm:vm-100-disk-0,size=8G", "swap": "512", "unprivileged": "1",
    },
}

# Two values of each option that has no sub-options and whose schema gives none.
VALUES = {
    "qemu": {
        "affinity": ["0-1", "0-3"], "args": ["-no-user-config", "-snapshot"], "balloon": ["2048", "3072"],
        "bootdisk": ["scsi0", "scsi1"], "cpulimit": ["1", "2"], "cpuunits": ["200", "300"], "cores": ["2", "8"],
        "description": ["x", "y"], "hookscript": ["local:snippets/a.sh", "local:snippets/b.sh"],
        "hotplug": ["network,disk", "network,disk,usb"], "migrate_downtime": ["1", "2"], "migrate_speed": ["1", "2"],
        "name": ["b", "c"], "nameserver": ["10.0.0.1", "10.0.0.2"], "searchdomain": ["a.example", "b.example"],
        "parallel[n]": ["/dev/parport0", "/dev/parport1"], "serial[n]": ["socket", "/dev/ttyS0"],
        "shares": ["500", "600"], "smp": ["1", "2"], "sockets": ["2", "4"], "sshkeys": ["ssh-ed25519%20AAAA%20a", "ssh-ed25519%20AAAA%20b"],
        "startdate": ["now", "2006-06-17"], "startup": ["order=1", "order=2"], "tags": ["a", "a;b"],
        "vcpus": ["1", "2"], "vmgenid": [UUID, UUID.replace("d", "a")], "vmstatestorage": ["local", "local-lvm"],
        "ciuser": ["a", "b"], "cipassword": ["aaaaa", "bbbbb"], "memory": ["4096", "8192"],
    },
    "lxc": {
        "cores": ["2", "4"], "cpulimit": ["1", "2"], "cpuunits": ["200", "300"], "description": ["x", "y"],
        "entrypoint": ["/sbin/init", "/bin/sh"], "hookscript": ["local:snippets/a.sh", "local:snippets/b.sh"],
        "hostname": ["b", "c"], "memory": ["512", "1024"], "nameserver": ["10.0.0.1", "10.0.0.2"],
        "searchdomain": ["a.example", "b.example"], "startup": ["order=1", "order=2"], "swap": ["512", "1024"],
        "tags": ["a", "a;b"], "timezone": ["Europe/Berlin", "UTC"], "env": ["A=1", "A=2"],
    },
}

# The least that a property string needs, and two values of each sub-option whose schema gives none.
WHOLE = {
    "qemu": {
        "agent": "enabled=1", "amd-sev": "type=std", "audio0": "device=ich9-intel-hda", "boot": "order=scsi0",
        "cicustom": "user=local:snippets/u.yaml", "cpu": "cputype=host", "efidisk0": "file=local-lvm:vm-100-disk-3",
        "hostpci[n]": "host=0000:01:00.0", "ide[n]": "file=local-lvm:vm-100-disk-5", "intel-tdx": "type=tdx,attestation=1",
        "ipconfig[n]": "ip=10.0.0.2/24", "ivshmem": "size=32", "machine": "type=q35", "net[n]": f"model=virtio,macaddr={MAC},bridge=vmbr0",
        "numa[n]": "cpus=0-1", "rng0": "source=/dev/urandom", "sata[n]": "file=local-lvm:vm-100-disk-5",
        "scsi[n]": "file=local-lvm:vm-100-disk-5", "smbios1": f"uuid={UUID}", "spice_enhancements": "foldersharing=1",
        "tpmstate0": "file=local-lvm:vm-100-disk-4", "usb[n]": "host=1234:5678", "vga": "type=std",
        "virtio[n]": "file=local-lvm:vm-100-disk-5", "virtiofs[n]": "dirid=share", "watchdog": "model=i6300esb",
        "unused[n]": "file=local-lvm:vm-100-disk-9", "memory": "current=4096",
    },
    "lxc": {
        "dev[n]": "path=/dev/null", "features": "nesting=1", "mp[n]": "volume=local-lvm:vm-100-disk-1,mp=/data",
        "net[n]": f"name=eth0,bridge=vmbr0,hwaddr={MAC},type=veth", "rootfs": "volume=local-lvm:vm-100-disk-0",
        "unused[n]": "volume=local-lvm:vm-100-disk-9",
    },
}
SUBS = {
    "macaddr": [MAC, "BC:24:11:00:00:02"], "hwaddr": [MAC, "BC:24:11:00:00:02"], "bridge": ["vmbr0", "vmbr1"],
    "trunks": ["2", "3;4"], "rate": ["1", "2"], "file": ["local-lvm:vm-100-disk-5", "local-lvm:vm-100-disk-6"],
    "volume": ["local-lvm:vm-100-disk-1", "local-lvm:vm-100-disk-2"], "serial": ["abc", "def"], "product": ["abc", "def"],
    "vendor": ["abc", "def"], "model": ["abc", "def"], "wwn": ["0x5000000000000001", "0x5000000000000002"],
    "mountoptions": ["noatime", "noatime;nodev"], "mp": ["/data", "/other"], "path": ["/dev/null", "/dev/zero"],
    "mode": ["0660", "0666"], "name": ["eth0", "lan"], "ip": ["10.0.0.2/24", "10.0.0.3/24"],
    "gw": ["10.0.0.1", "10.0.0.254"], "ip6": ["fd00::2/64", "fd00::3/64"], "gw6": ["fd00::1", "fd00::ff"],
    "idmap": ["passthrough", "u:0:100000:65536"], "mount": ["nfs", "nfs;cifs"], "flags": ["+aes", "-aes"],
    "hv-vendor-id": ["abc", "def"], "phys-bits": ["40", "host"], "cputype": ["host", "kvm64"], "host": ["0000:01:00.0", "0000:02:00.0"],
    "romfile": ["a.rom", "b.rom"], "mdev": ["a", "b"], "device-id": ["0x0001", "0x0002"], "vendor-id": ["0x0001", "0x0002"],
    "sub-device-id": ["0x0001", "0x0002"], "sub-vendor-id": ["0x0001", "0x0002"], "mapping": ["aa", "bb"], "dirid": ["share", "other"],
    "user": ["local:snippets/u.yaml", "local:snippets/v.yaml"], "meta": ["local:snippets/u.yaml", "local:snippets/v.yaml"],
    "vendor-ci": ["local:snippets/u.yaml", "local:snippets/v.yaml"], "network": ["local:snippets/u.yaml", "local:snippets/v.yaml"],
    "type": ["q35", "pc"], "cpus": ["0-1", "0-2"], "hostnodes": ["0", "0-1"], "order": ["scsi0", "scsi0;net9"], "legacy": ["c", "cn"],
    "uuid": [UUID, UUID.replace("d", "a")], "size": ["32", "64"], "current": ["4096", "8192"], "clipboard": ["vnc"], "detect_zeroes": ["0", "1"],
    # Intel's vIOMMU takes no others.
    "aw-bits": ["39", "48"],
}
for word in ("manufacturer", "version", "family", "sku"):
    SUBS[word] = ["YWFh", "YmJi"]
# A sub-option that means nothing without another one.
WITH = {
    "aw-bits": "viommu=intel",
    "gw": "ip=10.0.0.2/24", "gw6": "ip6=fd00::2/64", "mbps_max": "mbps=1", "mbps_rd_max": "mbps_rd=1", "mbps_wr_max": "mbps_wr=1",
    "iops_max": "iops=10", "iops_rd_max": "iops_rd=10", "iops_wr_max": "iops_wr=10", "bps_max_length": "mbps=1,mbps_max=2",
    "bps_rd_max_length": "mbps_rd=1,mbps_rd_max=2", "bps_wr_max_length": "mbps_wr=1,mbps_wr_max=2",
    "iops_max_length": "iops=10,iops_max=20", "iops_rd_max_length": "iops_rd=10,iops_rd_max=20",
    "iops_wr_max_length": "iops_wr=10,iops_wr_max=20", "manufacturer": "base64=1", "product-smbios": "base64=1",
}
# The API takes these from root alone, or they are no option of a guest's life.
LEFT_OUT = {"lock", "unused[n]", "meta", "vmgenid", "runningmachine", "runningcpu", "snaptime", "parent", "vmstate", "template",
            "running-nets-host-mtu", "digest", "force"}

CLOUD_INIT_CALLS = {"apply_cloudinit_config", "change_medium"}

FEATURES = ["network", "disk", "usb", "memory", "cpu", "cloudinit"]


def load(kind):
    return json.loads((SCHEMA / {"qemu": "qm.json", "lxc": "pct.json"}[kind]).read_text())


def two_values(name, spec, sub):
    """Two values that the schema takes."""
    if sub and name in SUBS:
        found = SUBS[name]
        if spec.get("enum") and not set(found) <= set(spec["enum"]):
            found = spec["enum"]
    elif spec.get("enum"):
        found = [v for v in spec["enum"] if "until" not in spec.get("values", {}).get(v, {})]
    elif spec.get("type") == "boolean":
        found = ["1", "0"]
    elif spec.get("type") in ("integer", "number"):
        low = int(spec.get("minimum", 10))
        found = [str(low + 1), str(low + 2)]
    else:
        return None
    return (list(found) * 2)[:2]


def property_string(parts):
    return ",".join(f"{key}={value}" for key, value in parts)


def parse(text):
    return [tuple(part.split("=", 1)) for part in text.split(",") if part]


def without(parts, name):
    return [(k, v) for k, v in parts if k != name]


def probes(kind):
    """(row, sub-option, change, option, before, after); none of before and after is an absent option."""
    data = load(kind)
    for row, spec in data["options"].items():
        if row in LEFT_OUT or "until" in spec:
            continue
        index = {"scsi[n]": "1", "virtio[n]": "1", "sata[n]": "1", "ide[n]": "1"}.get(row, "0")
        option = row.replace("[n]", index)
        if row == "memory" and kind == "qemu":
            for before, after in (("4096", "8192"), ("8192", "4096")):
                yield row, "", "change", option, before, after
            continue
        if "keys" not in spec:
            values = VALUES[kind].get(row) or two_values(row, spec, False)
            if not values:
                print(f"no values for {kind} {row}", file=sys.stderr)
                continue
            if spec.get("type") == "boolean" and "default" in spec:
                # A switch is turned on or off, whether the file says so or the default does.
                on, off = (["1"], ["0", None]) if spec["default"] == "0" else (["1", None], ["0"])
                for is_on, is_off in itertools.product(on, off):
                    yield row, "", "add", option, is_off, is_on
                    yield row, "", "remove", option, is_on, is_off
                continue
            yield row, "", "add", option, None, values[0]
            yield row, "", "change", option, values[0], values[1]
            yield row, "", "remove", option, values[0], None
            continue
        if row not in WHOLE[kind]:
            print(f"no whole for {kind} {row}", file=sys.stderr)
            continue
        whole = WHOLE[kind][row]
        if row != "rootfs":
            yield row, "", "add", option, None, whole
            yield row, "", "remove", option, whole, None
        for sub, subspec in data["groups"][spec["keys"]].items():
            if "alias" in subspec or "until" in subspec or sub in ("size", "format"):
                continue
            base = parse(whole)
            for part in parse(WITH.get(sub, "")):
                base = without(base, part[0]) + [part]
            name = "vendor-ci" if row == "cicustom" and sub == "vendor" else sub
            if row == "ivshmem" and sub == "size":
                continue
            values = two_values(name, subspec, True)
            if not values:
                print(f"no values for {kind} {row}.{sub}", file=sys.stderr)
                continue
            if (row, sub) == ("hostpci[n]", "mapping"):
                base = []
            if sub == "media":
                continue
            given = dict(base).get(sub)
            first = given or values[0]
            other = next((v for v in values if v != first), None)
            rest = without(base, sub)
            needed = subspec.get("required") or not rest
            if other is not None:
                yield row, sub, "change", option, property_string([(sub, first)] + rest), property_string([(sub, other)] + rest)
            if not needed:
                yield row, sub, "add", option, property_string(rest), property_string([(sub, first)] + rest)
                yield row, sub, "remove", option, property_string([(sub, first)] + rest), property_string(rest)
                # On is what most leave out; of these, off is.
                if subspec.get("default") == "1" or sub in ("backup", "detect_zeroes", "acl"):
                    yield row, sub, "add", option, property_string(rest), property_string([(sub, "0")] + rest)
        if row in ("ide[n]", "sata[n]", "scsi[n]"):
            cd = "media=cdrom"
            yield row, "cd", "change", option, f"none,{cd}", f"local:iso/a.iso,{cd}"
            yield row, "cd", "change", option, f"local:iso/b.iso,{cd}", f"local:iso/a.iso,{cd}"
            yield row, "cd", "add", option, None, f"none,{cd}"
            yield row, "cd", "remove", option, f"none,{cd}", None


def contexts(kind, rough):
    """What a change is tried in; roughly first, in full where the rough answers differ."""
    if kind == "lxc":
        if rough:
            yield {}, {}, None
        return
    every = ",".join(FEATURES)
    if rough:
        tried = [("0", False, True), (every, False, True), (every, True, False), ("0", True, True)]
    else:
        # A list that begins with `cloudinit` would look like a cloud-init volume.
        hotplugs = [every] + FEATURES[:-1] + ["usb,cloudinit"] + [",".join(f for f in FEATURES if f != x) for x in FEATURES]
        tried = itertools.product(hotplugs, (False, True), (False, True))
    for hotplug, drive, modern in tried:
        more = {"ostype": "l26" if modern else "other"}
        if drive:
            more["ide3"] = "local-lvm:vm-100-cloudinit,media=cdrom"
        holds = {f"hotplug {f}": f in hotplug.split(",") for f in FEATURES}
        holds.update({"cloud-init drive": drive, "modern system": modern})
        yield holds, more, hotplug


def ask(oracle, sources, kind):
    """{(row, sub-option, change): [(context, class)]}"""
    found = ask_in(oracle, sources, kind, True, lambda row: True)
    odd = {row for row, seen in found.items() if len({word for _, word in seen}) > 1}
    for row, seen in ask_in(oracle, sources, kind, False, odd.__contains__).items():
        found[row] += seen
    return found


def ask_in(oracle, sources, kind, rough, wanted):
    asked, lines = [], []
    for row, sub, change, option, before, after in probes(kind):
        if not wanted((row, sub, change)):
            continue
        for holds, more, hotplug in contexts(kind, rough):
            config = dict(BASE[kind])
            if option in more:
                continue
            config.update(more)
            config.pop(option, None)
            if before is not None:
                config[option] = before
            text = "".join(f"{key}: {value}\n" for key, value in sorted(config.items()))
            query = {"kind": kind, "config": text, "running": True}
            if hotplug is not None and option != "hotplug":
                query["hotplug"] = hotplug
            if after is None:
                query["delete"] = [option]
            else:
                query["set"] = {option: after}
            asked.append(((row, sub, change), option, holds, (before, after)))
            lines.append(json.dumps(query))
    run = subprocess.run([oracle], input="\n".join(lines) + "\n", capture_output=True, text=True,
                         env={**os.environ, "PVE_SRC": sources}, check=False)
    answers = run.stdout.splitlines()
    assert len(answers) == len(asked), (len(answers), len(asked), run.stderr[-2000:])
    found, refused = {}, {}
    for (row, option, holds, values), answer in zip(asked, answers):
        answer = json.loads(answer)
        if "error" in answer:
            refused.setdefault(row, (values, answer["error"]))
            continue
        result = answer["results"][option]
        if result["error"]:
            refused.setdefault(row, (values, result["error"]))
        # A drive of cloud-init that is made anew with the card's address changes nothing of the card itself.
        if row[0] == "net[n]" and result["calls"] and set(result["calls"]) <= CLOUD_INIT_CALLS:
            continue
        word = " ".join(result[part] for part in ("when", "shown", "interrupts", "data"))
        found.setdefault(row, []).append((holds, word))
    # What a release does not know cannot be removed there either.
    for row, sub, change in [key for key in found if key[2] == "remove"]:
        if (row, sub, "add") in refused and (row, sub, "add") not in found:
            del found[row, sub, change]
    for row, why in refused.items():
        if row not in found or os.environ.get("VERBOSE"):
            print(f"{sources} {kind} {row}: {why}", file=sys.stderr)
    return found


ORDER = ["refused", "restart pending", "restart silent", "now live guest", "now live device", "now live nothing"]


def slowest(words):
    return min(words, key=lambda w: next((i for i, o in enumerate(ORDER) if w.startswith(o)), 0))


def tree(seen):
    """A word, or {"if": condition, "then": tree, "else": tree}."""
    same = {}
    for holds, word in seen:
        same.setdefault(tuple(sorted(holds.items())), []).append(word)
    return grown([(dict(holds), slowest(words)) for holds, words in same.items()])


def grown(seen):
    words = {word for _, word in seen}
    if len(words) == 1:
        return words.pop()
    conditions = sorted({key for holds, _ in seen for key in holds})

    def impurity(condition):
        parts = [[w for h, w in seen if h[condition] is side] for side in (True, False)]
        return sum(len(p) - max((p.count(w) for w in set(p)), default=0) for p in parts), condition

    for _, condition in sorted(impurity(c) for c in conditions):
        yes = [(h, w) for h, w in seen if h[condition]]
        no = [(h, w) for h, w in seen if not h[condition]]
        if yes and no:
            return {"if": condition, "then": grown(yes), "else": grown(no)}
    return slowest(words)


def version(sources, package):
    changelog = pathlib.Path(sources) / package / "debian" / "changelog"
    match = re.match(r"\S+ \(([^)]+)\)", changelog.read_text())
    return match.group(1)


def main():
    oracle, *releases = sys.argv[1:]
    releases = [release.split("=", 1) for release in releases]
    table = {"releases": [r for r, _ in releases], "sources": {}, "qemu": {}, "lxc": {}}
    for release, sources in releases:
        table["sources"][release] = {p: version(sources, p) for p in ("qemu-server", "pve-container")}
        for kind in ("qemu", "lxc"):
            for (row, sub, change), seen in ask(oracle, sources, kind).items():
                rows = table[kind].setdefault(row, {}).setdefault(sub, {}).setdefault(change, [])
                word = tree(seen)
                if not rows or rows[-1][1] != word:
                    rows.append([release, word])
    lines = []
    for kind in ("qemu", "lxc"):
        options = []
        for row in sorted(table[kind]):
            subs = []
            for sub in sorted(table[kind][row]):
                cells = {}
                for change in ("add", "change", "remove"):
                    cell = table[kind][row][sub].get(change)
                    if cell:
                        cells[change] = cell[0][1] if len(cell) == 1 else {"since": cell}
                if len({json.dumps(c) for c in cells.values()}) == 1 and sub:
                    cells = {"any": next(iter(cells.values()))}
                subs.append(f"   {json.dumps(sub)}: {json.dumps(cells)}")
            options.append(f"  {json.dumps(row)}: {{\n" + ",\n".join(subs) + "\n  }")
        lines.append(f" {json.dumps(kind)}: {{\n" + ",\n".join(options) + "\n }")
    head = f' "releases": {json.dumps(table["releases"])},\n "sources": {json.dumps(table["sources"])},\n'
    text = "{\n" + head + ",\n".join(lines) + "\n}\n"
    (pathlib.Path(__file__).parent / "classes.json").write_text(text)


if __name__ == "__main__":
    main()
