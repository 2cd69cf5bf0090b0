// Why this class and not that one: maps of the difference of two classes' logits. What is above
// zero speaks for the first class, what is below for the other.
"use strict";

(() => {
  const { el, settings, byId } = camcli;
  const MIDDLE = 127.5;

  // Levels 0 to 255 as numbers, -high to high; null for an empty map.
  const numbers = ([text, high]) => {
    const map = camcli.parseMap(text);
    return map && { ...map, values: Float32Array.from(map.cells, (l) => (high * (l - MIDDLE)) / MIDDLE) };
  };
  const text = (h, w, levels) => `${h},${w},${btoa(String.fromCharCode(...levels))}`;

  const taken = (one, other) => {
    const a = numbers(one), b = numbers(other);
    const shape = a || b;
    if (!shape || (a && b && (a.h !== b.h || a.w !== b.w))) return null;
    const none = new Float32Array(shape.h * shape.w);
    const minus = b ? b.values : none;
    const values = (a ? a.values : none).map((value, i) => value - minus[i]);
    const high = Math.max(...values.map(Math.abs));
    if (!(high > 0)) return ["", 0];
    return [text(shape.h, shape.w, Uint8Array.from(values, (value) =>
      Math.round(MIDDLE + (MIDDLE * value) / high))), high];
  };

  const turned = ([levels, high]) => {
    const map = camcli.parseMap(levels);
    return [map ? text(map.h, map.w, map.cells.map((level) => 255 - level)) : "", high];
  };

  // The map of one class minus another, as camcli.stage takes it; null where the run has none.
  camcli.differenceOf = (row, detail, s, one, other) => {
    const side = row.sides[s], own = detail.sides[s];
    let found = null;
    if (own.difference && side.pred === one && side.against === other) found = own.difference;
    else if (own.difference && side.pred === other && side.against === one) {
      found = turned(own.difference);
    } else if (own.either) {
      const [a, b] = [one, other].map((c) => own.maps.findIndex((map) => map[0] === c));
      if (a >= 0 && b >= 0 && a !== b) found = taken(own.either[a], own.either[b]);
    }
    return found && [one, -1, ...found];
  };

  // The one that the run itself made of a row.
  const ownOf = (row, detail, s) => (row.sides[s].against < 0 ? null
    : camcli.differenceOf(row, detail, s, row.sides[s].pred, row.sides[s].against));

  // The map of one class that a row has; null where it has none.
  camcli.mapOf = (detail, s, number) => {
    const { maps, truth } = detail.sides[s];
    return maps.find((map) => map[0] === number) || (truth && truth[0] === number ? truth : null);
  };

  camcli.differenceStage = (row, detail, s, map, other, options = {}) =>
    camcli.stage(row, detail, s, map, {
      difference: true,
      alt: `${camcli.shown(row.path)}, with what speaks for ${camcli.className(map[0])} and for ${camcli.className(other)}`,
      ...options,
    });

  camcli.differenceBar = (map, other, s) => camcli.colourBar({
    high: map[3], s, signed: true, difference: true, unit: settings.runs[s].differenceUnit,
    ends: [`for ${camcli.className(other)}`, `for ${camcli.className(map[0])}`],
  });

  const nothing = () => el("p", { class: "hint", text: "Nothing tells the two apart here." });

  // A column of the large view.
  camcli.differenceSight = (row, detail, s, map = ownOf(row, detail, s), other = row.sides[s].against) => {
    if (!map) return null;
    return el("div", { class: "sight difference" },
      el("h3", {}, el("span", { class: "hint", text: "Difference" }),
        el("span", { text: `${camcli.className(map[0])} rather than ${camcli.className(other)}` })),
      camcli.differenceStage(row, detail, s, map, other, { large: true }),
      map[2] ? camcli.differenceBar(map, other, s) : nothing());
  };

  // The command that makes the map of two classes of one photograph; null where it is not known.
  camcli.differenceCommand = (row, s, one, other) => {
    const { explain, source, signedMethod } = settings.runs[s];
    if (!explain || !camcli.typeable(row.path)) return null;
    const words = [`${source}/${row.path}`, "--target", settings.classes[one], "--versus",
      settings.classes[other]];
    if (words.some((word) => word.startsWith("-") && !/^--(target|versus)$/.test(word))) return null;
    return `${explain} ${words.map(camcli.quoted).join(" ")}${signedMethod ? " --signed" : ""}`;
  };

  const some = settings.runs.some((run) => run.differences);

  // In the gallery: maps of the class, or of the difference.
  camcli.showsDifference = () => some && camcli.readHash().get("show") === "difference";
  camcli.galleryMap = (row, detail, s) => {
    const own = detail.sides[s].maps[0] || null;
    if (!camcli.showsDifference() || !own) return [own, {}];
    // A photograph that has none is shown as it is.
    return [ownOf(row, detail, s) || [row.sides[s].pred, -1, "", 0], { difference: true }];
  };

  let shown = false;
  const place = byId("show-maps");
  if (some && place) {
    const select = el("select", { name: "show" }, el("option", { value: "", text: "of the class" }),
      el("option", { value: "difference", text: "why not another class" }));
    select.addEventListener("change", () => camcli.writeHash({ show: select.value }));
    place.append(el("label", {}, "Maps", select));
    camcli.filters.push({ keys: ["show"], test: () => null,
      says: (state) => (state.get("show") === "difference"
        ? "with the difference to the true class, or to the second best" : null) });
    camcli.followers.push(() => {
      const now = camcli.showsDifference();
      select.value = now ? "difference" : "";
      if (now === shown) return;
      shown = now;
      camcli.setLook({}); // colour bars
      camcli.refillGallery();
    });
  }

  // In the large view: any two classes.
  const asked = new Map(); // what the reader chose last, while the page is open
  const exclusive = () => !settings.several && !settings.values;
  const chooser = (row, detail) => {
    if (row.sides.length > 1 || !exclusive() || row.sides[0].pred < 0) return null;
    const side = row.sides[0], { top, maps } = detail.sides[0];
    const guesses = [side.pred, ...top.filter((_, i) => i % 2 === 0), ...maps.map((map) => map[0]),
      ...(row.label >= 0 ? [row.label] : [])];
    const known = [...new Set(guesses)];
    if (known.length < 3) return null; // of two the difference stands beside their maps
    // The run's own difference stands above: begin with another one.
    let pair = [side.pred, known.find((c) => c !== side.pred && c !== side.against)];
    if (known.includes(asked.get("one")) && known.includes(asked.get("other"))) {
      pair = [asked.get("one"), asked.get("other")];
    }
    const answer = el("div", { class: "difference-answer" });
    const draw = () => {
      const [one, other] = pair;
      if (one === other) {
        answer.replaceChildren(el("p", { class: "hint", text: "Choose two different classes." }));
        return;
      }
      const map = camcli.differenceOf(row, detail, 0, one, other);
      if (map) {
        answer.replaceChildren(camcli.differenceSight(row, detail, 0, map, other));
        return;
      }
      const command = camcli.differenceCommand(row, 0, one, other);
      answer.replaceChildren(el("p", { class: "hint",
        text: `The run made no map of these two${settings.runs[0].noDifference ? `: ${settings.runs[0].noDifference}` : ""}.${command ? " This command makes it:" : ""}` }),
      ...(command ? [camcli.command(command)] : []));
    };
    const select = (n, label) => {
      const field = el("select", {}, ...known.map((c) =>
        el("option", { value: c, text: camcli.className(c), selected: c === pair[n] })));
      field.addEventListener("change", () => {
        pair[n] = Number(field.value);
        asked.set("one", pair[0]);
        asked.set("other", pair[1]);
        draw();
      });
      return el("label", {}, label, field);
    };
    const details = el("details", { class: "folded two-classes" },
      el("summary", { text: "Why this class and not that one" }),
      el("div", { class: "two-classes-tools" }, select(0, "Why"), select(1, "and not")), answer);
    details.open = asked.get("open") || false;
    details.addEventListener("toggle", () => {
      asked.set("open", details.open);
      if (details.open) draw();
    });
    return details;
  };
  camcli.viewParts.push(chooser);
})();
