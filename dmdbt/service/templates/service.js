"use strict";
// The form: files by drop, what was chosen, and that it is being sent. Without this script it works by its inputs.
{
  const form = document.querySelector("form");
  const said = document.getElementById("said");
  const bytes = (files) => [...files].reduce((sum, file) => sum + file.size, 0);
  const size = (files) => `${(bytes(files) / 2 ** 20).toFixed(1)} MiB`;

  /** All files of a folder that was dropped; readEntries gives some at a time, and none at the end. */
  async function filesOf(folder) {
    const reader = folder.createReader();
    const found = [];
    for (let some = [null]; some.length; found.push(...some)) {
      some = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
    }
    const files = found.filter((entry) => entry.isFile);
    return Promise.all(files.map((entry) => new Promise((resolve, reject) => entry.file(resolve, reject))));
  }

  async function dropped(transfer) {
    const folders = [...transfer.items].map((item) => item.webkitGetAsEntry()).filter((entry) => entry?.isDirectory);
    if (!folders.length) return transfer.files;
    const all = new DataTransfer();
    for (const file of (await Promise.all(folders.map(filesOf))).flat()) all.items.add(file);
    return all.files;
  }

  for (const place of document.querySelectorAll(".drop")) {
    const input = place.querySelector("input[type=file]");
    const show = () => {
      const {files} = input;
      const what = files.length === 1 ? files[0].name : `${files.length} files`;
      place.querySelector("output").textContent = files.length ? `${what}, ${size(files)}` : "";
    };
    input.addEventListener("change", show);
    for (const name of ["dragenter", "dragover", "dragleave", "drop"]) {
      place.addEventListener(name, () => place.classList.toggle("over", name === "dragenter" || name === "dragover"));
    }
    place.addEventListener("drop", async (event) => {
      event.preventDefault();
      input.files = await dropped(event.dataTransfer);
      show();
    });
  }
  // A file that misses its place would be opened instead of the page.
  for (const name of ["dragover", "drop"]) window.addEventListener(name, (event) => event.preventDefault());

  form.addEventListener("submit", (event) => {
    const inputs = [...form.querySelectorAll("input[type=file]")];
    const paths = [...form.querySelectorAll("input[name$=_path]")];
    const large = inputs.find(({files}) => bytes(files) > Number(form.dataset.limit));
    const empty = !inputs.some(({files}) => files.length) && !paths.some(({value}) => value.trim());
    const wrong = empty ? "Choose a file." : large && `${size(large.files)} are more than this model reads.`;
    said.textContent = wrong || "Sending";
    if (wrong) event.preventDefault();
    form.querySelector("progress").hidden = Boolean(wrong);
    form.querySelector("button").disabled = !wrong;
  });
}
