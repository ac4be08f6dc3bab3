// SPDX-License-Identifier: Apache-2.0
//
// What the exposing side tells of its memory of GPUs to peers of this host, and hands
// over to them: a CUDA IPC handle travels in the metadata, and of mapped memory each
// chunk is a file, to be asked for. Any thread.
#pragma once

#include <string>
#include <vector>

#include "base/unique_fd.h"
#include "wire/control.h"
#include "wire/gpu_exports.h"

namespace nixl_connect::runtime {

class Gpus;
class LeaseWords;
class RegistrationHold;

struct GpuExports {
  std::vector<wire::GpuExport> exports;
  std::string why_not;  // some of the memory is not among them, for people; or empty
};

// Of the memory of an operation, which is all of one GPU. Throws what
// Gpus::handle_of() throws.
GpuExports gpu_exports_of(Gpus& gpus, const RegistrationHold& hold);

// Whether some of it comes as files.
bool has_gpu_files(const RegistrationHold& hold);

// The file of a chunk; none (-1) if the lease is not alive, the token not its own, or
// the operation has exposed no such chunk, or not any more. `hold` is the operation's.
base::UniqueFd gpu_file_for(const wire::Fetch& fetch, const LeaseWords& leases,
                            const RegistrationHold& hold, Gpus& gpus);

}  // namespace nixl_connect::runtime
