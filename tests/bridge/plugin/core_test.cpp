// What can be known of stemd Insert without a daemon. One argument: which test.
#include <sys/stat.h>
#include <unistd.h>

#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <functional>
#include <iterator>
#include <map>
#include <nlohmann/json.hpp>
#include <random>
#include <thread>

#include "check.hpp"
#include "endpoint.hpp"
#include "engine.hpp"
#include "instance.hpp"
#include "ring.hpp"
#include "wire.hpp"

namespace {

using namespace stemd;

// -- rings ----------------------------------------------------------------------------------------

void up_ring_keeps_order_and_samples() {
    UpRing ring(1024);
    std::thread writer([&] {
        std::mt19937 random(1);
        uint64_t position = 0;
        for (int n = 0; n < 20000; ++n) {
            float left[300], right[300];
            const uint32_t frames = 1 + random() % 300;
            for (uint32_t k = 0; k < frames; ++k) {
                left[k] = float((position + k) % 65536);
                right[k] = -left[k];
            }
            while (!ring.push({position, frames, n % 7u, position * 3}, left, right))
                std::this_thread::yield();
            position += frames;
        }
    });
    uint64_t position = 0;
    for (int n = 0; n < 20000; ++n) {
        const Record* record;
        while (!(record = ring.peek())) std::this_thread::yield();
        CHECK(record->position == position && record->flags == n % 7u);
        CHECK(record->t_ns == position * 3);
        const uint32_t frames = record->frames;
        float samples[600];
        ring.pop(n % 5 ? samples : nullptr);
        for (uint32_t k = 0; n % 5 && k < frames; ++k) {
            CHECK(samples[2 * k] == float((position + k) % 65536));
            CHECK(samples[2 * k + 1] == -samples[2 * k]);
        }
        position += frames;
    }
    writer.join();
    CHECK(!ring.peek());
}

void up_ring_refuses_what_does_not_fit() {
    UpRing ring(64);
    std::vector<float> zeros(64);
    CHECK(!ring.push({0, 65, 0, 0}, zeros.data(), zeros.data()));
    CHECK(ring.push({0, 60, 0, 0}, zeros.data(), zeros.data()));
    CHECK(!ring.push({60, 5, 0, 0}, zeros.data(), zeros.data()));
    CHECK(ring.push({60, 4, 0, 0}, zeros.data(), zeros.data()));
    CHECK(ring.peek(1)->position == 60 && !ring.peek(2));
    ring.pop(nullptr);
    CHECK(ring.push({64, 60, 0, 0}, zeros.data(), zeros.data()));
}

void down_ring_is_found_by_position() {
    // The writer repeats, skips and is late; what the reader finds is right or missing, never else.
    DownRing ring(1024);
    constexpr uint64_t kEnd = 400'000;
    std::atomic<uint64_t> read_to{0};
    std::atomic<bool> written{false};
    std::thread writer([&] {
        std::mt19937 random(2);
        std::vector<float> samples(600 * kOutputs);
        for (uint64_t at = 0; at < kEnd;) {
            const uint32_t frames = 1 + random() % 600;
            uint64_t position = at;
            if (random() % 8 == 0) position -= std::min<uint64_t>(position, random() % 400);
            if (random() % 8 == 0) position += random() % 300;
            for (uint32_t k = 0; k < frames; ++k)
                for (uint32_t c = 0; c < kOutputs; ++c)
                    samples[k * kOutputs + c] = float((position + k) % 65536) + 0.125f * c;
            if (ring.write(position, frames, samples.data()) || read_to > position)
                at = std::max(at, position + frames);
            else
                std::this_thread::yield();
        }
        written = true;
    });
    uint64_t found = 0;
    std::mt19937 random(3);
    for (uint64_t at = 0; at < kEnd;) {
        const uint32_t frames = 1 + random() % 200;
        const bool waits = random() % 8;  // however long the scheduler takes
        auto run = ring.run(at, frames);
        while (waits && run.first == run.last && ring.until() < at + frames && !written) {
            std::this_thread::yield();
            run = ring.run(at, frames);
        }
        for (uint64_t p = run.first; p < run.last; ++p, ++found)
            for (uint32_t c = 0; c < kOutputs; ++c)
                CHECK(ring.frame(p)[c] == float(p % 65536) + 0.125f * c);
        at += frames;
        ring.release(at);
        read_to = at;
    }
    writer.join();
    CHECK(found > kEnd / 4);
}

void down_ring_forgets_what_is_late() {
    DownRing ring(16);
    std::vector<float> samples(64 * kOutputs, 1.f);
    CHECK(ring.write(0, 64, samples.data()) == 16);  // too far ahead of the reader
    CHECK(ring.write(0, 8, samples.data()) == 0);    // twice
    ring.release(20);
    CHECK(ring.write(10, 8, samples.data()) == 0);  // late
    CHECK(ring.write(18, 8, samples.data()) == 6);  // half late
    const auto run = ring.run(15, 30);
    CHECK(run.first == 20 && run.last == 26);
    CHECK(ring.write(30, 2, samples.data()) == 2);  // a gap: only what is behind it counts
    const auto behind = ring.run(20, 30);
    CHECK(behind.first == 30 && behind.last == 32);
}

// -- wire -----------------------------------------------------------------------------------------

void header_bytes_are_the_golden_ones() {
    std::ifstream file(arguments.at(0));
    const auto golden = nlohmann::json::parse(file);
    CHECK(golden.size() >= 8);
    for (const auto& one : golden) {
        const std::string hex = one["hex"];
        uint8_t expected[wire::kHeaderBytes], bytes[wire::kHeaderBytes];
        CHECK(hex.size() == 2 * wire::kHeaderBytes);
        for (size_t n = 0; n < wire::kHeaderBytes; ++n)
            expected[n] = uint8_t(std::stoi(hex.substr(2 * n, 2), nullptr, 16));
        wire::Header header;
        header.type = one["type"];
        header.channels = one["channels"];
        header.epoch = one["epoch"];
        header.rate = one["rate"];
        header.position = one["position"];
        header.frames = one["frames"];
        header.flags = one["flags"];
        header.t_ns = one["t_ns"];
        header.instance = one["instance"];
        wire::pack(header, bytes);
        CHECK(std::memcmp(bytes, expected, sizeof bytes) == 0);
        wire::Header read;
        CHECK(wire::unpack(expected, sizeof expected, read));
        uint8_t again[wire::kHeaderBytes];
        wire::pack(read, again);
        CHECK(std::memcmp(again, expected, sizeof again) == 0);
        for (size_t n = 0; n < 6; ++n) {  // magic, version and type are looked at
            std::memcpy(again, expected, sizeof again);
            again[n] ^= 0x80;
            CHECK(!wire::unpack(again, sizeof again, read));
        }
        CHECK(!wire::unpack(expected, sizeof expected - 1, read));
    }
}

void any_bytes_are_read_or_refused() {
    std::mt19937 random(4);
    for (int n = 0; n < 200'000; ++n) {
        uint8_t bytes[64];
        for (auto& byte : bytes) byte = uint8_t(random());
        std::memcpy(bytes, "STIN\x01", 5);
        bytes[5] = uint8_t(random() % 10);
        wire::Header header;
        const bool good = wire::unpack(bytes, 40 + random() % 12, header);
        CHECK(!good || wire::payload_bytes(header) <= wire::kMaxFrames * 32u);
    }
    const std::string fine =
        "hop=256\nalgorithmic=512\nminimum=656\ncredit=9000\nmodel=m\nprofile=live\n"
        "stems=vocals,drums,bass,other\nsession=0\n";
    wire::Welcome welcome;
    CHECK(wire::read_welcome(fine.data(), fine.size(), welcome));
    CHECK(welcome.hop == 256 && welcome.algorithmic == 512 && welcome.minimum == 656);
    CHECK(welcome.credit == 9000 && welcome.model == "m" && welcome.profile == "live");
    for (int n = 0; n < 200'000; ++n) {
        std::string broken = fine;
        for (unsigned k = random() % 4; k < 4; ++k) broken[random() % broken.size()] = char(random());
        if (random() % 4 == 0) broken.resize(random() % broken.size());
        if (wire::read_welcome(broken.data(), broken.size(), welcome))
            CHECK(welcome.hop >= 1 && welcome.hop <= 65536 && welcome.minimum <= 1 << 22);
    }
    for (const char* bad : {"hop=0", "hop=-1", "hop=1e9", "hop=99999999999", "hop=", "hop= 256"}) {
        std::string broken = std::string(bad) + fine.substr(7);
        CHECK(!wire::read_welcome(broken.data(), broken.size(), welcome));
    }
}

// -- endpoint -------------------------------------------------------------------------------------

void local_is_local_only() {
    for (const char* local : {"ipc:///run/x", "tcp://127.0.0.1:5", "tcp://127.3.2.1:5",
                              "tcp://localhost:5", "tcp://[::1]:5"})
        CHECK(is_local(local));
    for (const char* far : {"tcp://10.0.0.1:5", "tcp://127.evil.org:5", "tcp://localhost.evil.org:5",
                            "tcp://*:5", "", "udp://127.0.0.1:5", "inproc://x", "tcp://[::]:5"})
        CHECK(!is_local(far));
    const Endpoint both = parse_endpoint("  tcp://10.0.0.1:5  abc \n");
    CHECK(both.address == "tcp://10.0.0.1:5");
}

void write_file(const std::string& path, const std::string& text) { std::ofstream(path) << text; }

// Argument: an empty directory.
void endpoint_precedence() {
    const std::string root = arguments.at(0), runtime = root + "/stemd";
    setenv("XDG_RUNTIME_DIR", root.c_str(), 1);
    setenv("XDG_CONFIG_HOME", (root + "/config").c_str(), 1);
    unsetenv("STEMD_PLUGIN");
    CHECK(resolve("", 0).address.empty());  // no directory: nobody to believe
    mkdir(runtime.c_str(), 0700);
    CHECK(resolve("", 0).address == "ipc://" + runtime + "/plugin-0.sock");
    CHECK(resolve("", 3).address == "ipc://" + runtime + "/plugin-3.sock");
    const std::string alive = std::to_string(getpid());
    const auto discovery = [&](int session, const std::string& pid, const std::string& where) {
        write_file(runtime + "/" + std::to_string(session) + ".json",
                   "{\"plugin\": \"" + where + "\", \"pid\": " + pid +
                       ", \"hop\": 256, \"minimum\": 656, \"rates\": [44100], \"curve\": \"\"}");
    };
    discovery(5, alive, "ipc:///five");
    discovery(2, "999999999", "ipc:///dead");
    CHECK(resolve("", 0).address == "ipc:///five");  // two is dead
    CHECK(resolve("", 5).address == "ipc:///five" && resolve("", 5).key == kInsecure);
    CHECK(resolve("", 2).address == "ipc://" + runtime + "/plugin-2.sock");
    CHECK(discover(0).minimum == 656 && discover(0).hop == 256);
    discovery(1, alive, "ipc:///one");
    CHECK(resolve("", 0).address == "ipc:///one");  // the lowest number
    chmod(runtime.c_str(), 0755);
    CHECK(!discover(0).found);  // others might have written it
    chmod(runtime.c_str(), 0700);
    mkdir((root + "/config").c_str(), 0700);
    mkdir((root + "/config/stemd").c_str(), 0700);
    write_file(root + "/config/stemd/plugin.conf",
               "# mine\n endpoint = tcp://10.1.1.1:5 \nkey=abc\n");
    CHECK(resolve("", 5).address == "tcp://10.1.1.1:5" && resolve("", 5).key == "abc");
    setenv("STEMD_PLUGIN", "ipc:///environment", 1);
    CHECK(resolve("", 5).address == "ipc:///environment");
    CHECK(resolve("ipc:///project", 5).address == "ipc:///project");
    for (const char* bad :
         {"", "{", "[]", "{\"plugin\": 1, \"pid\": 1}", "{\"plugin\": \"x\"}",
          "{\"plugin\": \"x\", \"pid\": -1}", "{\"plugin\": \"x\", \"pid\": 1e300}", "null",
          "{\"plugin\": \"\", \"pid\": 1}"}) {
        write_file(runtime + "/7.json", bad);
        CHECK(!discover(7).found);
    }
    write_file(runtime + "/7.json", std::string(100'000, '['));
    CHECK(!discover(7).found);
    // The stream of a stage is looked for in the same order, under names of its own.
    unsetenv("STEMD_STREAM");
    write_file(root + "/config/stemd/plugin.conf", "endpoint = ipc:///plugins\n");
    CHECK(resolve_stream("", 0).address == "tcp://127.0.0.1:5570");
    write_file(runtime + "/stream-4.json",
               "{\"stream\": \"tcp://127.0.0.1:7\", \"pid\": " + alive +
                   ", \"hop\": 128, \"curve\": \"abc\", \"pair\": \"control-1.key\"}");
    CHECK(resolve_stream("", 0).address == "tcp://127.0.0.1:7");
    CHECK(resolve_stream("", 4).key == "abc" && discover_stream(4).hop == 128);
    CHECK(resolve_stream("", 4).pair == runtime + "/control-1.key");
    CHECK(resolve_stream("", 5).address == "tcp://127.0.0.1:5570");
    write_file(runtime + "/stream-6.json", "{\"stream\": \"ipc:///x\", \"pid\": " + alive +
                                               ", \"pair\": \"../../secret\"}");
    CHECK(discover_stream(6).found && discover_stream(6).endpoint.pair.empty());
    write_file(root + "/config/stemd/plugin.conf", "stream=tcp://10.1.1.1:9\nstream_key = def\n");
    CHECK(resolve_stream("", 4).address == "tcp://10.1.1.1:9" && resolve_stream("", 4).key == "def");
    setenv("STEMD_STREAM", "tcp://10.1.1.2:9 ghi", 1);
    CHECK(resolve_stream("", 4).address == "tcp://10.1.1.2:9");
    CHECK(resolve_stream("tcp://10.1.1.3:9", 4).address == "tcp://10.1.1.3:9");
    std::string mine, secret, again, same;
    CHECK(own_keys(mine, secret) && mine.size() == 40 && secret.size() == 40);
    CHECK(own_keys(again, same) && again == mine && same == secret);
    struct stat about;
    CHECK(stat((root + "/config/stemd/plugin.key").c_str(), &about) == 0);
    CHECK((about.st_mode & 0777) == 0600);
}

void latency_is_planned() {
    Discovered none, live;
    live.found = true;
    live.minimum = 656;
    CHECK(plan_latency(100, 48000, 512, 0, none) == 4800);   // asked for: nothing is added
    CHECK(plan_latency(100, 44100, 512, 9999, live) == 4410);
    CHECK(plan_latency(0, 48000, 512, 0, live) == 656 + 1024);
    CHECK(plan_latency(0, 96000, 512, 0, live) == 1312 + 1024);
    CHECK(plan_latency(0, 176400, 64, 0, live) == 2624 + 128);
    CHECK(plan_latency(0, 48000, 512, 5000, live) == 5000);  // the daemon's word
    CHECK(plan_latency(0, 48000, 512, 0, none) >= 512 + 1024);
    Instance instance;
    instance.set_learned("5000 48000 512");
    CHECK(instance.learned() == "5000 48000 512");
    CHECK(instance.latency(48000, 512, 0) >= 5000 && instance.latency(48000, 256, 0) < 5000);
    for (const char* bad : {"", "x", "1 2", "5000 48000 512 1", "-5 48000 512", "9999999 1 1"}) {
        Instance other;
        other.set_learned(bad);
        CHECK(other.learned().empty());
    }
}

// -- engine ---------------------------------------------------------------------------------------

constexpr uint32_t kRate = 48000, kLatency = 1000;
constexpr float kShare[kStems] = {0.5f, 0.25f, 0.125f, 0.125f};

float input_at(uint64_t position, uint32_t side) {
    return 0.5f * std::sin(0.05f * float(position) + float(side));
}

struct Bench {
    std::shared_ptr<Session> session =
        std::make_shared<Session>(1, kRate, 4096, kLatency, -1);
    Engine engine;
    Controls controls;
    uint64_t now = 0;
    std::array<std::vector<float>, kOutputs> heard;

    explicit Bench(const Controls& with = {}) : controls(with) {
        engine.activate(session, controls);
    }

    // Stems of [from, to), as a daemon would send them.
    void stems(uint64_t from, uint64_t to) {
        std::vector<float> samples((to - from) * kOutputs);
        for (uint64_t p = from; p < to; ++p)
            for (uint32_t c = 0; c < kOutputs; ++c)
                samples[(p - from) * kOutputs + c] = kShare[c / 2] * input_at(p, c % 2);
        session->down.write(from, uint32_t(to - from), samples.data());
    }

    void run(uint32_t frames) {
        std::vector<float> in[2], out[kOutputs];
        const float* from[2];
        float* to[kOutputs];
        for (uint32_t c = 0; c < 2; ++c) {
            in[c].resize(frames);
            for (uint32_t n = 0; n < frames; ++n) in[c][n] = input_at(now + n, c);
            from[c] = in[c].data();
        }
        for (uint32_t c = 0; c < kOutputs; ++c) {
            out[c].assign(frames, 1e30f);
            to[c] = out[c].data();
        }
        engine.process(from, to, frames, controls);
        for (uint32_t c = 0; c < kOutputs; ++c)
            heard[c].insert(heard[c].end(), out[c].begin(), out[c].end());
        now += frames;
    }

    float sum(uint64_t n, uint32_t side) const {
        return heard[side][n] + heard[2 + side][n] + heard[4 + side][n] + heard[6 + side][n];
    }

    float worst_sum_error() const {
        float worst = 0;
        for (uint64_t n = 0; n < now; ++n)
            for (uint32_t side = 0; side < 2; ++side) {
                const float expected = n < kLatency ? 0.f : input_at(n - kLatency, side);
                worst = std::max(worst, std::fabs(sum(n, side) - expected));
            }
        return worst;
    }

    // The largest step between neighbours, of which the input itself makes 0.025 times a share,
    // and where it begins as much as it likes.
    float worst_step(uint32_t channel) const {
        float worst = 0;
        for (uint64_t n = kLatency + 1; n < now; ++n)
            worst = std::max(worst, std::fabs(heard[channel][n] - heard[channel][n - 1]));
        return worst;
    }
};

void stems_come_out_at_their_time_whatever_the_blocks() {
    for (uint32_t blocksize : {1u, 63u, 512u, 1000u, 4096u, 9999u}) {
        Bench bench;
        while (bench.now < 20000) {
            const uint64_t next = bench.now + blocksize;
            if (next > kLatency) {
                const uint64_t had = bench.session->down.until();
                for (uint64_t p = had; p < next - kLatency; p += 256)
                    bench.stems(p, std::min<uint64_t>(p + 256, next - kLatency));
            }
            bench.run(blocksize);
        }
        for (uint64_t n = 0; n < bench.now; ++n)
            for (uint32_t c = 0; c < kOutputs; ++c)
                CHECK(bench.heard[c][n] ==
                      (n < kLatency ? 0.f : kShare[c / 2] * input_at(n - kLatency, c % 2)));
        CHECK(bench.session->underrun == 0);
    }
}

void gaps_are_bridged_with_the_dry_signal() {
    Bench bench;
    for (int n = 0; n < 300; ++n) {
        if (n % 100 < 60) bench.stems(n * 100u, n * 100u + 100);  // two gaps, the second one short
        bench.run(100);
    }
    CHECK(bench.worst_sum_error() < 1e-6f);
    for (uint32_t c = 0; c < kOutputs; ++c) CHECK(bench.worst_step(c) < 0.03f);
    CHECK(bench.session->underrun > 5000);
    // deep in the gap all is on other
    CHECK(bench.heard[0][8000] == 0.f && bench.heard[6][8000] == input_at(8000 - kLatency, 0));
}

void gaps_are_silent_when_asked() {
    Controls controls;
    controls.dry_when_away = false;
    Bench bench(controls);
    for (int n = 0; n < 100; ++n) {
        if (n < 50) bench.stems(n * 100u, n * 100u + 100);
        bench.run(100);
    }
    for (uint32_t c = 0; c < kOutputs; ++c) {
        CHECK(bench.worst_step(c) < 0.03f);
        CHECK(bench.heard[c][9000] == 0.f);
    }
}

void gains_reach_unity_exactly() {
    Bench bench;
    bench.controls.gain = {0.f, 2.f, 1.f, 1.f};
    for (int n = 0; n < 200; ++n) {
        bench.stems(n * 100u, n * 100u + 100);
        bench.run(100);
        if (n == 100) bench.controls.gain = {1.f, 1.f, 1.f, 1.f};
    }
    CHECK(bench.heard[0][9000] == 0.f);
    CHECK(bench.heard[2][9000] == 2 * 0.25f * input_at(8000, 0));
    CHECK(bench.heard[0][19000] == 0.5f * input_at(18000, 0));
    for (uint32_t c = 0; c < kOutputs; ++c) CHECK(bench.worst_step(c) < 0.06f);
}

void a_nan_goes_nowhere() {
    Bench bench;
    std::vector<float> in(64, std::nanf("")), out(64);
    const float* from[2] = {in.data(), in.data()};
    float* to[kOutputs];
    for (auto& channel : to) channel = out.data();
    bench.engine.process(from, to, 64, bench.controls);
    float samples[128];
    bench.session->up.pop(samples);
    for (float x : samples) CHECK(x == 0.f);
}

void outputs_may_lie_on_the_input() {
    Bench bench;
    std::vector<float> left(4096), right(4096), rest(4096);
    float* to[kOutputs] = {left.data(), right.data(), rest.data(), rest.data(),
                           rest.data(), rest.data(),  rest.data(), rest.data()};
    const float* from[2] = {left.data(), right.data()};
    for (uint32_t n = 0; n < 4096; ++n) left[n] = right[n] = input_at(n, 0);
    bench.engine.process(from, to, 4096, bench.controls);
    std::vector<float> samples(2 * 4096);
    bench.session->up.pop(samples.data());
    for (uint32_t n = 0; n < 4096; ++n) CHECK(samples[2 * n + 1] == input_at(n, 0));
}

void without_a_session_the_input_is_on_other() {
    Engine engine;
    std::vector<float> in(100, 0.5f), out(100);
    std::array<std::vector<float>, kOutputs> outs;
    const float* from[2] = {in.data(), in.data()};
    float* to[kOutputs];
    for (uint32_t c = 0; c < kOutputs; ++c) {
        outs[c].assign(100, 1e30f);
        to[c] = outs[c].data();
    }
    engine.process(from, to, 100, {});
    for (uint32_t c = 0; c < kOutputs; ++c) CHECK(outs[c][99] == (c < 6 ? 0.f : 0.5f));
}

const Tests kTests = {
#define TEST(name) {#name, name}
    TEST(up_ring_keeps_order_and_samples),
    TEST(up_ring_refuses_what_does_not_fit),
    TEST(down_ring_is_found_by_position),
    TEST(down_ring_forgets_what_is_late),
    TEST(header_bytes_are_the_golden_ones),
    TEST(any_bytes_are_read_or_refused),
    TEST(local_is_local_only),
    TEST(endpoint_precedence),
    TEST(latency_is_planned),
    TEST(stems_come_out_at_their_time_whatever_the_blocks),
    TEST(gaps_are_bridged_with_the_dry_signal),
    TEST(gaps_are_silent_when_asked),
    TEST(gains_reach_unity_exactly),
    TEST(a_nan_goes_nowhere),
    TEST(outputs_may_lie_on_the_input),
    TEST(without_a_session_the_input_is_on_other),
};

}  // namespace

int main(int count, char** values) { return run_test(kTests, count, values); }
