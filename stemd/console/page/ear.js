// Listening to one stem: pieces of audio from the websocket, played a little later than they come.

const HEAD_BYTES = 16;
const TARGET_S = 0.08;

export class Ear extends EventTarget {
  // Event "health" (detail: { waiting_ms, gaps }).
  #context = null;
  #gain = null;
  #node = null;
  #rate = 48000;
  #playAt = 0;
  gaps = 0;

  // What is played, in samples per second; 0: nothing.
  get rate() {
    return this.#context?.sampleRate ?? 0;
  }

  // First from a click: browsers let no page make noise by itself.
  async start(rate, db) {
    await this.stop();
    this.#rate = rate;
    this.gaps = 0;
    const context = new AudioContext({ sampleRate: rate, latencyHint: "interactive" });
    this.#context = context;
    this.#gain = context.createGain();
    this.volume(db);
    this.#gain.connect(context.destination);
    await context.resume();
    // Without a secure address (https, or this machine) there are no worklets: pieces are then
    // queued one behind the other.
    if (context.audioWorklet) {
      await context.audioWorklet.addModule("ear-worklet.js");
      if (this.#context !== context) return;
      this.#node = new AudioWorkletNode(context, "ear", {
        numberOfInputs: 0,
        outputChannelCount: [2],
        processorOptions: { target: Math.round(TARGET_S * rate) },
      });
      this.#node.port.onmessage = ({ data }) => this.#health(data.waiting / rate, data.gaps);
      this.#node.connect(this.#gain);
    }
  }

  volume(db) {
    if (this.#gain) this.#gain.gain.value = db <= -40 ? 0 : 10 ** (db / 20);
  }

  hear(buffer) {
    if (!this.#context) return;
    const samples = new Int16Array(buffer, HEAD_BYTES);
    if (this.#node) this.#node.port.postMessage(samples, [samples.buffer]);
    else if (!this.#context.audioWorklet) this.#queue(samples);
  }

  async stop() {
    const context = this.#context;
    this.#context = this.#node = this.#gain = null;
    await context?.close();
  }

  #queue(samples) {
    const context = this.#context;
    const piece = context.createBuffer(2, samples.length / 2, this.#rate);
    for (let c = 0; c < 2; c++) {
      const channel = piece.getChannelData(c);
      for (let i = 0; i < channel.length; i++) channel[i] = samples[2 * i + c] / 32768;
    }
    const waiting = this.#playAt - context.currentTime;
    if (waiting < 0 || waiting > 4 * TARGET_S) {
      this.gaps += this.#playAt > 0;
      this.#playAt = context.currentTime + TARGET_S;
    }
    const node = context.createBufferSource();
    node.buffer = piece;
    node.connect(this.#gain);
    node.start(this.#playAt);
    this.#playAt += piece.duration;
    this.#health(waiting, this.gaps);
  }

  #health(waiting_s, gaps) {
    this.gaps = gaps;
    this.dispatchEvent(new CustomEvent("health", { detail: { waiting_ms: 1000 * waiting_s, gaps } }));
  }
}
