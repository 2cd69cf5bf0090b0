// Which boxes hold a table that is wider than they are: it scrolls in its box, and that is said.
"use strict";

(() => {
  const look = (box) => {
    const more = box.scrollWidth - box.clientWidth;
    box.classList.toggle("wide", more > 1);
    box.classList.toggle("end", more > 1 && box.scrollLeft >= more - 1);
  };
  const sizes = new ResizeObserver((changed) => {
    for (const { target } of changed) look(target.closest(".scroll"));
  });
  const known = new WeakSet();
  const watch = (element) => {
    if (known.has(element)) return;
    known.add(element);
    sizes.observe(element);
  };
  const find = () => {
    for (const box of document.querySelectorAll(".scroll")) {
      if (!known.has(box)) box.addEventListener("scroll", () => look(box), { passive: true });
      watch(box);
      for (const inside of box.children) watch(inside);
    }
  };
  find();
  // The tabs make their tables when they are first looked at.
  new MutationObserver(find).observe(document.querySelector("main") || document.body, { childList: true, subtree: true });
})();
