"use strict";
(async () => {
  const table = document.getElementById("recordings");
  const field = document.getElementById("search");
  const note = document.getElementById("matches");
  const packed = Uint8Array.from(atob(document.getElementById("data").textContent), (c) => c.charCodeAt(0));
  if (!("DecompressionStream" in window)) return;
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("deflate"));
  const data = JSON.parse(await new Response(stream).text());
  const status = ["failed", "excluded", "ok"];
  const pages = new Set(data.page);
  const most = 100;
  const text = data.id.map((id, i) =>
    `${id} ${status[data.status[i]]} ${data.reasons[data.reason[i]]} ${data.devices[data.device[i]]}`.toLowerCase());
  const cell = (content, kind) => {
    const made = document.createElement("td");
    if (kind) made.className = kind;
    made.append(content);
    return made;
  };
  const number = (value, digits) => (value === null ? "\u2013" : value.toFixed(digits).replace("-", "\u2212"));
  const row = (i) => {
    const made = document.createElement("tr");
    let name = data.id[i];
    if (pages.has(i)) {
      name = document.createElement("a");
      name.href = table.dataset.folder + encodeURIComponent(data.id[i]) + ".html";
      name.textContent = data.id[i];
    }
    const outcome = document.createElement("span");
    outcome.className = status[data.status[i]];
    outcome.textContent = status[data.status[i]];
    const result = cell(outcome);
    if (data.reasons[data.reason[i]]) result.append(`: ${data.reasons[data.reason[i]]}`);
    made.append(cell(name), result, cell(data.devices[data.device[i]], "time"), cell(number(data.rate[i], 2), "num"),
      cell(number(data.recorded[i], 1), "num"), cell(number(data.wear[i], 1), "num"), cell(number(data.error[i], 1), "num"));
    return made;
  };
  const search = () => {
    const words = field.value.toLowerCase().split(/\s+/).filter(Boolean);
    const shown = [];
    let n = 0;
    for (let i = 0; i < text.length; i += 1) {
      if (words.every((word) => text[i].includes(word))) {
        n += 1;
        if (shown.length < most) shown.push(i);
      }
    }
    table.tBodies[0].replaceChildren(...shown.map(row));
    note.textContent = n > most ? `The first ${most} of ${n.toLocaleString("en")} that match.` : `${n.toLocaleString("en")} match.`;
  };
  field.addEventListener("input", search);
  document.getElementById("searching").hidden = false;
})();
