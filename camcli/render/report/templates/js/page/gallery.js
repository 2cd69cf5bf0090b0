// The gallery: of any number of rows, only those near the screen are in the document.
"use strict";

(() => {
  const { el } = camcli;
  const GAP = 12;
  // Browsers do not make pages taller than this; nobody scrolls so far.
  const TALLEST = 15_000_000;
  const SIGN = { r: "✓", w: "✗", u: "", e: "!", m: "–" };
  const WORD = { r: "right", w: "wrong", u: "", e: "failed", m: "not in this run" };

  const list = camcli.byId("gallery");
  const cards = new Map(); // place in the selection -> list item
  let ids = new Uint32Array(0);
  let shape = { columns: 1, width: 0, height: 0 };
  let current = 0; // the place that the keyboard is at
  let printed = 0; // how many go to a printer, which does not scroll

  camcli.selection = () => ids;
  camcli.verdictSign = SIGN;
  camcli.verdictWord = WORD;

  const paired = () => camcli.settings.runs.length > 1;

  // What a picture shows, for those who cannot see it.
  camcli.altOf = (row, s) => {
    const side = row.sides[s];
    const name = camcli.shown(row.path);
    if (side.verdict === "e") return `${name}: could not be read`;
    if (side.verdict === "m") return `${name}: not in this run`;
    const truth = side.verdict === "w" ? `, wrongly: it is ${camcli.truthOf(row, s)}` : "";
    if (side.value) return `${name}: ${camcli.saidOf(side)}`;
    return `${name}: ${camcli.saidOf(side)} at ${camcli.percent(side.prob)}${truth}`;
  };

  const verdict = (letter) =>
    SIGN[letter]
      ? el("span", { class: `sign ${letter}`, text: SIGN[letter], title: WORD[letter] })
      : null;

  const guess = (row, s) => {
    const side = row.sides[s];
    const line = el("span", { class: "guess" }, verdict(side.verdict));
    if (side.pred >= 0) {
      line.append(
        el("span", { class: "name", text: camcli.saidOf(side) }),
        side.value ? "" : el("span", { class: "prob", text: camcli.percent(side.prob) }),
      );
    } else {
      line.append(el("span", { class: "name", text: WORD[side.verdict] }));
    }
    return line;
  };

  const truth = (row) => {
    if (row.was !== undefined) {
      return el("span", { class: "truth" },
        el("span", { class: "hint", text: "label " }), camcli.truthOf(row, 0),
        el("span", { class: "hint", text: " became " }), camcli.truthOf(row, 1));
    }
    const wrong = row.sides.some((side) => side.verdict === "w");
    return el("span", { class: "truth" },
      wrong ? el("span", { class: "hint", text: "labelled " }) : null,
      wrong ? camcli.truthOf(row) : camcli.fileName(row.path));
  };

  // One link per row, filled again when its details arrive.
  const fill = (item, place) => {
    const id = ids[place];
    const row = camcli.rowOf(id);
    const detail = camcli.detailOf(id, () => {
      if (cards.get(place) === item && ids[place] === id) fill(item, place);
    });
    const link = el("a", {
      class: "card",
      href: camcli.linkTo({ open: row.path }, false),
      tabIndex: place === current ? 0 : -1,
    });
    link.dataset.place = place;
    const pictures = el("span", { class: "pictures" });
    const captions = el("span", { class: "captions" });
    row.sides.forEach((side, s) => {
      const [map, more] = detail ? camcli.galleryMap(row, detail, s) : [null, {}];
      pictures.append(camcli.stage(row, detail, s, map, { alt: camcli.altOf(row, s), ...more }));
      captions.append(guess(row, s));
    });
    link.append(pictures, captions, truth(row));
    const focused = item.contains(document.activeElement);
    item.replaceChildren(link,
      ...camcli.cardParts.map((part) => part(row, detail)).filter(Boolean));
    item.setAttribute("aria-setsize", ids.length);
    item.setAttribute("aria-posinset", place + 1);
    if (focused) link.focus({ preventScroll: true });
  };

  const measure = () => {
    const width = list.clientWidth;
    const wanted = paired() ? 340 : width < 560 ? 150 : 210;
    const columns = Math.max(1, Math.floor((width + GAP) / (wanted + GAP)));
    const card = (width - GAP * (columns - 1)) / columns;
    const picture = paired() ? (card / 2) * 0.75 : card * 0.75;
    const rem = Number.parseFloat(getComputedStyle(document.documentElement).fontSize);
    shape = { columns, width: card, height: Math.round(picture + 3.4 * rem) };
    list.style.setProperty("--picture", `${picture}px`);
    const lines = Math.ceil(ids.length / columns);
    list.style.height = `${Math.min(TALLEST, lines * (shape.height + GAP))}px`;
  };

  const position = (item, place) => {
    const column = place % shape.columns;
    const line = Math.floor(place / shape.columns);
    item.style.width = `${shape.width}px`;
    item.style.height = `${shape.height}px`;
    item.style.transform =
      `translate(${column * (shape.width + GAP)}px, ${line * (shape.height + GAP)}px)`;
  };

  // Put into the document what is on the screen and a screenful around it.
  const draw = () => {
    if (list.closest("[hidden]") || !shape.width) return;
    const top = -list.getBoundingClientRect().top;
    const height = shape.height + GAP;
    const spare = window.innerHeight / 2;
    const first = printed ? 0
      : Math.max(0, Math.floor((top - spare) / height)) * shape.columns;
    const last = printed ? Math.min(printed, ids.length) : Math.min(
      ids.length,
      (Math.ceil((top + window.innerHeight + spare) / height)) * shape.columns,
      Math.floor(TALLEST / height) * shape.columns,
    );
    for (const [place, item] of cards) {
      const keep = place >= first && place < last;
      // What has the focus stays, or the keyboard would lose its place.
      if (!keep && !item.contains(document.activeElement)) {
        item.remove();
        cards.delete(place);
      }
    }
    for (let place = first; place < last; place++) {
      if (cards.has(place)) continue;
      const item = el("li");
      cards.set(place, item);
      position(item, place);
      fill(item, place);
      // In the order of reading, which is the order of the Tab key.
      const next = cards.get(place + 1);
      list.insertBefore(item, next && next.parentNode === list ? next : null);
    }
  };

  camcli.drawGallery = camcli.afterFrame(draw);

  // Draw so many from the first on, wherever the screen is; 0 goes back to what is near it.
  camcli.printGallery = (most) => {
    printed = most;
    draw();
  };

  // Something that cards show has changed or has arrived.
  camcli.refillGallery = () => {
    for (const [place, item] of cards) fill(item, place);
  };

  camcli.layOutGallery = () => {
    measure();
    for (const [place, item] of cards) position(item, place);
    camcli.drawGallery();
  };

  // Show another selection.
  camcli.showGallery = (selected) => {
    const same = selected.length === ids.length && selected.every((id, i) => id === ids[i]);
    ids = selected;
    if (!same) {
      current = 0;
      cards.clear();
      list.replaceChildren();
    }
    measure();
    draw();
  };

  // More rows arrived: those that are on the screen stay if they are still the same.
  camcli.extendGallery = (selected) => {
    const before = ids;
    ids = selected;
    for (const [place, item] of cards) {
      if (before[place] === ids[place]) continue;
      item.remove();
      cards.delete(place);
    }
    measure();
    draw();
  };

  const scrollTo = (place) => {
    const top = list.getBoundingClientRect().top + window.scrollY
      + Math.floor(place / shape.columns) * (shape.height + GAP);
    const bar = camcli.byId("images").querySelector(".bar");
    // On a phone, only its last line sticks.
    const head = (bar.offsetHeight || bar.querySelector(".fade").offsetHeight) + 16;
    if (top < window.scrollY + head) window.scrollTo({ top: top - head });
    const bottom = top + shape.height + 16;
    if (bottom > window.scrollY + window.innerHeight) {
      window.scrollTo({ top: bottom - window.innerHeight });
    }
  };

  camcli.focusCard = (place) => {
    if (!ids.length) return;
    const old = cards.get(current);
    current = Math.min(Math.max(place, 0), ids.length - 1);
    if (old) old.firstChild.tabIndex = -1;
    scrollTo(current);
    draw();
    const item = cards.get(current);
    if (!item) return;
    item.firstChild.tabIndex = 0;
    item.firstChild.focus({ preventScroll: true });
  };

  list.addEventListener("focusin", (event) => {
    const link = event.target.closest(".card");
    if (!link) return;
    const old = cards.get(current);
    current = Number(link.dataset.place);
    if (old && old.firstChild !== link) old.firstChild.tabIndex = -1;
    link.tabIndex = 0;
  });

  list.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const steps = {
      ArrowRight: 1, ArrowLeft: -1, ArrowDown: shape.columns, ArrowUp: -shape.columns,
    };
    if (event.key in steps) {
      const next = current + steps[event.key];
      if (next >= 0 && next < ids.length) camcli.focusCard(next);
    } else if (event.key === "Home") camcli.focusCard(0);
    else if (event.key === "End") camcli.focusCard(ids.length - 1);
    else return;
    event.preventDefault();
  });

  list.addEventListener("click", (event) => {
    const link = event.target.closest(".card");
    if (!link || camcli.opensElsewhere(event)) return;
    event.preventDefault();
    camcli.writeHash({ open: camcli.rowOf(ids[Number(link.dataset.place)]).path });
  });

  addEventListener("scroll", camcli.drawGallery, { passive: true });
  addEventListener("resize", camcli.afterFrame(() => camcli.layOutGallery()));
})();
