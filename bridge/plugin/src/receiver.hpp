// One receiver without any plugin format around it: what the shell and the tests drive.
#pragma once

#include <memory>

#include "playout.hpp"
#include "subscriber.hpp"

namespace stemd {

class Receiver {
public:
    Receiver();
    ~Receiver();
    Receiver(const Receiver&) = delete;
    Receiver& operator=(const Receiver&) = delete;

    // Main thread, not while process runs. Nothing touches the network before the first activate.
    // `buffer_ms` 0: automatic.
    void activate(double rate, uint32_t max_block, double buffer_ms, const StemGains& gains);
    void deactivate();
    void process(float* const out[kOutputs], uint32_t frames, const StemGains& gains);

    ReceiverSettings& settings() { return *settings_; }
    const Reception* reception() const { return reception_.get(); }

private:
    const uint64_t number_;
    std::shared_ptr<ReceiverSettings> settings_ = std::make_shared<ReceiverSettings>();
    std::shared_ptr<Network> network_;
    std::shared_ptr<Reception> reception_;
    Playout playout_;
};

// Frames that should wait: what the network and the daemon's rhythm need, and the host's block.
uint32_t plan_buffer(double asked_ms, double rate, uint32_t max_block, const Discovered& found);

}  // namespace stemd
