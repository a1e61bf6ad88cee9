#include "location/directory.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <csignal>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <map>

#include "location/layout.h"
#include "location/slow_device.h"

namespace holdfast::location {
namespace {

namespace fs = std::filesystem;
using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::UnorderedElementsAre;

constexpr std::uint64_t kSize = 1U << 20;
constexpr SegmentNumber kOne{1}, kTwo{2};

struct alignas(kBlock) Block {
  explicit Block(char fill) { std::memset(bytes.data(), fill, bytes.size()); }
  std::array<std::byte, 4 * kBlock> bytes;
};

class DirectoryTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = (fs::temp_directory_path() / "holdfast-location-XXXXXX").string();
    ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
    path = pattern;
    ring = *Ring::create();
  }
  void TearDown() override {
    if (mounted) ::umount2(path.c_str(), MNT_DETACH);
    fs::remove_all(path);
    fs::remove_all(path + "-second");
  }

  // In a mount namespace of this process, so that nothing outlives it.
  void mount(const char* type, const char* options) {
    ASSERT_EQ(::unshare(CLONE_NEWNS), 0) << "this test needs CAP_SYS_ADMIN";
    ASSERT_EQ(::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr), 0);
    ASSERT_EQ(::mount("none", path.c_str(), type, 0, options), 0) << std::strerror(errno);
    mounted = true;
  }

  std::unique_ptr<Directory> open() {
    auto opened = open_directory(path, *ring);
    EXPECT_TRUE(opened) << opened.error().message;
    return std::move(*opened);
  }
  std::unique_ptr<Directory> open_and_lock() {
    auto opened = open();
    const auto locked = opened->lock(seconds(1));
    EXPECT_TRUE(locked) << locked.error().message;
    return opened;
  }

  // Everything in flight, by token: "" or the error's message.
  static std::map<Token, std::string> settle(Location& location) {
    std::map<Token, std::string> results;
    while (location.in_flight() > 0) {
      std::array<Completion, 3> out;
      const std::size_t count = location.poll(out);
      for (std::size_t i = 0; i < count; ++i) results[out[i].token] = out[i].error ? out[i].error->message : "";
      if (count == 0) location.wait();
    }
    return results;
  }
  static void prepare(Location& location, SegmentNumber segment, std::uint64_t size = kSize) {
    location.prepare(1000, segment, size);
    ASSERT_THAT(settle(location), ElementsAre(testing::Pair(1000, "")));
  }

  std::vector<std::string> files() const {
    std::vector<std::string> names;
    for (const auto& entry : fs::directory_iterator(path)) names.push_back(entry.path().filename());
    return names;
  }
  void touch(const std::string& name, const std::string& content = "x") const {
    std::ofstream(path + "/" + name) << content;
  }
  static char at(Location& location, SegmentNumber segment, std::uint64_t offset) {
    std::byte value{};
    const auto read = location.read(segment, offset, MutableBytes(&value, 1));
    EXPECT_TRUE(read) << read.error().message;
    return static_cast<char>(value);
  }

  std::string path;
  std::unique_ptr<Ring> ring;
  bool mounted = false;
};

TEST_F(DirectoryTest, PreparedSegmentIsWholeAndZero) {
  const auto location = open_and_lock();
  location->prepare(7, kOne, 5 * kSize + kBlock);
  EXPECT_THAT(settle(*location), ElementsAre(testing::Pair(7, "")));
  EXPECT_THAT(files(), UnorderedElementsAre("lock", segment_file(kOne)));
  const auto found = location->segments();
  ASSERT_TRUE(found);
  ASSERT_EQ(found->size(), 1U);
  EXPECT_EQ((*found)[0].number, kOne);
  EXPECT_EQ((*found)[0].size, 5 * kSize + kBlock);
  std::vector<std::byte> content(5 * kSize + kBlock, std::byte{1});
  ASSERT_TRUE(location->read(kOne, 0, content));
  EXPECT_EQ(content, std::vector<std::byte>(content.size()));
}

