// What both plugins tell DPF in the same way: parameters, ports, saved endpoint.
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <cmath>

#include "DistrhoPlugin.hpp"
#include "gains.hpp"
#include "link.hpp"

START_NAMESPACE_DISTRHO

constexpr float kMute_dB = -60.f;
constexpr float kMaxCount = 16777216.f;  // beyond it float cannot count one by one
const char* const kStemNames[stemd::kStems] = {"vocals", "drums", "bass", "other"};

struct Description {
    const char *symbol, *name, *unit;
    uint32_t hints;
    float low, high, normal;
};

// Nobody automates these, but hosts hide from view what cannot be.
constexpr uint32_t kChoice = kParameterIsInteger | kParameterIsAutomatable;
constexpr uint32_t kMeter = kParameterIsOutput;

inline void describe(const Description& about, Parameter& parameter) {
    parameter.hints = about.hints;
    parameter.name = about.name;
    parameter.symbol = about.symbol;
    parameter.unit = about.unit;
    parameter.ranges = ParameterRanges(about.normal, about.low, about.high);
}

template <size_t count>
void name_values(Parameter& parameter, const char* const (&names)[count]) {
    parameter.enumValues.count = count;
    parameter.enumValues.restrictedMode = true;
    parameter.enumValues.values = new ParameterEnumerationValue[count];
    for (size_t n = 0; n < count; ++n) {
        parameter.enumValues.values[n].value = float(n);
        parameter.enumValues.values[n].label = names[n];
    }
}

inline void name_port(bool input, uint32_t index, AudioPort& port) {
    const char* const side = index % 2 == 0 ? "L" : "R";
    const char* const name = input ? "input" : kStemNames[index / 2];
    port.groupId = input ? uint32_t(kPortGroupStereo) : index / 2;
    port.name = String(name) + " " + side;
    port.symbol = String(name) + (index % 2 == 0 ? "_l" : "_r");
}

inline void name_group(uint32_t group, PortGroup& port_group) {
    if (group >= stemd::kStems) return;
    port_group.name = kStemNames[group];
    port_group.symbol = kStemNames[group];
}

inline float linear_gain(float gain_db) {
    // What a host makes of 0 dB on its way is not always 0, and unity is meant.
    return std::fabs(gain_db) < 1e-3f ? 1.f
           : gain_db <= kMute_dB      ? 0.f
                                      : std::pow(10.f, gain_db / 20.f);
}

inline float shown(uint64_t count) { return std::min(float(count), kMaxCount); }

// A plugin whose parameters are numbers in a table.
template <uint32_t kCount, uint32_t kStates>
class Shell : public Plugin {
protected:
    explicit Shell(const Description (&descriptions)[kCount])
        : Plugin(kCount, 0, kStates), descriptions_(descriptions) {
        for (uint32_t n = 0; n < kCount; ++n) values_[n] = descriptions[n].normal;
    }

    const char* getMaker() const override { return "stemd"; }
    const char* getLicense() const override { return "MIT"; }
    uint32_t getVersion() const override { return d_version(0, 1, 0); }

    void initAudioPort(bool input, uint32_t index, AudioPort& port) override {
        name_port(input, index, port);
    }
    void initPortGroup(uint32_t group, PortGroup& port_group) override {
        name_group(group, port_group);
    }
    void initParameter(uint32_t index, Parameter& parameter) override {
        describe(descriptions_[index], parameter);
    }
    float getParameterValue(uint32_t index) const override { return values_[index]; }

    // Four knobs from `first` on, in decibels.
    stemd::StemGains stem_gains(uint32_t first) const {
        stemd::StemGains gains;
        for (uint32_t s = 0; s < stemd::kStems; ++s) gains[s] = linear_gain(values_[first + s]);
        return gains;
    }

    std::array<std::atomic<float>, kCount> values_;

private:
    const Description (&descriptions_)[kCount];
};

END_NAMESPACE_DISTRHO
