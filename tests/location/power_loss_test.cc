// What a file system holds on its device at one moment: a real ext4 on a loop device, whose image is copied while it is
// mounted and mounted again elsewhere. What had not been committed is not there; what had not been flushed is counted.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>

#include "location/directory.h"

namespace holdfast::location {
namespace {

namespace fs = std::filesystem;
using std::chrono::seconds;
using testing::ElementsAre;
using testing::IsEmpty;

constexpr SegmentNumber kOne{1}, kTwo{2};
constexpr std::uint64_t kSize = 1U << 20;

class PowerLossTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = (fs::temp_directory_path() / "holdfast-power-XXXXXX").string();
    ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
    base = pattern;
    fs::create_directory(base + "/live");
    fs::create_directory(base + "/after");
    // Mounts end with this process's namespace, and loop devices with their mounts.
    ASSERT_EQ(::unshare(CLONE_NEWNS), 0) << "this test needs CAP_SYS_ADMIN: run it as root";
    ASSERT_EQ(::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr), 0);
    run("truncate -s 48M " + base + "/image && mkfs.ext4 -q -F -E lazy_itable_init=0,lazy_journal_init=0 " + base +
        "/image");
    // Nothing is committed by the mere passing of time.
    run("mount -o loop,commit=1000 " + base + "/image " + base + "/live");
    ring = *Ring::create();
    location = *open_directory(base + "/live", *ring);
    ASSERT_TRUE(location->lock(seconds(1)));
  }
  void TearDown() override {
    location.reset();
    ::umount2((base + "/after").c_str(), MNT_DETACH);
    ::umount2((base + "/live").c_str(), MNT_DETACH);
    fs::remove_all(base);
  }
  static void run(const std::string& command) { ASSERT_EQ(std::system(command.c_str()), 0) << command; }

  void settle() {
    while (location->in_flight() > 0) {
      std::array<Completion, 4> out;
      const std::size_t count = location->poll(out);
      for (std::size_t i = 0; i < count; ++i) EXPECT_FALSE(out[i].error) << out[i].error->message;
      if (count == 0) location->wait();
    }
  }
  void prepare(SegmentNumber segment) {
    location->prepare(1, segment, kSize);
    settle();
  }

  // What a machine finds that starts again after its power failed now.
  std::unique_ptr<Location> after_power_loss() {
    fs::copy_file(base + "/image", base + "/image.after", fs::copy_options::overwrite_existing);
    run("mount -o loop " + base + "/image.after " + base + "/after");
    return *open_directory_for_reading(base + "/after");
  }

  // Flushes of the loop device so far: the 16th number of its statistics (Documentation/block/stat.rst).
  std::uint64_t flushes() const {
    struct stat status{};
    EXPECT_EQ(::stat((base + "/live").c_str(), &status), 0);
    std::ifstream file("/sys/dev/block/" + std::to_string(major(status.st_dev)) + ":" +
                       std::to_string(minor(status.st_dev)) + "/stat");
    std::uint64_t value = 0;
    for (int i = 0; i < 16; ++i) file >> value;
    EXPECT_TRUE(file);
    return value;
  }

  std::string base;
  std::unique_ptr<Ring> ring;
  std::unique_ptr<Directory> location;
};

struct alignas(kBlock) Block {
  explicit Block(char fill) { std::memset(bytes.data(), fill, bytes.size()); }
  std::array<std::byte, kBlock> bytes;
};

TEST_F(PowerLossTest, PreparedSegmentIsThere) {
  prepare(kOne);
  const auto after = after_power_loss();
  const auto found = after->segments();
  ASSERT_EQ(found->size(), 1U);
  EXPECT_EQ((*found)[0].size, kSize);
  std::vector<std::byte> content(kSize, std::byte{1});
  ASSERT_TRUE(after->read(kOne, 0, content));
  EXPECT_EQ(content, std::vector<std::byte>(kSize));
}

TEST_F(PowerLossTest, CompletedWriteIsThere) {
  prepare(kOne);
  const Block a('a');
  location->write(1, kOne, kSize - kBlock, a.bytes);
  settle();
  const auto after = after_power_loss();
  std::array<std::byte, kBlock> content;
  ASSERT_TRUE(after->read(kOne, kSize - kBlock, content));
  EXPECT_EQ(content, a.bytes);
}

TEST_F(PowerLossTest, EachWriteFlushesTheDeviceAndCommitsNothing) {
  prepare(kOne);
  const Block a('a');
  const std::uint64_t before = flushes();
  constexpr unsigned kWrites = 8;
  for (unsigned i = 0; i < kWrites; ++i) {
    location->write(i, kOne, i * kBlock, a.bytes);
    settle();
  }
  // A commit of the journal would take more than one each.
  EXPECT_EQ(flushes() - before, kWrites);
}

TEST_F(PowerLossTest, PreparationFlushesItsZerosAndItsName) {
  // A commit of ext4's journal: before its commit block and after it.
  constexpr std::uint64_t kCommit = 2;
  const std::uint64_t before = flushes();
  prepare(kOne);
  EXPECT_EQ(flushes() - before, 2 * kCommit);
}

TEST_F(PowerLossTest, RecycledSegmentHasItsNewName) {
  prepare(kOne);
  location->recycle(1, kOne, kTwo);
  settle();
  const auto found = after_power_loss()->segments();
  ASSERT_EQ(found->size(), 1U);
  EXPECT_EQ((*found)[0].number, kTwo);
}

TEST_F(PowerLossTest, RemovedSegmentIsGone) {
  prepare(kOne);
  location->remove(1, kOne);
  settle();
  EXPECT_THAT(*after_power_loss()->segments(), IsEmpty());
}

TEST_F(PowerLossTest, BlobIsReplaced) {
  const Block a('a'), b('b');
  ASSERT_TRUE(location->write_blob("head", Bytes(a.bytes).first(10)));
  ASSERT_TRUE(location->write_blob("head", Bytes(b.bytes).first(20)));
  const auto content = after_power_loss()->read_blob("head");
  ASSERT_TRUE(content && *content);
  EXPECT_EQ((*content)->size(), 20U);
  EXPECT_EQ((*content)->front(), std::byte{'b'});
}

TEST_F(PowerLossTest, RemovedBlobIsGone) {
  const Block a('a');
  ASSERT_TRUE(location->write_blob("head", a.bytes));
  ASSERT_TRUE(location->remove_blob("head"));
  EXPECT_THAT(*after_power_loss()->blobs(), IsEmpty());
}

// The process before may have died between a rename and its commit: what the next one sees must stay.
TEST_F(PowerLossTest, WhatAWriterFindsIsThere) {
  prepare(kOne);
  location.reset();
  fs::rename(base + "/live/segment-0000000000000001", base + "/live/segment-0000000000000002");
  location = *open_directory(base + "/live", *ring);
  ASSERT_TRUE(location->lock(seconds(1)));
  const auto found = after_power_loss()->segments();
  ASSERT_EQ(found->size(), 1U);
  EXPECT_EQ((*found)[0].number, kTwo);
}

}  // namespace
}  // namespace holdfast::location
