"""As much of librados as a test cluster and its tests need, by ctypes: it works in any python3, with or without Debian's module.

Time-outs are the configuration's (rados_mon_op_timeout, rados_osd_op_timeout, client_mount_timeout): without them a call waits
for ever for a cluster that is away.
"""

import ctypes
import json
import os

PATIENCE = {"client_mount_timeout": 20, "rados_mon_op_timeout": 20, "rados_osd_op_timeout": 20}  # seconds


class Error(OSError):
    """What librados returned, as errno; ETIMEDOUT says nothing about whether the operation was done, or will be."""


def library():
    if library.loaded is None:
        try:
            library.loaded = ctypes.CDLL("librados.so.2", use_errno=True)
        except OSError as error:
            raise RuntimeError(f"librados can't be loaded ({error}): scripts/install-deps") from None
        library.loaded.rados_shutdown.restype = None
        library.loaded.rados_buffer_free.restype = None
        library.loaded.rados_ioctx_destroy.restype = None
        library.loaded.rados_get_instance_id.restype = ctypes.c_uint64
    return library.loaded


library.loaded = None


def checked(status, what, why=""):
    if status < 0:
        raise Error(-status, f"{what}: {os.strerror(-status)}" + (f": {why}" if why else ""))
    return status


class Connection:
    """One client instance; close() it, or use it with `with`. Its methods may be called from several threads."""

    def __init__(self, conf, user="client.admin", pool=None, **settings):
        self.rados, self.io = ctypes.c_void_p(), None
        self.call("rados_create2", ctypes.byref(self.rados), b"ceph", user.encode(), ctypes.c_uint64(0),
                  what=f"librados for {user}")
        try:
            self.call("rados_conf_read_file", self.rados, os.fsencode(conf), what=conf)
            for name, value in {**PATIENCE, **settings}.items():
                self.call("rados_conf_set", self.rados, name.encode(), str(value).encode(), what=f"{name}={value}")
            self.call("rados_connect", self.rados, what=f"connecting as {user}")
            if pool is not None:
                io = ctypes.c_void_p()
                self.call("rados_ioctx_create", self.rados, pool.encode(), ctypes.byref(io), what=f"pool {pool}")
                self.io = io
        except BaseException:
            self.close()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        if self.io is not None:
            library().rados_ioctx_destroy(self.io)
            self.io = None
        if self.rados is not None:
            library().rados_shutdown(self.rados)
            self.rados = None

    @staticmethod
    def call(function, *arguments, what):
        return checked(getattr(library(), function)(*arguments), what)

    def write_full(self, name, data):
        self.call("rados_write_full", self.io, name.encode(), data, ctypes.c_size_t(len(data)), what=f"writing {name}")

    def read(self, name, size=1 << 20, offset=0):
        buffer = ctypes.create_string_buffer(size)
        count = self.call("rados_read", self.io, name.encode(), buffer, ctypes.c_size_t(size), ctypes.c_uint64(offset),
                          what=f"reading {name}")
        return buffer.raw[:count]

    def mon(self, prefix, data=b"", **arguments):
        """A monitor's command; its answer, parsed."""
        return self.command("rados_mon_command", (), {"prefix": prefix, "format": "json", **arguments}, data)

    def pg(self, pgid, prefix, **arguments):
        """A command for a placement group's primary."""
        return self.command("rados_pg_command", (pgid.encode(),), {"prefix": prefix, "pgid": pgid, **arguments}, b"")

    def command(self, function, target, words, data):
        out, out_size, why, why_size = ctypes.c_void_p(), ctypes.c_size_t(), ctypes.c_void_p(), ctypes.c_size_t()
        lines = (ctypes.c_char_p * 1)(json.dumps(words).encode())
        status = getattr(library(), function)(
            self.rados, *target, lines, ctypes.c_size_t(1), data, ctypes.c_size_t(len(data)), ctypes.byref(out),
            ctypes.byref(out_size), ctypes.byref(why), ctypes.byref(why_size))
        answer = self.taken(out, out_size)
        checked(status, words["prefix"], self.taken(why, why_size).decode(errors="replace"))
        return json.loads(answer) if answer.strip() else None

    @staticmethod
    def taken(pointer, size):
        if not pointer.value:
            return b""
        taken = ctypes.string_at(pointer.value, size.value)
        library().rados_buffer_free(pointer)
        return taken
