// Asks the base and the tuned model of a job the same, and shows both answers side by side, as text.
import { ask } from "./api_client.js";
import { clearWrongs, showWrongs } from "./actions.js";

const form = document.querySelector("form[data-chat]");
const state = document.querySelector("[data-chat-state]");
const answers = document.querySelector("[data-chat-answers]");
const shape = document.querySelector("template[data-chat-shape]");

form?.addEventListener("submit", async (event) => {
  event.preventDefault();
  const button = form.querySelector("[type=submit]");
  const prompt = form.elements.prompt.value.trim();
  if (!prompt || button.disabled) return;
  button.disabled = true;
  clearWrongs(form);
  const told = startClock();
  try {
    const body = { prompt, system: form.elements.system.value.trim() };
    const most = Number(form.elements.max_tokens.value);
    if (most) body.max_tokens = most;
    const said = await ask("POST", form.dataset.chat, body);
    show(prompt, said);
    form.elements.prompt.value = "";
    told(`Answered in ${said.seconds.toFixed(1)} s.`);
  } catch (refused) {
    told("");
    showWrongs(form, refused);
  } finally {
    button.disabled = false;
  }
});
form?.elements.prompt.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) form.requestSubmit();
});

function startClock() {
  const began = Date.now();
  state.textContent = "Both are thinking…";
  const tick = setInterval(() => {
    // A screen reader is told once; the seconds are for the eye.
    state.setAttribute("aria-live", "off");
    state.textContent = `Both are thinking… ${Math.round((Date.now() - began) / 1000)} s`;
  }, 1000);
  return (text) => {
    clearInterval(tick);
    state.setAttribute("aria-live", "polite");
    state.textContent = text;
  };
}

function show(prompt, said) {
  const shown = shape.content.cloneNode(true);
  shown.querySelector("[data-you]").textContent = prompt;
  for (const side of ["base", "tuned"]) {
    shown.querySelector(`[data-${side}]`).textContent = said[side].text.trim() || "(no text)";
    const tokens = said[side].tokens === 1 ? "1 token" : `${said[side].tokens} tokens`;
    shown.querySelector(`[data-${side}-note]`).textContent = `${tokens}, ${said[side].stopped ? "ended by itself" : "cut at the limit"}`;
  }
  answers.prepend(shown);
}