TEST_F(DirectoryTest, WritesAreReadBackByAnotherHandle) {
  const auto location = open_and_lock();
  prepare(*location, kOne);
  const Block a('a'), b('b');
  location->write(1, kOne, 0, a.bytes);
  location->write(2, kOne, kSize - sizeof b.bytes, b.bytes);
  EXPECT_EQ(location->in_flight(), 2U);
  EXPECT_THAT(settle(*location), ElementsAre(testing::Pair(1, ""), testing::Pair(2, "")));
  const auto reader = *open_directory_for_reading(path);
  EXPECT_EQ(at(*reader, kOne, 0), 'a');
  EXPECT_EQ(at(*reader, kOne, sizeof a.bytes - 1), 'a');
  EXPECT_EQ(at(*reader, kOne, sizeof a.bytes), 0);
  EXPECT_EQ(at(*reader, kOne, kSize - 1), 'b');
}

TEST_F(DirectoryTest, PollAloneGetsThingsDone) {
  const auto location = open_and_lock();
  prepare(*location, kOne);
  const Block a('a');
  location->write(1, kOne, 0, a.bytes);
  std::array<Completion, 1> out;
  while (location->poll(out) == 0) {
  }
  EXPECT_FALSE(out[0].error);
  EXPECT_EQ(at(*location, kOne, 0), 'a');
}

TEST_F(DirectoryTest, QueuedOperationsOfTwoLocationsLeaveWithOneSystemCall) {
  const std::string second_path = path + "-second";
  fs::create_directory(second_path);
  const auto first = open_and_lock();
  auto second = *open_directory(second_path, *ring);
  ASSERT_TRUE(second->lock(seconds(1)));
  prepare(*first, kOne);
  prepare(*second, kOne);
  const Block a('a');
  const std::uint64_t before = ring->submissions();
  for (Token token = 0; token < 4; ++token) {
    first->write(token, kOne, token * sizeof a.bytes, a.bytes);
    second->write(token, kOne, token * sizeof a.bytes, a.bytes);
  }
  EXPECT_EQ(ring->submissions(), before);
  ring->wait(seconds(10));
  EXPECT_EQ(ring->submissions(), before + 1);
  EXPECT_EQ(settle(*first).size(), 4U);
  EXPECT_EQ(settle(*second).size(), 4U);
}

TEST_F(DirectoryTest, WriteToAMissingSegmentFailsAndNamesIt) {
  const auto location = open_and_lock();
  const Block a('a');
  location->write(1, kTwo, 0, a.bytes);
  EXPECT_THAT(settle(*location)[1], HasSubstr(path + "/" + segment_file(kTwo)));
}

TEST_F(DirectoryTest, ShortWriteIsContinuedAndItsRestFailsForItself) {
  const auto location = open_and_lock();
  prepare(*location, kOne);
  const Block a('a');
  std::signal(SIGXFSZ, SIG_IGN);
  rlimit old{};
  ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &old), 0);
  const rlimit limit{3 * kBlock, old.rlim_max};
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &limit), 0);
  location->write(1, kOne, 0, a.bytes);
  const auto results = settle(*location);
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &old), 0);
  EXPECT_THAT(results.at(1), HasSubstr("write 4096 bytes at 12288: File too large"));
  EXPECT_EQ(at(*location, kOne, 3 * kBlock - 1), 'a');
}

TEST_F(DirectoryTest, RecycledSegmentKeepsItsContentAndCanBeWritten) {
  const auto location = open_and_lock();
  prepare(*location, kOne);
  prepare(*location, SegmentNumber{3});
  const Block a('a'), b('b');
  location->write(1, kOne, 0, a.bytes);
  settle(*location);
  location->recycle(2, kOne, kTwo);
  EXPECT_THAT(settle(*location)[2], IsEmpty());
  EXPECT_EQ(at(*location, kTwo, 0), 'a');
  location->write(3, kTwo, 0, b.bytes);
  EXPECT_THAT(settle(*location)[3], IsEmpty());
  EXPECT_EQ(at(*location, kTwo, 0), 'b');
  EXPECT_FALSE(fs::exists(path + "/" + segment_file(kOne)));
  location->recycle(4, kTwo, SegmentNumber{3});
  EXPECT_THAT(settle(*location)[4], HasSubstr("File exists"));
  EXPECT_EQ(at(*location, SegmentNumber{3}, 0), 0);
}

