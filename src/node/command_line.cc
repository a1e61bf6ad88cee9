#include "node/command_line.h"

#include <fmt/format.h>

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <algorithm>
#include <map>
#include <memory>
#include <set>

#include "node/config_file.h"
#include "node/file_text.h"
#include "node/handshake_values.h"
#include "node/help.h"
#include "node/lab_flags.h"

namespace holdfast::node {
namespace {

std::unexpected<Error> usage(std::string message) { return fail(Error::Kind::kUsage, std::move(message)); }

// The settings of `serve` as flags. Values are kept as text: the file's keys are applied first, with the flags on top.
class ServeFlags {
 public:
  void add_to(CLI::App& app) {
    for (const auto& setting : serve_settings()) {
      auto& values = given_[setting.name];
      const auto flag = fmt::format("--{}", setting.name);
      if (*setting.value == '\0') {
        switches_[setting.name] = app.add_flag(flag, setting.help)->disable_flag_override()->group(setting.group);
        continue;
      }
      app.add_option(flag, values, setting.help)
          ->type_name(setting.value)
          ->allow_extra_args(false)
          ->group(setting.group);
    }
    app.add_option("--config", config_, "TOML file with any of these settings; a flag wins over the file's key")
        ->type_name("FILE")
        ->group("Operation");
    app.add_option("--inherited-keeper", inherited_.keeper)->group("");
    app.add_option("--inherited-link", inherited_.link)->group("");
    app.add_option("--inherited-config", inherited_.config)->group("");
    app.add_option("--inherited-status", inherited_.status)->group("");
    app.add_option("--inherited-start", inherited_.start)->group("");
    app.add_option("--inherited-identity", inherited_.identity)->group("");
    app.add_option("--inherited-bucket", inherited_.bucket)->group("");
    app.add_option("--inherited-frames", inherited_.frames)->group("");
    app.add_option("--inherited-events", inherited_.events)->group("");
    app.add_option("--inherited-key", inherited_.key)->group("");
  }

  Result<ServeCommand> finish() {
    ServeCommand command;
    command.inherited = inherited_;
    std::set<std::string> overridden;
    for (const auto& [name, values] : given_) {
      if (!values.empty() || is_switched_on(name)) overridden.insert(name);
    }
    if (!config_.empty()) {
      auto text = inherited_.keeper != 0 ? read_text(inherited_.config, config_) : read_text(config_);
      if (!text) return std::unexpected(text.error());
      command.config_text = *std::move(text);
      if (auto applied = apply_config(command.config_text, config_, overridden, command.options); !applied) {
        return std::unexpected(applied.error());
      }
    }
    for (const auto& setting : serve_settings()) {
      if (auto applied = apply(setting, command.options); !applied) return std::unexpected(applied.error());
    }
    if (auto complete = check(command.options); !complete) return std::unexpected(complete.error());
    return command;
  }

 private:
  bool is_switched_on(const std::string& name) const {
    const auto found = switches_.find(name);
    return found != switches_.end() && found->second->count() > 0;
  }

  Result<void> apply(const Setting& setting, ServeOptions& options) {
    auto& values = given_[setting.name];
    if (is_switched_on(setting.name)) values = {"true"};
    if (values.size() > 1 && !setting.repeatable) {
      return usage(fmt::format("--{}: is given {} times: it takes one value", setting.name, values.size()));
    }
    for (const auto& value : values) {
      if (auto applied = setting.apply(options, value); !applied) {
        return usage(fmt::format("--{} {}: {}", setting.name, value, applied.error()));
      }
    }
    return {};
  }

