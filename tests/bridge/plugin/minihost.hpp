// The little of a host that a test needs, the same for every plugin format.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

struct Bus {
    std::string name;
    int channels = 0;
    bool main = false;
};

class Hosted {
public:
    virtual ~Hosted() = default;
    virtual std::vector<Bus> busses(bool input) = 0;
    virtual void setup(double rate, int max_block, bool offline) = 0;
    virtual void leave_out(const std::vector<int>& outputs) = 0;  // busses, before activate
    virtual void activate() = 0;
    virtual void deactivate() = 0;
    virtual void rest() {}  // in the audio thread, between two blocks: processing ends and begins
    virtual uint32_t latency() = 0;
    virtual std::vector<std::string> parameters() = 0;
    virtual void set(const std::string& name, double value) = 0;  // plain value
    virtual double get(const std::string& name) = 0;
    virtual std::string save() = 0;
    virtual void load(const std::string& state) = 0;
    // planar: 2 inputs, 8 outputs; outputs of busses left out may be null
    virtual bool process(float** in, float** out, int frames) = 0;
};

std::unique_ptr<Hosted> open_vst3(const std::string& path);
std::unique_ptr<Hosted> open_clap(const std::string& path);
std::unique_ptr<Hosted> open_core(const std::string& plugin);
