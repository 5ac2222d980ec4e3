#!/usr/bin/env python3
"""Packs option facts of Proxmox VE into data/*.json, one line an option.

usage: pack.py FOLDER

FOLDER holds one JSON file per configuration file (qm, pct, storage, jobs, mapping, vzdump,
datacenter, interfaces, answer), each a dump of the option tables of the newest release, and
releases.json: which name or value came or went in which release. The packed files differ from
the dumps in this:

* descriptions, sources and whatever no check reads are dropped;
* equal sets of sub-options are written once, under "groups", and named by their users;
* the release facts stand beside what they speak of: "since", "until", "absent_in" (a backport
  went to a maintained older release and not to the one after it), "values" for enum values;
* options that the newest release no longer has are kept with "until" alone: their value is not
  judged, but an older host may still carry them;
* regular expressions are rewritten where Perl and Rust's regex crate differ;
* a number without a least value is at least 0: threads, rates and sizes that Proxmox takes below it fail
  where they are used (`zstd --threads=-5`, QEMU's limits of a drive);
* every interfaces option carries both ifupdown2's limits and Proxmox's own.

Run it again when a release brings options; the diff then reads like a change log.
"""

import json
import pathlib
import re
import sys

RELEASES = ["8.0", "8.1", "8.2", "8.3", "8.4", "9.0", "9.1", "9.2"]

# What a pattern needs to mean the same to the regex crate (bytes, Unicode off).
PERL = [("(?>", "(?:"), ("\\0", "\\x00"), ("{,", "{0,"), ("\\/", "/")]


# Numbers that may be below 0: a device in no IOMMU group has -1.
SIGNED = {"iommugroup"}


# Raw LXC keys pve-container takes beyond those that the dump probed.
MORE_RAW_KEYS = """
include signal.reboot signal.stop init.cwd init.gid init.groups pty.max console.logfile devtty.dir hook.autodev
kmsg rootfs.mount seccomp.notify.proxy seccomp.notify.cookie hook.pre-mount hook.start hook.stop hook.clone
hook.destroy hook.version log.file start.delay start.order environment.hooks sysctl.fs.mqueue sysctl.kernel.msgmax
sysctl.kernel.msgmnb sysctl.kernel.msgmni sysctl.kernel.sem sysctl.kernel.shmall sysctl.kernel.shmmax
sysctl.kernel.shmmni sysctl.kernel.shm_rmid_forced
"""


# Of them, those that came with containers from OCI images.
RAW_KEYS_SINCE = {
    "lxc.init.cwd": "9.0",
    "lxc.init.uid": "9.1",
    "lxc.init.gid": "9.1",
    "lxc.init.groups": "9.1",
    "lxc.environment.hooks": "9.1",
    "lxc.environment.runtime": "9.1",
}


def pattern(text):
    for perl, rust in PERL:
        text = text.replace(perl, rust)
    return text


def text_of(value):
    if isinstance(value, bool):
        return "1" if value else "0"
    if isinstance(value, float) and value == int(value):
        return str(int(value))
    return str(value)


def life(fact):
    """since/until/absent_in of a release fact; empty where it says nothing about presence."""
    out = {}
    if "in" in fact:
        first = fact["in"][0]
        out["since"] = first
        absent = [r for r in RELEASES[RELEASES.index(first):] if r not in fact["in"]]
        if absent:
            out["absent_in"] = absent
        return out
    for key in ("since", "until"):
        if key in fact:
            out[key] = fact[key]
    return out


