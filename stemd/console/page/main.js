// The console: what the daemon says goes to the lanes and the panel, what hands do goes to the daemon.

import { Ear } from "./ear.js";
import { Lane, press } from "./lane.js";
import { Link } from "./link.js";
import { Panel, vitals } from "./panel.js";
import { chordOf, duration, put } from "./words.js";

const HEAD_BYTES = 16;
const TWICE_MS = 600;
const FRAME_MS = 30;

const find = (id) => document.getElementById(id);
const link = new Link();
const panel = new Panel();
const ear = new Ear();

let hello = null;
let lanes = [];
let feed = "";
let mixer = null;
let state = null;
let running = ""; // the model, as last told
let heard = ""; // the source that is listened to
let beats = 0;
let beatAt = 0;
let pictures = 0;
let escapedAt = 0;

// -- from the daemon ------------------------------------------------------------------------------

const takes = {
  hello(message) {
    const same = hello && ["feeds", "bands_hz", "sources", "columns_per_s"].every((key) => String(hello[key]) === String(message[key]));
    const rate = hello?.samplerate;
    hello = message;
    if (!hello.feeds.includes(feed)) feed = hello.feeds[0];
    if (!same) {
      find("lanes").replaceChildren();
      lanes = hello.sources.map((source) => new Lane(source, hello, { set: turn, listen }));
      for (const lane of lanes) lane.listening(lane.source === heard);
      feeds();
    }
    link.keep({ op: "watch", feed });
    pickers();
    panel.hello(hello);
    if (heard && hello.samplerate !== rate) sound();
    beats = 0;
  },
  state(message) {
    state = message;
    vitals(state, link.state === "open");
    panel.state(state);
    if (state.model !== running) runs(state.model);
    knobs();
  },
  mixer(message) {
    const same = String(mixer?.presets) === String(message.presets);
    mixer = message;
    if (!same) presets();
    knobs();
  },
  history: (message) => panel.history(message.row),
  log: (message) => panel.log(message.lines),
  subscribers: (message) => panel.clients(message),
};

link.addEventListener("message", ({ detail }) => takes[detail.type]?.(detail));
link.addEventListener("audio", ({ detail }) => heard && ear.hear(detail));
link.addEventListener("picture", ({ detail }) => hello && picture(detail));
link.addEventListener("change", ({ detail }) => {
  document.body.dataset.link = detail;
  if (detail === "door") door();
  if (state) vitals(state, detail === "open");
  gone();
});
setInterval(gone, 1000);

function gone() {
  const banner = find("gone");
  banner.hidden = link.state !== "gone";
  const since = duration(Date.now() - link.goneSince);
  const text = `The daemon does not answer (${since}). Trying again; this page comes back by itself.`;
  if (!banner.hidden) put(banner, text);
  if (link.state === "gone" && !state) {
    put(find("state"), "GONE");
    find("state").dataset.state = "GONE";
  }
}

// One picture of the stream, packed as Picture.take says.
function picture(buffer) {
  const view = new DataView(buffer);
  if (view.getUint8(1) !== hello.feeds.indexOf(feed)) return;
  const n = view.getUint16(2, true);
  const sources = hello.sources.length;
  const width = hello.source_values.length;
  let at = HEAD_BYTES;
  const floats = (count) => {
    const array = new Float32Array(buffer, at, count);
    at += 4 * count;
    return array;
  };
  const bytes = (count) => {
    const array = new Uint8Array(buffer, at, count);
    at += count;
    return array;
  };
  const values = floats(sources * width);
  const ofFeed = named(hello.feed_values, floats(hello.feed_values.length));
  const f0 = floats(n * sources);
  const bands = bytes(n * sources * hello.n_bands);
  const onsets = bytes(n * sources);
  const levels = bytes(hello.feeds.length);
  const beat = beats > 0 && ofFeed.beat_count > beats;
  if (beat) beatAt = performance.now();
  beats = ofFeed.beat_count;
  const chord = chordOf(ofFeed.chord);
  lanes.forEach((lane, s) => {
    const columns = [];
    for (let i = 0; i < n; i++) {
      const k = i * sources + s;
      columns.push({
        bands: bands.subarray(k * hello.n_bands, (k + 1) * hello.n_bands),
        f0: f0[k],
        onset: onsets[k],
        beat: beat && i === n - 1,
      });
    }
    lane.hear(named(hello.source_values, values.subarray(s * width, (s + 1) * width)), ofFeed, columns, chord);
  });
  put(find("tempo"), ofFeed.tempo_bpm > 0 ? ofFeed.tempo_bpm.toFixed(1) : "–");
  [...find("feeds").children].forEach((tab, i) => tab.style.setProperty("--level", levels[i] / 255));
  pictures++;
}

