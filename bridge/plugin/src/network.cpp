#include "network.hpp"

#include <dirent.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/timerfd.h>
#include <unistd.h>
#include <zmq.h>

#include <chrono>
#include <cstdlib>
#include <random>

namespace stemd {

namespace {

// The context's own (reaper, I/O thread), our event and one connection with room to reconnect.
constexpr long kDescriptorsToStart = 32;
constexpr long kTurn_ms = 100;  // at most between two looks at timers and settings

std::mutex shared_mutex;
std::weak_ptr<Network> shared;

uint64_t monotonic_ns() {
    return uint64_t(std::chrono::duration_cast<std::chrono::nanoseconds>(
                        std::chrono::steady_clock::now().time_since_epoch())
                        .count());
}

}  // namespace

uint64_t random_number() {
    std::random_device device;
    return uint64_t(device()) << 32 | device();
}

long free_descriptors() {
    rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return 0;
    DIR* open = opendir("/proc/self/fd");
    if (!open) return 0;  // not even one
    long used = 0;
    while (readdir(open)) ++used;
    closedir(open);
    if (limit.rlim_cur == RLIM_INFINITY) return 1 << 20;
    return long(limit.rlim_cur) - used;
}

void Settings::set_endpoint(const std::string& text) {
    const std::lock_guard<std::mutex> hold(mutex_);
    endpoint_ = text;
}

std::string Settings::endpoint() const {
    const std::lock_guard<std::mutex> hold(mutex_);
    return endpoint_;
}

std::shared_ptr<Network> Network::acquire() {
    const std::lock_guard<std::mutex> hold(shared_mutex);
    if (auto network = shared.lock()) return network;
    if (free_descriptors() < kDescriptorsToStart) return nullptr;
    std::shared_ptr<Network> network(new Network);
    if (!network->start()) return nullptr;
    shared = network;
    return network;
}

bool Network::start() {
    wake_fd_ = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    timer_fd_ = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    context_ = zmq_ctx_new();
    if (wake_fd_ < 0 || timer_fd_ < 0 || !context_) return false;
    // Whoever activates us may be a real-time thread: ours must not inherit that, nor its signals.
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setinheritsched(&attributes, PTHREAD_EXPLICIT_SCHED);
    pthread_attr_setschedpolicy(&attributes, SCHED_OTHER);
    const auto run = [](void* self) -> void* {
        static_cast<Network*>(self)->loop();
        return nullptr;
    };
    running_ = pthread_create(&thread_, &attributes, run, this) == 0;
    pthread_attr_destroy(&attributes);
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
    return running_;
}

Network::~Network() {
    if (running_) {
        stop_ = true;
        post([] {});
        pthread_join(thread_, nullptr);
    }
    if (context_) zmq_ctx_term(context_);
    if (wake_fd_ >= 0) close(wake_fd_);
    if (timer_fd_ >= 0) close(timer_fd_);
}

// zmq_poll counts in milliseconds, which is too coarse for blocks. 0: none.
void Network::set_timer(uint64_t at_ns) {
    itimerspec at{};
    at.it_value.tv_sec = time_t(at_ns / 1'000'000'000);
    at.it_value.tv_nsec = long(at_ns % 1'000'000'000);
    timerfd_settime(timer_fd_, TFD_TIMER_ABSTIME, &at, nullptr);
}

void Network::post(std::function<void()> order) {
    {
        const std::lock_guard<std::mutex> hold(mutex_);
        orders_.push_back(std::move(order));
    }
    const uint64_t one = 1;
    (void)!write(wake_fd_, &one, sizeof one);
}

Peer* Network::find(uint64_t instance) {
    for (auto& peer : peers_)
        if (peer->instance() == instance) return peer.get();
    return nullptr;
}

void Network::attach(uint64_t instance, Make make, std::function<void(Peer&)> attach) {
    post([this, instance, make = std::move(make), attach = std::move(attach)] {
        if (!find(instance)) peers_.push_back(make(context_));
        attach(*find(instance));
    });
}

void Network::detach(uint64_t instance) {
    post([this, instance] {
        if (Peer* peer = find(instance)) peer->detach();
    });
}

void Network::forget(uint64_t instance) {
    post([this, instance] {
        for (auto at = peers_.begin(); at != peers_.end(); ++at)
            if ((*at)->instance() == instance) {
                peers_.erase(at);
                return;
            }
    });
}

void Network::loop() {
    pthread_setname_np(pthread_self(), "stemd-plugin");
    std::vector<zmq_pollitem_t> items;
    while (true) {
        uint64_t ignored;
        for (const int fd : {wake_fd_, timer_fd_})
            while (read(fd, &ignored, sizeof ignored) > 0) {
            }
        std::vector<std::function<void()>> orders;
        {
            const std::lock_guard<std::mutex> hold(mutex_);
            orders.swap(orders_);
        }
        for (auto& order : orders) order();
        if (stop_) break;
        const uint64_t now = monotonic_ns();
        items.assign({{nullptr, wake_fd_, ZMQ_POLLIN, 0}, {nullptr, timer_fd_, ZMQ_POLLIN, 0}});
        uint64_t look_at = 0;
        for (auto& peer : peers_) {
            peer->service(now);
            const uint64_t due = peer->due(monotonic_ns());
            if (due && (!look_at || due < look_at)) look_at = due;
            if (!peer->socket()) continue;
            const short out = peer->wants_to_send() ? ZMQ_POLLOUT : 0;
            items.push_back({peer->socket(), 0, short(ZMQ_POLLIN | out), 0});
        }
        set_timer(look_at);
        zmq_poll(items.data(), int(items.size()), kTurn_ms);
    }
    peers_.clear();  // sockets are closed by the thread that used them
}

}  // namespace stemd
