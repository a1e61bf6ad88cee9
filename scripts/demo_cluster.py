#!/usr/bin/env python3
"""A connection that outlives its machine, for real: a Ceph cluster of three zones, two nodes of one service group, each with a
network namespace as its machine, and the kernel's own TCP as client, which uploads and asks all the while. First the node
that serves is killed, then a whole zone: the node that serves now, and the OSD beside it. Then the log is handed over as
for an upgrade.

    scripts/demo_cluster.py [--lease 500ms] [--keep]

Exit status 0 only if every check held. Needs a release build and Ceph's packages (`make demo-cluster` sees to both).
"""

import argparse
import os
import sys
import time

import lab

sys.path.insert(0, os.path.join(lab.ROOT, "tests", "e2e"))
import takeover  # noqa: E402

STEPS = (
    ("kill", "SIGKILL: the machine that serves is gone"),
    ("lose_zone", "SIGKILL: a whole zone is gone, the machine that serves and the OSD beside it"),
    ("hand_over", "holdfast handover: planned, as for an upgrade"),
)
MIB = 1 << 20


class Timeline:
    def __init__(self):
        self.begun = time.monotonic()

    def note(self, text):
        print(f"  {time.monotonic() - self.begun:7.3f} s  {text}", flush=True)


def run(lease, directory):
    timeline = Timeline()
    timeline.note("starting a monitor and three OSDs, one a zone; then two nodes")
    with takeover.Group(directory, lease=lease) as group:
        timeline.note(f"node {group.owner.name} serves {lab.NODE}, node {group.others()[0].name} stands by; every byte is in three zones")
        client = takeover.Client()
        time.sleep(1)
        timeline.note(f"a client uploads (its port is {client.upload_port}) and asks")
        for kind, text in STEPS:
            timeline.note("")
            timeline.note(text)
            measured = group.strike(kind, client)
            timeline.note(f"node {group.owner.name} had taken over after {measured['ready_ms']:.0f} ms; the client waited "
                          f"{measured['stall_ms']:.0f} ms for an answer, and has lost none")
            time.sleep(1)
        client.end()
        timeline.note("")
        timeline.note(f"the client has sent {client.sent_bytes / MIB:.1f} MiB on one connection; reading them back from the pool")
        group.check_upload(client)
        timeline.note(f"all of them are there, once, with the SHA-256 of what was sent: {client.sent.hexdigest()[:16]}…")
        timeline.note(f"{len(client.gaps)} questions were asked, and each was answered once, in order")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lease", default="500ms", help="who has not renewed for so long is taken for dead (default 500ms)")
    parser.add_argument("--keep", action="store_true", help="keep the nodes' logs and events")
    options = parser.parse_args()
    lab.enter(may_ask_for_root=True)
    directory = lab.Directory(os.path.join(lab.ROOT, "build", "demo-cluster"))
    try:
        run(options.lease, directory)
    except BaseException:
        print(f"FAILED; what the nodes said is in {directory.path}", file=sys.stderr)
        raise
    if options.keep:
        print(f"\nlogs and events are in {directory.path}")
    else:
        directory.remove()
    print("\nEvery check held.")


if __name__ == "__main__":
    main()
