#include "node/command_line.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdio>
#include <fstream>

namespace holdfast::node {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

Result<Command> parse(std::vector<const char*> words) {
  words.insert(words.begin(), "holdfast");
  return parse_command_line(static_cast<int>(words.size()), words.data());
}

std::vector<const char*> serve(std::vector<const char*> more = {}) {
  std::vector<const char*> words{"serve", "--link", "tap:hf0", "--address", "10.77.0.2/24"};
  words.insert(words.end(), more.begin(), more.end());
  return words;
}

// The message of a usage error: one line.
std::string refusal(const std::vector<const char*>& words) {
  const auto command = parse(words);
  if (command) return "(accepted)";
  EXPECT_EQ(command.error().kind, Error::Kind::kUsage);
  EXPECT_EQ(command.error().message.find('\n'), std::string::npos);
  return command.error().message;
}

TEST(CommandLine, ServeTakesItsSettings) {
  const auto command = parse(serve(
      {"--data", "/a",          "--data=/b", "--stored-on",    "1",    "--service",     "store:7000", "--service",
       "echo:7", "--gateway",   "10.77.0.1", "--segment-size", "1MiB", "--stall-after", "500ms",      "--congestion",
       "reno",   "--no-keeper", "--pcap",    "x.pcapng"}));
  ASSERT_TRUE(command) << command.error().message;
  const auto& options = std::get<ServeCommand>(*command).options;
  EXPECT_EQ(options.link.device, "hf0");
  EXPECT_EQ(options.address.to_string(), "10.77.0.2/24");
  EXPECT_EQ(options.data, (std::vector<std::string>{"/a", "/b"}));
  EXPECT_EQ(options.log.stored_on, 1U);
  ASSERT_EQ(options.services.size(), 2U);
  EXPECT_EQ(options.services[1].kind, stack::ServiceKind::kEcho);
  EXPECT_EQ(options.log.segment_size, 1U << 20);
  EXPECT_EQ(options.stall_after, std::chrono::milliseconds(500));
  EXPECT_EQ(options.tcp.congestion, tcp::CongestionControl::kReno);
  EXPECT_TRUE(options.no_keeper);
  EXPECT_EQ(options.pcap, "x.pcapng");
}

TEST(CommandLine, NothingAskedForIsAUsageError) {
  EXPECT_THAT(refusal({}), HasSubstr("--help"));
  EXPECT_THAT(refusal({"streams"}), HasSubstr("holdfast streams --help"));
}

TEST(CommandLine, UnknownFlagsAndCommandsAreNamed) {
  EXPECT_THAT(refusal(serve({"--frobnicate"})), AllOf(HasSubstr("--frobnicate"), HasSubstr("holdfast serve --help")));
  EXPECT_THAT(refusal({"fly"}), HasSubstr("fly"));
}

TEST(CommandLine, MissingSettingsAreNamed) {
  EXPECT_THAT(refusal({"serve"}), HasSubstr("--link"));
  EXPECT_THAT(refusal({"serve", "--link", "tap:hf0"}), HasSubstr("--address"));
  EXPECT_THAT(refusal(serve({"--volatile"})), HasSubstr("--service"));
  EXPECT_THAT(refusal(serve({"--service", "store:7"})), HasSubstr("--data"));
  EXPECT_THAT(refusal({"streams", "list"}), HasSubstr("--data"));
  EXPECT_THAT(refusal({"streams", "cat", "--data", "/a"}), HasSubstr("ID"));
  EXPECT_THAT(refusal({"send", "--link", "tap:x", "--address", "10.0.0.2/8"}), HasSubstr("--to"));
}

TEST(CommandLine, ContradictionsAreNamed) {
  EXPECT_THAT(refusal(serve({"--service", "store:7", "--volatile", "--data", "/a"})), HasSubstr("contradict"));
  EXPECT_THAT(refusal(serve({"--service", "store:7", "--data", "/a", "--stored-on", "2"})), HasSubstr("--stored-on 2"));
  EXPECT_THAT(refusal(serve({"--service", "store:7", "--data", "/a", "--data", "/a/../a"})), HasSubstr("twice"));
  EXPECT_THAT(refusal(serve({"--service", "store:7", "--service", "echo:7", "--volatile"})), HasSubstr("in use"));
  EXPECT_THAT(refusal(serve({"--service", "store:7", "--volatile", "--gateway", "10.78.0.1"})), HasSubstr("--gateway"));
  EXPECT_THAT(refusal(serve({"--service", "store:7", "--volatile", "--host-address", "10.77.0.2/24"})),
              HasSubstr("--host-address"));
  EXPECT_THAT(refusal(serve({"--service", "store:7", "--volatile", "--host-address", "10.78.0.1/24"})),
              HasSubstr("--host-address"));
  EXPECT_THAT(refusal(serve({"--address", "10.77.0.3/24", "--service", "store:7", "--volatile"})),
              HasSubstr("2 times"));
  EXPECT_THAT(refusal(serve({"--service", "store:7", "--data", "/a", "--max-bytes", "32MiB"})),
              HasSubstr("--max-bytes"));
}

TEST(CommandLine, ValuesOutOfRangeAreNamedWithTheirFlag) {
  const std::vector<std::pair<const char*, const char*>> bad{
      {"--stored-on", "0"},         {"--segment-size", "1500K"},     {"--prepared-segments", "x"},
      {"--stall-after", "1"},       {"--congestion", "vegas"},       {"--log-level", "loud"},
      {"--gateway", "nowhere"},     {"--host-address", "10.77.0.1"}, {"--receive-window", "1K"},
      {"--max-half-open", "0"},     {"--batch-size", "130K"},        {"--link", "eth0"},
      {"--address", "127.0.0.1/8"}, {"--address", "10.77.0.2"},      {"--service", "ftp:21"}};
  for (const auto& [flag, value] : bad) {
    EXPECT_THAT(refusal({"serve", flag, value}), AllOf(HasSubstr(flag), HasSubstr(value))) << flag;
  }
  EXPECT_THAT(refusal(serve({"--address", "10.77.0.0/24"})), HasSubstr("--address"));
}

TEST(CommandLine, ATrimSaysWhatGoes) {
  const auto command = parse({"streams", "trim", "--data", "/a", "--keep", "1MiB", "--before", "2h", "--dry-run"});
  ASSERT_TRUE(command) << command.error().message;
  const auto& streams = std::get<StreamsCommand>(*command);
  EXPECT_EQ(streams.action, StreamsCommand::Action::kTrim);
  EXPECT_EQ(streams.keep_bytes, 1U << 20);
  EXPECT_EQ(streams.older_than, std::chrono::hours(2));
  EXPECT_TRUE(streams.dry_run);
  EXPECT_FALSE(streams.all_closed);
  EXPECT_THAT(refusal({"streams", "trim", "--data", "/a"}), HasSubstr("say what goes"));
  EXPECT_THAT(refusal({"streams", "trim", "--data", "/a", "--keep", "few"}), HasSubstr("--keep few"));
}

TEST(CommandLine, StreamsTakesItsFlags) {
  const auto command =
      parse({"streams", "cat", "12", "--data", "/a", "--direction", "out", "--from", "1K", "--length", "5"});
  ASSERT_TRUE(command) << command.error().message;
  const auto& streams = std::get<StreamsCommand>(*command);
  EXPECT_EQ(streams.action, StreamsCommand::Action::kCat);
  EXPECT_EQ(streams.stream, StreamId{12});
  EXPECT_EQ(streams.direction, log::Direction::kOut);
  EXPECT_EQ(streams.from, 1024U);
  EXPECT_EQ(streams.length, 5U);
  EXPECT_THAT(refusal({"streams", "cat", "0", "--data", "/a"}), HasSubstr("ID 0"));
  EXPECT_THAT(refusal({"streams", "cat", "1", "--data", "/a", "--direction", "up"}), HasSubstr("--direction up"));
}

TEST(CommandLine, SendTakesItsFlags) {
  const auto command =
      parse({"send", "--link", "tap:hf1", "--address", "10.77.0.3/24", "--to", "10.77.0.1:9000", "file"});
  ASSERT_TRUE(command) << command.error().message;
  const auto& send = std::get<SendCommand>(*command);
  EXPECT_EQ(send.to.to_string(), "10.77.0.1:9000");
  EXPECT_EQ(send.file, "file");
  EXPECT_THAT(refusal({"send", "--link", "tap:x", "--address", "10.0.0.2/8", "--to", "10.0.0.1"}), HasSubstr("--to"));
  EXPECT_THAT(refusal({"send", "--link", "tap:x", "--address", "10.0.0.2/8", "--to", "10.0.0.2:9"}),
              HasSubstr("our own --address"));
  EXPECT_THAT(refusal({"send", "--link", "tap:x", "--address", "10.0.0.2/8", "--to", "11.0.0.2:9"}),
              HasSubstr("--gateway"));
  EXPECT_TRUE(
      parse({"send", "--link", "tap:x", "--address", "10.0.0.2/8", "--to", "11.0.0.2:9", "--gateway", "10.0.0.1"}));
}

TEST(CommandLine, SendTakesAPortOfItsOwn) {
  const auto given = [](const char* port) {
    return std::vector{"send", "--link",     "tap:x",        "--address", "10.0.0.2/8",
                       "--to", "10.0.0.1:9", "--local-port", port};
  };
  const auto command = parse(given("5000"));
  ASSERT_TRUE(command) << command.error().message;
  EXPECT_EQ(std::get<SendCommand>(*command).local_port, wire::Port{5000});
  for (const char* port : {"0", "65536", "x"}) EXPECT_THAT(refusal(given(port)), HasSubstr("--local-port")) << port;
}

TEST(CommandLine, SendLingersForAMomentUnlessItIsTold) {
  const auto given = [](std::vector<const char*> more) {
    std::vector<const char*> words{"send", "--link", "tap:x", "--address", "10.0.0.2/8", "--to", "10.0.0.1:9"};
    words.insert(words.end(), more.begin(), more.end());
    return words;
  };
  const auto linger = [&](std::vector<const char*> more) {
    const auto command = parse(given(std::move(more)));
    EXPECT_TRUE(command) << command.error().message;
    return std::get<SendCommand>(*command).linger;
  };
  EXPECT_EQ(linger({}), std::chrono::milliseconds(1500));
  EXPECT_EQ(linger({"--linger", "0s"}), Duration::zero());
  EXPECT_EQ(linger({"--linger", "60s"}), std::chrono::minutes(1));
  for (const char* time : {"61s", "x", "-1s"}) EXPECT_THAT(refusal(given({"--linger", time})), HasSubstr("--linger"));
}

TEST(CommandLine, SendTakesWhatIsAboutWaysWithWaysOnly) {
  const auto given = [](std::vector<const char*> more) {
    std::vector<const char*> words{"send", "--link", "tap:x", "--address", "10.0.0.2/8", "--to", "10.0.0.1:9"};
    words.insert(words.end(), more.begin(), more.end());
    return words;
  };
  const auto command = parse(given({"--ways", "5..8", "--policy", "best-effort", "--roll-call-timeout", "0s"}));
  ASSERT_TRUE(command) << command.error().message;
  EXPECT_EQ(std::get<SendCommand>(*command).ways.max, 8);
  EXPECT_TRUE(parse(given({"--ways", "3", "--policy", "strict"})));
  EXPECT_THAT(refusal(given({"--policy", "strict"})), HasSubstr("--policy without --ways"));
  EXPECT_THAT(refusal(given({"--roll-call-timeout", "1s"})), HasSubstr("--roll-call-timeout without --ways"));
  EXPECT_THAT(refusal(given({"--ways", "8", "--roll-call-timeout=-1s"})), HasSubstr("must not be negative"));
}

TEST(CommandLine, SendMayStoreWhatItSends) {
  const auto with = [](const std::vector<const char*>& more) {
    std::vector<const char*> words{"send", "--link", "tap:hf1", "--address", "10.77.0.3/24", "--to", "10.77.0.1:9000"};
    words.insert(words.end(), more.begin(), more.end());
    return words;
  };
  const auto command =
      parse(with({"--data", "/a", "--data", "/b", "--stored-on", "1", "--segment-size", "4MiB", "--again", "file"}));
  ASSERT_TRUE(command) << command.error().message;
  const auto& send = std::get<SendCommand>(*command);
  EXPECT_EQ(send.data, (std::vector<std::string>{"/a", "/b"}));
  EXPECT_EQ(send.log.stored_on, 1U);
  EXPECT_EQ(send.log.segment_size, 4U << 20);
  EXPECT_TRUE(send.again);
  EXPECT_FALSE(send.abandon);
  EXPECT_EQ(send.file, "file");
  EXPECT_THAT(refusal(with({"--stored-on", "1"})), HasSubstr("--stored-on without --data"));
  EXPECT_THAT(refusal(with({"--again"})), HasSubstr("--again without --data"));
  EXPECT_THAT(refusal(with({"--abandon"})), HasSubstr("--abandon without --data"));
  EXPECT_THAT(refusal(with({"--data", "/a", "--stored-on", "2"})), HasSubstr("--stored-on 2"));
  EXPECT_THAT(refusal(with({"--data", "/a", "--data", "/a"})), HasSubstr("given twice"));
}

TEST(CommandLine, TheVersionIsShownEitherWay) {
  const auto flag = parse({"--version"}), command = parse({"version"});
  ASSERT_TRUE(flag && command);
  EXPECT_EQ(std::get<TextCommand>(*flag).text, std::get<TextCommand>(*command).text);
}

TEST(CommandLine, HelpShowsEverySettingAndExamples) {
  const auto help = parse({"serve", "--help"});
  ASSERT_TRUE(help);
  const auto& text = std::get<TextCommand>(*help).text;
  for (const auto& setting : serve_settings()) EXPECT_THAT(text, HasSubstr(std::string("--") + setting.name));
  EXPECT_THAT(text, AllOf(HasSubstr("Examples"), Not(HasSubstr("inherited"))));
  for (const auto& words : std::vector<std::vector<const char*>>{
           {"--help"}, {"streams", "--help"}, {"streams", "cat", "--help"}, {"send", "--help"}}) {
    ASSERT_TRUE(parse(words));
  }
}

class ConfigFile : public ::testing::Test {
 protected:
  ConfigFile() : path_(::testing::TempDir() + "holdfast-config-" + std::to_string(::getpid()) + ".toml") {}
  ~ConfigFile() override { std::remove(path_.c_str()); }