function named(names, values) {
  return Object.fromEntries(names.map((name, i) => [name, values[i]]));
}

let drawnAt = 0;
function draw(now) {
  requestAnimationFrame(draw);
  if (now - drawnAt < FRAME_MS) return; // pictures come no faster
  drawnAt = now;
  for (const lane of lanes) lane.draw(now);
  find("beat").style.opacity = 0.13 + 0.87 * Math.max(1 - (now - beatAt) / 250, 0);
}
requestAnimationFrame(draw);

// -- to the daemon --------------------------------------------------------------------------------

async function order(fields, done = "") {
  try {
    const reply = await link.ask(fields);
    if (done) toast(reply.text || done);
    return reply;
  } catch (error) {
    toast(error.message, true);
    return null;
  }
}

function turn(fields) {
  return order({ op: "set", feed, ...fields });
}

async function listen(source) {
  heard = heard === source ? "" : source;
  link.keep({ op: "listen", feed, source: heard });
  await sound();
}

// Play what is listened to, at the rate of the stream, or nothing.
async function sound() {
  if (heard) {
    try {
      await ear.start(hello.samplerate, find("ear-volume").valueAsNumber);
    } catch (error) {
      heard = "";
      toast(`This browser plays nothing: ${error.message}`, true);
    }
  } else {
    await ear.stop();
  }
  find("ear").hidden = !heard;
  put(find("ear-name"), heard === "mix" ? "input" : heard);
  for (const lane of lanes) lane.listening(lane.source === heard);
}

ear.addEventListener("health", ({ detail }) => {
  put(find("ear-health"), `${Math.round(detail.waiting_ms)} ms waiting, ${detail.gaps} gaps`);
});
find("ear-volume").oninput = (event) => ear.volume(event.target.valueAsNumber);
find("ear-stop").onclick = () => listen(heard);

find("record").onclick = () => order({ op: "set", recording: !mixer?.recording });
find("bypass").onclick = () => turn({ bypass: !mixer?.feeds[feed]?.bypass });
find("panic").onclick = () => {
  for (const name of hello?.feeds ?? []) order({ op: "set", feed: name, bypass: true });
};
find("reload").onclick = async () => {
  if (await sure("Reload the configuration?", "It is checked first. Where input or profile changed, the stream starts anew: some seconds without stems.")) {
    order({ op: "reload" }, "reloaded");
  }
};

function knobs() {
  if (!mixer || !hello) return;
  const ours = mixer.feeds[feed];
  if (!ours) return;
  const anySolo = Object.values(ours.stems).some((stem) => stem.solo);
  for (const lane of lanes) {
    const stem = ours.stems[lane.source];
    const silent = stem ? stem.mute || (anySolo && !stem.solo) || mixer.paused : false;
    lane.set(stem, silent);
  }
  press(find("bypass"), ours.bypass);
  const record = find("record");
  press(record, mixer.recording);
  record.disabled = !state?.recorder;
  const failed = mixer.recording && state?.recorder ? state.record_reason : "";
  record.classList.toggle("failed", Boolean(failed));
  record.title = "Record to files (R)";
  if (record.disabled) record.title = "Recording is off: set record.enabled = true in the configuration";
  if (failed) record.title = `${failed}; switch it off and on to try again`;
}

// -- pickers --------------------------------------------------------------------------------------

function options(select, entries, value) {
  select.replaceChildren(...entries.map(([key, text]) => new Option(text, key, false, key === value)));
  select.dataset.value = select.value;
}

function choose(select, value) {
  select.value = select.dataset.value = value;
}

function pickers() {
  const released = hello.models.map((name) => [name, name]);
  if (!hello.models.includes(hello.model)) released.unshift([hello.model, hello.model === "default" ? "default of the profile" : hello.model]);
  options(find("model"), released, hello.model);
  running = "";
  options(find("profile"), hello.profiles.map((name) => [name, name]), hello.profile);
  devices([]);
}

// What hello says of the model is what the console's process began with; another may have taken over.
function runs(model) {
  running = model;
  if (hello?.models.includes(model)) choose(find("model"), model);
}

function presets() {
  const names = mixer.presets;
  find("preset-field").hidden = !names.length;
  options(find("preset"), [["", "recall …"], ...names.map((name) => [name, name])], "");
}

function devices(found) {
  const { kind, name, host_api } = hello.device;
  const key = (k, api, n) => JSON.stringify({ kind: k, host_api: api, name: n });
  const now = key(kind, host_api, name);
  const entries = [[now, { demo: "demo loop", tone: "test tone", file: "file", none: "none: plugins only", stdin: "standard input" }[kind] ?? (name || "default input")]];
  for (const device of found.filter((one) => one.max_input_channels > 0)) {
    entries.push([key("device", device.host_api, device.name), `${device.name} (${device.host_api})`]);
  }
  entries.push([key("demo", "", ""), "demo loop"]);
  options(find("device"), [...new Map(entries.map(([k, text]) => [k, [k, text]])).values()], now);
}

