// Whatever one plugin instance keeps in the network thread.
#pragma once

#include <cstdint>

namespace stemd {

class Peer {
public:
    virtual ~Peer() = default;
    virtual uint64_t instance() const = 0;
    virtual void detach() = 0;

    // Does what can be done now; never waits.
    virtual void service(uint64_t now_ns) = 0;

    // When to be serviced again although nothing came in, ns; 0: whenever.
    virtual uint64_t due(uint64_t now_ns) {
        (void)now_ns;
        return 0;
    }

    virtual void* socket() const = 0;  // nullptr: none is open
    virtual bool wants_to_send() const { return false; }
};

}  // namespace stemd
