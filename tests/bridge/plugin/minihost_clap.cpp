// CLAP through the headers that DPF carries. The host offers no extension at all, which is legal.
#include <dlfcn.h>

#include <algorithm>
#include <cstring>
#include <stdexcept>

#include "clap/entry.h"
#include "clap/ext/audio-ports.h"
#include "clap/ext/latency.h"
#include "clap/ext/params.h"
#include "clap/ext/state.h"
#include "clap/plugin-factory.h"
#include "minihost.hpp"

namespace {

void need(bool good, const char* what) {
    if (!good) throw std::runtime_error(what);
}

struct Render {
    bool(CLAP_ABI* has_hard_realtime_requirement)(const clap_plugin_t*);
    bool(CLAP_ABI* set)(const clap_plugin_t*, int32_t mode);
};

const clap_host_t kHost = {
    CLAP_VERSION, nullptr, "minihost", "stemd", "", "1",
    [](const clap_host_t*, const char*) -> const void* { return nullptr; },
    [](const clap_host_t*) {}, [](const clap_host_t*) {}, [](const clap_host_t*) {}};

class Clap : public Hosted {
public:
    explicit Clap(const std::string& path) {
        void* library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
        need(library, dlerror());
        const auto* entry = static_cast<const clap_plugin_entry_t*>(dlsym(library, "clap_entry"));
        need(entry && entry->init(path.c_str()), "no CLAP entry");
        const auto* factory =
            static_cast<const clap_plugin_factory_t*>(entry->get_factory(CLAP_PLUGIN_FACTORY_ID));
        need(factory && factory->get_plugin_count(factory) == 1, "no plugin");
        plugin_ = factory->create_plugin(factory, &kHost,
                                         factory->get_plugin_descriptor(factory, 0)->id);
        need(plugin_ && plugin_->init(plugin_), "not initialized");
        params_ = extension<clap_plugin_params_t>(CLAP_EXT_PARAMS);
        for (uint32_t n = 0; n < params_->count(plugin_); ++n) {
            clap_param_info_t about;
            params_->get_info(plugin_, n, &about);
            ids_[about.name] = about.id;
        }
    }

    ~Clap() override { plugin_->destroy(plugin_); }

    std::vector<Bus> busses(bool input) override {
        std::vector<Bus> busses;
        const auto* ports = extension<clap_plugin_audio_ports_t>(CLAP_EXT_AUDIO_PORTS);
        for (uint32_t n = 0; n < ports->count(plugin_, input); ++n) {
            clap_audio_port_info_t info;
            ports->get(plugin_, n, input, &info);
            busses.push_back({info.name, int(info.channel_count),
                              (info.flags & CLAP_AUDIO_PORT_IS_MAIN) != 0});
        }
        return busses;
    }

    void setup(double rate, int max_block, bool offline) override {
        rate_ = rate;
        max_block_ = max_block;
        need(extension<Render>("clap.render")->set(plugin_, offline ? 1 : 0), "no render mode");
    }

    void leave_out(const std::vector<int>& outputs) override { left_out_ = outputs; }

    void activate() override {
        need(plugin_->activate(plugin_, rate_, 1, uint32_t(max_block_)), "not active");
        need(plugin_->start_processing(plugin_), "does not start");
        inputs_ = extension<clap_plugin_audio_ports_t>(CLAP_EXT_AUDIO_PORTS)->count(plugin_, true);
    }

    void deactivate() override {
        plugin_->stop_processing(plugin_);
        plugin_->deactivate(plugin_);
    }

    void rest() override {
        plugin_->stop_processing(plugin_);
        need(plugin_->start_processing(plugin_), "does not start again");
    }

    uint32_t latency() override {
        const auto* found = static_cast<const clap_plugin_latency_t*>(
            plugin_->get_extension(plugin_, CLAP_EXT_LATENCY));
        return found ? found->get(plugin_) : 0;  // who has none need not say so
    }

    std::vector<std::string> parameters() override {
        std::vector<std::string> names;
        for (auto& [name, id] : ids_) names.push_back(name);
        return names;
    }

