// SPDX-License-Identifier: Apache-2.0
#include "base/exported_memory.h"

#include <fcntl.h>
#include <gtest/gtest.h>

#include <vector>

#include "base/open_files.h"

namespace nixl_connect::base {
namespace {

TEST(ExportedMemory, GivesItsFileByItsId) {
  const auto memory = ExportedMemory::make(4096, false);
  const auto another = ExportedMemory::make(4096, false);
  const auto place =
      ExportedMemory::find(reinterpret_cast<std::uintptr_t>(memory->data()), 4096);
  ASSERT_TRUE(place);
  UniqueFd file = ExportedMemory::file_of(place->id);
  ASSERT_GE(file.get(), 0);
  EXPECT_NE(file.get(), place->fd) << "closing it would close the memory's own";
  EXPECT_EQ(::fcntl(file.get(), F_GETFD), FD_CLOEXEC);
  const auto seen = SharedMemory::of_fd(file, exported_name(place->id).c_str());
  ASSERT_TRUE(seen);
  memory->data()[4095] = std::byte{9};
  EXPECT_EQ(seen->data()[4095], std::byte{9});
}

TEST(ExportedMemory, GivesNoFileThatIsNotOrIsNoMore) {
  const std::size_t before = testing::count_open_files();
  std::uint64_t id = 0;
  {
    const auto memory = ExportedMemory::make(4096, false);
    id = ExportedMemory::find(reinterpret_cast<std::uintptr_t>(memory->data()), 1)
             .value()
             .id;
    EXPECT_EQ(ExportedMemory::file_of(id + 1).get(), -1);
    EXPECT_EQ(ExportedMemory::file_of(0).get(), -1);
  }
  EXPECT_EQ(ExportedMemory::file_of(id).get(), -1);
  EXPECT_EQ(testing::count_open_files(), before);
}

TEST(ExportedMemory, TellsThoseWhoWatchThatItGoes) {
  std::vector<std::uint64_t> gone;
  auto memory = ExportedMemory::make(4096, false);
  const auto id_of = [](const ExportedMemory& each) {
    return ExportedMemory::find(reinterpret_cast<std::uintptr_t>(each.data()), 1)
        .value()
        .id;
  };
  const std::uint64_t id = id_of(*memory);
  {
    const ExportedMemory::Watch watch(
        [&](std::uint64_t which) { gone.push_back(which); });
    const ExportedMemory::Watch another([](std::uint64_t) {});
    memory = ExportedMemory::make(4096, false);
    EXPECT_EQ(gone, std::vector{id});
  }
  memory = nullptr;
  EXPECT_EQ(gone.size(), 1U) << "nobody watches any more";
}

}  // namespace
}  // namespace nixl_connect::base
