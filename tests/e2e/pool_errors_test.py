#!/usr/bin/env python3
"""What can be wrong about a pool before and while it is used: one line that says what, where and what to do; nothing damaged."""

import os
import re
import socket
import subprocess
import time

import case
import lab
import pool_case
import rados_cluster
from case import MIB


class ErrorsTest(pool_case.PoolCase):
    LIMIT = 9  # seconds: some wait for the lock of a log, 5 s

    def refuse(self, arguments, status, *words, limit=LIMIT):
        begun = time.monotonic()
        done = subprocess.run([lab.BINARY, *arguments], capture_output=True, text=True, timeout=60, check=False)
        took = time.monotonic() - begun
        lines = [line for line in done.stderr.splitlines() if line.startswith("holdfast: ")]
        self.assertEqual((done.returncode, len(lines)), (status, 1), done.stderr)
        for word in words:
            self.assertIn(word, lines[0])
        self.assertLess(took, limit)
        return lines[0]

    def serve(self, place, *more, link="hf8", address="10.79.0.2"):
        return ["serve", "--link", f"tap:{link}", "--address", f"{address}/24", "--service", "store:7000", "--data", place, *more]

    def send(self, place):
        return ["send", "--link", "tap:hf8", "--address", "10.79.0.2/24", "--to", "10.79.0.1:9", "--data", place, os.devnull]

    def refuse_place(self, place, status, *words, limit=LIMIT):
        """By everything that takes one."""
        for arguments in (self.serve(place), ["streams", "list", "--data", place], ["store", "status", "--data", place]):
            self.refuse(arguments, status, *words, limit=limit)

    def rados(self, *words, data=b""):
        command = ["rados", "--conf", self.cluster.conf, "--pool", pool_case.POOL, "--namespace", self.namespace(), *words]
        return subprocess.run(command, input=data, capture_output=True, check=True, env=dict(os.environ, CEPH_ARGS="")).stdout

    def a_log(self):
        node = self.pool_node()
        self.upload(b"mine" * 1000)
        self.assertEqual(node.stop(), 0)
        return node

    def test_addresses(self):
        for place in ("rados:", "rados:/a", "rados:a/b/c", "rados:pool?conf", "rados:pool?colour=red", "rados:pool/..", "rados:p p"):
            with self.subTest(place):
                self.refuse_place(place, 2, f"--data {place}", "rados:POOL")
        self.refuse(self.serve(self.directory.make("a"), "--service-group", "store"), 2, "service group's log is in pools", "rados:POOL")
        self.refuse(self.serve(self.place(), "--standby"), 2, "--standby", "--service-group")

    def test_a_pool_that_goes_on_with_one_copy(self):
        """Refused, unless its address says that it is meant."""
        def set_to(**values):
            for name, value in values.items():
                sure = {"yes_i_really_mean_it": True} if name == "size" else {}
                self.admin.mon("osd pool set", pool="thin", var=name, val=str(value), **sure)
        self.admin.mon("config set", who="mon", name="mon_allow_pool_size_one", value="true")
        self.admin.mon("osd pool create", pool="thin", pg_num=1, pgp_num=1, pool_type="replicated", rule="copy-in-each-zone")
        self.addCleanup(self.admin.mon, "osd pool delete", pool="thin", pool2="thin", yes_i_really_really_mean_it=True)
        thin = {"pool": "thin", "user": "admin"}
        set_to(size=3, min_size=1)
        self.refuse(self.serve(self.place(**thin)), 2, "min_size 1", "min_size 2", "copies=1")
        self.refuse(self.send(self.place(**thin)), 2, "min_size 1", "copies=1")
        node = self.pool_node(place=self.place("copies=1", **thin))
        self.assertIn("goes on with one of its 3 copies", node.log())
        self.upload(b"mine" * 1000)
        self.assertEqual(node.stop(), 0)
        # Beside a directory it is refused as well: it would count as two copies.
        self.refuse(self.serve(self.place(**thin), "--data", self.directory.make("d"), "--stored-on", "1"), 2, "copies=1")
        set_to(min_size=2)
        self.refuse(self.serve(self.place("copies=3", **thin)), 2, "2 of its 3 copies", "copies=3", "min_size 3")
        set_to(size=1)
        node = self.pool_node(place=self.place("copies=1", **thin))
        self.assertIn("keeps one copy: a lost disk is lost data", node.log())
        self.assertEqual(node.stop(), 0)

    def test_no_configuration(self):
        self.refuse_place("rados:holdfast?conf=/does/not/exist.conf", 2, "/does/not/exist.conf", "No such file")

    def test_no_such_pool(self):
        self.refuse_place(self.place(pool="absent"), 2, "no pool absent", "ceph osd pool create")

    def test_no_key_and_a_wrong_key(self):
        self.refuse_place(self.place("keyring=/does/not/exist"), 1, "no keyring for client.holdfast")
        path = self.directory.file("wrong.keyring")
        with open(path, "w", encoding="ascii") as file:
            file.write(f"[client.holdfast]\nkey = {rados_cluster.configuration.new_key()}\n")
        self.refuse_place(self.place(f"keyring={path}"), 1, "does not accept client.holdfast")

    def test_a_key_that_may_only_read(self):
        self.cluster.add_user("reader", mon="allow r", osd=f"allow r pool={pool_case.POOL}")
        node = self.a_log()
        place = self.place(user="reader")
        self.assertEqual(lab.holdfast("streams", "cat", "1", "--data", place), "mine" * 1000)
        self.refuse(self.serve(place), 1, "capabilities")
        self.assertEqual(node.start().stop(), 0)

    def test_an_erasure_coded_pool(self):
        self.admin.mon("osd erasure-code-profile set", name="two-and-one", profile=["k=2", "m=1", "crush-failure-domain=osd"])
        self.admin.mon("osd pool create", pool="coded", pg_num=1, pgp_num=1, pool_type="erasure", erasure_code_profile="two-and-one")
        try:
            self.refuse(self.serve(self.place(pool="coded", user="admin")), 1, "replicated")
        finally:
            self.admin.mon("osd pool delete", pool="coded", pool2="coded", yes_i_really_really_mean_it=True)

    def test_a_key_for_one_namespace(self):
        name = self.namespace()
        self.cluster.add_user("tenant", mon="allow r", osd=f"allow rw pool={pool_case.POOL} namespace={name}")
        node = self.pool_node(place=self.place(user="tenant"))
        self.upload(b"mine")
        self.assertEqual(self.stored(node, 1), b"mine")
        self.refuse(self.serve(self.place(user="tenant").replace(f"/{name}?", "/another?")), 1, "capabilities")

    def test_a_cluster_that_is_away(self):
        conf = self.conf(client_mount_timeout=1)
        with open(conf, encoding="ascii") as file:
            text = re.sub(r"(mon_host = .*):\d+\]", r"\1:1]", file.read())
        with open(conf, "w", encoding="ascii") as file:
            file.write(text)
        self.refuse_place(self.place(conf=conf), 1, "no answer from the cluster's monitors", limit=4)

    def test_osds_that_are_away(self):
        place = self.place(conf=self.conf(rados_osd_op_timeout=1))
        with self.paused(0, 1, 2):
            for arguments in (self.serve(place), ["streams", "list", "--data", place]):
                self.refuse(arguments, 1, "no answer from the cluster in time")
            status = subprocess.run([lab.BINARY, "store", "status", "--data", place], capture_output=True, text=True, timeout=20,
                                    check=False)
        self.assertEqual(status.returncode, 1)
        self.assertRegex(status.stdout, r"(?m)^  writes +fail: no answer in time$")
        self.assertRegex(status.stdout, r"(?m)^  log +cannot be read: no answer in time$")
        self.cluster.wait()

    def test_no_room_makes_clients_wait(self):
        node = self.pool_node(extra=["--prepared-segments", "2"])
        self.upload(b"before")
        data = case.random_bytes(48 * MIB)
        view = self.client_view()
        self.fill(True)
        try:
            sending = self.sending(data)
            lab.wait_for(lambda: node.events("full") and self.stands_still(view), 30, lambda: node.log())
            acked = self.acked(view)
            lab.wait_for(lambda: node.streams()[1]["in_bytes"] == acked, 10, lambda: f"{node.streams()}, {acked} acknowledged")
            self.assertLess(acked, len(data))
            lab.wait_for(lambda: b"making-" not in self.rados("listomapkeys", "log.head"), 10,
                         lambda: f"what found no room is still in the head: {self.rados('listomapkeys', 'log.head')}")
            starts = len(node.events("recovered"))
            node.kill_node()
            lab.wait_for(lambda: len(node.events("recovered")) > starts, 10, lambda: node.log())
            self.assertGreaterEqual(node.streams()[1]["in_bytes"], acked)
        finally:
            self.fill(False)
        self.assertEqual(sending.join(), b"")
        self.assert_same(self.stored(node, 2), data)

    def fill(self, full):
        """The cluster has no room, by what it calls full. (A pool's quota is watched by a manager, which there is none of.)"""
        for name, usual in (("nearfull", 0.85), ("backfillfull", 0.9), ("full", 0.95)):
            self.admin.mon(f"osd set-{name}-ratio", ratio=0.0001 if full else usual)
        lab.wait_for(lambda: all(("full" in osd["state"]) == full for osd in self.admin.mon("osd dump")["osds"]), 10,
                     lambda: "the OSDs say nothing about it")

    def stands_still(self, view):
        before = self.acked(view)
        time.sleep(0.5)
        return self.acked(view) == before

    def owner(self):
        """As the head has it."""
        return dict(line.split("=", 1) for line in self.rados("getxattr", "log.head", "owner").decode().splitlines())

    def test_a_client_that_is_shut_out(self):
        node = self.pool_node()
        connection = self.connect()
        connection.sendall(b"begun ")
        lab.wait_for(node.streams, 10, lambda: "no stream")
        self.admin.mon("osd blocklist", blocklistop="add", addr=self.owner()["client"])
        failed = lab.wait_for(lambda: node.events("location-failed"), 10, lambda: node.log())
        self.assertIn("blocklist", failed[0]["reason"])
        connection.sendall(b"and ")
        node.kill_node()  # another process is another client
        lab.wait_for(lambda: len(node.events("ready")) > 1, 10, lambda: node.log())
        connection.sendall(b"ended")
        connection.shutdown(socket.SHUT_WR)
        self.assertEqual(connection.recv(1), b"")
        self.assertEqual(self.stored(node, 1), b"begun and ended")

    def test_a_machine_that_is_shut_out(self):
        everybody = "127.0.0.1:0/0"
        self.admin.mon("osd blocklist", blocklistop="add", addr=everybody)
        try:
            self.refuse(self.serve(self.place()), 1, "blocklist")
            self.refuse(["streams", "list", "--data", self.place()], 1, "blocklist")
        finally:
            self.admin.mon("osd blocklist", blocklistop="rm", addr=everybody)
        self.a_log()

    def test_a_pool_in_use_by_another_node(self):
        node = self.pool_node()
        self.upload(b"works")
        self.refuse(self.serve(self.place()), 1, "in use by another node", f"process {node.node_pid()}")
        self.upload(b"still works")
        self.assertEqual(len(node.events("ready")), 1)

    def test_an_owner_that_died_is_shut_out_and_its_log_goes_on(self):
        node = self.pool_node()
        self.upload(b"before")
        former = self.owner()["client"]
        node.kill_keeper()
        node.start()
        self.upload(b"after")
        lab.wait_for(lambda: former in self.admin.mon("osd dump")["blocklist"], 5, lambda: f"{former} is not shut out")
        self.assertEqual([self.stored(node, 1), self.stored(node, 2)], [b"before", b"after"])

    def test_two_logs_in_one_namespace(self):
        one, other = self.place("log=one"), self.place("log=other")
        for place in (one, other, one):
            node = self.pool_node(place=place)
            self.upload(place.encode())
            self.assertEqual(node.stop(), 0)
        self.assertEqual([lab.holdfast("streams", "cat", i, "--data", place) for i, place in [("1", one), ("2", one), ("1", other)]],
                         [one, one, other])

    def digest(self):
        names = sorted(self.rados("ls").decode().split())
        return {name: (self.rados("get", name, "-"), self.rados("listxattr", name), self.rados("listomapvals", name)) for name in names}

    def test_a_log_of_a_newer_format_is_left_alone(self):
        self.a_log()
        self.rados("getomapval", "log.head", "blob-identity", self.directory.file("identity"))
        with open(self.directory.file("identity"), "rb") as file:
            content = bytearray(file.read())
        content[8] = 99
        content[-4:] = case.crc32c(content[:-4]).to_bytes(4, "little")
        self.rados("setomapval", "log.head", "blob-identity", data=content)
        self.refuse(self.serve(self.place()), 1, "format 99", "use a newer holdfast")
        self.refuse(["streams", "list", "--data", self.place()], 1, "format 99")

    def test_a_node_that_serves_a_newer_format_is_not_deposed(self):
        group = ["--service-group", "log"]
        node = self.pool_node(extra=group)
        self.assertEqual(self.rados("getxattr", "log.head", "format"), b"1")
        self.rados("setxattr", "log.head", "format", "2")
        epoch, served = self.rados("getxattr", "log.head", "epoch"), node.node_pid()
        words = ("rados:holdfast", "written by a newer version of holdfast (format 2, this one knows 1): upgrade this node first")
        place = self.place()
        for arguments in (self.serve(place, *group, "--no-keeper"), self.serve(place, *group), self.serve(place), self.send(place),
                          ["streams", "list", "--data", place], ["handover", "--data", place, *group]):
            self.refuse(arguments, 1, *words)
        self.upload(b"undisturbed")
        self.assertEqual((self.rados("getxattr", "log.head", "epoch"), node.node_pid()), (epoch, served))
        # Nor is it taken when its owner is gone.
        node.kill_keeper()
        self.refuse(self.serve(place, *group), 1, *words)
        self.assertEqual(self.rados("getxattr", "log.head", "epoch"), epoch)
        self.rados("rmxattr", "log.head", "format")  # as heads were made before there was the number
        node.start()
        self.assertEqual(self.stored(node, 1), b"undisturbed")

    def test_a_head_with_unknown_entries_is_left_alone(self):
        self.a_log()
        self.rados("setomapval", "log.head", "colour", data=b"red")
        before = self.digest()
        self.refuse(self.serve(self.place()), 1, "a newer version of this program wrote the head object")
        self.refuse(["streams", "list", "--data", self.place()], 1, "a newer version of this program wrote the head object")
        self.assertEqual(self.digest(), before)

    def test_a_foreign_object_in_the_heads_place_is_left_alone(self):
        self.rados("put", "log.head", "-", data=b"my life")
        before = self.digest()
        self.refuse(self.serve(self.place()), 1, "that is none: give another namespace or log")
        self.refuse(["streams", "list", "--data", self.place()], 1, "that is none: give another namespace or log")
        self.assertEqual(self.digest(), before)

    def test_an_empty_pool_holds_no_streams(self):
        self.refuse(["streams", "list", "--data", self.place()], 2, "rados:holdfast", "holds no log")
        self.assertEqual(self.digest(), {})


if __name__ == "__main__":
    pool_case.main()
