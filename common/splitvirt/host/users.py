"""Users and groups by what configuration calls them: a name, a number, or "+number"."""


def known_user(name: str) -> int | None:
    """The number of a user, if there is one: "+number", a name, or a number that is nobody's name."""
    import pwd

    try:
        return _number(name[1:]) if name.startswith("+") else pwd.getpwnam(name).pw_uid
    except KeyError:
        return _number(name)


def known_group(name: str) -> int | None:
    """The number of a group, as `known_user`."""
    import grp

    try:
        return _number(name[1:]) if name.startswith("+") else grp.getgrnam(name).gr_gid
    except KeyError:
        return _number(name)


def _number(text: str) -> int | None:
    # The highest number means "leave it" to the kernel: it is nobody's.
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 10 and int(text) < 0xFFFFFFFF else None
