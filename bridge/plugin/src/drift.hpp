// Two clocks that never agree: how much faster or slower a stream must be played so that what waits
// for the player stays what it is.
//
// The fill is measured when a block arrives, against where the player is by then. A second-order
// loop as in F. Adriaensen, "Controlling adaptive resampling", LAC 2012: the integral finds the
// difference of the clocks, the proportional part keeps the fill. Deviation: the first second
// chooses the fill to be kept, so that nothing glides at the start.
#pragma once

#include <algorithm>

namespace stemd {

constexpr double kMaxDrift = 3000e-6;  // crystals differ by 100 ppm; beyond this pitch is heard

class Drift {
public:
    // Hz of the player; frames that should wait, and by how many the start may miss them.
    Drift(double rate, double target, double tolerance)
        : rate_(rate), target_(target), tolerance_(tolerance) {}

    // The stream began anew: what is known of the clocks stays.
    void restart() {
        seen_s_ = mean_ = 0;
        smooth_ = 0;
    }

    // Frames that wait now; seconds the block stands for. Returns what to multiply the nominal
    // ratio (player's rate over stream's) with.
    double update(double fill, double elapsed_s) {
        if (seen_s_ < kSettle_s) {
            mean_ += (fill - mean_) * std::min(1.0, elapsed_s / (seen_s_ + elapsed_s));
            seen_s_ += elapsed_s;
            keep_ = std::clamp(mean_, target_ - tolerance_, target_ + tolerance_);
            return 1 + integral_;
        }
        smooth_ += std::min(1.0, elapsed_s / kSmooth_s) * (fill - keep_ - smooth_);
        const double error_s = smooth_ / rate_;
        integral_ = std::clamp(integral_ - kOmega * kOmega * error_s * elapsed_s, -kMaxDrift,
                               kMaxDrift);
        return 1 + std::clamp(integral_ - 2 * kOmega * error_s, -kMaxDrift, kMaxDrift);
    }

    double difference() const { return integral_; }  // as a share: 1e-6 is 1 ppm

private:
    static constexpr double kSettle_s = 1.0;
    static constexpr double kSmooth_s = 1.0;  // of the fill: blocks arrive when the network likes
    static constexpr double kOmega = 0.12;    // rad/s; slow enough that no ear hears it steer

    const double rate_, target_, tolerance_;
    double seen_s_ = 0, mean_ = 0, keep_ = 0;
    double smooth_ = 0, integral_ = 0;
};

}  // namespace stemd
