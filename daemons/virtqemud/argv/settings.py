"""qemu.conf as the command line wants it."""

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
        hugetlbfs=hugetlbfs(),
        relaxed_acs=bool(config.get("relaxed_acs_check", False)),
        memory_backing_dir=str(config.get("memory_backing_dir", "")),
    )


def hugetlbfs() -> list[tuple[str, int]]:
    """Mounted hugetlbfs: path and page size in KiB."""
    found = []
    for line in Path("/proc/self/mounts").read_text().splitlines():
        _, path, kind, options, *_ = line.split()
        if kind == "hugetlbfs":
            size = next((o.removeprefix("pagesize=") for o in options.split(",") if o.startswith("pagesize=")), "2M")
            scale = {"K": 1, "M": 1024, "G": 1024 * 1024}
            found.append((path, int(size[:-1]) * scale[size[-1].upper()]))
    return found
