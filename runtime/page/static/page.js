// The page: asks for the status once a second, for the history every five, and for pictures as fast as the link takes them.
import { drawChart, drawFigure, yieldOf } from "/static/chart.js";
import { startLive } from "/static/live.js";
import { openSettings } from "/static/settings.js";
import { el, find, number, post, request, shape, significant, svg } from "/static/basics.js";

const KINDS = ["OK", "NG", "UNKNOWN", "FAULT"];
let session = {};

function since(seconds) {
  const minutes = Math.floor(seconds / 60), hours = Math.floor(minutes / 60);
  return hours ? `${hours} h ${minutes % 60} min` : minutes ? `${minutes} min` : `${Math.floor(seconds)} s`;
}

function said(verdict) {
  if (!verdict.label) return verdict.reason || "";
  return `${verdict.label.replaceAll("_", " ")} ${number(verdict.score, 2)}`;
}

export function showVerdict(verdict) {
  if (!verdict) return;
  const now = find("#now");
  now.dataset.kind = verdict.verdict;
  now.querySelector("use").setAttribute("href", `#${verdict.verdict}`);
  find("#verdict").textContent = verdict.verdict;
  find("#label").textContent = verdict.verdict === "UNKNOWN" && verdict.reason ? `${said(verdict)}: ${verdict.reason}` : said(verdict);
  const part = verdict.part == null ? verdict.source : `part ${verdict.part}`;
  find("#part").textContent = `${part} · ${number(verdict.latency_ms, 1)} ms`;
}

function showCounts(verdicts) {
  find("#counts").replaceChildren(...KINDS.map((kind) => {
    const tile = el("div", "count", shape(kind), el("b", "", String(verdicts[kind])), el("span", "", kind));
    tile.dataset.kind = kind;
    return tile;
  }));
}

function showState(status, health) {
  const rows = [
    ["Latency", status.latency_ms.p50_ms === undefined ? "–" : `${number(status.latency_ms.p50_ms, 1)} ms, p99 ${number(status.latency_ms.p99_ms, 1)} ms`],
    ["Rate", `${number(status.verdicts_per_second, 1)} verdicts/s`],
    ["Frames", `${status.frames}, ${status.dropped} dropped`],
    ["Temperature", status.temperature_c == null ? "not known" : `${number(status.temperature_c, 0)} °C`],
    ["Up", since(status.uptime_s)],
  ];
  if (status.throttled) rows.push(["Throttled", status.throttled, true]);
  if (status.source) rows.push(["Camera", `${status.source.name} ${status.source.detail}`, !status.source.ok]);
  for (const sink of status.sinks) rows.push([sink.name, `${sink.ok ? "ok" : sink.detail || "not ok"}${sink.waiting ? `, ${sink.waiting} waiting` : ""}`, !sink.ok]);
  rows.push(["Model", `${status.bundle} · ${status.model}`], ["Runs in", `${status.interpreter}, ${status.threads} ${status.threads === 1 ? "thread" : "threads"}`], ["edgetl", status.version]);
  for (const reason of health.reasons) rows.unshift(["Trouble", reason, true]);
  find("#state dl").replaceChildren(...rows.flatMap(([name, value, bad]) => [el("dt", "", name), el("dd", bad ? "bad" : "", value)]));
}

function showHealth(status, health) {
  const badge = find("#health");
  badge.dataset.state = health.ok ? (health.degraded.length ? "so-so" : "good") : "bad";
  badge.textContent = health.ok ? (health.degraded.length ? "inspecting, with a warning" : "inspecting") : health.reasons[0];
  find("#line").textContent = status.device || "edgetl";
  find("#model").textContent = status.bundle;
  document.title = `${status.device || status.bundle || "edgetl"} · ${health.ok ? "inspecting" : "not inspecting"}`;
}

function showDrift(drift, words) {
  find("#drift").hidden = !drift;
  if (!drift) return;
  const learning = `learning what this line looks like, ${drift.windows_to_learn} more windows`;
  const sentences = words ? words.split("; ") : [drift.phase === "learning" ? learning : "nothing moved"];
  find("#drift-said").replaceChildren(...sentences.map((sentence) => el("li", words ? "bad" : "", sentence)));
  find("#figures").replaceChildren(...drift.figures.map((figure) => {
    const box = el("div", figure.alarm ? "figure bad" : "figure", el("span", "", figure.unit ? `${figure.said}, ${figure.unit}` : figure.said), el("b", "", `${figure.alarm ? "▲ " : ""}${significant(figure.now)}`));
    const picture = svg("svg", {});
    drawFigure(picture, figure);
    box.append(picture);
    return box;
  }));
}

let shownRejects = "";
function showRejects(rejects) {
  const key = rejects.map((verdict) => verdict.sequence).join();
  if (key === shownRejects) return;
  shownRejects = key;
  const list = find("#rejects ol");
  const known = new Map([...list.children].map((item) => [item.dataset.sequence, item]));
  list.replaceChildren(...rejects.map((verdict) => known.get(String(verdict.sequence)) || rejectItem(verdict)));
}

