// Makes the way out quicker where scripts run: Escape twice leaves too, and Back does not lead here. Without it the link works.
const link = document.getElementById("leave");
const leave = () => { document.body.replaceChildren(); document.title = ""; location.replace(link.href); };
link.addEventListener("click", (event) => { event.preventDefault(); leave(); });
let last = -1500;
document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape" || event.repeat) return;
  if (event.timeStamp - last < 1500) leave();
  last = event.timeStamp;
});
