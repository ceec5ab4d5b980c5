"""A guest of the QEMU driver: every call on it, by subject."""

from .blockjobs import BlockJobs
from .config import Configuring
from .console import Consoles
from .disks import Disks
from .hotplug import Hotplug
from .interfaces import Interfaces
from .limits import Limits
from .memory import Memory
from .metadata import Describing
from .migration import Migrating
from .monitor_events import MonitorEvents
from .reading import Reading
from .saving import Saving
from .stats import Statistics
from .threads import Threads
from .throttle import Throttles
from .tools import Tools
from .vcpus import Processors


class QemuDomain(
    MonitorEvents, Reading, Hotplug, Configuring, Describing, Consoles, Tools, Statistics,
    Memory, Threads, Processors, Limits, Throttles, BlockJobs, Migrating, Disks, Interfaces, Saving,
):  # fmt: skip
    """A guest of the QEMU driver."""
