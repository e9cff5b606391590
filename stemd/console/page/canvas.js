// Canvases that are as sharp as the screen, and colours from the style sheet.

const sized = new Map();

const watcher = new ResizeObserver((entries) => {
  for (const entry of entries) {
    const exact = entry.devicePixelContentBoxSize?.[0];
    const ratio = window.devicePixelRatio || 1;
    const width = Math.round(exact?.inlineSize ?? entry.contentRect.width * ratio);
    const height = Math.round(exact?.blockSize ?? entry.contentRect.height * ratio);
    const canvas = entry.target;
    if (width && height && (canvas.width !== width || canvas.height !== height)) {
      canvas.width = width;
      canvas.height = height;
      sized.get(canvas)?.();
    }
  }
});

// Keep a canvas as many pixels wide and high as it is on the screen; `changed` draws it anew.
export function sharp(canvas, changed) {
  sized.set(canvas, changed);
  watcher.observe(canvas);
}

// Pixels of the canvas to one rem: what lines and letters are measured in.
export function rem(canvas) {
  const root = parseFloat(getComputedStyle(document.documentElement).fontSize);
  return (root * canvas.width) / (canvas.clientWidth || canvas.width);
}

export function colour(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
}

export function channels(hex) {
  const value = parseInt(hex.slice(1), 16);
  return [(value >> 16) & 255, (value >> 8) & 255, value & 255];
}
