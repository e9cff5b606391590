// A claim, and a program of many tests of which one is run.
#pragma once

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <map>
#include <string>
#include <vector>

#define CHECK(claim)                                                          \
    do {                                                                      \
        if (!(claim)) {                                                       \
            std::fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #claim); \
            std::exit(1);                                                     \
        }                                                                     \
    } while (false)

using Tests = std::map<std::string, std::function<void()>>;

inline std::vector<std::string> arguments;  // of the test, behind its name

inline int run_test(const Tests& tests, int count, char** values) {
    arguments.assign(values + std::min(count, 2), values + count);
    if (count >= 2) tests.at(values[1])();
    for (const auto& [name, test] : tests)
        if (count < 2) std::printf("%s\n", name.c_str());
    return 0;
}
