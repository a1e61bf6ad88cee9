// Addresses as text: what is read is written as something that reads the same.
#include "fuzz/check.h"
#include "wire/address.h"

namespace {

template <class Value>
void round_trip(std::string_view text) {
  const auto value = Value::parse(text);
  if (value) FUZZ_CHECK(Value::parse(value->to_string()) == value);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
  using namespace holdfast::wire;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  round_trip<MacAddress>(text);
  round_trip<Ipv4Address>(text);
  round_trip<Endpoint>(text);
  if (const auto prefix = Ipv4Prefix::parse(text)) FUZZ_CHECK(Ipv4Prefix::parse(prefix->to_string()).has_value());
  return 0;
}
