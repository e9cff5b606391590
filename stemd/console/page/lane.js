// One source: its spectrogram, meter, note and lamps, and the knobs of its strip.

import { colour } from "./canvas.js";
import { Meter } from "./meter.js";
import { Spectrum } from "./spectrum.js";
import { noteOf, put, signed } from "./words.js";

const HOLD_MS = 600; // a fader that was just moved by hand is not moved by an echo
const SEND_MS = 33;
const DRUM_LAMPS = ["kick", "snare", "hihat"];

export class Lane {
  #element;
  #lamp;
  #lit = 0;
  #pitched;
  #hits = {};
  #fader;
  #movedAt = 0;
  #sentAt = 0;
  #later = 0;
  #orders;
  #spoken = 0;

  // orders: { set(fields), listen(source) }
  constructor(source, hello, orders) {
    this.source = source;
    this.#orders = orders;
    this.#pitched = source !== "drums" && source !== "mix";
    const element = document.getElementById("lane").content.firstElementChild.cloneNode(true);
    this.#element = element;
    element.dataset.source = source;
    element.style.setProperty("--hue", `var(--${source})`);
    element.classList.toggle("input", source === "mix");
    const shown = source === "mix" ? "input" : source;
    element.setAttribute("aria-label", shown);
    this.#find(".name").textContent = shown;
    const view = this.#find(".view");
    view.setAttribute("aria-label", `Spectrogram of ${shown}, the last ten seconds`);
    this.#find(".meter").setAttribute("aria-label", `Level of ${shown}, dB`);
    this.#find(".meter").title = "Click to forget clips";
    this.spectrum = new Spectrum(view, colour(source), hello.bands_hz, hello.columns_per_s);
    this.meter = new Meter(this.#find(".meter"));
    this.#lamp = this.#find(".onset");
    this.#find(".hits").hidden = source !== "drums";
    this.#find(".note").hidden = source === "drums";
    for (const hit of element.querySelectorAll("[data-hit]")) this.#hits[hit.dataset.hit] = { lit: 0, element: hit };
    this.#strip(shown);
    document.getElementById("lanes").append(element);
  }

  // What a picture says of this source. values: by name; feed: by name.
  hear(values, feed, columns, chord) {
    this.meter.hear([values.peak_l, values.peak_r], [values.rms_l, values.rms_r]);
    for (const column of columns) {
      this.spectrum.add(column.bands, this.#pitched ? column.f0 : 0, column.onset, column.beat);
    }
    const now = performance.now();
    if (values.onset > 0) this.#lit = now;
    for (const name of DRUM_LAMPS) if (feed[name] > 0) this.#hits[name].lit = now;
    if (this.#pitched && values.f0_hz > 0) {
      const [name, cents] = noteOf(values.f0_hz);
      put(this.#find(".pitch"), name);
      put(this.#find(".cents"), `${cents < 0 ? "−" : "+"}${Math.abs(cents)} ct`);
    } else if (this.source === "mix") {
      put(this.#find(".pitch"), chord);
    } else {
      put(this.#find(".pitch"), "");
      put(this.#find(".cents"), "");
    }
  }

  draw(now) {
    this.spectrum.draw();
    this.meter.draw();
    this.#lamp.style.opacity = 0.13 + 0.87 * Math.max(1 - (now - this.#lit) / 220, 0);
    if (this.source === "drums") {
      for (const hit of Object.values(this.#hits)) hit.element.classList.toggle("lit", now - hit.lit < 130);
    }
    if (now - this.#spoken > 150) {
      this.#spoken = now;
      const db = this.meter.heldDb;
      put(this.#find(".peak"), db > -60 ? signed(db) : "–");
      const meter = this.#find(".meter");
      meter.setAttribute("aria-valuenow", Math.round(Math.min(Math.max(db, -60), 0)));
      meter.setAttribute("aria-valuetext", db > -60 ? `${Math.round(db)} dB` : "silent");
    }
  }

  // What the mixer says; silent: nothing of it is heard.
  set(knobs, silent) {
    this.#element.classList.toggle("silent", silent);
    if (!knobs) return;
    press(this.#find(".mute"), knobs.mute);
    press(this.#find(".solo"), knobs.solo);
    if (performance.now() - this.#movedAt > HOLD_MS) this.#show(knobs.gain_db);
  }

  listening(yes) {
    press(this.#find(".listen"), yes);
  }

  press(name) {
    this.#find(`.${name}`).click();
  }

  #find(selector) {
    return this.#element.querySelector(selector);
  }

  #strip(shown) {
    for (const name of ["mute", "solo"]) {
      const button = this.#find(`.${name}`);
      button.setAttribute("aria-label", `${name} ${shown}`);
      button.onclick = () => this.#orders.set({ stem: this.source, [name]: button.ariaPressed !== "true" });
    }
    const listen = this.#find(".listen");
    listen.setAttribute("aria-label", `listen to ${shown}`);
    listen.onclick = () => this.#orders.listen(this.source);
    this.#fader = this.#find(".fader input");
    this.#find(".fader .hidden").textContent = `gain of ${shown}, dB`;
    this.#fader.title = "Double-click for 0 dB";
    this.#fader.oninput = () => {
      this.#movedAt = performance.now();
      this.#show(this.#fader.valueAsNumber);
      clearTimeout(this.#later);
      const wait = SEND_MS - (this.#movedAt - this.#sentAt);
      if (wait <= 0) this.#send();
      else this.#later = setTimeout(() => this.#send(), wait);
    };
    this.#fader.ondblclick = () => {
      this.#fader.value = 0;
      this.#fader.oninput();
    };
  }

  #send() {
    this.#sentAt = performance.now();
    const db = this.#fader.valueAsNumber;
    this.#orders.set({ stem: this.source, gain_db: db <= -60 ? -120 : db });
  }

  #show(db) {
    const text = signed(db);
    if (document.activeElement !== this.#fader || this.#fader.valueAsNumber !== db) this.#fader.value = db;
    this.#fader.setAttribute("aria-valuetext", db <= -60 ? "silent" : `${text} dB`);
    put(this.#find(".fader output"), text);
  }
}

export function press(button, yes) {
  const text = String(Boolean(yes));
  if (button.getAttribute("aria-pressed") !== text) button.setAttribute("aria-pressed", text);
}
