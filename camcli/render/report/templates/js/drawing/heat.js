// Heatmaps: from a few cells to a picture, over the part of the photograph that the network saw.
"use strict";

(() => {
  const { bytes } = camcli;

  // "h,w,base64" -> {h, w, cells}; null for an empty map.
  camcli.parseMap = (text) => {
    if (!text) return null;
    const [h, w, cells] = text.split(",");
    return { h: Number(h), w: Number(w), cells: bytes(cells) };
  };

  // For each pixel of a side: the cell before, the cell after, and the share of the latter.
  const taps = (cells, pixels) => {
    const low = new Uint16Array(pixels), high = new Uint16Array(pixels);
    const share = new Float32Array(pixels);
    for (let p = 0; p < pixels; p++) {
      const at = Math.min(Math.max(((p + 0.5) * cells) / pixels - 0.5, 0), cells - 1);
      low[p] = Math.min(Math.floor(at), Math.max(cells - 2, 0));
      high[p] = Math.min(low[p] + 1, cells - 1);
      share[p] = at - low[p];
    }
    return { low, high, share };
  };

  // The colours of a map's 256 levels on the scale that is to be used.
  const coloursOf = (about) => {
    const table = new Uint32Array(camcli.colourTable(about.signed).buffer);
    const { gain } = camcli.scaleOf(about);
    if (gain === 1) return table;
    const zero = about.signed ? 127.5 : 0;
    return table.map((_, level) =>
      table[Math.min(255, Math.max(0, Math.round(zero + (level - zero) * gain)))]);
  };

  // Draw a map as the reader wants it, and again when that changes.
  //   side: pixels across; the canvas is stretched by CSS, and few are enough for a smooth map.
  //   about: {high, prob, s, signed}, see camcli.scaleOf in look.js; signed: levels below the middle
  //   are evidence against.
  camcli.paintMap = (canvas, map, side, about = {}) => {
    const told = { signed: camcli.settings.signed, ...about };
    camcli.followLook(canvas, () => {
      const cells = camcli.look.cells === "cells";
      canvas.classList.toggle("cells", cells);
      if (cells) drawCells(canvas, map, coloursOf(told));
      else drawSmooth(canvas, map, side, coloursOf(told));
    });
  };

  const drawCells = (canvas, map, colours) => {
    canvas.width = map.w;
    canvas.height = map.h;
    const context = canvas.getContext("2d");
    const image = context.createImageData(map.w, map.h);
    new Uint32Array(image.data.buffer).set(Array.from(map.cells, (level) => colours[level]));
    context.putImageData(image, 0, 0);
  };

  // Bilinear as the run's own overlays are: along the rows first, then between them.
  const drawSmooth = (canvas, map, side, colours) => {
    const width = side, height = Math.max(1, Math.round((side * map.h) / map.w));
    canvas.width = width;
    canvas.height = height;
    const context = canvas.getContext("2d");
    const image = context.createImageData(width, height);
    const pixels = new Uint32Array(image.data.buffer);
    const across = taps(map.w, width), down = taps(map.h, height);
    const lines = new Float32Array(map.h * width);
    for (let y = 0, at = 0; y < map.h; y++) {
      for (let x = 0; x < width; x++) {
        const left = map.cells[y * map.w + across.low[x]];
        const right = map.cells[y * map.w + across.high[x]];
        lines[at++] = left + (right - left) * across.share[x];
      }
    }
    for (let y = 0, at = 0; y < height; y++) {
      const upper = down.low[y] * width, lower = down.high[y] * width, share = down.share[y];
      for (let x = 0; x < width; x++) {
        const value = lines[upper + x] + (lines[lower + x] - lines[upper + x]) * share;
        pixels[at++] = colours[Math.round(value)];
      }
    }
    context.putImageData(image, 0, 0);
  };

  // How much heat: 0 the photograph, 1 the heatmap alone. All pictures follow one CSS variable.
  camcli.setHeat = (share) => {
    document.documentElement.style.setProperty("--heat", share);
    for (const id of ["heat", "view-heat"]) camcli.byId(id).value = Math.round(100 * share);
  };

  const tryNext = (img, urls, onBaked) => {
    const next = urls.shift();
    if (!next) {
      img.removeAttribute("src");
      img.classList.add("gone");
      return;
    }
    img.onerror = () => tryNext(img, urls, onBaked);
    if (next.baked) onBaked();
    img.src = next.url;
  };

  const place = (element, [x0, y0, x1, y1], [width, height]) => {
    element.style.left = `${(100 * x0) / width}%`;
    element.style.top = `${(100 * y0) / height}%`;
    element.style.width = `${(100 * (x1 - x0)) / width}%`;
    element.style.height = `${(100 * (y1 - y0)) / height}%`;
  };

  // The small copy of a row's photograph, which the first `settings.thumbs` rows have but for those
  // of `settings.thumbless`, whose photographs could not be read.
  let thumbless = null;
  camcli.hasThumb = (id) => {
    thumbless = thumbless || new Set(camcli.settings.thumbless);
    return id < camcli.settings.thumbs && !thumbless.has(id);
  };
  camcli.thumbOf = (id) => `thumbs/${String(Math.floor(id / 1000)).padStart(3, "0")}/${String(id).padStart(6, "0")}.jpg`;

  // The picture of one map of one row.
  //   row: from camcli.rowOf; detail: its details or null while they are on their way;
  //   s: which side; map: [class, probability, text, highest number] or null;
  //   large: prefer the whole photograph; signed: of evidence of either sign; difference: of two
  //   classes, see difference.js.
  camcli.stage = (row, detail, s, map, { large = false, alt = "",
    difference = false, signed = camcli.settings.signed || difference } = {}) => {
    const frame = camcli.el("div", { class: signed ? "frame signed" : "frame" });
    const stage = camcli.el("div", { class: "stage" }, frame);
    if (!detail) return stage;
    const side = detail.sides[s];
    if (!detail.size) {
      frame.classList.add("broken");
      frame.append(camcli.el("span", { text: "could not be read" }));
      return stage;
    }
    if (side.outside) {
      // Whoever made the table may have named any file of the reader's.
      frame.classList.add("broken");
      frame.append(camcli.el("span", { text: "not below the run's photographs, so not shown" }));
      return stage;
    }
    const [width, height] = detail.size;
    frame.style.aspectRatio = `${width} / ${height}`;
    // The frame is as large as fits into its stage.
    stage.style.setProperty("--shape", width / height);
    const { contained, pictures, runs } = camcli.settings;
    const overlay = side.overlay && !contained ? runs[s].overlays + camcli.url(side.overlay) : null;
    const urls = [];
    if (contained) {
      if (pictures[row.id]) urls.push({ url: pictures[row.id] });
    } else {
      if (camcli.hasThumb(row.id)) urls.push({ url: camcli.thumbOf(row.id) });
      urls[large ? "unshift" : "push"]({ url: runs[s].photos + camcli.url(camcli.pathOf(row, s)) });
    }
    // Where the photographs are out of reach, the run's own picture is better than none.
    if (overlay) urls.push({ url: overlay, baked: true });
    const img = camcli.el("img", { alt, draggable: false, decoding: "async" });
    tryNext(img, urls, () => frame.classList.add("baked"));
    frame.append(img);
    const cells = map && camcli.parseMap(map[2]);
    if (cells) {
      const seen = camcli.el("div", { class: side.view ? "seen part" : "seen" });
      place(seen, side.view || [0, 0, width, height], detail.size);
      const canvas = camcli.el("canvas", { "aria-hidden": "true" });
      camcli.paintMap(canvas, cells, large ? 256 : 64, { prob: map[1], high: map[3], s, signed, difference });
      seen.append(canvas);
      frame.append(seen);
    } else if (!map && overlay && runs[s].overlayFits) {
      frame.append(camcli.el("img", { class: "over", src: overlay, alt: "" }));
    }
    if (large && side.box && map === side.maps[0]) {
      const box = camcli.el("div", { class: "box", "aria-hidden": "true" });
      place(box, side.box, detail.size);
      frame.append(box);
    }
    for (const part of camcli.stageParts) part(frame, row, detail, s, { large });
    return stage;
  };
})();
