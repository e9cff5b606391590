// What the format's own entry (vst3.cpp, clap.cpp) knows of the block at hand and DPF does not pass
// on: whether this is an offline render, and the host's busses as they are.
#pragma once

#include <cstdint>

#include "ring.hpp"

namespace stemd {

struct HostBlock {
    bool offline = false;
    const float* in[kInputs] = {};
    float* out[kOutputs] = {};
    uint32_t frames = 0;
};

// Of the thread that is inside the host's process call; nullptr when the format says nothing (LV2).
// Initial-exec: the general way may allocate on a thread's first look.
extern thread_local const HostBlock* host_block
    __attribute__((tls_model("initial-exec"), visibility("hidden")));

// Silence for what the host did not connect, and a place to write what it does not want.
constexpr uint32_t kSpareFrames = 8192;
struct Spare {
    float silence[kSpareFrames] = {};
    float waste[kSpareFrames] = {};
};

}  // namespace stemd
