// Opens <dialog id=X> for buttons with data-open="X", closes it for data-close and for a click beside it unless it has data-stays.
export function listenForDialogs() {
  document.addEventListener("click", (event) => {
    const opener = event.target.closest?.("[data-open]");
    if (opener) document.getElementById(opener.dataset.open)?.showModal();
    else if (event.target.closest?.("[data-close]")) event.target.closest("dialog")?.close();
    else if (event.target instanceof HTMLDialogElement && !("stays" in event.target.dataset) && beside(event)) event.target.close();
  });
}

function beside(event) {
  const box = event.target.getBoundingClientRect();
  const inside = event.clientX >= box.left && event.clientX <= box.right && event.clientY >= box.top && event.clientY <= box.bottom;
  return !inside && event.clientX + event.clientY > 0; // a click made by a key has no place
}
