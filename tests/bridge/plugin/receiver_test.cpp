// What can be known of stemd Receiver without a daemon, in a time of the test's own. One argument:
// which test.
#include <cmath>
#include <cstring>
#include <fstream>
#include <nlohmann/json.hpp>
#include <random>

#include "check.hpp"
#include "playout.hpp"
#include "receiver.hpp"
#include "stream.hpp"
#include "subscriber.hpp"

namespace {

using namespace stemd;

constexpr StemGains kUnity{1.f, 1.f, 1.f, 1.f};
constexpr double kTone_hz = 997;

// A stage and a host, each with a clock of its own, and what lies between them.
struct Studio {
    double stage_ppm = 0;      // by how much the daemon's clock is faster than the world's
    uint32_t stage_rate = 48000, host_rate = 48000, hop = 256, blocksize = 512;
    double jitter_s = 0.006;   // of what arrives

    std::shared_ptr<Reception> reception;
    std::unique_ptr<Resampling> resampling;
    Playout playout;
    std::mt19937 random{1};
    double arrival_s = 0;
    uint64_t hops = 0, blocks = 0, sample_pos = 0, session = 7;
    bool stage_silent = false, host_still = false;
    std::vector<float> heard;  // vocals L
    double fill_low_s = 1e9, fill_high_s = 0;

    void start() {
        const uint32_t target = plan_buffer(0, host_rate, blocksize, {});
        reception = std::make_shared<Reception>(host_rate, blocksize, target);
        resampling = std::make_unique<Resampling>(reception);
        playout.activate(reception, kUnity);
    }

    double hop_s() const { return hop / (stage_rate * (1 + 1e-6 * stage_ppm)); }
    double block_s() const { return double(blocksize) / host_rate; }

    void arrive(double now_s) {
        if (!stage_silent) {
            stream::Header header;
            header.session = session;
            header.sample_pos = sample_pos;
            header.rate = stage_rate;
            header.frames = hop;
            header.channels = 8;
            header.stem = stream::kAllStems;
            std::vector<float> planar(8 * hop);
            const double w = 2 * M_PI * kTone_hz / stage_rate;
            for (uint32_t n = 0; n < hop; ++n) {
                const auto x = float(0.5 * std::sin(w * double(sample_pos + n)));
                for (uint32_t c = 0; c < 8; ++c) planar[c * hop + n] = x;
            }
            resampling->block(header, reinterpret_cast<const uint8_t*>(planar.data()),
                              uint64_t(1e9 * now_s));
        }
        sample_pos += hop;
        ++hops;
    }

    void play(double now_s) {
        std::vector<float> out[kOutputs];
        float* to[kOutputs];
        for (uint32_t c = 0; c < kOutputs; ++c) {
            out[c].assign(blocksize, 1e30f);
            to[c] = out[c].data();
        }
        if (!host_still) {
            playout.process(to, blocksize, kUnity, uint64_t(1e9 * now_s));
            heard.insert(heard.end(), out[0].begin(), out[0].end());
            for (uint32_t c = 1; c < kOutputs; ++c) CHECK(out[c] == out[0]);
        }
        ++blocks;
    }

    // Until `end_s` of the world's time.
    void run(double end_s) {
        std::uniform_real_distribution<double> late(0, jitter_s);
        while (true) {
            const double due = 1 + double(hops + 1) * hop_s();
            if (arrival_s < due) arrival_s = std::max(arrival_s, due + late(random));
            const double block_due = 1 + double(blocks + 1) * block_s();
            if (std::min(arrival_s, block_due) > 1 + end_s) return;
            if (arrival_s <= block_due)
                arrive(arrival_s);
            else
                play(block_due);
            uint64_t position, t_ns;
            if (arrival_s <= block_due || !reception->playing(position, t_ns)) continue;
            const double fill_s = double(reception->head - position) / host_rate;
            fill_low_s = std::min(fill_low_s, fill_s);
            fill_high_s = std::max(fill_high_s, fill_s);
        }
    }

