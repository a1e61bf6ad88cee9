#!/usr/bin/env python3
"""`holdfast send --data` on a disk that hangs."""

import signal
import subprocess

import case
import disks
import durable_send
import lab


class HangingDiskTest(disks.Disks, durable_send.DurableSend):
    def test_what_went_wrong_is_said_while_the_disk_still_hangs(self):
        self.data = [self.mount_ext4("hanging", 128)]
        listener = self.listen(answer=b"thank you")
        listener.limit = case.MIB
        data = case.random_bytes(24 * case.MIB)
        command = self.command(self.file(data))
        sender = self.start(command)
        self.wait_for(lambda: listener.received() >= listener.limit, sender)
        with disks.hanging(self.data[0]):
            listener.limit = None  # more is to be stored
            self.wait_for(lambda: b"storage stands still" in self.output("stderr"), sender)
            sender.send_signal(signal.SIGINT)
            self.wait_for(lambda: b"holdfast: interrupted; the connection to" in self.output("stderr"), sender)
            # A process cannot end while a write of its own hangs, and says why it does not.
            self.wait_for(lambda: b"holdfast: waiting for writes that hang in" in self.output("stderr"), sender)
            with self.assertRaises(subprocess.TimeoutExpired):
                sender.wait(0.5)
        self.assertEqual(sender.wait(30), 1)
        *_, error, last = self.output("stderr").splitlines()
        self.assertIn(b"interrupted", error)
        self.assertIn(b"waiting for writes", last)
        self.assertIn("going on", self.finish(command))
        self.assert_delivered_once(listener, data)
        self.assertEqual(self.output(), b"thank you")
        self.assertNotIn(durable_send.LINK, lab.links())


if __name__ == "__main__":
    case.main()
