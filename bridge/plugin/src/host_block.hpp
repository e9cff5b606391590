// What the format's own entry (vst3.cpp, clap.cpp) knows of the block at hand and DPF does not pass
// on: whether this is an offline render, and the host's busses as they are.
#pragma once

#include <algorithm>
#include <cstdint>

#include "ring.hpp"

namespace stemd {

// Silence for what the host did not connect, and a place to write what it does not want.
constexpr uint32_t kSpareFrames = 8192;
struct Spare {
    float silence[kSpareFrames] = {};
    float waste[kSpareFrames] = {};
};

struct HostBlock {
    Spare& spare;
    bool offline = false;
    const float* in[kInputs] = {};  // nullptr: not connected
    float* out[kOutputs] = {};
    uint32_t frames = 0;

    // process(in, out, frames), in pieces that what there is to spare suffices for.
    template <class Process>
    void in_pieces(Process process) const {
        for (uint32_t done = 0; done < frames;) {
            const uint32_t count = std::min(frames - done, kSpareFrames);
            const float* from[kInputs];
            float* to[kOutputs];
            for (uint32_t c = 0; c < kInputs; ++c) from[c] = in[c] ? in[c] + done : spare.silence;
            for (uint32_t c = 0; c < kOutputs; ++c) to[c] = out[c] ? out[c] + done : spare.waste;
            process(from, to, count);
            done += count;
        }
    }
};

// Of the thread that is inside the host's process call; nullptr when the format says nothing (LV2).
// Initial-exec: the general way may allocate on a thread's first look.
extern thread_local const HostBlock* host_block
    __attribute__((tls_model("initial-exec"), visibility("hidden")));

}  // namespace stemd
