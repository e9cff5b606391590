#include "engine.hpp"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstring>

namespace stemd {

namespace {

using Clock = std::chrono::steady_clock;
using Seconds = std::chrono::duration<double>;

constexpr uint32_t kChunk = 4096;         // frames at a time at most, so that scratch has a size
constexpr double kFade_s = 0.010;         // between stems and what replaces them
constexpr double kDeadline_s = 2.0;       // offline, without any progress
constexpr double kConnectBudget_s = 1.0;  // offline, for a daemon to answer, once per activation
constexpr uint32_t kOther = 3;            // the stem that carries the dry signal

uint64_t monotonic_ns() {
    return uint64_t(
        std::chrono::duration_cast<std::chrono::nanoseconds>(Clock::now().time_since_epoch())
            .count());
}

}  // namespace

void Engine::activate(std::shared_ptr<Session> session, const Controls& controls) {
    session_ = std::move(session);
    now_ = 0;
    chunk_ = std::clamp<uint32_t>(session_->max_block, 1, kChunk);
    left_.assign(chunk_, 0.f);
    right_.assign(chunk_, 0.f);
    const uint64_t size = power_of_two(uint64_t(session_->latency) + chunk_);
    delay_.assign(size * kInputs, 0.f);
    delay_mask_ = size - 1;
    patient_ = true;
    flow_seen_ = 0;
    connect_budget_ = kConnectBudget_s;
    mix_ = 1.f;
    mix_step_ = float(1.0 / (kFade_s * session_->rate));
    fade_ = 0.f;
    bend_.fill(0.f);
    last_.fill(0.f);
    gains_.start(session_->rate, controls.gain);
}

void Engine::process(const float* const in[kInputs], float* const out[kOutputs], uint32_t frames,
                     const Controls& controls) {
    if (session_ && frames > session_->largest.load(std::memory_order_relaxed))
        session_->largest.store(frames, std::memory_order_relaxed);
    for (uint32_t done = 0; done < frames;) {
        const uint32_t count = std::min(frames - done, chunk_);
        const float* const from[kInputs] = {in[0] + done, in[1] + done};
        float* to[kOutputs];
        for (uint32_t c = 0; c < kOutputs; ++c) to[c] = out[c] + done;
        block(from, to, count, controls);
        done += count;
    }
}

void Engine::block(const float* const in[kInputs], float* const out[kOutputs], uint32_t frames,
                   const Controls& controls) {
    // Outputs may be the inputs' memory: the input is read completely before anything is written.
    const auto clean = [](float x) { return std::isfinite(x) ? x : 0.f; };
    if (!session_) {
        for (uint32_t n = 0; n < frames; ++n) {
            const float dry[kInputs] = {in[0][n], in[1][n]};
            for (uint32_t c = 0; c < kOutputs; ++c) out[c][n] = 0.f;
            for (uint32_t c = 0; c < kInputs; ++c) out[kInputs * kOther + c][n] = dry[c];
        }
        return;
    }
    for (uint32_t n = 0; n < frames; ++n) {
        left_[n] = clean(in[0][n]);
        right_[n] = clean(in[1][n]);
        float* slot = &delay_[((now_ + n) & delay_mask_) * kInputs];
        slot[0] = left_[n];
        slot[1] = right_[n];
    }
    session_->offline.store(controls.offline, std::memory_order_relaxed);
    if (!push(frames) && session_->welcomed.load(std::memory_order_relaxed))
        session_->dropped.fetch_add(frames, std::memory_order_relaxed);
    session_->pushed(monotonic_ns() + uint64_t(1e9 * frames / session_->rate));
    const uint64_t heard = now_ + frames;  // everything the host wants by now, plus L
    if (controls.offline && heard > session_->latency) fetch(heard - session_->latency);
    play(out, frames, controls);
    now_ = heard;
}

bool Engine::push(uint32_t frames) {
    const Record record{now_, frames, 0, monotonic_ns()};
    UpRing& up = session_->up;
    if (!up.has_room(frames) && session_->offline.load(std::memory_order_relaxed))
        wait([&] { return up.has_room(frames); });
    return up.push(record, left_.data(), right_.data());
}

void Engine::fetch(uint64_t until) {
    wait([&] { return session_->down.until() >= until; });
}

// Offline only. Waits as long as there is progress; after a wait in vain it does not wait again
// until the daemon has been of use.
template <class Ready>
bool Engine::wait(Ready ready) {
    if (ready()) return true;
    Session& session = *session_;
    if (!patient_ && session.flow.load(std::memory_order_acquire) == flow_seen_) return false;
    patient_ = true;
    for (auto start = Clock::now();;) {
        const Link link = session.link.load(std::memory_order_acquire);
        const bool connected = link == Link::connected;
        if (!connected && link != Link::searching) return false;  // it will not get better by itself
        const uint64_t flow = session.flow.load(std::memory_order_acquire);
        const double patience = connected ? kDeadline_s : connect_budget_;
        const auto news = [&] {
            return ready() || session.flow.load(std::memory_order_acquire) != flow ||
                   session.link.load(std::memory_order_acquire) != link;
        };
        const auto deadline = start + std::chrono::duration_cast<Clock::duration>(Seconds(patience));
        const bool told = session.wait(deadline, news);
        const double waited = Seconds(Clock::now() - start).count();
        if (!connected) connect_budget_ = std::max(0.0, connect_budget_ - waited);
        if (ready()) return true;
        if (!told) {
            patient_ = false;
            flow_seen_ = session.flow.load(std::memory_order_acquire);
            session.timeouts.fetch_add(1, std::memory_order_relaxed);
            return false;
        }
        start = Clock::now();
    }
}

void Engine::play(float* const out[kOutputs], uint32_t frames, const Controls& controls) {
    const uint64_t latency = session_->latency;
    const uint64_t lead = now_ < latency ? std::min<uint64_t>(frames, latency - now_) : 0;
    const uint64_t first = now_ + lead - latency;  // content of the first frame that has any
    const auto run = session_->down.run(first, uint32_t(frames - lead));
    uint64_t missing = 0;
    for (uint32_t n = 0; n < frames; ++n) {
        std::array<float, kOutputs> heard{};
        if (n >= lead) {
            const uint64_t position = now_ + n - latency;
            if (controls.dry_when_away) {
                const float* dry = &delay_[(position & delay_mask_) * kInputs];
                for (uint32_t c = 0; c < kInputs; ++c) heard[kInputs * kOther + c] = dry[c];
            }
            if (position >= run.first && position < run.last) {
                const float* stems = session_->down.frame(position);
                mix_ = std::min(1.f, mix_ + mix_step_);
                for (uint32_t c = 0; c < kOutputs; ++c)
                    heard[c] = mix_ == 1.f ? stems[c] : heard[c] + mix_ * (stems[c] - heard[c]);
            } else {
                ++missing;
                if (mix_ > 0.f) {
                    // The step from the last frame into the gap fades out over it. Of the dry
                    // signal nothing may be added or lost: other takes what the three bend away.
                    mix_ = 0.f;
                    fade_ = 1.f;
                    for (uint32_t c = 0; c < kOutputs; ++c) bend_[c] = last_[c] - heard[c];
                    for (uint32_t c = 0; controls.dry_when_away && c < kInputs; ++c)
                        bend_[kInputs * kOther + c] =
                            -(bend_[c] + bend_[kInputs + c] + bend_[2 * kInputs + c]);
                }
            }
            if (fade_ > 0.f) {
                fade_ = std::max(0.f, fade_ - mix_step_);
                for (uint32_t c = 0; c < kOutputs; ++c) heard[c] += fade_ * bend_[c];
            }
        }
        last_ = heard;
        for (uint32_t s = 0; s < kStems; ++s) {
            const float gain = gains_.step(s, controls.gain);
            for (uint32_t c = 0; c < kInputs; ++c)
                out[kInputs * s + c][n] = gain * heard[kInputs * s + c];
        }
    }
    if (missing) session_->underrun.fetch_add(missing, std::memory_order_relaxed);
    if (now_ + frames > latency) session_->down.release(now_ + frames - latency);
}

}  // namespace stemd
