// SPDX-License-Identifier: Apache-2.0
#include "paths/ucx/endpoint.h"

#include <algorithm>
#include <array>
#include <utility>

#include "base/log.h"
#include "nixl_connect/error.h"
#include "paths/ucx/packed_key.h"

namespace nixl_connect::paths::ucx {
namespace {

// In the low half of an address's first byte. UCX aborts the process for another one.
constexpr unsigned kNewestAddressVersion = 1;

bool is_readable(base::BytesView address) {
  return !address.empty() &&
         (std::to_integer<unsigned>(address[0]) & 0x0f) <= kNewestAddressVersion;
}

// UCX takes neither keys nor addresses with a length, and would read past the end of
// damaged ones. The filling is what UCX takes for the end of a list.
constexpr std::size_t kPadding = 64 << 10;

base::Bytes padded(base::BytesView bytes, std::byte filling) {
  base::Bytes copy(bytes.size() + kPadding, filling);
  std::copy(bytes.begin(), bytes.end(), copy.begin());
  return copy;
}

}  // namespace

// An active message on its way.
struct Endpoint::Message {
  Use endpoint;
  base::Bytes payload;
};

Endpoint::Endpoint(Worker& worker, base::BytesView address, FailureHandler on_failed)
    : worker_(worker),
      functions_(worker.functions()),
      on_failed_(std::move(on_failed)) {
  const base::Bytes copy = padded(address, std::byte{0xff});
  ucp_ep_params_t params{};
  params.field_mask = UCP_EP_PARAM_FIELD_REMOTE_ADDRESS |
                      UCP_EP_PARAM_FIELD_ERR_HANDLER |
                      UCP_EP_PARAM_FIELD_ERR_HANDLING_MODE;
  params.address = reinterpret_cast<const ucp_address_t*>(copy.data());
  params.err_mode = UCP_ERR_HANDLING_MODE_PEER;
  params.err_handler = {.cb = failed, .arg = this};
  const ucs_status_t status =
      is_readable(address) ? functions_.ep_create(worker.raw(), &params, &endpoint_)
                           : UCS_ERR_INVALID_PARAM;
  if (status == UCS_OK) return;
  throw Error(status == UCS_ERR_INVALID_PARAM ? ErrorKind::kInvalidArgument
                                              : ErrorKind::kDisconnected,
              std::string("UCX cannot connect to the peer's worker address: ") +
                  functions_.status_string(status));
}

const RemoteKey& Endpoint::remote_key(base::BytesView packed) {
  const std::string_view text = base::as_text(packed);
  if (const auto found = keys_.find(text); found != keys_.end()) return found->second;
  ucp_rkey_h key = nullptr;
  ucs_status_t status = UCS_ERR_INVALID_PARAM;
  const auto kind = memory_kind_of(packed);
  if (kind)
    status =
        functions_.ep_rkey_unpack(endpoint_, padded(packed, std::byte{0}).data(), &key);
  if (status != UCS_OK)
    throw Error(ErrorKind::kInvalidArgument,
                "UCX cannot use the peer's memory key of " +
                    std::to_string(packed.size()) +
                    " bytes: " + functions_.status_string(status));
  return keys_.try_emplace(std::string(text), key, *kind, functions_).first->second;
}

void Endpoint::send(unsigned id, base::Bytes payload) {
  if (!may_post()) return;
  auto message = std::make_unique<Message>(Message{Use(*this), std::move(payload)});
  ucp_request_param_t params{};
  params.op_attr_mask = UCP_OP_ATTR_FIELD_CALLBACK | UCP_OP_ATTR_FIELD_USER_DATA |
                        UCP_OP_ATTR_FIELD_FLAGS | UCP_OP_ATTR_FIELD_MEMORY_TYPE;
  params.cb.send = message_ended;
  params.user_data = message.get();
  params.flags = UCP_AM_SEND_FLAG_EAGER;
  params.memory_type = UCS_MEMORY_TYPE_HOST;
  ucs_status_ptr_t request =
      functions_.am_send_nbx(endpoint_, id, nullptr, 0, message->payload.data(),
                             message->payload.size(), &params);
  if (UCS_PTR_IS_PTR(request))
    static_cast<void>(message.release());  // message_ended() takes it
  else if (UCS_PTR_IS_ERR(request))
    fail(UCS_PTR_STATUS(request));
}

void Endpoint::message_ended(void* request, ucs_status_t status,
                             void* message) noexcept {
  const std::unique_ptr<Message> ended(static_cast<Message*>(message));
  ended->endpoint->functions_.request_free(request);
  if (status != UCS_OK) ended->endpoint->fail(status);
}

// A flush under way.
struct Endpoint::Flush {
  Use endpoint;
  std::function<void()> flushed;
};

void Endpoint::flush(std::function<void()> flushed) {
  if (!may_post()) {
    worker_.deliver(std::move(flushed));
    return;
  }
  auto flush = std::make_unique<Flush>(Flush{Use(*this), std::move(flushed)});
  ucp_request_param_t params{};
  params.op_attr_mask = UCP_OP_ATTR_FIELD_CALLBACK | UCP_OP_ATTR_FIELD_USER_DATA;
  params.cb.send = flush_ended;
  params.user_data = flush.get();
  ucs_status_ptr_t request = functions_.ep_flush_nbx(endpoint_, &params);
  if (UCS_PTR_IS_PTR(request))
    static_cast<void>(flush.release());  // flush_ended() takes it
  else
    worker_.deliver(std::move(flush->flushed));
}

void Endpoint::flush_ended(void* request, ucs_status_t /*status*/,
                           void* flush) noexcept {
  const std::unique_ptr<Flush> ended(static_cast<Flush*>(flush));
  ended->endpoint->functions_.request_free(request);
  ended->endpoint->worker_.deliver(std::move(ended->flushed));
}

void Endpoint::failed(void* self, ucp_ep_h /*endpoint*/, ucs_status_t status) noexcept {
  static_cast<Endpoint*>(self)->fail(status);
}

void Endpoint::fail(ucs_status_t status) {
  if (!may_post()) return;
  failure_ = functions_.status_string(status);
  worker_.deliver([use = Use(*this)] {
    if (const auto on_failed = std::exchange(use->on_failed_, nullptr))
      on_failed(use->failure_);
  });
}

std::string Endpoint::lanes() const {
  std::array<ucp_transport_entry_t, 16> entries{};
  ucp_ep_attr_t attributes{};
  attributes.field_mask = UCP_EP_ATTR_FIELD_TRANSPORTS;
  attributes.transports.entries = entries.data();
  attributes.transports.num_entries = entries.size();
  attributes.transports.entry_size = sizeof(entries[0]);
  if (functions_.ep_query(endpoint_, &attributes) != UCS_OK) return {};
  std::string text;
  for (unsigned i = 0; i < attributes.transports.num_entries; ++i) {
    if (!text.empty()) text += ' ';
    text.append(entries[i].transport_name).append("/").append(entries[i].device_name);
  }
  return text;
}

void Endpoint::close() {
  is_closed_ = true;
  is_closing_ = true;
  on_failed_ = nullptr;
  if (uses_ == 0) keys_.clear();  // else with the endpoint: requests may refer to them
  ucp_request_param_t params{};
  params.op_attr_mask = UCP_OP_ATTR_FIELD_CALLBACK | UCP_OP_ATTR_FIELD_USER_DATA |
                        UCP_OP_ATTR_FIELD_FLAGS;
  params.cb.send = close_ended;
  params.user_data = this;
  params.flags = UCP_EP_CLOSE_FLAG_FORCE;
  ucs_status_ptr_t request = functions_.ep_close_nbx(endpoint_, &params);
  if (UCS_PTR_IS_PTR(request)) return;
  is_closing_ = false;
  if (UCS_PTR_IS_ERR(request))
    base::log_warning(std::string("UCX cannot close an endpoint: ") +
                      functions_.status_string(UCS_PTR_STATUS(request)));
}

void Endpoint::close_ended(void* request, ucs_status_t /*status*/,
                           void* self) noexcept {
  auto& endpoint = *static_cast<Endpoint*>(self);
  endpoint.functions_.request_free(request);
  endpoint.is_closing_ = false;
}

}  // namespace nixl_connect::paths::ucx