TEST_F(DirectoryTest, RemovedSegmentIsGone) {
  const auto location = open_and_lock();
  prepare(*location, kOne);
  location->remove(1, kOne);
  location->remove(2, kTwo);
  const auto results = settle(*location);
  EXPECT_THAT(results.at(1), IsEmpty());
  EXPECT_THAT(results.at(2), HasSubstr("cannot remove"));
  EXPECT_THAT(files(), ElementsAre("lock"));
}

TEST_F(DirectoryTest, ExistingSegmentIsNotPreparedOver) {
  const auto location = open_and_lock();
  prepare(*location, kOne);
  const Block a('a');
  location->write(1, kOne, 0, a.bytes);
  settle(*location);
  location->prepare(2, kOne, kSize);
  EXPECT_THAT(settle(*location)[2], HasSubstr("File exists"));
  EXPECT_EQ(at(*location, kOne, 0), 'a');
  EXPECT_THAT(files(), UnorderedElementsAre("lock", segment_file(kOne)));
}

TEST_F(DirectoryTest, FullFileSystemIsReportedAndNothingIsLeftBehind) {
  mount("tmpfs", "size=3m");
  const auto location = open_and_lock();
  location->prepare(1, kOne, 2 * kSize);
  location->prepare(2, kTwo, 2 * kSize);
  location->prepare(3, SegmentNumber{3}, kSize / 2);
  std::map<Token, std::optional<Error>> results;
  while (location->in_flight() > 0) {
    std::array<Completion, 1> out;
    if (location->poll(out) == 1) results[out[0].token] = out[0].error;
    location->wait();
  }
  EXPECT_FALSE(results[1]);
  ASSERT_TRUE(results[2]);
  EXPECT_EQ(results[2]->kind, Error::Kind::kFull);
  EXPECT_THAT(results[2]->message, HasSubstr(path));
  EXPECT_FALSE(results[3]);
  EXPECT_THAT(files(), UnorderedElementsAre("lock", segment_file(kOne), segment_file(SegmentNumber{3})));
  EXPECT_THAT(location->warnings(), ElementsAre(HasSubstr("does not survive a power loss")));
}

TEST_F(DirectoryTest, FileSystemWithoutDirectIoIsUsedWithAWarning) {
  mount("ramfs", nullptr);
  const auto location = open_and_lock();
  EXPECT_FALSE(location->direct());
  EXPECT_THAT(location->warnings(), testing::Contains(HasSubstr("no direct I/O")));
  prepare(*location, kOne);
  const Block a('a');
  location->write(1, kOne, kBlock, a.bytes);
  EXPECT_THAT(settle(*location)[1], IsEmpty());
  EXPECT_EQ(at(*location, kOne, kBlock), 'a');
}

TEST_F(DirectoryTest, SecondWriterIsKeptOutAndToldByWhom) {
  auto first = open_and_lock();
  const auto second = open();
  const auto refused = second->lock(milliseconds(20));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().kind, Error::Kind::kBusy);
  EXPECT_THAT(refused.error().message, HasSubstr(path + ": in use by process " + std::to_string(::getpid())));
  first.reset();
  EXPECT_TRUE(second->lock(milliseconds(20)));
}

TEST_F(DirectoryTest, LockWaitsForWritesOfADeadProcess) {
  {
    prepare(*open_and_lock(), kOne);
  }
  // A write in flight keeps its descriptor's lock: this is what is left of the process that began it.
  UniqueFd in_flight(::open((path + "/" + segment_file(kOne)).c_str(), O_RDWR));
  ASSERT_EQ(::flock(in_flight.get(), LOCK_EX | LOCK_NB), 0);
  const auto location = open();
  const auto refused = location->lock(milliseconds(20));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().kind, Error::Kind::kUnavailable);
  EXPECT_THAT(refused.error().message, HasSubstr(segment_file(kOne)));
  in_flight.reset();
  EXPECT_TRUE(location->lock(milliseconds(20)));
}

