// What the file system and the device under a location are like, as far as it changes what an operator should know.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/error.h"
#include "location/files.h"

namespace holdfast::location {

struct FileSystem {
  std::string type;                     // "ext4", or the magic number in hexadecimal
  bool volatile_memory = false;         // tmpfs, ramfs: nothing survives a power loss
  bool copy_on_write = false;           // btrfs, zfs, bcachefs: every overwrite allocates anew
  std::uint32_t physical_block = 4096;  // bytes; 4096 where unknown
  std::uint64_t partition_offset = 0;   // bytes from the device's start; 0 where unknown
};

Result<FileSystem> inspect(const Files& files);

// One line each, naming the path and what to do.
std::vector<std::string> warnings_about(const FileSystem& file_system, const std::string& path);

}  // namespace holdfast::location
