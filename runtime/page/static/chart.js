// Charts as plain SVG.
import { svg } from "/static/basics.js";

const LEFT = 46, RIGHT = 6, TOP = 8, BOTTOM = 20, BARS = 34;
const MOST_STEPS = 60, STEPS = [1, 2, 5, 10, 15, 30];

// Sums minutes into at most sixty steps.
export function buckets(history) {
  const first = history.minutes.length ? history.minutes[0][0] : history.now;
  const span = Math.max(1, history.now - first + 1);
  const step = STEPS.find((minutes) => span / minutes <= MOST_STEPS) || 30;
  const sums = new Map();
  for (const [minute, ok, ng, unknown, fault] of history.minutes) {
    const key = Math.floor((minute - first) / step);
    const sum = sums.get(key) || { ok: 0, ng: 0, other: 0 };
    sums.set(key, { ok: sum.ok + ok, ng: sum.ng + ng, other: sum.other + unknown + fault });
  }
  return { first, step, count: Math.floor((span - 1) / step) + 1, sums };
}

function clock(minutesAgo) {
  return new Date(Date.now() - minutesAgo * 60000).toTimeString().slice(0, 5);
}

function text(said, x, y, anchor) {
  return svg("text", { x, y, "text-anchor": anchor }, said);
}

// The yield as a line, and below it how many parts were judged, those that were not OK filled.
export function drawChart(picture, history) {
  const { first, step, count, sums } = buckets(history);
  const width = Math.max(160, picture.clientWidth), height = Math.max(120, picture.clientHeight);
  const shares = [...sums].filter(([, sum]) => sum.ok + sum.ng).map(([key, sum]) => [key, sum.ok / (sum.ok + sum.ng)]);
  const lowest = Math.min(1, ...shares.map(([, share]) => share));
  const floor = lowest > 0.9 ? 0.9 : lowest > 0.5 ? 0.5 : 0;
  const pitch = (width - LEFT - RIGHT) / count, ground = height - BOTTOM;
  const x = (key) => LEFT + pitch * (key + 0.5);
  const y = (share) => TOP + (ground - BARS - 6 - TOP) * (1 - (share - floor) / (1 - floor));
  const most = Math.max(1, ...[...sums.values()].map((sum) => sum.ok + sum.ng + sum.other));
  const parts = [floor, (1 + floor) / 2, 1].flatMap((share) => [
    svg("line", { class: "grid", x1: LEFT, x2: width - RIGHT, y1: y(share), y2: y(share) }),
    text(`${(100 * share).toFixed(0)} %`, LEFT - 6, y(share) + 4, "end"),
  ]);
  for (const [key, sum] of sums) {
    const scale = BARS / most, bad = (sum.ng + sum.other) * scale, all = bad + sum.ok * scale, wide = Math.max(1, Math.min(24, pitch * 0.8));
    parts.push(svg("rect", { class: "parts", x: x(key) - wide / 2, y: ground - all, width: wide, height: all }));
    parts.push(svg("rect", { class: "lost", x: x(key) - wide / 2, y: ground - bad, width: wide, height: bad }));
  }
  parts.push(text("parts", LEFT - 6, ground, "end"));
  if (shares.length > 1) parts.push(svg("path", { class: "yield", d: shares.map(([key, share], index) => `${index ? "L" : "M"}${x(key).toFixed(1)} ${y(share).toFixed(1)}`).join("") }));
  if (shares.length < 30) for (const [key, share] of shares) parts.push(svg("circle", { class: "dot", cx: x(key), cy: y(share), r: 3.5 }));
  if (count > 2) parts.push(text(clock(history.now - first), LEFT, height - 4, "start"));
  parts.push(text("now", width - RIGHT, height - 4, "end"));
  picture.setAttribute("viewBox", `0 0 ${width} ${height}`);
  picture.setAttribute("aria-label", `Yield by ${step} min, lowest ${(100 * lowest).toFixed(1)} %`);
  picture.replaceChildren(...parts);
}

// OK / (OK + NG) over the history, null without either.
export function yieldOf(history) {
  const ok = history.minutes.reduce((sum, row) => sum + row[1], 0), ng = history.minutes.reduce((sum, row) => sum + row[2], 0);
  return ok + ng ? ok / (ok + ng) : null;
}

// A figure's windows as a line over the band in which it may lie.
export function drawFigure(picture, figure) {
  const values = figure.recent, low = figure.low ?? figure.known_low, high = figure.high ?? figure.known_high;
  const all = [...values, ...(low == null ? [] : [low, high])];
  const bottom = Math.min(...all), span = Math.max(...all) - bottom || 1;
  const y = (value) => 28 - 26 * ((value - bottom) / span);
  picture.setAttribute("viewBox", "0 0 100 30");
  picture.setAttribute("preserveAspectRatio", "none");
  const line = values.map((value, index) => `${index ? "L" : "M"}${(100 * (values.length > 1 ? index / (values.length - 1) : 0.5)).toFixed(1)} ${y(value).toFixed(1)}`).join("");
  const parts = [svg("path", { d: values.length > 1 ? line : `M0 ${y(values[0])}H100` })];
  if (low != null) parts.unshift(svg("rect", { class: "band", x: 0, width: 100, y: y(high), height: Math.max(0.5, y(low) - y(high)) }));
  picture.replaceChildren(...parts);
}
