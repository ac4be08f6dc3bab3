// SPDX-License-Identifier: Apache-2.0
#include "runtime/local_channels.h"

#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <utility>

#include "base/exiting.h"
#include "base/log.h"
#include "base/random.h"
#include "nixl_connect/error.h"

namespace nixl_connect::runtime {
namespace {

using Result = base::LocalSocket::Result;

constexpr std::size_t kMostChannels = 4096;
constexpr std::ptrdiff_t kMostStrangers = 64;
constexpr int kAcceptedAtOnce = 16;
// Taken from one channel before the others have their turn.
constexpr int kMessagesAtOnce = 64;

constexpr const char* kDoesNotRead = "it does not take its messages";
constexpr const char* kTooLarge = "a message to it is too large for the socket";

std::string name_of(const wire::InstanceId& instance) {
  return "nixl_connect/" + base::to_hex(instance);
}

// Each takes two descriptors, and others want some, too.
std::size_t channels_for_this_process() noexcept {
  rlimit files{};
  if (::getrlimit(RLIMIT_NOFILE, &files) != 0) return kMostChannels;
  return std::clamp<std::size_t>(files.rlim_cur / 8, 1, kMostChannels);
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

bool may_send(const LocalChannel& channel) noexcept {
  return channel.failure == nullptr && !channel.has_hung_up && !channel.is_closed;
}

void forget_unsent(LocalChannel& channel) noexcept {
  channel.unsent.clear();
  channel.unsent_bytes = 0;
}

}  // namespace

LocalChannels::LocalChannels(const wire::InstanceId& instance, Handlers handlers)
    : handlers_(std::move(handlers)),
      listener_(name_of(instance)),
      epoll_(::epoll_create1(EPOLL_CLOEXEC)),
      most_channels_(channels_for_this_process()),
      buffer_(kMaxMessageBytes) {
  listen();
  if (!is_listening_)
    throw Error(ErrorKind::kNoResources, "opening the local channel: epoll");
}

LocalChannels::~LocalChannels() {
  for (const auto& channel : channels_) close(*channel);
}

void LocalChannels::listen() {
  if (is_listening_) return;
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.u64 = Source{nullptr, false}.packed();
  is_listening_ = ::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, listener_.fd(), &event) == 0;
}

LocalChannel* LocalChannels::connect(const wire::InstanceId& instance) {
  auto socket = base::LocalSocket::connect(name_of(instance));
  LocalChannel* channel = socket ? adopt(*std::move(socket)) : nullptr;
  if (channel != nullptr) channel->opened_to = instance;
  return channel;
}

// Those who connect and say nothing are not to use up what there is.
void LocalChannels::close_oldest_stranger() noexcept {
  const auto is_stranger = [](const auto& channel) {
    return !channel->is_closed && !channel->has_heard && channel->peer == 0;
  };
  if (std::count_if(channels_.begin(), channels_.end(), is_stranger) < kMostStrangers)
    return;
  close(**std::find_if(channels_.begin(), channels_.end(), is_stranger));
}

LocalChannel* LocalChannels::adopt(base::LocalSocket socket) {
  const base::LocalSocket::Credentials peer = socket.peer();
  if (peer.user != ::geteuid()) {
    base::log_debug("local channel: refused to a process of another user");
    return nullptr;
  }
  if (channels_.size() >= most_channels_) return nullptr;
  base::UniqueFd process;
  if (peer.pid != 0) {
    process = base::UniqueFd(static_cast<int>(::syscall(SYS_pidfd_open, peer.pid, 0)));
    // A kernel, or a filter of system calls, may have no such call. Otherwise it would
    // not be known when the process is gone.
    if (process.get() < 0 && errno != ENOSYS && errno != EPERM) return nullptr;
  }
  LocalChannel& channel = *channels_.emplace_back(std::make_unique<LocalChannel>(
      LocalChannel{std::move(socket), std::move(process), peer.pid}));
  watch(channel, EPOLL_CTL_ADD);
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.u64 = Source{&channel, true}.packed();
  if (channel.process.get() >= 0)
    ::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, channel.process.get(), &event);
  return &channel;
}

