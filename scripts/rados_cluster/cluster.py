"""The cluster: made, started, hurt, waited for, destroyed."""

import contextlib
import json
import os
import shutil
import signal
import uuid
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from . import librados
from .configuration import MONS, PORT, ZONES, configuration, mon_address, new_key, write_keyring
from .daemon import Daemon, Problem, memory_of, run, wait_for
from .directory import direct_io, fresh_directory

POOL = "holdfast"
LONGEST_PATH = 80  # of the directory: a socket's path may have 107 bytes

# Seconds for what should take one or a few; when they have passed that is an error that says what was waited for.
START_LIMIT = 60
END_LIMIT = 10


class Cluster:
    """In `directory`, which is made, or in a temporary one. `options` count only where there is no cluster in it yet:

    zones, mons   addresses, one for each OSD's zone and each monitor (mon.a, mon.b, ...)
    networks      {"osd.0": path of a network namespace, ...}; the others are in the caller's
    port          the first monitor's; the OSDs' are 100 to 400 above
    auth          "none" or "cephx"
    store         "bluestore"; or "memstore": a little faster, but what is killed must stay dead
    quick         failures are noticed in 3 s (else Ceph's defaults)
    settings      more for ceph.conf's [global]
    """

    DEFAULTS = {"zones": ZONES, "mons": MONS, "networks": {}, "port": PORT, "auth": "none", "store": "bluestore", "quick": True,
                "pgs": 16, "gib": 8, "settings": {}}

    def __init__(self, directory=None, dies_with_us=True, **options):
        unknown = set(options) - set(self.DEFAULTS)
        if unknown:
            raise TypeError(f"no such option: {', '.join(sorted(unknown))}")
        self.options = {**self.DEFAULTS, **options}
        self.dies_with_us = dies_with_us
        self.lock = None
        if directory is None:
            self.directory, self.lock = fresh_directory(self.options["store"])
        else:
            self.directory = Path(os.path.abspath(directory))
        if len(os.fsencode(self.directory)) > LONGEST_PATH:
            raise Problem(f"{self.directory}: a socket's path would be too long: at most {LONGEST_PATH} bytes")
        if self.made():  # its own options count
            self.options = json.loads((self.directory / "options.json").read_text(encoding="utf-8"))
        self.conf = str(self.directory / "ceph.conf")
        self.mons = [Daemon(self.directory, f"mon.{chr(ord('a') + n)}") for n in range(len(self.options["mons"]))]
        self.osds = [Daemon(self.directory, f"osd.{n}") for n in range(len(self.options["zones"]))]

    def __enter__(self):
        try:
            return self.start()
        except BaseException:
            self.destroy()
            raise

    def __exit__(self, *_):
        self.destroy()

    def made(self):
        return (self.directory / "options.json").exists()

    # -- as a whole --

    def start(self):
        """Makes it if it is not there, starts what does not run, and waits until everything is up and every copy is there."""
        first = not self.made()
        if first:
            self.make()
        for number in range(len(self.mons)):
            self.launch(self.mons[number])
        self.wait_mons()
        if first:
            self.make_osds()
        for number in range(len(self.osds)):
            self.start_osd(number, wait=False)
        for daemon in self.osds:
            self.wait_daemon(daemon, lambda state: state.get("state") == "active")
        with self.connect() as client:
            if POOL not in client.mon("osd pool ls"):
                self.make_pool(client)
        self.wait()
        return self

    def stop(self):
        """In an orderly way; the data stays."""
        self.end(self.osds, signal.SIGTERM)
        self.end(self.mons, signal.SIGTERM)

    def destroy(self):
        if not self.directory.exists():
            return
        if not (self.made() or self.lock):
            raise Problem(f"{self.directory} is no cluster's directory")
        self.end(self.osds + self.mons, signal.SIGKILL)
        shutil.rmtree(self.directory)
        if self.lock:
            self.lock.close()

    def make(self):
        for command in ("ceph-mon", "ceph-osd", "monmaptool"):
            if not shutil.which(command):
                raise Problem(f"{command} is not installed: scripts/install-deps")
        self.directory.mkdir(parents=True, exist_ok=True)
        if self.options["store"] == "bluestore" and not direct_io(self.directory):
            raise Problem(f"{self.directory}: no direct I/O there, which bluestore needs: another directory, or memstore")
        if not self.lock and any(self.directory.iterdir()):
            raise Problem(f"{self.directory} is not empty, and no cluster's directory")
        for name in ("run", "log", "crash"):
            (self.directory / name).mkdir()
        (self.directory / "options.json").write_text(json.dumps(self.options, indent=1), encoding="utf-8")
        fsid = str(uuid.uuid4())
        with open(self.conf, "w", encoding="ascii") as file:
            for section, settings in configuration(self.options, self.directory, fsid).items():
                file.write(f"[{section}]\n" + "".join(f"{name} = {value}\n" for name, value in settings.items()))
        self.make_mons(fsid)

    def make_mons(self, fsid):
        with_keys = []
        if self.options["auth"] == "cephx":
            everything = "allow *"
            admin = (new_key(), {"mon": everything, "osd": everything, "mgr": everything})
            write_keyring(self.directory / "client.admin.keyring", **{"client.admin": admin})
            write_keyring(self.directory / "mons.keyring", **{"mon.": (new_key(), {"mon": everything}), "client.admin": admin})
            with_keys = ["--keyring", str(self.directory / "mons.keyring")]
        monmap = str(self.directory / "monmap")
        addresses = [word for number, mon in enumerate(self.mons)
                     for word in ("--addv", mon.id, mon_address(self.options, number))]
        run(["monmaptool", "--create", "--fsid", fsid, "--set-min-mon-release", "pacific", *addresses, monmap], self.directory)
        for mon in self.mons:
            run(mon.command("--mkfs", "--monmap", monmap, *with_keys), self.directory)

    def make_osds(self):
        def make(daemon, identity):
            run(daemon.command("--mkfs", "--osd-uuid", identity), self.directory)
        identities = [str(uuid.uuid4()) for _ in self.osds]
        with self.connect() as client:
            for daemon, identity in zip(self.osds, identities):
                (self.directory / daemon.name).mkdir()
                secret = b""
                if self.options["auth"] == "cephx":
                    key = new_key()
                    write_keyring(self.directory / daemon.name / "keyring", **{daemon.name: (key, {})})
                    secret = json.dumps({"cephx_secret": key}).encode()
                client.mon("osd new", secret, uuid=identity, id=int(daemon.id))
        with ThreadPoolExecutor(len(self.osds)) as threads:
            list(threads.map(make, self.osds, identities))

    def make_pool(self, client):
        copies = min(3, len(self.osds))
        client.mon("osd crush rule create-replicated", name="copy-in-each-zone", root="default", type="datacenter")
        client.mon("osd pool create", pool=POOL, pg_num=self.options["pgs"], pgp_num=self.options["pgs"], pool_type="replicated",
                   rule="copy-in-each-zone", size=copies, autoscale_mode="off")
        client.mon("osd pool set", pool=POOL, var="min_size", val=str(min(2, copies)))
        client.mon("osd pool application enable", pool=POOL, app="holdfast")

    # -- its parts --

    def launch(self, daemon):
        daemon.start(self.options["networks"].get(daemon.name), self.dies_with_us)

    def wait_daemon(self, daemon, ready, prefix="status"):
        def answered():
            if daemon.pid() is None:
                raise Problem(f"{daemon.name} ended: {daemon.last_words()}")
            state = daemon.ask(prefix)
            return state is not None and ready(state)
        wait_for(answered, START_LIMIT, lambda: f"{daemon.name} does not come up: {daemon.last_words()}")

    def wait_mons(self):
        for mon in self.mons:
            self.wait_daemon(mon, lambda state: state.get("state") in ("leader", "peon"), "mon_status")

    def end(self, daemons, number):
        """Signals all, then waits for all; SIGKILL for one that takes too long. Stopped ones go on, to be ended."""
        pids = {daemon: daemon.pid() for daemon in daemons}
        for daemon, pid in pids.items():
            if pid is not None:
                with contextlib.suppress(ProcessLookupError, Problem):
                    daemon.signal(number)
                    daemon.signal(signal.SIGCONT)
        for daemon, pid in pids.items():
            def ended(daemon=daemon):
                return daemon.pid() is None
            try:
                wait_for(ended, END_LIMIT, lambda: "too long")
            except Problem:
                with contextlib.suppress(ProcessLookupError, Problem):
                    daemon.signal(signal.SIGKILL)
                wait_for(ended, END_LIMIT, lambda daemon=daemon: f"{daemon.name} can't be killed")
            daemon.pid_file.unlink(missing_ok=True)
            daemon.socket.unlink(missing_ok=True)

    def kill_osd(self, number):
        """What it had acknowledged survives on disk with bluestore, and is lost with memstore."""
        if self.options["store"] == "memstore":
            (self.directory / f"osd.{number}" / "lost").touch()
        self.end([self.osds[number]], signal.SIGKILL)

    def start_osd(self, number, wait=True):
        daemon = self.osds[number]
        if (self.directory / daemon.name / "lost").exists():
            raise Problem(f"{daemon.name} was killed, and with it what it had in memory (memstore): it must stay dead")
        self.launch(daemon)
        if wait:
            self.wait_daemon(daemon, lambda state: state.get("state") == "active")

    def pause_osd(self, number):
        self.osds[number].signal(signal.SIGSTOP)

    def resume_osd(self, number):
        self.osds[number].signal(signal.SIGCONT)

    def kill_mon(self, number=0):
        self.end([self.mons[number]], signal.SIGKILL)

    def start_mon(self, number=0):
        self.launch(self.mons[number])
        self.wait_mons()

    # -- what it says --

    def connect(self, user="client.admin", pool=None, **settings):
        """A librados client. It needs a pool to read and write (POOL)."""
        return librados.Connection(self.conf, user, pool, **settings)

    def add_user(self, name, **capabilities):
        """cephx: makes client.NAME with these capabilities (mon="allow r", osd=...), and returns its keyring's path."""
        words = [word for service, text in capabilities.items() for word in (service, text)]
        with self.connect() as client:
            entity = client.mon("auth get-or-create", entity=f"client.{name}", caps=words)[0]
        path = self.directory / f"client.{name}.keyring"
        write_keyring(path, **{f"client.{name}": (entity["key"], {})})
        return path

    def pg_states(self, client):
        """{state: number of placement groups}, asked of themselves, as there is no manager that would know. One that does not
        answer is "silent"."""
        def state(pgid):
            try:
                return client.pg(pgid, "query")["state"]
            except librados.Error:
                return "silent"
        pgids = [f"{pool['pool']}.{n:x}" for pool in client.mon("osd dump")["pools"] for n in range(pool["pg_num"])]
        counts = {}
        with ThreadPoolExecutor(16) as threads:
            for found in threads.map(state, pgids):
                counts[found] = counts.get(found, 0) + 1
        return counts

    def wait(self, limit=START_LIMIT, without=()):
        """Until each copy is there. Or until the OSDs in `without` are known to be down and everything can be written with the
        others."""
        wanted = {int(daemon.id) for daemon in self.osds} - set(without)
        seen = {}

        def settled():
            seen["up"] = {osd["osd"] for osd in client.mon("osd dump")["osds"] if osd["up"]}
            # An OSD that was killed is up for the monitors until somebody misses it; itself it knows better.
            seen["active"] = {n for n in wanted if (self.osds[n].ask("status") or {}).get("state") == "active"}
            if not seen["up"] == seen["active"] == wanted:
                return False
            seen["pgs"] = self.pg_states(client)
            return all(state == "active+clean" or (without and state.startswith("active")) for state in seen["pgs"])
        with self.connect(rados_osd_op_timeout=2) as client:
            wait_for(settled, limit, lambda: f"the cluster does not settle: {seen}")

    def status(self):
        """Lines for a person."""
        lines = []
        for daemon in self.mons + self.osds:
            pid = daemon.pid()
            lines.append(f"{daemon.name}: {memory_of(pid)}, pid {pid}" if pid else f"{daemon.name}: does not run")
        try:
            with self.connect(rados_osd_op_timeout=2, client_mount_timeout=5, rados_mon_op_timeout=5) as client:
                health, osds = client.mon("health"), client.mon("osd dump")["osds"]
                lines.append("; ".join([health["status"], *(check["summary"]["message"] for check in health["checks"].values())]))
                lines.append(f"{sum(osd['up'] for osd in osds)} of {len(osds)} OSDs up; placement groups: "
                             + ", ".join(f"{count} {state}" for state, count in sorted(self.pg_states(client).items())))
        except librados.Error as error:
            lines.append(f"no answer from the cluster: {error.strerror}")
        return lines
