// Text goes in as text, never as markup: labels and file names come from outside.
const find = (selector) => document.querySelector(selector);
const state = { labels: [], items: [], at: 0, sending: Promise.resolve() };
const answered = (item) => item.label !== null || item.unusable;

async function start() {
  const queue = await (await fetch("/api/queue")).json();
  state.labels = queue.labels;
  state.items = queue.items;
  find("#strip").replaceChildren(...state.items.map(thumbnail));
  show(Math.max(0, state.items.findIndex((item) => !answered(item))));
}

function thumbnail(item, index) {
  const button = document.createElement("button");
  const image = document.createElement("img");
  image.loading = "lazy";
  image.alt = `picture ${index + 1}`;
  image.src = `/picture/${encodeURIComponent(item.picture)}`;
  button.append(image);
  button.addEventListener("click", () => show(index));
  return button;
}

function show(index) {
  state.at = Math.min(Math.max(index, 0), state.items.length - 1);
  const item = state.items[state.at];
  find("#picture").src = `/picture/${encodeURIComponent(item.picture)}`;
  find("#picture").alt = item.picture;
  find("#facts").textContent = `${item.where} · kept as ${item.reasons.join(", ")}`;
  const guess = document.createElement("b");
  guess.textContent = item.guess ?? "nothing";
  const sure = item.score === null ? "" : `, ${(100 * item.score).toFixed(0)} % sure`;
  find("#guess").replaceChildren(`the model says (${item.verdict}${sure})`, guess);
  find("#labels").replaceChildren(...state.labels.map((label, i) => choice(label, i, item)));
  draw();
}

function choice(label, index, item) {
  const row = document.createElement("li");
  const button = document.createElement("button");
  const key = document.createElement("kbd");
  key.textContent = index < 9 ? String(index + 1) : "";
  button.append(key, ` ${label}`);
  button.setAttribute("aria-pressed", String(item.label === label));
  button.addEventListener("click", () => answer({ label }));
  row.append(button);
  return row;
}

function draw() {
  const done = state.items.filter(answered).length;
  find("#progress").max = state.items.length;
  find("#progress").value = done;
  find("#counted").textContent = `${done} of ${state.items.length} answered`;
  [...find("#strip").children].forEach((button, i) => {
    const item = state.items[i];
    button.className = item.unusable ? "unusable" : item.label !== null ? "done" : "";
    button.title = item.unusable ? "unusable" : item.label ?? "";
    button.setAttribute("aria-current", String(i === state.at));
  });
  find("#strip").children[state.at]?.scrollIntoView({ block: "nearest", inline: "center" });
}

function answer({ label = null, unusable = false, stay = false }) {
  const index = state.at;
  const item = state.items[index];
  const before = { label: item.label, unusable: item.unusable };
  Object.assign(item, { label, unusable });
  if (stay) show(index); else next(index);
  // One after the other, in the order in which they were given.
  state.sending = state.sending.then(() => send(item, { picture: item.picture, label, unusable })).catch((error) => {
    Object.assign(item, before);
    find("#trouble").textContent = `not saved: ${error.message}`;
    show(index);
  });
}

async function send(item, content) {
  const reply = await fetch("/api/answer", { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(content) });
  if (!reply.ok) throw new Error(await reply.text());
  find("#trouble").textContent = "";
}

function next(from) {
  const after = state.items.findIndex((item, i) => i > from && !answered(item));
  show(after >= 0 ? after : Math.min(from + 1, state.items.length - 1));
}

function add() {
  const label = find("#new").value.trim();
  if (!label) return;
  if (!state.labels.includes(label)) state.labels.push(label);
  find("#new").value = "";
  find("#new").blur();
  answer({ label });
}

const keys = {
  Enter: () => { const { guess } = state.items[state.at]; if (guess !== null) answer({ label: guess }); },
  x: () => answer({ unusable: true }),
  u: () => answer({ stay: true }),
  ArrowLeft: () => show(state.at - 1),
  ArrowRight: () => show(state.at + 1),
  n: () => next(state.at),
};

document.addEventListener("keydown", (event) => {
  if (event.target.matches("input")) { if (event.key === "Enter") add(); return; }
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const label = /^[1-9]$/.test(event.key) ? state.labels[Number(event.key) - 1] : undefined;
  const action = label !== undefined ? () => answer({ label }) : keys[event.key] ?? keys[event.key.toLowerCase()];
  if (!action) return;
  event.preventDefault();
  action();
});
find("#add").addEventListener("click", add);
start().catch((error) => { find("#trouble").textContent = `cannot load: ${error.message}`; });
