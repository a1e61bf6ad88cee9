#include "location/rados/cluster.h"

#include <fmt/core.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <system_error>

namespace holdfast::location::rados {
namespace {

// What librados does not bound by itself, or bounds by five minutes; the configuration may have other values.
struct Bound {
  const char* option;
  const char* by_default;  // librados'
  const char* ours;        // seconds
};
constexpr Bound kBounds[] = {
    {"client_mount_timeout", "300", "10"},
    {"rados_osd_op_timeout", "0", "5"},
    {"rados_mon_op_timeout", "0", "5"},
};

// For an operation whose answer is late: how soon librados asks whether the map has changed.
constexpr std::pair<const char*, const char*> kQuick[] = {{"objecter_tick_interval", "0.5"}, {"objecter_timeout", "1"}};

// It is a library: what it has to say comes back as errors.
constexpr std::pair<const char*, const char*> kQuiet[] = {
    {"log_to_stderr", "false"}, {"err_to_stderr", "false"}, {"log_file", ""}, {"admin_socket", ""}};

std::string text_of(int result) { return std::generic_category().message(-result); }

}  // namespace

Result<std::unique_ptr<Cluster>> Cluster::connect(const Address& address) {
  const auto api = load_librados();
  if (!api) return std::unexpected(Error{api.error().kind, address.place() + ": " + api.error().message});
  std::unique_ptr<Cluster> cluster(new Cluster(**api));
  if (auto opened = cluster->open(address); !opened) return std::unexpected(opened.error());
  return cluster;
}

Result<void> Cluster::open(const Address& address) {
  const auto wrong = [&](Error::Kind kind, const std::string& what) {
    return fail(kind, fmt::format("{}: {}", address.place(), what));
  };
  const std::string client = "client." + address.id;
  if (const int result = api_.create2(&handle_, "ceph", client.c_str(), 0); result < 0) {
    return wrong(Error::Kind::kUnavailable, "librados cannot be used: " + text_of(result));
  }
  if (const int result = api_.conf_read_file(handle_, address.conf.c_str()); result < 0) {
    return wrong(Error::Kind::kUsage, fmt::format("cannot read the cluster's configuration {}: {}: give ?conf=FILE",
                                                  address.conf, text_of(result)));
  }
  for (const auto& [option, value] : kQuiet) api_.conf_set(handle_, option, value);
  for (const auto& [option, value] : kQuick) api_.conf_set(handle_, option, value);
  for (const Bound& bound : kBounds) {
    char value[64] = {};
    if (api_.conf_get(handle_, bound.option, value, sizeof value) < 0) continue;
    const std::string_view text(value);
    if (text == bound.by_default || text.starts_with(std::string(bound.by_default) + ".")) {
      api_.conf_set(handle_, bound.option, bound.ours);
    }
  }
  if (!address.keyring.empty()) api_.conf_set(handle_, "keyring", address.keyring.c_str());
  if (const int result = api_.connect(handle_); result < 0) {
    switch (-result) {
      case ETIMEDOUT:
        return wrong(
            Error::Kind::kUnavailable,
            fmt::format("no answer from the cluster's monitors ({}): is it up, and is the network?", address.conf));
      case ENOENT:
        return wrong(Error::Kind::kUnavailable,
                     fmt::format("no keyring for {}: give ?keyring=FILE, or ?id=NAME of another client", client));
      case EACCES:
      case EPERM:
        return wrong(Error::Kind::kUnavailable, fmt::format("the cluster does not accept {} with this key: look at "
                                                            "`ceph auth get {}`",
                                                            client, client));
      case ESHUTDOWN:
        return wrong(Error::Kind::kUnavailable,
                     "the cluster has this machine on its blocklist: look at `ceph osd blocklist ls`");
      default:
        return wrong(Error::Kind::kUnavailable, "cannot connect to the cluster: " + text_of(result));
    }
  }
  connected_ = true;
  if (const int result = api_.ioctx_create(handle_, address.pool.c_str(), &io_); result < 0) {
    if (result == -ENOENT) {
      return wrong(Error::Kind::kUsage,
                   fmt::format("the cluster has no pool {}: make it with `ceph osd pool create {}`", address.pool,
                               address.pool));
    }
    return wrong(Error::Kind::kUnavailable, fmt::format("cannot open pool {}: {}", address.pool, text_of(result)));
  }
  pool_ = address.pool;
  api_.ioctx_set_namespace(io_, address.name_space.c_str());
  char* own = nullptr;
  if (api_.getaddrs(handle_, &own) == 0 && own != nullptr) {
    own_address_ = own;
    api_.buffer_free(own);
    // Without spaces and signs that our record of it has no room for.
    std::erase_if(own_address_, [](char c) { return c <= ' ' || c > '~'; });
  }
  return {};
}

Cluster::~Cluster() {
  errands_.clear();
  if (io_ != nullptr) api_.ioctx_destroy(io_);
  if (handle_ != nullptr && connected_) api_.shutdown(handle_);
}

Result<std::string> Cluster::ask_monitor(const std::string& command) const {
  const char* const commands[] = {command.c_str()};
  char *out = nullptr, *status = nullptr;
  std::size_t out_size = 0, status_size = 0;
  const int result =
      api_.mon_command(handle_, const_cast<const char**>(commands), 1, "", 0, &out, &out_size, &status, &status_size);
  std::string answer(out == nullptr ? "" : out, out == nullptr ? 0 : out_size);
  const std::string said(status == nullptr ? "" : status, status == nullptr ? 0 : status_size);
  if (out != nullptr) api_.buffer_free(out);
  if (status != nullptr) api_.buffer_free(status);
  if (result >= 0) return answer;
  return fail(result == -ETIMEDOUT ? Error::Kind::kTimeout : Error::Kind::kUnavailable,
              said.empty() ? text_of(result) : said);
}

Result<Replication> Cluster::replication() const {
  Replication replication;
  for (const auto& [name, value] : {std::pair{"size", &replication.size}, {"min_size", &replication.min_size}}) {
    // The pool's name is checked (address.h): nothing in it needs escaping.
    const auto answer = ask_monitor(fmt::format(R"({{"prefix":"osd pool get","pool":"{}","var":"{}"}})", pool_, name));
    if (!answer) {
      return fail(answer.error().kind,
                  fmt::format("how many copies the pool keeps cannot be asked: {}", answer.error().message));
    }
    const std::string before = fmt::format("{}: ", name);  // "min_size: 2\n"
    const char* const end = answer->data() + answer->size();
    if (!answer->starts_with(before) ||
        std::from_chars(answer->data() + before.size(), end, *value).ec != std::errc() || *value == 0) {
      return fail(Error::Kind::kIo, "the cluster's monitors answer in a way that makes no sense");
    }
  }
  return replication;
}

void Cluster::shut_out(const std::string& client, unsigned seconds) {
  if (!std::ranges::all_of(client, [](char c) { return c > ' ' && c < 127 && c != '"' && c != '\\'; })) return;
  const std::string command =
      fmt::format(R"({{"prefix":"osd blocklist","blocklistop":"add","addr":"{}","expire":{}.0}})", client, seconds);
  errands_.emplace_back([this, command] { (void)ask_monitor(command); });
}

}  // namespace holdfast::location::rados
