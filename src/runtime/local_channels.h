// SPDX-License-Identifier: Apache-2.0
//
// Control messages between the Connectors of one host and one user, and the news of a
// peer's death: a message takes a system call, where UCX takes several and a thread of
// its own to connect. Used by whoever has the turn.
#pragma once

#include <sys/types.h>

#include <deque>
#include <functional>
#include <memory>
#include <vector>

#include "base/local_socket.h"
#include "core/terms.h"
#include "wire/control.h"
#include "wire/extension.h"

namespace nixl_connect::runtime {

struct LocalChannel {
  base::LocalSocket socket;
  // Readable once that process has ended, though a child of it may have the socket.
  base::UniqueFd process{};
  pid_t pid = 0;                 // as this process sees it; 0 if it does not
  core::PeerId peer = 0;         // for the user; 0 at first
  wire::InstanceId opened_to{};  // if this end did; else zero
  bool has_heard = false;        // anything at all
  std::deque<base::Bytes> unsent{};
  std::size_t unsent_bytes = 0;           // the memory of `unsent`
  bool has_delivered = false;             // what was sent last has arrived
  bool wants_room = false;                // send_file() has found none
  std::vector<wire::Fetch> unanswered{};  // for the user, as long as there is no room
  const char* failure = nullptr;          // why no more is sent; null: all is well
  bool has_hung_up = false;               // this end: nothing more is sent
  bool has_ended = false;                 // the other end: nothing more comes
  bool is_dying = false;                  // with its process, which is not gone yet
  bool is_closed = false;                 // and goes with the next progress()
};

class LocalChannels {
 public:
  static constexpr std::size_t kMaxMessageBytes = 128 << 10;
  // Kept of what the other side does not take.
  static constexpr std::size_t kMaxUnsentBytes = 16 << 20;

  // All of them may close channels, and open them.
  struct Handlers {
    // With the file that came along, if one did.
    std::function<void(LocalChannel&, base::BytesView message, base::UniqueFd)> message;
    std::function<void(LocalChannel&)>
        ended;  // by the other side: hang up when it may be
    std::function<void(LocalChannel&)> failed;  // the same
    std::function<void(LocalChannel&)> gone;    // some time after `ended`: was dying
    std::function<void(LocalChannel&)> room;    // after send_file() has found none
  };

  // Listens under a name made of the instance. Throws Error(kNoResources).
  LocalChannels(const wire::InstanceId& instance, Handlers handlers);
  ~LocalChannels();
  LocalChannels(const LocalChannels&) = delete;
  LocalChannels& operator=(const LocalChannels&) = delete;

  // Null if that Connector is gone, or not on this host, in this network namespace and
  // of this user.
  LocalChannel* connect(const wire::InstanceId& instance);

  // Nothing more is sent, which tells the other side that this process does not touch
  // its memory any more. The channel is closed when that side has done so, too.
  void hang_up(LocalChannel& channel);
  void hang_up_all_of(core::PeerId peer);
  // The same, without hearing any more of the other side.
  void close_all_of(core::PeerId peer);

  // A channel of that peer whose other end is still open, or ended with the process,
  // which is not gone yet.
  bool has_open(core::PeerId peer) const noexcept;

  // At most kMaxMessageBytes. They arrive in the order of the calls; those to an end
  // that is closed are lost. If the other side leaves too many of them, or one can
  // never leave, the channel has failed.
  void send(LocalChannel& channel, base::Bytes message);

  // A message that brings a file: now (kDone) or not at all. kNotNow: there is no room,
  // and Handlers::room will tell when there is.
  base::LocalSocket::Result send_file(LocalChannel& channel, base::BytesView message,
                                      int fd) noexcept;

  // Takes all messages that have come before this call from peers of whom
  // `is_awaited` says so.
  void take_from(const std::function<bool(core::PeerId)>& is_awaited);

  // Takes what has come, and sends what waits. True if anything happened.
  bool progress();

  // Nothing waits to be sent.
  bool is_empty() const noexcept;

  // progress() is due, though no event asks for it.
  bool is_due() const noexcept { return has_failed_; }

  // Readable when progress() is due.
  int event_fd() const noexcept { return epoll_.get(); }

 private:
  LocalChannel* adopt(base::LocalSocket socket);
  void close_oldest_stranger() noexcept;
  void listen();
  bool accept_some();
  void receive_from(LocalChannel& channel, bool has_process_ended);
  void end(LocalChannel& channel, bool has_process_ended);
  void process_has_gone(LocalChannel& channel);
  void send_unsent(LocalChannel& channel);
  void tell_of_room(LocalChannel& channel);
  void fail(LocalChannel& channel, const char* why);
  bool report_failed();
  void watch(LocalChannel& channel, int operation) const noexcept;
  void unwatch(const LocalChannel& channel) const noexcept;
  void close(LocalChannel& channel);

  const Handlers handlers_;
  const base::LocalListener listener_;
  const base::UniqueFd epoll_;
  const std::size_t most_channels_;
  bool is_listening_ = false;
  std::vector<std::unique_ptr<LocalChannel>> channels_;
  bool has_closed_ = false;  // among them
  bool has_failed_ = false;  // and was not told of
  base::Bytes buffer_;
};

}  // namespace nixl_connect::runtime
