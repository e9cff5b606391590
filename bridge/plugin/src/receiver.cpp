#include "receiver.hpp"

#include <chrono>
#include <cmath>

namespace stemd {

namespace {

// Without a wish: a hop, which comes at once, and what a publisher in Python is late now and then
// (p99.9 of device to subscriber minus p50 in README.md is 13 ms).
constexpr double kMargin_s = 0.020;
constexpr double kUnknownHop_s = 0.0107;  // the longest of a released profile
constexpr double kMaxBuffer_s = 2.0;
constexpr double kDiscoveryRate = 48000;  // discovery files count at 44.1 or 48 kHz

}  // namespace

uint32_t plan_buffer(double asked_ms, double rate, uint32_t max_block, const Discovered& found) {
    double wait_s = found.hop ? found.hop / kDiscoveryRate + kMargin_s : kUnknownHop_s + kMargin_s;
    if (asked_ms > 0) wait_s = std::min(asked_ms / 1000, kMaxBuffer_s);
    return uint32_t(std::lround(wait_s * rate)) + max_block;
}

Receiver::Receiver() : number_(random_number()) {}

Receiver::~Receiver() {
    deactivate();
    if (network_) network_->forget(number_);
}

void Receiver::activate(double rate, uint32_t max_block, double buffer_ms,
                        const StemGains& gains) {
    deactivate();
    const uint32_t target =
        plan_buffer(buffer_ms, rate, max_block, discover_stream(settings_->session));
    if (!network_) network_ = Network::acquire();
    reception_ = std::make_shared<Reception>(uint32_t(std::lround(rate)), max_block, target);
    playout_.activate(reception_, gains);
    if (!network_) {
        reception_->link = Link::no_descriptors;
        return;
    }
    network_->attach(
        number_,
        [number = number_, settings = settings_](void* context) {
            return std::make_unique<Subscriber>(context, number, settings);
        },
        [reception = reception_](Peer& peer) {
            static_cast<Subscriber&>(peer).attach(reception);
        });
}

void Receiver::deactivate() {
    if (!reception_) return;
    playout_.deactivate();
    reception_.reset();
    if (network_) network_->detach(number_);
}

void Receiver::process(float* const out[kOutputs], uint32_t frames, const StemGains& gains) {
    using namespace std::chrono;
    const auto now = steady_clock::now().time_since_epoch();
    playout_.process(out, frames, gains, uint64_t(duration_cast<nanoseconds>(now).count()));
}

}  // namespace stemd
