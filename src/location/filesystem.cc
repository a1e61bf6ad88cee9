#include "location/filesystem.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>

#include <array>
#include <cerrno>
#include <fstream>
#include <optional>

#include "location/location.h"
#include "location/os_error.h"

namespace holdfast::location {
namespace {

struct Known {
  std::uint32_t magic;
  const char* type;
  bool volatile_memory;
  bool copy_on_write;
};

// linux/magic.h, and the two that it lacks.
constexpr std::array kKnown = {
    Known{0x0000ef53, "ext4", false, false},    Known{0x58465342, "xfs", false, false},
    Known{0x9123683e, "btrfs", false, true},    Known{0x2fc12fc1, "zfs", false, true},
    Known{0xca451a4e, "bcachefs", false, true}, Known{0x01021994, "tmpfs", true, false},
    Known{0x858458f6, "ramfs", true, false},    Known{0x794c7630, "overlayfs", false, false},
    Known{0xf2f52010, "f2fs", false, false},    Known{0x00006969, "nfs", false, false},
};

std::optional<std::uint64_t> read_number(const std::string& path) {
  std::ifstream file(path);
  std::uint64_t value = 0;
  if (file >> value) return value;
  return std::nullopt;
}

}  // namespace

Result<FileSystem> inspect(const Files& files) {
  struct statfs about{};
  struct stat status{};
  if (::fstatfs(files.fd(), &about) != 0) return os_fail(files.path(), "look at the file system of", errno);
  if (::fstat(files.fd(), &status) != 0) return os_fail(files.path(), "look at", errno);

  FileSystem found;
  const auto magic = static_cast<std::uint32_t>(about.f_type);
  found.type = fmt::format("{:#x}", magic);
  for (const Known& known : kKnown) {
    if (known.magic != magic) continue;
    found.type = known.type;
    found.volatile_memory = known.volatile_memory;
    found.copy_on_write = known.copy_on_write;
  }
  // A partition's queue is its disk's, one level up; a file system without a device of its own has no entry.
  const std::string device = fmt::format("/sys/dev/block/{}:{}", major(status.st_dev), minor(status.st_dev));
  auto block = read_number(device + "/queue/physical_block_size");
  if (!block) block = read_number(device + "/../queue/physical_block_size");
  if (block) found.physical_block = static_cast<std::uint32_t>(*block);
  found.partition_offset = read_number(device + "/start").value_or(0) * 512;
  return found;
}

std::vector<std::string> warnings_about(const FileSystem& file_system, const std::string& path) {
  std::vector<std::string> warnings;
  if (file_system.volatile_memory) {
    warnings.push_back(
        fmt::format("{}: {} is memory: what is stored here does not survive a power loss", path, file_system.type));
  }
  if (file_system.copy_on_write) {
    warnings.push_back(fmt::format(
        "{}: {} copies on write: each write allocates anew and is slow; ext4 or xfs suit better, or chattr +C the "
        "directory while it is empty",
        path, file_system.type));
  }
  if (file_system.physical_block > kBlock) {
    warnings.push_back(
        fmt::format("{}: the device's blocks are {} bytes and we write in {}: each write may cost a read as well", path,
                    file_system.physical_block, kBlock));
  }
  if (file_system.partition_offset % kBlock != 0) {
    warnings.push_back(
        fmt::format("{}: the partition does not start at a multiple of {} bytes: writes span two blocks of the device; "
                    "align the partition",
                    path, kBlock));
  }
  return warnings;
}

}  // namespace holdfast::location