TEST_F(DirectoryTest, SegmentsAreWrittenThroughLockedDescriptors) {
  const auto location = open_and_lock();
  prepare(*location, kOne);
  const UniqueFd other(::open((path + "/" + segment_file(kOne)).c_str(), O_RDWR));
  EXPECT_NE(::flock(other.get(), LOCK_EX | LOCK_NB), 0);  // from its preparation on
  location->recycle(1, kOne, kTwo);
  settle(*location);
  const Block a('a');
  location->write(2, kTwo, 0, a.bytes);
  EXPECT_NE(::flock(other.get(), LOCK_EX | LOCK_NB), 0);
  EXPECT_THAT(settle(*location)[2], IsEmpty());
}

TEST_F(DirectoryTest, OpenDescriptorsAreBounded) {
  const auto location = open_and_lock();
  const auto open_files = [] {
    return std::distance(fs::directory_iterator("/proc/self/fd"), fs::directory_iterator());
  };
  const auto before = open_files();
  const Block a('a');
  constexpr std::uint64_t kSegments = Directory::kMaxIdle + 20;
  for (std::uint64_t i = 1; i <= kSegments; ++i) prepare(*location, SegmentNumber{i}, sizeof a.bytes);
  for (std::uint64_t i = 1; i <= kSegments; ++i) location->write(i, SegmentNumber{i}, 0, a.bytes);
  const auto results = settle(*location);
  EXPECT_EQ(results.size(), kSegments);
  for (const auto& [token, error] : results) EXPECT_THAT(error, IsEmpty());
  EXPECT_LE(open_files(), before + static_cast<std::ptrdiff_t>(Directory::kMaxIdle));
  for (std::uint64_t i = 1; i <= kSegments; ++i) EXPECT_EQ(at(*location, SegmentNumber{i}, 0), 'a');
}

TEST_F(DirectoryTest, LeftoversOfADeadProcessAreRemovedByTheNextWriter) {
  touch("lock");
  touch(preparing_file(kTwo));
  touch("notes.txt");
  touch("preparing-something");
  const auto reader = *open_directory_for_reading(path);
  EXPECT_THAT(*reader->segments(), IsEmpty());
  EXPECT_EQ(files().size(), 4U);
  const auto location = open_and_lock();
  EXPECT_THAT(files(), UnorderedElementsAre("lock", "notes.txt", "preparing-something"));
}

TEST_F(DirectoryTest, UnfinishedPreparationLeavesNothingWhenTheLocationCloses) {
  auto location = open_and_lock();
  location->prepare(1, kOne, 64 * kSize);
  location->prepare(2, kTwo, 64 * kSize);
  ring->submit();
  location.reset();
  EXPECT_THAT(files(), ElementsAre("lock"));
}

