// SPDX-License-Identifier: Apache-2.0
#include "paths/cuda/exporter.h"

#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <list>
#include <sstream>
#include <stdexcept>

#include "base/bytes.h"
#include "paths/cuda/allocations.h"
#include "paths/cuda/segment.h"

namespace nixl_connect::paths::cuda::testing {
namespace {

struct Memories {
  std::list<DeviceMemory> allocated;
  std::list<Segment> mapped;
};

DeviceAllocation make(const Session& session, Memories& memories,
                      const std::string& how, std::size_t count, unsigned value) {
  const auto byte = static_cast<unsigned char>(value);
  if (how == "allocate") {
    memories.allocated.push_back(allocate(session.driver, count));
    const CuDevicePointer start = memories.allocated.back().get();
    session.fill(start, byte, count);
    return *find_allocation(session.driver, start, count);
  }
  const Segment& segment =
      memories.mapped.emplace_back(session.driver, 0, count, kCuHandlePosixFd);
  for (std::size_t i = 0; i < count; ++i)
    session.fill(segment.start() + i * Segment::kChunk,
                 static_cast<unsigned char>(byte + i), Segment::kChunk);
  return *find_allocation(session.driver, segment.start(), segment.size());
}

base::UniqueFd file_of(pid_t pid, int fd) {
  const base::UniqueFd process(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
  base::UniqueFd file(
      static_cast<int>(::syscall(SYS_pidfd_getfd, process.get(), fd, 0)));
  if (file.get() < 0) throw std::runtime_error("no file of the exporter");
  return file;
}

}  // namespace

void export_memory(const Channel& test) {
  const Session session;
  Memories memories;
  std::vector<base::UniqueFd> files;
  while (true) {
    std::istringstream question(test.receive_text());
    std::string how;
    std::size_t count = 0;
    unsigned value = 0;
    question >> how >> count >> value;
    if (how == "free") {
      memories = {};
      test.send("freed");
      continue;
    }
    const DeviceAllocation made = make(session, memories, how, count, value);
    base::Writer answer;
    const bool has_handle = made.exported_by == DeviceAllocation::Export::kIpcHandle;
    answer.u8(has_handle ? 1 : 0);
    if (has_handle) answer.raw(export_handle(session.driver, made).bytes);
    files.clear();
    if (!has_handle)
      for (const MemoryChunk& chunk : made.chunks)
        files.push_back(export_file(session.driver, chunk));
    for (std::size_t i = 0; i < made.chunks.size(); ++i) {
      answer.u64(made.chunks[i].start);
      answer.u64(made.chunks[i].size);
      answer.u64(made.chunks[i].buffer_id);
      answer.u32(has_handle ? 0 : static_cast<std::uint32_t>(files[i].get()));
    }
    test.send(answer.bytes());
  }
}

Instance Exporter::instance() const noexcept {
  const pid_t pid = child_.pid();
  Instance instance{};
  std::memcpy(instance.data(), &pid, sizeof pid);
  return instance;
}

void Exporter::free() const {
  child_.channel().send("free");
  child_.channel().receive();
}

Exporter::Exported Exporter::ask(const std::string& question) const {
  child_.channel().send(question);
  const base::Bytes answer = child_.channel().receive();
  base::Reader reader(answer);
  Exported exported;
  exported.memory.owner = instance();
  if (reader.u8() == 1) {
    CuIpcHandle handle;
    const auto bytes = *reader.raw(handle.bytes.size());
    std::copy(bytes.begin(), bytes.end(), handle.bytes.begin());
    exported.memory.handle = handle;
  }
  while (const auto start = reader.u64()) {
    exported.memory.chunks.push_back({*start, *reader.u64(), *reader.u64()});
    const int fd = static_cast<int>(*reader.u32());
    if (!exported.memory.handle) exported.files.push_back(file_of(child_.pid(), fd));
  }
  return exported;
}

}  // namespace nixl_connect::paths::cuda::testing
