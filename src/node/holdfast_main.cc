// The program `holdfast`.
#include <unistd.h>

#include <csignal>
#include <variant>

#include "node/command_line.h"
#include "node/output.h"
#include "node/send.h"
#include "node/serve.h"
#include "node/streams.h"

namespace holdfast::node {
namespace {

struct Run {
  int operator()(const ServeCommand& command) const { return serve(command); }
  int operator()(const StreamsCommand& command) const { return streams(command); }
  int operator()(const SendCommand& command) const { return send(command); }
  int operator()(const TextCommand& command) const {
    auto written = write_all(STDOUT_FILENO, command.text);
    return written ? kExitDone : report(written.error());
  }
};

}  // namespace
}  // namespace holdfast::node

int main(int argc, char** argv) {
  using namespace holdfast::node;
  std::signal(SIGPIPE, SIG_IGN);  // a reader that goes away is told by write()
  const auto command = parse_command_line(argc, argv);
  return command ? std::visit(Run{}, *command) : report(command.error());
}
