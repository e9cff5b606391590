// VST3 entry: DPF's own, with four of its functions replaced. DPF 1.6 writes only output bus 0, no
// version passes the offline flag on, all busses claim to be main ones, parameters that come without
// audio are lost, and a pause of processing, which may come in the audio thread, ends the activation.

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

void gather(const v3_process_data* data, HostBlock& block) {
    block.offline = data->process_mode == V3_OFFLINE;
    block.frames = uint32_t(data->nframes);
    const auto channel = [](const v3_audio_bus_buffers* busses, int32_t count, uint32_t index) {
        const int32_t bus = int32_t(index / 2), side = int32_t(index % 2);
        if (!busses || bus >= count || side >= busses[bus].num_channels) return (float*)nullptr;
        float** channels = busses[bus].channel_buffers_32;
        return channels ? channels[side] : nullptr;
    };
    for (uint32_t c = 0; c < stemd::kInputs; ++c) {
        block.in[c] = channel(data->inputs, data->num_input_buses, c);
        // A mono input is heard on both sides.
        if (!block.in[c]) block.in[c] = block.in[0];
    }
    for (uint32_t c = 0; c < stemd::kOutputs; ++c)
        block.out[c] = channel(data->outputs, data->num_output_buses, c);
}

// A host may not want to know what changes; DPF would complain about that in the audio thread.
v3_result V3_API no_interface(void*, const v3_tuid, void** out) {
    *out = nullptr;
    return V3_NO_INTERFACE;
}
uint32_t V3_API one_reference(void*) { return 1; }
struct Nowhere {
    v3_param_value_queue_cpp queue{};
    v3_param_changes_cpp changes{};
    v3_param_value_queue_cpp* queue_object = &queue;
    v3_param_changes_cpp* changes_object = &changes;
    Nowhere();
} nowhere;
Nowhere::Nowhere() {
    for (v3_funknown* unknown : {(v3_funknown*)&queue, (v3_funknown*)&changes}) {
        unknown->query_interface = no_interface;
        unknown->ref = unknown->unref = one_reference;
    }
    queue.queue.get_param_id = [](void*) -> v3_param_id { return 0; };
    queue.queue.get_point_count = [](void*) -> int32_t { return 0; };
    queue.queue.get_point = [](void*, int32_t, int32_t*, double*) -> v3_result { return V3_FALSE; };
    queue.queue.add_point = [](void*, int32_t, double, int32_t*) -> v3_result { return V3_OK; };
    changes.changes.get_param_count = [](void*) -> int32_t { return 0; };
    changes.changes.get_param_data = [](void*, int32_t) -> v3_param_value_queue** {
        return reinterpret_cast<v3_param_value_queue**>(&nowhere.queue_object);
    };
    changes.changes.add_param_data = [](void*, v3_param_id*, int32_t*) -> v3_param_value_queue** {
        return reinterpret_cast<v3_param_value_queue**>(&nowhere.queue_object);
    };
}

v3_result V3_API process(void* self, v3_process_data* data) {
    if (data->nframes < 0 || data->symbolic_sample_size != V3_SAMPLE_32) return V3_INVALID_ARG;
    HostBlock block{spare};
    gather(data, block);
    // DPF sees parameters only; the audio is in `block`, where run() looks for it.
    v3_process_data without_audio = *data;
    // A call without frames brings parameters, and DPF would not look at them; of as many as it is
    // told it makes silence that nobody hears.
    without_audio.nframes = 1;
    if (!data->output_params)
        without_audio.output_params = reinterpret_cast<v3_param_changes**>(&nowhere.changes_object);
    without_audio.num_input_buses = without_audio.num_output_buses = 0;
    without_audio.inputs = without_audio.outputs = nullptr;
    stemd::host_block = &block;
    const v3_result result = dpf_process(self, &without_audio);
    stemd::host_block = nullptr;
    for (int32_t b = 0; data->outputs && b < data->num_output_buses; ++b)
        data->outputs[b].channel_silence_bitset = 0;
    return result;
}

// Memory, the daemon and the latency that was told are matters of set_active, in the main thread.
v3_result V3_API set_processing(void*, v3_bool) { return V3_OK; }

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
            processor->proc.set_processing = set_processing;
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