  std::map<std::string, std::vector<std::string>> given_;
  std::map<std::string, CLI::Option*> switches_;
  std::string config_;
  Inherited inherited_;
};

class StreamsFlags {
 public:
  void add_to(CLI::App& app) {
    app.require_subcommand(1);
    list_ = app.add_subcommand("list", "All streams of which something is kept");
    show_ = app.add_subcommand("show", "Everything known about one stream");
    cat_ = app.add_subcommand("cat", "Write a stream's bytes to standard output; each one's checksum is verified");
    tail_ = app.add_subcommand("tail", "Follow a stream of a running node until it ends");
    trim_ = app.add_subcommand("trim", "Give up the oldest segments of the log");
    for (auto* action : {list_, show_, cat_, tail_, trim_}) {
      action->add_option("--data", command_.data, "A storage directory of the node, running or not. Repeatable")
          ->type_name("DIR")
          ->allow_extra_args(false)
          ->required();
    }
    for (auto* action : {show_, cat_, tail_}) {
      action->add_option("ID", stream_, "The stream's number, as `streams list` shows it")->required();
    }
    for (auto* action : {cat_, tail_}) {
      action->add_option("--direction", direction_, "in: what the peer sent (default); out: what the node sent")
          ->type_name("in|out");
      action
          ->add_option(
              "--from", from_,
              "First byte's offset; kept: the first one that was not trimmed (default: 0; for tail: the end as it is "
              "now)")
          ->type_name("OFFSET|kept");
    }
    cat_->add_option("--length", length_, "At most so many bytes (default: all)")->type_name("N");
    trim_->add_option("--keep", keep_, "Release the oldest segments of what is more than that")->type_name("SIZE");
    trim_->add_option("--before", before_, "Release segments whose newest byte is older, as in 90m or 720h")
        ->type_name("TIME");
    trim_->add_flag("--all-closed", command_.all_closed, "Release the oldest segments that hold closed streams only")
        ->disable_flag_override();
    trim_->add_flag("--dry-run", command_.dry_run, "Say what would go, and change nothing")->disable_flag_override();
    for (auto* action : {list_, show_, trim_})
      action->add_flag("--json", command_.json, "For programs")->disable_flag_override();
    list_->footer(help::kStreamsList);
    cat_->footer(help::kStreamsCat);
    tail_->footer(help::kStreamsTail);
  }

  Result<StreamsCommand> finish() {
    using Action = StreamsCommand::Action;
    command_.action = list_->parsed()   ? Action::kList
                      : show_->parsed() ? Action::kShow
                      : cat_->parsed()  ? Action::kCat
                      : trim_->parsed() ? Action::kTrim
                                        : Action::kTail;
    if (!stream_.empty()) {
      auto id = parse_number(stream_, 1, ~std::uint64_t{0});
      if (!id) return usage(fmt::format("ID {}: {}: see `holdfast streams list`", stream_, id.error()));
      command_.stream = StreamId{*id};
    }
    if (direction_ != "in" && direction_ != "out") {
      return usage(fmt::format("--direction {}: must be in or out", direction_));
    }
    command_.direction = direction_ == "in" ? log::Direction::kIn : log::Direction::kOut;
    command_.from_kept = from_ == "kept";
    if (command_.from_kept) from_.clear();
    if (command_.action == Action::kTrim) {
      if (auto done = trim_wish(); !done) return std::unexpected(done.error());
    }
    if (auto done = offset("--from", from_, command_.from); !done) return std::unexpected(done.error());
    if (auto done = offset("--length", length_, command_.length); !done) return std::unexpected(done.error());
    return command_;
  }

 private:
  Result<void> trim_wish() {
    if (keep_.empty() && before_.empty() && !command_.all_closed) {
      return usage("streams trim: say what goes: --keep SIZE, --before TIME or --all-closed");
    }
    if (!keep_.empty()) {
      const auto keep = parse_size(keep_, 1, ~std::uint64_t{0});
      if (!keep) return usage(fmt::format("--keep {}: {}", keep_, keep.error()));
      command_.keep_bytes = *keep;
    }
    if (!before_.empty()) {
      const auto before = parse_duration(before_, std::chrono::milliseconds(1), std::chrono::hours(24 * 36500));
      if (!before) return usage(fmt::format("--before {}: {}", before_, before.error()));
      command_.older_than = *before;
    }
    return {};
  }

  static Result<void> offset(const char* flag, const std::string& text, std::optional<std::uint64_t>& target) {
    if (text.empty()) return {};
    auto value = parse_size(text, 0, ~std::uint64_t{0});
    if (!value) return usage(fmt::format("{} {}: {}", flag, text, value.error()));
    target = *value;
    return {};
  }