void LocalChannels::watch(LocalChannel& channel, int operation) const noexcept {
  epoll_event event{};
  const bool is_waiting = !channel.unsent.empty() || channel.wants_room;
  event.events = EPOLLIN | (is_waiting ? EPOLLOUT : 0U);
  event.data.u64 = Source{&channel, false}.packed();
  ::epoll_ctl(epoll_.get(), operation, channel.socket.fd(), &event);
}

// A child process may keep copies of these descriptors: closing ours would end nothing.
void LocalChannels::unwatch(const LocalChannel& channel) const noexcept {
  ::epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, channel.socket.fd(), nullptr);
  if (channel.process.get() >= 0)
    ::epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, channel.process.get(), nullptr);
}

void LocalChannels::close(LocalChannel& channel) {
  if (std::exchange(channel.is_closed, true)) return;
  has_closed_ = true;
  forget_unsent(channel);
  unwatch(channel);
  ::shutdown(channel.socket.fd(), SHUT_RDWR);
}

void LocalChannels::hang_up(LocalChannel& channel) {
  if (channel.is_closed) return;
  if (!std::exchange(channel.has_hung_up, true)) {
    forget_unsent(channel);
    channel.wants_room = false;
    watch(channel, EPOLL_CTL_MOD);
    ::shutdown(channel.socket.fd(), SHUT_WR);
  }
  if (channel.has_ended && !channel.is_dying) close(channel);
}

void LocalChannels::hang_up_all_of(core::PeerId peer) {
  for (const auto& channel : channels_)
    if (channel->peer == peer) hang_up(*channel);
}

void LocalChannels::close_all_of(core::PeerId peer) {
  for (const auto& channel : channels_)
    if (channel->peer == peer) close(*channel);
}

bool LocalChannels::has_open(core::PeerId peer) const noexcept {
  return std::any_of(channels_.begin(), channels_.end(), [peer](const auto& channel) {
    return channel->peer == peer && (!channel->has_ended || channel->is_dying) &&
           !channel->is_closed;
  });
}

void LocalChannels::send(LocalChannel& channel, base::Bytes message) {
  channel.has_delivered = false;
  if (!may_send(channel)) return;
  const bool is_waiting = !channel.unsent.empty();
  if (!is_waiting) {
    const Result result = channel.socket.send(message);
    channel.has_delivered = result == Result::kDone;
    if (result == Result::kRefused) fail(channel, kTooLarge);
    if (result != Result::kNotNow) return;
  }
  channel.unsent_bytes += message.capacity();
  channel.unsent.push_back(std::move(message));
  if (channel.unsent_bytes > kMaxUnsentBytes)
    fail(channel, kDoesNotRead);
  else if (!is_waiting)
    watch(channel, EPOLL_CTL_MOD);
}

Result LocalChannels::send_file(LocalChannel& channel, base::BytesView message,
                                int fd) noexcept {
  if (!may_send(channel)) return Result::kClosed;
  const Result result =
      channel.unsent.empty() ? channel.socket.send(message, fd) : Result::kNotNow;
  if (result == Result::kNotNow && !std::exchange(channel.wants_room, true))
    watch(channel, EPOLL_CTL_MOD);
  return result;
}

void LocalChannels::send_unsent(LocalChannel& channel) {
  if (channel.unsent.empty()) return;
  while (!channel.unsent.empty()) {
    const Result result = channel.socket.send(channel.unsent.front());
    if (result == Result::kNotNow) return;
    if (result == Result::kRefused) return fail(channel, kTooLarge);
    channel.unsent_bytes -= channel.unsent.front().capacity();
    channel.unsent.pop_front();
  }
  watch(channel, EPOLL_CTL_MOD);
}

void LocalChannels::tell_of_room(LocalChannel& channel) {
  if (!channel.unsent.empty() || !std::exchange(channel.wants_room, false)) return;
  handlers_.room(channel);
  if (!channel.wants_room && !channel.is_closed) watch(channel, EPOLL_CTL_MOD);
}

void LocalChannels::fail(LocalChannel& channel, const char* why) {
  channel.failure = why;
  forget_unsent(channel);
  has_failed_ = true;
  watch(channel, EPOLL_CTL_MOD);
}

