// Two rings between one audio thread and one network thread: no lock, no wait, no allocation after
// construction. Late and full are answers, not errors.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace stemd {

constexpr uint32_t kStems = 4;
constexpr uint32_t kInputs = 2;
constexpr uint32_t kOutputs = 2 * kStems;

inline uint64_t power_of_two(uint64_t least) {
    uint64_t size = 1;
    while (size < least) size *= 2;
    return size;
}

struct Record {
    uint64_t position = 0;  // of the first frame, counted since activation
    uint32_t frames = 0;
    uint32_t flags = 0;
    uint64_t t_ns = 0;
};

// Blocks of any size on their way up, first in first out. Written by the audio thread, read by the
// network thread.
class UpRing {
public:
    explicit UpRing(uint64_t frames)
        : capacity_(power_of_two(frames)),
          records_(power_of_two(std::max<uint64_t>(64, frames / 4))),
          samples_(capacity_ * kInputs) {}

    bool has_room(uint32_t frames) const {
        const uint64_t at = written_.load(std::memory_order_relaxed);
        const uint64_t samples_read = samples_read_.load(std::memory_order_acquire);
        return at - read_.load(std::memory_order_acquire) < records_.size() &&
               samples_written_ + frames - samples_read <= capacity_;
    }

    // False when there is no room; nothing is written then.
    bool push(const Record& record, const float* left, const float* right) {
        const uint64_t at = written_.load(std::memory_order_relaxed);
        if (at == read_.load(std::memory_order_acquire)) rewind();
        if (!has_room(record.frames)) return false;
        for (uint32_t n = 0; n < record.frames; ++n) {
            const uint64_t slot = ((samples_written_ + n) & (capacity_ - 1)) * kInputs;
            samples_[slot] = left[n];
            samples_[slot + 1] = right[n];
        }
        samples_written_ += record.frames;
        records_[at & (records_.size() - 1)] = record;
        written_.store(at + 1, std::memory_order_release);
        return true;
    }

    // The record `ahead` places behind the oldest; nullptr when there is none.
    const Record* peek(uint64_t ahead = 0) const {
        const uint64_t at = read_.load(std::memory_order_relaxed) + ahead;
        if (at >= written_.load(std::memory_order_acquire)) return nullptr;
        return &records_[at & (records_.size() - 1)];
    }

    // Takes the oldest record; `interleaved` may be null to throw its samples away.
    void pop(float* interleaved) {
        const uint64_t at = read_.load(std::memory_order_relaxed);
        const uint32_t frames = records_[at & (records_.size() - 1)].frames;
        const uint64_t first = samples_read_.load(std::memory_order_relaxed);
        for (uint32_t n = 0; interleaved && n < frames; ++n) {
            const uint64_t slot = ((first + n) & (capacity_ - 1)) * kInputs;
            interleaved[kInputs * n] = samples_[slot];
            interleaved[kInputs * n + 1] = samples_[slot + 1];
        }
        samples_read_.store(first + frames, std::memory_order_release);
        read_.store(at + 1, std::memory_order_release);
    }

private:
    // Everything was taken: go on where memory is warm. The reader touches its counts only while it
    // holds a record, so that they are ours now.
    void rewind() {
        samples_written_ = (samples_written_ + capacity_ - 1) & ~(capacity_ - 1);
        samples_read_.store(samples_written_, std::memory_order_relaxed);
    }

    const uint64_t capacity_;
    std::vector<Record> records_;
    std::vector<float> samples_;
    uint64_t samples_written_ = 0;  // the writer's own
    alignas(64) std::atomic<uint64_t> written_{0};
    alignas(64) std::atomic<uint64_t> read_{0};
    std::atomic<uint64_t> samples_read_{0};
};

// Stems on their way down, found by position. What is valid is one run [start, until): a gap in
// what comes in forgets what lies before it. Written by the network thread, read by the audio
// thread, which may skip ahead and never goes back.
class DownRing {
public:
    explicit DownRing(uint64_t frames)
        : capacity_(power_of_two(frames)), samples_(capacity_ * kOutputs) {}

    // Frames that were taken; the others came too late, twice, or too far ahead.
    uint32_t write(uint64_t position, uint32_t frames, const float* interleaved) {
        const uint64_t read = read_until_.load(std::memory_order_acquire);
        const uint64_t until = until_.load(std::memory_order_relaxed);
        const uint64_t first = std::max({position, read, until});
        const uint64_t last = std::min(position + frames, read + capacity_);
        if (first >= last) return 0;
        // Readers load `until` first: with the old one they find an empty run, never a wrong one.
        if (first != until) start_.store(first, std::memory_order_release);
        for (uint64_t p = first; p < last; ++p) {
            const float* from = interleaved + (p - position) * kOutputs;
            std::copy(from, from + kOutputs, &samples_[(p & (capacity_ - 1)) * kOutputs]);
        }
        until_.store(last, std::memory_order_release);
        return static_cast<uint32_t>(last - first);
    }

    struct Run {
        uint64_t first, last;  // [first, last), empty when equal
    };

    // The part of [position, position + frames) that is here.
    Run run(uint64_t position, uint32_t frames) const {
        const uint64_t until = until_.load(std::memory_order_acquire);
        const uint64_t first = std::max(position, start_.load(std::memory_order_acquire));
        const uint64_t last = std::min(position + frames, until);
        return first < last ? Run{first, last} : Run{position, position};
    }

    const float* frame(uint64_t position) const {
        return &samples_[(position & (capacity_ - 1)) * kOutputs];
    }

    // Everything before `position` may be overwritten from now on.
    void release(uint64_t position) { read_until_.store(position, std::memory_order_release); }

    uint64_t until() const { return until_.load(std::memory_order_acquire); }
    uint64_t read_until() const { return read_until_.load(std::memory_order_acquire); }
    uint64_t capacity() const { return capacity_; }

private:
    const uint64_t capacity_;
    std::vector<float> samples_;
    alignas(64) std::atomic<uint64_t> start_{0};
    std::atomic<uint64_t> until_{0};
    alignas(64) std::atomic<uint64_t> read_until_{0};
};

}  // namespace stemd