  StreamsCommand command_;
  std::string stream_, from_, length_, keep_, before_, direction_ = "in";
  CLI::App *list_ = nullptr, *show_ = nullptr, *cat_ = nullptr, *tail_ = nullptr, *trim_ = nullptr;
};

class SendFlags {
 public:
  void add_to(CLI::App& app) {
    app.add_option("--link", link_, "Device to send through; created where it does not exist, and then gone at the end")
        ->type_name("tap:NAME[,mac=MAC][,mtu=N]")
        ->required();
    app.add_option("--address", address_, "Our own IPv4 address, not the host's")->type_name("A.B.C.D/LEN")->required();
    app.add_option("--gateway", gateway_, "Next hop to what is not on the link")->type_name("A.B.C.D");
    app.add_option("--host-address", host_address_, "Address to give to the kernel's end of the device")
        ->type_name("A.B.C.D/LEN");
    app.add_option("--to", to_, "Whom to connect to")->type_name("A.B.C.D:PORT")->required();
    app.add_option("--local-port", local_port_, "Our own port (default: a random one that is free)")->type_name("PORT");
    app.add_option("--ways", ways_,
                   "Open with a handshake of N ways, or fewer where the peer wants that; with MIN..MAX, none below MIN "
                   "(default 3, most 74)")
        ->type_name("N|MIN..MAX");
    app.add_option("--policy", policy_,
                   "strict (default): reset a peer that holds fewer copies of the connection than a step asks for; "
                   "best-effort: go on")
        ->type_name("P");
    app.add_option(
           "--roll-call-timeout", roll_call_timeout_,
           "How long a step waits for our own copies, and what is added to the wait for the peer's (default 1s)")
        ->type_name("TIME");
    app.add_option("--linger", linger_,
                   "How long to stay after everything was acknowledged, to acknowledge the peer's FIN again if that "
                   "comes again (default 1500ms)")
        ->type_name("TIME");
    app.add_option(
           "--data", data_,
           "Directory to store the connection and its bytes in before they are sent: after a crash or Ctrl-C the "
           "same command goes on with the same connection. Repeatable, one location each")
        ->type_name("DIR")
        ->allow_extra_args(false)
        ->group("Storage");
    for (const char* name : kOfStorage) {
      const auto& setting = setting_of(name);
      app.add_option(fmt::format("--{}", name), storage_[name], setting.help)
          ->type_name(setting.value)
          ->group("Storage");
    }
    app.add_flag("--abandon", command_.abandon, "Reset an unfinished connection to the peer first; then begin anew")
        ->disable_flag_override()
        ->group("Storage");
    app.add_flag("--again", command_.again, "Send it once more, also where the last connection has delivered the same")
        ->disable_flag_override()
        ->group("Storage");
    app.add_option("--pcap", command_.pcap, "Write every frame, both ways, to a pcapng file")->type_name("FILE");
    app.add_flag("--quiet", command_.quiet, "No progress bar, no notes: errors only")->disable_flag_override();
    app.add_option("FILE", command_.file, "What to send; - is standard input (default)");
    app.footer(help::kSend);
  }

  Result<SendCommand> finish() {
    // The same words mean the same as for `serve`.
    ServeOptions shared;
    std::vector<std::pair<const char*, std::string>> values = {
        {"link", link_}, {"address", address_}, {"gateway", gateway_}, {"host-address", host_address_}};
    for (const auto& directory : data_) values.emplace_back("data", directory);
    for (const char* name : kOfStorage) values.emplace_back(name, storage_[name]);
    for (const auto& [name, value] : values) {
      if (value.empty()) continue;
      if (auto applied = setting_of(name).apply(shared, value); !applied) {
        return usage(fmt::format("--{} {}: {}", name, value, applied.error()));
      }
    }
    if (auto done = apply_ways(); !done) return std::unexpected(done.error());
    if (!linger_.empty()) {
      auto linger = parse_duration(linger_, Duration::zero(), kMostLinger);
      if (!linger) return usage(fmt::format("--linger {}: {}", linger_, linger.error()));
      command_.linger = *linger;
    }
    if (auto sane = check_stored(shared); !sane) return std::unexpected(sane.error());
    auto to = wire::Endpoint::parse(to_);
    if (!to || !to->address.is_unicast_host() || to->port == wire::Port{}) {
      return usage(fmt::format("--to {}: must be a host's address and port, such as 10.77.0.1:9000", to_));
    }
    if (to->address == shared.address.address) {
      return usage(fmt::format("--to {}: is our own --address: give another host's", to_));
    }
    if (!shared.address.contains(to->address) && !shared.gateway) {
      return usage(fmt::format("--to {}: is not on the link ({}): give a --gateway", to_, address_));
    }
    if (!local_port_.empty()) {
      auto port = parse_number(local_port_, 1, 65535);
      if (!port) return usage(fmt::format("--local-port {}: {}", local_port_, port.error()));
      command_.local_port = wire::Port{static_cast<std::uint16_t>(*port)};
    }
    command_.link = shared.link;
    command_.address = shared.address;
    command_.gateway = shared.gateway;
    command_.host_address = shared.host_address;
    command_.to = *to;
    command_.data = shared.data;
    command_.log = shared.log;
    return command_;
  }

