// CLAP entry: DPF's own, wrapped. DPF knows nothing of offline rendering, crashes in deactivate
// when the host has no latency extension, prints in the audio thread about events that are none of
// its business, and refuses a block when the host leaves out a port.

#include <atomic>
#include <cstring>

#define clap_entry dpf_clap_entry
#include "DistrhoPluginMain.cpp"
#undef clap_entry

#include "host_block.hpp"

namespace {

using stemd::HostBlock;

// ext/render.h, which is missing from DPF's copy of the CLAP headers.
const char kRenderExtension[] = "clap.render";
enum { kRenderRealTime = 0, kRenderOffline = 1 };
struct Render {
    bool(CLAP_ABI* has_hard_realtime_requirement)(const clap_plugin_t*);
    bool(CLAP_ABI* set)(const clap_plugin_t*, int32_t mode);
};

stemd::Spare spare;

struct Wrapped {
    clap_plugin_t face;  // first: a clap_plugin_t* of ours is a Wrapped*
    const clap_plugin_t* dpf;
    clap_host_t host;  // what DPF is told
    const clap_host_t* real_host;
    std::atomic<bool> offline;
};

Wrapped& wrapped(const clap_plugin_t* plugin) {
    return *reinterpret_cast<Wrapped*>(const_cast<clap_plugin_t*>(plugin));
}

// -- the host, as DPF sees it --------------------------------------------------------------------

const clap_host_t* real(const clap_host_t* host) {
    return static_cast<Wrapped*>(host->host_data)->real_host;
}

void CLAP_ABI nothing_changes(const clap_host_t*) {}
const clap_host_latency_t kNoLatency = {nothing_changes};

void CLAP_ABI pass_latency_changed(const clap_host_t* host) {
    const clap_host_t* to = real(host);
    const auto* latency =
        static_cast<const clap_host_latency_t*>(to->get_extension(to, CLAP_EXT_LATENCY));
    if (latency && latency->changed) latency->changed(to);
}
const clap_host_latency_t kLatency = {pass_latency_changed};

// Extensions are called with the host they came from; DPF uses the ones below, and none other
// without a UI.
void CLAP_ABI pass_rescan(const clap_host_t* host, clap_param_rescan_flags flags) {
    const clap_host_t* to = real(host);
    const auto* params =
        static_cast<const clap_host_params_t*>(to->get_extension(to, CLAP_EXT_PARAMS));
    if (params && params->rescan) params->rescan(to, flags);
}
void CLAP_ABI pass_clear(const clap_host_t* host, clap_id id, clap_param_clear_flags flags) {
    const clap_host_t* to = real(host);
    const auto* params =
        static_cast<const clap_host_params_t*>(to->get_extension(to, CLAP_EXT_PARAMS));
    if (params && params->clear) params->clear(to, id, flags);
}
void CLAP_ABI pass_flush(const clap_host_t* host) {
    const clap_host_t* to = real(host);
    const auto* params =
        static_cast<const clap_host_params_t*>(to->get_extension(to, CLAP_EXT_PARAMS));
    if (params && params->request_flush) params->request_flush(to);
}
const clap_host_params_t kParams = {pass_rescan, pass_clear, pass_flush};

const void* CLAP_ABI host_extension(const clap_host_t* host, const char* id) {
    const clap_host_t* to = real(host);
    if (std::strcmp(id, CLAP_EXT_LATENCY) == 0)
        return to->get_extension(to, id) ? &kLatency : &kNoLatency;
    if (std::strcmp(id, CLAP_EXT_PARAMS) == 0) return to->get_extension(to, id) ? &kParams : nullptr;
    return nullptr;
}
void CLAP_ABI pass_restart(const clap_host_t* host) { real(host)->request_restart(real(host)); }
void CLAP_ABI pass_process(const clap_host_t* host) { real(host)->request_process(real(host)); }
void CLAP_ABI pass_callback(const clap_host_t* host) { real(host)->request_callback(real(host)); }

// -- one block ------------------------------------------------------------------------------------

// Only parameter changes, because DPF complains about the others.
uint32_t CLAP_ABI count_changes(const clap_input_events_t* list) {
    const auto* all = static_cast<const clap_input_events_t*>(list->ctx);
    uint32_t count = 0;
    for (uint32_t n = 0, size = all->size(all); n < size; ++n)
        count += all->get(all, n)->type == CLAP_EVENT_PARAM_VALUE;
    return count;
}

const clap_event_header_t* CLAP_ABI get_change(const clap_input_events_t* list, uint32_t index) {
    const auto* all = static_cast<const clap_input_events_t*>(list->ctx);
    for (uint32_t n = 0, size = all->size(all); n < size; ++n) {
        const clap_event_header_t* event = all->get(all, n);
        if (event->type == CLAP_EVENT_PARAM_VALUE && index-- == 0) return event;
    }
    return nullptr;
}

float* channel(const clap_audio_buffer_t* ports, uint32_t count, uint32_t index) {
    const uint32_t port = index / 2, side = index % 2;
    if (!ports || port >= count || side >= ports[port].channel_count) return nullptr;
    return ports[port].data32 ? const_cast<float*>(ports[port].data32[side]) : nullptr;
}

clap_process_status CLAP_ABI process(const clap_plugin_t* plugin, const clap_process_t* given) {
    Wrapped& self = wrapped(plugin);
    HostBlock block{spare};
    block.offline = self.offline;
    block.frames = given->frames_count;
    for (uint32_t c = 0; c < stemd::kInputs; ++c) {
        block.in[c] = channel(given->audio_inputs, given->audio_inputs_count, c);
        if (!block.in[c]) block.in[c] = block.in[0];  // mono is heard on both sides
    }
    for (uint32_t c = 0; c < stemd::kOutputs; ++c)
        block.out[c] = channel(given->audio_outputs, given->audio_outputs_count, c);
    // DPF gets complete ports that lead nowhere; run() looks for the audio in `block`.
    float* waste[2] = {spare.waste, spare.waste};
    float* silence[2] = {spare.silence, spare.silence};
    const clap_audio_buffer_t no_input = {silence, nullptr, 2, 0, 3};
    clap_audio_buffer_t no_output[stemd::kStems];
    for (auto& port : no_output) port = {waste, nullptr, 2, 0, 0};
    const clap_input_events_t changes = {const_cast<clap_input_events_t*>(given->in_events),
                                         count_changes, get_change};
    clap_process_t without_audio = *given;
    without_audio.audio_inputs = &no_input;
    without_audio.audio_outputs = no_output;
    without_audio.audio_inputs_count = DISTRHO_PLUGIN_NUM_INPUTS / 2;
    without_audio.audio_outputs_count = stemd::kStems;
    without_audio.in_events = given->in_events ? &changes : nullptr;
    stemd::host_block = &block;
    const clap_process_status status = self.dpf->process(self.dpf, &without_audio);
    stemd::host_block = nullptr;
    for (uint32_t p = 0; given->audio_outputs && p < given->audio_outputs_count; ++p)
        given->audio_outputs[p].constant_mask = 0;
    return status;
}

// -- the plugin, as the host sees it ------------------------------------------------------------

bool CLAP_ABI has_hard_realtime_requirement(const clap_plugin_t*) { return false; }

bool CLAP_ABI set_render_mode(const clap_plugin_t* plugin, int32_t mode) {
    if (mode != kRenderRealTime && mode != kRenderOffline) return false;
    wrapped(plugin).offline = mode == kRenderOffline;
    return true;
}

const Render kRender = {has_hard_realtime_requirement, set_render_mode};

const void* CLAP_ABI extension(const clap_plugin_t* plugin, const char* id) {
    if (std::strcmp(id, kRenderExtension) == 0) return &kRender;
    const Wrapped& self = wrapped(plugin);
    return self.dpf->get_extension(self.dpf, id);
}

void CLAP_ABI destroy(const clap_plugin_t* plugin) {
    Wrapped& self = wrapped(plugin);
    self.dpf->destroy(self.dpf);
    delete &self;
}

const clap_plugin_factory_t* dpf_factory;

const clap_plugin_t* CLAP_ABI create(const clap_plugin_factory_t*, const clap_host_t* host,
                                     const char* id) {
    if (!host || !id || std::strcmp(id, DISTRHO_PLUGIN_CLAP_ID) != 0) return nullptr;
    auto* self = new Wrapped;
    self->real_host = host;
    self->host = *host;
    self->host.host_data = self;
    self->host.get_extension = host_extension;
    self->host.request_restart = pass_restart;
    self->host.request_process = pass_process;
    self->host.request_callback = pass_callback;
    self->offline = false;
    self->dpf = dpf_factory->create_plugin(dpf_factory, &self->host, id);
    if (!self->dpf) {
        delete self;
        return nullptr;
    }
    self->face = *self->dpf;  // with its plugin_data: DPF's functions take our face for their own
    self->face.destroy = destroy;
    self->face.process = process;
    self->face.get_extension = extension;
    return &self->face;
}

uint32_t CLAP_ABI count(const clap_plugin_factory_t*) {
    return dpf_factory->get_plugin_count(dpf_factory);
}

const clap_plugin_descriptor_t* CLAP_ABI describe(const clap_plugin_factory_t*, uint32_t index) {
    return dpf_factory->get_plugin_descriptor(dpf_factory, index);
}

const clap_plugin_factory_t kFactory = {count, describe, create};

const void* CLAP_ABI factory(const char* id) {
    if (std::strcmp(id, CLAP_PLUGIN_FACTORY_ID) != 0) return nullptr;
    dpf_factory = static_cast<const clap_plugin_factory_t*>(dpf_clap_entry.get_factory(id));
    return dpf_factory ? &kFactory : nullptr;
}

bool CLAP_ABI start(const char* path) { return dpf_clap_entry.init(path); }
void CLAP_ABI finish() { dpf_clap_entry.deinit(); }

}  // namespace

DISTRHO_PLUGIN_EXPORT
const clap_plugin_entry_t clap_entry = {CLAP_VERSION, start, finish, factory};
