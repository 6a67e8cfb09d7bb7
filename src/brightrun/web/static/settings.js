// The settings page: checks asked again, a new token shown once, notifications turned on and off.
import { clearWrongs, showWrongs } from "./actions.js";
import { refreshLive } from "./live.js";
import { notifications, turnOff, turnOn } from "./notify.js";
import { ask } from "./api_client.js";

document.querySelector("[data-check-again]")?.addEventListener("click", refreshLive);

// Tokens

const making = document.querySelector("form[data-make-token]");
const dialog = document.getElementById("made");
const secret = dialog.querySelector("[data-secret]");

making.addEventListener("submit", async (event) => {
  event.preventDefault();
  const button = making.querySelector("[type=submit]");
  button.disabled = true;
  clearWrongs(making);
  try {
    const made = await ask("POST", making.dataset.makeToken, { name: making.elements.name.value });
    secret.textContent = made.token;
    dialog.showModal();
    dialog.querySelector("[data-copy]").focus();
  } catch (refused) {
    showWrongs(making, refused);
  } finally {
    button.disabled = false;
  }
});
dialog.addEventListener("close", () => {
  secret.textContent = ""; // it stays nowhere on the page
  location.reload();
});
dialog.querySelector("[data-copy]").addEventListener("click", async () => {
  const said = dialog.querySelector("[data-copied]");
  try {
    await navigator.clipboard.writeText(secret.textContent);
    said.textContent = "Copied.";
  } catch {
    getSelection().selectAllChildren(secret); // no clipboard without https: the person copies what is marked
    said.textContent = "It is marked; copy it with your keyboard.";
  }
});

// Notifications

const toggle = document.querySelector("[data-notifications]");
const say = document.querySelector("[data-notifications-say]");
const SAYS = {
  impossible: "This browser offers none here. Most want the studio at localhost or behind https.",
  refused: "Your browser was told never to ask. Allow notifications for this address in its settings.",
  on: "On in this browser.",
  off: "",
};

function draw(state) {
  toggle.hidden = state === "impossible" || state === "refused";
  toggle.textContent = state === "on" ? "Turn off" : "Turn on";
  say.textContent = SAYS[state];
}

toggle.addEventListener("click", async () => draw(notifications() === "on" ? turnOff() : await turnOn()));
draw(notifications());
