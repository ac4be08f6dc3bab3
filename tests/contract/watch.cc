// SPDX-License-Identifier: Apache-2.0
#include "contract/watch.h"

#include <future>
#include <utility>

#include "contract/side.h"

namespace nixl_connect::contract {

Watch::Watch(std::shared_ptr<Operation> operation) : operation_(std::move(operation)) {
  operation_->on_complete([this](OperationStatus status) {
    told_to_callback_ = to_string(status);
    ++calls_;
    called_.release();
  });
  for (std::string& told : told_to_threads_)
    threads_.emplace_back(
        [this, &told] { told = to_string(end_of(*operation_).status); });
}

Watch::~Watch() {
  if (!threads_.empty()) told();
}

Watch::Told Watch::told() {
  for (std::thread& thread : threads_) thread.join();
  threads_.clear();
  called_.acquire();
  // A second call would have been due with the first, before this one.
  std::promise<void> last;
  operation_->on_complete([&](OperationStatus) { last.set_value(); });
  last.get_future().get();
  Told told{calls_, {told_to_callback_}};
  told.ends.insert(told.ends.end(), told_to_threads_.begin(), told_to_threads_.end());
  return told;
}

}  // namespace nixl_connect::contract
