// stemd Insert as DPF sees it: parameters, saved state, ports. What it does is in Instance.

#include <cmath>
#include <cstring>

#include "host_block.hpp"
#include "instance.hpp"
#include "shell.hpp"

namespace stemd {
thread_local const HostBlock* host_block = nullptr;
}

START_NAMESPACE_DISTRHO

namespace {

enum {
    kLatency,
    kSession,
    kAway,
    kRender,
    kGain,  // four of them
    kFreewheel = kGain + stemd::kStems,
    kInputsEnd,
    kConnected = kInputsEnd,
    kStatus,
    kProfile,
    kLatencyNow,
    kLatencyNeeded,
    kUnderrun,
    kDropped,
    kTimeouts,
    kParameters
};

enum { kAwayDry, kAwaySilence };
enum { kRenderAuto, kRenderOffline, kRenderRealTime };
enum { kEndpointState, kLearnedState, kStates };

const Description kDescriptions[kParameters] = {
    {"latency", "Latency (0: automatic)", "ms", kChoice, 0, 2000, 0},
    {"session", "Session (0: any)", "", kChoice, 0, 15, 0},
    {"away", "When stemd is away", "", kChoice, 0, 1, 0},
    {"render", "Rendering", "", kChoice, 0, 2, 0},
    {"gain_vocals", "Vocals", "dB", kParameterIsAutomatable, kMute_dB, 12, 0},
    {"gain_drums", "Drums", "dB", kParameterIsAutomatable, kMute_dB, 12, 0},
    {"gain_bass", "Bass", "dB", kParameterIsAutomatable, kMute_dB, 12, 0},
    {"gain_other", "Other", "dB", kParameterIsAutomatable, kMute_dB, 12, 0},
    {"freewheel", "Freewheeling", "", kParameterIsBoolean, 0, 1, 0},
    {"connected", "Connected", "", kMeter | kParameterIsBoolean, 0, 1, 0},
    {"status", "Status", "", kMeter | kParameterIsInteger, 0, 8, 0},
    {"profile", "Profile", "", kMeter | kParameterIsInteger, 0, 4, 0},
    {"latency_now", "Latency in use", "ms", kMeter, 0, 4000, 0},
    {"latency_needed", "Latency stemd asks for", "ms", kMeter, 0, 90000, 0},
    {"underrun", "Frames missed", "", kMeter, 0, kMaxCount, 0},
    {"dropped", "Frames not sent", "", kMeter, 0, kMaxCount, 0},
    {"timeouts", "Renders given up", "", kMeter, 0, kMaxCount, 0},
};

}  // namespace

class Insert : public Shell<kParameters, kStates> {
public:
    Insert() : Shell(kDescriptions) { tell_latency(); }

protected:
    const char* getLabel() const override { return "stemd_insert"; }
    const char* getDescription() const override {
        return "Four stems of a track, sample-aligned, from the stemd daemon";
    }
    int64_t getUniqueId() const override { return d_cconst('s', 't', 'I', 'n'); }

    void initParameter(uint32_t index, Parameter& parameter) override {
        Shell::initParameter(index, parameter);
        if (index == kAway) name_values(parameter, {"dry on other", "silence"});
        if (index == kRender) name_values(parameter, {"as the host says", "offline", "real time"});
        if (index == kStatus) name_values(parameter, stemd::kLinkNames);
        if (index == kProfile) name_values(parameter, stemd::kProfileNames);
    }

    void setParameterValue(uint32_t index, float value) override {
        if (index >= kInputsEnd) return;
        values_[index] = value;
        if (index == kSession) instance_.settings().session = int(std::lround(value));
        if (index == kLatency || index == kSession) tell_latency();
    }

    void initState(uint32_t index, State& state) override {
        state.key = index == kEndpointState ? "endpoint" : "learned";
        state.label = index == kEndpointState ? "Endpoint" : "Latency asked for";
        state.defaultValue = "";
    }

    void setState(const char* key, const char* value) override {
        if (std::strcmp(key, "endpoint") == 0) instance_.settings().set_endpoint(value);
        if (std::strcmp(key, "learned") == 0) instance_.set_learned(value);
        tell_latency();
    }

    String getState(const char* key) const override {
        if (std::strcmp(key, "endpoint") == 0)
            return String(instance_.settings().endpoint().c_str());
        return String(instance_.learned().c_str());
    }

    void activate() override {
        instance_.activate(getSampleRate(), getBufferSize(), values_[kLatency], controls());
        setLatency(instance_.session()->latency);
        show();
    }

    void deactivate() override {
        instance_.deactivate();
        show();
    }

    void sampleRateChanged(double) override { tell_latency(); }
    void bufferSizeChanged(uint32_t) override { tell_latency(); }

    void run(const float** inputs, float** outputs, uint32_t frames) override {
        if (const stemd::HostBlock* block = stemd::host_block)
            block->in_pieces([&, now = controls()](auto in, auto out, uint32_t count) {
                instance_.process(in, out, count, now);
            });
        else
            instance_.process(inputs, outputs, frames, controls());
        show();
    }

private:
    // What the host is told never changes under a running instance: it would be misaligned.
    void tell_latency() {
        if (instance_.session()) return;
        setLatency(instance_.latency(getSampleRate(), getBufferSize(), values_[kLatency]));
    }

    stemd::Controls controls() const {
        stemd::Controls controls;
        const int render = int(std::lround(values_[kRender]));
        controls.offline = (stemd::host_block && stemd::host_block->offline) ||
                           values_[kFreewheel] > 0.5f || render == kRenderOffline;
        if (render == kRenderRealTime) controls.offline = false;
        controls.dry_when_away = std::lround(values_[kAway]) == kAwayDry;
        controls.gain = stem_gains(kGain);
        return controls;
    }

    // Output parameters; written here only, read by whoever.
    void show() {
        const stemd::Session* session = instance_.session();
        const auto link = session ? session->link.load() : stemd::Link::off;
        values_[kConnected] = session && session->welcomed ? 1.f : 0.f;
        values_[kStatus] = float(int(link));
        if (!session) return;  // the counts of the last run stay to be read
        values_[kProfile] = float(session->profile);
        values_[kLatencyNow] = 1000.f * session->latency / session->rate;
        values_[kLatencyNeeded] = 1000.f * session->needed() / session->rate;
        values_[kUnderrun] = shown(session->underrun);
        values_[kDropped] = shown(session->dropped);
        values_[kTimeouts] = shown(session->timeouts);
    }

    // Mutable: settings are the network thread's to read, and nothing here changes them.
    mutable stemd::Instance instance_;
};

Plugin* createPlugin() { return new Insert; }

END_NAMESPACE_DISTRHO
