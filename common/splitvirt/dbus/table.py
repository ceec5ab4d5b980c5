"""What a contract looks like on the bus: interfaces with methods, properties and signals, and their introspection."""

from collections.abc import Iterable
from functools import cached_property
from typing import Any

from splitvirt.api.call import Call, calls
from splitvirt.api.event import Event, events
from splitvirt.api.record import Object, wire
from splitvirt.api.wire import Wire
from splitvirt.dbus import names


class Property:
    """A property: read by a call or from an attribute, written by a call."""

    def __init__(self, name: str, signature: str, attribute: str = "") -> None:
        self.name, self.signature, self.attribute = name, signature, attribute
        self.read: Call | None = None
        self.write: Call | None = None

    @property
    def access(self) -> str:
        """How introspection says it."""
        readable = self.read or self.attribute
        return "readwrite" if readable and self.write else "read" if readable else "write"


class Interface:
    """One interface, of the root or of a kind of object."""

    def __init__(self, name: str, on: type) -> None:
        self.name, self.on = name, on
        self.methods: dict[str, Call] = {}
        self.signals: list[Event] = []
        self.accessors: list[Call] = []

    @property
    def on_object(self) -> bool:
        """Whether it belongs to objects of a kind, not to the root."""
        return issubclass(self.on, Object)

    def add(self, call: Call) -> None:
        """Take in a call under its D-Bus name, where it has one."""
        if call.dbus:
            self.methods[call.dbus] = call
        if call.prop:
            self.accessors.append(call)

    @cached_property
    def properties(self) -> dict[str, Property]:
        """By name: those that calls read and write, then the declared attributes. Made when first asked for."""
        made: dict[str, Property] = {}
        for call in self.accessors:
            writes = bool(call.bus_params)
            of = call.bus_params[0][1] if writes else call.result
            assert of is not None, call
            found = made.setdefault(call.prop, Property(call.prop, of.dbus))
            if writes:
                found.write = call
            else:
                found.read, found.signature = call, of.dbus
        for title, (attribute, signature) in getattr(self.on, "PROPS", {}).items():
            made[title] = Property(title, signature, attribute=attribute)
        return made


def interfaces_of(contract: type) -> list[Interface]:
    """The interfaces of a contract: the root's first, then one for each kind of object that is on the bus."""
    root = getattr(contract, "BUS", "") or f"{names.LIBVIRT}.Connect"
    made = {contract: Interface(root, contract)}
    for kind in getattr(contract, "OBJECTS", ()):
        if kind.BUS:
            made[kind] = Interface(kind.BUS, kind)
    for call in calls(contract):
        if (on := made.get(call.on)) is not None:
            on.add(call)
    for event in events(contract):
        on = made.get(contract if event.on_root else event.on)
        if on is not None and event.dbus:
            on.signals.append(event)
    return list(made.values())


def out_signature(call: Call) -> str:
    """The signature of a call's answer."""
    return call.result.dbus if call.result is not None else ""


def signal_fields(event: Event) -> list[tuple[str, Wire]]:
    """What a signal carries: the object first where it is sent from the root."""
    kind: Any = event.on
    subject = [(kind.__name__.lower(), wire(kind))] if event.on_root and issubclass(kind, Object) else []
    return [*subject, *event.bus_fields]


# -- introspection -----------------------------------------------------------------------------------------------------

_HEAD = (
    '<!DOCTYPE node PUBLIC "-//freedesktop//DTD D-BUS Object Introspection 1.0//EN"\n'
    ' "http://www.freedesktop.org/standards/dbus/1.0/introspect.dtd">\n'
)
_STANDARD = f"""\
  <interface name="{names.INTROSPECTABLE}">
    <method name="Introspect"><arg name="xml" type="s" direction="out"/></method>
  </interface>
  <interface name="{names.PEER}">
    <method name="Ping"/>
    <method name="GetMachineId"><arg name="machine_uuid" type="s" direction="out"/></method>
  </interface>
  <interface name="{names.PROPERTIES}">
    <method name="Get">
      <arg name="interface" type="s" direction="in"/>
      <arg name="property" type="s" direction="in"/>
      <arg name="value" type="v" direction="out"/>
    </method>
    <method name="GetAll">
      <arg name="interface" type="s" direction="in"/>
      <arg name="properties" type="a{{sv}}" direction="out"/>
    </method>
    <method name="Set">
      <arg name="interface" type="s" direction="in"/>
      <arg name="property" type="s" direction="in"/>
      <arg name="value" type="v" direction="in"/>
    </method>
  </interface>
"""
_MANAGER = f"""\
  <interface name="{names.MANAGER}">
    <method name="GetManagedObjects"><arg name="objects" type="a{{oa{{sa{{sv}}}}}}" direction="out"/></method>
    <signal name="InterfacesAdded"><arg name="path" type="o"/><arg name="interfaces" type="a{{sa{{sv}}}}"/></signal>
    <signal name="InterfacesRemoved"><arg name="path" type="o"/><arg name="interfaces" type="as"/></signal>
  </interface>
"""


def introspect(interfaces: Iterable[Interface], children: Iterable[str], *, manager: bool = False) -> str:
    """The introspection document of one object."""
    body = "".join(map(_interface, interfaces))
    nodes = "".join(f'  <node name="{child}"/>\n' for child in children)
    return f"{_HEAD}<node>\n{_STANDARD}{_MANAGER if manager else ''}{body}{nodes}</node>\n"


def _interface(one: Interface) -> str:
    parts = [f'  <interface name="{one.name}">\n']
    for prop in one.properties.values():
        parts.append(f'    <property name="{prop.name}" type="{prop.signature}" access="{prop.access}">\n')
        parts.append('      <annotation name="org.freedesktop.DBus.Property.EmitsChangedSignal" value="false"/>\n')
        parts.append("    </property>\n")
    for name, call in one.methods.items():
        parts.append(f'    <method name="{name}">\n')
        parts += [_arg(param, made.dbus, ' direction="in"') for param, made in call.bus_params]
        if signature := out_signature(call):
            parts.append(_arg("result", signature, ' direction="out"'))
        parts.append(_doc(call.doc) + "    </method>\n")
    for event in one.signals:
        parts.append(f'    <signal name="{event.dbus}">\n')
        parts += [_arg(param, made.dbus, "") for param, made in signal_fields(event)]
        parts.append(_doc(event.doc) + "    </signal>\n")
    return "".join(parts) + "  </interface>\n"


def _arg(name: str, signature: str, direction: str) -> str:
    return f'      <arg name="{name}" type="{signature}"{direction}/>\n'


def _doc(text: str) -> str:
    return f'      <annotation name="org.gtk.GDBus.DocString" value="{_escaped(text)}"/>\n'


def _escaped(text: str) -> str:
    """Text for an attribute; `xml.sax.saxutils` would load half of the network stack for it."""
    for char, entity in (("&", "&amp;"), ("<", "&lt;"), ('"', "&quot;"), ("\n", "&#10;")):
        text = text.replace(char, entity)
    return text
