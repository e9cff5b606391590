#include "instance.hpp"

#include <cmath>
#include <cstdio>

#include "client.hpp"

namespace stemd {

Instance::Instance() : number_(random_number()) {}

Instance::~Instance() {
    deactivate();
    if (network_) network_->forget(number_);
}

void Instance::activate(double rate, uint32_t max_block, double latency_ms,
                        const Controls& controls) {
    deactivate();
    const uint32_t frames = latency(rate, max_block, latency_ms);
    if (!network_) network_ = Network::acquire();
    session_ = std::make_shared<Session>(++epoch_, uint32_t(std::lround(rate)), max_block, frames,
                                         network_ ? network_->wake_fd() : -1);
    session_->offline = controls.offline;
    if (network_)
        network_->attach(
            number_,
            [number = number_, settings = settings_](void* context) {
                return std::make_unique<Client>(context, number, settings);
            },
            [session = session_](Peer& peer) { static_cast<Client&>(peer).attach(session); });
    else
        session_->link = Link::no_descriptors;
    engine_.activate(session_, controls);
}

void Instance::deactivate() {
    if (!session_) return;
    learn();
    engine_.deactivate();
    session_.reset();
    if (network_) network_->detach(number_);
}

uint32_t Instance::latency(double rate, uint32_t max_block, double latency_ms) const {
    const bool same = learned_rate_ == uint32_t(std::lround(rate)) && learned_block_ == max_block;
    return plan_latency(latency_ms, rate, max_block, same ? learned_ : 0,
                        discover(settings_->session));
}

void Instance::learn() {
    if (!session_ || session_->minimum == 0) return;
    learned_ = session_->minimum;
    learned_rate_ = session_->rate;
    learned_block_ = session_->max_block;
}

std::string Instance::learned() const {
    uint32_t frames = learned_, rate = learned_rate_, block = learned_block_;
    if (session_ && session_->minimum) {
        frames = session_->minimum;
        rate = session_->rate;
        block = session_->max_block;
    }
    if (frames == 0) return "";
    return std::to_string(frames) + " " + std::to_string(rate) + " " + std::to_string(block);
}

void Instance::set_learned(const std::string& text) {
    unsigned frames = 0, rate = 0, block = 0;
    char rest;
    if (std::sscanf(text.c_str(), "%7u %7u %7u%c", &frames, &rate, &block, &rest) != 3) return;
    if (frames > 4 * rate || rate > 384000 || block > 1 << 20) return;
    learned_ = frames;
    learned_rate_ = rate;
    learned_block_ = block;
}

}  // namespace stemd
