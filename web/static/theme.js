// Remembers the choice of light or dark in this browser, and shows what only a script can do. Without it the page works.
const key = "theme";
const chosen = () => { try { return localStorage.getItem(key) ?? "system"; } catch { return "system"; } };
const remember = (value) => {
  try { value === "system" ? localStorage.removeItem(key) : localStorage.setItem(key, value); } catch { /* kept for this page only */ }
};

for (const input of document.querySelectorAll('input[name="theme"]')) {
  input.checked = input.value === chosen();
  input.addEventListener("change", () => remember(input.value));
}
for (const button of document.querySelectorAll("button[data-print]")) {
  button.hidden = false;
  button.addEventListener("click", () => print());
}
