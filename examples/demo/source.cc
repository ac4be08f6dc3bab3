// SPDX-License-Identifier: Apache-2.0
//
// See the header.
#include "demo/source.h"

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <memory>
#include <random>
#include <stdexcept>

namespace demo {
namespace {

[[noreturn]] void refuse(const std::string& path, const std::string& reason) {
  throw std::runtime_error("cannot move " + path + ": " + reason);
}

}  // namespace

Source read_source(const std::string& path) {
  std::error_code error;
  const auto status = std::filesystem::status(path, error);
  if (error) refuse(path, error.message());
  if (is_directory(status)) refuse(path, "it is a directory, a file is needed");
  if (!is_regular_file(status)) refuse(path, "it is not a regular file");

  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(
      std::fopen(path.c_str(), "rb"), &std::fclose);
  if (!file) refuse(path, std::strerror(errno));
  Source source{path, std::vector<std::byte>(std::filesystem::file_size(path))};
  if (source.bytes.empty()) refuse(path, "it is empty, there is nothing to move");
  const std::size_t size = source.bytes.size();
  if (std::fread(source.bytes.data(), 1, size, file.get()) != size) {
    refuse(path, "it could not be read to its end");
  }
  return source;
}

Source random_source(std::size_t size) {
  Source source{"random bytes", std::vector<std::byte>(size)};
  std::mt19937_64 random(std::random_device{}());
  for (std::size_t at = 0; at < size; at += sizeof(std::uint64_t)) {
    const std::uint64_t word = random();
    std::memcpy(source.bytes.data() + at, &word, std::min(sizeof word, size - at));
  }
  return source;
}

}  // namespace demo
