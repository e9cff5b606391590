// stemd Receiver as DPF sees it. What it does is in Receiver.

#include <cmath>
#include <cstring>

#include "host_block.hpp"
#include "receiver.hpp"
#include "shell.hpp"

namespace stemd {
thread_local const HostBlock* host_block = nullptr;
}

START_NAMESPACE_DISTRHO

namespace {

enum {
    kStem,
    kFeed,
    kSession,
    kBuffer,
    kGain,  // four of them
    kInputsEnd = kGain + stemd::kStems,
    kConnected = kInputsEnd,
    kStatus,
    kProfile,
    kLatency,
    kBufferNow,
    kClocks,
    kUnderrun,
    kSkipped,
    kLost,
    kParameters
};

enum { kEndpointState, kStates };

const Description kDescriptions[kParameters] = {
    {"stem", "Stems", "", kChoice, 0, 5, 0},
    {"feed", "Feed", "", kChoice, 1, 64, 1},
    {"session", "Session (0: any)", "", kChoice, 0, 15, 0},
    {"buffer", "Buffer (0: automatic)", "ms", kChoice, 0, 2000, 0},
    {"gain_vocals", "Vocals", "dB", kParameterIsAutomatable, kMute_dB, 12, 0},
    {"gain_drums", "Drums", "dB", kParameterIsAutomatable, kMute_dB, 12, 0},
    {"gain_bass", "Bass", "dB", kParameterIsAutomatable, kMute_dB, 12, 0},
    {"gain_other", "Other", "dB", kParameterIsAutomatable, kMute_dB, 12, 0},
    {"connected", "Connected", "", kMeter | kParameterIsBoolean, 0, 1, 0},
    {"status", "Status", "", kMeter | kParameterIsInteger, 0, 8, 0},
    {"profile", "Profile", "", kMeter | kParameterIsInteger, 0, 4, 0},
    {"latency", "Latency from the stage", "ms", kMeter, 0, 4000, 0},
    {"buffer_now", "Buffer in use", "ms", kMeter, 0, 4000, 0},
    {"clocks", "Clock difference", "ppm", kMeter, -10000, 10000, 0},
    {"underrun", "Frames missed", "", kMeter, 0, kMaxCount, 0},
    {"skipped", "Frames skipped", "", kMeter, 0, kMaxCount, 0},
    {"lost", "Frames lost on the way", "", kMeter, 0, kMaxCount, 0},
};

constexpr const char* kStemChoices[] = {"all, on four outputs", "vocals", "drums",
                                        "bass",                 "other",  "mix"};

}  // namespace

class ReceiverPlugin : public Shell<kParameters, kStates> {
public:
    ReceiverPlugin() : Shell(kDescriptions) {}

protected:
    const char* getLabel() const override { return "stemd_receiver"; }
    const char* getDescription() const override {
        return "The four stems of a stemd daemon's live stream";
    }
    int64_t getUniqueId() const override { return d_cconst('s', 't', 'R', 'c'); }

    void initParameter(uint32_t index, Parameter& parameter) override {
        Shell::initParameter(index, parameter);
        if (index == kStem) name_values(parameter, kStemChoices);
        if (index == kStatus) name_values(parameter, stemd::kLinkNames);
        if (index == kProfile) name_values(parameter, stemd::kProfileNames);
    }

    void setParameterValue(uint32_t index, float value) override {
        if (index >= kInputsEnd) return;
        values_[index] = value;
        const int number = int(std::lround(value));
        if (index == kStem) receiver_.settings().stem = number;
        if (index == kFeed) receiver_.settings().feed = number - 1;
        if (index == kSession) receiver_.settings().session = number;
    }

    void initState(uint32_t, State& state) override {
        state.key = "endpoint";
        state.label = "Endpoint";
        state.defaultValue = "";
    }
    void setState(const char* key, const char* value) override {
        if (std::strcmp(key, "endpoint") == 0) receiver_.settings().set_endpoint(value);
    }
    String getState(const char*) const override {
        return String(receiver_.settings().endpoint().c_str());
    }

    void activate() override {
        receiver_.activate(getSampleRate(), getBufferSize(), values_[kBuffer], gains());
        show();
    }
    void deactivate() override {
        receiver_.deactivate();
        show();
    }

    void run(const float**, float** outputs, uint32_t frames) override {
        if (const stemd::HostBlock* block = stemd::host_block)
            block->in_pieces([&, now = gains()](auto, auto out, uint32_t count) {
                receiver_.process(out, count, now);
            });
        else
            receiver_.process(outputs, frames, gains());
        show();
    }

private:
    stemd::StemGains gains() const {
        stemd::StemGains gains = stem_gains(kGain);
        const int stem = int(std::lround(values_[kStem]));
        // A single stem is heard on the first output, and its own knob is still its knob.
        if (stem > 0) gains[0] = stem <= int(stemd::kStems) ? gains[size_t(stem - 1)] : 1.f;
        return gains;
    }

    // Output parameters; written here only, read by whoever.
    void show() {
        const stemd::Reception* reception = receiver_.reception();
        const auto link = reception ? reception->link.load() : stemd::Link::off;
        values_[kConnected] = link == stemd::Link::connected ? 1.f : 0.f;
        values_[kStatus] = float(int(link));
        if (!reception) return;  // the counts of the last run stay to be read
        values_[kProfile] = float(reception->profile);
        values_[kLatency] = 1000.f * reception->latency_s;
        values_[kBufferNow] = 1000.f * reception->target / reception->rate;
        values_[kClocks] = reception->ppm.load();
        values_[kUnderrun] = shown(reception->underrun);
        values_[kSkipped] = shown(reception->skipped);
        values_[kLost] = shown(reception->lost);
    }

    // Mutable: settings are the network thread's to read, and nothing here changes them.
    mutable stemd::Receiver receiver_;
};

Plugin* createPlugin() { return new ReceiverPlugin; }

END_NAMESPACE_DISTRHO
