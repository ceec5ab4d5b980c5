"""For every declared permission one allowed and one denied call: both daemons, both front ends, both buses.

The rows come from the declarations (support/matrix.py). Each permission has a user who has all others and not that one;
one user has them all. A call or permission that is declared and not covered fails here by its name.
"""

import json
from collections.abc import Iterator

import pytest
from support.container import TOP, Container
from support.matrix import FRONTS, PLACES, UNREACHED, known, offered, permissions

from splitvirt.access.rules import action_of

pytestmark = [pytest.mark.long, pytest.mark.timeout(900)]

DENIED = 88  # VIR_ERR_ACCESS_DENIED
REFUSED = (DENIED, 29, 39, 94, -1)
"""What no call of who may do everything ends with: read-only, not understood, not authenticated, not in time."""
RESTART = "systemctl reset-failed polkit || true; systemctl restart polkit"
RULES = """
var lacks = %s;
polkit.addRule(function(action, subject) {
    var without = lacks[subject.user];
    if (without === undefined)
        return polkit.Result.NOT_HANDLED;
    if (action.id == "org.libvirt.unix.manage")
        return polkit.Result.YES;
    if (action.id.indexOf("org.libvirt.api.") == 0)
        return action.id == without ? polkit.Result.NO : polkit.Result.YES;
});
"""
NET = """<network><name>matrix</name><bridge name='br-matrix' stp='off'/>
<ip address='192.168.190.1' prefix='24'/></network>
"""
PORT = """<networkport><uuid>5d744f21-ba4a-4d6e-bdb2-30a35ff3207d</uuid>
<owner><name>x</name><uuid>8e3f4f62-6e34-4a44-9d0f-1d8d3a1d00aa</uuid></owner>
<mac address='52:54:00:00:00:01'/></networkport>
"""
ALL = sorted({one for daemon in PLACES for front in FRONTS for one in permissions(daemon, front)})
USERS = {"every": ""} | {f"lacks{number}": permission for number, permission in enumerate(ALL)}


@pytest.fixture(scope="module")
def prepared(host: Container) -> Iterator[Container]:
    """A user for each permission that does without it, in polkit's rules, and each permission asked for."""
    entries = [f"{name}:x:{4000 + number}:{4000 + number}::/:/bin/sh" for number, name in enumerate(USERS)]
    host.write("/srv/passwd", "\n".join(entries) + "\n")
    host.shell("grep -q ^every: /etc/passwd || cat /srv/passwd >> /etc/passwd; chown root /srv; chmod 755 /srv")
    lacks = {name: action_of(permission) if permission else "" for name, permission in USERS.items()}
    host.write("/etc/polkit-1/rules.d/10-matrix.rules", RULES % json.dumps(lacks))
    host.write("/srv/users.json", json.dumps(USERS))
    host.write("/srv/matrix.xml", NET)
    host.write("/srv/port.xml", PORT)
    host.shell(f"cd /etc/polkit-1/rules.d; chmod 755 .; chmod 644 10-matrix.rules; {RESTART}")
    for daemon in PLACES:
        host.write(f"/etc/libvirt/{daemon}.conf", 'access_drivers = [ "polkit" ]\n')
        host.ok("systemctl", "restart", f"{daemon}.service")
    yield host
    host.shell(f"rm /etc/polkit-1/rules.d/10-matrix.rules; {RESTART}")
    for daemon in PLACES:
        host.shell(f"rm /etc/libvirt/{daemon}.conf; systemctl restart {daemon}.service")


@pytest.fixture
def things(prepared: Container) -> Iterator[Container]:
    """Guests and a network with a port, for calls to be about; gone again afterwards, if they still are there."""
    host, virsh, net = prepared, "virsh -c qemu:///system", "virsh -c network:///system"
    clean = f"""
        for one in demo other; do {virsh} destroy $one; {virsh} undefine $one; done
        {net} net-destroy matrix; {net} net-undefine matrix
    """
    host.shell(f"( {clean} ) >/dev/null 2>&1 || true")
    host.shell(f"""
        {virsh} define /srv/demo.xml
        sed 's/demo/other/; s/0001</0003</' /srv/demo.xml > /srv/other.xml; {virsh} create /srv/other.xml
        {net} net-define /srv/matrix.xml; {net} net-start matrix; {net} net-port-create matrix /srv/port.xml
    """)
    yield host
    host.shell(f"( {clean} ) >/dev/null 2>&1 || true")


@pytest.mark.parametrize("front", FRONTS)
@pytest.mark.parametrize("daemon", list(PLACES))
def test_every_permission_allowed_and_denied(things: Container, daemon: str, front: str) -> None:
    host = things
    script = f"{TOP}/tests/system/every_call.py"
    told = json.loads(host.ok("/usr/lib/splitvirt/bin/python", script, daemon, front, "/srv/users.json", timeout=800))
    every, wanted = told.pop(""), permissions(daemon, front)

    assert [row for row in every if row["code"] in REFUSED] == [], "who has every permission is denied nothing"
    names = {f"{call.on.__name__}.{call.name}" for _, call in offered(daemon, front)}
    assert names <= {row["call"].partition(" ")[0] for row in every}, "each call is made"
    asked = {need for row in every for need in row["needs"]} | {row["filter"] for row in every if row.get("filter")}
    assert wanted <= asked, f"no allowed call needs {wanted - asked}"

    shown = {row["call"]: row["items"] for row in every}
    passed, refused = [], set()
    for lacks, made in told.items():
        for row in made:
            denied = row["code"] == DENIED
            if not denied and row.get("filter") == lacks:
                assert shown[row["call"]] > 0, f"there is nothing in {row['call']} to be hidden"
                denied = row["code"] == row["items"] == 0
            if denied:
                refused.add(lacks)
                assert not known(UNREACHED, row["call"]), f"{row['call']} can be reached: it is covered by itself"
            elif not known(UNREACHED, row["call"]):
                passed.append((lacks, row))
    assert passed == [], "calls that were made without a permission that they need"
    assert wanted - refused == set(), "permissions that no denied call needs"
