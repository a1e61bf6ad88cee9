"""Disks that fail, hang or fill up: file systems of their own, each in a file."""

import contextlib
import fcntl
import os
import struct
import subprocess

import case

EXT4_IOC_SHUTDOWN = 0x8004587D  # _IOR('X', 125, __u32): what a dying disk looks like to a program
NO_LOG_FLUSH = 2


class Disks(case.Case):
    def mount_ext4(self, name, size_mib):
        """A file system of its own, so that it can be filled and broken."""
        path = self.directory.make(name)
        image = self.directory.file(name + ".img")
        with open(image, "wb") as file:
            file.truncate(size_mib * case.MIB)
        subprocess.run(["mkfs.ext4", "-q", "-m", "0", "-O", "^has_journal", image], check=True)
        if subprocess.run(["mount", "-o", "loop", image, path], check=False, capture_output=True).returncode != 0:
            self.skipTest("can't mount")
        self.addCleanup(subprocess.run, ["umount", "-l", path], check=False)
        return path


def fail(path):
    """Every access from now on is an error."""
    fd = os.open(path, os.O_RDONLY)
    fcntl.ioctl(fd, EXT4_IOC_SHUTDOWN, struct.pack("I", NO_LOG_FLUSH))
    os.close(fd)


@contextlib.contextmanager
def hanging(path):
    """Writes hang while this lasts; what is read is what was there."""
    subprocess.run(["fsfreeze", "--freeze", path], check=True)
    try:
        yield
    finally:
        subprocess.run(["fsfreeze", "--unfreeze", path], check=True)


def fill(ballast):
    """With this file, to the last block."""
    with open(ballast, "wb", buffering=0) as file:
        for piece in (case.MIB, 4096):
            try:
                while True:
                    file.write(bytes(piece))
                    os.fsync(file.fileno())
            except OSError:
                pass