 private:
  static constexpr auto kMostLinger = std::chrono::minutes(1);  // TIME-WAIT itself
  static constexpr const char* kOfStorage[] = {"stored-on", "segment-size", "max-bytes", "copy-limit"};

  static const Setting& setting_of(std::string_view name) {
    const auto settings = serve_settings();
    return *std::find_if(settings.begin(), settings.end(), [&](const Setting& s) { return name == s.name; });
  }

  Result<void> check_stored(const ServeOptions& shared) const {
    if (!shared.data.empty()) return check_storage(shared);
    const char* lonely = command_.abandon ? "abandon" : command_.again ? "again" : nullptr;
    for (const auto& [name, value] : storage_) {
      if (!value.empty()) lonely = name.c_str();
    }
    if (lonely == nullptr) return {};
    return usage(fmt::format("--{} without --data: nothing is stored; name a directory, or leave it out", lonely));
  }

  SendCommand command_;
  Result<void> apply_ways() {
    using Parse = Parsed<void> (*)(std::string_view, tcp::WaysConfig&);
    const std::tuple<const char*, const std::string*, Parse> values[] = {
        {"ways", &ways_, parse_ways},
        {"policy", &policy_, parse_policy},
        {"roll-call-timeout", &roll_call_timeout_, parse_roll_call_timeout}};
    for (const auto& [name, value, parse] : values) {
      if (value->empty()) continue;
      if (auto parsed = parse(*value, command_.ways); !parsed) {
        return usage(fmt::format("--{} {}: {}", name, *value, parsed.error()));
      }
      if (ways_.empty()) {
        return usage(
            fmt::format("--{} without --ways: three ways ask for no copies; give --ways, or leave it out", name));
      }
    }
    return {};
  }

  std::vector<std::string> data_;
  std::map<std::string, std::string> storage_;
  std::string link_, address_, gateway_, host_address_, to_, local_port_, ways_, policy_, roll_call_timeout_, linger_;
};

// CLI11's messages may span lines; ours are one.
std::string one_line(std::string text) {
  std::replace(text.begin(), text.end(), '\n', ' ');
  while (!text.empty() && (text.back() == ' ' || text.back() == '.')) text.pop_back();
  return text;
}

// "holdfast serve" for whichever subcommand was being parsed.
std::string asked_for(const CLI::App& app) {
  const auto parsed = app.get_subcommands();
  return parsed.empty() ? app.get_name() : app.get_name() + " " + asked_for(*parsed.front());
}

// CLI11 reports an unknown command as a missing one.
Result<void> check_commands(const CLI::App& app, int argc, const char* const* argv) {
  const CLI::App* parent = &app;
  std::string path = "holdfast";
  for (int i = 1; i < argc && argv[i][0] != '-' && !parent->get_subcommands({}).empty(); ++i) {
    const auto commands = parent->get_subcommands({});
    const auto found = std::find_if(commands.begin(), commands.end(),
                                    [&](const CLI::App* command) { return command->get_name() == argv[i]; });
    if (found == commands.end()) return usage(fmt::format("unknown command '{}': see `{} --help`", argv[i], path));
    parent = *found;
    path += fmt::format(" {}", argv[i]);
  }
  return {};
}

// Help texts wrapped for a terminal of 120 columns.
class HelpFormatter final : public CLI::Formatter {
 public:
  HelpFormatter() { column_width(kOptionWidth); }

