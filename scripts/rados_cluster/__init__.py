"""A real Ceph RADOS cluster to throw away, on one machine: a monitor, and three datacenters ("zones") of one OSD each.

The pool `holdfast` has one copy in each zone and goes on with two of three. No manager, no systemd, nothing of /etc/ceph:
everything is in one directory. Everything listens on loopback addresses, one for each zone; other addresses and network
namespaces may be given, so that a zone can be cut off.

In a test its daemons end with the process, even if that one is killed:

    with rados_cluster.Cluster() as cluster:
        with cluster.connect(pool=rados_cluster.POOL) as client:
            client.write_full("name", b"bytes")
        cluster.kill_osd(2)

scripts/rados-cluster is its command line. Needs ceph-mon, ceph-osd and librados; python3's standard library otherwise.
"""

from .cluster import Cluster, POOL
from .configuration import MONS, PORT, ZONES
from .daemon import Problem
from .librados import Connection, Error

__all__ = ["Cluster", "Connection", "Error", "MONS", "POOL", "PORT", "Problem", "ZONES"]
