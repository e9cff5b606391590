// What people are shown: numbers on their way through a parameter, and their names.
#pragma once

#include <algorithm>
#include <iterator>
#include <string>

namespace stemd {

enum class Link : int {
    off,              // not active
    searching,        // nobody answers yet
    connected,        // stems flow
    refused,          // the daemon said why, see the terminal
    latency_too_low,  // connected, but stems cannot be in time
    no_descriptors,   // the host has no file descriptors left for us
    needs_key,        // the endpoint is not on this machine and has no key
    strange_answer,   // something else answers there, or a daemon of another version
    no_such_feed,     // the daemon has fewer feeds than was asked for
};

constexpr const char* kLinkNames[] = {"off",           "searching",      "connected",
                                      "refused",       "latency too low", "no descriptors",
                                      "needs key",     "strange answer", "no such feed"};

constexpr const char* kProfileNames[] = {"unknown", "tight", "live", "quality", "classic"};

inline int profile_number(const std::string& name) {
    const auto* found = std::find(std::begin(kProfileNames), std::end(kProfileNames), name);
    return found == std::end(kProfileNames) ? 0 : int(found - kProfileNames);
}

}  // namespace stemd