  std::string make_option_opts(const CLI::Option* option) const override {
    const auto type = option->get_type_name();
    return type.empty() ? "" : " " + type;
  }

  std::string make_option_desc(const CLI::Option* option) const override {
    std::string wrapped;
    std::size_t column = 0;
    std::string_view rest = option->get_description();
    while (!rest.empty()) {
      const auto word = rest.substr(0, rest.find(' '));
      if (column > 0 && column + 1 + word.size() > kTextWidth) {
        wrapped += '\n';
        column = 0;
      }
      if (column > 0) wrapped += ' ';
      wrapped += word;
      column += word.size() + 1;
      rest.remove_prefix(std::min(rest.size(), word.size() + 1));
    }
    return wrapped;
  }

 private:
  static constexpr std::size_t kOptionWidth = 36;
  static constexpr std::size_t kTextWidth = 82;
};

void arrange(CLI::App& app) {
  app.formatter(std::make_shared<HelpFormatter>());
  app.set_help_flag("-h,--help", "This text");
  for (auto* child : app.get_subcommands({})) arrange(*child);
}

}  // namespace

Result<Command> parse_command_line(int argc, const char* const* argv) {
  CLI::App app(help::kAbout, "holdfast");
  ServeFlags serve;
  StreamsFlags streams;
  SendFlags send;
  LabFlags lab;
  HandoverFlags handover;
  StoreFlags store;
  BucketsFlags buckets;
  auto* serve_app = app.add_subcommand("serve", "Run a node");
  auto* streams_app = app.add_subcommand("streams", "Look at what a node has stored: list, show, cat, tail");
  auto* send_app = app.add_subcommand("send", "Send a file to any TCP peer through Holdfast's own stack");
  auto* lab_app = app.add_subcommand("lab", "Experiments in simulated time: handshake");
  auto* handover_app = app.add_subcommand("handover", "Give a service group's log to a node that stands by");
  auto* store_app = app.add_subcommand("store", "Look at the pools that logs are in: status");
  auto* buckets_app = app.add_subcommand("buckets", "Look at the nodes that share an address, and who serves what");
  auto* version_app = app.add_subcommand("version", "Show the version");
  app.require_subcommand(1);
  app.set_version_flag("--version", help::version(), "Show the version");
  app.footer(help::kExamples);
  serve.add_to(*serve_app);
  serve_app->footer(help::kServe);
  streams.add_to(*streams_app);
  send.add_to(*send_app);
  lab.add_to(*lab_app);
  handover.add_to(*handover_app);
  store.add_to(*store_app);
  buckets.add_to(*buckets_app);
  arrange(app);
  if (auto known = check_commands(app, argc, argv); !known) return std::unexpected(known.error());
  try {
    app.parse(argc, argv);
  } catch (const CLI::CallForHelp&) {
    // The innermost subcommand that was named.
    const CLI::App* innermost = &app;
    std::string path;
    while (!innermost->get_subcommands().empty()) {
      path += (path.empty() ? "" : " ") + innermost->get_name();
      innermost = innermost->get_subcommands().front();
    }
    return TextCommand{innermost->help(path)};
  } catch (const CLI::CallForVersion&) {
    return TextCommand{help::version()};
  } catch (const CLI::ArgumentMismatch& error) {
    const std::string text = one_line(error.what());
    const auto end = text.find(" was given a disallowed flag override");
    const bool value = end != std::string::npos;
    return usage(fmt::format("{}: see `{} --help`",
                             value ? fmt::format("--{} is a switch and takes no value", text.substr(0, end)) : text,
                             asked_for(app)));
  } catch (const CLI::ParseError& error) {
    return usage(fmt::format("{}: see `{} --help`", one_line(error.what()), asked_for(app)));
  }
  if (version_app->parsed()) return TextCommand{help::version()};
  if (streams_app->parsed()) return streams.finish();
  if (send_app->parsed()) return send.finish();
  if (lab_app->parsed()) return lab.finish();
  if (handover_app->parsed()) return handover.finish();
  if (store_app->parsed()) return store.finish();
  if (buckets_app->parsed()) return buckets.finish();
  auto command = serve.finish();
  if (command) command->arguments.assign(argv, argv + argc);
  return command;
}

}  // namespace holdfast::node
