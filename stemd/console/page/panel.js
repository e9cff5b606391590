// The side: latency by stage, load, counters, who listens, the log.

import { colour, rem, sharp } from "./canvas.js";
import { clock, duration, put, short } from "./words.js";

const SHADES = ["#5f7183", "#8497a9", "#45c4ff", "#3ddc84", "#a78bfa", "#ffb84d"];
const HISTORY_S = 300;
const MAX_LINES = 256;

const find = (id) => document.getElementById(id);

// Rows of name and value, kept as elements so that a screen reader is not told everything anew.
function rows(list, entries) {
  while (list.children.length > entries.length) list.lastElementChild.remove();
  entries.forEach(([name, value, shade, title], i) => {
    let row = list.children[i];
    if (!row) {
      row = document.createElement("div");
      row.append(document.createElement("dt"), document.createElement("dd"));
      list.append(row);
    }
    const [dt, dd] = row.children;
    if (shade && !dt.firstElementChild) dt.append(document.createElement("i"), "");
    if (shade) {
      row.style.setProperty("--shade", shade);
      if (dt.lastChild.textContent !== name) dt.lastChild.textContent = name;
    } else {
      put(dt, name);
    }
    put(dd, value);
    if (title) row.title = title;
  });
}

export class Panel {
  #history = [];
  #canvas = find("history");
  #meanings = new Map();
  #seen = 0;

