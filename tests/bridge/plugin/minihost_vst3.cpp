// VST3 through the plain C interface that DPF carries ("travesty").
#include <dlfcn.h>

#include <algorithm>
#include <cstring>
#include <stdexcept>

#include "minihost.hpp"
#include "travesty/audio_processor.h"
#include "travesty/component.h"
#include "travesty/edit_controller.h"
#include "travesty/factory.h"

namespace {

void need(bool good, const char* what) {
    if (!good) throw std::runtime_error(what);
}

std::string narrow(const int16_t* text) {
    std::string narrow;
    while (*text) narrow += char(*text++);
    return narrow;
}

uint32_t one_more(void*) { return 1; }
v3_result no_interface(void*, const v3_tuid, void** out) {
    *out = nullptr;
    return V3_NO_INTERFACE;
}

// A stream in memory.
struct Stream : v3_funknown {
    v3_bstream functions;
    std::string bytes;
    size_t at = 0;
    Stream* self = this;
    Stream() {
        query_interface = no_interface;
        ref = unref = one_more;
        functions.read = [](void* p, void* to, int32_t most, int32_t* count) -> v3_result {
            Stream& s = **static_cast<Stream**>(p);
            const size_t n = std::min(size_t(most), s.bytes.size() - s.at);
            std::memcpy(to, s.bytes.data() + s.at, n);
            s.at += n;
            *count = int32_t(n);
            return V3_OK;
        };
        functions.write = [](void* p, void* from, int32_t most, int32_t* count) -> v3_result {
            Stream& s = **static_cast<Stream**>(p);
            s.bytes.append(static_cast<char*>(from), size_t(most));
            *count = most;
            return V3_OK;
        };
        functions.seek = [](void*, int64_t, int32_t, int64_t*) -> v3_result { return V3_FALSE; };
        functions.tell = [](void* p, int64_t* at) -> v3_result {
            *at = int64_t((**static_cast<Stream**>(p)).at);
            return V3_OK;
        };
    }
};

// Where a plugin reports parameters that changed while it processed.
struct Queue : v3_funknown {
    v3_param_value_queue functions;
    v3_param_id id = 0;
    double value = 0;
    Queue* self = this;
    Queue() {
        query_interface = no_interface;
        ref = unref = one_more;
        functions.get_param_id = [](void* p) { return (**static_cast<Queue**>(p)).id; };
        functions.get_point_count = [](void*) -> int32_t { return 1; };
        functions.get_point = [](void* p, int32_t, int32_t* at, double* v) -> v3_result {
            *at = 0;
            *v = (**static_cast<Queue**>(p)).value;
            return V3_OK;
        };
        functions.add_point = [](void* p, int32_t, double v, int32_t* index) -> v3_result {
            (**static_cast<Queue**>(p)).value = v;
            *index = 0;
            return V3_OK;
        };
    }
};

struct Changes : v3_funknown {
    v3_param_changes functions;
    std::vector<std::unique_ptr<Queue>> queues;  // enough for all: no allocation while processing
    int32_t used = 0;
    Changes* self = this;
    Changes() {
        for (int n = 0; n < 64; ++n) queues.push_back(std::make_unique<Queue>());
        query_interface = no_interface;
        ref = unref = one_more;
        functions.get_param_count = [](void* p) { return (**static_cast<Changes**>(p)).used; };
        functions.get_param_data = [](void* p, int32_t index) {
            Changes& all = **static_cast<Changes**>(p);
            return reinterpret_cast<v3_param_value_queue**>(&all.queues[size_t(index)]->self);
        };
        functions.add_param_data = [](void* p, v3_param_id* id, int32_t* index) {
            Changes& all = **static_cast<Changes**>(p);
            *index = all.used++;
            Queue& queue = *all.queues.at(size_t(*index));
            queue.id = *id;
            return reinterpret_cast<v3_param_value_queue**>(&queue.self);
        };
    }
};

class Vst3 : public Hosted {
public:
    explicit Vst3(const std::string& path) {
        void* library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
        need(library, dlerror());
        const auto entry = reinterpret_cast<bool (*)(void*)>(dlsym(library, "ModuleEntry"));
        const auto get = reinterpret_cast<void* (*)()>(dlsym(library, "GetPluginFactory"));
        need(entry && get && entry(library), "no VST3 entry");
        auto** factory = static_cast<v3_plugin_factory**>(get());
        v3_class_info info;
        need(v3_cpp_obj(factory)->get_class_info(factory, 0, &info) == V3_OK, "no class");
        need(v3_cpp_obj(factory)->create_instance(factory, info.class_id, v3_component_iid,
                                                  (void**)&component_) == V3_OK,
             "no component");
        need(v3_cpp_obj_initialize(component_, nullptr) == V3_OK, "not initialized");
        need(v3_cpp_obj_query_interface(component_, v3_audio_processor_iid, &processor_) == V3_OK,
             "no processor");
        need(v3_cpp_obj_query_interface(component_, v3_edit_controller_iid, &controller_) == V3_OK,
             "no controller");
        auto* controller = v3_cpp_obj(controller_);
        for (int32_t n = 0; n < controller->get_parameter_count(controller_); ++n) {
            v3_param_info about;
            controller->get_parameter_info(controller_, n, &about);
            ids_[narrow(about.title)] = about.param_id;
        }
    }

    ~Vst3() override {
        v3_cpp_obj_unref(controller_);
        v3_cpp_obj_unref(processor_);
        v3_cpp_obj_terminate(component_);
        v3_cpp_obj_unref(component_);
    }

