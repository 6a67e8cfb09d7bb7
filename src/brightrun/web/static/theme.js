// Light or dark: the reader's choice is kept in a cookie, so that the server draws the next page in it at once.
export function listenForTheme() {
  document.addEventListener("click", (event) => {
    if (!event.target.closest?.("[data-theme-switch]")) return;
    const root = document.documentElement;
    const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
    root.dataset.theme = dark ? "light" : "dark";
    document.querySelector('meta[name="color-scheme"]').content = root.dataset.theme;
    const secure = location.protocol === "https:" ? "; secure" : "";
    document.cookie = `brightrun_theme=${root.dataset.theme}; path=/; max-age=31536000; samesite=lax${secure}`;
  });
}
