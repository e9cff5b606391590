// VST3 entry: DPF's own, with three of its functions replaced. DPF 1.6 writes only output bus 0, no
// version passes the offline flag on, and all busses claim to be main ones.

#include <cstring>

#define GetPluginFactory dpf_plugin_factory
#include "DistrhoPluginMain.cpp"
#undef GetPluginFactory

#include "host_block.hpp"

namespace {

using stemd::HostBlock;

// All objects of a kind are made with the same functions: one memory of what they were is enough.
v3_result(V3_API* dpf_process)(void*, v3_process_data*);
v3_result(V3_API* dpf_get_bus_info)(void*, int32_t, int32_t, int32_t, v3_bus_info*);
v3_result(V3_API* dpf_query)(void*, const v3_tuid, void**);
v3_result(V3_API* dpf_create)(void*, const v3_tuid, const v3_tuid, void**);

stemd::Spare spare;

// Busses the host left out are silence, or nowhere.
bool gather(const v3_process_data* data, HostBlock& block) {
    const auto frames = uint32_t(data->nframes);
    block.offline = data->process_mode == V3_OFFLINE;
    block.frames = frames;
    const auto channel = [](const v3_audio_bus_buffers* busses, int32_t count, uint32_t index) {
        const int32_t bus = int32_t(index / 2), side = int32_t(index % 2);
        if (!busses || bus >= count || side >= busses[bus].num_channels) return (float*)nullptr;
        float** channels = busses[bus].channel_buffers_32;
        return channels ? channels[side] : nullptr;
    };
    for (uint32_t c = 0; c < stemd::kInputs; ++c) {
        block.in[c] = channel(data->inputs, data->num_input_buses, c);
        // A mono input is heard on both sides.
        if (!block.in[c]) block.in[c] = c ? block.in[0] : spare.silence;
    }
    for (uint32_t c = 0; c < stemd::kOutputs; ++c) {
        block.out[c] = channel(data->outputs, data->num_output_buses, c);
        if (!block.out[c]) block.out[c] = spare.waste;
    }
    return frames <= stemd::kSpareFrames;
}

v3_result V3_API process(void* self, v3_process_data* data) {
    if (data->nframes <= 0 || data->symbolic_sample_size != V3_SAMPLE_32)
        return dpf_process(self, data);
    HostBlock block;
    if (!gather(data, block)) return V3_INVALID_ARG;
    // DPF sees parameters only; the audio is in `block`, where run() looks for it.
    v3_process_data without_audio = *data;
    without_audio.num_input_buses = without_audio.num_output_buses = 0;
    without_audio.inputs = without_audio.outputs = nullptr;
    stemd::host_block = &block;
    const v3_result result = dpf_process(self, &without_audio);
    stemd::host_block = nullptr;
    for (int32_t b = 0; data->outputs && b < data->num_output_buses; ++b)
        data->outputs[b].channel_silence_bitset = 0;
    return result;
}

v3_result V3_API get_bus_info(void* self, int32_t type, int32_t direction, int32_t index,
                              v3_bus_info* info) {
    const v3_result result = dpf_get_bus_info(self, type, direction, index, info);
    if (result == V3_OK && type == V3_AUDIO) {
        info->bus_type = direction == V3_OUTPUT && index > 0 ? V3_AUX : V3_MAIN;
        info->flags = V3_DEFAULT_ACTIVE;
    }
    return result;
}

v3_result V3_API query(void* self, const v3_tuid iid, void** out) {
    const v3_result result = dpf_query(self, iid, out);
    if (result == V3_OK && v3_tuid_match(iid, v3_audio_processor_iid)) {
        auto* processor = *static_cast<v3_audio_processor_cpp**>(*out);
        if (processor->proc.process != process) {
            dpf_process = processor->proc.process;
            processor->proc.process = process;
        }
    }
    return result;
}

v3_result V3_API create(void* self, const v3_tuid class_id, const v3_tuid iid, void** out) {
    const v3_result result = dpf_create(self, class_id, iid, out);
    if (result != V3_OK) return result;
    auto* component = *static_cast<v3_component_cpp**>(*out);
    dpf_query = component->query_interface;
    component->query_interface = query;
    dpf_get_bus_info = component->comp.get_bus_info;
    component->comp.get_bus_info = get_bus_info;
    return result;
}

}  // namespace

DISTRHO_PLUGIN_EXPORT
const void* GetPluginFactory(void);

const void* GetPluginFactory(void) {
    const void* factory = dpf_plugin_factory();
    auto* functions = *static_cast<v3_plugin_factory_cpp**>(const_cast<void*>(factory));
    dpf_create = functions->v1.create_instance;
    functions->v1.create_instance = create;
    return factory;
}
