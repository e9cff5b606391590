// Which daemon to talk to, and what is known about it before it has been reached.
#pragma once

#include <cstdint>
#include <string>

namespace stemd {

struct Endpoint {
    std::string address;  // as ZeroMQ wants it
    std::string key;      // the daemon's CURVE public key, Z85; "insecure"; empty: none
    std::string pair;     // the file with our own keys for it; empty: plugin.key
    bool operator==(const Endpoint& other) const {
        return address == other.address && key == other.key && pair == other.pair;
    }
};

// In place of a key: the person at the other end wants none (`inserts.insecure`).
constexpr char kInsecure[] = "insecure";

// "address" or "address key".
Endpoint parse_endpoint(const std::string& text);

// Whether nobody beyond this machine can be at the other end.
bool is_local(const std::string& address);

// What a daemon writes about itself into its runtime directory.
struct Discovered {
    bool found = false;
    Endpoint endpoint;
    uint32_t hop = 0;      // frames at 44.1 or 48 kHz
    uint32_t minimum = 0;  // likewise: the least latency, without the host's block
};

// The runtime directory of this user's daemons; empty when it is not safe to believe what is in it.
std::string runtime_directory();

// One session's file of plugin inserts, or with session 0 the lowest-numbered whose daemon is alive.
Discovered discover(int session);
Discovered discover_stream(int session);  // the same of the stage's stream
Discovered read_discovery(const std::string& path, const char* what = "plugin");

// Project state, environment, user configuration, discovery file, default: the first that says
// something.
Endpoint resolve(const std::string& from_state, int session);
Endpoint resolve_stream(const std::string& from_state, int session);

// Our own CURVE pair, from ~/.config/stemd/plugin.key; made when there is none.
bool own_keys(std::string& public_key, std::string& secret_key);

// What CURVE needs, onto a socket that is not connected yet; nothing where the endpoint has no key.
// Ours are those a daemon of this user left for this machine's programs, else plugin.key.
bool add_keys(void* socket, const Endpoint& endpoint);

std::string config_directory();

// How many times longer hops are than at 44.1 and 48 kHz.
uint32_t rate_factor(double rate);

// Frames to tell the host. `asked_ms` 0: automatic, from what is known: the daemon's own word for
// this instance `learned` (0: none), the discovery file, or what released models need.
uint32_t plan_latency(double asked_ms, double rate, uint32_t max_block, uint32_t learned,
                      const Discovered& discovered);

}  // namespace stemd
