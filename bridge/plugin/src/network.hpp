// One ZeroMQ context and one thread for all instances of this binary in a process.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include <pthread.h>

#include "peer.hpp"

namespace stemd {

// What a person chose; read by the network thread whenever it likes.
struct Settings {
    std::atomic<int> session{0};
    void set_endpoint(const std::string& text);
    std::string endpoint() const;

private:
    mutable std::mutex mutex_;
    std::string endpoint_;
};

class Network {
public:
    // The one of this process, started when there is none. nullptr: the process has too few file
    // descriptors left, and libzmq would abort it.
    static std::shared_ptr<Network> acquire();
    ~Network();

    void* context() const { return context_; }
    int wake_fd() const { return wake_fd_; }

    // From any thread but the audio thread; what is asked is done soon, by the network thread.
    // `make` is called when the instance has no peer yet.
    using Make = std::function<std::unique_ptr<Peer>(void* context)>;
    void attach(uint64_t instance, Make make, std::function<void(Peer&)> attach);
    void detach(uint64_t instance);
    void forget(uint64_t instance);

private:
    Network() = default;
    bool start();
    void post(std::function<void()> order);
    void loop();
    void set_timer(uint64_t at_ns);
    Peer* find(uint64_t instance);

    void* context_ = nullptr;
    int wake_fd_ = -1;
    int timer_fd_ = -1;
    std::atomic<bool> stop_{false};
    std::mutex mutex_;
    std::vector<std::function<void()>> orders_;
    std::vector<std::unique_ptr<Peer>> peers_;  // the network thread's
    pthread_t thread_{};
    bool running_ = false;
};

// For telling instances apart, on the wire and in the network thread.
uint64_t random_number();

// Descriptors this process may still open.
long free_descriptors();

}  // namespace stemd
