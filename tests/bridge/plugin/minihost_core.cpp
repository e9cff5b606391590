// The plugin without a plugin format around it, so that sanitizers see all of it.
#include <array>
#include <atomic>
#include <cmath>
#include <stdexcept>

#include "instance.hpp"
#include "minihost.hpp"
#include "receiver.hpp"

namespace {

class Core : public Hosted {
public:
    std::vector<Bus> busses(bool) override { return {}; }
    void setup(double rate, int max_block, bool offline) override {
        rate_ = rate;
        max_block_ = uint32_t(max_block);
        controls_.offline = offline;
    }
    void leave_out(const std::vector<int>&) override {}
    void activate() override {
        instance_.activate(rate_, max_block_, latency_ms_, controls_);
    }
    void deactivate() override { instance_.deactivate(); }
    uint32_t latency() override {
        return instance_.session() ? instance_.session()->latency : 0;
    }
    std::vector<std::string> parameters() override {
        return {"Connected", "Status", "Frames missed", "Frames not sent", "Renders given up"};
    }
    void set(const std::string& name, double value) override {
        if (name == "Latency (0: automatic)") latency_ms_ = value;
        if (name == "When stemd is away") controls_.dry_when_away = value == 0;
        if (name == "Session (0: any)") instance_.settings().session = int(value);
    }
    double get(const std::string& name) override {
        const stemd::Session* session = instance_.session();
        if (!session) return 0;
        if (name == "Connected") return session->welcomed;
        if (name == "Status") return int(session->link.load());
        if (name == "Frames missed") return double(session->underrun);
        if (name == "Frames not sent") return double(session->dropped);
        if (name == "Renders given up") return double(session->timeouts);
        throw std::runtime_error("no parameter " + name);
    }
    std::string save() override { return instance_.learned(); }
    void load(const std::string& state) override { instance_.settings().set_endpoint(state); }
    bool process(float** in, float** out, int frames) override {
        instance_.process(in, out, uint32_t(frames), controls_);
        return true;
    }

private:
    stemd::Instance instance_;
    stemd::Controls controls_;
    double rate_ = 0, latency_ms_ = 0;
    uint32_t max_block_ = 0;
};

class CoreReceiver : public Hosted {
public:
    std::vector<Bus> busses(bool) override { return {}; }
    void setup(double rate, int max_block, bool) override {
        rate_ = rate;
        max_block_ = uint32_t(max_block);
    }
    void leave_out(const std::vector<int>&) override {}
    void activate() override { receiver_.activate(rate_, max_block_, buffer_ms_, kUnity); }
    void deactivate() override { receiver_.deactivate(); }
    uint32_t latency() override { return 0; }
    std::vector<std::string> parameters() override {
        return {"Connected",     "Status",         "Profile",
                "Frames missed", "Frames skipped", "Frames lost on the way",
                "Messages malformed", "Clock difference"};
    }
    void set(const std::string& name, double value) override {
        if (name == "Stems") receiver_.settings().stem = int(value);
        if (name == "Feed") receiver_.settings().feed = int(value) - 1;
        if (name == "Session (0: any)") receiver_.settings().session = int(value);
        if (name == "Buffer (0: automatic)") buffer_ms_ = value;
    }
    double get(const std::string& name) override {
        const stemd::Reception* reception = receiver_.reception();
        if (!reception) return 0;
        if (name == "Connected") return reception->link == stemd::Link::connected;
        if (name == "Status") return int(reception->link.load());
        if (name == "Profile") return reception->profile;
        if (name == "Frames missed") return double(reception->underrun);
        if (name == "Frames skipped") return double(reception->skipped);
        if (name == "Frames lost on the way") return double(reception->lost);
        if (name == "Messages malformed") return double(reception->malformed);
        if (name == "Clock difference") return reception->ppm;
        throw std::runtime_error("no parameter " + name);
    }
    std::string save() override { return receiver_.settings().endpoint(); }
    void load(const std::string& state) override { receiver_.settings().set_endpoint(state); }
    bool process(float**, float** out, int frames) override {
        receiver_.process(out, uint32_t(frames), kUnity);
        return true;
    }

private:
    static constexpr stemd::StemGains kUnity{1.f, 1.f, 1.f, 1.f};
    stemd::Receiver receiver_;
    double rate_ = 0, buffer_ms_ = 0;
    uint32_t max_block_ = 0;
};

}  // namespace

std::unique_ptr<Hosted> open_core(const std::string& plugin) {
    if (plugin == "receiver") return std::make_unique<CoreReceiver>();
    return std::make_unique<Core>();
}