class Packer:
    def __init__(self, facts):
        self.facts = facts  # path -> fact, of one file
        self.groups = {}    # canonical JSON -> name
        self.bodies = {}    # name -> packed keys
        self.kind = None    # the section type at hand

    def below(self, path):
        """Direct children of path in the release facts: (name, fact)."""
        for key, fact in self.facts.items():
            if key.startswith(path + "/") and "/" not in key[len(path) + 1:]:
                yield key[len(path) + 1:], fact

    def option(self, spec, path, name):
        out = {}
        if spec.get("type", "string") != "string":
            out["type"] = spec["type"]
        if "alias" in spec:
            out["alias"] = spec["alias"]
            if "keyAlias" in spec:
                out["key_alias"] = spec["keyAlias"]
        elif not spec.get("optional", True):
            out["required"] = True
        for key in ("default_key", "fixed"):
            if spec.get(key):
                out[key] = True
        if "index" in spec:
            out["last_index"] = spec["index"]["last"]
        if "items" in spec:
            out.update(self.option({**spec["items"], "optional": spec["optional"]}, path + "/items", f"{name}-{self.kind}"))
            out["type"] = "array"
        if "pattern" in spec:
            out["pattern"] = pattern(spec["pattern"])
        for key in ("enum", "minimum", "maximum", "minLength", "maxLength", "format", "requires"):
            if key in spec:
                out[key] = spec[key]
        if spec.get("type") in ("integer", "number") and "enum" not in spec and name not in SIGNED:
            out.setdefault("minimum", 0)
        if "default" in spec:
            out["default"] = text_of(spec["default"])
        # Facts about the option itself, its values and its attributes.
        if path in self.facts:
            out.update(life(self.facts[path]))
        values = {}
        was_a_format = self.facts.get(path + "/format", {}).get("until")
        keys_since = None
        for child, fact in self.below(path):
            if child.startswith("enum="):
                # A list that only replaced a named format brought no new value.
                if not was_a_format:
                    values[child[5:]] = life(fact)
            elif child == "pattern" and "values" in fact and "mountoptions" in path:
                # Of the other patterns that changed, the newest is the strictest: it serves all.
                starts = sorted(fact["values"])
                for old, new in zip(starts, starts[1:]):
                    until = RELEASES[RELEASES.index(new) - 1]
                    out.setdefault("old_patterns", []).append([until, pattern(fact["values"][old])])
            elif child == "format" and "since" in fact and "keys" not in spec:
                out["format_since"] = fact["since"]
            elif child == "keys":
                keys_since = fact.get("since")
        if values:
            out["values"] = values
        if "keys" in spec:
            out["keys"] = self.group(spec["keys"], path + "/keys", name, keys_since)
        return out

    def group(self, keys, path, name, since):
        packed = {}
        for key, spec in sorted(keys.items()):
            packed[key] = self.option(spec, f"{path}/{key}", key)
            if since and not spec.get("default_key"):
                packed[key].setdefault("since", since)
        for key, fact in self.below(path):
            if key not in packed and "=" not in key:
                packed[key] = life(fact)
        packed = dict(sorted(packed.items()))
        canonical = json.dumps(packed)
        if canonical not in self.groups:
            self.groups[canonical] = name.removesuffix("[n]")
            while self.groups[canonical] in self.bodies:
                self.groups[canonical] += "_"
            self.bodies[self.groups[canonical]] = packed
        return self.groups[canonical]

    def options(self, properties, path):
        packed = {key: self.option(spec, f"{path}/{key}", key) for key, spec in properties.items()}
        for key, fact in self.below(path):
            if key not in packed:
                packed[key] = life(fact)
        return dict(sorted(packed.items()))

    def kinds(self, types, path):
        out = {}
        for kind, spec in sorted(types.items()):
            packed = {}
            self.kind = kind
            base = f"{path}/{kind}"
            if base in self.facts:
                packed.update(life(self.facts[base]))
            if "content" in spec:
                packed["content"] = {c: {} for c in spec["content"]["allowed"]}
                packed["content_default"] = spec["content"]["default"]
                for child, fact in self.below(base + "/content"):
                    packed["content"][child.removeprefix("allowed=")] = life(fact)
            if "image_formats" in spec:
                packed["image_formats"] = spec["image_formats"]["allowed"]
            packed["options"] = self.options(spec["properties"], base + "/properties")
            out[kind] = packed
        for child, fact in self.below(path):
            if child not in out:
                out[child] = {**life(fact), "options": None}
        return dict(sorted(out.items()))


def lines(table, indent):
    pad = " " * indent
    return ",\n".join(f"{pad}{json.dumps(k)}: {json.dumps(v, ensure_ascii=False)}" for k, v in table.items())


def write(path, top, kinds=None, options=None, groups=None):
    parts = [f" {json.dumps(k)}: {json.dumps(v)}" for k, v in top.items()]
    if groups:
        inner = ",\n".join(f"  {json.dumps(k)}: {{\n{lines(v, 3)}\n  }}" for k, v in sorted(groups.items()))
        parts.append(f' "groups": {{\n{inner}\n }}')
    if options is not None:
        parts.append(f' "options": {{\n{lines(options, 2)}\n }}')
    if kinds is not None:
        blocks = []
        for kind, spec in kinds.items():
            head = [f"   {json.dumps(k)}: {json.dumps(v)}" for k, v in spec.items() if k != "options"]
            if spec["options"] is not None:
                head.append(f'   "options": {{\n{lines(spec["options"], 4)}\n   }}')
            blocks.append(f"  {json.dumps(kind)}: {{\n" + ",\n".join(head) + "\n  }")
        parts.append(' "kinds": {\n' + ",\n".join(blocks) + "\n }")
    path.write_text("{\n" + ",\n".join(parts) + "\n}\n")


# ifupdown2 names the shape of a value; where that is one value, it is a format.
SHAPES = {
    "<mac>": "mac-any", "<ipv4>": "ipv4", "<ipv6>": "ipv6", "<ipv4>|<ipv6>": "ip", "<ip>": "ip", "<ip6>": "ipv6",
    "<ipv4/prefixlen>|<ipv6/prefixlen>": "ip-or-cidr", "<interface>": "ifname", "<number>": "number",
    "<interface-list>": "ifname-list",
}