TEST_F(DirectoryTest, EveryAcknowledgedWriteIsThereAfterKill) {
  constexpr std::uint64_t kBlocks = kSize / kBlock;
  std::array<int, 2> pipe{};
  ASSERT_EQ(::pipe(pipe.data()), 0);
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    // Each block is written once, with its own number; it is reported when it is complete.
    auto own_ring = *Ring::create();
    auto location = *open_directory(path, *own_ring);
    if (!location->lock(seconds(1))) ::_exit(1);
    location->prepare(0, kOne, kSize);
    settle(*location);
    auto* const buffers = static_cast<std::byte*>(std::aligned_alloc(kBlock, kSize));
    std::uint64_t begun = 0;
    for (;;) {
      while (begun < kBlocks && location->in_flight() < 4) {
        std::memset(buffers + begun * kBlock, static_cast<int>(begun % 250 + 1), kBlock);
        location->write(begun, kOne, begun * kBlock, Bytes(buffers + begun * kBlock, kBlock));
        ++begun;
      }
      std::array<Completion, 4> out;
      const std::size_t count = location->poll(out);
      for (std::size_t i = 0; i < count; ++i) {
        const auto block = static_cast<std::uint8_t>(out[i].token);
        if (out[i].error || ::write(pipe[1], &block, 1) != 1) ::_exit(1);
      }
      location->wait();
    }
  }
  ::close(pipe[1]);
  std::vector<std::uint8_t> acknowledged;
  for (std::uint8_t block = 0; acknowledged.size() < 50 && ::read(pipe[0], &block, 1) == 1;) {
    acknowledged.push_back(block);
  }
  ASSERT_EQ(acknowledged.size(), 50U) << "the writer failed";
  ::kill(child, SIGKILL);
  for (std::uint8_t block = 0; ::read(pipe[0], &block, 1) == 1;) acknowledged.push_back(block);
  ::close(pipe[0]);
  ASSERT_EQ(::waitpid(child, nullptr, 0), child);

  const auto location = open_and_lock();
  for (const std::uint8_t block : acknowledged) {
    ASSERT_EQ(at(*location, kOne, block * kBlock), static_cast<char>(block % 250 + 1)) << "block " << int{block};
    ASSERT_EQ(at(*location, kOne, (block + 1U) * kBlock - 1), static_cast<char>(block % 250 + 1));
  }
}

// What a lock of its own would not see: the process is gone, its writes are not.
TEST_F(DirectoryTest, WritesOfAKilledProcessHoldTheLockUntilTheyHaveLanded) {
  constexpr std::uint64_t kWrites = 4;
  const auto slow = SlowDevice::under(path, kSize);
  if (!slow) GTEST_SKIP() << "this machine has no control groups that slow a device down";
  {
    prepare(*open_and_lock(), kOne, kWrites * kSize);
  }
  std::array<int, 2> pipe{};
  ASSERT_EQ(::pipe(pipe.data()), 0);
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    auto own_ring = *Ring::create();
    auto location = *open_directory(path, *own_ring);
    if (!location->lock(seconds(1)) || !slow->join()) ::_exit(1);
    auto* const buffer = static_cast<std::byte*>(std::aligned_alloc(kBlock, kSize));
    std::memset(buffer, 'x', kSize);
    for (std::uint64_t i = 0; i < kWrites; ++i) location->write(i, kOne, i * kSize, Bytes(buffer, kSize));
    own_ring->submit();
    if (::write(pipe[1], "x", 1) != 1) ::_exit(1);
    for (;;) ::pause();
  }
  char begun = 0;
  ASSERT_EQ(::read(pipe[0], &begun, 1), 1);
  ::kill(child, SIGKILL);
  ASSERT_EQ(::waitpid(child, nullptr, 0), child);
  for (const int fd : pipe) ::close(fd);

  const auto location = open();
  const auto early = location->lock(milliseconds(1));
  ASSERT_FALSE(early);
  EXPECT_THAT(early.error().message, HasSubstr(segment_file(kOne)));
  const auto locked = location->lock(seconds(60));
  ASSERT_TRUE(locked) << locked.error().message;
  for (std::uint64_t i = 1; i <= kWrites; ++i) EXPECT_EQ(at(*location, kOne, i * kSize - 1), 'x');
}

TEST_F(DirectoryTest, BlobsAreReplacedWhole) {
  const auto location = open_and_lock();
  const Block a('a');
  EXPECT_EQ(*location->read_blob("head"), std::nullopt);
  ASSERT_TRUE(location->write_blob("head", Bytes(a.bytes).first(10)));
  ASSERT_TRUE(location->write_blob("head", Bytes(a.bytes).first(3)));
  ASSERT_TRUE(location->write_blob("empty", {}));
  EXPECT_THAT(*location->blobs(), ElementsAre("empty", "head"));
  EXPECT_EQ((*location->read_blob("head"))->size(), 3U);
  EXPECT_EQ((*location->read_blob("empty"))->size(), 0U);
  ASSERT_TRUE(location->remove_blob("head"));
  ASSERT_TRUE(location->remove_blob("head"));
  EXPECT_THAT(*location->blobs(), ElementsAre("empty"));
  EXPECT_THAT(files(), UnorderedElementsAre("lock", "empty.blob", "empty.blob.tmp"));
  EXPECT_EQ(location->write_blob("../evil", {}).error().kind, Error::Kind::kUsage);
}

