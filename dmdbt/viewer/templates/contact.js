"use strict";
// A table of cases: sorted by a click on a heading, and filtered by what is typed.
{
  const body = document.querySelector(".cases tbody");
  const predicted = [...body.rows].filter((row) => row.cells.length > 1);
  const failed = [...document.querySelectorAll("tr.error")];
  const headings = [...document.querySelectorAll("th[aria-sort]")];
  const collator = new Intl.Collator("en", {numeric: true});
  const counted = (n, noun) => `${n} ${noun}${n === 1 ? "" : "s"}`;

  /** What a row is sorted by in a column: null comes last, whatever the direction. */
  function value(row, heading) {
    const cell = row.cells[heading.cellIndex];
    const text = heading.dataset.kind === "number" ? cell.dataset.value : cell.textContent.trim();
    return text === "" ? null : heading.dataset.kind === "number" ? Number(text) : text;
  }

  function sort(heading) {
    const first = heading.dataset.kind === "number" ? "descending" : "ascending";
    const other = first === "ascending" ? "descending" : "ascending";
    const direction = heading.ariaSort === first ? other : first;
    for (const each of headings) each.ariaSort = each === heading ? direction : "none";
    const sign = direction === "ascending" ? 1 : -1;
    const keyed = predicted.map((row) => [value(row, heading), row]);
    keyed.sort(([a], [b]) => {
      if (a === null || b === null) return (a === null) - (b === null);
      return sign * (typeof a === "number" ? a - b : collator.compare(a, b));
    });
    body.append(...keyed.map(([, row]) => row));
  }

  function filter() {
    const wanted = document.getElementById("filter").value.trim().toLowerCase();
    for (const row of [...failed, ...predicted]) row.hidden = !row.textContent.toLowerCase().includes(wanted);
    const shown = (rows) => rows.filter((row) => !row.hidden).length;
    const all = counted(predicted.length + failed.length, "case");
    const said = `${shown(failed) + shown(predicted)} of ${all} shown, ${shown(failed)} without a prediction`;
    document.getElementById("count").textContent = said;
  }

  for (const heading of headings) heading.querySelector("button").addEventListener("click", () => sort(heading));
  document.getElementById("filter").addEventListener("input", filter);
  filter();
}