    // The largest deviation of the last seconds from a pure tone, against its level.
    double impurity(double seconds) const {
        const double w = 2 * M_PI * kTone_hz / host_rate;
        double worst = 0;
        for (size_t n = heard.size() - size_t(seconds * host_rate); n + 1 < heard.size(); ++n)
            worst = std::max(worst, std::fabs(heard[n + 1] + heard[n - 1] -
                                              2 * std::cos(w) * heard[n]));
        return worst / 0.5;
    }
};

void two_clocks_stay_together() {
    struct Case {
        double ppm;
        uint32_t stage_rate, host_rate, blocksize;
    };
    for (const Case& one : {Case{50, 48000, 48000, 64}, Case{1000, 48000, 48000, 1024},
                            Case{-300, 48000, 44100, 512}, Case{150, 44100, 96000, 512}}) {
        Studio studio;
        studio.stage_ppm = one.ppm;
        studio.stage_rate = one.stage_rate;
        studio.host_rate = one.host_rate;
        studio.blocksize = one.blocksize;
        studio.start();
        studio.run(60);
        const Reception& reception = *studio.reception;
        // The stage's clock is faster: the host's is slower.
        // After a minute the loop still has a hundredth of the way to go.
        CHECK(std::fabs(reception.ppm + one.ppm) < 10 + 0.02 * std::fabs(one.ppm));
        CHECK(reception.underrun == 0 && reception.skipped == 0 && reception.lost == 0);
        CHECK(reception.restarts == 1);
        CHECK(studio.fill_low_s > 0 && studio.fill_high_s < 0.060);
        CHECK(studio.impurity(50) < 1e-3);
    }
}

void a_lost_hop_is_silence_of_its_length() {
    Studio studio;
    studio.start();
    studio.run(3);
    studio.sample_pos += studio.hop;  // one that never came
    studio.run(6);
    CHECK(studio.reception->lost == 256);
    CHECK(studio.reception->restarts == 1 && studio.reception->underrun == 0);
}

void a_stage_that_pauses_is_silence_and_comes_back() {
    Studio studio;
    studio.start();
    studio.run(3);
    studio.stage_silent = true;
    studio.run(5);
    CHECK(studio.heard.back() == 0.f);
    studio.stage_silent = false;
    studio.session = 8;  // it was another daemon, and begins where it likes
    studio.sample_pos = 0;
    studio.run(9);
    CHECK(studio.reception->restarts == 2);
    CHECK(studio.reception->underrun > 48000 && studio.reception->underrun < 3 * 48000);
    CHECK(studio.impurity(2) < 1e-3);
    CHECK(studio.fill_high_s < 0.080);
}

void a_host_that_stood_still_hears_nothing_stale() {
    Studio studio;
    studio.start();
    studio.run(3);
    studio.host_still = true;
    studio.run(6);
    studio.host_still = false;
    studio.fill_high_s = 0;
    studio.run(10);
    CHECK(studio.reception->skipped > 2 * 48000);
    CHECK(studio.fill_high_s < 0.080);
    CHECK(studio.impurity(3) < 1e-3);
}

void no_step_is_heard_at_a_hole() {
    Studio studio;
    studio.start();
    studio.run(3);
    studio.stage_silent = true;
    studio.run(3.5);
    studio.stage_silent = false;
    studio.run(5);
    const float slope = 0.5f * float(2 * M_PI * kTone_hz) / 48000.f;  // of the tone itself
    for (size_t n = 1; n < studio.heard.size(); ++n)
        CHECK(std::fabs(studio.heard[n] - studio.heard[n - 1]) < 1.2f * slope);
    CHECK(studio.reception->underrun > 0);
}

void stream_bytes_are_the_golden_ones() {
    std::ifstream file(arguments.at(0));
    const auto golden = nlohmann::json::parse(file);
    CHECK(golden.size() >= 3);
    for (const auto& one : golden) {
        const std::string hex = one["hex"];
        std::vector<uint8_t> bytes(hex.size() / 2);
        for (size_t n = 0; n < bytes.size(); ++n)
            bytes[n] = uint8_t(std::stoi(hex.substr(2 * n, 2), nullptr, 16));
        CHECK(bytes.size() == stream::kHeaderBytes);
        stream::Header header;
        CHECK(stream::unpack(bytes.data(), bytes.size(), header));
        CHECK(header.session == one["session"] && header.sample_pos == one["sample_pos"]);
        CHECK(header.rate == one["rate_nominal"] && header.frames == one["n_frames"]);
        CHECK(header.channels == one["n_channels"] && header.stem == one["stem"]);
        CHECK(header.state == one["state"] && header.flags == one["flags"]);
        CHECK(header.latency == one["latency_frames"]);
        CHECK(header.payload_bytes == one["payload_bytes"]);
        for (size_t at : {0, 1, 2, 3, 4, 6, 66, 67}) {  // magic, major version, length, layout
            auto broken = bytes;
            broken[at] ^= 0x40;
            CHECK(!stream::unpack(broken.data(), broken.size(), header));
        }
        CHECK(!stream::unpack(bytes.data(), bytes.size() - 1, header));
        bytes[5] = 3;  // a later minor version with a longer header
        bytes[6] = 104;
        bytes.resize(104);
        CHECK(stream::unpack(bytes.data(), bytes.size(), header));
    }
}

void any_stream_bytes_are_read_or_refused() {
    std::mt19937 random(4);
    int good = 0;
    for (int n = 0; n < 40'000; ++n) {
        uint8_t bytes[96];
        for (auto& byte : bytes) byte = uint8_t(random());
        std::memcpy(bytes, "STMD\x01\x00\x60\x00", 8);
        bytes[66] = bytes[67] = 1;
        const uint32_t rate = 48000, frames = 1 + random() % 20000, channels = random() % 2 ? 2 : 8;
        const uint32_t size = frames * channels * 4;
        std::memcpy(bytes + 56, &rate, 4);
        std::memcpy(bytes + 60, &frames, 4);
        bytes[64] = uint8_t(channels);
        bytes[65] = 0;
        bytes[31] &= 0x3f;
        if (random() % 2) bytes[68] = 255;
        std::memcpy(bytes + 84, &size, 4);
        if (random() % 2) bytes[random() % 96] ^= uint8_t(1u << random() % 8);
        stream::Header header;
        if (!stream::unpack(bytes, 96, header)) continue;
        ++good;
        CHECK(header.frames <= stream::kMaxFrames && (header.channels == 2 || header.channels == 8));
        CHECK(header.payload_bytes == header.frames * header.channels * 4u);
    }
    CHECK(good > 2000);
    const std::string topic = std::string("stemd/1/w/") + '\0';
    const std::string fine = topic + "{\"feeds\": [\"main\", \"two\"], \"profile\": \"live\"}";
    stream::Welcome welcome;
    CHECK(stream::read_welcome(fine.data(), fine.size(), welcome));
    CHECK(welcome.feeds.size() == 2 && welcome.feeds[1] == "two" && welcome.profile == "live");
    for (const char* bad : {"", "{", "[]", "{}", "{\"feeds\": 1}", "{\"feeds\": []}",
                            "{\"feeds\": [1]}", "null", "{\"feeds\": {\"a\": \"b\"}}"}) {
        const std::string text = topic + bad;
        CHECK(!stream::read_welcome(text.data(), text.size(), welcome));
    }
    const std::string deep = topic + std::string(60000, '[');
    CHECK(!stream::read_welcome(deep.data(), deep.size(), welcome));
    for (int n = 0; n < 10'000; ++n) {
        std::string broken = fine;
        for (unsigned k = random() % 4; k < 4; ++k) broken[random() % broken.size()] = char(random());
        if (stream::read_welcome(broken.data(), broken.size(), welcome))
            CHECK(!welcome.feeds.empty());
    }
}

void a_buffer_is_planned() {
    Discovered none, tight;
    tight.found = true;
    tight.hop = 128;
    CHECK(plan_buffer(100, 48000, 512, none) == 4800 + 512);
    CHECK(plan_buffer(0, 48000, 512, tight) == 128 + 960 + 512);
    CHECK(plan_buffer(0, 96000, 64, tight) == 256 + 1920 + 64);
    CHECK(plan_buffer(0, 48000, 512, none) >= 512 + 960 + 512);
    CHECK(plan_buffer(1e9, 48000, 512, none) == 2 * 48000 + 512);
}

const Tests kTests = {
#define TEST(name) {#name, name}
    TEST(two_clocks_stay_together),
    TEST(a_lost_hop_is_silence_of_its_length),
    TEST(a_stage_that_pauses_is_silence_and_comes_back),
    TEST(a_host_that_stood_still_hears_nothing_stale),
    TEST(no_step_is_heard_at_a_hole),
    TEST(stream_bytes_are_the_golden_ones),
    TEST(any_stream_bytes_are_read_or_refused),
    TEST(a_buffer_is_planned),
};

}  // namespace

int main(int count, char** values) { return run_test(kTests, count, values); }
