// Numbers as people say them.

const NAMES = ["C", "C♯", "D", "D♯", "E", "F", "F♯", "G", "G♯", "A", "A♯", "B"];

// Name of a pitch and how far it is off: 445 Hz -> ["A4", 20].
export function noteOf(hz) {
  const midi = 69 + 12 * Math.log2(hz / 440);
  const key = Math.round(midi);
  return [`${NAMES[((key % 12) + 12) % 12]}${Math.floor(key / 12) - 1}`, Math.round(100 * (midi - key))];
}

export function chordOf(number) {
  if (number < 1) return "";
  return number > 12 ? `${NAMES[number - 13]}m` : NAMES[number - 1];
}

export function decibels(gain) {
  return gain > 1e-6 ? 20 * Math.log10(gain) : -120;
}

export function signed(db) {
  if (db <= -60) return "−∞";
  const text = Math.abs(db).toFixed(1);
  return db < -0.04 ? `−${text}` : db > 0.04 ? `+${text}` : text;
}

export function duration(ms) {
  const s = Math.max(Math.floor(ms / 1000), 0);
  const pad = (n) => String(n).padStart(2, "0");
  const days = Math.floor(s / 86400);
  const clock = `${Math.floor((s % 86400) / 3600)}:${pad(Math.floor(s / 60) % 60)}:${pad(s % 60)}`;
  return days ? `${days} d ${clock}` : clock;
}

export function short(count) {
  if (count < 1e5) return String(count);
  return count < 1e7 ? `${(count / 1e3).toFixed(0)} k` : `${(count / 1e6).toFixed(0)} M`;
}

export function clock(ms) {
  return new Date(ms).toLocaleTimeString([], { hour12: false });
}

// Text of an element, touched only when it changes: writing costs a layout.
export function put(element, text) {
  if (element.textContent !== text) element.textContent = text;
}
