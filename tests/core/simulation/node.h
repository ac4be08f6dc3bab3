// SPDX-License-Identifier: Apache-2.0
//
// One simulated process: an engine with a toy runtime, its memory, and a user who takes
// memory back the moment its operation has finished; or a genuine NIXL agent, which has
// no engine and knows nothing but transfers and notifications. Every command is checked
// against the rules of the core. No threads.
//
// node.cc has the calls and events, commands.cc carries commands out and checks them,
// transfers.cc moves bytes, views.cc looks at those of others.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "core/engine.h"

namespace nixl_connect::core::simulation {

struct Offer;
struct World;

using Cell = std::uint64_t;  // content of a piece of memory

struct Exposed {
  Exposure request;
  std::vector<Cell> original;  // as exposed
  std::vector<Cell> cells;     // as they are now
  bool is_lease_valid = true;
  bool is_announced = false;   // the engine knows of it
  bool has_succeeded = false;  // and stays open
  bool is_cancelled = false;
  bool is_finished = false;
  unsigned peers_complete = 0;
};

struct Initiated {
  Transfer request;
  std::size_t offer = 0;
  std::vector<Cell> cells;
  std::size_t pieces_moved = 0;
  unsigned attaches = 0;
  unsigned dones = 0;
  bool was_started = false;
  bool is_running = false;
  bool is_stopped = false;
  bool has_all = false;   // transfer_ended() told of success
  bool is_early = false;  // was started without a Grant
  bool is_check_asked = false;
  bool is_lease_found_valid = false;
  bool is_open = false;  // a view
  bool is_finished = false;
  Time end{0};  // when it finished
};

class Node {
 public:
  Node(World& world, std::size_t number, bool is_genuine)
      : world_(world), number_(number), is_genuine_(is_genuine) {}

  bool is_alive() const { return is_alive_; }

  // What the user does.
  void expose(OperationKind kind, std::uint32_t readers, Time deadline,
              bool stays_open);
  void begin(std::size_t offer, Time deadline);
  void forge_message(std::size_t victim);
  void cancel_any();
  void cancel_all();
  void die();

  // What the network brings.
  void receive(PeerId sender, const wire::ControlBody& message);
  void receive_notification(const std::string& key);
  void lose(PeerId peer);

  bool is_genuine() const { return is_genuine_; }
  Exposed& exposed(OperationId operation) { return exposed_.at(operation); }

  // Everything has come to its end.
  void check_rest();

 private:
  void announce(OperationId exposed);
  void note_if_late(PeerId sender, const wire::Attach& attach);
  wire::AccessKind choose_access(const Offer& offer, PeerId peer);
  void disturb(Transfer& request);
  void cancel(OperationId operation);
  // Complains if the operation is not over soon after it was told to end at `when`, nor
  // waits for a view.
  void expect_end_after(Time when, OperationId operation);
  bool is_live(OperationId operation) const;

  // Lets the engine's commands happen, after every call of it.
  void pump();
  void arm_tick();
  void carry_out(const StartTransfer& command);
  void carry_out(const StopTransfer& command);
  void carry_out(const CheckLease& command);
  void carry_out(const EndLease& command);
  void carry_out(const LookAtLease& command);
  void carry_out(const Notify& command);
  void carry_out(const Send& command);
  void carry_out(const DropPeer& command);
  void carry_out(const Succeed& command);
  void carry_out(const Recall& command);
  void carry_out(const Finish& command);
  void carry_out(const Progress& command);
  void finish_exposed(Exposed& operation, const Outcome& outcome);
  void finish_initiated(Initiated& operation, const Outcome& outcome);
  void count_success(const Initiated& operation);
  void check_outcome(OperationId operation, const Outcome& outcome);
  void check_own(const wire::ControlBody& message);
  void read_lease_word(Initiated& operation);
  void look_at_lease(Initiated& operation);

  void start(Initiated& operation);
  void schedule_piece(Initiated& operation);
  void move_piece(Initiated& operation);
  void touch_memory(Initiated& operation);
  void end_transfer(Initiated& operation, std::optional<Failure> failure);
  void end_transfer_after(Time delay, Initiated& operation, const Failure& failure);
  void end_genuine_transfer(Initiated& operation, bool is_success);

  // Once a lost peer does not touch this node's memory any more.
  void tell_when_left(PeerId peer);
  bool is_touched_by(PeerId peer) const;
  bool may_touch_memory_of(PeerId peer) const;

  void open_view(Initiated& operation);
  // Complains if the memory is not what was exposed.
  void look(const Initiated& operation);
  void look_now_and_then(Initiated& operation);
  // The user does not look any more.
  void end_view(Initiated& operation);
  bool has_open_view_of(PeerId peer) const;
  // Some node looks at the memory.
  bool is_viewed(const Exposed& operation);
  // This node may have the operation wait for a view of its own, which has not ended
  // before `since` so that all of it is known.
  bool may_hold(const Exposed& operation, Time since);

  // Complains and returns nothing if there is no such live operation.
  Initiated* live_initiated(OperationId operation);
  Exposed& target_of(const Initiated& operation);
  World& world_;
  const std::size_t number_;
  const bool is_genuine_;
  bool is_alive_ = true;
  Engine engine_;
  OperationId last_operation_ = 0;
  std::map<OperationId, Exposed> exposed_;
  std::map<OperationId, Initiated> initiated_;
  std::set<PeerId> have_granted_;
  std::size_t live_operations_ = 0;  // by our own count
  unsigned notifications_ = 0;       // sent since the last Finish
  bool is_pumping_ = false;
  Time armed_tick_ = kNever;
};

}  // namespace nixl_connect::core::simulation
