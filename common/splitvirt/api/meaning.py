"""What a number stands for, in a word: the constant that it is the value of."""

import functools

from . import constants


@functools.lru_cache(256)
def word(prefix: str, value: int) -> str:
    """The constant of that prefix and value, in small letters without the prefix; "" where there is none.

    A constant of one more word comes first: VIR_DOMAIN_ speaks of VIR_DOMAIN_RUNNING, not of VIR_DOMAIN_JOB_BOUNDED;
    NONE, which flags have as well, comes after other words.
    """
    found = [
        name.removeprefix(prefix)
        for name, number in vars(constants).items()
        if name.startswith(prefix) and number == value and not name.endswith("_LAST") and "_ID_" not in name
    ]
    return min(found, key=lambda rest: (not rest.isalpha(), rest == "NONE"), default="").lower().replace("_", " ")
