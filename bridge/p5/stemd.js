// The link to a running stemd, for any page the relay serves. Nothing here is of p5.
//
//   stemd.get("drums", "rms")       newest value of a feature, 0 before the first
//   stemd.hit("drums", "kick")      strongest hit since this was last asked, else 0
//   stemd.set({stem: "vocals", mute: true})     turns a knob; a promise of all settings
//   stemd.settings                  all knobs, once they are known
//   stemd.alive()                   features came within the last second
const stemd = {
  frames: 0,
  settings: null,
  _now: {},
  _hits: {},
  _heard: -Infinity,

  get(source, feature) {
    return this._now[source]?.[feature] ?? 0;
  },

  hit(source, feature) {
    const key = source + " " + feature;
    const strength = this._hits[key] ?? 0;
    this._hits[key] = 0;
    return strength;
  },

  alive() {
    return performance.now() - this._heard < 1000;
  },

  async set(fields) {
    const answer = await fetch("/set", {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify(fields),
    });
    const reply = await answer.json();
    if (!answer.ok) throw new Error(reply.error);
    return (this.settings = reply);
  },

  async look() {
    const answer = await fetch("/settings");
    if (answer.ok) this.settings = await answer.json();
  },

  _take(picture) {
    for (const [source, row] of Object.entries(picture)) {
      this._now[source] = row;
      for (const feature of ["kick", "snare", "hihat", "note_velocity", "beat"])
        this._keep(source, feature, row[feature] ?? 0);
      // An onset is 1 in its hop; how strong it was is in the row beside it.
      this._keep(source, "onset", row.onset ? Math.max(row.onset_strength, 0.2) : 0);
      this._heard = performance.now();
    }
    this.frames++;
  },

  _keep(source, feature, strength) {
    const key = source + " " + feature;
    this._hits[key] = Math.max(this._hits[key] ?? 0, strength);
  },
};

{
  const events = new EventSource("/features");
  events.onmessage = (message) => stemd._take(JSON.parse(message.data));
  events.onopen = () => stemd.look();
  setInterval(() => stemd.look(), 2000); // others turn knobs too
}
