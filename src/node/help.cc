#include "node/help.h"

#include <fmt/format.h>

#ifndef HOLDFAST_VERSION
#define HOLDFAST_VERSION "0.1.0"
#endif

namespace holdfast::node::help {

const char* const kAbout =
    "Holdfast: a user-space TCP/IP stack whose ACK means stored.\n"
    "A byte is acknowledged once it is durable, so a peer's connection outlives the server.";

const char* const kExamples = R"(
Examples:
  A node on a TAP device of this host, that keeps what it is sent on port 7000:
    sudo holdfast serve --link tap:holdfast0 --address 10.77.0.2/24 --host-address 10.77.0.1/24 \
                        --data /var/lib/holdfast/a --service store:7000
    nc -N 10.77.0.2 7000 < file
  What it has:
    holdfast streams list --data /var/lib/holdfast/a
    holdfast streams cat 1 --data /var/lib/holdfast/a > copy

`holdfast COMMAND --help` tells more. Exit status: 0 done, 1 failed, 2 asked for the impossible.
)";

const char* const kServe = R"(
Examples:
  holdfast serve --link tap:holdfast0 --address 10.77.0.2/24 --host-address 10.77.0.1/24 \
                 --data /var/lib/holdfast/a --service store:7000
  holdfast serve --link tap:holdfast0 --address 10.77.0.2/24 --data /mnt/ssd1/holdfast \
                 --data /mnt/ssd2/holdfast --data /mnt/ssd3/holdfast --stored-on 2 \
                 --service store:7000 --service echo:7 --pcap /tmp/session.pcapng
  holdfast serve --link tap:holdfast0 --address 10.77.0.2/24 --data /mnt/ssd1/holdfast --data /mnt/ssd2/holdfast \
                 --data /mnt/ssd3/holdfast --service store:7000,ways=3..9,policy=strict,roll-call-timeout=1s
  holdfast serve --config /etc/holdfast.toml --log-level debug

The file has the same names as keys:
  link = "tap:holdfast0"
  address = "10.77.0.2/24"
  data = ["/mnt/ssd1/holdfast", "/mnt/ssd2/holdfast", "/mnt/ssd3/holdfast"]
  stored-on = 2
  service = ["store:7000", "echo:7"]

SIGTERM, SIGINT and SIGHUP end the node without closing connections: they go on at its next start. The device, its address and
its route stay for the same reason; `ip link del NAME` removes them.
)";

const char* const kStreamsList = R"(
Examples:
  holdfast streams list --data /var/lib/holdfast/a
  holdfast streams list --data /mnt/ssd1/holdfast --data /mnt/ssd2/holdfast --json
)";

const char* const kStreamsCat = R"(
Examples:
  holdfast streams cat 1 --data /var/lib/holdfast/a > copy
  holdfast streams cat 1 --data /var/lib/holdfast/a --direction out --from 1MiB --length 64K | hexdump -C
)";

const char* const kStreamsTail = R"(
Example:
  holdfast streams tail 7 --data /var/lib/holdfast/a --from 0
)";

const char* const kSend = R"(
Examples:
  holdfast send --link tap:holdfast1 --address 10.78.0.2/24 --host-address 10.78.0.1/24 --to 10.78.0.1:9000 file
  tar c folder | holdfast send --link tap:holdfast1 --address 10.78.0.2/24 --to 10.78.0.1:9000
  holdfast send --link tap:holdfast1 --address 10.78.0.2/24 --host-address 10.78.0.1/24 --to 10.78.0.1:9000 \
                --data /var/lib/holdfast/outgoing file
  holdfast send --link tap:holdfast1 --address 10.78.0.2/24 --to 10.78.0.3:7000 --ways 8 \
                --data /mnt/ssd1/outgoing --data /mnt/ssd2/outgoing file

What the peer sends comes out on standard output. Exit status 0 means that the peer has acknowledged everything, our
FIN too. With --data the same command goes on after a crash or Ctrl-C, over the same connection, and sends nothing that
was delivered already; without, whatever ends it early resets the connection.

--ways is for a peer that is a node of Holdfast. N ways take up to N/2-1 --data directories there and (N-3)/2 here:
R of them are enough for 2R+3 ways there, and for 2R+4 here. docs/handshake.md has a recipe for two on one machine.
)";

const char* const kLabHandshake = R"(
Examples:
  holdfast lab handshake
  holdfast lab handshake --ways 3..16 --loss 0,2% --delay 1ms,20ms,100ms --storage-latency 0,5ms --svg plots --csv all.csv
  holdfast lab handshake --ladder 5
  holdfast lab handshake --ladder 8 --loss 20% --seed 4 --svg plots

Two nodes, each with storage directories of its own, in a world without clock, network or disk: the production code
between simulated ones. docs/handshake-lab.md tells what the numbers say.
)";

const char* const kHandover = R"(
Example:
  holdfast handover --data "rados:holdfast?conf=/etc/ceph/ceph.conf" --service-group store

For an upgrade, or to empty a machine. The node that serves stores what it has, gives the log to one that stands by, passes
on what still reaches it for a second, and stands by itself. SIGTERM does the same, and ends it.
)";

const char* const kStoreStatus = R"(
Example:
  holdfast store status --data "rados:holdfast?conf=/etc/ceph/ceph.conf" --service-group store

Writes 20 blocks to an object of its own, which it removes, to say how long that takes. Exit status 1 where a pool cannot be
seen or written, keeps one copy, or goes on with one.
)";

const char* const kBuckets = R"(
Example:
  holdfast buckets --data "rados:holdfast?conf=/etc/ceph/ceph.conf" --service-group store

Of a service whose nodes share one address (`holdfast serve --buckets`). Takes as long as each of them may be silent before
it is missed, about half a lease. Exit status 1 where nobody has some bucket.
)";

std::string version() { return "holdfast " HOLDFAST_VERSION "\n"; }

}  // namespace holdfast::node::help
