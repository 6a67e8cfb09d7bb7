// Speaks with the studio's API: JSON in, JSON out; what it refuses is thrown with its sentence, hint and fields.
export class Refused extends Error {
  constructor(status, error) {
    super(error?.message ?? "The studio did not answer as expected.");
    this.status = status;
    this.code = error?.code ?? "unknown";
    this.hint = error?.hint ?? "";
    this.param = error?.param ?? null;
    this.fields = error?.details?.errors ?? [];
    this.details = error?.details ?? {};
  }
}

export async function ask(method, path, body, headers = {}) {
  const sent = { method, headers: { accept: "application/json", ...headers } };
  if (body !== undefined) {
    sent.body = JSON.stringify(body);
    sent.headers["content-type"] = "application/json";
  }
  let answer;
  try {
    answer = await fetch(path, sent);
  } catch {
    throw new Refused(0, { message: "The studio does not answer.", hint: "Try again in a moment.", code: "offline" });
  }
  if (answer.status === 401) location.assign(`/login?next=${encodeURIComponent(location.pathname + location.search)}`);
  if (answer.status === 204) return null;
  const told = await answer.json().catch(() => null);
  if (!answer.ok) throw new Refused(answer.status, told?.error);
  return told;
}

export function toast(text, tone = "info") {
  const place = document.querySelector("[data-toasts]");
  const shown = document.createElement("div");
  shown.className = `toast ${tone}`;
  shown.textContent = text;
  place.append(shown);
  setTimeout(() => shown.remove(), tone === "bad" ? 12000 : 6000);
}
