// Points of the map: drawn pixel by pixel, so that 100,000 of them can be moved, and found again.
"use strict";

(() => {
  // Colours of classes, on light and on dark cards: told apart by most colour-blind people by their
  // lightness, too, and each with a contrast of 3 or more.
  const CLASSES = {
    light: ["#1f4fbf", "#b83800", "#007556", "#9a45c4", "#a87400", "#0086a8", "#c2307a", "#5c6b00",
      "#7a4a2a"],
    dark: ["#94b8ff", "#ff9164", "#3fcf9f", "#cfa2ff", "#e0ac4a", "#4fd3ee", "#ff8ac0", "#bccb4e",
      "#d0a37e"],
  };
  // From little to much, even to the eye (viridis), without the end that the card swallows.
  const RAMP = {
    light: ["#440154", "#3b528b", "#21918c", "#3aa05f"],
    dark: ["#5b6bb0", "#21918c", "#5ec962", "#fde725"],
  };

  camcli.isDark = () => getComputedStyle(document.documentElement).colorScheme === "dark";

  const rgb = (hex) => [1, 3, 5].map((at) => Number.parseInt(hex.slice(at, at + 2), 16));
  const theme = (name) =>
    getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
  const mixed = (a, b, share) => a.map((value, k) => Math.round(value + (b[k] - value) * share));
  const hexOf = (colour) => `#${colour.map((v) => v.toString(16).padStart(2, "0")).join("")}`;

  camcli.classColour = (place) => CLASSES[camcli.isDark() ? "dark" : "light"][place] || theme("neutral");
  camcli.classColours = CLASSES.light.length;
  camcli.themeColour = theme;
  camcli.rampColour = (share) => {
    const stops = RAMP[camcli.isDark() ? "dark" : "light"].map(rgb);
    const at = Math.min(Math.max(share, 0), 1) * (stops.length - 1);
    const low = Math.min(Math.floor(at), stops.length - 2);
    return hexOf(mixed(stops[low], stops[low + 1], at - low));
  };

  const packed = ([r, g, b]) => ((255 << 24) | (b << 16) | (g << 8) | r) >>> 0;

  // The pixels of a point in an image of that width, but for the empty ones.
  const sprite = (width, radius, wrong, rim) => {
    const found = [];
    const reach = Math.ceil(radius + (rim ? 1 : 0));
    const far = wrong ? (x, y) => (Math.abs(x) + Math.abs(y)) * 0.78 : (x, y) => Math.hypot(x, y);
    for (let y = -reach; y <= reach; y++) {
      for (let x = -reach; x <= reach; x++) {
        const distance = far(x, y);
        if (distance <= radius + 0.3) found.push([x, y, false]);
        else if (rim && distance <= radius + 1.4) found.push([x, y, true]);
      }
    }
    return {
      reach, count: found.length,
      across: Int8Array.from(found, ([x]) => x), down: Int8Array.from(found, ([, y]) => y),
      offset: Int32Array.from(found, ([x, y]) => y * width + x),
      rim: Uint8Array.from(found, ([, , isRim]) => Number(isRim)),
    };
  };

  // Draw all points.
  //   view: {scale, left, top}: place * scale + left is where it is, in CSS pixels
  //   x, y: places; count: of them; codes: number of a colour, by row; colours: "#rrggbb" by number
  //   ground: the number of the colour of what has none of its own: it lies below the others
  //   lit: 1 for rows that are selected, or null for all; wrong: 1 for those of another shape
  camcli.drawPoints = (canvas, { view, x, y, count, codes, colours, ground, lit, wrong }) => {
    const ratio = window.devicePixelRatio || 1;
    const width = Math.max(1, Math.round(canvas.clientWidth * ratio));
    const height = Math.max(1, Math.round(canvas.clientHeight * ratio));
    if (canvas.width !== width || canvas.height !== height) {
      canvas.width = width;
      canvas.height = height;
    }
    const context = canvas.getContext("2d", { alpha: false });
    const image = context.createImageData(width, height);
    const pixels = new Uint32Array(image.data.buffer);
    const card = rgb(theme("card")), text = rgb(theme("text"));
    pixels.fill(packed(card));
    const zoom = Math.max(1, view.scale / view.fit) ** 0.35;
    const size = (count < 400 ? 5 : count < 3000 ? 4 : count < 20000 ? 2.2 : 1.4) * zoom * ratio;
    const radius = Math.min(size, 9 * ratio);
    const rims = radius >= 3 * ratio;
    const full = colours.map((colour, k) =>
      packed(k === ground && colours.length > 1 ? mixed(rgb(colour), card, 0.35) : rgb(colour)));
    const faint = colours.map((colour) => packed(mixed(rgb(colour), card, 0.8)));
    const round = sprite(width, radius, false, rims), other = sprite(width, radius * 1.15, true, rims);
    const dim = sprite(width, Math.max(0.5 * ratio, radius * 0.7), false, false);
    const rimOf = [packed(card), packed(text)];
    const scale = view.scale * ratio, left = view.left * ratio, top = view.top * ratio;
    const put = (i, mark, colour, rim) => {
      const px = Math.round(x[i] * scale + left), py = Math.round(y[i] * scale + top);
      const { reach } = mark;
      if (!(px > -reach && py > -reach && px < width + reach && py < height + reach)) return;
      const base = py * width + px;
      if (px >= reach && py >= reach && px < width - reach && py < height - reach) {
        for (let k = 0; k < mark.count; k++) pixels[base + mark.offset[k]] = mark.rim[k] ? rim : colour;
        return;
      }
      for (let k = 0; k < mark.count; k++) {
        const u = px + mark.across[k], v = py + mark.down[k];
        if (u >= 0 && v >= 0 && u < width && v < height) pixels[v * width + u] = mark.rim[k] ? rim : colour;
      }
    };
    // Rows come with the suspicious first: drawn last, they lie on top.
    if (lit) for (let i = count - 1; i >= 0; i--) if (!lit[i]) put(i, dim, faint[codes[i]], 0);
    for (const below of [true, false]) {
      for (let i = count - 1; i >= 0; i--) {
        if ((lit && !lit[i]) || (codes[i] === ground) !== below) continue;
        put(i, wrong[i] ? other : round, full[codes[i]], rimOf[wrong[i]]);
      }
    }
    context.putImageData(image, 0, 0);
    return radius / ratio;
  };

  // Finds the point that is nearest to a place: points lie in a grid of buckets.
  camcli.pointIndex = ({ x, y }) => {
    const side = Math.max(1, Math.min(300, Math.ceil(Math.sqrt(x.length / 4))));
    const cellOf = (value) => Math.min(side - 1, Math.max(0, Math.floor((value / 1000) * side)));
    const starts = new Uint32Array(side * side + 1);
    for (let i = 0; i < x.length; i++) {
      if (!Number.isNaN(x[i])) starts[cellOf(y[i]) * side + cellOf(x[i]) + 1] += 1;
    }
    for (let c = 1; c < starts.length; c++) starts[c] += starts[c - 1];
    const next = starts.slice(), ids = new Uint32Array(starts[side * side]);
    for (let i = 0; i < x.length; i++) {
      if (!Number.isNaN(x[i])) ids[next[cellOf(y[i]) * side + cellOf(x[i])]++] = i;
    }
    // The nearest within `reach` of (px, py), all in the map's units; -1 for none.
    return (px, py, reach, takes) => {
      let best = -1, least = reach * reach;
      const lastRow = cellOf(py + reach), lastColumn = cellOf(px + reach);
      for (let row = cellOf(py - reach); row <= lastRow; row++) {
        for (let column = cellOf(px - reach); column <= lastColumn; column++) {
          const cell = row * side + column;
          for (let k = starts[cell]; k < starts[cell + 1]; k++) {
            const i = ids[k];
            const far = (x[i] - px) ** 2 + (y[i] - py) ** 2;
            if (far <= least && takes(i)) {
              best = i;
              least = far;
            }
          }
        }
      }
      return best;
    };
  };
})();