    std::vector<Bus> busses(bool input) override {
        std::vector<Bus> busses;
        auto* component = v3_cpp_obj(component_);
        const int direction = input ? V3_INPUT : V3_OUTPUT;
        for (int n = 0; n < component->get_bus_count(component_, V3_AUDIO, direction); ++n) {
            v3_bus_info info;
            component->get_bus_info(component_, V3_AUDIO, direction, n, &info);
            busses.push_back({narrow(info.bus_name), info.channel_count, info.bus_type == V3_MAIN});
        }
        return busses;
    }

    void setup(double rate, int max_block, bool offline) override {
        mode_ = offline ? V3_OFFLINE : V3_REALTIME;
        v3_process_setup setup{mode_, V3_SAMPLE_32, max_block, rate};
        need(v3_cpp_obj(processor_)->setup_processing(processor_, &setup) == V3_OK, "no setup");
        if (pending_.used == 0) return;
        // As hosts do it: parameters reach the processor in a process call, here one of no frames.
        activate();
        float* nothing[8] = {};
        need(process(nothing, nothing, 0), "no flush");
        deactivate();
    }

    void leave_out(const std::vector<int>& outputs) override { left_out_ = outputs; }

    void activate() override {
        auto* component = v3_cpp_obj(component_);
        inputs_ = component->get_bus_count(component_, V3_AUDIO, V3_INPUT);
        for (int n = 0; n < inputs_; ++n)
            component->activate_bus(component_, V3_AUDIO, V3_INPUT, n, true);
        for (int n = 0; n < 4; ++n) {
            const bool out = std::count(left_out_.begin(), left_out_.end(), n) != 0;
            component->activate_bus(component_, V3_AUDIO, V3_OUTPUT, n, !out);
        }
        need(component->set_active(component_, true) == V3_OK, "not active");
        v3_cpp_obj(processor_)->set_processing(processor_, true);
    }

    void deactivate() override {
        v3_cpp_obj(processor_)->set_processing(processor_, false);
        v3_cpp_obj(component_)->set_active(component_, false);
    }

    void rest() override {
        v3_cpp_obj(processor_)->set_processing(processor_, false);
        v3_cpp_obj(processor_)->set_processing(processor_, true);
    }

    uint32_t latency() override { return v3_cpp_obj(processor_)->get_latency_samples(processor_); }

    std::vector<std::string> parameters() override {
        std::vector<std::string> names;
        for (auto& [name, id] : ids_) names.push_back(name);
        return names;
    }

    void set(const std::string& name, double value) override {
        auto* controller = v3_cpp_obj(controller_);
        const v3_param_id id = ids_.at(name);
        const double normal = controller->plain_parameter_to_normalised(controller_, id, value);
        controller->set_parameter_normalised(controller_, id, normal);
        Queue& queue = *pending_.queues.at(size_t(pending_.used++));
        queue.id = id;
        queue.value = normal;
    }

    double get(const std::string& name) override {
        auto* controller = v3_cpp_obj(controller_);
        const v3_param_id id = ids_.at(name);
        return controller->normalised_parameter_to_plain(
            controller_, id, controller->get_parameter_normalised(controller_, id));
    }

    std::string save() override {
        Stream stream;
        auto** given = reinterpret_cast<v3_bstream**>(&stream.self);
        need(v3_cpp_obj(component_)->get_state(component_, given) == V3_OK, "no state");
        return stream.bytes;
    }

    void load(const std::string& state) override {
        Stream stream;
        stream.bytes = state;
        auto** given = reinterpret_cast<v3_bstream**>(&stream.self);
        need(v3_cpp_obj(component_)->set_state(component_, given) == V3_OK, "state refused");
    }

    bool process(float** in, float** out, int frames) override {
        v3_audio_bus_buffers input{2, 0, {in}}, outputs[4];
        for (int n = 0; n < 4; ++n) {
            const bool there = std::count(left_out_.begin(), left_out_.end(), n) == 0;
            outputs[n] = {there ? 2 : 0, 3, {there ? out + 2 * n : nullptr}};
        }
        changes_.used = 0;
        auto** changes = reinterpret_cast<v3_param_changes**>(&changes_.self);
        auto** pending = reinterpret_cast<v3_param_changes**>(&pending_.self);
        v3_process_data data{mode_, V3_SAMPLE_32, frames, inputs_, 4, inputs_ ? &input : nullptr, outputs, pending,
                             changes, nullptr, nullptr, nullptr};
        const bool good = v3_cpp_obj(processor_)->process(processor_, &data) == V3_OK;
        pending_.used = 0;
        for (auto& bus : outputs)
            if (bus.channel_silence_bitset && frames) return false;  // the host would not listen
        auto* controller = v3_cpp_obj(controller_);
        for (int32_t n = 0; n < changes_.used; ++n)
            controller->set_parameter_normalised(controller_, changes_.queues[size_t(n)]->id,
                                                 changes_.queues[size_t(n)]->value);
        return good;
    }

private:
    v3_component** component_ = nullptr;
    v3_audio_processor** processor_ = nullptr;
    v3_edit_controller** controller_ = nullptr;
    std::map<std::string, v3_param_id> ids_;
    std::vector<int> left_out_;
    Changes changes_, pending_;  // from and to the processor
    int32_t mode_ = V3_REALTIME;
    int32_t inputs_ = 0;
};

}  // namespace

std::unique_ptr<Hosted> open_vst3(const std::string& path) { return std::make_unique<Vst3>(path); }
