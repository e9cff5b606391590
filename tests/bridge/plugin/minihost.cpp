// Runs a plugin over a file of samples as one JSON argument says, and prints what it saw as JSON.
#include "minihost.hpp"

#include <dirent.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>

#include <algorithm>
#include <cstddef>
#include <cstdio>
#include <ctime>
#include <fstream>
#include <iostream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <thread>

using Json = nlohmann::json;

namespace {

constexpr float kSentinel = 1e30f;  // what outputs hold before every block

std::string read_file(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    if (!file) throw std::runtime_error("cannot read " + path);
    return {std::istreambuf_iterator<char>(file), {}};
}

int entries(const char* path) {
    DIR* directory = opendir(path);
    int count = 0;
    while (readdir(directory)) ++count;
    closedir(directory);
    return count;
}

int64_t now_ns() {
    timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1'000'000'000ll + t.tv_nsec;
}

Json describe(const std::vector<Bus>& busses) {
    Json list = Json::array();
    for (const Bus& bus : busses) list.push_back({bus.name, bus.channels, bus.main});
    return list;
}

std::unique_ptr<Hosted> open(const std::string& format, const std::string& path) {
#ifdef MINIHOST_CORE
    if (format == "core") return open_core(path);
#else
    if (format == "vst3") return open_vst3(path);
    if (format == "clap") return open_clap(path);
#endif
    throw std::runtime_error("no host for " + format);
}

struct Run {
    std::unique_ptr<Hosted> plugin;
    std::vector<float> heard;  // interleaved, 8 channels
    std::vector<double> trace;  // rows of position and values
    uint64_t sentinels = 0;
    bool good = true;
};

// From now on this thread may do what the host's own loop does, and no other system call: it ends
// the process.
void seal() {
    constexpr uint32_t kAllowed[] = {SYS_clock_nanosleep, SYS_brk,      SYS_mmap,
                                     SYS_munmap,          SYS_mremap,   SYS_madvise,
                                     SYS_mprotect,        SYS_exit,     SYS_rt_sigprocmask};
    std::vector<sock_filter> filter{BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr))};
    for (const uint32_t number : kAllowed) {
        filter.push_back(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, number, 0, 1));
        filter.push_back(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW));
    }
    filter.push_back(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS));
    const sock_fprog program{static_cast<unsigned short>(filter.size()), filter.data()};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
        prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0)
        throw std::runtime_error("no seccomp here");
}

// The least that any plugin does which delays: what this machine makes of that.
void delay_line(const float* const* in, float* const* out, int frames) {
    constexpr size_t kSize = 16384;  // frames, as the Insert's ring
    static std::vector<float> line(2 * kSize);
    static size_t at = 0;
    for (int n = 0; n < frames; ++n, at = (at + 1) % kSize)
        for (size_t c = 0; c < 8; ++c) {
            out[c][n] = line[2 * at + c % 2];
            if (c > 5) line[2 * at + c % 2] = in[c % 2][n];
        }
}

// One block of one instance; the time that the process call took, ns.
int64_t block(Run& run, const float* in, int64_t at, int frames, const std::vector<int>& left_out,
           bool hollow) {
    static std::vector<float> inputs[2], outputs[8];
    float *from[2], *to[8];
    for (int c = 0; c < 2; ++c) {
        inputs[c].resize(size_t(frames));
        for (int n = 0; n < frames; ++n) inputs[c][size_t(n)] = in[2 * (at + n) + c];
        from[c] = inputs[c].data();
    }
    for (int c = 0; c < 8; ++c) {
        outputs[c].assign(size_t(frames), kSentinel);
        to[c] = outputs[c].data();
    }
    const int64_t before = now_ns();
    if (hollow)
        delay_line(from, to, frames);
    else
        run.good &= run.plugin->process(from, to, frames);
    const int64_t took = now_ns() - before;
    for (int c = 0; c < 8; ++c) {
        const bool heard = std::count(left_out.begin(), left_out.end(), c / 2) == 0;
        for (int n = 0; heard && n < frames; ++n) {
            const float x = outputs[c][size_t(n)];
            run.sentinels += x == kSentinel;
            run.heard[size_t(8 * (at + n) + c)] = x;
        }
    }
    return took;
}

int64_t file_frames(const std::string& bytes) { return int64_t(bytes.size() / 8); }

}  // namespace

