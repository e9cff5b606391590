// What happens in the audio thread: input up, stems down, and something sensible when they are not
// there.
#pragma once

#include <array>
#include <memory>
#include <vector>

#include "gains.hpp"
#include "session.hpp"

namespace stemd {

struct Controls {
    bool offline = false;
    bool dry_when_away = true;  // else silence
    StemGains gain{1.f, 1.f, 1.f, 1.f};
};

class Engine {
public:
    // Not while `process` runs.
    void activate(std::shared_ptr<Session> session, const Controls& controls);
    void deactivate() { session_.reset(); }
    bool active() const { return session_ != nullptr; }

    // Any number of frames; `out` may be `in`. Without a session: the input, undelayed, on other.
    void process(const float* const in[kInputs], float* const out[kOutputs], uint32_t frames,
                 const Controls& controls);

private:
    void block(const float* const in[kInputs], float* const out[kOutputs], uint32_t frames,
               const Controls& controls);
    bool push(uint32_t frames);
    void fetch(uint64_t until);
    template <class Ready>
    bool wait(Ready ready);
    void play(float* const out[kOutputs], uint32_t frames, const Controls& controls);

    std::shared_ptr<Session> session_;
    uint64_t now_ = 0;  // position of the next input frame

    uint32_t chunk_ = UINT32_MAX;      // frames at a time; with a session what scratch has room for
    std::vector<float> left_, right_;  // the block at hand, without NaN
    std::vector<float> delay_;         // input, interleaved, found by position
    uint64_t delay_mask_ = 0;

    bool patient_ = true;        // offline: the circuit breaker, closed
    uint64_t flow_seen_ = 0;     // of the session, when it opened
    double connect_budget_ = 0;  // s, what is left of it

    // Stems weigh `mix_`, what replaces them the rest; `bend_` bridges the step into a gap and
    // fades.
    float mix_ = 1.f, mix_step_ = 0.f;
    float fade_ = 0.f;
    std::array<float, kOutputs> bend_{}, last_{};
    Gains gains_;
};

}  // namespace stemd
