// The Map tab: all photographs as points, alike ones beside each other.
"use strict";

(() => {
  const { el, count } = camcli;
  const THIN = 6; // pixels between the corners of a lasso
  const REACH = 14; // pixels from the pointer to a point that it means

  const nothing = () => {
    const { again } = camcli.settings;
    return [
      el("p", {}, "A map on which photographs that the network sees as alike lie beside each other. ",
        "This run has not kept what it is made from: it is of an older version, or was made without pictures."),
      again ? el("p", {}, "Make the run anew, with another --out: ", camcli.command(camcli.shown(again))) : null,
    ].filter(Boolean);
  };

  const made = (part) => {
    const how = part.how === "principal components"
      ? "the two directions in which what it sees in them differs most"
      : `${part.how} of what it sees in them, in its last layer that was explained`;
    const some = part.placed ? `, of ${count(part.drawn)} drawn at random; ${count(part.placed)} others `
      + "lie where those do that they resemble most" : "";
    const without = part.unknown ? ` ${count(part.unknown)} have no place: of them nothing is known.` : "";
    return `Photographs that the network sees as alike lie beside each other: ${how}${some}.${without} `
      + "How far apart two groups are means little.";
  };

  const start = (part) => {
    const where = camcli.places();
    const pick = camcli.pointIndex(where);
    const points = el("canvas", { class: "points", tabIndex: 0, role: "application",
      "aria-roledescription": "map", "aria-label": "Map of the photographs. Arrow keys go from "
        + "one to the next, Enter opens it, plus and minus zoom, 0 shows everything, Shift and arrows move the map." });
    const over = el("canvas", { class: "over-points", "aria-hidden": "true" });
    const tip = el("div", { class: "tip", hidden: true, "aria-hidden": "true" });
    const field = el("div", { class: "field" }, points, over, tip);
    const status = el("p", { class: "hint status", role: "status" });
    const side = el("div", { class: "map-side" });
    const view = { scale: 0, fit: 0, left: 0, top: 0 };
    camcli.mapView = view; // where things are, for whoever looks at the page from outside
    let colours = null; // what the points are coloured by now
    let lit = null, wrong = new Uint8Array(0), selected = null;
    let at = -1; // the row that the pointer or the keyboard is at
    let radius = 3;
    let drag = null;

    // Of all points: from, to.
    const rim = [where.x, where.y].map((values) => values.reduce(([low, high], value) =>
      [value < low ? value : low, value > high ? value : high], [1000, 0]));
    const tall = (rim[1][1] - rim[1][0]) / Math.max(rim[0][1] - rim[0][0], 1);
    field.style.setProperty("--tall", Math.min(Math.max(tall, 0.55), 1).toFixed(3));
    const fit = () => {
      const sides = [field.clientWidth, field.clientHeight];
      const scales = rim.map(([low, high], k) => (sides[k] - 48) / Math.max(high - low, 1));
      view.fit = Math.max(Math.min(...scales), 0.01);
      view.scale = view.fit;
      [view.left, view.top] = rim.map(([low, high], k) => (sides[k] - (low + high) * view.scale) / 2);
    };
    const toMap = (px, py) => [(px - view.left) / view.scale, (py - view.top) / view.scale];
    const placed = (i) => !Number.isNaN(where.x[i]);
    const taken = (i) => i < camcli.loaded && (!lit || lit[i]);

    const drawOver = () => {
      const ratio = window.devicePixelRatio || 1;
      over.width = Math.round(over.clientWidth * ratio);
      over.height = Math.round(over.clientHeight * ratio);
      const pen = over.getContext("2d");
      pen.scale(ratio, ratio);
      pen.strokeStyle = camcli.themeColour("text");
      pen.fillStyle = camcli.themeColour("link");
      const x = (value) => value * view.scale + view.left, y = (value) => value * view.scale + view.top;
      const state = camcli.readHash();
      const box = drag && drag.tool === "box" ? drag.box : camcli.boxOf(state.get("in"));
      const lasso = drag && drag.tool === "lasso" ? drag.line : camcli.lassoOf(state.get("lasso"));
      pen.beginPath();
      if (box && !(drag && drag.tool === "lasso")) {
        pen.rect(x(box[0]), y(box[1]), x(box[2]) - x(box[0]), y(box[3]) - y(box[1]));
      }
      if (lasso && lasso.length > 1 && !(drag && drag.tool === "box")) {
        lasso.forEach(([u, v], k) => (k ? pen.lineTo(x(u), y(v)) : pen.moveTo(x(u), y(v))));
        pen.closePath();
      }
      pen.globalAlpha = 0.08;
      pen.fill();
      pen.globalAlpha = 1;
      pen.lineWidth = 1.5;
      pen.setLineDash([6, 4]);
      pen.stroke();
      pen.setLineDash([]);
      const ring = (i, wide, outer) => {
        if (i < 0 || !placed(i)) return;
        pen.beginPath();
        pen.arc(x(where.x[i]), y(where.y[i]), radius + outer, 0, 7);
        pen.lineWidth = wide;
        pen.stroke();
      };
      ring(at, 2, 3);
      const near = state.get("near");
      if (near) ring(camcli.columns.path.indexOf(near), 3, 7);
    };

    const draw = camcli.afterFrame(() => {
      if (!field.clientWidth || !colours) return;
      if (!view.scale) fit();
      radius = camcli.drawPoints(points, { view, ...where, count: Math.min(camcli.loaded, where.x.length),
        codes: colours.codes, colours: colours.colours, ground: colours.ground, lit, wrong });
      drawOver();
    });

    // ---- What the pointer is at.
    const show = (i, px, py) => {
      at = i;
      drawOver();
      points.classList.toggle("at-point", i >= 0);
      tip.hidden = i < 0;
      if (i < 0) return;
      const row = camcli.rowOf(i);
      const fill = () => {
        if (at !== i) return;
        const detail = camcli.detailOf(i, fill);
        const [first] = row.sides;
        tip.replaceChildren(
          camcli.stage(row, detail, 0, detail && detail.sides[0].maps[0], { alt: "" }),
          el("p", { class: "path", text: camcli.shown(row.path) }),
          el("p", {}, camcli.verdictSign[first.verdict]
            ? el("span", { class: `sign ${first.verdict}`, text: `${camcli.verdictSign[first.verdict]} ` }) : null,
          first.pred >= 0 ? camcli.saidOf(first) : "", first.pred >= 0 && !first.value ? ` ${camcli.percent(first.prob)}` : "",
          first.verdict === "w" ? el("span", { class: "hint", text: ` is ${camcli.truthOf(row)}` }) : null));
      };
      fill();
      const width = field.clientWidth, height = field.clientHeight;
      const left = px > width / 2 ? px - tip.offsetWidth - 16 : px + 16;
      tip.style.left = `${Math.max(4, Math.min(left, width - tip.offsetWidth - 4))}px`;
      tip.style.top = `${Math.max(4, Math.min(py - 60, height - tip.offsetHeight - 4))}px`;
    };
    const pointAt = (px, py) => pick(...toMap(px, py), REACH / view.scale, taken);
    const placeOf = (event) => {
      const box = points.getBoundingClientRect();
      return [event.clientX - box.left, event.clientY - box.top];
    };

    // ---- Moving and selecting.
    const zoom = (factor, px, py) => {
      const scale = Math.min(Math.max(view.scale * factor, view.fit * 0.7), view.fit * 300);
      const [u, v] = toMap(px, py);
      view.scale = scale;
      view.left = px - u * scale;
      view.top = py - v * scale;
      show(-1);
      draw();
    };
    const middle = () => [field.clientWidth / 2, field.clientHeight / 2];
    const tenth = (value) => Math.round(value * 10) / 10;
    const select = (changes) => {
      camcli.writeHash({ in: null, lasso: null, ...changes });
      status.textContent = `${count(camcli.selection().length)} photographs selected`;
    };
    const tools = { box: "Box", lasso: "Lasso", move: "Move" };
    let tool = matchMedia("(pointer: coarse)").matches ? "move" : "box";
    field.dataset.tool = tool;

    points.addEventListener("pointerdown", (event) => {
      if (event.button > 1) return;
      const [px, py] = placeOf(event);
      const moves = tool === "move" || event.button === 1 || event.altKey;
      drag = { tool: moves ? "move" : tool, from: [px, py], last: [px, py], far: false,
        line: [toMap(px, py)], box: null };
      points.setPointerCapture(event.pointerId);
      if (event.button === 1) event.preventDefault();
    });
    points.addEventListener("pointermove", (event) => {
      const [px, py] = placeOf(event);
      if (!drag) {
        const found = pointAt(px, py);
        if (found !== at || found >= 0) show(found, px, py);
        return;
      }
      if (!drag.far && Math.hypot(px - drag.from[0], py - drag.from[1]) < 4) return;
      drag.far = true;
      show(-1);
      if (drag.tool === "move") {
        view.left += px - drag.last[0];
        view.top += py - drag.last[1];
        drag.last = [px, py];
        draw();
        return;
      }
      drag.box = [...toMap(...drag.from), ...toMap(px, py)];
      if (Math.hypot(px - drag.last[0], py - drag.last[1]) >= THIN) {
        drag.line.push(toMap(px, py));
        drag.last = [px, py];
      }
      drawOver();
    });
    const drop = (event) => {
      const done = drag;
      drag = null;
      if (!done || event.type === "pointercancel") return draw();
      if (!done.far) {
        const found = pointAt(...placeOf(event));
        if (found >= 0) camcli.writeHash({ open: camcli.columns.path[found] });
        return undefined;
      }
      if (done.tool === "box") select({ in: done.box.map(tenth).join(",") });
      if (done.tool === "lasso" && done.line.length > 2) {
        select({ lasso: done.line.map((each) => each.map(tenth).join(",")).join(";") });
      }
      return drawOver();
    };
    points.addEventListener("pointerup", drop);
    points.addEventListener("pointercancel", drop);
    points.addEventListener("pointerleave", () => { if (!drag) show(-1); });
    points.addEventListener("wheel", (event) => {
      // The page is scrolled over a map that nobody has touched.
      if (!event.ctrlKey && !event.metaKey && document.activeElement !== points) return;
      event.preventDefault();
      zoom(Math.exp(-event.deltaY * (event.deltaMode ? 0.05 : 0.002)), ...placeOf(event));
    }, { passive: false });

    const go = (dx, dy) => {
      if (at < 0 || !taken(at)) {
        const [u, v] = toMap(...middle());
        let reach = 20;
        while (at < 0 && reach < 3000) { at = pick(u, v, reach, taken); reach *= 2; }
      } else {
        let best = -1, least = Infinity;
        for (let i = 0; i < camcli.loaded; i++) {
          if (i === at || !placed(i) || !taken(i)) continue;
          const u = where.x[i] - where.x[at], v = where.y[i] - where.y[at];
          const ahead = u * dx + v * dy, aside = Math.abs(u * dy) + Math.abs(v * dx);
          if (ahead <= 0 || aside > 2 * ahead) continue;
          const far = ahead + 2 * aside;
          if (far < least) { least = far; best = i; }
        }
        if (best >= 0) at = best;
      }
      if (at < 0) return;
      let px = where.x[at] * view.scale + view.left, py = where.y[at] * view.scale + view.top;
      if (px < 20 || py < 20 || px > field.clientWidth - 20 || py > field.clientHeight - 20) {
        view.left += field.clientWidth / 2 - px;
        view.top += field.clientHeight / 2 - py;
        [px, py] = middle();
        draw();
      }
      show(at, px, py);
      const row = camcli.rowOf(at);
      status.textContent = camcli.altOf(row, 0);
    };
    points.addEventListener("keydown", (event) => {
      if (event.ctrlKey || event.metaKey || event.altKey) return;
      const arrow = { ArrowRight: [1, 0], ArrowLeft: [-1, 0], ArrowDown: [0, 1], ArrowUp: [0, -1] }[event.key];
      if (arrow && event.shiftKey) {
        view.left -= 60 * arrow[0];
        view.top -= 60 * arrow[1];
        show(-1);
        draw();
      } else if (arrow) go(...arrow);
      else if (event.key === "Enter" && at >= 0) camcli.writeHash({ open: camcli.columns.path[at] });
      else if (event.key === "+" || event.key === "=") zoom(1.5, ...middle());
      else if (event.key === "-") zoom(1 / 1.5, ...middle());
      else if (event.key === "0") { fit(); draw(); }
      else if (event.key === "Escape" && !tip.hidden) show(-1);
      else return;
      event.preventDefault();
    });
    points.addEventListener("blur", () => show(-1));

    // ---- Tools.
    const choice = el("select", {});
    const by = el("label", { class: "by" }, "Colour", choice);
    choice.addEventListener("change", () => camcli.writeHash({ colour: choice.value }, { replace: true }));
    const buttons = el("div", { class: "tool", role: "group", "aria-label": "What dragging does" });
    for (const [name, title] of Object.entries(tools)) {
      const button = el("button", { type: "button", class: "plain", text: title, "aria-pressed": String(name === tool) });
      button.addEventListener("click", () => {
        tool = name;
        field.dataset.tool = tool;
        for (const other of buttons.children) other.setAttribute("aria-pressed", String(other === button));
      });
      buttons.append(button);
    }
    const action = (text, label, does) => {
      const button = el("button", { type: "button", class: "plain", text, "aria-label": label });
      button.addEventListener("click", does);
      return button;
    };
    const inView = action("Select what is in view", null, () => select({ in: [
      ...toMap(0, 0), ...toMap(field.clientWidth, field.clientHeight)].map(tenth).join(",") }));
    const bar = el("div", { class: "bar map-tools" }, by, buttons,
      el("div", { class: "tool", role: "group", "aria-label": "Zoom" },
        action("+", "Zoom in", () => zoom(1.5, ...middle())),
        action("−", "Zoom out", () => zoom(1 / 1.5, ...middle())),
        action("All", "Show everything", () => { fit(); draw(); })),
      inView);

    // ---- Everything follows the URL.
    let told = "", beside = "", besideOf = null; // what is shown now
    const follow = (state, tab) => {
      if (tab !== "map") return;
      const able = camcli.colourings.filter(({ here }) => here());
      const asked = able.find(({ name }) => name === state.get("colour")) || able[0];
      const now = [asked && asked.name, able.length, camcli.loaded, camcli.isDark(),
        camcli.partHere("audit"), camcli.partHere("check")].join();
      if (now !== told) {
        told = now;
        choice.replaceChildren(...able.map(({ name, title }) => el("option", { value: name, text: title })));
        choice.value = asked.name;
        colours = asked.of();
        const { verdict } = camcli.columns.sides[0];
        wrong = new Uint8Array(camcli.loaded);
        for (let i = 0; i < wrong.length; i++) wrong[i] = verdict[i] === camcli.code("w") ? 1 : 0;
        selected = null;
      }
      const ids = camcli.selection();
      if (!selected || ids.length !== selected.length || ids.some((id, k) => id !== selected[k])) {
        selected = ids;
        lit = null;
        if (selected.length < camcli.loaded) {
          lit = new Uint8Array(camcli.loaded);
          for (const i of selected) lit[i] = 1;
        }
      }
      const all = new URLSearchParams(state);
      all.delete("open");
      if (beside !== `${told} ${all}` || besideOf !== selected) {
        beside = `${told} ${all}`;
        besideOf = selected;
        // What the keyboard was at is made anew.
        const place = [...side.querySelectorAll("a, button")].indexOf(document.activeElement);
        side.replaceChildren(
          el("section", { "aria-label": "Colours" }, ...camcli.mapLegend(colours, wrong, state)),
          el("section", { "aria-label": "Selection" }, ...camcli.mapSummary(state)));
        if (place >= 0) (side.querySelectorAll("a, button")[place] || points).focus();
      }
      draw();
    };
    camcli.followers.push(follow);
    const again = () => { follow(camcli.readHash(), camcli.readHash().get("tab")); };
    new MutationObserver(again).observe(document.documentElement, { attributeFilter: ["data-theme"] });
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", again);
    new ResizeObserver(() => {
      const all = view.scale === view.fit;
      if (field.clientWidth && (all || !view.scale)) fit();
      draw();
    }).observe(field);

    camcli.byId("map-body").replaceChildren(
      bar, el("div", { class: "map-split" }, el("div", {}, field, status,
        el("p", { class: "hint", text: made(part) })), side));
    fit();
    again();
  };

  camcli.tabs.map = () => {
    const body = camcli.byId("map-body");
    if (!camcli.hasPart("places")) {
      body.replaceChildren(...nothing());
      return;
    }
    body.replaceChildren(el("p", { class: "hint", text: "Loading…" }));
    camcli.loadPart("places").then(start).catch((error) => {
      body.replaceChildren(el("p", { class: "hint", text: `The page is incomplete: ${error.message}.` }));
    });
  };
})();