function rejectItem(verdict) {
  const picture = el("img", "");
  picture.loading = "lazy";
  picture.alt = "";
  picture.src = `/rejects/${verdict.sequence}/thumbnail.jpg`;
  const place = verdict.part == null ? verdict.source : `part ${verdict.part}`;
  const button = el("button", "", picture, shape(verdict.verdict), ` ${verdict.verdict} ${said(verdict)}`, el("small", "", place));
  button.dataset.kind = verdict.verdict;
  button.addEventListener("click", () => showReject(verdict));
  const item = el("li", "", button);
  item.dataset.sequence = verdict.sequence;
  return item;
}

async function showReject(verdict) {
  const dialog = find("#reject"), heat = dialog.querySelector(".heat"), waiting = dialog.querySelector(".waiting");
  dialog.querySelector("h2").textContent = `${verdict.verdict} · ${said(verdict)}${verdict.part == null ? "" : ` · part ${verdict.part}`}`;
  dialog.querySelector(".reason").textContent = verdict.label ? verdict.reason || "" : "";
  dialog.querySelector(".whole").src = `/rejects/${verdict.sequence}.jpg`;
  dialog.querySelector(".said").textContent = "";
  heat.hidden = true;
  waiting.hidden = false;
  waiting.textContent = "Asking the model…";
  dialog.showModal();
  while (dialog.open) {
    const answer = await request(`/rejects/${verdict.sequence}/heat.jpg`).catch(() => null);
    if (answer && answer.status === 200) {
      heat.src = URL.createObjectURL(await answer.blob());
      heat.onload = () => URL.revokeObjectURL(heat.src);
      heat.hidden = false;
      waiting.hidden = true;
      dialog.querySelector(".said").textContent = decodeURIComponent(answer.headers.get("X-Said"));
      return;
    }
    if (!answer || answer.status !== 202) {
      waiting.textContent = answer ? (await answer.json()).error : "No answer from the device.";
      return;
    }
    await new Promise((done) => setTimeout(done, 400));
  }
}

let uptime = 0;
async function status() {
  const view = await (await request("/api/status")).json();
  if (view.status.uptime_s < uptime) await start(); // started anew, which ends every session
  uptime = view.status.uptime_s;
  showHealth(view.status, view.health);
  showCounts(view.status.verdicts);
  showState(view.status, view.health);
  showDrift(view.drift, view.status.drift);
  showRejects(view.rejects);
  showVerdict(view.status.last[0]);
}

async function history() {
  const told = await (await request("/api/history")).json(), share = yieldOf(told);
  find("#yield-now").textContent = share == null ? "–" : `${number(100 * share, 1)} %`;
  drawChart(find("#chart"), told);
}

async function every(seconds, work) {
  for (;;) {
    if (!document.hidden && session.may_view) {
      await work().then(() => { find("#offline").hidden = true; }, (error) => {
        if (error.status === 401) return start();
        find("#offline").hidden = false;
      });
    }
    await new Promise((done) => setTimeout(done, seconds * 1000));
  }
}

async function start() {
  session = await (await request("/api/session")).json().catch(() => ({}));
  find("main").hidden = !session.may_view;
  find("#open-sign-in").hidden = !session.can_sign_in || session.signed_in;
  find("#sign-out").hidden = !session.signed_in;
  find("#open-settings").hidden = !(session.signed_in && session.can_set);
  find("#relearn").hidden = !session.signed_in;
  if (!session.may_view && !find("#sign-in").open) find("#sign-in").showModal();
}

find("#theme").addEventListener("click", () => {
  const next = document.documentElement.dataset.theme === "light" ? "dark" : "light";
  document.documentElement.dataset.theme = next;
  localStorage.setItem("theme", next);
});
document.documentElement.dataset.theme = localStorage.getItem("theme") || (matchMedia("(prefers-color-scheme: light)").matches ? "light" : "dark");
find("#open-sign-in").addEventListener("click", () => find("#sign-in").showModal());
find("#open-settings").addEventListener("click", () => openSettings(session));
find("#sign-out").addEventListener("click", async () => { await post("/api/sign-out", {}, session.csrf); start(); });
find("#relearn").addEventListener("click", () => post("/api/drift/relearn", {}, session.csrf));
for (const button of document.querySelectorAll("dialog .close")) button.addEventListener("click", () => button.closest("dialog").close());
find("#sign-in form").addEventListener("submit", async (event) => {
  event.preventDefault();
  const form = event.target, error = form.querySelector(".error");
  error.textContent = "";
  const answer = await post("/api/sign-in", { password: form.password.value }).catch(() => null);
  form.password.value = "";
  if (answer && answer.ok) {
    find("#sign-in").close();
    return start();
  }
  error.textContent = answer ? (await answer.json()).error : "No answer from the device.";
});

start().catch(() => { find("#offline").hidden = false; }).then(() => {
  every(1, status);
  every(5, history);
  startLive(() => session.may_view, showVerdict);
});
