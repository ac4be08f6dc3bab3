// SPDX-License-Identifier: Apache-2.0
//
// Counts what the memory hooks of one loaded UCX see. Knows nothing of our library, so
// that loading it changes nothing. Called by coexistence_probe.py, on one thread.
#include <dlfcn.h>
#include <sys/mman.h>
#include <ucm/api/ucm.h>

#include <cstddef>

namespace {

// Other threads unmap as well: only the page on trial counts.
struct Trial {
  const void* page = nullptr;
  int seen = 0;
};

void count(ucm_event_type_t, ucm_event_t* event, void* trial) noexcept {
  auto* on_trial = static_cast<Trial*>(trial);
  if (event->vm_unmapped.address == on_trial->page) ++on_trial->seen;
}

void unmap_pages(Trial& trial, int rounds) {
  constexpr std::size_t kPage = 4096;
  for (int round = 0; round < rounds; ++round) {
    void* page = mmap(nullptr, kPage, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    trial.page = page;
    munmap(page, kPage);
    trial.page = nullptr;
  }
}

}  // namespace

// How many of `rounds` calls of munmap() the hooks of the loaded library `libucm`
// reported. -1: that library is not loaded, or refuses a handler.
extern "C" int unmap_events(const char* libucm, int rounds) {
  void* library = dlopen(libucm, RTLD_NOW | RTLD_NOLOAD);
  if (library == nullptr) return -1;
  const auto set = reinterpret_cast<decltype(&ucm_set_event_handler)>(
      dlsym(library, "ucm_set_event_handler"));
  const auto unset = reinterpret_cast<decltype(&ucm_unset_event_handler)>(
      dlsym(library, "ucm_unset_event_handler"));

  // Without NO_INSTALL, setting a handler could mend the very hooks on trial.
  Trial trial;
  const bool is_set = set(UCM_EVENT_VM_UNMAPPED | UCM_EVENT_FLAG_NO_INSTALL, 0, count,
                          &trial) == UCS_OK;
  if (is_set) {
    unmap_pages(trial, rounds);
    unset(UCM_EVENT_VM_UNMAPPED, count, &trial);
  }
  dlclose(library);
  return is_set ? trial.seen : -1;
}
