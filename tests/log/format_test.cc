// The bytes: docs/log-format.md, held to a golden file and to hostile input.
#include <gtest/gtest.h>

#include <fstream>
#include <random>

#include "base/crc32c.h"
#include "log/batch_builder.h"
#include "log/identity.h"
#include "log/segment_index.h"
#include "log/world.h"

namespace holdfast::log {
namespace {

using test::text;

LogKey example_key() {
  LogKey key;
  for (std::size_t i = 0; i < 16; ++i) {
    key.id[i] = static_cast<std::byte>(0xa0 + i);
    key.mac.key[i] = static_cast<std::byte>(i);
  }
  key.segment_size = 1U << 20;
  return key;
}

// One batch with a record of each type.
std::vector<std::byte> example_batch(BatchHeader& header) {
  const LogKey key = example_key();
  std::vector<std::byte> buffer(2 * kBlock);
  BatchBuilder builder;
  builder.begin(buffer.data(), buffer.size());
  EpochStart start;
  start.previous = {6, 0x1122334455667788};
  start.previous_first_segment = SegmentNumber{3};
  start.end_lsn = Lsn{41};
  start.end_mac = 0x99aabbccddeeff00;
  start.end_segment = SegmentNumber{4};
  start.end_offset = 0x21000;
  RecordHeader epoch = test::record(RecordType::kEpochStart, 0, 7);
  builder.append(epoch, encode_epoch_start(start), 0);
  builder.append(test::record(RecordType::kConnection, 5), text("connection"), 0);
  RecordHeader in = test::in_record(5, 0x0102030405060708, kEcho);
  in.extra = 65536;
  builder.append(in, text("inbound bytes"), 0);
  builder.append(test::record(RecordType::kOut, 5, 9), text("outbound"), 1000);
  RecordHeader close = test::record(RecordType::kClose, 5);
  close.extra = 2;
  builder.append(close, {}, 0);
  builder.append(test::record(RecordType::kCheckpointBegin, 0), {}, 0);
  builder.append(test::record(RecordType::kCheckpointEnd, 0, 42), {}, 0);
  header.at = {SegmentNumber{9}, 0x3000};
  header.epoch = {7, 0x0123456789abcdef};
  header.epoch_segment = SegmentNumber{8};
  header.lsn = Lsn{42};
  header.durable = Lsn{41};
  header.clock_ceiling = 123456789;
  header.next_stream = 6;
  header.predecessor = 0xfedcba9876543210;
  header.checkpoint = BatchPosition{SegmentNumber{7}, 0x5000};
  builder.finish(key, header);
  header.mac = encode_batch_header(header, key, buffer.data());
  buffer.resize(header.size());
  return buffer;
}

Identity example_identity() {
  Identity identity;
  const LogKey key = example_key();
  identity.log_id = key.id;
  identity.segment_size = 32U << 20;
  identity.stored_on = 2;
  identity.generation = 3;
  identity.index = 1;
  identity.secrets.mac = key.mac;
  identity.secrets.cookie.key[0] = std::byte{9};
  identity.members = {11, 22, 33};
  return identity;
}

// tests/log/golden/NAME, or writes it where HOLDFAST_WRITE_GOLDEN is set.
void expect_golden(const std::string& name, const std::vector<std::byte>& bytes) {
  const std::string path = HOLDFAST_GOLDEN + name;
  if (std::getenv("HOLDFAST_WRITE_GOLDEN") != nullptr) {
    std::ofstream(path, std::ios::binary)
        .write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
  }
  std::ifstream in(path, std::ios::binary);
  ASSERT_TRUE(in) << path;
  const std::string golden((std::istreambuf_iterator<char>(in)), std::istreambuf_iterator<char>());
  ASSERT_EQ(golden.size(), bytes.size());
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    ASSERT_EQ(static_cast<std::byte>(golden[i]), bytes[i]) << name << " differs from version 1 at byte " << i;
  }
}

TEST(LogFormat, IsThatOfTheGoldenFiles) {
  BatchHeader header;
  expect_golden("batch-v1.bin", example_batch(header));
  expect_golden("identity-v1.bin", encode(example_identity()));
  expect_golden("promise-v1.bin", encode(Promise{example_key().id, {7, 8}}));
  expect_golden("progress-v1.bin", encode(Progress{example_key().id, Lsn{99}}));
  SegmentIndex index;
  index.reset(SegmentNumber{9}, header.epoch);
  BatchHeader first;
  auto bytes = example_batch(first);
  first.at.offset = 0;
  index.add_stored_batch(first, bytes);
  std::vector<std::byte> footer(index.footer_size());
  index.encode(example_key(), footer);
  expect_golden("footer-v1.bin", footer);
}

TEST(LogFormat, FieldsLieWhereTheDocumentSays) {
  BatchHeader header;
  const auto bytes = example_batch(header);
  const std::byte* at = bytes.data();
  EXPECT_EQ(load_le<std::uint32_t>(at), 0x31424648U);
  EXPECT_EQ(load_le<std::uint16_t>(at + 4), 1U);
  EXPECT_EQ(load_le<std::uint64_t>(at + 24), 9U);
  EXPECT_EQ(load_le<std::uint64_t>(at + 48), 42U);
  EXPECT_EQ(load_le<std::uint64_t>(at + 56), 41U);
  EXPECT_EQ(load_le<std::uint32_t>(at + 88), 2U);
  EXPECT_EQ(load_le<std::uint32_t>(at + 92), 5U);
  EXPECT_EQ(load_le<std::uint32_t>(at + 96), 1U);
  EXPECT_EQ(load_le<std::uint32_t>(at + 100), 3U);
  EXPECT_EQ(load_le<std::uint32_t>(at + 108), 7U);
  EXPECT_EQ(load_le<std::uint64_t>(at + 120), prf(example_key().mac, Bytes(at, 120)));
  EXPECT_EQ(at[128], std::byte{5});
}

TEST(LogFormat, ABatchComesBackAsItWasWritten) {
  BatchHeader header;
  const auto bytes = example_batch(header);
  const auto back = decode_batch_header(bytes, example_key(), header.at);
  ASSERT_TRUE(back);
  EXPECT_EQ(back->epoch, header.epoch);
  EXPECT_EQ(back->epoch_segment, header.epoch_segment);
  EXPECT_EQ(back->lsn, header.lsn);
  EXPECT_EQ(back->durable, header.durable);
  EXPECT_EQ(back->clock_ceiling, header.clock_ceiling);
  EXPECT_EQ(back->next_stream, header.next_stream);
  EXPECT_EQ(back->predecessor, header.predecessor);
  EXPECT_EQ(back->checkpoint, header.checkpoint);
  EXPECT_TRUE(check_body(*back, example_key(), bytes, PayloadCheck::kVerify));
}

TEST(LogFormat, ABatchIsValidOnlyInItsPlaceAndLog) {
  BatchHeader header;
  const auto bytes = example_batch(header);
  LogKey key = example_key();
  EXPECT_FALSE(decode_batch_header(bytes, key, {SegmentNumber{10}, header.at.offset}));
  EXPECT_FALSE(decode_batch_header(bytes, key, {header.at.segment, 0}));
  key.id[0] = std::byte{0};
  EXPECT_FALSE(decode_batch_header(bytes, key, header.at));
  key = example_key();
  key.mac.key[3] = std::byte{0x55};
  EXPECT_FALSE(decode_batch_header(bytes, key, header.at));
}

TEST(LogFormat, AnyFlippedBitOutsideThePaddingInvalidatesABatch) {
  BatchHeader header;
  const auto bytes = example_batch(header);
  const Bytes body = body_of(header, bytes);
  std::vector<bool> padding(bytes.size(), false);
  RecordWalk walk(body);
  while (const auto record = walk.next()) {
    const std::size_t end = kBatchHeaderSize + record->at + kRecordHeaderSize + record->header.length;
    const std::size_t next = kBatchHeaderSize + record->at + record_size(record->header.length);
    for (std::size_t i = end; i < next; ++i) padding[i] = true;
  }
  for (std::size_t i = 0; i < kBatchHeaderSize + header.body_length; ++i) {
    for (unsigned bit = 0; bit < 8; ++bit) {
      auto damaged = bytes;
      damaged[i] ^= static_cast<std::byte>(1U << bit);
      const auto back = decode_batch_header(damaged, example_key(), header.at);
      const bool valid = back && check_body(*back, example_key(), damaged, PayloadCheck::kVerify);
      EXPECT_EQ(valid, padding[i]) << "byte " << i << " bit " << bit;
    }
  }
}

TEST(LogFormat, RandomBytesWalkNowhere) {
  std::mt19937_64 random(7);
  for (int round = 0; round < 2000; ++round) {
    std::vector<std::byte> bytes(random() % 600);
    for (std::byte& b : bytes) b = static_cast<std::byte>(random() % 9 == 0 ? random() : random() % 8);
    RecordWalk walk(bytes);
    std::size_t seen = 0;
    while (const auto record = walk.next()) {
      seen += record_size(record->header.length);
      ASSERT_LE(seen, bytes.size());
    }
    EXPECT_TRUE(walk.malformed() || seen == bytes.size());
  }
}

TEST(LogFormat, BlobsComeBackAsTheyWereWritten) {
  const Identity identity = example_identity();
  const auto back = decode_identity(encode(identity), "x");
  ASSERT_TRUE(back) << back.error().message;
  EXPECT_EQ(back->log_id, identity.log_id);
  EXPECT_EQ(back->members, identity.members);
  EXPECT_EQ(back->generation, 3U);
  EXPECT_EQ(back->index, 1U);
  EXPECT_EQ(back->stored_on, 2U);
  EXPECT_EQ(back->secrets.cookie, identity.secrets.cookie);
  EXPECT_EQ(decode_promise(encode(Promise{identity.log_id, {7, 8}}), "x")->epoch, (Epoch{7, 8}));
  EXPECT_EQ(decode_progress(encode(Progress{identity.log_id, Lsn{5}}), "x")->lsn, Lsn{5});
}

TEST(LogFormat, DamagedBlobsAreErrorsOfTheRightKind) {
  const auto good = encode(example_identity());
  for (std::size_t i = 0; i < good.size(); ++i) {
    auto bad = good;
    bad[i] ^= std::byte{0x80};
    EXPECT_EQ(decode_identity(bad, "x").error().kind, Error::Kind::kCorrupt) << i;
    EXPECT_FALSE(decode_identity(Bytes(good).first(i), "x")) << i;
  }
  auto newer = good;
  store_le<std::uint32_t>(newer.data() + 8, 2);
  EXPECT_EQ(decode_identity(newer, "/data/a").error().kind, Error::Kind::kCorrupt) << "bits that flipped";
  store_le<std::uint32_t>(newer.data() + newer.size() - 4, crc32c(0, Bytes(newer).first(newer.size() - 4)));
  const auto refused = decode_identity(newer, "/data/a");
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().kind, Error::Kind::kIncompatible);
  EXPECT_EQ(refused.error().message, "/data/a: format 2, this program knows up to 1: use a newer holdfast");
}