// A node that is restarted on a full disk has a promise to store.
TEST_F(DirectoryTest, ReplacingABlobNeedsNoRoom) {
  mount("tmpfs", "size=1m");
  const auto location = open_and_lock();
  const Block a('a'), b('b');
  ASSERT_TRUE(location->write_blob("head", Bytes(a.bytes).first(52)));
  while (location->write_blob("more" + std::to_string(location->blobs()->size()), a.bytes)) {
  }
  for (int i = 0; i < 3; ++i) {
    const auto replaced = location->write_blob("head", Bytes((i % 2 == 0 ? b : a).bytes).first(52));
    ASSERT_TRUE(replaced) << replaced.error().message;
    EXPECT_EQ((*location->read_blob("head"))->front(), std::byte(i % 2 == 0 ? 'b' : 'a'));
  }
  EXPECT_FALSE(location->write_blob("new", a.bytes));
  EXPECT_EQ(*location->read_blob("new"), std::nullopt);
}

TEST_F(DirectoryTest, WhatHoldsSomethingElseIsLeftAlone) {
  touch("thesis.tex");
  const auto refused = open()->lock(seconds(1));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().kind, Error::Kind::kIncompatible);
  EXPECT_THAT(refused.error().message, HasSubstr("thesis.tex"));
  EXPECT_THAT(files(), ElementsAre("thesis.tex"));
}

TEST_F(DirectoryTest, ReadingBeyondTheEndIsAnError) {
  const auto location = open_and_lock();
  prepare(*location, kOne);
  std::array<std::byte, 100> some;
  EXPECT_TRUE(location->read(kOne, kSize - 100, some));
  const auto beyond = location->read(kOne, kSize - 99, some);
  ASSERT_FALSE(beyond);
  EXPECT_THAT(beyond.error().message, HasSubstr(segment_file(kOne)));
  EXPECT_FALSE(location->read(kTwo, 0, some));
}

TEST_F(DirectoryTest, ReaderChangesNothingAndNeedsNoLock) {
  const auto writer = open_and_lock();
  prepare(*writer, kOne);
  const auto before = files();
  const auto reader = *open_directory_for_reading(path);
  EXPECT_EQ(reader->segments()->size(), 1U);
  EXPECT_FALSE(reader->lock(seconds(1)));
  EXPECT_FALSE(reader->write_blob("head", {}));
  EXPECT_FALSE(reader->remove_blob("head"));
  reader->prepare(1, kTwo, kSize);
  reader->remove(2, kOne);
  const auto results = settle(*reader);
  EXPECT_THAT(results.at(1), HasSubstr("reading only"));
  EXPECT_THAT(results.at(2), HasSubstr("reading only"));
  EXPECT_THAT(files(), testing::UnorderedElementsAreArray(before));
}

// A directory that was copied from elsewhere: nobody writes there.
TEST_F(DirectoryTest, ADirectoryWithoutALockFileHasNoOwner) {
  {
    const auto writer = open_and_lock();
    prepare(*writer, kOne);
    EXPECT_TRUE((*open_directory_for_reading(path))->has_owner());
  }
  ASSERT_EQ(::unlink((path + "/" + kLockFile).c_str()), 0);
  EXPECT_FALSE((*open_directory_for_reading(path))->has_owner());
}

