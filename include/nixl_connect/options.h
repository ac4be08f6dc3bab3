// SPDX-License-Identifier: Apache-2.0
//
// Every knob of the library, with its default and unit: plain values, and the log,
// which a process has one of. The environment is read in one place only,
// ConnectorOptions::from_environment(); UCX reads its own UCX_* variables besides, and
// the search for its wheel PATH and VIRTUAL_ENV.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "nixl_connect/device.h"

namespace nixl_connect {

enum class LogLevel { kDebug, kInfo, kWarning, kError, kOff };

// Takes one line, without its end. Called on any thread, the library's among them, and
// on several at once. It must be quick and must not call the library. A line of which
// it throws goes to standard error.
using LogSink = std::function<void(LogLevel, std::string_view)>;

// Where the lines of this process go from here on, in place of standard error; an empty
// one gives that back. Waits for calls of the sink before, which has none from then on
// and is destroyed. Lines of a child made by fork() go to standard error, unless it
// sets a sink of its own. Any thread, but not from a sink.
void set_log_sink(LogSink sink);

// Lowest level whose lines go there, until the next Connector sets its own. Any thread.
void set_log_level(LogLevel level);

// What is made by hand does not know the environment; to keep it, begin with
// ConnectorOptions::from_environment() and change what you want.
struct ConnectorOptions {
  // Name of this Connector, not empty. None: 32 random hexadecimal digits. A fixed name
  // is used with a suffix on the wire, since peers refuse a restarted process that
  // shows up under its old name.
  std::optional<std::string> worker_id{};

  // Deadline of every operation that sets none itself, from its creation. None: no
  // deadline.
  std::optional<std::chrono::nanoseconds> timeout{};

  // Folder that holds the libraries of UCX, libucp.so.0 among them. Empty: the UCX
  // already chosen in this process, else the `libucx` wheel of the Python on PATH, else
  // the system's. Environment: NIXL_CONNECT_UCX_DIRECTORY.
  std::string ucx_directory{};

  // File of the CUDA driver, opened when the first operation names memory of a GPU.
  // Empty: the system's libcuda.so.1. Environment: NIXL_CONNECT_CUDA_DRIVER.
  std::string cuda_driver{};

  // Network devices that may carry data, as UCX names them ("eth0,mlx5_0:1"). Empty:
  // all. A name that this host does not have is refused. Environment:
  // NIXL_CONNECT_NET_DEVICES.
  std::string net_devices{};

  // False keeps the process unreachable from other hosts: only the loopback device is
  // used. Environment: NIXL_CONNECT_NETWORK=off.
  bool network = true;

  // How long the progress thread, or a thread that waits for an operation, spins after
  // the last activity before it sleeps. Ignored on one core; with fewer than four,
  // messages of peers that no operation of ours waits for do not count as activity.
  // From 0 to one second. Environment: NIXL_CONNECT_SPIN_US.
  std::chrono::microseconds spin{50};

  // How long an operation whose outcome is decided waits for a peer that does not
  // answer. Then an initiating side drops its connection to that peer, and a readable
  // ends without it. A writable waits on until the writer answers or dies, since
  // nothing else keeps its bytes away. From 0 to one hour.
  std::chrono::milliseconds drain_timeout{200};

  // How many threads copy at the same time, this process's share in transfers of one
  // host; from 1 to 1024. None: one for each core, at most 8. Environment:
  // NIXL_CONNECT_COPY_THREADS.
  std::optional<unsigned> copy_threads{};

  // Whether the target of a large read that was never touched is advised to have huge
  // pages (MADV_HUGEPAGE), without which to make its pages takes longer than to fill
  // them. Only from 4 MiB on, for private anonymous memory, and where the system gives
  // huge pages to whom asks (THP "madvise"); the advice stays with that memory until it
  // is unmapped. Environment: NIXL_CONNECT_HUGE_PAGES=off.
  bool advise_huge_pages = true;

  // Whether processes of this user on this host may reach into the memory of this one
  // where the kernel asks the process itself (kernel.yama.ptrace_scope 1): UCX gives
  // that permission to all of them when it is opened, and without it neither host.cma
  // nor UCX's CMA leads here. False takes it back and keeps UCX from CMA; of several
  // Connectors of a process one that is true is enough. Without effect under other
  // scopes. Environment: NIXL_CONNECT_PTRACE=off.
  bool allow_ptrace = true;

