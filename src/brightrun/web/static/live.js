// Regions that stay current. <div id=… data-live="/fragment" data-every="5"> is fetched every 5 seconds;
// with data-now at once too, and without either only when refreshLive is called;
// with data-stream="/api/…/events/stream" it is fetched when the stream tells news, once a second at most.
// The server draws, this only puts the new drawing in place: focus, open details and typed text stay as they are.
import { localizeTimes } from "./times.js";
import { morph } from "./morph.js";

const LEAST_MS = 1000;
const RETRY_MS = 3000;
const regions = new Map(); // element -> { fetch now, stop }
const streams = new Map(); // address -> EventSource

export function startLive(root) {
  for (const region of root.querySelectorAll("[data-live]")) if (!regions.has(region)) watch(region);
}

export function refreshLive() {
  for (const { now } of regions.values()) now();
}

function watch(region) {
  let timer = 0;
  let last = 0;
  let busy = false;
  const later = (wait) => {
    clearTimeout(timer);
    timer = setTimeout(now, wait);
  };
  async function now() {
    if (!region.isConnected) return stop();
    if (busy) return later(LEAST_MS);
    busy = true;
    clearTimeout(timer);
    try {
      await replace(region);
      last = Date.now();
      tellOffline(false);
      if (region.dataset.every && !region.hasAttribute("data-over")) later(Number(region.dataset.every) * 1000);
    } catch {
      tellOffline(true);
      later(RETRY_MS);
    } finally {
      busy = false;
    }
  }
  function stop() {
    clearTimeout(timer);
    regions.delete(region);
  }
  regions.set(region, { now, stop });
  if ("now" in region.dataset) now();
  else if (region.dataset.every) later(Number(region.dataset.every) * 1000);
  if (region.dataset.stream) listen(region.dataset.stream, () => later(Math.max(0, last + LEAST_MS - Date.now())), now);
}

async function replace(region) {
  const answer = await fetch(region.dataset.live, { headers: { accept: "text/html" } });
  if (answer.redirected && new URL(answer.url).pathname === "/login") return location.reload();
  if (!answer.ok) throw new Error(`status ${answer.status}`);
  const drawn = new DOMParser().parseFromString(await answer.text(), "text/html").body;
  localizeTimes(drawn);
  morph(region, drawn);
  region.dispatchEvent(new CustomEvent("brightrun:replaced", { bubbles: true }));
}

// One stream for all regions that name it. EventSource comes back by itself and says with Last-Event-ID where it was.
function listen(address, news, end) {
  let stream = streams.get(address);
  if (!stream) {
    stream = new EventSource(address);
    streams.set(address, stream);
    stream.addEventListener("complete", () => stream.close());
    stream.addEventListener("error", () => tellOffline(stream.readyState === EventSource.CONNECTING && navigator.onLine === false));
  }
  for (const name of ["progress", "checkpoint", "log"]) stream.addEventListener(name, news);
  stream.addEventListener("open", news); // what was missed while away is in the next drawing
  stream.addEventListener("complete", end);
}

function tellOffline(off) {
  const place = document.querySelector("[data-offline]");
  if (place) place.hidden = !off;
}

addEventListener("online", refreshLive);
document.addEventListener("visibilitychange", () => document.hidden || refreshLive());
