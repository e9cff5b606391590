#include "wire.hpp"

#include <algorithm>
#include <charconv>
#include <cstring>

namespace stemd::wire {

namespace {

constexpr char kMagic[4] = {'S', 'T', 'I', 'N'};
constexpr uint64_t kLastPosition = uint64_t(1) << 62;  // sums with it must not wrap
// Beyond these a number is an accident, and would become an allocation or a wait.
constexpr uint32_t kMaxHop = 1 << 16;
constexpr uint32_t kMaxLatency = 1 << 22;

template <class Number>
void put(uint8_t* to, Number value) {
    for (size_t n = 0; n < sizeof(Number); ++n) to[n] = uint8_t(uint64_t(value) >> (8 * n));
}

template <class Number>
Number get(const uint8_t* from) {
    uint64_t value = 0;
    for (size_t n = 0; n < sizeof(Number); ++n) value |= uint64_t(from[n]) << (8 * n);
    return Number(value);
}

}  // namespace

void pack(const Header& header, uint8_t bytes[kHeaderBytes]) {
    std::memcpy(bytes, kMagic, 4);
    bytes[4] = kVersion;
    bytes[5] = header.type;
    put(bytes + 6, header.channels);
    put(bytes + 8, header.epoch);
    put(bytes + 12, header.rate);
    put(bytes + 16, header.position);
    put(bytes + 24, header.frames);
    put(bytes + 28, header.flags);
    put(bytes + 32, header.t_ns);
    put(bytes + 40, header.instance);
}

bool unpack(const void* data, size_t size, Header& header) {
    const auto* bytes = static_cast<const uint8_t*>(data);
    if (size != kHeaderBytes || std::memcmp(bytes, kMagic, 4) != 0) return false;
    if (bytes[4] != kVersion || bytes[5] < HELLO || bytes[5] > BYE) return false;
    header.type = bytes[5];
    header.channels = get<uint16_t>(bytes + 6);
    header.epoch = get<uint32_t>(bytes + 8);
    header.rate = get<uint32_t>(bytes + 12);
    header.position = get<uint64_t>(bytes + 16);
    header.frames = get<uint32_t>(bytes + 24);
    header.flags = get<uint32_t>(bytes + 28);
    header.t_ns = get<uint64_t>(bytes + 32);
    header.instance = get<uint64_t>(bytes + 40);
    const uint16_t channels = header.type == AUDIO ? 2 : header.type == STEMS ? 8 : 0;
    if (header.channels != channels || header.position > kLastPosition) return false;
    if (channels == 0) return header.frames == 0;
    return header.frames >= 1 && header.frames <= kMaxFrames;
}

size_t payload_bytes(const Header& header) {
    return size_t(header.frames) * header.channels * sizeof(float);
}

bool read_lines(const void* bytes, size_t size, std::map<std::string, std::string>& lines) {
    if (size > kMaxText) return false;
    const std::string text(static_cast<const char*>(bytes), size);
    for (size_t from = 0; from < text.size();) {
        const size_t end = std::min(text.find('\n', from), text.size());
        const std::string line = text.substr(from, end - from);
        const size_t equals = line.find('=');
        if (equals == std::string::npos || equals == 0) return false;
        lines[line.substr(0, equals)] = line.substr(equals + 1);
        from = end + 1;
    }
    return true;
}

bool read_welcome(const void* bytes, size_t size, Welcome& welcome) {
    std::map<std::string, std::string> lines;
    if (!read_lines(bytes, size, lines)) return false;
    const auto number = [&](const char* key, uint32_t low, uint32_t high, uint32_t& value) {
        const std::string& text = lines[key];
        const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
        return error == std::errc() && end == text.data() + text.size() && !text.empty() &&
               value >= low && value <= high;
    };
    welcome.model = lines["model"];
    welcome.profile = lines["profile"];
    return number("hop", 1, kMaxHop, welcome.hop) &&
           number("algorithmic", 0, kMaxLatency, welcome.algorithmic) &&
           number("minimum", 0, kMaxLatency, welcome.minimum) &&
           number("credit", 1, UINT32_MAX, welcome.credit) &&
           lines["stems"] == "vocals,drums,bass,other";
}

}  // namespace stemd::wire
