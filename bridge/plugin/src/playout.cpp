#include "playout.hpp"

#include <algorithm>

namespace stemd {

namespace {

constexpr double kFade_s = 0.010;

}  // namespace

void Playout::activate(std::shared_ptr<Reception> reception, const StemGains& gains) {
    reception_ = std::move(reception);
    at_ = 0;
    running_ = had_ = began_ = false;
    fade_ = 0.f;
    fade_step_ = float(1.0 / (kFade_s * reception_->rate));
    bend_.fill(0.f);
    last_.fill(0.f);
    gains_.start(reception_->rate, gains);
}

void Playout::bend(const std::array<float, kOutputs>& heard) {
    for (uint32_t c = 0; c < kOutputs; ++c) bend_[c] = last_[c] - heard[c];
    fade_ = 1.f;
}

void Playout::process(float* const out[kOutputs], uint32_t frames, const StemGains& gains,
                      uint64_t now_ns) {
    if (!reception_) {
        for (uint32_t c = 0; c < kOutputs; ++c) std::fill(out[c], out[c] + frames, 0.f);
        return;
    }
    Reception& reception = *reception_;
    const uint64_t head = reception.head.load(std::memory_order_acquire);
    const uint64_t target = reception.target;
    bool jumped = false;
    // More than twice the target is latency nobody asked for: the host stood still, or the network
    // did and then delivered everything at once.
    const uint64_t most = 2 * target + frames;
    const bool begin = !running_ && head >= at_ + target;
    if (begin || (running_ && head > at_ + most)) {
        const uint64_t to = head - target;
        if (running_) reception.skipped.fetch_add(to - at_, std::memory_order_relaxed);
        at_ = to;
        running_ = began_ = jumped = true;
        reception.restarts.fetch_add(1, std::memory_order_relaxed);
    }
    const auto run = running_ ? reception.ring.run(at_, frames) : DownRing::Run{at_, at_};
    uint32_t missing = 0;
    for (uint32_t n = 0; n < frames; ++n) {
        std::array<float, kOutputs> heard{};
        const uint64_t position = at_ + n;
        const bool has = position >= run.first && position < run.last;
        if (has) {
            const float* from = reception.ring.frame(position);
            std::copy(from, from + kOutputs, heard.begin());
        }
        missing += began_ && !has;
        if (has != had_ || (jumped && n == 0)) bend(heard);
        had_ = has;
        if (fade_ > 0.f) {
            fade_ = std::max(0.f, fade_ - fade_step_);
            for (uint32_t c = 0; c < kOutputs; ++c) heard[c] += fade_ * bend_[c];
        }
        last_ = heard;
        for (uint32_t s = 0; s < kStems; ++s) {
            const float gain = gains_.step(s, gains);
            for (uint32_t c = 0; c < kInputs; ++c)
                out[kInputs * s + c][n] = gain * heard[kInputs * s + c];
        }
    }
    if (missing) reception.underrun.fetch_add(missing, std::memory_order_relaxed);
    if (!running_) return;
    at_ += frames;
    if (at_ > head) {  // ran dry: fill up before going on
        at_ = head;
        running_ = false;
    }
    reception.ring.release(at_);
    if (running_) reception.played(at_, now_ns);
}

}  // namespace stemd
