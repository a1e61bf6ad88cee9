#!/usr/bin/env python3
"""What an operator does to a service group, and what the nodes say: handing over and ending, with and without somebody to take over."""

import json
import socket
import subprocess
import threading
import time

import case
import group_case
import lab
import network
import takeover
import wire


def mac_of(interface):
    shown = subprocess.run(["ip", "-json", "link", "show", interface], capture_output=True, check=True).stdout
    return json.loads(shown)[0]["address"]


def write(path, text):
    with open(path, "w", encoding="ascii") as file:
        file.write(text)


class Pings:
    """A client that sends an echo request every 10 ms, whatever becomes of them."""

    REQUEST = bytes([8, 0, 0xF7, 0xFF]) + bytes(4)  # type, code, checksum, identifier, sequence number

    def __enter__(self):
        self.ending = threading.Event()
        self.thread = threading.Thread(target=self.send, daemon=True)
        self.thread.start()

    def __exit__(self, *_):
        self.ending.set()
        self.thread.join()

    def send(self):
        with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP) as sender:
            while not self.ending.wait(0.01):
                sender.sendto(self.REQUEST, (lab.NODE, 0))


class GroupTest(group_case.GroupCase):
    def handover(self):
        command = [lab.BINARY, "handover", "--data", self.group.data, "--service-group", takeover.GROUP]
        begun = time.monotonic()
        done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
        print(f"handover: status {done.returncode} after {(time.monotonic() - begun) * 1000:.0f} ms", flush=True)
        return done

    def alone(self):
        """The others are gone; returns what starts them again."""
        others = self.group.others()
        for machine in others:
            machine.node.kill_keeper()
        return others

    def whom_the_head_names(self):
        process = self.group.owner_record()["process"]
        return next((machine for machine in self.group.machines if str(machine.node.node_pid()) == process), None)

    def start_again(self, machines):
        for machine in machines:
            machine.start()

    def test_a_handover_is_refused_where_nobody_stands_by(self):
        client = takeover.Client()
        owner = self.group.owner
        gone = self.alone()
        served = owner.node.node_pid()
        done = self.handover()
        self.assertEqual(done.returncode, 1, done.stderr)
        self.assertIn("nobody stands by for store", done.stderr)
        self.assertEqual(owner.node.events("handover-asked"), [])
        self.assertEqual(owner.node.node_pid(), served)
        client.end()
        self.group.check_upload(client)
        self.start_again(gone)

    def test_a_node_that_is_to_serve_something_else_is_refused(self):
        machine = self.group.others()[0]
        common = ["serve", "--no-keeper", "--data", self.group.data, "--service-group", takeover.GROUP, "--lease", "500ms"]
        mac = self.group.owner_record()["mac"]
        cases = [(("tap:hf9", "10.77.0.2/24", "store:7000"), ("serves 10.77.0.2/24,echo:7001,store:7000", "to serve 10.77.0.2/24,store:7000")),
                 (("tap:hf9", "10.77.0.9/24", "echo:7001", "store:7000"), ("serves 10.77.0.2/24,", "to serve 10.77.0.9/24,")),
                 ((f"tap:hf9,mac={mac}", "10.77.0.2/24", "store:7000", "echo:7001"), (f"has the MAC {mac}",))]
        for (link, address, *services), words in cases:
            with self.subTest(address), machine.namespace:
                chosen = [word for service in services for word in ("--service", service)]
                done = subprocess.run([lab.BINARY, *common, "--link", link, "--address", address, *chosen], capture_output=True, text=True,
                                      timeout=30, check=False)
                self.assertEqual(done.returncode, 2, done.stderr)
                for word in words:
                    self.assertIn(word, done.stderr)
        self.assertEqual(self.group.owner.node.events()[-1]["event"], "ready", "the owner was disturbed")

    def test_a_node_that_is_to_store_otherwise_is_refused(self):
        machine = self.group.others()[0]
        second = self.group.data.replace("/takeover?", "/second?")
        common = ["serve", "--no-keeper", "--link", "tap:hf9", "--address", f"{lab.NODE}/24", "--service", takeover.FILL, "--service",
                  takeover.ECHO, "--service-group", takeover.GROUP, "--lease", "500ms", "--data", self.group.data, "--data", second]
        for more, words in (((), "is given 2:"), (("--stored-on", "2"), "is given 2 with --stored-on 2:")):
            with self.subTest(words), machine.namespace:
                done = subprocess.run([lab.BINARY, *common, *more], capture_output=True, text=True, timeout=30, check=False)
                self.assertEqual(done.returncode, 2, done.stderr)
                self.assertIn("its log is stored on 1 of 1 locations", done.stderr)
                self.assertIn(words, done.stderr)
        # Nor does it take a log that nobody has.
        gone = [*self.alone(), self.group.owner]
        epoch = self.group.rados("getxattr", f"{takeover.GROUP}.head", "epoch")
        self.group.owner.node.kill_keeper()
        with machine.namespace:
            done = subprocess.run([lab.BINARY, *common, "--stored-on", "2"], capture_output=True, text=True, timeout=30, check=False)
        self.assertEqual(done.returncode, 2, done.stderr)
        self.assertEqual(self.group.rados("getxattr", f"{takeover.GROUP}.head", "epoch"), epoch)
        self.group.owner.start("ready")
        self.start_again(other for other in gone if other is not self.group.owner)

    def test_what_a_former_owner_passes_on_says_nothing_of_where_the_client_is(self):
        """They come with its address on the link, and meanwhile the client answers nobody who asks where it is."""
        owner, other = self.group.owner, self.group.others()[0]
        client_mac = mac_of("br0")
        former_mac = self.group.owner_record()["mac"]
        connection = self.ask(b"before")
        answers = "/proc/sys/net/ipv4/conf/br0/arp_ignore"
        network.ip("neigh", "replace", lab.NODE, "lladdr", former_mac, "dev", "br0", "nud", "permanent")
        self.addCleanup(subprocess.run, ["ip", "neigh", "del", lab.NODE, "dev", "br0"], check=False, stderr=subprocess.DEVNULL)
        self.addCleanup(write, answers, "0")
        write(answers, "8")
        recorder = wire.Recorder(other.client_link).start()
        self.addCleanup(recorder.stop)
        with Pings():
            ready, passed = len(other.node.events("ready")), len(owner.node.events("passed-on"))
            self.assertEqual(self.handover().returncode, 0)
            other.wait_for("ready", ready + 1)
            self.assertGreater(owner.wait_for("passed-on", passed + 1)["frames"], 0)
        self.group.owner = other
        write(answers, "0")
        network.ip("neigh", "del", lab.NODE, "dev", "br0")
        self.assertEqual(self.ask(b"after", connection), connection)
        with recorder.changed:
            to = {frame.destination_mac.hex(":") for frame in recorder.seen if frame.raw[12:14] == b"\x08\x00"}
        self.assertEqual(to, {client_mac})

    def ask(self, word, connection=None):
        if connection is None:
            connection = socket.create_connection((lab.NODE, 7001), timeout=60)
            self.addCleanup(connection.close)
        connection.sendall(word)
        self.assertEqual(connection.recv(len(word), socket.MSG_WAITALL), word)
        return connection

    def test_an_owner_that_ends_waits_for_nobody(self):
        owner = self.group.owner
        gone = self.alone()
        owner.node.process.terminate()
        self.assertEqual(owner.node.process.wait(20), 0)
        owner.start("ready")
        self.start_again(gone)

    def test_an_owner_ends_in_time_while_the_cluster_is_away(self):
        owner = self.group.owner
        client = takeover.Client()
        time.sleep(0.3)
        for number in range(3):
            self.group.cluster.pause_osd(number)
        try:
            time.sleep(0.3)
            begun = time.monotonic()
            owner.node.process.terminate()
            status = owner.node.process.wait(20)
            took = time.monotonic() - begun
        finally:
            for number in range(3):
                self.group.cluster.resume_osd(number)
        print(f"ended after {took * 1000:.0f} ms with status {status}", flush=True)
        self.assertIn("exit status", owner.node.events("node-died")[-1]["how"], "it was killed")
        self.group.cluster.wait()
        lab.wait_for(lambda: self.group.others()[0].node.events()[-1]["event"] == "ready", 30, self.group.logs)
        self.group.owner, before = self.group.others()[0], owner
        before.start()
        client.end()
        self.group.check_upload(client)

    def test_a_request_is_heard_after_the_heads_osds_were_restarted(self):
        for number in range(3):
            self.group.cluster.kill_osd(number)
            self.group.cluster.start_osd(number)
            self.group.cluster.wait()
        owner = lab.wait_for(self.whom_the_head_names, 30, self.group.logs)  # the other one may have taken over meanwhile
        self.group.owner, other = owner, next(machine for machine in self.group.machines if machine is not owner)
        ready = len(other.node.events("ready"))
        stood_by = len(owner.node.events("standing-by"))
        done = self.handover()
        self.assertEqual(done.returncode, 0, done.stderr)
        other.wait_for("ready", ready + 1)
        owner.wait_for("standing-by", stood_by + 1)
        self.group.owner = other


if __name__ == "__main__":
    case.main()
