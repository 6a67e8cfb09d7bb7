// Browser notifications when a job ends: only where a person turned them on, only while they look elsewhere, and once
// however many tabs are open. The browser is asked for permission by turnOn, so call it from a click.
import { toast } from "./api_client.js";

const WANTS = "brightrun:notify";
const TOLD = "brightrun:told";
const REMEMBERED = 50;
const TONES = { completed: "good", failed: "bad", cancelled: "info" };
const ENDINGS = { completed: "Completed", failed: "Failed", cancelled: "Cancelled" };

// "impossible" (no such thing here), "refused" (the browser was told never), "on", "off".
export function notifications() {
  if (!("Notification" in window)) return "impossible";
  if (Notification.permission === "denied") return "refused";
  return Notification.permission === "granted" && localStorage.getItem(WANTS) === "yes" ? "on" : "off";
}

export async function turnOn() {
  if ("Notification" in window && (await Notification.requestPermission()) === "granted") localStorage.setItem(WANTS, "yes");
  return notifications();
}

export function turnOff() {
  localStorage.removeItem(WANTS);
  return notifications();
}

export function isEnding(status) {
  return status in ENDINGS;
}

// A job came to its end; `title` names it.
export async function tellEnding(jobId, status, title) {
  if (!isEnding(status)) return;
  if (!(await isFirst(`${jobId} ${status}`)) || !document.hidden || notifications() !== "on") return;
  const shown = new Notification(ENDINGS[status], { body: title, tag: jobId });
  shown.addEventListener("click", () => {
    window.focus();
    location.assign(`/jobs/${encodeURIComponent(jobId)}`);
    shown.close();
  });
}

// Follows every element with data-job, data-status and data-title on this page; who looks at it is told by the page.
export function watchJobs() {
  const known = new Map();
  const look = () => {
    for (const { dataset } of document.querySelectorAll("[data-job][data-status]")) {
      const before = known.get(dataset.job);
      known.set(dataset.job, dataset.status);
      if (!before || before === dataset.status || !isEnding(dataset.status)) continue;
      toast(`${ENDINGS[dataset.status]}: ${dataset.title}`, TONES[dataset.status]);
      tellEnding(dataset.job, dataset.status, dataset.title);
    }
  };
  look();
  document.addEventListener("brightrun:replaced", look);
}

// Whether no tab of this browser has told this before. The lock keeps two tabs from looking at the same moment.
function isFirst(what) {
  const look = () => {
    const told = JSON.parse(localStorage.getItem(TOLD) ?? "[]");
    if (told.includes(what)) return false;
    localStorage.setItem(TOLD, JSON.stringify([...told, what].slice(-REMEMBERED)));
    return true;
  };
  return navigator.locks ? navigator.locks.request(TOLD, look) : Promise.resolve(look());
}
