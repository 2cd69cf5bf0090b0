// On paper there is no scrolling: every picture of the selection is printed, once.
"use strict";

(() => {
  const { byId, count } = camcli;
  // Pages with more are for no printer; filters choose what to print.
  const MOST = 2000;
  const ENOUGH = 20_000; // milliseconds to wait for pictures

  const wanted = () => Math.min(MOST, camcli.selection().length);
  const shown = () => !byId("images").hidden && !byId("view").open;

  const begin = () => {
    if (!shown()) return;
    const all = camcli.selection().length;
    byId("print-rest").textContent = all > MOST
      ? `The first ${count(MOST)} of ${count(all)} images are printed; filters choose others.` : "";
    camcli.printGallery(MOST);
  };
  addEventListener("beforeprint", begin);
  addEventListener("afterprint", () => camcli.printGallery(0));

  // The details of all that would be printed.
  const details = () => Promise.all([...camcli.selection().subarray(0, wanted())].map((id) =>
    new Promise((done) => { if (camcli.detailOf(id, done)) done(); })));

  const within = (work) => Promise.race([work, new Promise((done) => { setTimeout(done, ENOUGH); })]);

  camcli.print = async () => {
    if (shown()) {
      document.body.classList.add("preparing");
      byId("print-wait").textContent = "Preparing the pictures …";
      await within(details());
      begin();
      const pictures = [...document.querySelectorAll("#gallery img[src]")];
      await within(Promise.allSettled(pictures.map((img) => img.decode())));
      byId("print-wait").textContent = "";
      document.body.classList.remove("preparing");
    }
    window.print();
  };
  byId("print").addEventListener("click", camcli.print);
  addEventListener("keydown", (event) => {
    if (event.key !== "p" || !(event.ctrlKey || event.metaKey) || event.altKey || event.shiftKey) return;
    event.preventDefault();
    camcli.print();
  });

  // The browser's own command waits for nothing. What it needs of a page that can be printed whole
  // comes with the document if there is little of it, else while nobody asks for anything.
  const kept = [];
  const keep = (from, to) => {
    for (let id = from; id < Math.min(to, camcli.settings.thumbs); id++) {
      if (camcli.hasThumb(id)) kept.push(Object.assign(new Image(), { src: camcli.thumbOf(id) }));
    }
  };
  camcli.preparePrint = () => {
    const { rows, eager, contained, page } = camcli.settings;
    if (rows > MOST || contained || kept.length) return;
    if (eager) { // called before the document is complete, which then waits for these
      keep(0, rows);
      return;
    }
    const later = window.requestIdleCallback || ((work) => setTimeout(work, 500));
    const next = (row) => {
      if (row >= rows) return;
      const go = () => later(() => { keep(row, row + page.detail); next(row + page.detail); });
      if (camcli.detailOf(row, go)) go();
    };
    later(() => next(0));
  };
})();
