// Two classes that are taken for each other, photograph by photograph: what speaks for either.
"use strict";

(() => {
  const { el, byId, count, settings } = camcli;
  const place = byId("pair");
  if (!place) return;
  const PART = 8;
  const numberOf = (name) => settings.classes.indexOf(name);
  const name = (number) => settings.classes[number];

  camcli.pairLink = (a, b) => camcli.linkTo({ tab: "mistakes", a: name(a), b: name(b) });

  const heading = (row, s, number, word) => {
    const { pred, prob } = row.sides[s];
    const line = el("p", { class: "pair-head" }, el("span", { class: "hint", text: word }),
      el("span", { text: camcli.className(number) }));
    if (pred === number) line.append(el("span", { class: "prob", text: camcli.percent(prob) }));
    return line;
  };

  const cell = (...children) => el("div", { class: "pair-cell" }, ...children);

  const ofClass = (row, detail, number, word) => {
    const map = camcli.mapOf(detail, 0, number);
    const head = heading(row, 0, number, word);
    if (!map) return cell(head, el("p", { class: "hint none", text: "The run made no map of it." }));
    if (map[1] >= 0 && row.sides[0].pred !== number) {
      head.append(el("span", { class: "prob", text: camcli.percent(map[1]) }));
    }
    return cell(head, camcli.stage(row, detail, 0, map,
      { alt: `${camcli.shown(row.path)}, with the evidence for ${camcli.className(number)}` }),
    map[2] ? camcli.weakNote(map[1]) : el("p", { class: "hint", text: "No positive evidence." }));
  };

  const difference = (row, detail, one, other) => {
    const head = el("p", { class: "pair-head" }, el("span", { class: "hint", text: "Difference" }));
    const map = camcli.differenceOf(row, detail, 0, one, other);
    if (map) {
      return cell(head, camcli.differenceStage(row, detail, 0, map, other),
        map[2] ? null : el("p", { class: "hint", text: "Nothing tells the two apart here." }));
    }
    const command = camcli.differenceCommand(row, 0, one, other);
    return cell(head, el("div", { class: "none" }, el("p", { class: "hint",
      text: command ? "Not made in the run. This command makes it:" : "Not made in the run." }),
    command ? camcli.command(command) : null));
  };

  // One photograph: as it is, what speaks for either class, and what for one rather than the other.
  const line = (id, one, other, words) => {
    const item = el("li", { class: "pair-row" });
    const fill = () => {
      const row = camcli.rowOf(id);
      const detail = camcli.detailOf(id, fill);
      if (!detail) {
        item.replaceChildren(el("p", { class: "hint", text: "Loading…" }));
        return;
      }
      const plain = camcli.stage(row, detail, 0, [row.sides[0].pred, -1, "", 0],
        { alt: camcli.altOf(row, 0) });
      item.replaceChildren(
        cell(el("p", { class: "pair-head" }, el("a", {
          href: camcli.linkTo({ open: row.path }, false), text: camcli.fileName(row.path), title: camcli.shown(row.path),
        })), plain),
        ofClass(row, detail, one, words[0]),
        ofClass(row, detail, other, words[1]),
        difference(row, detail, one, other));
    };
    fill();
    return item;
  };

  const group = (title, ids, one, other, words, filters) => {
    if (!ids.length) return null;
    const list = el("ol", { class: "pair-rows" });
    const more = el("button", { type: "button", class: "plain" });
    let drawn = 0;
    const draw = () => {
      const to = Math.min(ids.length, drawn + PART);
      for (; drawn < to; drawn++) list.append(line(ids[drawn], one, other, words));
      more.hidden = drawn >= ids.length;
      more.textContent = `Show ${Math.min(PART, ids.length - drawn)} more of ${count(ids.length)}`;
    };
    more.addEventListener("click", () => {
      const first = drawn;
      draw();
      list.children[first]?.querySelector("a")?.focus();
    });
    draw();
    const parts = [el("h3", {}, title, el("span", { class: "pill", text: count(ids.length) }),
        el("a", { class: "in-gallery", href: camcli.linkTo(filters), text: "in the gallery" })),
      settings.runs[0].differences ? camcli.colourBar({ signed: true, difference: true,
        ends: [`for ${camcli.className(other)}`, `for ${camcli.className(one)}`] }) : null,
      list, more];
    return el("section", { class: "pair-group", "aria-label": title }, ...parts);
  };

  const rowsWhere = (test) => {
    const found = [];
    for (let i = 0; i < camcli.loaded; i++) if (test(i)) found.push(i);
    return found;
  };

  const draw = (a, b) => {
    const { label, sides: [side] } = camcli.columns;
    const [x, y] = [a, b].map(camcli.className);
    const groups = [];
    for (const [is, said] of [[a, b], [b, a]]) {
      groups.push(group(`${camcli.className(is)} taken for ${camcli.className(said)}`,
        rowsWhere((i) => label[i] === is && side.pred[i] === said), said, is,
        ["Predicted", "True class"], { true: name(is), pred: name(said), show: "difference" }));
    }
    for (const [is, second] of [[a, b], [b, a]]) {
      groups.push(group(`${camcli.className(is)} recognised, ${camcli.className(second)} second`,
        rowsWhere((i) => label[i] === is && side.pred[i] === is && side.against[i] === second)
          .sort((i, j) => side.prob[i] - side.prob[j]),
        is, second, ["Predicted", "Second"], { true: name(is), pred: name(is), sort: "unsure", show: "difference" }));
    }
    for (const [first, second] of [[a, b], [b, a]]) {
      groups.push(group(`Taken for ${camcli.className(first)}, ${camcli.className(second)} second, the true class not known`,
        rowsWhere((i) => side.pred[i] === first && side.against[i] === second
          && ![a, b].includes(label[i])),
        first, second, ["Predicted", "Second"], { is: "unknown", pred: name(first), show: "difference" }));
    }
    const shown = groups.filter(Boolean);
    const reason = settings.runs[0].noDifference;
    const some = settings.runs[0].differences;
    place.replaceChildren(
      el("p", {}, el("a", { href: "#tab=mistakes", text: "← All confusions" })),
      el("h2", { text: `${x} and ${y}`, tabIndex: -1 }),
      el("p", { class: "hint", text: some
        ? "The difference is what speaks for the predicted class rather than for the other one, and the other way round: the two logits are compared, so what raises both is left out."
        : `This run has no maps of differences: ${reason}.` }),
      ...(shown.length ? shown : [el("p", { class: "nothing",
        text: `No photograph of the one was taken for the other, or had it second${camcli.loaded < settings.rows ? " yet: some are still loading" : ""}.` })]));
  };

  // Any two classes.
  const field = (label, value) => {
    const input = el("input", { placeholder: "class", value });
    input.setAttribute("list", "classes"); // which is no property
    return [el("label", {}, label, input), input];
  };
  const [one, first] = field("Compare", "");
  const [other, second] = field("with", "");
  const form = el("form", { class: "pair-form", autocomplete: "off" }, one, other,
    el("button", { type: "submit", class: "plain", text: "Show" }));
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const wrong = [first, second].find((input) => numberOf(input.value) < 0)
      || (first.value === second.value ? second : null);
    for (const input of [first, second]) {
      input.setCustomValidity(input !== wrong ? "" : numberOf(input.value) < 0
        ? "There is no such class in this run." : "Name two different classes.");
    }
    if (wrong) wrong.reportValidity();
    else camcli.writeHash({ tab: "mistakes", a: first.value, b: second.value });
  });
  form.addEventListener("input", (event) => event.target.setCustomValidity(""));
  byId("pair-choice").append(form);

  let before = null;
  camcli.followers.push((state, tab) => {
    if (tab !== "mistakes") return;
    const a = numberOf(state.get("a")), b = numberOf(state.get("b"));
    const chosen = a >= 0 && b >= 0 && a !== b;
    const key = chosen ? [a, b, camcli.loaded].join() : "";
    if (key === before) return;
    before = key;
    const followed = byId("confusions").contains(document.activeElement);
    place.hidden = !chosen;
    byId("confusions").hidden = chosen;
    if (chosen) {
      first.value = name(a);
      second.value = name(b);
      draw(a, b);
      // The link that was followed is gone, and with it the place of the keyboard.
      if (followed) place.querySelector("h2").focus({ preventScroll: true });
    } else place.replaceChildren();
  });
})();
