// Small pieces that the other files share. Text goes in as text, never as markup.
export const find = (selector) => document.querySelector(selector);

export function el(name, kind, ...children) {
  const made = document.createElement(name);
  if (kind) made.className = kind;
  made.append(...children);
  return made;
}

export function svg(name, attributes, ...children) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

export const shape = (kind) => svg("svg", { class: "shape", viewBox: "0 0 24 24" }, svg("use", { href: `#${kind}` }));

export const number = (value, digits) => (value == null ? "–" : value.toFixed(digits));

export const significant = (value) => (Math.abs(value) >= 1000 ? value.toFixed(0) : Math.abs(value) < 0.0005 ? "0" : String(Number(value.toPrecision(3))));

export async function request(path, options) {
  const answer = await fetch(path, { credentials: "same-origin", ...options });
  if (answer.status === 401 && !options) throw Object.assign(new Error("sign in"), { status: 401 });
  return answer;
}

export const post = (path, content, csrf) => request(path, {
  method: "POST",
  headers: { "Content-Type": "application/json", ...(csrf ? { "X-CSRF-Token": csrf } : {}) },
  body: JSON.stringify(content),
});

// What a live picture is of: headers hold no more than ASCII, so it comes percent-encoded.
export const frameFacts = (answer) => JSON.parse(decodeURIComponent(answer.headers.get("X-Frame")));
