// SPDX-License-Identifier: Apache-2.0
//
// A process that hands out memory and an event of the stand-in's first device.
#include <cstring>

#include "paths/cuda/roles.h"
#include "paths/cuda/stand_in_fixture.h"

namespace nixl_connect::paths::cuda::testing {

void hand_out_memory(const Channel& test) {
  const Session session;
  const DeviceMemory memory = allocate(session.driver, 5000);
  session.fill(memory.get(), 0, 5000);
  const Event event = make_event(session.driver, EventReach::kAllProcesses);
  stand_in::hold_streams();
  session.driver.check(
      session.functions.memset_async(memory.get(), 7, 5000, session.stream()), "fill");
  session.driver.check(session.functions.event_record(event.get(), session.stream()),
                       "record");
  CuIpcHandle handles[2];
  session.driver.check(session.functions.ipc_get_mem_handle(&handles[0], memory.get()),
                       "export");
  session.driver.check(session.functions.ipc_get_event_handle(&handles[1], event.get()),
                       "export");
  test.send(base::BytesView(handles[0].bytes));
  test.send(base::BytesView(handles[1].bytes));
  test.receive();
  stand_in::release_streams();
  test.wait_for_hang_up();
}

}  // namespace nixl_connect::paths::cuda::testing
