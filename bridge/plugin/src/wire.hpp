// The bytes between plugin and daemon. The table is in stemd/wire/PROTOCOL.md, the Python twin in
// stemd/wire/plugin.py; both are held to the same literals (tests/bridge/plugin/golden.json).
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>

namespace stemd::wire {

constexpr size_t kHeaderBytes = 48;
constexpr uint8_t kVersion = 1;
constexpr uint32_t kMaxFrames = 8192;
constexpr size_t kMaxText = 1024;

enum Type : uint8_t {
    HELLO = 1,
    WELCOME = 2,
    AUDIO = 3,
    STEMS = 4,
    PING = 5,
    PONG = 6,
    ERROR = 7,
    BYE = 8,
};

enum Flag : uint32_t { OFFLINE = 1, GAP = 2, LATE = 4, DRY = 8 };

struct Header {
    uint8_t type = 0;
    uint16_t channels = 0;
    uint32_t epoch = 0;
    uint32_t rate = 0;
    uint64_t position = 0;
    uint32_t frames = 0;
    uint32_t flags = 0;
    uint64_t t_ns = 0;
    uint64_t instance = 0;
};

void pack(const Header& header, uint8_t bytes[kHeaderBytes]);

// False when these are not the bytes of a header of our version, or a count in it makes no sense.
bool unpack(const void* bytes, size_t size, Header& header);

// Bytes that must follow a header.
size_t payload_bytes(const Header& header);

// "key=value\n" lines. False when a line is something else; later keys win.
bool read_lines(const void* bytes, size_t size, std::map<std::string, std::string>& lines);

// What WELCOME promises, all in frames at the session's rate.
struct Welcome {
    uint32_t hop = 0;
    uint32_t algorithmic = 0;
    uint32_t minimum = 0;
    uint32_t credit = 0;
    std::string model, profile;
};

bool read_welcome(const void* bytes, size_t size, Welcome& welcome);

}  // namespace stemd::wire