  void write(const std::string& text) { std::ofstream(path_) << text; }

  std::string path_;
};

TEST_F(ConfigFile, KeysMeanWhatFlagsMean) {
  write(R"(link = "tap:hf9,mtu=9000"
address = "10.9.0.2/16"
data = ["/x", "/y", "/z"]
service = "store:1"
stored-on = 2
keepalive = true
)");
  const auto command = parse({"serve", "--config", path_.c_str()});
  ASSERT_TRUE(command) << command.error().message;
  const auto& options = std::get<ServeCommand>(*command).options;
  EXPECT_EQ(options.link.mtu, 9000);
  EXPECT_EQ(options.data.size(), 3U);
  EXPECT_EQ(options.log.stored_on, 2U);
  EXPECT_TRUE(options.tcp.keepalive);
}

TEST_F(ConfigFile, AFlagWins) {
  write("link = \"tap:hf9\"\naddress = \"10.9.0.2/16\"\ndata = [\"/x\", \"/y\"]\nservice = [\"store:1\"]\n");
  const auto command = parse({"serve", "--config", path_.c_str(), "--data", "/only", "--link", "tap:mine"});
  ASSERT_TRUE(command) << command.error().message;
  const auto& options = std::get<ServeCommand>(*command).options;
  EXPECT_EQ(options.data, std::vector<std::string>{"/only"});
  EXPECT_EQ(options.link.device, "mine");
  EXPECT_EQ(options.services.size(), 1U);
}

TEST_F(ConfigFile, ErrorsNameFileLineAndKey) {
  const std::vector<std::pair<std::string, std::string>> bad{
      {"link = \"tap:a\"\nfrob = 1\n", "line 2: unknown key 'frob'"},
      {"\n\nstored-on = \"x\"\n", "line 3: stored-on = x"},
      {"link = [\"tap:a\"]\n", "line 1: link"},
      {"link = 1.5\n", "line 1: link"},
      {"data = [1.5]\n", "line 1: data"},
      {"link = \"tap:a\"\nlink = \"tap:b\"\n", "line 2"},
      {"[storage]\nstored-on = 1\n", "line 1: unknown key 'storage'"},
      {"link = \n", "line 1"},
      {"no-keeper = 3\n", "line 1: no-keeper = 3"},
  };
  for (const auto& [text, expected] : bad) {
    write(text);
    EXPECT_THAT(refusal({"serve", "--config", path_.c_str()}), AllOf(HasSubstr(path_), HasSubstr(expected))) << text;
  }
  EXPECT_THAT(refusal({"serve", "--config", "/does/not/exist"}), HasSubstr("/does/not/exist"));
}

TEST(CommandLine, BucketsOfAnAddress) {
  const std::vector<const char*> good = {"--service", "store:7",   "--data", "rados:pool/space", "--service-group",
                                         "store",     "--buckets", "12",     "--node-address",   "10.77.0.101/24"};
  const auto with = [&](std::vector<const char*> words) {
    words.insert(words.begin(), good.begin(), good.end());
    return serve(words);
  };
  const auto command = parse(with({}));
  ASSERT_TRUE(command) << command.error().message;
  const auto& options = std::get<ServeCommand>(*command).options;
  EXPECT_EQ(options.buckets, 12U);
  EXPECT_EQ(options.node_address->to_string(), "10.77.0.101/24");
  EXPECT_THAT(refusal(with({"--standby"})), HasSubstr("--standby"));
  EXPECT_THAT(refusal(with({"--pcap", "file"})), HasSubstr("tcpdump"));
  EXPECT_THAT(refusal(with({"--data", "rados:pool/other"})), HasSubstr("one pool"));
  EXPECT_THAT(refusal(serve({"--service", "store:7", "--data", "rados:p", "--buckets", "4"})),
              HasSubstr("--service-group"));
  EXPECT_THAT(refusal(serve({"--service", "store:7", "--data", "rados:p", "--service-group", "g", "--buckets", "257"})),
              HasSubstr("256"));
  EXPECT_THAT(refusal(serve({"--service", "store:7", "--data", "rados:p", "--service-group", "g", "--node-address",
                             "10.77.0.101/24"})),
              HasSubstr("--buckets"));
  EXPECT_THAT(refusal(serve({"--service", "store:7", "--data", "rados:p", "--service-group", "g", "--buckets", "4",
                             "--node-address", "10.78.0.101/24"})),
              HasSubstr("on the link"));
  const auto look = parse({"buckets", "--data", "rados:pool", "--service-group", "store", "--json"});
  ASSERT_TRUE(look) << look.error().message;
  EXPECT_TRUE(std::get<BucketsCommand>(*look).json);
  EXPECT_THAT(refusal({"buckets", "--data", "dir", "--service-group", "store"}), HasSubstr("must be a pool"));
}

}  // namespace
}  // namespace holdfast::node
