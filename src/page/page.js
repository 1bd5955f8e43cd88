// Buttons that copy, and files that are dropped on the form. The page works without this.
"use strict";

document.documentElement.classList.add("scripted");

// Browsers allow it on this machine and with TLS.
if (navigator.clipboard) {
  for (const code of document.querySelectorAll("code.copy")) {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "copy-button";
    button.textContent = "Copy";
    const text = code.textContent;
    const what = text.length > 40 ? text.slice(0, 40) + "…" : text;
    button.setAttribute("aria-label", "Copy " + what);
    button.addEventListener("click", async () => {
      try {
        await navigator.clipboard.writeText(text);
        button.textContent = "Copied";
      } catch {
        getSelection().selectAllChildren(code);
        button.textContent = "Selected";
      }
      setTimeout(() => { button.textContent = "Copy"; }, 1500);
    });
    code.after(button);
  }
}

const area = document.getElementById("go-sum");
if (area) {
  const mark = (event, over) => {
    event.preventDefault();
    area.classList.toggle("over", over);
  };
  area.addEventListener("dragover", (event) => mark(event, true));
  area.addEventListener("dragleave", (event) => mark(event, false));
  area.addEventListener("drop", async (event) => {
    mark(event, false);
    const file = event.dataTransfer.files[0];
    area.value = file ? await file.text() : event.dataTransfer.getData("text");
  });
}