  constructor() {
    sharp(this.#canvas, () => this.#plot());
  }

  hello(hello) {
    this.#history = hello.history;
    this.#meanings = new Map(hello.counters);
    this.#plot();
    this.#places = hello.places;
    find("log").replaceChildren();
    this.#seen = 0;
    this.log(hello.log);
  }

  #places = [];

  state(state) {
    this.#latency(state.latency);
    const [p50, p99] = state.step_ms;
    put(find("step"), state.hop_ms ? `${p50.toFixed(1)} (p99 ${p99.toFixed(1)}) of ${state.hop_ms.toFixed(1)} ms` : "");
    this.#counters(state.counters, state.restarts);
    const rate = state.rate ? `${state.rate} Hz, ${state.channels} ch` : "";
    rows(find("about"), [
      ["source", [state.source || "opening", rate].filter(Boolean).join(", ")],
      ["running", state.model ? `${state.model} on ${state.provider}` : "loading"],
      ...(state.output ? [["output", state.output]] : []),
      ...(state.recording ? [["recording", state.record_path]] : []),
      ...(state.inserts.endpoint
        ? [["plugins", `${state.inserts.instances} of ${state.inserts.limit} ${state.inserts.names}`]]
        : []),
      ...this.#places,
    ]);
  }

  clients(message) {
    const list = [];
    if (message.connections) {
      list.push([`ZeroMQ, ${message.connections} connections`, ""]);
      for (const topic of message.zeromq) list.push(["wants", topic || "everything"]);
    }
    for (const target of message.osc_targets) list.push(["OSC target", target]);
    for (const one of message.osc) list.push([`OSC ${one.to}`, one.pattern]);
    for (const one of message.browsers) {
      const what = [one.listens && `hears ${one.listens}`, one.dropped && `${one.dropped} dropped`].filter(Boolean);
      list.push([`browser ${one.address}`, what.join(", ") || "looks"]);
    }
    const items = list.map(([who, what]) => {
      const item = document.createElement("li");
      const [a, b] = [document.createElement("span"), document.createElement("span")];
      a.textContent = who;
      b.textContent = what;
      item.append(a, b);
      return item;
    });
    find("clients").replaceChildren(...items);
    put(find("clients-sum"), `${message.connections + message.osc.length + message.browsers.length}`);
  }

  // lines: of [number, ms, level, text]
  log(lines) {
    const list = find("log");
    const follows = list.scrollHeight - list.scrollTop - list.clientHeight < 30;
    list.querySelector(".none")?.remove();
    for (const [number, ms, level, text] of lines) {
      if (number <= this.#seen) continue;
      this.#seen = number;
      const item = document.createElement("li");
      item.className = level;
      const time = document.createElement("time");
      time.textContent = clock(ms);
      item.append(time, level === "INFO" ? text : `${level.toLowerCase()}: ${text}`);
      list.append(item);
    }
    while (list.children.length > MAX_LINES) list.firstElementChild.remove();
    if (!list.children.length) {
      const item = document.createElement("li");
      item.className = "none";
      item.textContent = "Nothing yet.";
      list.append(item);
    }
    if (follows) list.scrollTop = list.scrollHeight;
  }

  history(row) {
    this.#history.push(row);
    if (this.#history.length > HISTORY_S) this.#history.shift();
    this.#plot();
  }

  #latency(stages) {
    const sum = stages.reduce((all, stage) => all + stage.ms, 0);
    put(find("latency-sum"), stages.length ? `${sum.toFixed(1)} ms in all` : "");
    const bar = find("latency-bar");
    while (bar.children.length > stages.length) bar.lastElementChild.remove();
    stages.forEach((stage, i) => {
      const part = bar.children[i] ?? bar.appendChild(document.createElement("i"));
      part.style.setProperty("--ms", Math.max(stage.ms, 0.01));
      part.style.setProperty("--shade", SHADES[i % SHADES.length]);
    });
    rows(
      find("latency-rows"),
      stages.map((stage, i) => [stage.name, `${stage.ms.toFixed(1)} ms`, SHADES[i % SHADES.length], stage.note]),
    );
  }

  #counters(counters, restarts) {
    const entries = Object.entries(counters);
    entries.push(["restarts", Object.values(restarts).reduce((all, n) => all + n, 0)]);
    const list = find("counters");
    rows(list, entries.map(([name, n]) => [name, short(n), "", this.#meanings.get(name) ?? "processes started again"]));
    entries.forEach(([, n], i) => list.children[i].classList.toggle("some", n > 0));
    const some = entries.filter(([, n]) => n > 0).length;
    put(find("counted"), some ? `${some} not zero` : "all zero");
  }

  #plot() {
    const context = this.#canvas.getContext("2d");
    const { width, height } = this.#canvas;
    const unit = rem(this.#canvas);
    const highest = Math.max(1, ...this.#history.map(([load]) => load));
    const y = (load) => height - (load / highest) * (height - 0.2 * unit);
    const step = width / HISTORY_S;
    const first = HISTORY_S - this.#history.length;
    context.clearRect(0, 0, width, height);
    context.fillStyle = "rgb(255 255 255 / 14%)";
    for (const load of [0.5, 1]) context.fillRect(0, Math.round(y(load)), width, 1);
    context.fillStyle = colour("dim");
    context.font = `${0.62 * unit}px system-ui, sans-serif`;
    context.textBaseline = "top";
    context.fillText("100 %", 0.25 * unit, y(1) + 2);
    context.fillStyle = "rgb(61 220 132 / 30%)";
    context.strokeStyle = colour("good");
    context.lineWidth = Math.max(1.5, 0.1 * unit);
    const line = new Path2D();
    this.#history.forEach(([load], i) => line.lineTo((first + i + 0.5) * step, y(load)));
    context.stroke(line);
    if (this.#history.length) {
      line.lineTo(width, height);
      line.lineTo(first * step, height);
      context.fill(line);
    }
    context.fillStyle = colour("bad");
    this.#history.forEach(([, missed], i) => {
      const tall = missed ? Math.min(0.35 + 0.12 * Math.log2(missed), 1) * height * 0.6 : 0;
      context.fillRect((first + i) * step, height - tall, Math.max(step, 2), tall);
    });
  }
}

// What the top says; `link` is what the browser itself knows.
export function vitals(state, linked) {
  const name = linked ? state.state : "GONE";
  const badge = find("state");
  put(badge, name);
  badge.dataset.state = name;
  document.title = `${name === "RUNNING" ? "" : `${name} `}stemd`;
  const total = state.latency.reduce((all, stage) => all + stage.ms, 0);
  put(find("latency"), total ? total.toFixed(1) : "–");
  const load = Math.round(100 * state.load);
  put(find("load"), String(load));
  find("load").closest("div").className = load >= 100 ? "bad" : load >= 80 ? "warn" : "";
  const missed = state.counters.misses + state.counters.late;
  put(find("missed"), short(missed));
  find("missed").closest("div").className = missed ? "warn" : "";
  put(find("up"), duration(Date.now() - state.started_utc_ms));
  const reason = find("reason");
  reason.hidden = !state.reason || !linked;
  put(reason, state.reason);
}