bool LocalChannels::report_failed() {
  if (!std::exchange(has_failed_, false)) return false;
  // Handlers may open channels, which moves the list.
  std::vector<LocalChannel*> failed;
  for (const auto& channel : channels_)
    if (channel->failure != nullptr && !channel->is_closed)
      failed.push_back(channel.get());
  for (LocalChannel* const channel : failed) handlers_.failed(*channel);
  return true;
}

bool LocalChannels::is_empty() const noexcept {
  return std::all_of(channels_.begin(), channels_.end(),
                     [](const auto& channel) { return channel->unsent.empty(); });
}

// False if nobody came in. Some only, as others want their turn, too.
bool LocalChannels::accept_some() {
  for (int i = 0; i < kAcceptedAtOnce; ++i) {
    auto accepted = listener_.accept();
    if (accepted.is_exhausted) {
      // Whoever waits goes on waiting, and would be told of without an end.
      ::epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, listener_.fd(), nullptr);
      is_listening_ = false;
    }
    if (!accepted.socket) return i > 0;
    close_oldest_stranger();
    adopt(*std::move(accepted.socket));
  }
  return true;
}

void LocalChannels::receive_from(LocalChannel& channel, bool has_process_ended) {
  Result result = Result::kDone;
  for (int i = 0; i < kMessagesAtOnce && !channel.is_closed; ++i) {
    auto received = channel.socket.receive(buffer_);
    result = received.result;
    if (result != Result::kDone) break;
    channel.has_heard = true;
    handlers_.message(channel, received.message, std::move(received.fd));
  }
  const bool is_over =
      result == Result::kClosed || (has_process_ended && result == Result::kNotNow);
  if (!is_over || channel.is_closed) return;
  if (!channel.has_ended)
    end(channel, has_process_ended);
  else if (channel.is_dying && has_process_ended)
    process_has_gone(channel);
}

// The kernel closes a process's sockets before it is done with its GPU.
void LocalChannels::end(LocalChannel& channel, bool has_process_ended) {
  if (channel.is_closed || std::exchange(channel.has_ended, true)) return;
  channel.is_dying =
      !has_process_ended && channel.process.get() >= 0 && base::is_exiting(channel.pid);
  if (channel.is_dying)
    ::epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, channel.socket.fd(), nullptr);
  else
    unwatch(channel);
  handlers_.ended(channel);
}

void LocalChannels::process_has_gone(LocalChannel& channel) {
  channel.is_dying = false;
  unwatch(channel);
  if (channel.has_hung_up) close(channel);
  handlers_.gone(channel);
}

void LocalChannels::take_from(const std::function<bool(core::PeerId)>& is_awaited) {
  // By number, since handlers may open channels.
  for (std::size_t i = 0; i < channels_.size(); ++i) {
    LocalChannel& channel = *channels_[i];
    if (channel.is_closed || channel.has_ended || !is_awaited(channel.peer)) continue;
    std::size_t left = channel.socket.waiting_bytes();
    while (left > 0 && !channel.is_closed) {
      auto received = channel.socket.receive(buffer_);
      if (received.result == Result::kClosed) end(channel, false);
      if (received.result != Result::kDone) break;
      left -= std::min(left, received.message.size());
      handlers_.message(channel, received.message, std::move(received.fd));
    }
  }
}

bool LocalChannels::progress() {
  listen();
  bool is_active = report_failed();
  std::array<epoll_event, 32> events;
  const int count =
      ::epoll_wait(epoll_.get(), events.data(), static_cast<int>(events.size()), 0);
  for (int i = 0; i < count; ++i) {
    const Source source = Source::of(events[static_cast<std::size_t>(i)]);
    if (source.channel == nullptr) {
      if (accept_some()) is_active = true;
    } else if (!source.channel->is_closed) {
      send_unsent(*source.channel);
      tell_of_room(*source.channel);
      receive_from(*source.channel, source.is_process);
      is_active = true;
    }
  }
  if (std::exchange(has_closed_, false))
    std::erase_if(channels_, [](const auto& channel) { return channel->is_closed; });
  return is_active;
}

}  // namespace nixl_connect::runtime
