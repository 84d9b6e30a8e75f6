// The live picture: one request at a time for the next frame, so a slow link gets fewer and smaller ones, never old ones.
import { find, frameFacts, request, svg } from "/static/basics.js";

const LEVELS = [[320, 35], [480, 45], [640, 60], [960, 70], [1280, 75]];
const SLOW_MS = 400, QUICK_MS = 80, QUICK_FRAMES = 12;
const FAILED_MS = 1500;

let level = 2, quick = 0, after = 0;
const recent = [];

const pause = (milliseconds) => new Promise((done) => setTimeout(done, milliseconds));

function adapt(milliseconds) {
  if (milliseconds > SLOW_MS) {
    level = Math.max(0, level - 1);
    quick = 0;
  } else if (milliseconds < QUICK_MS && ++quick >= QUICK_FRAMES) {
    const wide = find("#frame").clientWidth * devicePixelRatio;
    if (LEVELS[level][0] < wide) level = Math.min(LEVELS.length - 1, level + 1);
    quick = 0;
  }
}

function tellLink(bytes) {
  const now = performance.now();
  recent.push([now, bytes]);
  while (recent.length > 1 && recent[0][0] < now - 5000) recent.shift();
  const seconds = Math.max(1, (now - recent[0][0]) / 1000);
  const sum = recent.reduce((total, [, size]) => total + size, 0);
  find("#link").textContent = `live · ${(recent.length / seconds).toFixed(1)} pictures/s · ${(sum / seconds / 1000).toFixed(0)} kB/s · ${LEVELS[level][0]} px`;
}

function drawRegions(facts) {
  const overlay = find("#overlay"), [width, height] = facts.size;
  const regions = (facts.verdict && facts.verdict.regions) || [];
  overlay.setAttribute("viewBox", `0 0 ${width || 1} ${height || 1}`);
  overlay.replaceChildren(...regions.filter((region) => region.box).flatMap((region) => {
    const [x0, y0, x1, y1] = region.box;
    const box = svg("rect", { class: "region", x: x0, y: y0, width: x1 - x0, height: y1 - y0 });
    box.dataset.kind = region.verdict;
    const name = svg("text", { class: "region-name", x: x0 + width / 120, y: y1 - height / 90, "font-size": width / 34 });
    name.textContent = `${region.name} ${region.verdict}`;
    return [box, name];
  }));
}

async function next(show) {
  const [width, quality] = LEVELS[level];
  const answer = await request(`/live.jpg?after=${after}&width=${width}&quality=${quality}`);
  if (answer.status !== 200) return pause(answer.status === 204 ? 0 : FAILED_MS);
  const started = performance.now(), blob = await answer.blob();
  const facts = frameFacts(answer);
  after = facts.number;
  show(facts.verdict);
  const missing = find("#no-picture");
  missing.hidden = !facts.fault && blob.type === "image/jpeg";
  missing.textContent = facts.fault || "Waiting for a picture";
  if (blob.type !== "image/jpeg") return pause(200);
  const address = URL.createObjectURL(blob), picture = find("#frame");
  picture.src = address;
  await picture.decode().catch(() => {});
  URL.revokeObjectURL(address);
  adapt(performance.now() - started);
  drawRegions(facts);
  tellLink(blob.size);
}

export async function startLive(mayView, show) {
  for (;;) {
    if (document.hidden || !mayView()) await pause(500);
    else await next(show).catch(() => pause(FAILED_MS));
  }
}
