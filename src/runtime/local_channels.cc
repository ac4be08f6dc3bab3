// SPDX-License-Identifier: Apache-2.0
#include "runtime/local_channels.h"

#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <utility>

#include "base/log.h"
#include "base/random.h"
#include "nixl_connect/error.h"

namespace nixl_connect::runtime {
namespace {

using Result = base::LocalSocket::Result;

constexpr std::size_t kMostChannels = 4096;
// Taken from one channel before the others have their turn.
constexpr int kMessagesAtOnce = 64;

std::string name_of(const wire::InstanceId& instance) {
  return "nixl_connect/" + base::to_hex(instance);
}

// What epoll says of an event: whose it is, and whether it is the end of its process.
struct Source {
  LocalChannel* channel;  // null: somebody wants to connect
  bool is_process;

  std::uint64_t packed() const noexcept {
    return reinterpret_cast<std::uintptr_t>(channel) | (is_process ? 1U : 0U);
  }
  static Source of(const epoll_event& event) noexcept {
    return {reinterpret_cast<LocalChannel*>(event.data.u64 & ~std::uint64_t{1}),
            (event.data.u64 & 1U) != 0};
  }
};

}  // namespace

LocalChannels::LocalChannels(const wire::InstanceId& instance, Handlers handlers)
    : handlers_(std::move(handlers)),
      listener_(name_of(instance)),
      epoll_(::epoll_create1(EPOLL_CLOEXEC)),
      buffer_(kMaxMessageBytes) {
  epoll_event event{};
  // Once for each that comes: where there is no descriptor left, who waits goes on
  // waiting, and would be told of for ever.
  event.events = EPOLLIN | EPOLLET;
  event.data.u64 = Source{nullptr, false}.packed();
  if (epoll_.get() < 0 ||
      ::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, listener_.fd(), &event) != 0)
    throw Error(ErrorKind::kNoResources, "opening the local channel: epoll");
}

LocalChannel* LocalChannels::connect(const wire::InstanceId& instance) {
  auto socket = base::LocalSocket::connect(name_of(instance));
  return socket ? adopt(*std::move(socket)) : nullptr;
}

LocalChannel* LocalChannels::adopt(base::LocalSocket socket) {
  const base::LocalSocket::Credentials peer = socket.peer();
  if (peer.user != ::geteuid()) {
    base::log_info("local channel: refused to a process of another user");
    return nullptr;
  }
  if (channels_.size() >= kMostChannels) return nullptr;
  LocalChannel& channel = *channels_.emplace_back(
      std::make_unique<LocalChannel>(LocalChannel{std::move(socket), {}, peer.pid}));
  watch(channel, EPOLL_CTL_ADD);
  if (peer.pid == 0) return &channel;
  channel.process =
      base::UniqueFd(static_cast<int>(::syscall(SYS_pidfd_open, peer.pid, 0)));
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.u64 = Source{&channel, true}.packed();
  if (channel.process.get() >= 0)
    ::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, channel.process.get(), &event);
  return &channel;
}

void LocalChannels::watch(LocalChannel& channel, int operation) const noexcept {
  epoll_event event{};
  event.events = EPOLLIN | (channel.unsent.empty() ? 0U : EPOLLOUT);
  event.data.u64 = Source{&channel, false}.packed();
  ::epoll_ctl(epoll_.get(), operation, channel.socket.fd(), &event);
}

void LocalChannels::close(LocalChannel& channel) {
  if (std::exchange(channel.is_closed, true)) return;
  channel.unsent.clear();
  // A child process may keep copies of these: closing ours would end nothing.
  ::epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, channel.socket.fd(), nullptr);
  if (channel.process.get() >= 0)
    ::epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, channel.process.get(), nullptr);
  ::shutdown(channel.socket.fd(), SHUT_RDWR);
}

void LocalChannels::close_all_of(core::PeerId peer) {
  for (const auto& channel : channels_)
    if (channel->peer == peer) close(*channel);
}

void LocalChannels::send(LocalChannel& channel, base::Bytes message) {
  const bool is_waiting = !channel.unsent.empty();
  if (!is_waiting && channel.socket.send(message) != Result::kNotNow) return;
  channel.unsent.push_back(std::move(message));
  if (!is_waiting) watch(channel, EPOLL_CTL_MOD);
}

void LocalChannels::send_unsent(LocalChannel& channel) {
  if (channel.unsent.empty()) return;
  while (!channel.unsent.empty()) {
    if (channel.socket.send(channel.unsent.front()) == Result::kNotNow) return;
    channel.unsent.pop_front();
  }
  watch(channel, EPOLL_CTL_MOD);
}

bool LocalChannels::is_empty() const noexcept {
  return std::all_of(channels_.begin(), channels_.end(),
                     [](const auto& channel) { return channel->unsent.empty(); });
}

void LocalChannels::accept_all() {
  while (auto socket = listener_.accept()) adopt(*std::move(socket));
}

void LocalChannels::receive_from(LocalChannel& channel, bool has_process_ended) {
  Result result = Result::kDone;
  for (int i = 0; i < kMessagesAtOnce && !channel.is_closed; ++i) {
    const auto received = channel.socket.receive(buffer_);
    result = received.result;
    if (result != Result::kDone) break;
    handlers_.message(channel, received.message);
  }
  const bool is_over =
      result == Result::kClosed || (has_process_ended && result == Result::kNotNow);
  if (!is_over || channel.is_closed) return;
  handlers_.ended(channel);
  close(channel);
}

bool LocalChannels::progress() {
  std::array<epoll_event, 32> events;
  const int count =
      ::epoll_wait(epoll_.get(), events.data(), static_cast<int>(events.size()), 0);
  for (int i = 0; i < count; ++i) {
    const Source source = Source::of(events[static_cast<std::size_t>(i)]);
    if (source.channel == nullptr) {
      accept_all();
    } else if (!source.channel->is_closed) {
      send_unsent(*source.channel);
      receive_from(*source.channel, source.is_process);
    }
  }
  const auto closed =
      std::erase_if(channels_, [](const auto& channel) { return channel->is_closed; });
  if (closed > 0) accept_all();  // there are descriptors again
  return count > 0;
}

}  // namespace nixl_connect::runtime
