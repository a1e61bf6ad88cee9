// systemd's notification protocol (sd_notify(3)), spoken directly: a datagram to the socket that NOTIFY_SOCKET names.
// Where there is none, nothing happens. Descriptors given to systemd's store come back at the next start.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace holdfast::node {

// "READY=1", "STOPPING=1", "STATUS=…"; lines are separated by '\n'. True when it was sent.
bool notify_service(const std::string& state);

// Leaves a copy of the descriptor with systemd (FDSTORE=1), which hands it back if this service is started again.
bool store_descriptor(int fd, const std::string& name);

// Has systemd forget what it keeps under this name (FDSTOREREMOVE=1).
void forget_descriptors(const std::string& name);

// The descriptors that systemd handed over under this name (LISTEN_FDS, sd_listen_fds_with_names(3)). The caller owns
// them.
std::vector<int> take_descriptors(const std::string& name);

// "NAME=value" of those that a child must not get that is not the service's main process: it would speak for it.
bool is_service_variable(std::string_view variable);

}  // namespace holdfast::node
