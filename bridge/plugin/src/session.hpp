// One activation of one instance: what the audio thread and the network thread share. It is made on
// activate, given to the network thread, and lives until both have let go of it.
#pragma once

#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <mutex>

#include "link.hpp"
#include "ring.hpp"

namespace stemd {

struct Session {
    Session(uint32_t epoch, uint32_t rate, uint32_t max_block, uint32_t latency, int wake_fd)
        : epoch(epoch),
          rate(rate),
          max_block(max_block),
          latency(latency),
          largest(max_block),
          // A quarter of a second of input, so that a pause of the network thread loses nothing. Not
          // more: every page and line of it passes through the audio thread's caches. But never less
          // than the latency: what is older is stale, and a ring full of what is not takes no new.
          up(std::max(uint64_t(rate) / 4, uint64_t(latency)) + 4 * uint64_t(max_block)),
          // Stems may be ahead of the play head by everything that is on its way: L and one block,
          // and what a message holds at most.
          down(uint64_t(latency) + 2 * uint64_t(max_block) + 8192),
          wake_fd(wake_fd) {}

    const uint32_t epoch;
    const uint32_t rate;       // Hz
    const uint32_t max_block;  // frames
    const uint32_t latency;    // frames, what the host was told

    // Frames of the largest block that came: LV2 hosts may let them grow under a running instance.
    std::atomic<uint32_t> largest;

    UpRing up;
    DownRing down;

    std::atomic<bool> offline{false};
    std::atomic<Link> link{Link::searching};
    std::atomic<bool> welcomed{false};
    std::atomic<uint32_t> algorithmic{0};  // frames, from WELCOME
    std::atomic<uint32_t> minimum{0};      // frames, from WELCOME
    std::atomic<int> profile{0};           // likewise; see link.hpp
    std::atomic<uint64_t> flow{0};         // rises whenever the daemon was of use

    // Frames of latency that blocks as they come need in real time; 0 before WELCOME.
    uint32_t needed() const {
        const uint32_t told = minimum;
        return told ? told + largest.load(std::memory_order_relaxed) - max_block : 0;
    }

    std::atomic<uint64_t> underrun{0};   // frames that were not there when they had to be heard
    std::atomic<uint64_t> dropped{0};    // frames of input that never got to the daemon
    std::atomic<uint64_t> timeouts{0};   // times an offline render gave up waiting
    std::atomic<uint64_t> malformed{0};  // messages that were not what they should be

    // The audio thread has pushed a block, and the next will come at `next_ns`. In real time the
    // network thread looks by itself then: a system call that wakes it is made only when it has
    // given up (or offline, where the host waits for it).
    void pushed(uint64_t next_ns) {
        next_ns_.store(next_ns, std::memory_order_relaxed);
        if (!asleep_.exchange(false) && !offline.load(std::memory_order_relaxed)) return;
        const uint64_t one = 1;  // a full counter is as good as a written one: nothing to check
        if (wake_fd >= 0) (void)!write(wake_fd, &one, sizeof one);
    }

    // When the network thread has to look for blocks again, having found none; 0: it will be woken.
    uint64_t look_at(uint64_t now) {
        if (asleep_.load(std::memory_order_relaxed)) return 0;
        const uint64_t next = next_ns_.load(std::memory_order_relaxed);
        if (now < next) return next + kSettle_ns;
        if (now < next + kPatience_ns) return now + kAgain_ns;
        asleep_.exchange(true);  // a block pushed before this is seen now, one after it wakes
        return up.peek() ? now : 0;
    }

    // Called by the network thread; only offline renders ever listen.
    void announce() {
        { const std::lock_guard<std::mutex> hold(mutex_); }
        changed_.notify_all();
    }

    // Waits until something is announced, at most `most`. Offline only.
    template <class Ready>
    bool wait(std::chrono::steady_clock::time_point until, Ready ready) {
        std::unique_lock<std::mutex> hold(mutex_);
        return changed_.wait_until(hold, until, ready);
    }

private:
    static constexpr uint64_t kSettle_ns = 150'000;       // what a block comes later than it should
    static constexpr uint64_t kAgain_ns = 350'000;
    static constexpr uint64_t kPatience_ns = 50'000'000;  // after which the host has stopped

    const int wake_fd;
    std::atomic<uint64_t> next_ns_{0};
    std::atomic<bool> asleep_{true};
    std::mutex mutex_;
    std::condition_variable changed_;
};

}  // namespace stemd