let asked = 0;
find("device").addEventListener("pointerdown", lookForDevices);
find("device").addEventListener("focus", lookForDevices);
async function lookForDevices() {
  if (performance.now() - asked < 10000 && asked) return;
  asked = performance.now();
  const reply = await order({ op: "devices" });
  if (reply) devices(reply.devices);
}

const ANEW = "The stream starts anew: some seconds without stems, on every output.";
const COSTS = { model: "It is loaded beside the one that plays, then faded over.", profile: ANEW, device: ANEW };

function picks(id, what, request) {
  const select = find(id);
  select.onchange = async () => {
    // Now: while we ask, the options may come anew, and with them what was selected before.
    const { value } = select;
    const { text } = select.selectedOptions[0];
    const done = (await sure(`Change the ${what} to ${text}?`, COSTS[id])) && (await order(request(value), `changing to ${text}`));
    choose(select, done ? value : select.dataset.value);
  };
}
picks("model", "model", (name) => ({ op: "model", name }));
picks("profile", "profile", (name) => ({ op: "profile", name }));
picks("device", "input", (value) => ({ op: "device", ...JSON.parse(value) }));
find("preset").onchange = async ({ target }) => {
  if (target.value) await order({ op: "preset", name: target.value }, `preset ${target.value}`);
  target.value = "";
};

function feeds() {
  const tabs = hello.feeds.map((name) => {
    const tab = document.createElement("button");
    tab.type = "button";
    tab.role = "tab";
    tab.textContent = name;
    tab.ariaSelected = String(name === feed);
    tab.onclick = () => {
      feed = name;
      beats = 0;
      link.keep({ op: "watch", feed });
      if (heard) link.keep({ op: "listen", feed, source: heard });
      for (const one of find("feeds").children) one.ariaSelected = String(one === tab);
      knobs();
    };
    return tab;
  });
  find("feeds").replaceChildren(...tabs);
  find("feeds").hidden = tabs.length < 2;
}

// -- what comes and goes --------------------------------------------------------------------------

function sure(title, text) {
  const dialog = find("ask");
  put(find("ask-title"), title);
  put(find("ask-text"), text);
  dialog.returnValue = "no";
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.onclose = () => resolve(dialog.returnValue === "yes");
  });
}

let toasting = 0;
function toast(text, bad = false) {
  const element = find("toast");
  element.hidden = false;
  element.classList.toggle("bad", bad);
  put(element, text);
  clearTimeout(toasting);
  toasting = setTimeout(() => (element.hidden = true), bad ? 8000 : 3000);
}

async function enter(token) {
  const headers = { "Content-Type": "application/json" };
  const answer = await fetch("session", { method: "POST", headers, body: JSON.stringify({ token }) });
  return answer.ok;
}

function door() {
  const dialog = find("door");
  if (!dialog.open) dialog.showModal();
  find("door-form").onsubmit = async (event) => {
    event.preventDefault();
    if (await enter(find("door-token").value)) {
      dialog.close();
      link.open();
    } else {
      put(find("door-wrong"), "That is not it, or it was tried too often. Wait a second.");
    }
  };
}

document.addEventListener("keydown", (event) => {
  // A key that is held is struck once: Escape, too, which twice is Panic.
  if (event.repeat || event.ctrlKey || event.metaKey || event.altKey) return;
  if (document.querySelector("dialog[open]")) return;
  if (event.target.closest("input:not([type=range]), select, textarea")) return;
  const number = "1234".indexOf(event.code.replace("Digit", ""));
  if (event.code.startsWith("Digit") && number >= 0) lanes[number + 1]?.press(event.shiftKey ? "solo" : "mute");
  else if (event.key === "b") find("bypass").click();
  else if (event.key === "r") find("record").click();
  else if (event.key === "Escape") {
    if (event.timeStamp - escapedAt < TWICE_MS) find("panic").click();
    escapedAt = event.timeStamp;
  } else return;
  event.preventDefault();
});

// A link may carry the token behind #token=, which browsers send to nobody.
async function begin() {
  const token = new URLSearchParams(location.hash.slice(1)).get("token");
  if (token) {
    history.replaceState(null, "", location.pathname);
    await enter(token).catch(() => false);
  }
  link.open();
}
begin();

// For tests, and for the curious.
Object.assign(window, { stemd: { link, ear, pictures: () => pictures, lanes: () => lanes, state: () => state, mixer: () => mixer } });
