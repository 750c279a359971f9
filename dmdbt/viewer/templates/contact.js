"use strict";
// A table of cases: sorted by a click on a heading, and filtered by what is typed. Rows with errors come last.
{
  const body = document.querySelector("tbody");
  const rows = [...body.rows].filter((row) => row.cells.length > 1);
  const headings = [...document.querySelectorAll("th[aria-sort]")];
  const collator = new Intl.Collator("en", {numeric: true});

  /** What a row is sorted by in a column: null comes last, whatever the direction. */
  function value(row, heading) {
    const error = row.querySelector(".error");
    const after = error && heading.cellIndex > error.cellIndex;
    if (error && heading.cellIndex >= error.cellIndex && heading.cellIndex < error.cellIndex + error.colSpan) return null;
    const cell = row.cells[heading.cellIndex - (after ? error.colSpan - 1 : 0)];
    const text = heading.dataset.kind === "number" ? cell.dataset.value : cell.textContent.trim();
    return text === "" ? null : heading.dataset.kind === "number" ? Number(text) : text;
  }

  function sort(heading) {
    const first = heading.dataset.kind === "number" ? "descending" : "ascending";
    const other = first === "ascending" ? "descending" : "ascending";
    const direction = heading.ariaSort === first ? other : first;
    for (const each of headings) each.ariaSort = each === heading ? direction : "none";
    const sign = direction === "ascending" ? 1 : -1;
    const keyed = rows.map((row) => [value(row, heading), row]);
    keyed.sort(([a], [b]) => {
      if (a === null || b === null) return (a === null) - (b === null);
      return sign * (typeof a === "number" ? a - b : collator.compare(a, b));
    });
    body.append(...keyed.map(([, row]) => row));
  }

  function filter() {
    const wanted = document.getElementById("filter").value.trim().toLowerCase();
    for (const row of rows) row.hidden = !row.textContent.toLowerCase().includes(wanted);
    const shown = rows.filter((row) => !row.hidden);
    const errors = shown.filter((row) => row.querySelector(".error")).length;
    document.getElementById("count").textContent = `${shown.length} of ${rows.length} cases shown, ${errors} with an error`;
  }

  for (const heading of headings) heading.querySelector("button").addEventListener("click", () => sort(heading));
  document.getElementById("filter").addEventListener("input", filter);
  filter();
}