# What is no word of ifupdown2's own tables: its addon for ethtool (there where ethtool is installed), and what it hands to
# the scripts of other packages as `IF_…` (resolvconf, ethtool, wpasupplicant, Open vSwitch) or to the kernel.
MORE_INTERFACE_OPTIONS = {
    "accept_ra": {"enum": ["0", "1", "2"]},
    "autoconf": {"enum": ["0", "1"]},
    "bond-ad-select": {"enum": ["stable", "bandwidth", "count"]},
    "dad-attempts": {"type": "integer", "minimum": 0, "maximum": 600},
    "dns-domain": {},
    "dns-nameserver": {"format": "ip"},
    "dns-nameservers": {},
    "dns-search": {},
    "ethernet-autoneg": {"enum": ["on", "off"]},
    "ethernet-port": {},
    "ethernet-wol": {},
    "gro-offload": {"enum": ["on", "off"], "default": "on"},
    "gso-offload": {"enum": ["on", "off"], "default": "on"},
    "hardware-dma-ring-rx": {"type": "integer", "minimum": 0},
    "hardware-dma-ring-tx": {"type": "integer", "minimum": 0},
    "hostname": {},
    "link-autoneg": {"enum": ["yes", "no", "on", "off"]},
    "link-duplex": {"enum": ["half", "full"], "default": "full"},
    "link-fec": {"enum": ["rs", "baser", "auto", "on", "off"], "default": "auto"},
    "link-speed": {"type": "integer", "minimum": 0},
    "lro-offload": {"enum": ["on", "off"], "default": "off"},
    "metric": {"type": "integer", "minimum": 0},
    "network": {"format": "ipv4"},
    "offload-gro": {"enum": ["on", "off"]},
    "offload-gso": {"enum": ["on", "off"]},
    "offload-lro": {"enum": ["on", "off"]},
    "offload-rx": {"enum": ["on", "off"]},
    "offload-sg": {"enum": ["on", "off"]},
    "offload-tso": {"enum": ["on", "off"]},
    "offload-tx": {"enum": ["on", "off"]},
    "offload-ufo": {"enum": ["on", "off"]},
    "ovs_extra": {},
    "privext": {"enum": ["0", "1", "2"]},
    "request_prefix": {"enum": ["0", "1"]},
    "rx-offload": {"enum": ["on", "off"], "default": "on"},
    "tso-offload": {"enum": ["on", "off"], "default": "on"},
    "tx-offload": {"enum": ["on", "off"], "default": "on"},
    "ufo-offload": {"enum": ["on", "off"], "default": "off"},
    "wireless-power": {"enum": ["on", "off"]},
    "wpa-conf": {},
    "wpa-driver": {},
    "wpa-iface": {},
}


def interfaces(dump):
    """ifupdown2's table, narrowed by the limits Proxmox's API sets for the same thing."""
    own = {k.replace("_", "-"): v for k, v in dump["properties"].items()}
    own["bond-slaves"] = own["slaves"]
    options = {}
    for name, spec in sorted(dump["ifupdown2_options"].items()):
        out = {}
        limits = own.get(name, {})
        low, high = spec.get("range", (None, None))
        if name == "mtu":
            # ifupdown2 only warns beyond 9216; Thunderbolt and InfiniBand go to 65520, which Proxmox's API takes.
            high = None
        low = max((x for x in (low, limits.get("minimum")) if x is not None), default=None)
        high = min((x for x in (high, limits.get("maximum")) if x is not None), default=None)
        if low is not None and "list" not in spec.get("value_kind", "") and "values" not in spec:
            out.update(type="integer", minimum=low, maximum=high)
        elif "values" in spec and "list" not in spec.get("value_kind", ""):
            if "range" not in spec:
                out["enum"] = spec["values"]
        elif name == "bridge-vids":
            out["format"] = "pve-vlan-id-or-range-list"
        elif spec.get("value_kind") in SHAPES:
            out["format"] = SHAPES[spec["value_kind"]]
        if spec.get("multiline"):
            out["repeats"] = True
        if "default" in spec:
            out["default"] = spec["default"]
        options[name] = out
        for alias in spec.get("aliases", []):
            options[alias] = {"alias": name}
    for name in ("bridge-disable-mac-learning", "uplink-id"):
        options.setdefault(name, {})
    for name in ("ovs-type", "ovs-options", "ovs-bridge", "ovs-bonds", "ovs-ports", "ovs-mtu"):
        options.setdefault(name.replace("-", "_", 1), {})
    options.update(MORE_INTERFACE_OPTIONS)
    return dict(sorted(options.items()))


