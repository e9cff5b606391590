// Levels of the four stems that move without a click.
#pragma once

#include <array>
#include <cmath>

#include "ring.hpp"

namespace stemd {

using StemGains = std::array<float, kStems>;  // linear

class Gains {
public:
    void start(double rate, const StemGains& gains) {
        now_ = gains;
        step_ = float(1.0 - std::exp(-1.0 / (kTime_s * rate)));
    }

    // One frame further towards `wanted`, of stem s.
    float step(uint32_t s, const StemGains& wanted) {
        const float away = wanted[s] - now_[s];
        // Equal in the end, so that unity is exactly unity; a float would stop short of it.
        return now_[s] = std::fabs(away) < kNear ? wanted[s] : now_[s] + step_ * away;
    }

private:
    static constexpr double kTime_s = 0.005;
    static constexpr float kNear = 1e-3f;  // 0.01 dB: where a gain has arrived
    StemGains now_{};
    float step_ = 0.f;
};

}  // namespace stemd
