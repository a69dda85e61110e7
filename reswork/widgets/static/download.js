// One button that saves a file which the kernel has written; its bytes come only when it is pressed.
function render({ model, el }) {
  const ticket = crypto.randomUUID ? crypto.randomUUID() : String(Math.random());
  const button = document.createElement("button");
  button.type = "button";
  button.className = "reswork-download jupyter-button";
  button.onclick = () => { button.disabled = true; model.send({ kind: "fetch", ticket }); };
  const show = () => {
    button.style.display = model.get("name") ? "" : "none";
    button.disabled = false;
    button.textContent = `Download ${model.get("name")}`;
  };
  const take = (content, buffers) => {
    if (content.ticket !== ticket) return; // another tab asked
    show();
    if (content.kind !== "file") { button.textContent = "The file is gone, or too large for a download"; return; }
    const url = URL.createObjectURL(new Blob([buffers[0]]));
    const link = Object.assign(document.createElement("a"), { href: url, download: model.get("name") });
    link.click();
    setTimeout(() => URL.revokeObjectURL(url), 60_000);
  };
  el.append(button);
  show();
  model.on("change:name", show);
  model.on("msg:custom", take);
  return () => { model.off("change:name", show); model.off("msg:custom", take); };
}

export default { render };
