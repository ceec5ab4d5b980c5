"""nftables through libnftables(3): a text of commands is one transaction, of which all or nothing takes effect."""

import ctypes
import functools
import threading


class NftError(OSError):
    """The kernel or the library refused a transaction; the text is the first reason."""


@functools.cache
def _library() -> "ctypes.CDLL":
    library = ctypes.CDLL("libnftables.so.1")
    library.nft_ctx_new.restype = ctypes.c_void_p
    library.nft_ctx_new.argtypes = [ctypes.c_uint32]
    library.nft_ctx_free.argtypes = [ctypes.c_void_p]
    for name in ("nft_ctx_buffer_output", "nft_ctx_buffer_error"):
        getattr(library, name).argtypes = [ctypes.c_void_p]
    library.nft_ctx_output_set_flags.argtypes = [ctypes.c_void_p, ctypes.c_uint]
    library.nft_run_cmd_from_buffer.argtypes = [ctypes.c_void_p, ctypes.c_char_p]
    for name in ("nft_ctx_get_output_buffer", "nft_ctx_get_error_buffer"):
        getattr(library, name).restype = ctypes.c_char_p
        getattr(library, name).argtypes = [ctypes.c_void_p]
    return library


JSON, HANDLE = 1 << 4, 1 << 3
_lock = threading.Lock()


def run(commands: str, *, flags: int = 0) -> str:
    """Run commands as one transaction and return what they print (as JSON with `flags=JSON`).

    Raises NftError when any of them is refused: then none has happened. OSError when libnftables is not installed.
    """
    library = _library()
    with _lock:  # the library's parser is not made for threads
        context = library.nft_ctx_new(0)
        if not context:
            raise NftError("libnftables gave no context")
        try:
            library.nft_ctx_buffer_output(context)
            library.nft_ctx_buffer_error(context)
            library.nft_ctx_output_set_flags(context, flags)
            status = library.nft_run_cmd_from_buffer(context, commands.encode())
            if status:
                words = (library.nft_ctx_get_error_buffer(context) or b"refused").decode(errors="replace")
                raise NftError(words.strip().partition("\n")[0].removeprefix("Error: "))
            return (library.nft_ctx_get_output_buffer(context) or b"").decode(errors="replace")
        finally:
            library.nft_ctx_free(context)
