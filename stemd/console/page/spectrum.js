// A spectrogram that scrolls: newest at the right, low at the bottom, pitch and onsets on top.

import { channels, rem, sharp } from "./canvas.js";

const SHOWN_S = 10;
const QUIET = 34; // of 255: what is below is black
const MARKS_HZ = [100, 1000, 10000];

export class Spectrum {
  #canvas;
  #context;
  #ring;
  #ringContext;
  #column;
  #bands;
  #bandsHz;
  #at = 0; // where the next column goes
  #columns;
  #f0;
  #onset;
  #beat;
  #palette;
  #hue;
  #unit = 16;
  #dirty = true;

  constructor(canvas, hue, bandsHz, columnsPerS) {
    this.#columns = Math.round(SHOWN_S * columnsPerS);
    this.#f0 = new Float32Array(this.#columns);
    this.#onset = new Uint8Array(this.#columns);
    this.#beat = new Uint8Array(this.#columns);
    this.#canvas = canvas;
    this.#context = canvas.getContext("2d", { alpha: false });
    this.#bands = bandsHz.length;
    this.#bandsHz = bandsHz;
    this.#hue = hue;
    this.#ring = document.createElement("canvas");
    this.#ring.width = this.#columns;
    this.#ring.height = this.#bands;
    this.#ringContext = this.#ring.getContext("2d", { alpha: false });
    this.#column = this.#ringContext.createImageData(1, this.#bands);
    this.#palette = palette(hue);
    sharp(canvas, () => {
      this.#unit = rem(canvas);
      this.#redraw();
    });
  }

  // One column: bytes of all bands, pitch in Hz (0: none), whether an onset and a beat fell in it.
  add(bands, f0, onset, beat) {
    const pixels = new Uint32Array(this.#column.data.buffer);
    for (let i = 0; i < this.#bands; i++) {
      pixels[this.#bands - 1 - i] = this.#palette[bands[i]];
    }
    this.#ringContext.putImageData(this.#column, this.#at, 0);
    this.#f0[this.#at] = f0;
    this.#onset[this.#at] = onset;
    this.#beat[this.#at] = beat;
    this.#at = (this.#at + 1) % this.#columns;
    this.#dirty = true;
  }

  draw() {
    if (this.#dirty) this.#redraw();
  }

  #redraw() {
    this.#dirty = false;
    const context = this.#context;
    const { width, height } = this.#canvas;
    const step = width / this.#columns;
    const older = this.#columns - this.#at;
    context.imageSmoothingEnabled = true;
    if (older) context.drawImage(this.#ring, this.#at, 0, older, this.#bands, 0, 0, older * step, height);
    if (this.#at) {
      context.drawImage(this.#ring, 0, 0, this.#at, this.#bands, older * step, 0, this.#at * step, height);
    }
    const unit = this.#unit;
    this.#scale(context, width, height, unit);
    this.#marks(context, step, height, unit);
    this.#trace(context, step, height, unit);
  }

  #y(hz, height) {
    const low = this.#bandsHz[0];
    const high = this.#bandsHz[this.#bands - 1];
    return height * (1 - Math.log(hz / low) / Math.log(high / low));
  }

  #scale(context, width, height, unit) {
    if (height < 3 * unit) return;
    context.font = `${0.66 * unit}px system-ui, sans-serif`;
    context.textBaseline = "bottom";
    for (const hz of MARKS_HZ) {
      const y = Math.round(this.#y(hz, height));
      context.fillStyle = "rgb(255 255 255 / 9%)";
      context.fillRect(0, y, width, 1);
      context.fillStyle = "rgb(255 255 255 / 55%)";
      context.fillText(hz < 1000 ? `${hz} Hz` : `${hz / 1000} kHz`, 0.3 * unit, y);
    }
  }

  #marks(context, step, height, unit) {
    const tall = 0.55 * unit;
    const wide = Math.max(2, 0.14 * unit);
    for (let i = 0; i < this.#columns; i++) {
      const from = (this.#at + i) % this.#columns;
      if (this.#beat[from]) {
        context.fillStyle = "rgb(255 255 255 / 16%)";
        context.fillRect(i * step, 0, Math.max(1, 0.07 * unit), height);
      }
      if (this.#onset[from]) {
        context.fillStyle = "#fff";
        context.fillRect(i * step - wide / 2, height - tall, wide, tall);
      }
    }
  }

  #trace(context, step, height, unit) {
    context.beginPath();
    let before = 0;
    for (let i = 0; i < this.#columns; i++) {
      const hz = this.#f0[(this.#at + i) % this.#columns];
      if (hz > 0) {
        const y = this.#y(hz, height);
        // A leap is another note, not a slide.
        if (before > 0 && Math.abs(Math.log2(hz / before)) < 0.34) context.lineTo((i + 0.5) * step, y);
        else context.moveTo((i + 0.5) * step, y);
      }
      before = hz;
    }
    context.lineJoin = "round";
    context.strokeStyle = "rgb(0 0 0 / 75%)";
    context.lineWidth = 0.3 * unit;
    context.stroke();
    context.strokeStyle = "#fff";
    context.lineWidth = 0.13 * unit;
    context.stroke();
  }
}

// 256 colours from black over the stem's own to nearly white, as 32-bit pixels.
function palette(hue) {
  const [r, g, b] = channels(hue);
  const colours = new Uint32Array(256);
  const bytes = new Uint8ClampedArray(colours.buffer);
  for (let i = 0; i < 256; i++) {
    const v = Math.max(i - QUIET, 0) / (255 - QUIET);
    const body = Math.min(v / 0.72, 1) ** 1.35;
    const glow = Math.max((v - 0.62) / 0.38, 0);
    bytes[4 * i] = r * body + (255 - r) * glow * 0.85;
    bytes[4 * i + 1] = g * body + (255 - g) * glow * 0.85;
    bytes[4 * i + 2] = b * body + (255 - b) * glow * 0.85;
    bytes[4 * i + 3] = 255;
  }
  return colours;
}
