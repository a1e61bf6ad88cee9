#include "node/service_notify.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>

#include "location/unique_fd.h"

namespace holdfast::node {
namespace {

// The service manager's end.
class ServiceNotify : public ::testing::Test {
 protected:
  ServiceNotify() : path_(::testing::TempDir() + "holdfast-notify-" + std::to_string(::getpid())) {
    socket_ = location::UniqueFd(::socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0));
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::strncpy(address.sun_path, path_.c_str(), sizeof address.sun_path - 1);
    ::unlink(path_.c_str());
    EXPECT_EQ(::bind(socket_.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
    ::setenv("NOTIFY_SOCKET", path_.c_str(), 1);
  }
  ~ServiceNotify() override {
    ::unsetenv("NOTIFY_SOCKET");
    ::unlink(path_.c_str());
  }

  // The next message; `fd_` is what came with it.
  std::string receive() {
    char text[256];
    iovec piece{text, sizeof text};
    alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))];
    msghdr message{};
    message.msg_iov = &piece;
    message.msg_iovlen = 1;
    message.msg_control = control;
    message.msg_controllen = sizeof control;
    const auto size = ::recvmsg(socket_.get(), &message, 0);
    if (size < 0) return "";
    if (const auto* header = CMSG_FIRSTHDR(&message)) {
      int fd = -1;
      std::memcpy(&fd, CMSG_DATA(header), sizeof fd);
      fd_ = location::UniqueFd(fd);
    }
    return {text, static_cast<std::size_t>(size)};
  }

  std::string path_;
  location::UniqueFd socket_;
  location::UniqueFd fd_;
};

TEST_F(ServiceNotify, SendsTheStateAsADatagram) {
  EXPECT_TRUE(notify_service("READY=1"));
  EXPECT_EQ(receive(), "READY=1");
}

TEST_F(ServiceNotify, WithoutASocketNothingIsSent) {
  ::unsetenv("NOTIFY_SOCKET");
  EXPECT_FALSE(notify_service("READY=1"));
  EXPECT_EQ(receive(), "");
}

TEST_F(ServiceNotify, KnowsWhatAChildMustNotGet) {
  EXPECT_TRUE(is_service_variable("NOTIFY_SOCKET=/run/x"));
  EXPECT_TRUE(is_service_variable("LISTEN_FDS=1"));
  EXPECT_FALSE(is_service_variable("NOTIFY_SOCKET_PATH=/run/x"));
  EXPECT_FALSE(is_service_variable("PATH=/bin"));
}

TEST_F(ServiceNotify, ADescriptorTravelsWithItsName) {
  int ends[2];
  ASSERT_EQ(::pipe(ends), 0);
  const location::UniqueFd read_end(ends[0]), write_end(ends[1]);
  EXPECT_TRUE(store_descriptor(write_end.get(), "holdfast-link"));
  EXPECT_EQ(receive(), "FDSTORE=1\nFDNAME=holdfast-link");
  ASSERT_TRUE(fd_);
  ASSERT_EQ(::write(fd_.get(), "x", 1), 1);
  char byte = 0;
  EXPECT_EQ(::read(read_end.get(), &byte, 1), 1);
}

TEST_F(ServiceNotify, ADescriptorIsTakenBackByItsName) {
  ::setenv("LISTEN_PID", std::to_string(::getpid()).c_str(), 1);
  ::setenv("LISTEN_FDS", "2", 1);
  ::setenv("LISTEN_FDNAMES", "other:holdfast-link", 1);
  // Descriptor 4 may or may not be open here: only an open one is handed on.
  const bool open = ::fcntl(4, F_GETFD) >= 0;
  EXPECT_EQ(take_descriptors("holdfast-link"), open ? std::vector<int>{4} : std::vector<int>{});
  EXPECT_TRUE(take_descriptors("unheard-of").empty());
}

TEST_F(ServiceNotify, DescriptorsForAnotherProcessAreLeftAlone) {
  ::setenv("LISTEN_PID", std::to_string(::getpid() + 1).c_str(), 1);
  ::setenv("LISTEN_FDS", "1", 1);
  ::setenv("LISTEN_FDNAMES", "holdfast-link", 1);
  EXPECT_TRUE(take_descriptors("holdfast-link").empty());
}

}  // namespace
}  // namespace holdfast::node