TEST_F(DirectoryTest, AFifoUnderOneOfOurNamesKeepsNobodyWaiting) {
  const auto location = open_and_lock();
  ASSERT_EQ(::mkfifo((path + "/" + blob_file("promise")).c_str(), 0600), 0);
  ASSERT_EQ(::mkfifo((path + "/" + segment_file(kOne)).c_str(), 0600), 0);
  EXPECT_FALSE(location->read_blob("promise"));
  std::array<std::byte, 8> eight;
  EXPECT_FALSE(location->read(kOne, 0, eight));
  EXPECT_TRUE(location->segments()->empty());
  ASSERT_EQ(::mkfifo((path + "/" + blob_temporary_file("head")).c_str(), 0600), 0);
  EXPECT_FALSE(location->write_blob("head", {}));
}

TEST_F(DirectoryTest, MissingDirectoryIsNamedWithAdvice) {
  const auto missing = open_directory(path + "/none", *ring);
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().kind, Error::Kind::kUnavailable);
  EXPECT_EQ(missing.error().message, path + "/none: does not exist: create it or check --data");
  touch("file");
  EXPECT_THAT(open_directory_for_reading(path + "/file").error().message, HasSubstr("is not a directory"));
  EXPECT_EQ(open_directory("", *ring).error().kind, Error::Kind::kUsage);
}

TEST_F(DirectoryTest, MissingPermissionIsNamedWithAdvice) {
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    const auto drop = ::setgid(65534) | ::setuid(65534);
    if (drop != 0) ::_exit(1);
    const auto refused = open_directory_for_reading(path);
    const bool good = !refused && refused.error().kind == Error::Kind::kUnavailable &&
                      refused.error().message.find("Permission denied: give this user") != std::string::npos;
    ::_exit(good ? 0 : 2);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
}

TEST_F(DirectoryTest, ReadOnlyFileSystemIsNamedWithAdvice) {
  mount("tmpfs", "size=1m");
  ASSERT_EQ(::mount("none", path.c_str(), nullptr, MS_REMOUNT | MS_RDONLY, nullptr), 0);
  const auto refused = open()->lock(seconds(1));
  ASSERT_FALSE(refused);
  EXPECT_THAT(refused.error().message, HasSubstr("Read-only file system: remount it writable"));
}

TEST(FileSystemWarnings, NameWhatSlowsOrEndangers) {
  FileSystem plain;
  EXPECT_THAT(warnings_about(plain, "/d"), IsEmpty());
  FileSystem odd;
  odd.type = "btrfs";
  odd.copy_on_write = true;
  odd.physical_block = 16384;
  odd.partition_offset = 63 * 512;
  EXPECT_THAT(warnings_about(odd, "/d"),
              ElementsAre(HasSubstr("copies on write"), HasSubstr("16384"), HasSubstr("align the partition")));
}

TEST(Layout, SegmentNamesAreExact) {
  EXPECT_EQ(segment_file(SegmentNumber{0x1f}), "segment-000000000000001f");
  EXPECT_EQ(parse_segment_file("segment-000000000000001f"), SegmentNumber{0x1f});
  EXPECT_EQ(parse_segment_file("segment-ffffffffffffffff"), SegmentNumber{~std::uint64_t{0}});
  for (const char* name : {"segment-1f", "segment-000000000000001F", "segment-00000000000000 1f", "segment-",
                           "segment-0000000000000000001f", "preparing-000000000000001f", "segment-+00000000000001f"}) {
    EXPECT_EQ(parse_segment_file(name), std::nullopt) << name;
  }
}

TEST(Layout, BlobNamesCannotLeaveTheDirectory) {
  EXPECT_TRUE(is_blob_name("membership-2.a_B"));
  for (const char* name : {"", ".", "..", ".hidden", "a/b", "a b", "a\n"}) EXPECT_FALSE(is_blob_name(name)) << name;
  EXPECT_FALSE(is_blob_name(std::string(65, 'a')));
  EXPECT_EQ(parse_blob_file("head.blob"), "head");
  EXPECT_EQ(parse_blob_file("head.blob.tmp"), std::nullopt);
}

}  // namespace
}  // namespace holdfast::location
