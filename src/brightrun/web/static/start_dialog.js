// Opens "Start training" as a dialog for links to /start; without script, in a new tab and where it fails it is a page.
export function listenForStart() {
  document.addEventListener("click", (event) => {
    const link = event.target.closest?.('a[href^="/start"]');
    if (!link || event.defaultPrevented || event.button || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return;
    if (link.pathname !== "/start" || link.target || location.pathname === "/start") return;
    event.preventDefault();
    open(link).catch(() => location.assign(link.href));
  });
}

async function open(link) {
  const answer = await fetch(link.href, { headers: { accept: "text/html" } });
  const drawn = new DOMParser().parseFromString(await answer.text(), "text/html");
  const content = drawn.querySelector("[data-start]");
  if (!answer.ok || !content) throw new Error("not the form");
  loadStyle(drawn.querySelector('link[href*="/start.css"]').getAttribute("href"));
  const { wireStart } = await import(drawn.querySelector('script[src*="/start.js"]').getAttribute("src"));
  const dialog = framed(content);
  document.body.append(dialog);
  dialog.addEventListener("close", () => dialog.remove());
  dialog.showModal();
  wireStart(content);
  content.querySelector("[data-step]:not([hidden]) h2")?.focus();
}

function framed(content) {
  const dialog = document.createElement("dialog");
  dialog.className = "dialog start-dialog";
  dialog.setAttribute("aria-labelledby", "start-heading");
  dialog.dataset.stays = ""; // what was chosen is not lost by a click beside it
  const head = document.createElement("div");
  head.className = "dialog-head";
  const title = document.createElement("h2");
  title.id = "start-heading";
  title.textContent = content.dataset.title;
  const close = document.createElement("button");
  Object.assign(close, { type: "button", className: "icon-button", textContent: "✕" });
  close.setAttribute("aria-label", "Close");
  close.dataset.close = "";
  head.append(title, close);
  dialog.append(head, content);
  return dialog;
}

function loadStyle(address) {
  if (document.querySelector(`link[href="${address}"]`)) return;
  const link = document.createElement("link");
  link.rel = "stylesheet";
  link.href = address;
  document.head.append(link);
}