TEST(LogFormat, AFooterComesBackAsItWasWritten) {
  const LogKey key = example_key();
  SegmentIndex index;
  index.reset(SegmentNumber{4}, {2, 3});
  index.add_batch({SegmentNumber{4}, 0});
  index.add_batch({SegmentNumber{4}, 8192});
  RecordHeader in = test::in_record(77, 100, kEcho);
  in.length = 50;
  index.add_record(in, 128, 0);
  RecordHeader out = test::record(RecordType::kOut, 78, 5);
  out.length = 20;
  index.add_record(out, 500, 1234);
  index.add_record(test::record(RecordType::kConnection, 77), 700, 0);
  index.finish_batch(Lsn{15}, 12288);
  std::vector<std::byte> footer(index.footer_size());
  index.encode(key, footer);
  const auto trailer = SegmentIndex::decode_trailer(footer, key, SegmentNumber{4});
  ASSERT_TRUE(trailer);
  EXPECT_EQ(trailer->last_lsn, Lsn{15});
  EXPECT_FALSE(SegmentIndex::decode_trailer(footer, key, SegmentNumber{5}));
  const auto back = SegmentIndex::decode(footer, *trailer);
  ASSERT_TRUE(back);
  EXPECT_EQ(back->batches(), index.batches());
  const StreamSummary* stream = back->find(StreamId{77});
  ASSERT_NE(stream, nullptr);
  EXPECT_EQ(stream->in_begin, 100U);
  EXPECT_EQ(stream->out_end, 150U) << "an echoed byte is an outbound byte";
  EXPECT_EQ(stream->connection_position, 700U);
  EXPECT_EQ(back->find(StreamId{78})->consumed, 1234U);
  EXPECT_EQ(back->find(StreamId{78})->out_end, 17U);
  auto bad = footer;
  bad[3] ^= std::byte{1};
  EXPECT_FALSE(SegmentIndex::decode(bad, *trailer));
}

}  // namespace
}  // namespace holdfast::log
