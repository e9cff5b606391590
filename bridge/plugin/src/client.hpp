// One instance as the daemon sees it: the state machine around one DEALER socket. Lives in the
// network thread.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "endpoint.hpp"
#include "network.hpp"
#include "session.hpp"
#include "wire.hpp"

namespace stemd {

class Client : public Peer {
public:
    Client(void* context, uint64_t instance, std::shared_ptr<Settings> settings);
    ~Client() override;
    Client(const Client&) = delete;
    Client& operator=(const Client&) = delete;

    uint64_t instance() const override { return instance_; }
    void attach(std::shared_ptr<Session> session);
    void detach() override;  // says BYE

    void service(uint64_t now_ns) override;
    uint64_t due(uint64_t now_ns) override { return session_ ? session_->look_at(now_ns) : 0; }

    // Nobody reads it while there is no session: what waits in it would wake us again and again.
    void* socket() const override { return session_ ? socket_ : nullptr; }
    bool wants_to_send() const override { return blocked_; }

private:
    enum class State { idle, greeting, running, refused };

    void aim(uint64_t now_ns);  // at the endpoint that is right now
    bool open(const Endpoint& endpoint);
    void close();
    void receive(uint64_t now_ns);
    void understand(const wire::Header& header, const void* payload, size_t size, uint64_t now_ns);
    void welcome(const void* payload, size_t size);
    void stems(const wire::Header& header, const float* samples);
    void refusal(const std::string& sentence, uint64_t now_ns);
    void greet(uint64_t now_ns);
    void pump(uint64_t now_ns);
    void discard_stale();
    bool send(wire::Header header, const void* payload, size_t size);
    void show(Link link);
    Link verdict() const;

    void* const context_;
    const uint64_t instance_;
    const std::shared_ptr<Settings> settings_;
    std::shared_ptr<Session> session_;

    void* socket_ = nullptr;
    Endpoint endpoint_;
    uint64_t aim_at_ = 0;
    int aimed_session_ = -1;
    std::string aimed_text_;

    State state_ = State::idle;
    bool blocked_ = false;
    uint64_t greet_at_ = 0, heard_at_ = 0, sent_at_ = 0;
    uint64_t sent_until_ = 0;  // position behind the last frame sent in this epoch
    uint64_t got_until_ = 0;   // and behind the last frame of stems, never before what was sent
    bool first_ = true;        // the next AUDIO is the first after a WELCOME
    uint32_t credit_ = 0;
    std::string said_;  // the last refusal, so that it is printed once
    std::vector<float> scratch_;
};

}  // namespace stemd
