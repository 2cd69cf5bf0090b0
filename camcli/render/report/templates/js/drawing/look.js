// How maps are drawn: in which colours, on which scale, as cells or smooth; and what a colour
// stands for. The choice is the reader's, and kept by the browser.
"use strict";

(() => {
  const { el, settings } = camcli;
  const KEY = "camcli-look";
  const CHOICES = {
    colours: Object.keys(settings.colormaps),
    signed: Object.keys(settings.signedColormaps),
    // own: each map's own, and a class that is hardly believed gets paler colours; full: each map's
    // own; run: one for all.
    scale: ["own", "full", "run"],
    cells: ["smooth", "cells"],
  };
  const state = { colours: settings.colours, signed: CHOICES.signed[0], scale: settings.firstScale, cells: "smooth" };
  const known = (name, value) => name in CHOICES && CHOICES[name].includes(value);
  try {
    const kept = JSON.parse(localStorage.getItem(KEY) || "{}");
    for (const name of Object.keys(state)) if (known(name, kept[name])) state[name] = kept[name];
  } catch { /* nothing was kept, or may be */ }
  camcli.look = state;

  // What depends on the look is drawn now, and again when it changes, while it is on the page.
  const drawings = new WeakMap();
  camcli.followLook = (element, draw) => {
    element.dataset.look = "";
    drawings.set(element, draw);
    draw();
  };
  camcli.setLook = (changes) => {
    for (const [name, value] of Object.entries(changes)) if (known(name, value)) state[name] = value;
    try { localStorage.setItem(KEY, JSON.stringify(state)); } catch { /* not kept */ }
    for (const element of document.querySelectorAll("[data-look]")) drawings.get(element)?.();
  };

  const { bytes } = camcli;
  const tables = new Map();
  // Red, green, blue and opacity of each of 256 levels.
  camcli.colourTable = (signed) => {
    const text = signed ? settings.signedColormaps[state.signed] : settings.colormaps[state.colours];
    if (!tables.has(text)) tables.set(text, bytes(text));
    return tables.get(text);
  };

  // Below this probability (in 1/100,000) a class is hardly believed: its map gets the colours only
  // up to a part of them, which grows from FAINT to all.
  const BELIEVED = settings.hardlyBelieved, FAINT = 0.4;
  camcli.hardlyBelieved = (prob, s) => prob >= 0 && prob < BELIEVED && !settings.runs[s].noClass;
  const strength = (prob, s) =>
    (camcli.hardlyBelieved(prob, s) ? FAINT + ((1 - FAINT) * prob) / BELIEVED : 1);

  // On which scale a map is drawn.
  //   high: the number that its highest level stands for; prob: of its class, in 1/100,000, -1 where
  //   it has none; s: of which side; difference: of two classes.
  // Returns {top: the number at the last colour, gain: high / top}.
  camcli.scaleOf = ({ high = 0, prob = -1, s = 0, difference = false }) => {
    const run = settings.runs[s][difference ? "differenceScale" : "scale"];
    if (state.scale === "run" && run && high > 0) return { top: run.top, gain: high / run.top };
    const gain = state.scale === "own" ? strength(prob, s) : 1;
    return { top: high / gain, gain };
  };

  // A number as people read it: three digits.
  const brief = (value) => {
    const size = Math.abs(value);
    if (size && (size < 0.001 || size >= 1e5)) return value.toExponential(1);
    return String(Number(value.toPrecision(size >= 100 ? 3 : 2)));
  };

  const paintBar = (canvas, signed, table) => {
    canvas.width = 256;
    canvas.height = 1;
    const context = canvas.getContext("2d");
    const image = context.createImageData(256, 1);
    image.data.set(table || camcli.colourTable(signed));
    context.putImageData(image, 0, 0);
    canvas.classList.toggle("signed", signed);
  };

  const bar = (signed, first, last, more = {}) => {
    const canvas = el("canvas", { "aria-hidden": "true" });
    paintBar(canvas, signed, more.table);
    const strip = el("span", { class: "colour-strip" }, canvas);
    // Where the map's own highest value is, if it is not at the end.
    if (more.at !== undefined) {
      const mark = el("i", { "aria-hidden": "true" });
      mark.style.left = `${(100 * more.at).toFixed(1)}%`;
      strip.append(mark);
    }
    return [el("span", { class: "end", text: first }), strip, el("span", { class: "end", text: last })];
  };

  const againstFor = () => (settings.values ? ["lowers it", "raises it"] : ["against", "for"]);

  // The colour bar of one map, with the numbers that its ends stand for.
  //   high, prob, s: see scaleOf; signed: of evidence of either sign; unit: words behind the number;
  //   ends: what the two ends of a signed map are called.
  camcli.colourBar = ({ high = 0, prob = -1, s = 0, signed = settings.signed, unit = null,
    difference = false, ends = againstFor() }) => {
    const element = el("p", { class: "colour-bar" });
    const words = unit ?? settings.runs[s].unit;
    camcli.followLook(element, () => {
      const { top, gain } = camcli.scaleOf({ high, prob, s, difference });
      if (!(high > 0)) {
        element.replaceChildren(...bar(signed, signed ? ends[0] : "none", signed ? ends[1] : "highest"));
        return;
      }
      const beyond = gain > 1.001;
      const last = `${beyond ? "≥ " : ""}${brief(top)}`;
      const parts = bar(signed,
        signed ? `${ends[0]} ${beyond ? "≤ " : ""}−${brief(top)}` : "0",
        signed ? `${last} ${ends[1]}` : `${last} ${words}`,
        gain < 0.999 ? { at: signed ? 0.5 + gain / 2 : gain } : {});
      if (signed) parts.push(el("span", { class: "hint", text: words }));
      if (Math.abs(gain - 1) > 0.001) {
        parts.push(el("span", { class: "hint own", text: `${signed ? "strongest" : "highest"} here ${brief(high)}` }));
      }
      element.replaceChildren(...parts);
    });
    return element;
  };

  // What is to be said of a map whose class is hardly believed; null of others.
  camcli.weakNote = (prob, s = 0) => {
    if (!camcli.hardlyBelieved(prob, s)) return null;
    const element = el("p", { class: "hint weak" });
    camcli.followLook(element, () => {
      const share = camcli.percent(prob);
      element.textContent = {
        own: `Drawn paler: the network gives this class only ${share}.`,
        full: `As strong as a sure one's, although the network gives this class only ${share}.`,
        run: `On the run's scale; the network gives this class only ${share}.`,
      }[settings.runs[s].scale ? state.scale : state.scale === "run" ? "full" : state.scale];
    });
    return element;
  };

  // What the ends of the gallery's colour bar are called, for one run.
  const endsOf = (run, each = "each map's ") => {
    const difference = camcli.showsDifference();
    const scale = difference ? run.differenceScale : run.scale;
    const unit = difference ? run.differenceUnit : run.unit;
    const signed = settings.signed || difference;
    const [minus, plus] = difference ? ["for the other", "for the predicted"] : againstFor();
    if (!scale) return [signed ? minus : "0", signed ? plus : "each map's highest"];
    if (state.scale === "run") {
      const most = `${scale.beyond ? "≥ " : ""}${brief(scale.top)}`;
      return signed ? [`${minus} ${scale.beyond ? "≤ " : ""}−${brief(scale.top)}`, `${most} ${plus} ${unit}`]
        : ["0", `${most} ${unit}`];
    }
    const range = scale.least === scale.most ? brief(scale.most)
      : `${brief(scale.least)} to ${brief(scale.most)}`;
    return signed ? [minus, `${plus} (${each}own, ${range} ${unit})`]
      : ["0", `${each}highest (${range} ${unit})`];
  };

  // The colour bar over the gallery: of all of its maps.
  const galleryBar = (element) => {
    const { runs } = settings;
    const signed = settings.signed || camcli.showsDifference();
    const [[first, last], ...others] = runs.map((run) => endsOf(run));
    const parts = bar(signed, first, last);
    // Two runs that count in different numbers have a line each.
    if (others.some(([a, b]) => a !== first || b !== last)) {
      parts.splice(0, 3, ...runs.flatMap((run) => [
        el("span", { class: "end", text: `${camcli.shown(run.name)}:` }), ...bar(signed, ...endsOf(run, ""))]));
      element.classList.add("several");
    } else element.classList.remove("several");
    const weak = !camcli.showsDifference() && runs.some(({ scale }) => scale && scale.weak);
    if (weak && state.scale === "own") {
      parts.push(el("span", { class: "end", text: `paler below ${BELIEVED / 1000}%` }));
    }
    element.replaceChildren(...parts);
  };

  const OPTIONS = {
    scale: [["own", "each map's own, weak classes paler"], ["full", "each map's own"],
      ["run", "one for the run"]],
    cells: [["smooth", "smooth"], ["cells", "cells, as they are"]],
  };
  const named = (name) => name[0].toUpperCase() + name.slice(1);
  const choice = (name, title, options) => {
    const select = el("select", {},
      ...options.map(([value, text]) => el("option", { value, text })));
    select.addEventListener("change", () => camcli.setLook({ [name]: select.value }));
    camcli.followLook(select, () => { select.value = state[name]; });
    return el("label", {}, title, select);
  };

  // The colours of the pictures that the run itself has drawn.
  const ofFiles = () => (settings.signed ? settings.fileSigned : settings.fileColours);

  // Of those pictures, where there is nothing else to show: they are as they are.
  const ofPictures = (place) => {
    const table = (settings.signed ? settings.signedColormaps : settings.colormaps)[ofFiles()];
    const [first, last] = settings.signed ? againstFor() : ["no heat", "the most"];
    place.replaceChildren(el("p", { class: "colour-bar" },
      ...bar(settings.signed, first, last, { table: bytes(table) })));
  };

  // The colour bar, which opens the switches.
  const controls = (place) => {
    const strip = el("span", { class: "colour-bar" });
    const colours = settings.signed ? ["signed", "Colours"] : ["colours", "Colours"];
    const panel = el("div", { class: "look-panel" },
      choice(...colours, CHOICES[colours[0]].map((name) => [name,
        named(name) + (name === ofFiles() ? ", as the files" : "")])),
      ...(!settings.signed && settings.runs.some((run) => run.differences)
        ? [choice("signed", "Colours of differences", CHOICES.signed.map((name) => [name, named(name)]))]
        : []),
      choice("scale", "Scale", settings.runs.some((run) => run.scale) ? OPTIONS.scale
        : OPTIONS.scale.slice(0, 2)),
      choice("cells", "Map", OPTIONS.cells));
    // In the large view each map has a bar of its own.
    const own = place.closest("dialog");
    const details = el("details", { class: "look" },
      el("summary", {}, own ? null : strip, el("span", { class: "opens", text: "Colours" })), panel);
    if (!own) camcli.followLook(strip, () => galleryBar(strip));
    document.addEventListener("click", (event) => {
      if (details.open && !details.contains(event.target)) details.open = false;
    });
    details.addEventListener("keydown", (event) => {
      if (event.key !== "Escape" || !details.open) return;
      details.open = false;
      details.firstChild.focus();
      event.stopPropagation();
      event.preventDefault();
    });
    place.replaceChildren(details);
  };

  camcli.drawLook = () => {
    for (const place of document.querySelectorAll("[data-look-place]")) {
      if (settings.mapped) controls(place);
      else if (!place.closest("dialog") && settings.runs.some((run) => run.overlayFits)) ofPictures(place);
    }
  };

  const next = (name, values) => {
    const place = values.indexOf(state[name]);
    camcli.setLook({ [name]: values[(place + 1) % values.length] });
  };
  addEventListener("keydown", (event) => {
    if (camcli.isTyped(event) || event.ctrlKey || event.metaKey || event.altKey || !settings.mapped) return;
    if (event.key === "c") next("cells", CHOICES.cells);
    else if (event.key === "s") {
      next("scale", CHOICES.scale.slice(0, settings.runs.some((run) => run.scale) ? 3 : 2));
    } else return;
    event.preventDefault();
  });
})();
