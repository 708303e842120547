// The API: one function that asks, and errors that say what to do.

let csrf = null;
let door = null; // asks for a token when the session is over; resolves to whether the same person is back

/** What to do when a session is over in the middle of the work. */
export function onSignedOut(ask) {
  door = ask;
}

export class Problem extends Error {
  constructor(status, body) {
    super(body.detail || body.title || `The server answered ${status}`);
    Object.assign(this, { status, expected: body.expected, got: body.got, todo: body.todo });
    if (body.errors?.length) this.got = body.errors.map((one) => `${one.where}: ${one.what}`).join("; ");
  }
}

/** Ask the server; JSON in, JSON out. */
export async function ask(method, path, body = undefined, { signal, raw = false } = {}) {
  const headers = {};
  if (body !== undefined) headers["content-type"] = "application/json";
  if (csrf) headers["x-csrf-token"] = csrf;
  let answer;
  try {
    answer = await fetch(`/api/v1${path}`, { method, headers, body: body === undefined ? undefined : JSON.stringify(body), signal, credentials: "same-origin" });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    document.dispatchEvent(new CustomEvent("server-lost"));
    throw new Problem(0, { detail: "The server cannot be reached", todo: "Is it running? Is the network there?" });
  }
  if (!answer.ok) {
    const problem = new Problem(answer.status, await answer.json().catch(() => ({})));
    if (answer.status === 401 && path !== "/session" && door && (await door())) return ask(method, path, body, { signal, raw });
    throw problem;
  }
  if (raw) return answer;
  return answer.status === 204 ? null : answer.json();
}

export const get = (path, options) => ask("GET", path, undefined, options);
export const post = (path, body = {}, options = {}) => ask("POST", path, body, options);

export async function whoAmI() {
  const session = await get("/session");
  csrf = session.csrf;
  return session;
}

export async function signIn(token) {
  const session = await post("/session", { token });
  csrf = session.csrf;
  return session;
}

/** Send a file, telling how much has gone; a signal breaks it off. */
export function send(file, told, signal = null) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    signal?.addEventListener("abort", () => { request.abort(); reject(new DOMException("broken off", "AbortError")); }, { once: true });
    request.open("POST", `/api/v1/uploads?name=${encodeURIComponent(file.name.slice(0, 100))}`);
    request.setRequestHeader("content-type", "application/octet-stream");
    if (csrf) request.setRequestHeader("x-csrf-token", csrf);
    request.upload.onprogress = (event) => event.lengthComputable && told(event.loaded / event.total);
    request.onerror = () => reject(new Problem(0, { detail: "The upload was broken off", todo: "The server may have gone, or may have refused the size. Try again." }));
    request.onload = () => {
      let body = {};
      try { body = JSON.parse(request.responseText); } catch { /* not JSON: an error without details */ }
      if (request.status === 201) resolve(body);
      else reject(new Problem(request.status, body));
    };
    request.send(file);
  });
}

/** The address of a list, with its filters. */
export function listed(filters, more = {}) {
  const query = new URLSearchParams();
  const names = { cameras: "camera", places: "place", labels: "label", sets: "set" };
  for (const [key, value] of Object.entries({ ...filters, ...more })) {
    if (value === null || value === undefined || value === false || value === "" || key === "other_cameras") continue;
    if (Array.isArray(value)) value.forEach((one) => query.append(names[key] ?? key, one));
    else query.set(key, value);
  }
  return `/tracklets?${query}`;
}

const kind = (row) => (row.uploaded ? "queries" : "tracklets");
/** The address of what the API has of a tracklet, or of a query made of a file. */
export const partOf = (row, part) => `/api/v1/${kind(row)}/${row.id}/${part}`;
export const frameOf = (row, height = 160, number = Math.floor(row.frames / 2)) => `/api/v1/${kind(row)}/${row.id}/frames/${number}?height=${height}`;
export const clipOf = (row) => `/api/v1/${kind(row)}/${row.id}/clip.mp4`;
