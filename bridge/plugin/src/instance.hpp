// One plugin instance without any plugin format around it: what the shell, the tests and the
// benchmark drive.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "endpoint.hpp"
#include "engine.hpp"
#include "network.hpp"
#include "session.hpp"

namespace stemd {

class Instance {
public:
    Instance();
    ~Instance();
    Instance(const Instance&) = delete;
    Instance& operator=(const Instance&) = delete;

    // Main thread, not while process runs. Nothing touches the network before the first activate.
    void activate(double rate, uint32_t max_block, double latency_ms, const Controls& controls);
    void deactivate();

    void process(const float* const in[kInputs], float* const out[kOutputs], uint32_t frames,
                 const Controls& controls) {
        engine_.process(in, out, frames, controls);
    }

    // Frames activate would choose; what was chosen, while active.
    uint32_t latency(double rate, uint32_t max_block, double latency_ms) const;

    Settings& settings() { return *settings_; }
    const Session* session() const { return session_.get(); }

    // What a daemon asked for, "frames rate block"; saved with the project, so that it opens with
    // the latency it was mixed with although no daemon is there.
    std::string learned() const;
    void set_learned(const std::string& text);

private:
    void learn();

    const uint64_t number_;
    uint32_t epoch_ = 0;
    std::shared_ptr<Settings> settings_ = std::make_shared<Settings>();
    std::shared_ptr<Network> network_;
    std::shared_ptr<Session> session_;
    Engine engine_;
    uint32_t learned_ = 0, learned_rate_ = 0, learned_block_ = 0;
};

}  // namespace stemd
