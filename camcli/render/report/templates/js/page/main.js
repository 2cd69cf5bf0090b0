// Ties the parts together: the URL decides what is shown.
"use strict";

(() => {
  const { byId, el, count } = camcli;
  const form = byId("filters");
  const filters = ["from", "to", "like", "unlike", ...camcli.filterKeys,
    ...camcli.filters.flatMap(({ keys }) => keys)];

  const panels = [...document.querySelectorAll("[data-panel]")];

  // Everything follows the URL.
  let before = null;
  let shownTab = null;
  let clicked = -Infinity; // when a link or button was
  addEventListener("click", (event) => {
    if (event.target.closest("a[href^='#'], button")) clicked = performance.now();
  }, { capture: true });

  // Whoever follows a link to another tab begins at its top, or with the images that it is about;
  // the browser's own buttons lead back to where the reader was.
  const arrive = (state, tab) => {
    if (shownTab !== null && tab !== shownTab && performance.now() - clicked < 500) {
      const some = tab === "gallery" && filters.some((name) => state.get(name));
      if (some) byId("images").scrollIntoView();
      else window.scrollTo(0, 0);
    }
    shownTab = tab;
  };

  camcli.update = ({ more = false } = {}) => {
    const state = camcli.readHash();
    // Not every page has every tab, and somebody may have typed the URL.
    const asked = state.get("tab");
    const tab = panels.some((panel) => panel.dataset.panel === asked) ? asked : "gallery";
    for (const panel of panels) {
      panel.hidden = panel.dataset.panel !== tab;
    }
    for (const link of document.querySelectorAll("[data-tab]")) {
      if (link.dataset.tab === tab) link.setAttribute("aria-current", "page");
      else link.removeAttribute("aria-current");
    }
    camcli.drawTab(tab);
    for (const field of form.elements) {
      if (!field.name) continue;
      if (field !== document.activeElement) field.value = state.get(field.name) || "";
      // Both ends of a range are one filter.
      const range = field.closest("fieldset");
      const own = range ? [...range.querySelectorAll("[name]")] : [field];
      (range || field.closest("label")).classList.toggle("is-set",
        own.some(({ name }) => state.get(name)));
    }
    const key = filters.map((name) => state.get(name)).join("\0") + [camcli.loaded, camcli.partsHere()];
    if (key !== before) {
      before = key;
      const ids = camcli.select(state);
      if (more) camcli.extendGallery(ids);
      else camcli.showGallery(ids);
      describe(ids, state);
    } else if (tab === "gallery") {
      camcli.layOutGallery();
    }
    arrive(state, tab);
    camcli.showView(state.get("open"));
    for (const follow of camcli.followers) follow(state, tab);
  };

  const describe = (ids, state) => {
    const total = camcli.settings.rows;
    const loading = camcli.loaded < total ? `, ${count(total - camcli.loaded)} still loading` : "";
    let text = ids.length === total ? `${count(total)} images`
      : `${count(ids.length)} of ${count(total)} images${loading}`;
    const [from, to] = [state.get("from"), state.get("to")];
    if (from !== null && to !== null) text += `: ${camcli.shown(from)} became ${camcli.shown(to)}`;
    if (state.has("like")) {
      text += `, similarity ${Number(state.get("like")).toFixed(2)} to ${Number(state.get("unlike")).toFixed(2)}`;
    }
    for (const { says } of camcli.filters) {
      const words = says && says(state);
      if (words) text += `, ${words}`;
    }
    byId("found").textContent = text;
    byId("tab-count").textContent = count(total);
    byId("nothing").hidden = ids.length > 0 || Boolean(loading);
    byId("clear").hidden = !filters.some((name) => name !== "sort" && state.get(name));
  };

  const fromForm = () => {
    const changes = {};
    for (const field of form.elements) if (field.name) changes[field.name] = field.value.trim();
    camcli.writeHash(changes, { replace: true });
  };
  let typing = 0;
  form.addEventListener("input", (event) => {
    clearTimeout(typing);
    typing = setTimeout(fromForm, event.target.tagName === "SELECT" ? 0 : 150);
  });
  byId("more-filters").addEventListener("click", (event) => {
    const open = form.classList.toggle("open");
    event.currentTarget.setAttribute("aria-expanded", open);
    event.currentTarget.textContent = open ? "Fewer filters" : "More filters";
    camcli.layOutGallery();
  });
  form.addEventListener("submit", (event) => { event.preventDefault(); fromForm(); });
  byId("clear").addEventListener("click", () => {
    camcli.writeHash(Object.fromEntries(filters.filter((name) => name !== "sort")
      .map((name) => [name, null])));
  });

  addEventListener("hashchange", () => camcli.update());
  addEventListener("popstate", () => camcli.update());

  // From photograph to heatmap.
  for (const id of ["heat", "view-heat"]) {
    byId(id).addEventListener("input", (event) => camcli.setHeat(event.target.value / 100));
  }
  for (const button of document.querySelectorAll("[data-heat]")) {
    button.addEventListener("click", () => camcli.setHeat(button.dataset.heat / 100));
  }

  addEventListener("keydown", (event) => {
    if (camcli.isTyped(event) || event.ctrlKey || event.metaKey || event.altKey) return;
    const heat = { 1: 0, 2: camcli.settings.alpha, 3: 1 }[event.key];
    if (heat !== undefined) camcli.setHeat(heat);
    else if (event.key === "/" && !byId("view").open) {
      camcli.writeHash({ tab: null });
      form.elements.q.focus();
    } else return;
    event.preventDefault();
  });

  byId("skip").addEventListener("click", (event) => {
    event.preventDefault();
    camcli.writeHash({ tab: null });
    byId("images").focus();
    byId("images").scrollIntoView();
  });

  const options = document.createDocumentFragment();
  for (const value of [...camcli.settings.classes].sort()) options.append(el("option", { value }));
  byId("classes").append(options);

  camcli.setHeat(camcli.settings.alpha);
  camcli.drawLook();
  camcli.drawOverview();
  camcli.update();
  camcli.loadIndex(() => camcli.update({ more: true }))
    .then(() => { camcli.drawChanges(); if (!camcli.settings.eager) camcli.preparePrint(); })
    .catch((error) => {
      byId("found").textContent = `The page is incomplete: ${error.message}.`;
    });
})();
