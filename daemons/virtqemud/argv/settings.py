"""qemu.conf as the command line wants it."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .context import Settings


def command_settings(config: Mapping[str, Any]) -> Settings:
    """The settings of a configuration (keys as in qemu.conf); what it does not say is libvirt's default."""

    def tls_dir(kind: str, usual: str) -> str:
        return str(config.get(f"{kind}_tls_x509_cert_dir") or config.get("default_tls_x509_cert_dir") or usual)

    return Settings(
        vnc_listen=str(config.get("vnc_listen", "127.0.0.1")),
        vnc_tls=bool(config.get("vnc_tls", False)),
        vnc_tls_verify=bool(config.get("vnc_tls_x509_verify", False)),
        vnc_tls_dir=str(config.get("vnc_tls_x509_cert_dir", "/etc/pki/libvirt-vnc")),
        vnc_password=str(config["vnc_password"]) if config.get("vnc_password") else None,
        vnc_sasl=bool(config.get("vnc_sasl", False)),
        vnc_allow_host_audio=bool(config.get("vnc_allow_host_audio", False)),
        vnc_auto_unix_socket=bool(config.get("vnc_auto_unix_socket", False)),
        spice_listen=str(config.get("spice_listen", "127.0.0.1")),
        spice_tls=bool(config.get("spice_tls", False)),
        spice_tls_dir=str(config.get("spice_tls_x509_cert_dir", "/etc/pki/libvirt-spice")),
        spice_password=str(config["spice_password"]) if config.get("spice_password") else None,
        spice_sasl=bool(config.get("spice_sasl", False)),
        spice_auto_unix_socket=bool(config.get("spice_auto_unix_socket", False)),
        chardev_tls=bool(config.get("chardev_tls", False)),
        chardev_tls_dir=tls_dir("chardev", "/etc/pki/qemu"),
        chardev_tls_verify=bool(config.get("chardev_tls_x509_verify", config.get("default_tls_x509_verify", True))),
        nbd_tls=bool(config.get("nbd_tls", False)),
        nbd_tls_dir=tls_dir("nbd", "/etc/pki/qemu"),
        vxhs_tls=bool(config.get("vxhs_tls", False)),
        vxhs_tls_dir=tls_dir("vxhs", "/etc/pki/qemu"),
        seccomp_sandbox=int(config.get("seccomp_sandbox", -1)) != 0,
        dump_guest_core=bool(config.get("dump_guest_core", False)),
        hugetlbfs=hugetlbfs(config.get("hugetlbfs_mount")),
        relaxed_acs=bool(config.get("relaxed_acs_check", False)),
        memory_backing_dir=str(config.get("memory_backing_dir", "")),
        vnc_sasl_dir=str(config.get("vnc_sasl_dir", "")),
        spice_sasl_dir=str(config.get("spice_sasl_dir", "")),
        process_name=bool(config.get("set_process_name", False)),
        log_timestamp=bool(config.get("log_timestamp", True)),
        gluster_debug=int(config.get("gluster_debug_level", 4)),
        virtiofsd_debug=bool(config.get("virtiofsd_debug", False)),
        deprecation=str(config.get("deprecation_behavior", "none")),
        display_ports=ports(config.get("remote_display_port_min", 5900), config.get("remote_display_port_max", 65535)),
        websocket_ports=ports(
            config.get("remote_websocket_port_min", 5700), config.get("remote_websocket_port_max", 65535)
        ),
        limits=limits(config),
        bridge_helper=str(config.get("bridge_helper", "")),
    )


def ports(first: int, last: int) -> range:
    """The ports from `first` to `last`; none where the first is beyond the last."""
    return range(first, last + 1)


def limits(config: Mapping[str, Any]) -> dict[str, int]:
    """Limits of a guest's process that are asked for; 0 for processes and files leaves them as they are."""
    found = {"RLIMIT_NPROC": config.get("max_processes", 0), "RLIMIT_NOFILE": config.get("max_files", 0)}
    asked = {name: int(value) for name, value in found.items() if value}
    core = config.get("max_core", 0)
    return asked | ({"RLIMIT_CORE": -1 if core == "unlimited" else int(core)} if core else {})


def hugetlbfs(configured: str | list[str] | None = None) -> list[tuple[str, int]]:
    """hugetlbfs as configured ("": none), else all that are mounted: path and page size in KiB."""
    if configured:
        folders = [configured] if isinstance(configured, str) else configured
        return [(path, os.statvfs(path).f_bsize >> 10) for path in folders if os.path.isdir(path)]
    if configured == "":
        return []
    found = []
    for line in Path("/proc/self/mounts").read_text().splitlines():
        _, path, kind, options, *_ = line.split()
        if kind == "hugetlbfs":
            size = next((o.removeprefix("pagesize=") for o in options.split(",") if o.startswith("pagesize=")), "2M")
            scale = {"K": 1, "M": 1024, "G": 1024 * 1024}
            found.append((path, int(size[:-1]) * scale[size[-1].upper()]))
    return found
