// The few functions of p5 that sketch.js uses, over a bare canvas, for where p5 cannot be loaded.
// A sketch of your own may need more: put p5.min.js beside this page and load that instead.
{
  const canvas = document.createElement("canvas");
  const pen = canvas.getContext("2d");
  let filled = true, outlined = false;
  const colour = (...c) =>
    c.length === 1 ? `rgb(${c[0]},${c[0]},${c[0]})`
    : `rgba(${c[0]},${c[1]},${c[2]},${(c[3] ?? 255) / 255})`;
  const paint = () => {
    if (filled) pen.fill();
    if (outlined) pen.stroke();
  };

  Object.assign(window, {
    CENTER: "center",
    mouseX: 0,
    mouseY: 0,
    createCanvas(w, h) {
      document.body.append(canvas);
      resizeCanvas(w, h);
    },
    resizeCanvas(w, h) {
      window.width = canvas.width = w;
      window.height = canvas.height = h;
    },
    background(...c) {
      pen.fillStyle = colour(...c);
      pen.fillRect(0, 0, canvas.width, canvas.height);
    },
    fill(...c) { filled = true; fill.style = colour(...c); },
    stroke(...c) { outlined = true; pen.strokeStyle = colour(...c); },
    noFill() { filled = false; },
    noStroke() { outlined = false; },
    strokeWeight(w) { pen.lineWidth = w; },
    circle(x, y, d) {
      pen.beginPath();
      pen.arc(x, y, Math.max(d, 0) / 2, 0, 2 * Math.PI);
      pen.fillStyle = fill.style;
      paint();
    },
    rect(x, y, w, h) {
      pen.beginPath();
      pen.rect(x, y, w, h);
      pen.fillStyle = fill.style;
      paint();
    },
    textAlign(x) { pen.textAlign = x; pen.textBaseline = "middle"; },
    textSize(s) { pen.font = `${s}px sans-serif`; },
    text(words, x, y) { pen.fillStyle = fill.style; pen.fillText(words, x, y); },
  });
  fill.style = "white";

  const size = () => {
    window.windowWidth = innerWidth;
    window.windowHeight = innerHeight;
  };
  const step = () => {
    draw();
    requestAnimationFrame(step);
  };
  addEventListener("mousemove", (e) => { window.mouseX = e.clientX; window.mouseY = e.clientY; });
  addEventListener("mousedown", (e) => {
    window.mouseX = e.clientX;
    window.mouseY = e.clientY;
    window.mousePressed?.();
  });
  addEventListener("resize", () => { size(); window.windowResized?.(); });
  size();
  setup();
  step();
}
