// The websocket to the daemon: found again by itself, and honest about being gone.

const PAUSES_MS = [200, 400, 800, 1500];
const SILENCE_MS = 3000; // the daemon says something every half second
const DEAD_MS = 6000; // nobody tells us of a cable that was pulled or a daemon's machine that fell

export const PICTURE = 1;
export const AUDIO = 2;

export class Link extends EventTarget {
  // Events: "message" (detail: an object), "picture" and "audio" (detail: an ArrayBuffer),
  // "change" (detail: "open", "gone" or "door").
  #socket = null;
  #tries = 0;
  #nextId = 1;
  #waiting = new Map();
  #heardAt = 0;
  #standing = [];
  state = "opening";
  goneSince = 0;

  constructor() {
    super();
    setInterval(() => this.#watch(), 500);
  }

  async open() {
    let session = null;
    try {
      session = await (await fetch("session", { cache: "no-store", signal: AbortSignal.timeout(SILENCE_MS) })).json();
    } catch {
      return this.#lost();
    }
    if (!session.admitted) return this.#become("door");
    const scheme = location.protocol === "https:" ? "wss:" : "ws:";
    const socket = new WebSocket(`${scheme}//${location.host}/socket`);
    socket.binaryType = "arraybuffer";
    socket.onopen = () => {
      this.#tries = 0;
      this.#heardAt = performance.now();
      this.#become("open");
      for (const fields of this.#standing) this.#send(fields);
    };
    socket.onmessage = (event) => this.#take(event.data);
    socket.onclose = () => {
      if (this.#socket === socket) this.#lost();
    };
    this.#socket = socket;
    this.#heardAt = performance.now(); // nor may it take for ever to open
  }

  // Ask the daemon; the answer is an object, an error its sentence.
  ask(fields) {
    const id = this.#nextId++;
    return new Promise((resolve, reject) => {
      if (!this.#send({ ...fields, id })) return reject(new Error("the daemon is gone"));
      this.#waiting.set(id, { resolve, reject });
    });
  }

  // Say what shall hold also after the connection was lost: one for each op.
  keep(fields) {
    this.#standing = [...this.#standing.filter((one) => one.op !== fields.op), fields];
    this.#send(fields);
  }

  #send(fields) {
    if (this.#socket?.readyState !== WebSocket.OPEN) return false;
    this.#socket.send(JSON.stringify(fields));
    return true;
  }

  #take(data) {
    this.#heardAt = performance.now();
    if (this.state === "gone") this.#become("open");
    if (typeof data !== "string") {
      const name = new Uint8Array(data, 0, 1)[0] === AUDIO ? "audio" : "picture";
      this.dispatchEvent(new CustomEvent(name, { detail: data }));
      return;
    }
    const message = JSON.parse(data);
    if (message.type === "reply") {
      const one = this.#waiting.get(message.id);
      this.#waiting.delete(message.id);
      if (message.ok) one?.resolve(message);
      else if (one) one.reject(new Error(message.error));
      else this.dispatchEvent(new CustomEvent("message", { detail: message }));
      return;
    }
    this.dispatchEvent(new CustomEvent("message", { detail: message }));
  }

  #lost() {
    this.#socket?.close(); // what it still says is of no interest, nor when it has ended
    this.#socket = null;
    for (const { reject } of this.#waiting.values()) reject(new Error("the daemon is gone"));
    this.#waiting.clear();
    this.#become("gone");
    setTimeout(() => this.open(), PAUSES_MS[Math.min(this.#tries++, PAUSES_MS.length - 1)]);
  }

  #watch() {
    const silent = performance.now() - this.#heardAt;
    if (this.state === "open" && silent > SILENCE_MS) this.#become("gone");
    if (this.#socket && silent > DEAD_MS) this.#lost();
  }

  #become(state) {
    if (state === this.state) return;
    if (state === "gone") this.goneSince = Date.now();
    this.state = state;
    this.dispatchEvent(new CustomEvent("change", { detail: state }));
  }
}
