// Makes the device under a directory slow for a process, through a control group of the test's own.
#pragma once

#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <optional>
#include <string>

namespace holdfast::location {

class SlowDevice {
 public:
  // nullopt where this machine has no control groups for block devices, or none for the device of `directory`.
  static std::optional<SlowDevice> under(const std::string& directory, std::uint64_t bytes_per_second) {
    namespace fs = std::filesystem;
    struct stat status{};
    if (::stat(directory.c_str(), &status) != 0) return std::nullopt;
    const std::string number = std::to_string(major(status.st_dev)) + ":" + std::to_string(minor(status.st_dev));
    const bool version1 = fs::exists("/sys/fs/cgroup/blkio");
    const std::string group = std::string(version1 ? "/sys/fs/cgroup/blkio" : "/sys/fs/cgroup") + "/holdfast-test-" +
                              std::to_string(::getpid());
    std::error_code error;
    if (!fs::create_directory(group, error)) return std::nullopt;
    SlowDevice slow(group);
    const std::string file = group + (version1 ? "/blkio.throttle.write_bps_device" : "/io.max");
    const std::string limit = number + (version1 ? " " : " wbps=") + std::to_string(bytes_per_second);
    if (!fs::exists(file) || !write(file, limit)) return std::nullopt;
    return slow;
  }
  SlowDevice(SlowDevice&& other) noexcept : group_(std::exchange(other.group_, {})) {}
  SlowDevice(const SlowDevice&) = delete;
  ~SlowDevice() {
    if (!group_.empty()) ::rmdir(group_.c_str());
  }

  // The calling process's writes are slow from now on.
  bool join() const { return write(group_ + "/cgroup.procs", std::to_string(::getpid())); }

 private:
  explicit SlowDevice(std::string group) : group_(std::move(group)) {}
  static bool write(const std::string& file, const std::string& text) {
    std::ofstream out(file);
    out << text << std::endl;
    return out.good();
  }

  std::string group_;
};

}  // namespace holdfast::location
