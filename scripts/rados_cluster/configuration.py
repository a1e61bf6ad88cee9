"""What is in ceph.conf and in keyrings."""

import base64
import secrets
import struct
import time

ZONES = ("127.0.1.1", "127.0.2.1", "127.0.3.1")
MONS = ("127.0.0.1",)
PORT = 13300
GIB = 1 << 30

# Failure is noticed in about 3 s. Ceph's own defaults take about 25, too long for a test to wait again and again.
QUICK = {
    "global": {
        "osd_heartbeat_grace": 3,  # [global]: monitors judge by it, too
        "mon_osd_min_down_reporters": 1,
        "mon_osd_adjust_heartbeat_grace": "false",
        "paxos_propose_interval": 0.1,
        "mon_tick_interval": 1,
        "mon_lease": 1,
        "mon_election_timeout": 1,
    },
    "osd": {"osd_heartbeat_interval": 1, "osd_mon_report_interval": 1},
}


def configuration(options, directory, fsid):
    """Sections of ceph.conf."""
    mon_host = ",".join(mon_address(options, number) for number in range(len(options["mons"])))
    sections = {
        "global": {
            "fsid": fsid,
            "mon_host": mon_host,
            **{f"auth_{part}_required": options["auth"] for part in ("cluster", "service", "client")},
            "auth_allow_insecure_global_id_reclaim": "false",
            "ms_bind_ipv6": "false",
            "ms_bind_msgr1": "false",
            "ms_bind_port_min": options["port"] + 100,
            "ms_bind_port_max": options["port"] + 400,
            "ms_async_op_threads": 2,
            "run_dir": f"{directory}/run",
            "crash_dir": f"{directory}/crash",
            "pid_file": "",
            "admin_socket": f"{directory}/run/$name.asok",
            "log_file": f"{directory}/log/$name.log",
            "mon_cluster_log_file": f"{directory}/log/cluster.log",
        },
        "client": {
            "keyring": f"{directory}/$name.keyring",
            "admin_socket": "",
            "log_file": "/dev/null",
            # A client asks for a newer map only once an operation is this old. It matters after its OSDs were restarted.
            "objecter_timeout": 1,
            "objecter_tick_interval": 0.5,
        },
        "mon": {
            "mon_data": f"{directory}/mon.$id",
            "mon_allow_pool_delete": "true",
            "mon_data_avail_warn": 3,
            "mon_data_avail_crit": 1,
            # There is no manager, and nobody is to move data because an OSD stays dead.
            "mon_mgr_mkfs_grace": 1_000_000_000,
            "mon_osd_down_out_interval": 1_000_000,
        },
        "osd": {
            "osd_data": f"{directory}/osd.$id",
            "keyring": f"{directory}/osd.$id/keyring",
            "osd_objectstore": options["store"],
            "osd_crush_initial_weight": 1,
            "osd_op_num_shards": 2,
            "osd_op_num_threads_per_shard": 2,
            # Five times marked down in ten minutes, and an OSD would give up for good.
            "osd_max_markdown_count": 1000,
            "memstore_device_bytes": options["gib"] * GIB,
            "bluestore_block_size": options["gib"] * GIB,
            "bluestore_prefer_deferred_size_hdd": 0,
            "bluestore_cache_autotune": "false",
            "bluestore_cache_size": 64 << 20,
            # Without a bound on its write-ahead log RocksDB fills a small device, and the OSD aborts.
            "bluestore_rocksdb_options": ",".join((
                "compression=kNoCompression", "max_total_wal_size=134217728", "write_buffer_size=33554432",
                "max_write_buffer_number=4", "min_write_buffer_number_to_merge=1", "recycle_log_file_num=2",
                "max_background_jobs=2", "writable_file_max_buffer_size=0", "compaction_readahead_size=2097152")),
        },
    }
    for number, address in enumerate(options["zones"]):
        sections[f"osd.{number}"] = {"public_addr": address, "cluster_addr": address,
                                     "crush_location": f"root=default datacenter=zone{number} host=host{number}"}
    for extra in (QUICK if options["quick"] else {}, {"global": options["settings"]}):
        for section, settings in extra.items():
            sections[section].update(settings)
    return sections


def mon_address(options, number):
    return f"[v2:{options['mons'][number]}:{options['port'] + number}]"


def new_key():
    """A cephx secret: type AES, when it was made, its length, its bytes."""
    return base64.b64encode(struct.pack("<HIIH", 1, int(time.time()), 0, 16) + secrets.token_bytes(16)).decode()


def write_keyring(path, **entries):
    """entries: name -> (key, {service: capability})"""
    lines = []
    for name, (key, capabilities) in entries.items():
        lines += [f"[{name}]", f"key = {key}", *(f'caps {service} = "{text}"' for service, text in capabilities.items())]
    path.touch(mode=0o600)
    path.write_text("\n".join(lines) + "\n", encoding="ascii")
