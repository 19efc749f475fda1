"""Waits for what a process does to its files: Linux tells of every change in a directory, so nobody has to look again and again."""
import contextlib
import ctypes
import os
import pathlib
import select
import time

_LIBC = ctypes.CDLL(None, use_errno=True)
_MODIFY, _CLOSE_WRITE, _MOVED_FROM, _MOVED_TO, _CREATE, _DELETE = 0x2, 0x8, 0x40, 0x80, 0x100, 0x200
_ANY = _MODIFY | _CLOSE_WRITE | _MOVED_FROM | _MOVED_TO | _CREATE | _DELETE


@contextlib.contextmanager
def watched(directory):
    """A descriptor that can be read when something in the directory, which is there, has changed."""
    descriptor = _LIBC.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        if descriptor < 0 or _LIBC.inotify_add_watch(descriptor, os.fsencode(directory), _ANY) < 0:
            raise OSError(ctypes.get_errno(), f"inotify of {directory}")
        yield descriptor
    finally:
        if descriptor >= 0:
            os.close(descriptor)


def await_files(directory, holds, timeout_s=60):
    """What `holds` says once that is true; it is asked again after every change in the directory."""
    deadline = time.monotonic() + timeout_s
    with watched(directory) as descriptor:
        while not (said := holds()):
            left = deadline - time.monotonic()
            ready = left > 0 and select.select([descriptor], [], [], left)[0]
            assert ready, f"in {timeout_s} s it did not come about in {directory}: {sorted(p.name for p in pathlib.Path(directory).iterdir())}"
            with contextlib.suppress(BlockingIOError):
                while os.read(descriptor, 1 << 16):
                    pass
    return said
