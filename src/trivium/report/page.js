"use strict";
// Values under the pointer. Everything a reader needs is on the page without this script.
(() => {
  const show = (place, parts) => {
    place.replaceChildren(
      ...parts.map(([name, value]) => {
        const span = document.createElement("span");
        const bold = document.createElement("b");
        bold.textContent = value;
        span.append(name + " ", bold);
        return span;
      }),
    );
  };
  const shown = (value) => (value === null || value === undefined ? "not seen" : String(Number(value.toPrecision(3))));

  const nearest = (times, t) => {
    let low = 0;
    let high = times.length - 1;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (times[middle] < t) low = middle + 1;
      else high = middle;
    }
    return low > 0 && t - times[low - 1] < times[low] - t ? low - 1 : low;
  };

  for (const figure of document.querySelectorAll('[data-kind="timeline"]')) {
    const data = JSON.parse(figure.querySelector(".timeline-data").textContent);
    const svg = figure.querySelector("svg");
    const box = figure.querySelector(".timeline");
    const hair = figure.querySelector(".crosshair");
    const readout = figure.querySelector(".readout");
    const labels = figure.querySelectorAll(".word");
    const bands = figure.querySelectorAll(".band");
    readout.textContent = "Move over the picture to read values; with the keyboard, use the arrow keys.";
    let here = -1;
    const at = (t) => {
      const x = data.margin + (t - data.begin) * data.scale;
      hair.setAttribute("x1", x);
      hair.setAttribute("x2", x);
      here = data.words.findIndex(([, from, to]) => t >= from && t < to);
      labels.forEach((label, i) => label.classList.toggle("here", i === here));
      bands.forEach((band, i) => band.classList.toggle("here", i === here));
      const parts = [[`${t.toFixed(2)} s`, here < 0 ? "(no word)" : `“${data.words[here][0]}”`]];
      for (const lane of data.lanes) {
        const i = nearest(lane.t, t);
        const near = lane.t.length > 0 && Math.abs(lane.t[i] - t) < 0.12;
        for (const [name, values] of Object.entries(lane.lines)) {
          const unit = lane.unit === "0 to 1" ? "" : ` ${lane.unit}`;
          const value = near ? values[i] : undefined;
          const nothing = near ? "–" : "not seen";
          const label = name === lane.name || Object.keys(lane.lines).length === 1 ? lane.name : `${lane.name} ${name}`;
          parts.push([label, value === null || value === undefined ? nothing : shown(value) + unit]);
        }
      }
      show(readout, parts);
    };
    svg.addEventListener("pointermove", (event) => {
      const frame = svg.getBoundingClientRect();
      const x = ((event.clientX - frame.left) / frame.width) * svg.viewBox.baseVal.width;
      at(data.begin + (x - data.margin) / data.scale);
    });
    box.addEventListener("keydown", (event) => {
      const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
      if (!step || !data.words.length) return;
      event.preventDefault();
      const next = Math.min(Math.max(here + step, 0), data.words.length - 1);
      const [, from, to] = data.words[next];
      at((from + to) / 2);
      box.scrollTo({ left: data.margin + ((from + to) / 2 - data.begin) * data.scale - box.clientWidth / 2 });
    });
  }

  for (const figure of document.querySelectorAll('[data-kind="matrix"]')) {
    const data = JSON.parse(figure.querySelector(".matrix-data").textContent);
    const readout = figure.querySelector(".readout");
    const rows = [...figure.querySelectorAll(".rows")].map((list) => list.querySelectorAll("span"));
    readout.textContent = "Move over a cell to read it.";
    for (const block of data.blocks) block.bytes = Uint8Array.from(atob(block.values), (c) => c.charCodeAt(0));
    for (const image of figure.querySelectorAll("img")) {
      const block = data.blocks[Number(image.dataset.block)];
      image.addEventListener("pointermove", (event) => {
        const frame = image.getBoundingClientRect();
        const inside = (value, size, count) => Math.min(count - 1, Math.max(0, Math.floor((value / size) * count)));
        const row = inside(event.clientY - frame.top, frame.height, data.words.length);
        const column = inside(event.clientX - frame.left, frame.width, block.columns.length);
        const place = row * block.columns.length + column;
        const value = (i) => block.low + (block.bytes[i] / 255) * (block.high - block.low);
        const size = data.words.length * block.columns.length;
        rows.forEach((list) => list.forEach((label, i) => label.classList.toggle("here", i === row)));
        const told = [
          [block.modality, block.columns[column]],
          ["word", `“${data.words[row]}”`],
          ["input", block.seen[row] ? shown(value(place)) : "not seen"],
        ];
        if (block.bytes.length > size) told.push(["reconstruction", shown(value(size + place))]);
        show(readout, told);
      });
    }
  }

  for (const figure of document.querySelectorAll('[data-kind="map"]')) {
    const picture = figure.querySelector(".map");
    const keys = [...figure.querySelectorAll(".legend button")];
    for (const key of keys) {
      key.addEventListener("click", () => {
        const on = key.getAttribute("aria-pressed") !== "true";
        keys.forEach((other) => other.setAttribute("aria-pressed", String(on && other === key)));
        picture.classList.toggle("picked", on);
        picture.querySelectorAll("g").forEach((group) => {
          group.classList.toggle("picked", on && group.dataset.class === key.dataset.class);
        });
      });
    }
  }
})();
