// SPDX-License-Identifier: Apache-2.0
//
// The text of `nixl_metadata`: blob, zlib stream, base64 or hexadecimal.
#include <zlib.h>

#include <algorithm>
#include <array>

#include "nixl_connect/error.h"
#include "wire/envelope.h"
#include "wire/text_forms.h"

namespace nixl_connect::wire {
namespace {

constexpr std::string_view kBase64Prefix = "b64:";

// The level of genuine agents. Many regions hardly get smaller by it than by the first
// one, which takes a third of the time.
constexpr int kUsualLevel = 6;
constexpr int kLevelOfLarge = 1;
constexpr std::size_t kLargeBlobBytes = 64 << 10;

[[noreturn]] void refuse(const std::string& why) {
  throw Error(ErrorKind::kInvalidArgument, "nixl_metadata cannot be read: " + why);
}

base::Bytes deflate_blob(base::BytesView blob) {
  uLongf size = ::compressBound(blob.size());
  base::Bytes stream(size);
  const int level = blob.size() < kLargeBlobBytes ? kUsualLevel : kLevelOfLarge;
  const int status =
      ::compress2(reinterpret_cast<Bytef*>(stream.data()), &size,
                  reinterpret_cast<const Bytef*>(blob.data()), blob.size(), level);
  if (status != Z_OK)
    throw Error(ErrorKind::kNoResources,
                std::string("nixl_metadata cannot be compressed: ") + ::zError(status));
  stream.resize(size);
  return stream;
}

// A zlib stream of at most kMaxJsonBytes, read from its beginning as often as needed.
class Inflater {
 public:
  explicit Inflater(base::BytesView stream) : stream_(stream) {
    if (const int status = ::inflateInit(&state_); status != Z_OK)
      throw Error(ErrorKind::kNoResources,
                  std::string("nixl_metadata cannot be read: ") + ::zError(status));
    rewind();
  }
  Inflater(const Inflater&) = delete;
  Inflater& operator=(const Inflater&) = delete;
  ~Inflater() { ::inflateEnd(&state_); }

  void rewind() {
    ::inflateReset(&state_);
    state_.next_in = reinterpret_cast<Bytef*>(const_cast<std::byte*>(stream_.data()));
    state_.avail_in = static_cast<uInt>(stream_.size());
  }

  bool is_at_end() const noexcept { return is_at_end_; }

  // Fills `out` unless the stream ends before, and returns how much was filled. For a
  // stream that ends in the first call zlib needs no window.
  std::size_t read(std::span<std::byte> out) {
    state_.next_out = reinterpret_cast<Bytef*>(out.data());
    state_.avail_out = static_cast<uInt>(out.size());
    const int status = ::inflate(&state_, Z_FINISH);
    is_at_end_ = status == Z_STREAM_END;
    if (status == Z_NEED_DICT) refuse("its zlib stream asks for a dictionary");
    if (status != Z_OK && status != Z_STREAM_END && status != Z_BUF_ERROR)
      refuse(std::string("its zlib stream is damaged: ") +
             (state_.msg != nullptr ? state_.msg : ::zError(status)));
    if (!is_at_end_ && state_.avail_out > 0) refuse("its zlib stream breaks off");
    if (is_at_end_ && state_.avail_in > 0)
      refuse("there are " + std::to_string(state_.avail_in) +
             " bytes behind its zlib stream");
    return out.size() - state_.avail_out;
  }

 private:
  base::BytesView stream_;
  z_stream state_{};
  bool is_at_end_ = false;
};

// The usual blob fits the scratch. A larger one is measured first, so that a small
// stream which inflates to too much costs no memory.
base::Bytes inflate_blob(base::BytesView stream) {
  std::array<std::byte, 16 * 1024> scratch;
  Inflater inflater(stream);
  std::size_t size = inflater.read(scratch);
  if (inflater.is_at_end()) return {scratch.begin(), scratch.begin() + size};
  while (!inflater.is_at_end()) {
    size += inflater.read(scratch);
    if (size > kMaxBlobBytes)
      refuse("it inflates to more than " + std::to_string(kMaxBlobBytes >> 20) +
             " MiB");
  }
  base::Bytes blob(size);
  inflater.rewind();
  inflater.read(blob);
  return blob;
}

}  // namespace

std::string encode_blob_text(base::BytesView blob, BlobText form) {
  const base::Bytes stream = deflate_blob(blob);
  if (form == BlobText::kHex) return base::to_hex(stream);
  return std::string(kBase64Prefix) + encode_base64(stream);
}

base::Bytes decode_blob_text(std::string_view text) {
  if (text.empty()) refuse("it is empty");
  if (text.size() > kMaxJsonBytes) refuse("it is too long");
  return inflate_blob(text.substr(0, kBase64Prefix.size()) == kBase64Prefix
                          ? decode_base64(text, kBase64Prefix.size())
                          : decode_hex(text, 0));
}

}  // namespace nixl_connect::wire
