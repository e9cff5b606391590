#include "subscriber.hpp"

#include <zmq.h>

#include <algorithm>
#include <cstring>

#include "message.hpp"

namespace stemd {

namespace {

constexpr uint64_t kMs = 1'000'000;
constexpr uint64_t kAimEvery = 1000 * kMs;
constexpr uint64_t kLostAfter = 2000 * kMs;  // of silence: audio flows whatever the stage does
constexpr int kMessagesPerTurn = 64;         // so that one receiver does not starve the others
constexpr int kReceiveQueue = 256;           // hops; more would only be late
constexpr size_t kParts = 3;                 // topic, header, samples
constexpr long kDescriptorsPerSocket = 8;
// As PROTOCOL.md's largest hop, and a header.
constexpr int64_t kMaxMessage = int64_t(stream::kMaxFrames) * kOutputs * 4 + 4096;

void set(void* socket, int option, int value) {
    zmq_setsockopt(socket, option, &value, sizeof value);
}

}  // namespace

Subscriber::Subscriber(void* context, uint64_t instance, std::shared_ptr<ReceiverSettings> settings)
    : context_(context), instance_(instance), settings_(std::move(settings)) {}

Subscriber::~Subscriber() { close(); }

void Subscriber::attach(std::shared_ptr<Reception> reception) {
    reception_ = std::move(reception);
    resampling_ = std::make_unique<Resampling>(reception_);
    aim_at_ = heard_at_ = 0;
}

// The stream is not wanted by anybody then: the daemon must not send it.
void Subscriber::detach() {
    close();
    reception_.reset();
    resampling_.reset();
}

void Subscriber::service(uint64_t now) {
    if (!reception_) return;
    aim(now);
    if (!socket_) return;
    choose();
    receive(now);
    if (reception_->link == Link::connected && now > heard_at_ + kLostAfter)
        reception_->link = Link::searching;
}

// Where to, is asked again every second while nobody is there, and when a person changes it.
void Subscriber::aim(uint64_t now) {
    const int session = settings_->session;
    const std::string text = settings_->endpoint();
    const bool changed = session != aimed_session_ || text != aimed_text_;
    const bool well = now < heard_at_ + kLostAfter;
    if (!changed && aim_at_ != 0 && (well || now < aim_at_)) return;
    aim_at_ = now + kAimEvery;
    aimed_session_ = session;
    aimed_text_ = text;
    const Endpoint endpoint = resolve_stream(text, session);
    if (socket_ && endpoint == endpoint_) return;
    close();
    endpoint_ = endpoint;
    const auto show = [&](Link link) { reception_->link = link; };
    if (!is_local(endpoint.address) && endpoint.key.empty()) return show(Link::needs_key);
    if (free_descriptors() < kDescriptorsPerSocket) return show(Link::no_descriptors);
    if (!open(endpoint)) return show(Link::strange_answer);
    show(Link::searching);
}

bool Subscriber::open(const Endpoint& endpoint) {
    socket_ = zmq_socket(context_, ZMQ_SUB);
    if (!socket_) return false;
    // Not always: of a name with both kinds of addresses libzmq would try the newer one only.
    set(socket_, ZMQ_IPV6, endpoint.address.find('[') != std::string::npos);
    set(socket_, ZMQ_LINGER, 0);
    set(socket_, ZMQ_RCVHWM, kReceiveQueue);
    set(socket_, ZMQ_HEARTBEAT_IVL, 1000);
    set(socket_, ZMQ_HEARTBEAT_TIMEOUT, 3000);
    set(socket_, ZMQ_HANDSHAKE_IVL, 2000);
    set(socket_, ZMQ_RECONNECT_IVL, 100);
    set(socket_, ZMQ_RECONNECT_IVL_MAX, 1000);
    zmq_setsockopt(socket_, ZMQ_MAXMSGSIZE, &kMaxMessage, sizeof kMaxMessage);
    // Before the connection, or the welcome is missed.
    zmq_setsockopt(socket_, ZMQ_SUBSCRIBE, stream::kWelcomeTopic,
                   std::strlen(stream::kWelcomeTopic));
    if (add_keys(socket_, endpoint) && zmq_connect(socket_, endpoint.address.c_str()) == 0)
        return true;
    close();
    return false;
}

void Subscriber::close() {
    if (socket_) zmq_close(socket_);
    socket_ = nullptr;
    welcome_ = {};
    topic_.clear();
}

// What a person chose of what the daemon has.
void Subscriber::choose() {
    if (welcome_.feeds.empty()) return;
    const int feed = settings_->feed;
    const bool there = feed >= 0 && size_t(feed) < welcome_.feeds.size();
    const std::string wanted =
        there ? stream::audio_topic(welcome_.feeds[size_t(feed)], settings_->stem) : "";
    if (!there) reception_->link = Link::no_such_feed;
    if (wanted == topic_) return;
    if (!topic_.empty()) zmq_setsockopt(socket_, ZMQ_UNSUBSCRIBE, topic_.data(), topic_.size());
    topic_ = wanted;
    if (!there) return;
    zmq_setsockopt(socket_, ZMQ_SUBSCRIBE, topic_.data(), topic_.size());
    if (reception_->link == Link::no_such_feed) reception_->link = Link::searching;
}

// One part is a welcome, three are audio. Whatever is not, is thrown away as a whole and counted.
void Subscriber::receive(uint64_t now) {
    for (int n = 0; n < kMessagesPerTurn; ++n) {
        Message<kParts> message(socket_);
        if (message.count() == 0) return;
        if (message.count() == 1)
            welcome(message.data(0), message.size(0));
        else if (message.count() != kParts)
            ++reception_->malformed;
        else if (std::string(static_cast<const char*>(message.data(0)), message.size(0)) == topic_)
            audio(message.data(1), message.size(1), message.data(2), message.size(2), now);
    }
}

void Subscriber::welcome(const void* text, size_t size) {
    stream::Welcome read;
    if (!stream::read_welcome(text, size, read)) {
        ++reception_->malformed;
        if (reception_->link == Link::searching) reception_->link = Link::strange_answer;
        return;
    }
    welcome_ = std::move(read);
    reception_->profile = profile_number(welcome_.profile);
    choose();
}

void Subscriber::audio(const void* head, size_t head_size, const void* payload, size_t size,
                       uint64_t now) {
    stream::Header header;
    if (!stream::unpack(head, head_size, header) || size != header.payload_bytes) {
        ++reception_->malformed;
        return;
    }
    heard_at_ = now;
    reception_->link = Link::connected;
    resampling_->block(header, static_cast<const uint8_t*>(payload), now);
}

}  // namespace stemd
