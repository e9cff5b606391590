// Plays what comes, and follows the daemon's clock by playing a trace faster or slower.

const HELD = 1 << 16; // samples
const STEER = 0.004; // at most: 7 cents, which nobody hears
const REPORT = 32; // blocks

class EarProcessor extends AudioWorkletProcessor {
  constructor({ processorOptions }) {
    super();
    this.target = processorOptions.target;
    this.ring = [new Float32Array(HELD), new Float32Array(HELD)];
    this.written = 0;
    this.read = 0; // with a fraction
    this.level = this.target; // waiting samples, smoothed
    this.playing = false;
    this.gaps = 0;
    this.blocks = 0;
    this.port.onmessage = ({ data }) => this.take(data);
  }

  take(samples) {
    for (let i = 0; i < samples.length; i += 2) {
      const at = this.written++ % HELD;
      this.ring[0][at] = samples[i] / 32768;
      this.ring[1][at] = samples[i + 1] / 32768;
    }
    // Far too much waits (the page slept): what is old is not worth hearing.
    if (this.written - this.read > 6 * this.target) this.read = this.written - this.target;
  }

  process(_, [[left, right]]) {
    const waiting = this.written - this.read;
    if (!this.playing && waiting >= this.target) {
      this.playing = true;
      this.level = waiting;
    }
    if (this.playing && waiting < left.length + 2) {
      this.playing = false;
      this.gaps++;
    }
    if (this.playing) {
      this.level += 0.01 * (waiting - this.level);
      const off = (this.level - this.target) / this.target;
      const step = 1 + STEER * Math.max(-1, Math.min(1, off));
      for (let i = 0; i < left.length; i++) {
        const whole = Math.floor(this.read);
        const share = this.read - whole;
        const [a, b] = [whole % HELD, (whole + 1) % HELD];
        left[i] = this.ring[0][a] + share * (this.ring[0][b] - this.ring[0][a]);
        right[i] = this.ring[1][a] + share * (this.ring[1][b] - this.ring[1][a]);
        this.read += step;
      }
    }
    if (++this.blocks % REPORT === 0) this.port.postMessage({ waiting, gaps: this.gaps });
    return true;
  }
}

registerProcessor("ear", EarProcessor);
