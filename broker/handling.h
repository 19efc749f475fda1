// What every handler does first and last: it reads the body of the request and writes the answer, aside if they are large.
//
//   auto request = parse_inline<MetadataRequest>(call);
//   if (call.is_large) request = co_await parse_large<MetadataRequest>(broker, call);
//   …
//   co_return co_await answer_with(broker, call, response, request);
#pragma once

#include "broker/broker.h"

namespace kurier::broker {

// Runs `work` here, or aside if it is large: `co_await aside(broker, is_large, [&] { … })`.
template <class Work>
Aside<Work> aside(Broker& broker, bool is_large, Work work) {
  return {is_large ? &broker.large_requests().pool() : nullptr, broker.executor(), std::move(work)};
}

inline Turns turns_of(Broker& broker) { return Turns(broker.executor()); }

// Of a large request nothing but that it is one.
template <class Message>
Result<Message> parse_inline(Call& call) {
  return parse_body<Message>(call.request, kElementsInline, &call.is_large);
}

// The frame goes at once where nothing views it.
template <class Message, bool kKeepsFrame = false>
Task<Result<Message>> parse_large(Broker& broker, Call& call) {
  call.ticket = co_await broker.large_requests().admit(broker.executor());
  co_return co_await aside(broker, true, [&call] {
    auto request = parse_body<Message>(call.request, kElementsMax);
    if (!kKeepsFrame) call.frame = {};
    return request;
  });
}

// The connection is closed: the answer would be made of more than kAnswerElementsMax.
inline Error answer_too_large() {
  return {Failure::kExhausted, "an answer of more than " + std::to_string(kAnswerElementsMax) + " elements"};
}

// Destroys what a large request has made, which takes as long as making it.
template <class... Made>
auto end(Broker& broker, const Call& call, Made&... made) {
  return aside(broker, call.is_large, [&... made = made] {
    ([](auto& one) { const auto ended = std::move(one); }(made), ...);
    return true;
  });
}

// The frame of the answer. `done_with` is what else the request has made: it is destroyed where the answer is written.
template <class Message, class... Others>
auto answer_with(Broker& broker, Call& call, Message& message, Others&... done_with) {
  return aside(broker, call.is_large, [&call, &message, &... done_with = done_with] {
    const auto end = [](auto& one) { const auto ended = std::move(one); };
    (end(done_with), ...);
    end(call.frame);
    net::Reply reply = respond(call, message);
    end(message);
    return reply;
  });
}

}  // namespace kurier::broker
