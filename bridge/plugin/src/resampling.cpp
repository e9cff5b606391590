#include <cmath>
#include <cstring>

#include "subscriber.hpp"

namespace stemd {

namespace {

constexpr double kFillGap_s = 0.1;    // a longer hole in the stream is a new beginning
constexpr uint64_t kStood_ns = 500'000'000;  // the host does not call us: nothing to measure
constexpr double kMaxRatio = 64;      // libsamplerate goes to 256; no two rates in use do

double seconds(uint32_t frames, uint32_t rate) { return double(frames) / rate; }

}  // namespace

Resampling::Resampling(std::shared_ptr<Reception> reception)
    : reception_(std::move(reception)),
      resampler_(src_new(SRC_SINC_FASTEST, int(kOutputs), nullptr)),
      in_(size_t(stream::kMaxFrames) * kOutputs) {}

Resampling::~Resampling() { src_delete(resampler_); }

void Resampling::block(const stream::Header& header, const uint8_t* planar, uint64_t now_ns) {
    const double nominal = double(reception_->rate) / header.rate;
    if (!resampler_ || nominal > kMaxRatio || nominal < 1 / kMaxRatio) return;
    const uint32_t hop = uint32_t(std::lround(header.frames * nominal));
    if (rate_ != header.rate || !drift_) {
        rate_ = header.rate;
        // The host takes a block at once, before it is measured; a hop comes at once.
        const double waits = double(reception_->target) - reception_->max_block + 0.5 * hop;
        drift_ = std::make_unique<Drift>(reception_->rate, waits, 0.5 * waits);
        src_reset(resampler_);
        session_ = header.session;
        next_pos_ = header.sample_pos;
    }
    const double ratio = nominal * correction(header, now_ns);
    const bool same = header.session == session_ && header.sample_pos >= next_pos_;
    const uint64_t gap = same ? header.sample_pos - next_pos_ : 0;
    reception_->lost += gap;
    if (same && gap > 0 && gap < kFillGap_s * header.rate)
        silence(uint32_t(gap), ratio);
    else if (!same || gap > 0)
        src_reset(resampler_);
    session_ = header.session;
    next_pos_ = header.sample_pos + header.frames;

    // The one stem, or the mix, is heard on the first output.
    std::fill(in_.begin(), in_.begin() + size_t(header.frames) * kOutputs, 0.f);
    for (uint32_t c = 0; c < header.channels; ++c)
        for (uint32_t n = 0; n < header.frames; ++n) {
            float x;
            std::memcpy(&x, planar + (size_t(c) * header.frames + n) * sizeof x, sizeof x);
            in_[size_t(n) * kOutputs + c] = std::isfinite(x) ? x : 0.f;
        }
    convert(header.frames, ratio);
}

void Resampling::silence(uint32_t frames, double ratio) {
    std::fill(in_.begin(), in_.end(), 0.f);
    for (uint32_t left = frames; left > 0;) {
        const uint32_t count = std::min(left, stream::kMaxFrames);
        convert(count, ratio);
        left -= count;
    }
}

void Resampling::convert(uint32_t frames, double ratio) {
    out_.resize(std::max(out_.size(), size_t(frames * ratio + 1024) * kOutputs));
    SRC_DATA data{};
    data.data_in = in_.data();
    data.input_frames = frames;
    data.data_out = out_.data();
    data.src_ratio = ratio;
    while (true) {
        data.output_frames = long(out_.size() / kOutputs);
        if (src_process(resampler_, &data) != 0) break;
        reception_->ring.write(head_, uint32_t(data.output_frames_gen), out_.data());
        head_ += uint64_t(data.output_frames_gen);
        data.data_in += data.input_frames_used * kOutputs;
        data.input_frames -= data.input_frames_used;
        if (data.input_frames == 0 || data.output_frames_gen == 0) break;
    }
    reception_->head.store(head_, std::memory_order_release);
}

double Resampling::correction(const stream::Header& header, uint64_t now_ns) {
    if (restarts_ != reception_->restarts) {
        restarts_ = reception_->restarts;
        drift_->restart();
    }
    uint64_t position, t_ns;
    if (restarts_ == 0 || !reception_->playing(position, t_ns) || now_ns > t_ns + kStood_ns)
        return 1 + drift_->difference();
    const double played = 1e-9 * (double(now_ns) - double(t_ns)) * reception_->rate;
    const double nominal = double(reception_->rate) / header.rate;
    const double fill =
        double(int64_t(head_ - position)) - played + header.frames * nominal;
    const double factor = drift_->update(fill, seconds(header.frames, header.rate));
    reception_->ppm = float(1e6 * drift_->difference());
    reception_->latency_s = float(seconds(header.latency, header.rate) + fill / reception_->rate);
    return factor;
}

}  // namespace stemd
