// A ZeroMQ message of a few parts, received without waiting.
#pragma once

#include <zmq.h>

#include <algorithm>
#include <cstddef>

namespace stemd {

template <size_t kMost>
class Message {
public:
    // Takes one whole message from the socket; parts beyond kMost are counted and thrown away.
    explicit Message(void* socket) {
        for (bool more = true; more; ++count_) {
            zmq_msg_t part;
            zmq_msg_init(&part);
            if (zmq_msg_recv(&part, socket, ZMQ_DONTWAIT) < 0) {
                zmq_msg_close(&part);
                break;
            }
            more = zmq_msg_more(&part) != 0;
            if (count_ < kMost)
                parts_[count_] = part;
            else
                zmq_msg_close(&part);
        }
    }
    ~Message() {
        for (size_t n = 0; n < std::min(count_, kMost); ++n) zmq_msg_close(&parts_[n]);
    }
    Message(const Message&) = delete;
    Message& operator=(const Message&) = delete;

    size_t count() const { return count_; }  // 0: there was none
    void* data(size_t n) { return zmq_msg_data(&parts_[n]); }
    size_t size(size_t n) const { return zmq_msg_size(&parts_[n]); }

private:
    zmq_msg_t parts_[kMost];
    size_t count_ = 0;
};

}  // namespace stemd