int main(int, char** arguments) try {
    const Json order = Json::parse(arguments[1]);
    const std::string format = order.at("format"), path = order.at("plugin");
    const double rate = order.value("rate", 48000.0);
    const int max_block = order.value("max_block", 512);
    const auto blocks = order.value("blocks", std::vector<int>{max_block});
    const auto left_out = order.value("left_out", std::vector<int>{});
    const bool paced = order.value("paced", false);
    // The host's own sound card, which is not as exact as this machine's clock.
    const double pace = rate * (1 + 1e-6 * order.value("pace_ppm", 0.0));
    const auto traced = order.value(
        "trace", std::vector<std::string>{"Connected", "Status", "Frames missed", "Frames not sent"});
    const bool hollow = order.value("hollow", false);
    const std::string sound = read_file(order.at("input"));
    const auto* input = reinterpret_cast<const float*>(sound.data());
    const int64_t length = file_frames(sound);

    if (order.contains("descriptors")) {
        // As many as are open, and these.
        const rlim_t free = order["descriptors"].get<rlim_t>();
        const rlim_t limit = rlim_t(entries("/proc/self/fd") - 3) + free;
        const rlimit both{limit, limit};
        setrlimit(RLIMIT_NOFILE, &both);
    }
    std::vector<Run> runs(size_t(order.value("instances", 1)));
    Json report;
    for (Run& run : runs) {
        run.plugin = open(format, path);
        if (order.contains("state")) run.plugin->load(read_file(order["state"]));
        const Json settings = order.value("parameters", Json::object());
        for (const auto& [name, value] : settings.items()) run.plugin->set(name, value);
        run.plugin->setup(rate, max_block, order.value("offline", false));
        run.plugin->leave_out(left_out);
        run.heard.assign(size_t(8 * length), 0.f);
    }
    report["threads_before"] = entries("/proc/self/task") - 2;
    for (int n = order.value("restarts", 0); n > 0; --n)
        for (Run& run : runs) {
            run.plugin->activate();
            run.plugin->deactivate();
        }
    for (Run& run : runs) run.plugin->activate();
    report["latency"] = runs[0].plugin->latency();
    report["inputs"] = describe(runs[0].plugin->busses(true));
    report["outputs"] = describe(runs[0].plugin->busses(false));
    std::this_thread::sleep_for(
        std::chrono::milliseconds(int(1000 * order.value("wait_s", 0.0))));

    std::vector<double> calls_us;
    calls_us.reserve(size_t(length / *std::min_element(blocks.begin(), blocks.end()) + 1));
    runs[0].trace.reserve(size_t(20 * double(length) / rate + 2) * (traced.size() + 1));
    const auto sealed_from = int64_t(rate * order.value("sealed_after_s", 1e9));
    auto rest_at = int64_t(rate * order.value("rest_after_s", 1e9));
    const int64_t start = now_ns();
    // A thread of its own, as in any host.
    std::thread audio([&] {
        if (order.value("fifo", 0) > 0) {
            mlockall(MCL_CURRENT | MCL_FUTURE);
            const sched_param priority{order["fifo"].get<int>()};
            report["fifo"] = pthread_setschedparam(pthread_self(), SCHED_FIFO, &priority) == 0;
        }
        int64_t next_trace = 0;
        size_t which = 0;
        bool sealed = false;
        for (int64_t at = 0; at < length;) {
            const int frames = int(std::min<int64_t>(blocks[which++ % blocks.size()], length - at));
            if (paced) {  // a block comes when the last of its samples has passed
                const int64_t due = start + int64_t(1e9 * double(at + frames) / pace);
                const timespec t{due / 1'000'000'000, due % 1'000'000'000};
                clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, nullptr);
            }
            if (!sealed && at >= sealed_from) {
                seal();
                sealed = true;
            }
            if (at >= rest_at) {
                for (Run& run : runs) run.plugin->rest();
                rest_at = length;
            }
            int64_t took = 0;
            for (Run& run : runs) took += block(run, input, at, frames, left_out, hollow);
            calls_us.push_back(1e-3 * double(took));
            at += frames;
            if (at >= next_trace) {
                next_trace = at + int64_t(rate / 20);
                Run& run = runs[0];
                run.trace.push_back(double(at));
                for (const std::string& name : traced) run.trace.push_back(run.plugin->get(name));
            }
        }
        report["sealed"] = sealed;
    });
    audio.join();

    report["wall_s"] = 1e-9 * double(now_ns() - start);
    report["latency_at_end"] = runs[0].plugin->latency();
    report["threads"] = entries("/proc/self/task") - 2;
    report["descriptors"] = entries("/proc/self/fd") - 3;
    report["trace"] = Json::array();
    const std::vector<double>& trace = runs[0].trace;
    for (auto row = trace.begin(); row != trace.end(); row += int64_t(traced.size() + 1))
        report["trace"].push_back(std::vector<double>(row, row + int64_t(traced.size() + 1)));
    report["instances"] = Json::array();
    for (size_t n = 0; n < runs.size(); ++n) {
        Json parameters;
        for (const auto& name : runs[n].plugin->parameters())
            parameters[name] = runs[n].plugin->get(name);
        report["instances"].push_back({{"good", runs[n].good},
                                       {"sentinels", runs[n].sentinels},
                                       {"parameters", parameters}});
        if (order.contains("output")) {
            std::ofstream file(order["output"].get<std::string>() + "." + std::to_string(n),
                               std::ios::binary);
            file.write(reinterpret_cast<const char*>(runs[n].heard.data()),
                       std::streamsize(runs[n].heard.size() * sizeof(float)));
        }
    }
    if (order.contains("save")) {
        std::ofstream file(order["save"].get<std::string>(), std::ios::binary);
        file << runs[0].plugin->save();
    }
    for (Run& run : runs) run.plugin->deactivate();
    if (order.contains("idle_s")) {
        const std::clock_t before = std::clock();  // of the processor, not of the wall
        std::this_thread::sleep_for(std::chrono::milliseconds(int(1000 * order.value("idle_s", 0.0))));
        report["idle_cpu_s"] = double(std::clock() - before) / CLOCKS_PER_SEC;
    }
    runs.clear();
    report["threads_after"] = entries("/proc/self/task") - 2;
    if (order.value("keep_calls", false)) report["calls_us"] = calls_us;
    std::sort(calls_us.begin(), calls_us.end());
    for (const double share : {0.5, 0.99, 0.999, 1.0})
        report["call_us"].push_back(
            calls_us[std::min(calls_us.size() - 1, size_t(share * double(calls_us.size())))]);
    std::cout << report.dump() << std::endl;
    return 0;
} catch (const std::exception& error) {
    std::cerr << "minihost: " << error.what() << std::endl;
    return 1;
}
