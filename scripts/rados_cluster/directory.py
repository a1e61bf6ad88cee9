"""Temporary directories that are removed even if the test that made them was killed: by the next one."""

import contextlib
import fcntl
import os
import shutil
import tempfile
from pathlib import Path

from .daemon import Problem

PREFIX = "holdfast-rados-"


def direct_io(path):
    """Can bluestore live there? (On older kernels' tmpfs it cannot.)"""
    probe = os.path.join(path, "direct-io-probe")
    try:
        os.close(os.open(probe, os.O_CREAT | os.O_RDWR | os.O_DIRECT, 0o600))
        return True
    except OSError:
        return False
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(probe)


def fresh_directory(store):
    """Of this process, which holds a lock on it."""
    for base in (tempfile.gettempdir(), "/var/tmp"):
        remove_abandoned(base)
        path = Path(tempfile.mkdtemp(prefix=PREFIX, dir=base))
        if store != "bluestore" or direct_io(path):
            return path, lock(path)
        path.rmdir()
    raise Problem("no directory for temporary files where bluestore can do direct I/O: set TMPDIR, or take memstore")


def lock(path):
    """Locked before it has its name: whoever finds an unlocked one knows that its process is gone."""
    file = open(path / "lock.new", "w", encoding="ascii")  # not inherited by what is started
    fcntl.flock(file, fcntl.LOCK_EX)
    os.rename(path / "lock.new", path / "lock")
    return file


def remove_abandoned(base):
    """What killed tests left. Their daemons died with them."""
    for path in Path(base).glob(PREFIX + "*"):
        try:
            if path.is_symlink() or path.stat().st_uid != os.geteuid():
                continue
            with open(path / "lock", encoding="ascii") as file:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(path, ignore_errors=True)
        except OSError:
            continue
