"""The keys of the configuration files: every one that libvirt documents, its default, and what is allowed.

Each daemon reads `<daemon>.conf` (the keys in DAEMON) and its driver's own file (`qemu.conf`, `network.conf`).
"""

from .config import Key, group, octal, one_of, user, uuid, within

_AUTH = one_of("none", "polkit")
_FORMATS = one_of("raw", "gzip", "bzip2", "xz", "lzop", "zstd")
_COUNT = within(1, 1_000_000)
_PORT = within(1, 65535)
_QUEUE = "clients beyond max_clients wait in the kernel's queue"
_NOT_YET = "this version does nothing with it yet"

DAEMON = {
    # sockets
    "unix_sock_group": Key(""),
    "unix_sock_ro_perms": Key("0777", octal),
    "unix_sock_rw_perms": Key("0700", octal),
    "unix_sock_admin_perms": Key("0700", octal),
    "unix_sock_dir": Key(""),
    # who may do what
    "auth_unix_ro": Key("", one_of("", "none", "polkit"), reload=True),
    "auth_unix_rw": Key("", one_of("", "none", "polkit"), reload=True),
    "access_drivers": Key([], one_of([], ["none"], ["polkit"]), reload=True),
    # limits
    "max_clients": Key(5000, _COUNT, reload=True),
    "max_queued_clients": Key(1000, inert=_QUEUE),
    "max_anonymous_clients": Key(20, within(0, 1_000_000), reload=True),
    "max_client_requests": Key(5, _COUNT, reload=True),
    "min_workers": Key(5, within(0, 10_000), reload=True),
    "max_workers": Key(20, within(1, 10_000), reload=True),
    "prio_workers": Key(5, within(0, 10_000), reload=True),
    "admin_max_clients": Key(5, _COUNT, reload=True),
    "admin_max_queued_clients": Key(5, inert=_QUEUE),
    "admin_max_client_requests": Key(5, _COUNT, reload=True),
    "admin_min_workers": Key(1, within(0, 10_000), reload=True),
    "admin_max_workers": Key(5, within(1, 10_000), reload=True),
    # log
    "log_level": Key(2, within(1, 4), reload=True),
    "log_filters": Key("", reload=True),
    "log_outputs": Key("", reload=True),
    "audit_level": Key(1, within(0, 2), inert="this daemon writes no audit records yet"),
    "audit_logging": Key(False, inert="this daemon writes no audit records yet"),
    # clients that fall silent
    "keepalive_interval": Key(5, within(-1, 86_400), reload=True),
    "keepalive_count": Key(5, within(0, 10_000), reload=True),
    "keepalive_required": Key(False, inert="libvirt dropped it as well"),
    "admin_keepalive_interval": Key(5, within(-1, 86_400), reload=True),
    "admin_keepalive_count": Key(5, within(0, 10_000), reload=True),
    "admin_keepalive_required": Key(False, inert="libvirt dropped it as well"),
    # the host
    "host_uuid": Key("", uuid),
    "host_uuid_source": Key("smbios", one_of("smbios", "machine-id")),
    "ovs_timeout": Key(5, inert="Open vSwitch is not driven by this daemon"),
    # ours: how much of the room one user, or one connection to the bus, may take
    "max_user_clients": Key(0, within(0, 1_000_000), reload=True),
    "max_user_anonymous_clients": Key(0, within(0, 1_000_000), reload=True),
    "dbus_max_client_requests": Key(500, _COUNT, reload=True),
    "dbus_max_user_requests": Key(1000, _COUNT, reload=True),
    # ours: the bus name that libvirt-dbus's clients ask for
    "own_org_libvirt": Key(False),
}

_REMOTE = "connections from other hosts are not served"
DAEMON |= {name: Key(False, inert=_REMOTE) for name in ("listen_tls", "listen_tcp")}
DAEMON |= {
    name: Key("", inert=_REMOTE)
    for name in ("tls_port", "tcp_port", "listen_addr", "auth_tcp", "auth_tls", "key_file",
                 "cert_file", "ca_file", "crl_file", "tls_no_sanity_certificate", "tls_no_verify_certificate",
                 "tls_allowed_dn_list", "tls_priority", "tcp_min_ssf", "sasl_allowed_username_list")
}  # fmt: skip


def _tls(prefix: str, directory: str) -> dict[str, Key]:
    return {
        f"{prefix}_tls": Key(False),
        f"{prefix}_tls_x509_cert_dir": Key(directory),
        f"{prefix}_tls_x509_verify": Key(False),
        f"{prefix}_tls_x509_secret_uuid": Key(""),
    }


