"""Virtual CPUs and threads: `-smp` and the objects of I/O threads."""

from virtqemud.argv.context import Context
from virtqemud.argv.parts import Parts, options


def smp(ctx: Context) -> Parts:
    """How many CPUs, how many may come, and how they are arranged."""
    parts, domain = Parts(), ctx.domain
    most = domain.vcpu or 1
    now = domain.vcpu_current or most
    if domain.vcpus:  # those that may be unplugged come after the start
        now = sum(1 for v in domain.vcpus if v.enabled is not False and v.hotpluggable is not True) or now
    at = domain.cpu.topology if domain.cpu else None
    shape = {
        "sockets": (at.sockets or 1) if at else most,
        "dies": (at.dies or 1) if at else None,
        "cores": (at.cores or 1) if at else 1,
        "threads": (at.threads or 1) if at else 1,
    }
    parts.add("-smp", options(str(now), maxcpus=most if now < most else None, **shape))
    return parts


def iothreads(ctx: Context) -> Parts:
    """One object a thread, and one for QEMU's own loop where its pool has limits."""
    parts, domain = Parts(), ctx.domain
    if domain.default_iothread_min is not None or domain.default_iothread_max is not None:
        parts.object(
            "main-loop", "main-loop", thread_pool_min=domain.default_iothread_min,
            thread_pool_max=domain.default_iothread_max,
        )  # fmt: skip
    known = {thread.id: thread for thread in domain.iothreadids}
    wanted = list(known)
    number = 1
    while len(wanted) < (domain.iothreads or 0):
        if number not in known:
            wanted.append(number)
        number += 1
    for id in wanted:
        thread = known.get(id)
        parts.object(
            "iothread", f"iothread{id}", thread_pool_min=thread.thread_pool_min if thread else None,
            thread_pool_max=thread.thread_pool_max if thread else None,
        )  # fmt: skip
    return parts
