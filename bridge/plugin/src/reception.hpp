// One activation of one receiver: what the audio thread and the network thread share. Positions
// count frames at the host's rate, from activation on; the writer's run on when nobody reads.
#pragma once

#include <atomic>
#include <cstdint>

#include "link.hpp"
#include "ring.hpp"

namespace stemd {

struct Reception {
    Reception(uint32_t rate, uint32_t max_block, uint32_t target)
        : rate(rate),
          max_block(max_block),
          target(target),
          ring(2 * uint64_t(target) + max_block + rate / 2) {}

    const uint32_t rate;       // Hz, the host's
    const uint32_t max_block;  // frames
    const uint32_t target;     // frames that should wait

    DownRing ring;
    std::atomic<uint64_t> head{0};  // behind the newest frame, also when it did not fit

    std::atomic<Link> link{Link::searching};
    std::atomic<int> profile{0};
    std::atomic<float> latency_s{0};  // of the daemon, input to what it publishes
    std::atomic<float> ppm{0};        // by how much the host's clock is faster than the daemon's

    std::atomic<uint64_t> underrun{0};   // frames that were not there when they had to be heard
    std::atomic<uint64_t> skipped{0};    // frames left out because too many waited
    std::atomic<uint64_t> lost{0};       // frames of the daemon that never came
    std::atomic<uint64_t> malformed{0};  // messages that were not what they should be
    std::atomic<uint64_t> restarts{0};   // times the audio thread began anew behind the head

    // Where the audio thread is, and since when. The writer never waits; a reader who comes between
    // is told so.
    void played(uint64_t position, uint64_t t_ns) {
        const uint64_t turn = turn_.load(std::memory_order_relaxed);
        turn_.store(turn + 1);
        position_.store(position);
        t_ns_.store(t_ns);
        turn_.store(turn + 2);
    }

    bool playing(uint64_t& position, uint64_t& t_ns) const {
        const uint64_t turn = turn_.load();
        position = position_.load();
        t_ns = t_ns_.load();
        return turn % 2 == 0 && turn != 0 && turn_.load() == turn;
    }

private:
    std::atomic<uint64_t> turn_{0}, position_{0}, t_ns_{0};
};

}  // namespace stemd
