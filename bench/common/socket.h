// The few socket calls that peers and load generators share. All of it is plain kernel TCP over IPv4: nothing here
// knows of Holdfast, and no option is set that would change what a kernel socket sends.
//
// Threads: none; each program of the bench is one thread. Errors: a benchmark can't go on after one, so `die`.
#pragma once

#include <netinet/in.h>

#include <chrono>
#include <cstddef>
#include <string_view>

namespace holdfast::bench {

// Prints one line to stderr and exits with status 1. `die_errno` adds what errno says.
[[noreturn]] void die(std::string_view message);
[[noreturn]] void die_errno(std::string_view message);

// "10.77.0.2:7000" -> socket address.
sockaddr_in parse_endpoint(std::string_view text);

// A non-blocking listener with the longest backlog that the system allows.
int listen_tcp(const sockaddr_in& local);

// The next connection, non-blocking, or -1 if there is none.
int accept_tcp(int listener);

// A connected, blocking socket. Connecting is tried again until `wait` is over: the peer may still be starting.
int connect_tcp(const sockaddr_in& peer, std::chrono::milliseconds wait);

// A non-blocking socket whose connection is under way, from `source` (port 0: any; address 0: any).
int start_connect(const sockaddr_in& source, const sockaddr_in& peer);

void set_nonblocking(int fd);

// Raises the limit of open files towards what `connections` sockets need; returns for how many there is room now.
std::size_t allow_open_files(std::size_t connections);

}  // namespace holdfast::bench
