#include "client.hpp"

#include <zmq.h>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <fstream>

#include "message.hpp"

namespace stemd {

namespace {

constexpr uint64_t kMs = 1'000'000;
constexpr uint64_t kAimEvery = 1000 * kMs;   // look again who is there
constexpr uint64_t kGreetEvery = 1000 * kMs;  // until a WELCOME comes
constexpr uint64_t kGreetSoon = 50 * kMs;     // when not even the HELLO could be sent
constexpr uint64_t kRefusedFor = 2000 * kMs;
constexpr uint64_t kPingAfter = 500 * kMs;   // of silence of our own
constexpr uint64_t kLostAfter = 3000 * kMs;  // six unanswered PINGs
constexpr uint32_t kMergeLive = 1024;        // frames in one message; more would only be late
constexpr int kMessagesPerTurn = 64;         // so that one instance does not starve the others
constexpr int kSendQueue = 64, kReceiveQueue = 256;  // messages; more would only be late
constexpr int kLinger_ms = 50;                       // for the BYE
constexpr long kDescriptorsPerSocket = 8;
const char kUnknownInstance[] = "unknown instance";

void set(void* socket, int option, int value) {
    zmq_setsockopt(socket, option, &value, sizeof value);
}

std::string host_name() {  // of the program we are in
    std::string name;
    std::ifstream file("/proc/self/comm");
    std::getline(file, name);
    for (char& c : name)
        if (c < ' ' || c > '~') c = '?';
    return name.substr(0, 64);
}

}  // namespace

Client::Client(void* context, uint64_t instance, std::shared_ptr<Settings> settings)
    : context_(context),
      instance_(instance),
      settings_(std::move(settings)),
      scratch_(size_t(wire::kMaxFrames) * kInputs) {}

Client::~Client() {
    detach();
    close();
}

void Client::attach(std::shared_ptr<Session> session) {
    session_ = std::move(session);
    state_ = State::greeting;
    greet_at_ = aim_at_ = 0;
    sent_until_ = got_until_ = 0;
    first_ = true;
    said_.clear();
    show(Link::searching);
}

void Client::detach() {
    if (session_ && socket_) {
        wire::Header bye;
        bye.type = wire::BYE;
        send(bye, nullptr, 0);
    }
    state_ = State::idle;
    blocked_ = false;
    session_.reset();
}

void Client::service(uint64_t now) {
    if (!session_) return;
    blocked_ = false;
    aim(now);
    if (socket_) receive(now);
    if (state_ == State::refused && now >= greet_at_) state_ = State::greeting;
    if (state_ == State::running && now > heard_at_ + kLostAfter) {
        state_ = State::greeting;
        greet_at_ = 0;
        session_->welcomed = false;
        show(Link::searching);
    }
    if (!socket_) {
        discard_stale();
        return;
    }
    if (state_ == State::greeting && now >= greet_at_) greet(now);
    if (state_ == State::running) {
        pump(now);
        show(verdict());
        if (now > sent_at_ + kPingAfter) {
            wire::Header ping;
            ping.type = wire::PING;
            ping.t_ns = now;
            send(ping, nullptr, 0);
            sent_at_ = now;
        }
    } else {
        discard_stale();
    }
}

// Where to, is asked again every second while nobody is there, and when a person changes it.
void Client::aim(uint64_t now) {
    const int session = settings_->session;
    const std::string text = settings_->endpoint();
    const bool changed = session != aimed_session_ || text != aimed_text_;
    if (!changed && (state_ == State::running || now < aim_at_)) return;
    aim_at_ = now + kAimEvery;
    aimed_session_ = session;
    aimed_text_ = text;
    const Endpoint endpoint = resolve(text, session);
    if (socket_ && endpoint == endpoint_) return;
    close();
    endpoint_ = endpoint;
    if (state_ == State::running) state_ = State::greeting;
    session_->welcomed = false;
    greet_at_ = 0;
    if (endpoint.address.empty()) return show(Link::searching);
    if (!is_local(endpoint.address) && endpoint.key.empty()) return show(Link::needs_key);
    if (free_descriptors() < kDescriptorsPerSocket) return show(Link::no_descriptors);
    if (!open(endpoint)) return show(Link::strange_answer);
    show(Link::searching);
}

bool Client::open(const Endpoint& endpoint) {
    socket_ = zmq_socket(context_, ZMQ_DEALER);
    if (!socket_) return false;
    set(socket_, ZMQ_LINGER, kLinger_ms);
    set(socket_, ZMQ_SNDHWM, kSendQueue);
    set(socket_, ZMQ_RCVHWM, kReceiveQueue);
    // Not always: of a name with both kinds of addresses libzmq would try the newer one only.
    set(socket_, ZMQ_IPV6, endpoint.address.find('[') != std::string::npos);
    set(socket_, ZMQ_IMMEDIATE, 1);
    set(socket_, ZMQ_HEARTBEAT_IVL, 500);
    set(socket_, ZMQ_HEARTBEAT_TIMEOUT, 2000);
    set(socket_, ZMQ_HANDSHAKE_IVL, 2000);
    set(socket_, ZMQ_RECONNECT_IVL, 100);
    set(socket_, ZMQ_RECONNECT_IVL_MAX, 1000);
    const int64_t most = int64_t(wire::kMaxFrames) * kOutputs * 4;
    zmq_setsockopt(socket_, ZMQ_MAXMSGSIZE, &most, sizeof most);
    if (add_keys(socket_, endpoint) && zmq_connect(socket_, endpoint.address.c_str()) == 0)
        return true;
    close();
    return false;
}

void Client::close() {
    if (socket_) zmq_close(socket_);
    socket_ = nullptr;
}

// A message is a header and a payload. Whatever is not, is thrown away as a whole and counted.
void Client::receive(uint64_t now) {
    for (int n = 0; n < kMessagesPerTurn; ++n) {
        Message<2> message(socket_);
        if (message.count() == 0) return;
        wire::Header header;
        if (message.count() != 2 || !wire::unpack(message.data(0), message.size(0), header))
            ++session_->malformed;
        else if (header.epoch == session_->epoch && header.instance == instance_)
            understand(header, message.data(1), message.size(1), now);
    }
    blocked_ = true;  // there may be more: come back at once
}

void Client::understand(const wire::Header& header, const void* payload, size_t size,
                        uint64_t now) {
    switch (header.type) {
        case wire::WELCOME:
            heard_at_ = now;
            return welcome(payload, size);
        case wire::STEMS:
            if (size != wire::payload_bytes(header) || header.rate != session_->rate ||
                header.position + header.frames > sent_until_)
                break;
            heard_at_ = now;
            return stems(header, static_cast<const float*>(payload));
        case wire::PONG:
            heard_at_ = now;
            return;
        case wire::ERROR:
            heard_at_ = now;
            return refusal(std::string(static_cast<const char*>(payload),
                                       std::min(size, wire::kMaxText)),
                           now);
        default:
            break;
    }
    ++session_->malformed;
}

void Client::welcome(const void* payload, size_t size) {
    wire::Welcome welcome;
    if (!wire::read_welcome(payload, size, welcome)) {
        ++session_->malformed;
        if (state_ != State::running) show(Link::strange_answer);
        return;
    }
    if (state_ == State::running) return;  // a HELLO was answered twice
    credit_ = welcome.credit;
    session_->algorithmic = welcome.algorithmic;
    session_->minimum = welcome.minimum;
    session_->profile = profile_number(welcome.profile);
    session_->welcomed = true;
    state_ = State::running;
    first_ = true;
    said_.clear();
    ++session_->flow;
    show(verdict());
    session_->announce();
}

void Client::stems(const wire::Header& header, const float* samples) {
    got_until_ = std::max(got_until_, header.position + header.frames);
    // Nearly always aligned for floats, but nobody promises it.
    std::vector<float> copy;
    if (reinterpret_cast<uintptr_t>(samples) % alignof(float) != 0) {
        copy.resize(size_t(header.frames) * kOutputs);
        std::memcpy(copy.data(), samples, copy.size() * sizeof(float));
        samples = copy.data();
    }
    if (session_->down.write(header.position, header.frames, samples) == 0) return;  // too late
    ++session_->flow;
    session_->announce();
}

void Client::refusal(const std::string& sentence, uint64_t now) {
    session_->welcomed = false;
    if (sentence.rfind(kUnknownInstance, 0) == 0) {  // it was restarted, or has evicted us
        if (state_ == State::running) greet_at_ = 0;
        state_ = State::greeting;
        return show(Link::searching);
    }
    state_ = State::refused;
    greet_at_ = now + kRefusedFor;
    show(Link::refused);
    if (sentence != said_) std::fprintf(stderr, "stemd insert: refused: %s\n", sentence.c_str());
    said_ = sentence;
}

void Client::greet(uint64_t now) {
    wire::Header hello;
    hello.type = wire::HELLO;
    if (session_->offline) hello.flags = wire::OFFLINE;
    hello.t_ns = now;
    const std::string text = "protocol=1\nrole=insert\nblock=" +
                             std::to_string(session_->max_block) +
                             "\nlatency=" + std::to_string(session_->latency) +
                             "\noffline=" + (session_->offline ? "1" : "0") +
                             "\nname=" + host_name() + "\n";
    const bool sent = send(hello, text.data(), text.size());
    greet_at_ = now + (sent ? kGreetEvery : kGreetSoon);
}

// Contiguous blocks of the host travel together. Offline no further than the daemon's credit.
void Client::pump(uint64_t now) {
    UpRing& up = session_->up;
    const bool offline = session_->offline;
    discard_stale();
    bool moved = false;
    while (const Record* record = up.peek()) {
        // Behind a hole credit begins anew: who waits for stems of before may wait for ever.
        if (first_ || record->position != sent_until_) got_until_ = record->position;
        uint64_t most = kMergeLive;
        if (offline) {
            const uint64_t end = got_until_ + credit_;
            if (record->position + record->frames > end) break;
            most = std::min<uint64_t>(wire::kMaxFrames, end - record->position);
        }
        wire::Header audio;
        audio.type = wire::AUDIO;
        audio.channels = kInputs;
        audio.position = record->position;
        audio.t_ns = record->t_ns;
        if (offline) audio.flags |= wire::OFFLINE;
        if (audio.position != sent_until_) audio.flags |= wire::GAP;
        uint32_t records = 0;
        for (const Record* next = record; next; next = up.peek(++records)) {
            if (next->position != audio.position + audio.frames) break;
            if (records && audio.frames + next->frames > most) break;
            audio.frames += next->frames;
        }
        uint32_t taken = 0;
        // Whether there is room in the socket is asked before anything leaves the ring.
        int events = 0;
        size_t size = sizeof events;
        zmq_getsockopt(socket_, ZMQ_EVENTS, &events, &size);
        if (!(events & ZMQ_POLLOUT)) {
            blocked_ = true;
            break;
        }
        for (uint32_t n = 0; n < records; ++n) {
            const uint32_t frames = up.peek()->frames;
            up.pop(&scratch_[size_t(taken) * kInputs]);
            taken += frames;
        }
        if (send(audio, scratch_.data(), wire::payload_bytes(audio))) sent_at_ = now;
        sent_until_ = audio.position + audio.frames;
        first_ = false;
        moved = true;
    }
    if (moved && offline) session_->announce();
}

// Input whose stems could only come after they should have been heard.
void Client::discard_stale() {
    const uint64_t heard = session_->down.read_until();
    const bool lost = state_ == State::running;
    bool moved = false;
    while (const Record* record = session_->up.peek()) {
        if (record->position + record->frames > heard) break;
        if (lost) session_->dropped += record->frames;
        session_->up.pop(nullptr);
        moved = true;
    }
    if (moved) session_->announce();
}

bool Client::send(wire::Header header, const void* payload, size_t size) {
    header.epoch = session_->epoch;
    header.rate = session_->rate;
    header.instance = instance_;
    uint8_t bytes[wire::kHeaderBytes];
    wire::pack(header, bytes);
    if (zmq_send(socket_, bytes, sizeof bytes, ZMQ_DONTWAIT | ZMQ_SNDMORE) < 0) {
        blocked_ = true;
        return false;
    }
    return zmq_send(socket_, payload, size, ZMQ_DONTWAIT) >= 0;
}

// What the person sees of a connection that runs.
Link Client::verdict() const {
    const uint32_t needed = session_->offline ? session_->algorithmic.load()
                                              : std::max(session_->algorithmic.load(),
                                                         session_->needed());
    return session_->latency < needed ? Link::latency_too_low : Link::connected;
}

void Client::show(Link link) {
    if (session_->link.exchange(link) != link) session_->announce();
}

}  // namespace stemd
