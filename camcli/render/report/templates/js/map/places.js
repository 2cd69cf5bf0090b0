// Where each photograph lies on the map, and which ones are alike: filters, an order, neighbours.
"use strict";

(() => {
  const { el, bytes } = camcli;
  const SIDE = 65534 / 1000; // of a place's numbers, in units of the map, which is 1000 wide
  const ALIKE = 8; // photographs that the large view shows

  // {x, y}: by row, from 0 to 1000; NaN where a photograph has no place. Null while not here.
  let places = null;
  camcli.places = () => {
    const part = places ? null : camcli.partNow("places");
    if (!part) return places;
    const numbers = new Uint16Array(bytes(part.places).buffer);
    const rows = numbers.length / 2;
    const read = (start) => Float32Array.from(numbers.subarray(start, start + rows),
      (number) => (number === 65535 ? NaN : number / SIDE));
    places = { x: read(0), y: read(rows) };
    return places;
  };

  // The photographs' features, those of one row after those of another.
  let near = null;
  const features = () => {
    const part = near ? null : camcli.partNow("near");
    if (!part) return near;
    const numbers = new Int8Array(bytes(part.numbers).buffer);
    const count = numbers.length / part.width;
    const ids = part.ids ? new Uint32Array(bytes(part.ids).buffer) : null;
    const at = new Int32Array(camcli.settings.rows).fill(-1);
    for (let i = 0; i < count; i++) at[ids ? ids[i] : i] = i;
    near = { numbers, count, ids, at, width: part.width };
    return near;
  };

  // How unlike a row's photograph all others are: -1 where that is not known. Null while the
  // features are not here, and for a row that has none.
  let last = { id: -1, distances: null };
  camcli.distancesTo = (id) => {
    if (last.id === id && last.distances) return last.distances;
    const known = features();
    if (!known || id < 0 || known.at[id] < 0) return null;
    const { numbers, count, ids, at, width } = known;
    const distances = new Float32Array(camcli.settings.rows).fill(-1);
    const own = numbers.subarray(at[id] * width, (at[id] + 1) * width);
    for (let i = 0, place = 0; i < count; i++) {
      let sum = 0;
      for (let k = 0; k < width; k++, place++) {
        const gap = numbers[place] - own[k];
        sum += gap * gap;
      }
      distances[ids ? ids[i] : i] = sum;
    }
    last = { id, distances };
    return distances;
  };

  // The rows that are most like one, the likest first; only those that have arrived.
  camcli.nearestTo = (id, most) => {
    const distances = camcli.distancesTo(id);
    if (!distances) return null;
    const found = [];
    for (let i = 0; i < camcli.loaded; i++) {
      if (distances[i] < 0 || i === id) continue;
      if (found.length === most && distances[i] >= distances[found[most - 1]]) continue;
      let place = Math.min(found.length, most - 1);
      while (place > 0 && distances[found[place - 1]] > distances[i]) {
        found[place] = found[place - 1];
        place -= 1;
      }
      found[place] = i;
    }
    return found;
  };

  // "x0,y0,x1,y1" and "x,y;x,y;...": null where it is no such thing.
  const numbersOf = (text) => {
    const found = text.split(",").map(Number);
    return found.every(Number.isFinite) ? found : null;
  };
  camcli.boxOf = (text) => {
    const found = text ? numbersOf(text) : null;
    return found && found.length === 4 ? found : null;
  };
  camcli.lassoOf = (text) => {
    const found = text ? text.split(";").map(numbersOf) : [];
    return found.length > 2 && found.every((each) => each && each.length === 2) ? found : null;
  };

  const within = (inside) => {
    if (!camcli.hasPart("places")) return null;
    const where = camcli.places();
    return where ? (i) => inside(where.x[i], where.y[i]) : () => false;
  };

  camcli.filters.push({
    keys: ["in"],
    test: (state) => {
      const box = camcli.boxOf(state.get("in"));
      if (!box) return null;
      const [left, right] = [Math.min(box[0], box[2]), Math.max(box[0], box[2])];
      const [top, bottom] = [Math.min(box[1], box[3]), Math.max(box[1], box[3])];
      return within((x, y) => x >= left && x <= right && y >= top && y <= bottom);
    },
    says: (state) => (camcli.boxOf(state.get("in")) ? "in a part of the map" : null),
  }, {
    keys: ["lasso"],
    test: (state) => {
      const line = camcli.lassoOf(state.get("lasso"));
      if (!line) return null;
      return within((x, y) => {
        let odd = false; // how often a line from here to the right crosses the lasso
        for (let a = line.length - 1, b = 0; b < line.length; a = b, b++) {
          const [x0, y0] = line[a], [x1, y1] = line[b];
          if ((y0 > y) !== (y1 > y) && x < x0 + ((y - y0) / (y1 - y0)) * (x1 - x0)) odd = !odd;
        }
        return odd;
      });
    },
    says: (state) => (camcli.lassoOf(state.get("lasso")) ? "within a lasso on the map" : null),
  });

  const nearId = () => {
    const path = camcli.readHash().get("near");
    return path ? camcli.columns.path.indexOf(path) : -1;
  };
  camcli.filters.push({
    keys: ["near"],
    test: (state) => {
      if (!state.get("near") || !camcli.hasPart("near")) return null;
      const distances = camcli.distancesTo(nearId());
      return distances ? (i) => distances[i] >= 0 : () => false;
    },
    says: (state) => {
      const path = state.get("near");
      if (!path || !camcli.hasPart("near")) return null;
      return state.get("sort") ? null : `those most like ${camcli.fileName(path)} first`;
    },
  });
  camcli.orders.near = () => {
    const distances = camcli.distancesTo(nearId());
    return (i) => (distances && distances[i] >= 0 ? distances[i] : Infinity);
  };

  // What the order is called, where nobody has chosen one.
  const usual = camcli.byId("filters").elements.sort.querySelector("option[value='']");
  const words = usual.textContent;
  camcli.followers.push((state) => {
    usual.textContent = state.get("near") && camcli.hasPart("near") ? "most alike" : words;
  });

  // A small picture of a row, which opens it; its details may arrive later.
  camcli.smallLink = (id) => {
    const row = camcli.rowOf(id);
    const [side] = row.sides;
    const link = el("a", { class: "small", href: camcli.linkTo({ open: row.path }, false) });
    const fill = () => {
      const detail = camcli.detailOf(id, fill);
      const map = detail && detail.sides[0].maps[0];
      const sign = camcli.verdictSign[side.verdict];
      link.replaceChildren(
        camcli.stage(row, detail, 0, map || null, { alt: camcli.altOf(row, 0) }),
        el("span", { class: "said", "aria-hidden": "true" },
          sign ? el("span", { class: `sign ${side.verdict}`, text: sign }) : null,
          side.pred >= 0 ? camcli.saidOf(side) : ""));
    };
    fill();
    link.addEventListener("click", (event) => {
      if (camcli.opensElsewhere(event)) return;
      event.preventDefault();
      camcli.writeHash({ open: row.path });
    });
    return link;
  };

  camcli.viewParts.push((row) => {
    if (!camcli.hasPart("near") || row.sides.length > 1) return null;
    const found = camcli.nearestTo(row.id, ALIKE);
    if (!found) {
      const unknown = near && near.at[row.id] < 0;
      return unknown ? null : el("p", { class: "hint", text: "Looking for photographs like this…" });
    }
    const list = el("ul", { class: "alike" }, ...found.map((id) => el("li", {}, camcli.smallLink(id))));
    list.addEventListener("click", () => {
      // The link that had the focus is gone.
      if (!camcli.byId("view").contains(document.activeElement)) camcli.byId("view-next").focus();
    });
    return el("section", { class: "more-like" },
      el("h3", {}, "More like this"),
      list,
      el("p", {},
        el("a", { href: camcli.linkTo({ near: row.path }), text: "All, those most like it first" }),
        camcli.hasPart("places") ? " · " : null,
        camcli.hasPart("places")
          ? el("a", { href: camcli.linkTo({ tab: "map", near: row.path }), text: "On the map" })
          : null));
  });
})();
