#include "endpoint.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zmq.h>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <map>
#include <nlohmann/json.hpp>

namespace stemd {

namespace {

constexpr size_t kMaxFile = 65536;
constexpr int kSessions = 16;
constexpr uint32_t kDefaultHop = 256;  // the live profile; nothing else is known without a daemon
constexpr double kDefaultCompute_s = 0.003;  // and what its minimum adds for the model
constexpr double kMaxLatency_s = 4.0;
const char kDefaultStream[] = "tcp://127.0.0.1:5570";  // zeromq.audio_port

std::string environment(const char* name) {
    const char* value = std::getenv(name);
    return value ? value : "";
}

bool read_small(const std::string& path, std::string& text) {
    std::ifstream file(path, std::ios::binary);
    if (!file) return false;
    text.assign(std::istreambuf_iterator<char>(file), {});
    return text.size() <= kMaxFile;
}

std::string trimmed(const std::string& text) {
    const auto from = text.find_first_not_of(" \t\r");
    if (from == std::string::npos) return "";
    return text.substr(from, text.find_last_not_of(" \t\r") + 1 - from);
}

// "key = value" lines; # starts a comment line.
std::map<std::string, std::string> user_config() {
    std::map<std::string, std::string> values;
    std::ifstream file(config_directory() + "/plugin.conf");
    for (std::string line; std::getline(file, line) && values.size() < 64;) {
        const auto equals = line.find('=');
        if (trimmed(line).rfind('#', 0) == 0 || equals == std::string::npos) continue;
        values[trimmed(line.substr(0, equals))] = trimmed(line.substr(equals + 1));
    }
    return values;
}

std::string home() {
    const std::string home = environment("HOME");
    return home.empty() ? "/" : home;
}

// What a person said: in the project, in the environment, in the user's configuration.
Endpoint as_told(const std::string& from_state, const char* variable, const char* address,
                 const char* key) {
    for (const std::string& text : {from_state, environment(variable)})
        if (!trimmed(text).empty()) return parse_endpoint(text);
    auto config = user_config();
    return parse_endpoint(config[address] + " " + config[key]);
}

// A daemon's file for this user's programs: its own public key, and our secret one.
bool left_keys(const std::string& path, std::string& public_key, std::string& secret_key) {
    std::ifstream file(path);
    std::string daemons;
    if (path.empty() || !std::getline(file, daemons) || !std::getline(file, secret_key))
        return false;
    char derived[41];
    if (secret_key.size() != 40 || zmq_curve_public(derived, secret_key.c_str()) != 0) return false;
    public_key = derived;
    return true;
}

Discovered first_alive(int session, const char* prefix, const char* what) {
    const std::string directory = runtime_directory();
    if (directory.empty()) return {};
    for (int n = 0; n < kSessions; ++n) {
        if (session != 0 && n != session) continue;
        const std::string file = directory + "/" + prefix + std::to_string(n) + ".json";
        const Discovered found = read_discovery(file, what);
        if (found.found) return found;
    }
    return {};
}

}  // namespace

std::string config_directory() {
    const std::string base = environment("XDG_CONFIG_HOME");
    return (base.empty() ? home() + "/.config" : base) + "/stemd";
}

Endpoint parse_endpoint(const std::string& text) {
    const std::string clean = trimmed(text);
    const auto blank = clean.find(' ');
    if (blank == std::string::npos) return {clean, "", ""};
    return {clean.substr(0, blank), trimmed(clean.substr(blank + 1)), ""};
}

bool is_local(const std::string& address) {
    for (const char* start : {"ipc://", "tcp://127.", "tcp://localhost:", "tcp://[::1]:"})
        if (address.rfind(start, 0) == 0) {
            // 127.example.org is somebody else.
            if (address.rfind("tcp://127.", 0) != 0) return true;
            const std::string host = address.substr(6, address.rfind(':') - 6);
            return host.find_first_not_of("0123456789.") == std::string::npos;
        }
    return false;
}

std::string runtime_directory() {
    const std::string base = environment("XDG_RUNTIME_DIR");
    const std::string path =
        base.empty() ? "/tmp/stemd-" + std::to_string(getuid()) : base + "/stemd";
    struct stat about;
    if (lstat(path.c_str(), &about) != 0 || !S_ISDIR(about.st_mode)) return "";
    if (about.st_uid != getuid() || (about.st_mode & 077) != 0) return "";
    return path;
}

Discovered read_discovery(const std::string& path, const char* what) {
    Discovered found;
    std::string text;
    if (!read_small(path, text)) return found;
    const auto json = nlohmann::json::parse(text, nullptr, false);
    if (!json.is_object()) return found;
    const auto word = [&](const char* key) {
        const auto it = json.find(key);
        return it != json.end() && it->is_string() ? it->get<std::string>() : std::string();
    };
    const auto number = [&](const char* key) -> int64_t {
        const auto it = json.find(key);
        return it != json.end() && it->is_number_integer() ? it->get<int64_t>() : 0;
    };
    const int64_t pid = number("pid"), hop = number("hop"), minimum = number("minimum");
    if (word(what).empty() || pid <= 0 || pid > INT32_MAX) return found;
    if (kill(pid_t(pid), 0) != 0 && errno != EPERM) return found;
    found.found = true;
    // The file is our own user's: where it names no key there is none, whatever the address.
    const std::string key = word("curve");
    found.endpoint = {word(what), key.empty() ? kInsecure : key, ""};
    const std::string pair = word("pair");
    if (!pair.empty() && pair.find('/') == std::string::npos)
        found.endpoint.pair = path.substr(0, path.rfind('/') + 1) + pair;
    if (hop > 0 && hop <= 65536) found.hop = uint32_t(hop);
    if (minimum > 0 && minimum <= 1 << 20) found.minimum = uint32_t(minimum);
    return found;
}

Discovered discover(int session) { return first_alive(session, "", "plugin"); }

Discovered discover_stream(int session) { return first_alive(session, "stream-", "stream"); }

Endpoint resolve_stream(const std::string& from_state, int session) {
    const Endpoint told = as_told(from_state, "STEMD_STREAM", "stream", "stream_key");
    if (!told.address.empty()) return told;
    const Discovered found = discover_stream(session);
    return found.found ? found.endpoint : Endpoint{kDefaultStream, kInsecure, ""};
}

Endpoint resolve(const std::string& from_state, int session) {
    const Endpoint told = as_told(from_state, "STEMD_PLUGIN", "endpoint", "key");
    if (!told.address.empty()) return told;
    const Discovered found = discover(session);
    if (found.found) return found.endpoint;
    const std::string directory = runtime_directory();
    if (directory.empty()) return {};
    return {"ipc://" + directory + "/plugin-" + std::to_string(session) + ".sock", kInsecure, ""};
}

bool own_keys(std::string& public_key, std::string& secret_key) {
    const std::string path = config_directory() + "/plugin.key";
    std::ifstream file(path);
    if (std::getline(file, public_key) && std::getline(file, secret_key) &&
        public_key.size() == 40 && secret_key.size() == 40)
        return true;
    char made_public[41], made_secret[41];
    if (zmq_curve_keypair(made_public, made_secret) != 0) return false;
    const std::string directory = config_directory();
    mkdir(directory.substr(0, directory.rfind('/')).c_str(), 0700);
    mkdir(directory.c_str(), 0700);
    const int out = open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (out < 0) return false;
    const std::string text = std::string(made_public) + "\n" + made_secret + "\n";
    const bool written = write(out, text.data(), text.size()) == ssize_t(text.size());
    close(out);
    public_key = made_public;
    secret_key = made_secret;
    return written;
}

bool add_keys(void* socket, const Endpoint& endpoint) {
    if (endpoint.key.empty() || endpoint.key == kInsecure) return true;
    std::string mine, secret;
    const auto set = [&](int option, const std::string& key) {
        return zmq_setsockopt(socket, option, key.c_str(), key.size() + 1) == 0;
    };
    return (left_keys(endpoint.pair, mine, secret) || own_keys(mine, secret)) &&
           set(ZMQ_CURVE_SERVERKEY, endpoint.key) &&
           set(ZMQ_CURVE_PUBLICKEY, mine) && set(ZMQ_CURVE_SECRETKEY, secret);
}

uint32_t rate_factor(double rate) { return rate >= 176000 ? 4 : rate >= 88000 ? 2 : 1; }

uint32_t plan_latency(double asked_ms, double rate, uint32_t max_block, uint32_t learned,
                      const Discovered& discovered) {
    if (asked_ms > 0)
        return uint32_t(std::lround(std::min(asked_ms / 1000, kMaxLatency_s) * rate));
    const uint32_t factor = rate_factor(rate), blocks = 2 * max_block;
    uint32_t frames = 2 * kDefaultHop * factor + uint32_t(kDefaultCompute_s * rate) + blocks;
    if (discovered.minimum) frames = discovered.minimum * factor + blocks;
    return std::max(frames, learned);
}

}  // namespace stemd
