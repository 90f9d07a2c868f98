// A chart of stacked bars, drawn by uPlot in the colours of the page.

import uPlot from "./built/uplot.js";
import { element } from "./dom.js";

export const MOST_COLOURS = 8;

const HEIGHT = 240;
const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

let plot;
let redraw;

/**
 * Draws stacks `[{name, values}]` over slots `[{label}]`, and lists in `legend` what each colour is, with the
 * value under the pointer, or in all.
 */
export function draw({ place, legend, slots, stacks, write, writeShort }) {
  redraw = () => {
    plot?.destroy();
    plot = new uPlot(options(place, slots, stacks.length, writeShort, showAt), stacked(slots, stacks), place);
  };
  const showAt = (slot) => legend.replaceChildren(...legendItems(slots, stacks, write, slot));
  redraw();
  showAt(undefined);
}

new ResizeObserver(([{ contentRect }]) => {
  if (plot && contentRect.width > 0) plot.setSize({ width: contentRect.width, height: HEIGHT });
}).observe(document.getElementById("chart"));
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => redraw?.());

/** Each bar is as high as everything from it down; the lower ones are drawn over it. */
function stacked(slots, stacks) {
  const heights = slots.map(() => 0);
  const series = stacks.map(({ values }) => values.map((value, slot) => (heights[slot] += value)));
  return [slots.map((_, index) => index), ...series.reverse()];
}

function options(place, slots, count, writeShort, showAt) {
  const axis = { stroke: colour("--muted"), font: "12px system-ui, sans-serif", ticks: { show: false } };
  const grid = { stroke: colour("--line"), width: 1 };
  return {
    width: place.clientWidth,
    height: HEIGHT,
    padding: [8, 8, 0, 0],
    legend: { show: false },
    cursor: { y: false, points: { show: false }, drag: { x: false, y: false } },
    scales: { x: { time: false, range: [-0.5, slots.length - 0.5] }, y: { range: (_, __, most) => [0, most * 1.05 || 1] } },
    axes: [
      {
        ...axis,
        grid: { show: false },
        incrs: [1, 2, 3, 5, 7, 10],
        size: 28,
        space: 56,
        values: (_, at) => at.map((index) => slots[index]?.label ?? ""),
      },
      { ...axis, grid, size: 56, values: (_, at) => at.map((value) => (value === 0 ? "0" : writeShort(value))) },
    ],
    series: [
      {},
      ...Array.from({ length: count }, (_, index) => ({
        fill: colour(`--series-${count - index}`),
        width: 0,
        points: { show: false },
        paths: uPlot.paths.bars({ size: [0.7, 48] }),
      })),
    ],
    hooks: { setCursor: [({ cursor }) => showAt(cursor.left >= 0 ? cursor.idx : undefined)] },
  };
}

function legendItems(slots, stacks, write, slot) {
  const sum = (values) => (slot === undefined ? values.reduce((all, value) => all + value, 0) : values[slot]);
  return [
    element("li", { class: "when" }, slot === undefined ? "in all" : slots[slot].label),
    ...stacks.map(({ name, values }, index) =>
      element(
        "li",
        {},
        element("span", { class: `swatch series-${index + 1}`, "aria-hidden": "true" }),
        `${name} `,
        element("strong", {}, write(sum(values))),
      ),
    ),
  ];
}