    void set(const std::string& name, double value) override {
        clap_event_param_value_t change{};
        change.header = {sizeof change, 0, CLAP_CORE_EVENT_SPACE_ID, CLAP_EVENT_PARAM_VALUE, 0};
        change.param_id = ids_.at(name);
        change.note_id = change.port_index = change.channel = change.key = -1;
        change.value = value;
        const clap_input_events_t in = {&change, [](const clap_input_events_t*) { return 1u; },
                                        [](const clap_input_events_t* list, uint32_t) {
                                            return static_cast<const clap_event_header_t*>(
                                                list->ctx);
                                        }};
        params_->flush(plugin_, &in, &nowhere_);
    }

    double get(const std::string& name) override {
        double value = 0;
        params_->get_value(plugin_, ids_.at(name), &value);
        return value;
    }

    std::string save() override {
        std::string bytes;
        const clap_ostream_t out = {
            &bytes, [](const clap_ostream_t* stream, const void* from, uint64_t size) {
                static_cast<std::string*>(stream->ctx)->append(static_cast<const char*>(from), size);
                return int64_t(size);
            }};
        need(extension<clap_plugin_state_t>(CLAP_EXT_STATE)->save(plugin_, &out), "no state");
        return bytes;
    }

    void load(const std::string& state) override {
        std::pair<const std::string*, size_t> reader{&state, 0};
        const clap_istream_t in = {
            &reader, [](const clap_istream_t* stream, void* to, uint64_t most) {
                auto& [bytes, at] =
                    *static_cast<std::pair<const std::string*, size_t>*>(stream->ctx);
                const size_t n = std::min(size_t(most), bytes->size() - at);
                std::memcpy(to, bytes->data() + at, n);
                at += n;
                return int64_t(n);
            }};
        need(extension<clap_plugin_state_t>(CLAP_EXT_STATE)->load(plugin_, &in), "state refused");
    }

    bool process(float** in, float** out, int frames) override {
        const clap_audio_buffer_t input{in, nullptr, 2, 0, 0};
        clap_audio_buffer_t outputs[4];
        for (int n = 0; n < 4; ++n) {
            const bool there = std::count(left_out_.begin(), left_out_.end(), n) == 0;
            outputs[n] = {there ? out + 2 * n : nullptr, nullptr, there ? 2u : 0u, 0, 3};
        }
        // A transport event, which is none of the plugin's business, in every block.
        const clap_event_header_t transport = {sizeof transport, 0, CLAP_CORE_EVENT_SPACE_ID,
                                               CLAP_EVENT_TRANSPORT, 0};
        const clap_input_events_t events = {
            const_cast<clap_event_header_t*>(&transport),
            [](const clap_input_events_t*) { return 1u; },
            [](const clap_input_events_t* list, uint32_t) {
                return static_cast<const clap_event_header_t*>(list->ctx);
            }};
        clap_process_t process{time_, uint32_t(frames), nullptr, &input, outputs, inputs_, 4,
                               &events, &nowhere_};
        time_ += frames;
        const bool good = plugin_->process(plugin_, &process) == CLAP_PROCESS_CONTINUE;
        for (auto& port : outputs)
            if (port.constant_mask) return false;  // the host would listen to one sample
        return good;
    }

private:
    template <class Extension>
    const Extension* extension(const char* id) {
        const auto* found = static_cast<const Extension*>(plugin_->get_extension(plugin_, id));
        need(found, id);
        return found;
    }

    const clap_plugin_t* plugin_ = nullptr;
    const clap_plugin_params_t* params_ = nullptr;
    std::map<std::string, clap_id> ids_;
    std::vector<int> left_out_;
    double rate_ = 0;
    int max_block_ = 0;
    int64_t time_ = 0;
    uint32_t inputs_ = 0;
    const clap_output_events_t nowhere_ = {
        nullptr, [](const clap_output_events_t*, const clap_event_header_t*) { return true; }};
};

}  // namespace

std::unique_ptr<Hosted> open_clap(const std::string& path) { return std::make_unique<Clap>(path); }
