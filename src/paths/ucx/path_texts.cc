// SPDX-License-Identifier: Apache-2.0
#include "paths/ucx/path_texts.h"

#include <string_view>

namespace nixl_connect::paths::ucx {
namespace {

// UCX says, of a request:
//   {flags} get into host memory length 64 zero-copy cma/memory 91.7 MB/s 0.67 us
// The part that is true of all requests of its kind lies between the length and the
// four words of UCX's estimate. Words of another shape stay as they are.
std::string_view path_in(std::string_view words) {
  constexpr std::string_view kLength = " length ";
  const std::size_t length = words.find(kLength);
  if (length == std::string_view::npos) return words;
  const std::size_t begin = words.find(' ', length + kLength.size());
  if (begin == std::string_view::npos || !words.ends_with(" us")) return words;
  std::string_view path = words.substr(begin + 1);
  for (int word = 0; word < 4; ++word) {
    const std::size_t last = path.rfind(' ');
    if (last == std::string_view::npos) return words;
    path = path.substr(0, last);
  }
  return path;
}

}  // namespace

void PathTexts::note(Direction direction, MemoryKinds kinds, std::uint64_t size,
                     const Functions& functions, void* request) {
  std::string& text = texts_[index(direction, kinds, size)];
  if (!text.empty()) return;
  std::array<char, 512> words{};
  ucp_request_attr_t attributes{};
  attributes.field_mask =
      UCP_REQUEST_ATTR_FIELD_INFO_STRING | UCP_REQUEST_ATTR_FIELD_INFO_STRING_SIZE;
  attributes.debug_string = words.data();
  attributes.debug_string_size = words.size();
  const bool is_known = functions.request_query(request, &attributes) == UCS_OK;
  text = is_known ? "ucx: " + std::string(path_in(words.data())) : "ucx";
}

}  // namespace nixl_connect::paths::ucx
