#!/usr/bin/env bash
# Make this checkout runnable: system packages that are missing, a virtual environment, stemd in it.
#
#   scripts/setup.sh run     what `stemd run` needs
#   scripts/setup.sh test    also what the tests need: a sound server without sound card, OSC clients
#   scripts/setup.sh train   what making models needs: torch; TORCH=... installs another than ours
#
# Nothing that is already there is touched, and nothing is ever removed.
set -euo pipefail

purpose=${1:-run}
venv=${VENV:-.venv}
say() { printf 'stemd: %s\n' "$*"; }
stop() { printf 'stemd: %s\n' "$@" >&2; exit 1; }
cd "$(dirname "$0")/.."

# -- python -------------------------------------------------------------------------------------

is_enough() { "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; }

find_python() {
    local candidate
    for candidate in ${PYTHON:-python3 python3.13 python3.12 python3.11}; do
        if is_enough "$candidate"; then command -v "$candidate"; return; fi
    done
}

# -- system packages ------------------------------------------------------------------------------

packages=()
installed() { dpkg-query -W -f '${Status}' "$1" 2>/dev/null | grep -q 'ok installed'; }

need_for_python() {  # a Python of our own making (pyenv, uv) brings its headers and ensurepip along
    local version
    version=$("$1" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
    # Which package a missing piece is in depends on the Python: python3.12 wants python3.12-dev.
    has_headers "$1" || pyaudio_is_there || packages+=("python$version-dev")
    "$1" -c 'import ensurepip' 2>/dev/null || [ -x "$venv/bin/python" ] || packages+=("python$version-venv")
}
has_headers() {
    "$1" -c 'import os, sys, sysconfig
sys.exit(not os.path.exists(os.path.join(sysconfig.get_path("include"), "Python.h")))'
}
pyaudio_is_there() { [ -x "$venv/bin/python" ] && "$venv/bin/python" -c 'import pyaudio' 2>/dev/null; }
compiles() { echo "#include <$1>" | cc -E - >/dev/null 2>&1; }

need_for_pyaudio() {  # PyAudio has no wheel for Linux: it is compiled here, against PortAudio
    pyaudio_is_there && return
    compiles stdio.h || packages+=(gcc libc6-dev)
    compiles portaudio.h && return
    packages+=(portaudio19-dev)
    # Left to itself apt may satisfy portaudio19-dev with the other JACK's headers and remove the
    # JACK server in use. Naming the headers that belong to it prevents that.
    if installed libjack0; then packages+=(libjack-dev); else packages+=(libjack-jackd2-dev); fi
}

need_for_tests() {
    command -v jackd >/dev/null || packages+=(jackd2)
    command -v oscdump >/dev/null || packages+=(liblo-tools)
    command -v pd >/dev/null || packages+=(puredata-core)
    command -v sox >/dev/null || packages+=(sox)
    command -v tc >/dev/null || packages+=(iproute2)  # bad networks between namespaces, for root
    # The ALSA route is tested through PulseAudio, but not at the price of a desktop's PipeWire.
    command -v pulseaudio >/dev/null || command -v pipewire >/dev/null ||
        packages+=(pulseaudio pulseaudio-utils libasound2-plugins)
}

install_packages() {
    local root=() plan removed said
    [ "$(id -u)" = 0 ] || root=(sudo)
    say "will install with apt: $*"
    if [ "${#root[@]}" -gt 0 ] && ! command -v sudo >/dev/null; then
        stop "there is no sudo here; run this as root, then make again:" \
            "  apt-get install --no-install-recommends $*"
    fi
    # A bare machine has no package lists yet, or lists whose files are gone from the mirror.
    "${root[@]}" apt-get update -qq || say "apt-get update failed; trying with the lists there are"
    plan=$(apt-get -s install --no-install-recommends "$@") ||
        stop "apt cannot install: $*" "  its own words: apt-get -s install $*"
    removed=$(awk '/^Remv /{print $2}' <<<"$plan" | tr '\n' ' ')
    [ -z "$removed" ] ||
        stop "apt would remove: $removed" "  so nothing was changed. Resolve it by hand:" \
            "  apt-get install --no-install-recommends $*"
    said=$("${root[@]}" env DEBIAN_FRONTEND=noninteractive \
        apt-get install -y -qq --no-install-recommends "$@" </dev/null 2>&1) ||
        stop "$said" "apt-get could not install: $*"
}

without_apt() {
    local tail="then: ${PYTHON:-python3} -m venv .venv && .venv/bin/pip install -e '.[daemon]' && .venv/bin/stemd run"
    case $(uname -s) in
    Darwin) stop "needs Python 3.11 and PortAudio:" "  brew install python@3.12 portaudio" "$tail" ;;
    *) stop "there is no apt here; missing, by their Debian names: $*" \
        "  Fedora: dnf install gcc python3-devel portaudio-devel" \
        "  Arch:   pacman -S gcc python portaudio" "$tail" ;;
    esac
}

python=$(find_python)
if [ -z "$python" ] && [ -z "${PYTHON:-}" ] && command -v apt-get >/dev/null; then
    # Ubuntu 22.04 has 3.10 as python3 and a newer one under its own name.
    for version in 3.12 3.11; do
        if apt-cache show "python$version-venv" >/dev/null 2>&1; then
            install_packages "python$version" "python$version-venv" "python$version-dev"
            break
        fi
    done
    python=$(find_python)
    if [ -z "$python" ]; then install_packages python3 python3-venv python3-dev; fi
    python=$(find_python)
fi
[ -n "$python" ] || stop \
    "needs Python 3.11 or newer, found $("${PYTHON:-python3}" --version 2>/dev/null || echo none)." \
    "  Without a newer one in your distribution: curl -LsSf https://astral.sh/uv/install.sh | sh" \
    "  uv python install 3.12, then: make run PYTHON=\$(uv python find 3.12)"

need_for_python "$python"
need_for_pyaudio
if [ "$purpose" = test ]; then need_for_tests; fi
if [ "${#packages[@]}" -gt 0 ]; then
    if command -v apt-get >/dev/null; then
        install_packages "${packages[@]}"
    else
        without_apt "${packages[@]}"
    fi
fi

# -- virtual environment --------------------------------------------------------------------------

if ! [ -x "$venv/bin/python" ]; then
    say "creating $venv with $("$python" --version)"
    "$python" -m venv "$venv"
fi
is_enough "$venv/bin/python" ||
    stop "$venv holds $("$venv/bin/python" --version), 3.11 is needed; run 'make clean' and again"

target=(-e '.[daemon]')
if [ "$purpose" = test ]; then target=(-e '.[daemon,test]'); fi
# The torch that made the released models. It comes with CUDA (2.7 GB) where pip finds no build for
# processors alone (0.2 GB).
if [ "$purpose" = train ]; then target=(-e '.[daemon,test,train]' "${TORCH:-torch==2.13.*}"); fi
say "installing stemd and its Python packages into $venv (the first time takes minutes)"
"$venv/bin/python" -m pip install --quiet --disable-pip-version-check "${target[@]}"
say "compiling the kernels, so that the first start is as quick as the next"
"$venv/bin/python" -c 'import stemd.roles.separate'
touch "$venv/.stemd-run"
if [ "$purpose" != run ]; then touch "$venv/.stemd-$purpose"; fi
say "ready"
