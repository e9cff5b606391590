// One receiver as the network sees it: a SUB socket, and what comes in brought to the host's clock.
// Lives in the network thread.
#pragma once

#include <samplerate.h>

#include <memory>
#include <string>
#include <vector>

#include "drift.hpp"
#include "endpoint.hpp"
#include "network.hpp"
#include "reception.hpp"
#include "stream.hpp"

namespace stemd {

struct ReceiverSettings : Settings {
    std::atomic<int> feed{0};  // place in the daemon's list
    std::atomic<int> stem{0};  // 0 all on four outputs; 1 … 4 one of them, 5 the mix, on the first
};

// Blocks of a stream in, frames of the host's clock out, into a reception's ring.
class Resampling {
public:
    explicit Resampling(std::shared_ptr<Reception> reception);
    ~Resampling();
    Resampling(const Resampling&) = delete;
    Resampling& operator=(const Resampling&) = delete;

    // (c, n) float32 planar, 2 or 8 channels; arrived at `now_ns`.
    void block(const stream::Header& header, const uint8_t* planar, uint64_t now_ns);

private:
    void silence(uint32_t frames, double ratio);
    void convert(uint32_t frames, double ratio);
    double correction(const stream::Header& header, uint64_t now_ns);

    const std::shared_ptr<Reception> reception_;
    SRC_STATE* const resampler_;
    std::unique_ptr<Drift> drift_;
    uint64_t head_ = 0;  // frames written since activation
    uint64_t restarts_ = 0;
    uint64_t session_ = 0, next_pos_ = 0;
    uint32_t rate_ = 0;  // Hz, the stream's; 0: nothing came yet
    std::vector<float> in_, out_;
};

class Subscriber : public Peer {
public:
    Subscriber(void* context, uint64_t instance, std::shared_ptr<ReceiverSettings> settings);
    ~Subscriber() override;

    uint64_t instance() const override { return instance_; }
    void attach(std::shared_ptr<Reception> reception);
    void detach() override;
    void service(uint64_t now_ns) override;
    void* socket() const override { return socket_; }

private:
    void aim(uint64_t now_ns);
    bool open(const Endpoint& endpoint);
    void close();
    void choose();
    void receive(uint64_t now_ns);
    void welcome(const void* text, size_t size);
    void audio(const void* header, size_t header_size, const void* payload, size_t size,
               uint64_t now_ns);

    void* const context_;
    const uint64_t instance_;
    const std::shared_ptr<ReceiverSettings> settings_;
    std::shared_ptr<Reception> reception_;
    std::unique_ptr<Resampling> resampling_;

    void* socket_ = nullptr;
    Endpoint endpoint_;
    uint64_t aim_at_ = 0, heard_at_ = 0;
    int aimed_session_ = -1;
    std::string aimed_text_;
    stream::Welcome welcome_;
    std::string topic_;  // what we subscribed to; empty: nothing yet
};

}  // namespace stemd
