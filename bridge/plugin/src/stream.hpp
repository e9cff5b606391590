// The bytes of the daemon's audio topics. The table is in stemd/wire/PROTOCOL.md, the Python twin
// in stemd/wire/header.py; both are held to the same literals (tests/bridge/plugin/stream.json).
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace stemd::stream {

constexpr size_t kHeaderBytes = 96;
constexpr uint8_t kVersion = 1;
constexpr uint32_t kMaxFrames = 16384;  // of one hop
constexpr size_t kMaxWelcome = 65536;   // bytes
constexpr uint8_t kAllStems = 255;

struct Header {
    uint64_t session = 0;
    uint64_t sample_pos = 0;
    uint32_t rate = 0;  // Hz, nominal
    uint32_t frames = 0;
    uint16_t channels = 0;
    uint8_t stem = 0;  // 0 mix, 1 … 4 the stems, kAllStems
    uint8_t state = 0;
    uint16_t flags = 0;
    uint32_t latency = 0;  // samples, input to this output
    uint32_t payload_bytes = 0;
};

// False when these are not the bytes of an audio header of our version, or a count in it makes no
// sense. Later minor versions may have longer headers.
bool unpack(const void* bytes, size_t size, Header& header);

// What of the daemon's own description matters here.
struct Welcome {
    std::vector<std::string> feeds;
    std::string profile;
};

// `text` as it comes: the topic, a NUL and JSON.
bool read_welcome(const void* text, size_t size, Welcome& welcome);

constexpr char kWelcomeTopic[] = "stemd/1/w/";

// Of a feed's stem: 0 all, 1 … 4 one of them, 5 the mix.
std::string audio_topic(const std::string& feed, int stem);

}  // namespace stemd::stream