def answer(dump):
    """Sections and tables flattened to dotted keys."""
    options = {}
    since = {k: v for k, v in dump["since"].items()}

    def walk(prefix, keys, born):
        for key, spec in sorted(keys.items()):
            path = f"{prefix}.{key}"
            start = since.get(path, born)
            if spec.get("type") == "table":
                if "keys" in spec:
                    walk(path, spec["keys"], start)
                else:
                    value = spec["any_key"]["value"]
                    out = {"any_key": True}
                    for k in ("pattern", "minLength", "maxLength"):
                        if k in value:
                            out[k] = pattern(value[k]) if k == "pattern" else value[k]
                    if start:
                        out["since"] = start
                    options[path] = out
                continue
            out = {}
            kind = spec["type"]
            if isinstance(kind, list):  # fqdn: a string, or from 8.4 a table that says where from
                kind = "string"
                options[f"{path}.source"] = {"enum": spec["table"]["keys"]["source"]["enum"], "since": since[f"{path} as table"]}
                options[f"{path}.domain"] = {"since": since[f"{path} as table"]}
            if kind != "string":
                out["type"] = kind
            if not spec.get("optional", True):
                out["required"] = True
            if "pattern" in spec:
                out["pattern"] = pattern(spec["pattern"])
            for k in ("enum", "minimum", "maximum", "minLength", "maxLength", "format"):
                if k in spec:
                    out[k] = spec[k]
            if start:
                out["since"] = start
            options[path] = out

    for section, spec in sorted(dump["sections"].items()):
        walk(section, spec["keys"], since.get(section, since["answer.toml"]))
    return options


def main():
    source = pathlib.Path(sys.argv[1])
    target = pathlib.Path(__file__).parent / "data"
    load = lambda name: json.loads((source / f"{name}.json").read_text())
    facts = load("releases")["files"]

    dump = load("qm")
    # The schema says otherwise, the check behind it does not.
    dump["properties"]["cpu"]["keys"]["cputype"]["optional"] = False
    packer = Packer(facts["qm"])
    options = packer.options(dump["properties"], "properties")
    # The levels of the x86-64 psABI are built into Proxmox, not into QEMU.
    models = set(dump["cpu_models_x86_64"]) | {"x86-64-v2", "x86-64-v2-AES", "x86-64-v3", "x86-64-v4"}
    models |= set(dump["properties"]["cpu"]["keys"]["reported-model"]["enum"])
    write(target / "qm.json", {"cpu_models": sorted(models), "cpu_flags": dump["cpu_flags"]},
          options=options, groups=packer.bodies)

    dump = load("pct")
    packer = Packer(facts["pct"])
    options = packer.options(dump["properties"], "properties")
    probed = dump["raw_lxc_keys_accepted"]
    families = ("lxc.cgroup.", "lxc.cgroup2.", "lxc.prlimit.", "lxc.net.")
    raw = {k for k in probed if probed[k] and not k.startswith(families)}
    raw |= {f"lxc.{k}" for k in MORE_RAW_KEYS.split()}
    raw -= {k for k in probed if not probed[k]}
    options["env"]["repeats"] = True  # a variable each
    write(target / "pct.json", {"raw_keys": {k: {"since": RAW_KEYS_SINCE[k]} if k in RAW_KEYS_SINCE else {} for k in sorted(raw)}, "raw_key_families": sorted(families)},
          options=options, groups=packer.bodies)

    for name in ("storage", "jobs"):
        packer = Packer(facts[name])
        kinds = packer.kinds(load(name)["types"], "types")
        write(target / f"{name}.json", {}, kinds=kinds, groups=packer.bodies)

    dump = load("mapping")
    packer = Packer(facts["mapping"])
    kinds = {}
    for kind, spec in dump["files"].items():
        kinds.update(packer.kinds({kind: spec["types"][kind]}, f"files/{kind}/types"))
        kinds[kind] = {**life(facts["mapping"].get(f"files/{kind}", {})), **kinds[kind]}
    write(target / "mapping.json", {}, kinds=kinds, groups=packer.bodies)

    for name in ("vzdump", "datacenter"):
        packer = Packer(facts[name])
        options = packer.options(load(name)["properties"], "properties")
        write(target / f"{name}.json", {}, options=options, groups=packer.bodies)

    write(target / "interfaces.json", {}, options=interfaces(load("interfaces")))
    write(target / "answer.json", {"snake_case_until": load("answer")["until"]["snake_case keys only"]}, options=answer(load("answer")))

    # For the tests: what Proxmox's own checks of each named format took and refused.
    samples = {name: {"accepts": f["accepts"], "rejects": f["rejects"]} for name, f in load("formats")["formats"].items()}
    (target / "format_samples.json").write_text("{\n" + lines(samples, 1) + "\n}\n")


main()
