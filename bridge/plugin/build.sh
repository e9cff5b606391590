#!/usr/bin/env bash
# Build stemd Insert and stemd Receiver and put them where hosts look: ~/.vst3, ~/.clap, ~/.lv2.
#
#   bridge/plugin/build.sh            install what is missing, build, copy the bundles
#   bridge/plugin/build.sh jack       the same, and programs for JACK into ~/.local/bin
#   bridge/plugin/build.sh tests      build only, with the tests' programs; copies nothing
#
# DPF_DIR=... takes another DPF than Debian's; JOBS=... compilers at once.
set -euo pipefail

cd "$(dirname "$0")/../.."
out=${PLUGIN_BUILD:-build/plugin}
dpf=${DPF_DIR:-/usr/share/dpf}
say() { printf 'stemd plugin: %s\n' "$*"; }
stop() { printf 'stemd plugin: %s\n' "$@" >&2; exit 1; }

missing() {
    command -v cmake >/dev/null || echo cmake
    command -v make >/dev/null || command -v ninja >/dev/null || echo make
    command -v g++ >/dev/null || command -v clang++ >/dev/null || echo g++
    command -v pkg-config >/dev/null || echo pkg-config
    [ -f "$dpf/cmake/DPF-plugin.cmake" ] || echo dpf-source
    pkg-config --exists libzmq 2>/dev/null || echo libzmq3-dev
    pkg-config --exists nlohmann_json 2>/dev/null || echo nlohmann-json3-dev
    pkg-config --exists samplerate 2>/dev/null || echo libsamplerate0-dev
    [ "$jack" = OFF ] || pkg-config --exists jack 2>/dev/null || echo libjack-jackd2-dev
}

install_missing() {
    local packages root=()
    mapfile -t packages < <(missing)
    [ "${#packages[@]}" -gt 0 ] || return 0
    command -v apt-get >/dev/null || stop "needs (Debian's names): ${packages[*]}"
    if [ "$(id -u)" != 0 ]; then
        command -v sudo >/dev/null || stop "there is no sudo; as root: apt-get install ${packages[*]}"
        root=(sudo)
    fi
    say "will install with apt: ${packages[*]}"
    "${root[@]}" apt-get update -qq || say "apt-get update failed; trying with the lists there are"
    DEBIAN_FRONTEND=noninteractive "${root[@]}" apt-get install -y -qq --no-install-recommends \
        "${packages[@]}" >/dev/null || stop "apt could not install: ${packages[*]}"
}

tests=OFF jack=OFF
case "${1:-}" in
    tests) tests=ON ;;
    jack) jack=ON ;;
    "") ;;
    *) stop "got '$1', expected tests, jack or nothing" ;;
esac
install_missing
mkdir -p "$out"
{
    cmake -S bridge/plugin -B "$out" -DDPF_DIR="$dpf" -DSTEMD_PLUGIN_TESTS=$tests -DSTEMD_PLUGIN_JACK=$jack
    cmake --build "$out" -j "${JOBS:-$(nproc)}"
} >"$out/build.log" 2>&1 || { tail -40 "$out/build.log" >&2; stop "build failed: $out/build.log"; }
[ $tests = OFF ] || exit 0

# Copied, not linked: hosts keep the file open, and the tree may move.
place() {
    mkdir -p "$2"
    rm -rf "${2:?}/$(basename "$1")"
    cp -r "$1" "$2/"
    say "$2/$(basename "$1")"
}
for plugin in insert receiver; do
    place "$out/bin/stemd-$plugin.vst3" "$HOME/.vst3"
    place "$out/bin/stemd-$plugin.clap" "$HOME/.clap"
    place "$out/bin/stemd-$plugin.lv2" "$HOME/.lv2"
    [ $jack = OFF ] || place "$out/bin/stemd-$plugin" "$HOME/.local/bin"
done
