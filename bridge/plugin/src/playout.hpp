// A receiver's audio thread: what waits in the ring, from its start behind the newest frame on.
#pragma once

#include <array>
#include <memory>

#include "gains.hpp"
#include "reception.hpp"

namespace stemd {

class Playout {
public:
    // Not while `process` runs.
    void activate(std::shared_ptr<Reception> reception, const StemGains& gains);
    void deactivate() { reception_.reset(); }

    // Any number of frames; silence where there is nothing.
    void process(float* const out[kOutputs], uint32_t frames, const StemGains& gains,
                 uint64_t now_ns);

private:
    void bend(const std::array<float, kOutputs>& heard);

    std::shared_ptr<Reception> reception_;
    uint64_t at_ = 0;       // position of the next frame
    bool running_ = false;  // else: waiting until enough is there
    bool began_ = false;    // it ran before: silence is a loss from now on
    bool had_ = false;      // the last frame was a real one
    // A step from one frame to the next that the music did not make fades out over 10 ms.
    float fade_ = 0.f, fade_step_ = 0.f;
    std::array<float, kOutputs> bend_{}, last_{};
    Gains gains_;
};

}  // namespace stemd