  // Whether metadata of memory of a GPU waits for the stream of its operation
  // (OperationOptions), so that NIXL agents can be given it, which know no streams.
  // False: nobody waits, and until the stream has come by they find no such memory in
  // it. Environment: NIXL_CONNECT_WAIT_FOR_STREAMS=on.
  bool wait_for_streams = false;

  // The next four say which paths (plan.h names them) may be taken; "host" stands for
  // all of one host, which are all but ucx. Of those left, an operation takes the one
  // that is predicted to be the fastest. If it can take none, it ends ERRORED,
  // kUnsupported, before it has moved a byte, with the reasons.

  // If there are any, only these, and the first that can be used, whatever is
  // predicted. Environment: NIXL_CONNECT_PATHS, with commas between several.
  std::vector<std::string> paths{};

  // Only this one. Empty: any. Environment: NIXL_CONNECT_REQUIRE.
  std::string require{};

  // None of these. "host" makes this Connector behave as if every peer were on another
  // host. With its own memory peers do what their options let them. Environment:
  // NIXL_CONNECT_FORBID, with commas between several.
  std::vector<std::string> forbid{};

  // Only those predicted to move so many GB (1e9 bytes) a second, what every transfer
  // costs however small it is left aside. From 0.
  double min_gbps = 0;

  // The next two say what cuda.peer and cuda.staged take of the GPU that copies.

  // Whether its multiprocessors may copy, which they do where pages are many. False:
  // the copy engines do it all, which takes 3 us for each page and nothing from other
  // kernels. Environment: NIXL_CONNECT_SM=off.
  bool sm = true;

  // How many multiprocessors an operation takes at most, while it copies; from 1 to
  // 1024. None: as many as pages of that size need for nearly the best rate, which are
  // 32 to 64 between Hopper's GPUs, and within one all for pages of less than 8 KiB,
  // otherwise 64. GPUs before it need twice as many. Environment:
  // NIXL_CONNECT_MAX_BLOCKS.
  std::optional<unsigned> max_blocks{};

  // File with what the paths cost on this machine, as `nixl-connect doctor --calibrate`
  // writes it. Empty: usual figures. One that cannot be read is refused. Environment:
  // NIXL_CONNECT_COSTS, which may be set to nothing for those; if it is not set,
  // ~/.config/nixl_connect/costs.json (XDG_CONFIG_HOME is heeded), if it is there.
  std::string costs_file{};

  // Lowest level that reaches the log (standard error, or set_log_sink()) of the whole
  // process; the newest Connector decides. Environment: NIXL_CONNECT_LOG=
  // debug, info, warning, error or off.
  LogLevel log_level = LogLevel::kWarning;

  // The defaults, changed by the environment variables named above. Throws
  // Error(kInvalidArgument) that names a variable which cannot be read.
  static ConnectorOptions from_environment();
};

struct OperationOptions {
  // Deadline from the creation of the operation. None: the Connector's. A negative
  // duration is a deadline already passed.
  std::optional<std::chrono::nanoseconds> timeout{};

  // Exposing side only: the operation is COMPLETE after this many successful reads or
  // writes, at least 1. Until it is terminal more of them may succeed: not a quota.
  std::uint32_t readers = 1;

  // Readables only: COMPLETE as above, but the memory can be read on, by any number of
  // peers, until the operation is cancelled or destroyed or its Connector closed. Until
  // then it is in use; Operation::on_quiet() tells when it is not any more.
  bool stays_open = false;

  // Initiating side only: which paths this operation may take, as in ConnectorOptions.
  // None: as the Connector says; a value replaces that of the same name, also one that
  // stands for any path. What the Connector forbids stays forbidden.
  std::optional<std::vector<std::string>> paths{};
  std::optional<std::string> require{};
  std::vector<std::string> forbid{};
  std::optional<double> min_gbps{};

  // Initiating side only: of the GPU that copies, as in ConnectorOptions. None: as the
  // Connector says.
  std::optional<bool> sm{};
  std::optional<unsigned> max_blocks{};

  // A stream of the GPU that has the memory, in its primary context; not for other
  // memory. What the stream was given before the call comes first, and neither the
  // call nor the stream waits: exposed memory is touched by peers, and a transfer
  // begins, when the stream has come by. With a NIXL agent, which knows no streams, the
  // call does wait. None: the memory is ready now. Not a stream that is being captured
  // into a graph.
  std::optional<CudaStream> stream{};
};

}  // namespace nixl_connect
