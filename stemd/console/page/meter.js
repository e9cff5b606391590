// A stereo meter: RMS as a bar, peak as a line that waits and falls, a lamp that remembers clips.

import { colour, rem, sharp } from "./canvas.js";
import { decibels } from "./words.js";

const FLOOR_DB = -60;
const MARKS_DB = [0, -6, -12, -24, -36, -48];
const FALL_DB_PER_S = 24;
const HOLD_MS = 1200;

export class Meter {
  #canvas;
  #context;
  #rms = [-120, -120];
  #peak = [-120, -120];
  #held = [-120, -120];
  #heldAt = [0, 0];
  #at = performance.now();
  #unit = 16;
  #shade = null;
  #ground = "#000";
  clipped = false;

  constructor(canvas) {
    this.#canvas = canvas;
    this.#context = canvas.getContext("2d", { alpha: false });
    sharp(canvas, () => this.#measure());
    const forget = () => {
      this.clipped = false;
    };
    canvas.addEventListener("click", forget);
    canvas.addEventListener("keydown", (event) => {
      if (event.key === "Enter" || event.key === " ") forget();
    });
  }

  get heldDb() {
    return Math.max(...this.#held);
  }

  // Linear values since the last picture.
  hear(peak, rms) {
    const now = performance.now();
    for (let c = 0; c < 2; c++) {
      this.#rms[c] = Math.max(decibels(rms[c]), this.#rms[c]);
      this.#peak[c] = Math.max(decibels(peak[c]), this.#peak[c]);
      if (this.#peak[c] >= this.#held[c]) {
        this.#held[c] = this.#peak[c];
        this.#heldAt[c] = now;
      }
      if (peak[c] >= 1) this.clipped = true;
    }
  }

  #ends() {
    return [0.95 * this.#unit, this.#canvas.height - 0.35 * this.#unit];
  }

  // What only another size changes. Yellow from -12 dB, red from -3 dB.
  #measure() {
    this.#unit = rem(this.#canvas);
    this.#ground = colour("card");
    const [top, bottom] = this.#ends();
    const shade = this.#context.createLinearGradient(0, bottom, 0, top);
    const stops = [[0, "#1f9d5c"], [0.8, "#3ddc84"], [0.8, "#ffc53d"], [0.95, "#ffc53d"], [0.95, "#ff5257"], [1, "#ff5257"]];
    for (const [at, tint] of stops) shade.addColorStop(at, tint);
    this.#shade = shade;
    this.draw();
  }

  draw() {
    if (!this.#shade) return;
    const now = performance.now();
    const fall = (FALL_DB_PER_S * Math.min(now - this.#at, 500)) / 1000;
    this.#at = now;
    const context = this.#context;
    const { width, height } = this.#canvas;
    const unit = this.#unit;
    const labels = width > 3.4 * unit ? 1.75 * unit : 0;
    const [top, bottom] = this.#ends();
    const left = 0.4 * unit;
    const gap = Math.max(1, 0.12 * unit);
    const bar = (width - labels - left - gap - 0.35 * unit) / 2;
    const y = (db) => bottom - ((Math.max(db, FLOOR_DB) - FLOOR_DB) / -FLOOR_DB) * (bottom - top);
    context.fillStyle = this.#ground;
    context.fillRect(0, 0, width, height);
    for (let c = 0; c < 2; c++) {
      const x = left + c * (bar + gap);
      context.fillStyle = "#000";
      context.fillRect(x, top, bar, bottom - top);
      context.fillStyle = this.#shade;
      context.globalAlpha = 0.38;
      const peak = Math.min(this.#peak[c], 0);
      context.fillRect(x, y(peak), bar, bottom - y(peak));
      context.globalAlpha = 1;
      const rms = Math.min(this.#rms[c], 0);
      context.fillRect(x, y(rms), bar, bottom - y(rms));
      if (this.#held[c] > FLOOR_DB) {
        context.fillRect(x, y(Math.min(this.#held[c], 0)) - 1, bar, Math.max(2, 0.13 * unit));
      }
      this.#rms[c] -= fall;
      this.#peak[c] -= fall;
      if (now - this.#heldAt[c] > HOLD_MS) this.#held[c] = Math.max(this.#held[c] - fall, this.#peak[c]);
    }
    context.fillStyle = this.clipped ? "#ff5257" : "#262e37";
    context.fillRect(left, 0.35 * unit, 2 * bar + gap, 0.4 * unit);
    if (labels && height > 4 * unit) {
      context.font = `${0.62 * unit}px system-ui, sans-serif`;
      context.fillStyle = "#9aa7b4";
      context.textAlign = "right";
      context.textBaseline = "middle";
      const every = height > 7.5 * unit ? 1 : 2;
      MARKS_DB.forEach((db, i) => {
        if (i % every === 0) context.fillText(String(-db), width - 0.35 * unit, y(db));
      });
    }
  }
}