QEMU = {
    "default_tls_x509_cert_dir": Key("/etc/pki/qemu"),
    "default_tls_x509_verify": Key(True),
    "default_tls_x509_secret_uuid": Key(""),
    "vnc_listen": Key("127.0.0.1"),
    "vnc_auto_unix_socket": Key(False),
    "vnc_password": Key(""),
    "vnc_sasl": Key(False),
    "vnc_sasl_dir": Key(""),
    "vnc_allow_host_audio": Key(False),
    **_tls("vnc", "/etc/pki/libvirt-vnc"),
    "spice_listen": Key("127.0.0.1"),
    "spice_tls": Key(False),
    "spice_tls_x509_cert_dir": Key("/etc/pki/libvirt-spice"),
    "spice_auto_unix_socket": Key(False),
    "spice_password": Key(""),
    "spice_sasl": Key(False),
    "spice_sasl_dir": Key(""),
    **_tls("chardev", ""),
    **_tls("vxhs", ""),
    **_tls("nbd", ""),
    **_tls("migrate", ""),
    "migrate_tls_force": Key(False),
    **_tls("backup", ""),
    "nographics_allow_host_audio": Key(False),
    "remote_display_port_min": Key(5900, within(5900, 65535)),
    "remote_display_port_max": Key(65535, within(5900, 65535)),
    "remote_websocket_port_min": Key(5700, within(5700, 65535)),
    "remote_websocket_port_max": Key(65535, within(5700, 65535)),
    "security_driver": Key("none"),
    "security_default_confined": Key(True),
    "security_require_confined": Key(False),
    "user": Key("", user),
    "group": Key("", group),
    "dynamic_ownership": Key(True),
    "remember_owner": Key(True),
    "cgroup_controllers": Key([]),
    "cgroup_device_acl": Key([]),
    "save_image_format": Key("raw", _FORMATS),
    "dump_image_format": Key("raw", _FORMATS),
    "snapshot_image_format": Key("raw", _FORMATS),
    "auto_dump_path": Key(""),
    "auto_dump_bypass_cache": Key(False),
    "auto_start_bypass_cache": Key(False),
    "hugetlbfs_mount": Key([], text_too=True),
    "bridge_helper": Key(""),
    "pr_helper": Key("/usr/bin/qemu-pr-helper"),
    "slirp_helper": Key("/usr/bin/slirp-helper"),
    "dbus_daemon": Key("/usr/bin/dbus-daemon"),
    "set_process_name": Key(False),
    "max_processes": Key(0, within(0, 1 << 31)),
    "max_files": Key(0, within(0, 1 << 31)),
    "max_threads_per_process": Key(0),
    "max_core": Key(0, text_too="unlimited"),
    "dump_guest_core": Key(False),
    "mac_filter": Key(False),
    "relaxed_acs_check": Key(False),
    "lock_manager": Key(""),
    "max_queued": Key(0),
    "keepalive_interval": Key(5, within(-1, 86_400)),
    "keepalive_count": Key(5, within(0, 10_000)),
    "seccomp_sandbox": Key(-1, within(-1, 1)),
    "migration_address": Key("0.0.0.0"),
    "migration_host": Key(""),
    "migration_port_min": Key(49152, _PORT),
    "migration_port_max": Key(49215, _PORT),
    "log_timestamp": Key(True),
    "nvram": Key([]),
    "stdio_handler": Key("file", one_of("file", "logd")),
    "gluster_debug_level": Key(4, within(0, 9)),
    "virtiofsd_debug": Key(False),
    "namespaces": Key([], one_of([], ["mount"])),
    "memory_backing_dir": Key(""),
    "swtpm_user": Key("tss", user),
    "swtpm_group": Key("tss", group),
    "capability_filters": Key([]),
    "deprecation_behavior": Key("none", one_of("none", "omit", "reject", "crash")),
    "sched_core": Key("none", one_of("none", "vcpus", "emulator", "full")),
    "clear_emulator_capabilities": Key(True),
    "allow_disk_format_probing": Key(False, inert="formats are never guessed from a disk's content"),
}

_UNUSED = {
    "there is no driver of secrets": [
        "default_tls_x509_secret_uuid", "vnc_tls_x509_secret_uuid", "chardev_tls_x509_secret_uuid",
        "vxhs_tls_x509_secret_uuid", "nbd_tls_x509_secret_uuid", "migrate_tls_x509_secret_uuid",
        "backup_tls_x509_secret_uuid",
    ],
    "QEMU always checks the server": ["vxhs_tls_x509_verify", "nbd_tls_x509_verify"],
    "guests are not migrated yet": [
        "migrate_tls", "migrate_tls_x509_cert_dir", "migrate_tls_x509_verify", "migrate_tls_force",
        "migration_address", "migration_host", "migration_port_min", "migration_port_max", "keepalive_interval",
        "keepalive_count",
    ],
    "guests are not backed up yet": ["backup_tls", "backup_tls_x509_cert_dir", "backup_tls_x509_verify"],
    "guests are not saved or dumped yet": [
        "save_image_format", "dump_image_format", "snapshot_image_format", "auto_dump_path", "auto_dump_bypass_cache",
        "auto_start_bypass_cache",
    ],
    "guests play sound where their <audio> says": ["vnc_allow_host_audio", "nographics_allow_host_audio"],
    "guests are confined by their user and group alone": [
        "security_driver", "security_default_confined", "security_require_confined",
    ],
    "guests have no view of their own of the host's devices yet": ["namespaces"],
    "QEMU writes to its file itself": ["stdio_handler"],
    "disks are not locked between hosts": ["lock_manager"],
    "firmware is found by its descriptors (/usr/share/qemu/firmware)": ["nvram"],
    "these helpers are not used": ["pr_helper", "slirp_helper", "dbus_daemon"],
    _NOT_YET: [
        "cgroup_controllers", "cgroup_device_acl", "max_threads_per_process", "mac_filter", "max_queued",
        "capability_filters", "sched_core",
    ],
}  # fmt: skip
"""Why keys do nothing, and which; a value that says what is done anyway, the default, is not warned of."""
QEMU |= {name: Key(**vars(QEMU[name]) | {"inert": why}) for why, names in _UNUSED.items() for name in names}

NETWORK = {
    "firewall_backend": Key("nftables", one_of("nftables")),
}

FILES = {"virtqemud": ("qemu.conf", QEMU), "virtnetworkd": ("network.conf", NETWORK)}
"""Beside its own file, what each daemon's driver reads."""
