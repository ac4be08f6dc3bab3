// SPDX-License-Identifier: Apache-2.0
//
// Our library as a shared library with a plain C interface, so that a Python process
// which holds a genuine NIXL agent can load it beside that. Called by
// coexistence_probe.py, on one thread. Each function returns null, or the text of what
// went wrong, valid until the next call.
#include <algorithm>
#include <cstddef>
#include <exception>
#include <memory>
#include <string>
#include <vector>

#include "nixl_connect/connector.h"

namespace nixl_connect {
namespace {

using Memory = std::vector<std::byte>;

struct Pair {
  Connector exposing;
  Connector initiating;
};

std::unique_ptr<Pair> open_pair;

template <typename Action>
const char* text_of_failure(Action action) noexcept {
  static std::string text;
  try {
    action();
    return nullptr;
  } catch (const std::exception& error) {
    text = error.what();
    return text.c_str();
  }
}

void read_between(Pair& pair, std::size_t size) {
  const auto source = std::make_shared<Memory>(size, std::byte{0x5A});
  const auto target = std::make_shared<Memory>(size);
  auto readable =
      pair.exposing.create_readable(Descriptor(source->data(), size, {}, source));
  auto read = pair.initiating.begin_read(readable.metadata(),
                                         Descriptor(target->data(), size, {}, target),
                                         {.timeout = std::chrono::seconds(10)});
  if (read.wait() != OperationStatus::kComplete || *source != *target) {
    throw Error(ErrorKind::kInternal, "the read did not bring the exposed bytes");
  }
}

}  // namespace
}  // namespace nixl_connect

extern "C" {

// Opens two Connectors, and with them our UCX.
const char* coexist_open() {
  using nixl_connect::open_pair;
  return nixl_connect::text_of_failure(
      [] { open_pair = std::make_unique<nixl_connect::Pair>(); });
}

// One Connector reads `size` bytes of the other and compares them.
const char* coexist_read(std::size_t size) {
  return nixl_connect::text_of_failure(
      [size] { nixl_connect::read_between(*nixl_connect::open_pair, size); });
}

const char* coexist_close() {
  return nixl_connect::text_of_failure([] { nixl_connect::open_pair.reset(); });
}
}
