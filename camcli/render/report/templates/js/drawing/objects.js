// Boxes and masks that a person gave: drawn in the large view, and how much of the heat lies on them.
"use strict";

(() => {
  const { svg, byId } = camcli;
  const SIDE = 1000; // boxes and outlines come in thousandths

  const corners = (flat) => {
    const points = [];
    for (let i = 0; i < flat.length; i += 2) points.push(`${flat[i]} ${flat[i + 1]}`);
    return `M${points.join("L")}Z`;
  };

  // Each line twice: a dark casing, so that it is seen on any picture.
  const drawn = ([boxes, outlines]) => {
    const path = [...boxes.map(([x0, y0, x1, y1]) => `M${x0} ${y0}H${x1}V${y1}H${x0}Z`),
      ...outlines.map(corners)].join("");
    return svg("svg", { class: "objects", viewBox: `0 0 ${SIDE} ${SIDE}`,
      preserveAspectRatio: "none", "aria-hidden": "true" },
    svg("path", { class: "casing", d: path }), svg("path", { class: "line", d: path }));
  };
  camcli.stageParts.push((frame, row, detail, s, { large }) => {
    if (large && detail.objects) frame.append(drawn(detail.objects));
  });

  const box = byId("view-objects");
  if (box) {
    const body = byId("view-body");
    const follow = () => body.classList.toggle("no-objects", !box.checked);
    box.addEventListener("change", follow);
    follow();
  }

  camcli.filters.push(camcli.shareFilter("on", "on_object", "of the heat on the object"));

  const shareOf = (i) => {
    const share = camcli.columns.sides[0].on_object[i];
    return share < 0 ? NaN : share;
  };
  camcli.orders.off = () => shareOf;
  camcli.orders.object = () => (i) => -shareOf(i);

  // How often each share occurs; each bar leads to its photographs.
  camcli.objectBars = ({ bins: { r, w, u } }) => {
    const step = 100 / r.length;
    return camcli.bars(r.map((_, i) => {
      const min = Math.round(i * step), max = Math.round((i + 1) * step);
      const words = [[r[i], "right"], [w[i], "wrong"], [u[i], "without a usable label"]]
        .filter(([n]) => n).map(([n, word]) => `${camcli.count(n)} ${word}`);
      return {
        parts: [["r", r[i]], ["w", w[i]], ["u", u[i]]],
        label: `${min} to ${max}% of the heat on the object: ${words.join(", ") || "none"}`,
        href: camcli.linkTo({ on: `${min}-${max}` }),
      };
    }), { low: "0% on the object", high: "100%",
      caption: "Images by the share of the heat on the object" });
  };
})();
