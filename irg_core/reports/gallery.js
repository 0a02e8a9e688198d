// Filters and orders the articles of each gallery; without this script all of them are simply there.
for (const gallery of document.querySelectorAll(".gallery")) {
  const items = [...gallery.querySelectorAll("article")];
  const picks = [...gallery.querySelectorAll("select[data-tag]")];
  const order = gallery.querySelector("select.order");
  const count = gallery.querySelector(".filters output");
  const show = () => {
    let shown = 0;
    for (const item of items) {
      const fits = picks.every((pick) => !pick.value || item.getAttribute(`data-${pick.dataset.tag}`) === pick.value);
      item.hidden = !fits;
      shown += fits;
    }
    const sign = { lot: 0, worst: -1, best: 1 }[order.value];
    const key = (item) => (sign ? sign * Number(item.dataset.badness) : Number(item.dataset.place));
    for (const item of [...items].sort((one, other) => key(one) - key(other))) gallery.append(item);
    count.textContent = `${shown} of ${items.length}`;
  };
  for (const pick of [...picks, order]) pick.addEventListener("change", show);
  show();
}
