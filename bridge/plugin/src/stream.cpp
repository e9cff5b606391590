#include "stream.hpp"

#include <cstring>
#include <nlohmann/json.hpp>

namespace stemd::stream {

namespace {

constexpr char kMagic[4] = {'S', 'T', 'M', 'D'};
constexpr uint8_t kFloat32 = 1, kPlanar = 1;
constexpr uint32_t kMinRate = 8000, kMaxRate = 384000;
constexpr uint64_t kLastPosition = uint64_t(1) << 62;  // sums with it must not wrap
constexpr size_t kMaxFeeds = 64, kMaxName = 256;
const char* const kTopics[] = {"all", "vocals", "drums", "bass", "other", "mix"};

template <class Number>
Number get(const uint8_t* from) {
    uint64_t value = 0;
    for (size_t n = 0; n < sizeof(Number); ++n) value |= uint64_t(from[n]) << (8 * n);
    return Number(value);
}

}  // namespace

bool unpack(const void* data, size_t size, Header& header) {
    const auto* bytes = static_cast<const uint8_t*>(data);
    if (size < kHeaderBytes || std::memcmp(bytes, kMagic, 4) != 0) return false;
    if (bytes[4] != kVersion || get<uint16_t>(bytes + 6) != size) return false;
    if (bytes[66] != kFloat32 || bytes[67] != kPlanar) return false;
    header.session = get<uint64_t>(bytes + 8);
    header.sample_pos = get<uint64_t>(bytes + 24);
    header.rate = get<uint32_t>(bytes + 56);
    header.frames = get<uint32_t>(bytes + 60);
    header.channels = get<uint16_t>(bytes + 64);
    header.stem = bytes[68];
    header.state = bytes[69];
    header.flags = get<uint16_t>(bytes + 70);
    header.latency = get<uint32_t>(bytes + 72);
    header.payload_bytes = get<uint32_t>(bytes + 84);
    if (header.rate < kMinRate || header.rate > kMaxRate) return false;
    if (header.frames < 1 || header.frames > kMaxFrames) return false;
    if (header.channels != (header.stem == kAllStems ? 8 : 2)) return false;
    if (header.sample_pos > kLastPosition) return false;
    return header.payload_bytes == header.frames * header.channels * sizeof(float);
}

bool read_welcome(const void* text, size_t size, Welcome& welcome) {
    const auto* bytes = static_cast<const char*>(text);
    const size_t topic = std::strlen(kWelcomeTopic) + 1;
    if (size <= topic || size > kMaxWelcome || std::memcmp(bytes, kWelcomeTopic, topic) != 0)
        return false;
    const auto json = nlohmann::json::parse(bytes + topic, bytes + size, nullptr, false);
    if (!json.is_object()) return false;
    const auto feeds = json.find("feeds"), profile = json.find("profile");
    if (feeds == json.end() || !feeds->is_array() || feeds->size() > kMaxFeeds) return false;
    welcome.feeds.clear();
    for (const auto& feed : *feeds) {
        if (!feed.is_string() || feed.get_ref<const std::string&>().size() > kMaxName) return false;
        welcome.feeds.push_back(feed.get<std::string>());
    }
    const bool named = profile != json.end() && profile->is_string();
    welcome.profile = named ? profile->get<std::string>() : "";
    return !welcome.feeds.empty();
}

std::string audio_topic(const std::string& feed, int stem) {
    return "stemd/1/a/" + feed + "/" + kTopics[stem >= 0 && stem <= 5 ? stem : 0] + "/";
}

}  // namespace stemd::stream
