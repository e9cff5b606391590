// Four stems as four columns: a disc as large as the stem is loud, a ring for each onset, eight
// bands below, the note that sounds above. A click on a column mutes its stem.
const STEMS = ["vocals", "drums", "bass", "other"];
const COLOURS = [[255, 111, 97], [255, 200, 87], [76, 201, 240], [149, 213, 178]];
const NAMES = ["C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B"];
const DECAY = 0.9; // of rings and hits, for each picture

const rings = [0, 0, 0, 0];
const hits = { kick: 0, snare: 0, hihat: 0 };
let beat = 0;

function setup() {
  createCanvas(windowWidth, windowHeight);
  textAlign(CENTER, CENTER);
}

function draw() {
  background(20, 22, 26);
  const column = width / STEMS.length;
  STEMS.forEach((stem, s) => drawStem(stem, s, column * (s + 0.5), column));
  drawBeat();
  if (!stemd.alive()) write("no daemon heard: stemd run", width / 2, height * 0.06, 18, [200, 80, 80]);
}

function drawStem(stem, s, x, column) {
  const muted = isMuted(stem);
  const colour = muted ? [70, 74, 82] : COLOURS[s];
  const size = column * (0.1 + 0.75 * level(stemd.get(stem, "rms")));
  const middle = height * 0.42;
  rings[s] = Math.max(rings[s] * DECAY, stemd.hit(stem, "onset"));

  noStroke();
  fill(...colour);
  circle(x, middle, size);
  if (rings[s] > 0.02) {
    noFill();
    stroke(...colour);
    strokeWeight(1 + 8 * rings[s]);
    circle(x, middle, size + column * 0.3 * (1 - rings[s]) + 10);
  }
  drawBands(stem, x, column, colour);
  write(stem + (muted ? " (muted)" : ""), x, height * 0.94, 18, colour);
  const note = stemd.get(stem, "note");
  if (note > 0) write(NAMES[note % 12] + (Math.floor(note / 12) - 1), x, height * 0.13, 26, colour);
  if (stem === "drums") drawHits(x, column);
}

function drawBands(stem, x, column, colour) {
  const bar = (column * 0.8) / 8;
  noStroke();
  fill(...colour);
  for (let i = 0; i < 8; i++) {
    const tall = height * 0.14 * level(stemd.get(stem, "band_" + (i + 1)));
    rect(x - column * 0.4 + i * bar + 1, height * 0.88 - tall, bar - 2, tall + 1);
  }
}

function drawHits(x, column) {
  Object.keys(hits).forEach((drum, i) => {
    hits[drum] = Math.max(hits[drum] * DECAY, stemd.hit("drums", drum));
    const bright = 40 + 215 * hits[drum];
    write(drum, x + (i - 1) * column * 0.28, height * 0.13, 14 + 10 * hits[drum], [bright, bright, bright]);
  });
}

function drawBeat() {
  beat = Math.max(beat * DECAY, stemd.hit("mix", "beat"));
  const tempo = stemd.get("mix", "tempo_bpm");
  noStroke();
  fill(255, 255, 255, 30 + 200 * beat);
  rect(0, 0, width * (tempo ? stemd.get("mix", "beat_phase") : 0), 4 + 6 * beat);
  if (tempo) write(tempo.toFixed(1) + " bpm", width / 2, height * 0.04, 16, [230, 230, 230]);
}

function mousePressed() {
  const stem = STEMS[Math.floor((mouseX / width) * STEMS.length)];
  if (stem && stemd.settings) stemd.set({ stem, mute: !isMuted(stem) });
}

function windowResized() {
  resizeCanvas(windowWidth, windowHeight);
  textAlign(CENTER, CENTER);
}

// 0…1, linear in dB over -60…0 dBFS.
function level(rms) {
  return Math.min(Math.max(1 + (20 * Math.log10(rms + 1e-9)) / 60, 0), 1);
}

function isMuted(stem) {
  const feeds = stemd.settings?.feeds;
  return feeds ? Object.values(feeds)[0].stems[stem].mute : false;
}

function write(words, x, y, size, colour) {
  noStroke();
  fill(...colour);
  textSize(size);
  text(words, x, y);
}
