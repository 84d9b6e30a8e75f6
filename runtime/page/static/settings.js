// Thresholds and regions: drawn on the newest frame, checked by the device, written to the line's file.
import { el, find, frameFacts, post, request, svg } from "/static/basics.js";

const LEAST = 0.02; // of the frame; a smaller drag was a tap
let regions = [], shown = null, chosen = -1, csrf = "";

const dialog = () => find("#settings");
const rounded = (value) => Math.round(Math.min(1, Math.max(0, value)) * 1000) / 1000;

function draw() {
  find("#drawing").setAttribute("viewBox", "0 0 1 1");
  find("#drawing").setAttribute("preserveAspectRatio", "none");
  find("#drawing").replaceChildren(...regions.map(({ box: [x0, y0, x1, y1] }, index) =>
    svg("rect", { x: x0, y: y0, width: x1 - x0, height: y1 - y0, class: index === chosen ? "chosen" : "", "data-index": index })));
}

function field(text, input) {
  return el("label", "", text, input);
}

function list() {
  find("#regions").replaceChildren(...regions.map((region, index) => {
    const name = el("input", "");
    name.value = region.name;
    name.required = true;
    name.addEventListener("input", () => { region.name = name.value; });
    const expect = el("select", "", ...["", ...shown.labels].map((label) => new Option(label || `good by the bundle (${shown.ok_labels.join(", ")})`, label)));
    expect.value = typeof region.expect === "string" ? region.expect : (region.expect || [""])[0];
    expect.addEventListener("change", () => { region.expect = expect.value || null; });
    const score = el("input", "");
    Object.assign(score, { type: "number", min: 0, max: 1, step: 0.01, value: region.min_score ?? "", placeholder: "as above" });
    score.addEventListener("input", () => { region.min_score = score.value === "" ? null : Number(score.value); });
    const remove = el("button", "", "Remove");
    remove.type = "button";
    remove.addEventListener("click", () => { regions.splice(index, 1); chosen = -1; refresh(); });
    const item = el("li", "", field("Name", name), field("Expected there", expect), field("Least score", score), remove);
    item.addEventListener("focusin", () => { chosen = index; draw(); });
    return item;
  }));
}

function refresh() {
  draw();
  list();
}

function place(event) {
  const frame = find("#drawing").getBoundingClientRect();
  return [(event.clientX - frame.left) / frame.width, (event.clientY - frame.top) / frame.height];
}

function freeName() {
  for (let count = regions.length + 1; ; count++) if (!regions.some((region) => region.name === `region-${count}`)) return `region-${count}`;
}

function drag(event) {
  event.preventDefault();
  const [startX, startY] = place(event), index = event.target.dataset.index;
  const moved = index === undefined ? null : regions[Number(index)], before = moved && [...moved.box];
  const made = moved || { name: freeName(), box: [startX, startY, startX, startY], expect: null, min_score: null };
  if (!moved) regions.push(made);
  chosen = regions.indexOf(made);
  const move = (now) => {
    const [x, y] = place(now);
    if (moved) {
      const dx = Math.min(1 - before[2], Math.max(-before[0], x - startX)), dy = Math.min(1 - before[3], Math.max(-before[1], y - startY));
      made.box = [before[0] + dx, before[1] + dy, before[2] + dx, before[3] + dy];
    } else made.box = [Math.min(startX, x), Math.min(startY, y), Math.max(startX, x), Math.max(startY, y)];
    made.box = made.box.map(rounded);
    draw();
  };
  const end = () => {
    removeEventListener("pointermove", move);
    removeEventListener("pointerup", end);
    if (!moved && (made.box[2] - made.box[0] < LEAST || made.box[3] - made.box[1] < LEAST)) regions.pop();
    refresh();
  };
  addEventListener("pointermove", move);
  addEventListener("pointerup", end);
}

// Regions may be written in pixels; the page draws fractions.
function asFractions(box, [width, height]) {
  return Math.max(...box) <= 1 ? box : [box[0] / width, box[1] / height, box[2] / width, box[3] / height].map(rounded);
}

export async function openSettings(session) {
  csrf = session.csrf;
  const answer = await request("/api/settings");
  if (!answer.ok) return alert((await answer.json()).error);
  shown = await answer.json();
  const live = await request("/live.jpg?width=1280");
  const size = live.status === 200 ? frameFacts(live).size : [1, 1];
  const picture = dialog().querySelector(".picture img");
  if (live.status === 200) picture.src = URL.createObjectURL(await live.blob());
  regions = shown.settings.regions.map((region) => ({ ...region, box: asFractions(region.box, size) }));
  chosen = -1;
  const score = dialog().querySelector("[name=min_score]");
  score.value = shown.settings.min_score ?? "";
  score.placeholder = shown.bundle_min_score;
  find("#bundle-score").textContent = `Empty means the bundle's own: ${shown.bundle_min_score}.`;
  for (const line of dialog().querySelectorAll(".error, .done")) line.textContent = "";
  refresh();
  dialog().showModal();
}

find("#drawing").addEventListener("pointerdown", drag);
find("#settings form").addEventListener("submit", async (event) => {
  event.preventDefault();
  const form = event.target, error = form.querySelector(".error"), done = form.querySelector(".done");
  error.textContent = done.textContent = "";
  const least = form.min_score.value === "" ? null : Number(form.min_score.value);
  const answer = await post("/api/settings", { version: shown.version, settings: { min_score: least, regions } }, csrf).catch(() => null);
  const content = answer ? await answer.json() : { error: "No answer from the device." };
  if (!answer || !answer.ok) {
    error.textContent = content.error;
    return;
  }
  done.textContent = content.applied ? "Saved, and the line has taken it over." : "Saved; it takes effect when the line is started again.";
  shown = await (await request("/api/settings")).json();
});
